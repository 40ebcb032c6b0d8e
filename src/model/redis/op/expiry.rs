//! `expire` and `persist`: the times to live of keys.

use super::{Decision, KeyView, Work};
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

/// Lets every key of a pattern live for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persist {
    /// The keys.
    pub keys: Pattern,
}

impl Expire {
    pub(super) fn decide(&self, view: &KeyView) -> Decision {
        match view.ttl_ms {
            Some(left) if left <= self.ttl_ms => Decision::Done,
            _ => Decision::Work(Work::Expiry),
        }
    }
}

/// A key that would expire is to be kept.
pub(super) fn decide_persist(view: &KeyView) -> Decision {
    match view.ttl_ms {
        None => Decision::Done,
        Some(_) => Decision::Work(Work::Expiry),
    }
}

impl std::fmt::Display for Expire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expire {} after {} ms", self.keys, self.ttl_ms)
    }
}

impl std::fmt::Display for Persist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "persist {}", self.keys)
    }
}
