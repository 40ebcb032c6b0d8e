//! `rename_field` and `remove_field`: the fields of hashes.

use super::{Decision, KeyView, Problem, Work};
use crate::model::redis::pattern::Pattern;

/// Gives a field of every hash of a pattern another name, and keeps its time to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameField {
    /// Its name before.
    pub from: String,
    /// Its name after.
    pub to: String,
    /// The hashes.
    pub within: Pattern,
}

/// Removes a field from every hash of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveField {
    /// The field.
    pub field: String,
    /// The hashes.
    pub within: Pattern,
}

impl RenameField {
    pub(super) fn decide(&self, view: &KeyView) -> Decision {
        match view.fields.as_slice() {
            [Some(_), Some(_)] => Decision::Refused(Problem::BothFields {
                from: self.from.clone(),
                to: self.to.clone(),
            }),
            [Some(_), None] => Decision::Work(Work::RenameField),
            _ => Decision::Done,
        }
    }

    /// The step that undoes this one.
    pub fn reverse(&self) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
            within: self.within.clone(),
        }
    }
}

/// A field that is there is to be removed.
pub(super) fn decide_removal(view: &KeyView) -> Decision {
    match view.fields.as_slice() {
        [Some(_)] => Decision::Work(Work::RemoveField),
        _ => Decision::Done,
    }
}

impl std::fmt::Display for RenameField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "rename field {} to {} in {}",
            self.from, self.to, self.within
        )
    }
}

impl std::fmt::Display for RemoveField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "remove field {} in {}", self.field, self.within)
    }
}
