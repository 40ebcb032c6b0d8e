//! `expire = "…"`, `after = "…"`: gives keys a time to live.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyView, Work};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::pattern::Pattern;

/// Lets every key of a pattern live for a time. A key that expires at or before that time is left alone,
/// since otherwise every pass would start its time anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expire {
    /// The keys.
    pub keys: Pattern,
    /// The time, milliseconds.
    pub ttl_ms: u64,
}

pub(super) const NOT_KEPT: &str = "the times to live before it are not kept";

impl Declared for Expire {
    const NAME: &'static str = "expire";
    const KEYS: &'static [&'static str] = &["after"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let after = step.required("after")?;
        let Some(ttl_ms) = milliseconds(&after.raw) else {
            let problem = DeclarationProblem::Time {
                key: after.key.clone(),
                written: after.raw,
            };
            return Err(step.error(after.line, problem));
        };
        let keys = step.pattern(Self::NAME)?;
        Ok(Self { keys, ttl_ms })
    }
}

impl Operation for Expire {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.keys)
    }

    fn reads_ttl(&self) -> bool {
        true
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        match view.ttl_ms {
            Some(left) if left <= self.ttl_ms => Decision::Done,
            _ => Decision::Work(Work::Expiry),
        }
    }

    fn irreversible(&self) -> Option<&'static str> {
        Some(NOT_KEPT)
    }
}

impl std::fmt::Display for Expire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expire {} after {} ms", self.keys, self.ttl_ms)
    }
}

/// A whole number and a unit, as in `7d`; not zero, which would delete.
fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|ms| *ms > 0)
}
