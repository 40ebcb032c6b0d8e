//! What a statement does to the tables that it meets, in words.

use crate::model::plan::{KeyTime, TableImpact};
use crate::model::sql::{LockMode, TableWork};
use crate::render::units::{count, counted, duration_ms};

/// A table with its lock and its work: `public.orders: ACCESS EXCLUSIVE, reads and writes wait; written
/// anew: ...`.
pub(super) fn impact_words(impact: &TableImpact) -> String {
    let mut words = impact.table.clone();
    if impact.partitions > 0 {
        words.push_str(&format!(" and {}", counted(impact.partitions, "partition")));
    }
    if impact.created_here {
        words.push_str(" (new)");
    }
    words.push_str(&format!(": {}", impact.lock.sql()));
    if !impact.created_here {
        words.push_str(&format!(", {}", who_waits(impact.lock)));
    }
    if let Some(work) = work_words(impact.work) {
        words.push_str(&format!("; {work}"));
    }
    match &impact.why {
        Some(why) => format!("{words}: {why}"),
        None => words,
    }
}

/// Who waits for a lock.
pub(super) fn who_waits(lock: LockMode) -> &'static str {
    match lock {
        _ if lock.blocks_reads() => "reads and writes wait",
        _ if lock.blocks_writes() => "writes wait",
        _ => "nobody waits",
    }
}

/// What is done with the rows; `None` where they are left alone.
fn work_words(work: TableWork) -> Option<&'static str> {
    Some(match work {
        TableWork::None => return None,
        TableWork::SomeRows => "some rows are read or written",
        TableWork::Removed => "all rows go",
        TableWork::Scan => "all rows are read",
        TableWork::EveryRow => "every row is written",
        TableWork::Rewrite => "written anew",
    })
}

/// How long a Redis step may take, and what that rests on.
pub(super) fn time_words(time: &KeyTime) -> String {
    format!(
        "{} to {}, by the {} keys a second that were read for this plan",
        duration_ms(time.least_ms),
        duration_ms(time.most_ms),
        count(time.read_per_second)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impacts_say_who_waits_and_what_becomes_of_the_rows() {
        let impact = |lock, work, partitions, created_here, why: &str| TableImpact {
            table: "public.t".to_owned(),
            created_here,
            lock,
            partitions,
            work,
            why: (!why.is_empty()).then(|| why.to_owned()),
        };
        for (impact, words) in [
            (
                impact(
                    LockMode::AccessExclusive,
                    TableWork::Rewrite,
                    2,
                    false,
                    "column a is computed and stored",
                ),
                "public.t and 2 partitions: ACCESS EXCLUSIVE, reads and writes wait; written anew: \
                 column a is computed and stored",
            ),
            (
                impact(LockMode::Share, TableWork::Scan, 0, false, ""),
                "public.t: SHARE, writes wait; all rows are read",
            ),
            (
                impact(
                    LockMode::ShareUpdateExclusive,
                    TableWork::None,
                    1,
                    false,
                    "",
                ),
                "public.t and 1 partition: SHARE UPDATE EXCLUSIVE, nobody waits",
            ),
            (
                impact(LockMode::AccessExclusive, TableWork::None, 0, true, ""),
                "public.t (new): ACCESS EXCLUSIVE",
            ),
        ] {
            assert_eq!(impact_words(&impact), words);
        }
    }
}
