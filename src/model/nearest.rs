//! "Did you mean": the one place that decides which known name a wrong one resembles.

use strsim::damerau_levenshtein;

/// The candidate that `name` was probably meant to be, or `None` when nothing is close.
///
/// A candidate is close when at most a third of the longer name has to be edited (at least one edit is
/// always allowed for names of two or more characters). Case is ignored. Of equally close candidates the
/// alphabetically first is given, so the answer does not depend on their order.
pub fn nearest<I, S>(name: &str, candidates: I) -> Option<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    // An edit distance costs the product of both lengths; nobody mistypes a name this long.
    const LONGEST: usize = 256;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let candidate = candidate.as_ref();
            let known = candidate.to_lowercase();
            let longer = wanted.chars().count().max(known.chars().count());
            let allowed = match longer {
                0 | 1 => 0,
                n => (n / 3).max(1),
            };
            let distance = damerau_levenshtein(&wanted, &known);
            (distance <= allowed).then(|| (distance, candidate.to_owned()))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_find_their_name_and_strangers_do_not() {
        let known = ["postgres", "redis", "lock_timeout", "statement_timeout"];
        for (name, expected) in [
            ("postgress", Some("postgres")),
            ("lock_timout", Some("lock_timeout")),
            ("Redis", Some("redis")),
            ("rdeis", Some("redis")),
            ("mysql", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn ties_do_not_depend_on_the_order_of_candidates() {
        assert_eq!(nearest("0.1", ["0.3", "0.2"]).as_deref(), Some("0.2"));
        assert_eq!(nearest("0.1", ["0.2", "0.3"]).as_deref(), Some("0.2"));
    }

    #[test]
    fn a_huge_name_is_not_compared() {
        assert_eq!(nearest(&"x".repeat(100_000), ["x"]), None);
    }
}
