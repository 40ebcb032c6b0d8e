//! The append-only record of what was done to a store.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::id::MigrationId;
use crate::model::state::{LedgerEntry, LedgerStatus};

/// One entry of a store's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its place in the history: a number in Postgres, a stream id in Redis.
    pub seq: String,
    /// The migration.
    pub id: String,
    /// What was done.
    pub action: String,
    /// `done` or `failed`.
    pub outcome: String,
    /// The error of a failed step, or the reason of a skip or a decision.
    pub detail: Option<String>,
    /// Hex digest of the plan.
    pub plan: String,
    /// Who signed the plan, and with which key; `None` where no signature was checked.
    pub signer: Option<String>,
    /// User that ran it.
    pub actor: String,
    /// Host that it ran on.
    pub host: String,
    /// Version of the tool.
    pub tool: String,
    /// When the step began, RFC 3339 in UTC, by the store's clock.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// Hash of the entry before, empty for the first.
    pub previous: String,
    /// Hash of this entry, over all of the above.
    pub hash: String,
    /// Whether `hash` and `previous` are right, as recomputed by the store when read.
    pub intact: bool,
}

/// The last that the history has of a migration, where that is a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What failed.
    pub action: String,
    /// When, RFC 3339 in UTC, by the store's clock.
    pub at: String,
    /// The first line of the error.
    pub error: String,
}

impl Failure {
    /// Of an entry's values; `None` where it is no failure.
    pub fn new(outcome: &str, action: &str, at: &str, detail: Option<&str>) -> Option<Self> {
        (outcome == "failed").then(|| Self {
            action: action.to_owned(),
            at: at.to_owned(),
            error: detail
                .and_then(|text| text.lines().next())
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

/// The failures of these migrations that nothing has followed since.
pub fn failures(
    of: &BTreeSet<MigrationId>,
    entries: &[HistoryEntry],
) -> BTreeMap<MigrationId, Failure> {
    of.iter()
        .filter_map(|id| {
            let name = id.to_string();
            let last = entries.iter().rev().find(|entry| entry.id == name)?;
            let detail = last.detail.as_deref();
            let failure = Failure::new(&last.outcome, &last.action, &last.ended_at, detail)?;
            Some((id.clone(), failure))
        })
        .collect()
}

/// The migrations whose record in the ledger no entry explains, by the plan that wrote it.
///
/// A chain of hashes shows every change but one: entries that are taken from its end leave it whole. What they
/// recorded is still in the ledger.
pub fn unexplained(
    ledger: &BTreeMap<MigrationId, LedgerEntry>,
    entries: &[HistoryEntry],
) -> Vec<MigrationId> {
    let explained: BTreeSet<(&str, &str)> = entries
        .iter()
        .filter(|entry| entry.outcome == "done")
        .map(|entry| (entry.id.as_str(), entry.plan.as_str()))
        .collect();
    ledger
        .iter()
        // What is half done has no entry yet.
        .filter(|(_, record)| !matches!(record.status, LedgerStatus::Partial { .. }))
        .filter(|(id, record)| {
            !explained.contains(&(id.to_string().as_str(), record.plan.as_str()))
        })
        .map(|(id, _)| id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::checksum::Checksum;
    use crate::model::state::HowApplied;

    fn entry(action: &str, outcome: &str, plan: &str) -> HistoryEntry {
        HistoryEntry {
            seq: String::new(),
            id: "sql/0001_a".to_owned(),
            action: action.to_owned(),
            outcome: outcome.to_owned(),
            detail: None,
            plan: plan.to_owned(),
            signer: None,
            actor: String::new(),
            host: String::new(),
            tool: String::new(),
            started_at: String::new(),
            ended_at: String::new(),
            previous: String::new(),
            hash: String::new(),
            intact: true,
        }
    }

    #[test]
    fn a_failure_counts_until_something_follows_it() {
        let id: MigrationId = "sql/0001_a".parse().unwrap();
        let of = BTreeSet::from([id.clone()]);
        let failed = HistoryEntry {
            detail: Some("first\nsecond".to_owned()),
            ended_at: "then".to_owned(),
            ..entry("apply", "failed", "one")
        };
        let mut entries = vec![entry("apply", "done", "one"), failed];
        let found = failures(&of, &entries);
        assert_eq!(found[&id].error, "first");
        assert_eq!(found[&id].at, "then");
        assert!(failures(&BTreeSet::new(), &entries).is_empty());
        entries.push(entry("resolve", "done", "two"));
        assert!(failures(&of, &entries).is_empty());
    }

    #[test]
    fn a_record_is_explained_by_a_done_entry_of_its_own_plan_alone() {
        let id: MigrationId = "sql/0001_a".parse().unwrap();
        let record = LedgerEntry {
            status: LedgerStatus::Applied {
                how: HowApplied::Run,
                cleaned: false,
            },
            checksum: Checksum::of_content(""),
            plan: "third".to_owned(),
            at: String::new(),
            actor: String::new(),
            checkpoint: None,
            down: None,
        };
        let ledger = BTreeMap::from([(id.clone(), record)]);
        let before = [
            entry("apply", "done", "first"),
            entry("revert", "done", "second"),
            entry("apply", "failed", "third"),
        ];
        assert_eq!(unexplained(&ledger, &before), [id]);
        let whole = [&before[..], &[entry("apply", "done", "third")]].concat();
        assert!(unexplained(&ledger, &whole).is_empty());
    }
}
