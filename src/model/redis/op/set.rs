//! `set = { field = "…" }`: values of hash fields.

use super::{Decision, KeyView, Work};
use crate::model::redis::pattern::{Pattern, Template};

/// Sets fields of every hash of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Fields and what they are set to.
    pub fields: Vec<(String, Template)>,
    /// The hashes.
    pub within: Pattern,
    /// Whether a field that holds something else is set as well.
    pub overwrite: bool,
}

impl Set {
    pub(super) fn decide(&self, values: &[Vec<u8>], view: &KeyView) -> Decision {
        let needed = values
            .iter()
            .zip(&view.fields)
            .any(|(wanted, found)| match found {
                None => true,
                Some(found) => self.overwrite && found != wanted,
            });
        if needed {
            Decision::Work(Work::Set)
        } else {
            Decision::Done
        }
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(field, value)| format!("{field} = \"{value}\""))
            .collect();
        let how = if self.overwrite { "" } else { " where absent" };
        write!(f, "set {} in {}{how}", fields.join(", "), self.within)
    }
}
