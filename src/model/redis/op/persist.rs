//! `persist = "…"`: takes keys' time to live away.

use super::expire::NOT_KEPT;
use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyView, Work};
use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::Pattern;

/// Lets every key of a pattern live for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persist {
    /// The keys.
    pub keys: Pattern,
}

impl Declared for Persist {
    const NAME: &'static str = "persist";
    const KEYS: &'static [&'static str] = &[];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let keys = step.pattern(Self::NAME)?;
        Ok(Self { keys })
    }
}

impl Operation for Persist {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.keys)
    }

    fn reads_ttl(&self) -> bool {
        true
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        match view.ttl_ms {
            None => Decision::Done,
            Some(_) => Decision::Work(Work::Expiry),
        }
    }

    fn irreversible(&self) -> Option<&'static str> {
        Some(NOT_KEPT)
    }
}

impl std::fmt::Display for Persist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "persist {}", self.keys)
    }
}
