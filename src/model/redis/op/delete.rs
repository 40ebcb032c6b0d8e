//! `delete = "…"`: removes keys.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Work, kind};
use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::Pattern;

/// Deletes every key of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The keys.
    pub keys: Pattern,
    /// The type that they must have; `None` for any.
    pub kind: Option<KeyType>,
}

impl Declared for Delete {
    const NAME: &'static str = "delete";
    const KEYS: &'static [&'static str] = &["type"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        Ok(Self {
            keys: step.pattern(Self::NAME)?,
            kind: step.word("type", &KeyType::NAMED)?,
        })
    }
}

impl Operation for Delete {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.keys)
    }

    fn key_type(&self) -> Option<KeyType> {
        self.kind
    }

    fn decide(&self, _: &Item<'_>, _: &KeyView) -> Decision {
        Decision::Work(Work::Delete)
    }

    fn irreversible(&self) -> Option<&'static str> {
        Some("it deletes keys")
    }
}

impl std::fmt::Display for Delete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "delete {}{}", self.keys, kind::in_brackets(self.kind))
    }
}
