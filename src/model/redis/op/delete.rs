//! `delete = "…"`: removes keys.

use super::{Decision, KeyType, Work};
use crate::model::redis::pattern::Pattern;

/// Deletes every key of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The keys.
    pub keys: Pattern,
    /// The type that they must have; `None` for any.
    pub kind: Option<KeyType>,
}

/// A key that is there is to be deleted.
pub(super) fn decide() -> Decision {
    Decision::Work(Work::Delete)
}

impl std::fmt::Display for Delete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "delete {}", self.keys)?;
        match self.kind {
            Some(kind) => write!(f, " ({})", kind.name()),
            None => Ok(()),
        }
    }
}
