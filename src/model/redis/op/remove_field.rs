//! `remove_field = "…"`: removes a field from hashes.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Work};
use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::Pattern;
use crate::model::redis::printable::printable;

/// Removes a field from every hash of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveField {
    /// The field.
    pub field: String,
    /// The hashes.
    pub within: Pattern,
}

impl Declared for RemoveField {
    const NAME: &'static str = "remove_field";
    const KEYS: &'static [&'static str] = &["in"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        Ok(Self {
            field: step.required(Self::NAME)?.raw,
            within: step.pattern("in")?,
        })
    }
}

impl Operation for RemoveField {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.within)
    }

    fn key_type(&self) -> Option<KeyType> {
        Some(KeyType::Hash)
    }

    fn fields(&self) -> Vec<&str> {
        vec![&self.field]
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        match view.fields.as_slice() {
            [Some(_)] => Decision::Work(Work::RemoveField),
            _ => Decision::Done,
        }
    }

    fn irreversible(&self) -> Option<&'static str> {
        Some("it removes values")
    }
}

impl std::fmt::Display for RemoveField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = printable(self.field.as_bytes());
        write!(f, "remove field {field} in {}", self.within)
    }
}
