//! `set = { field = "…" }`: values of hash fields.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Work};
use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::{Pattern, Template};
use crate::model::redis::printable::printable;

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

impl Declared for Set {
    const NAME: &'static str = "set";
    const KEYS: &'static [&'static str] = &["in", "overwrite"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let within = step.pattern("in")?;
        let fields = step.some(Self::NAME, step.field_values(Self::NAME, &within)?)?;
        Ok(Self {
            fields,
            within,
            overwrite: step.flag("overwrite")?,
        })
    }
}

impl Operation for Set {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.within)
    }

    fn key_type(&self) -> Option<KeyType> {
        Some(KeyType::Hash)
    }

    fn fields(&self) -> Vec<&str> {
        self.fields.iter().map(|(field, _)| &**field).collect()
    }

    fn values(&self) -> Vec<&Template> {
        self.fields.iter().map(|(_, value)| value).collect()
    }

    fn decide(&self, item: &Item<'_>, view: &KeyView) -> Decision {
        let needed = item
            .values
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

    fn irreversible(&self) -> Option<&'static str> {
        self.overwrite.then_some("it overwrites values")
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(field, value)| format!("{} = \"{value}\"", printable(field.as_bytes())))
            .collect();
        let how = if self.overwrite { "" } else { " where absent" };
        write!(f, "set {} in {}{how}", fields.join(", "), self.within)
    }
}
