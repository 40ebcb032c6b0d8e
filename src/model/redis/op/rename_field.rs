//! `rename_field = "…"`, `to = "…"`: another name for a field of hashes.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Op, Problem, Work};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::pattern::Pattern;
use crate::model::redis::printable::printable;

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

impl Declared for RenameField {
    const NAME: &'static str = "rename_field";
    const KEYS: &'static [&'static str] = &["to", "in"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let from = step.required(Self::NAME)?.raw;
        let to = step.required("to")?;
        if from == to.raw {
            let key = Self::NAME.to_owned();
            return Err(step.error(to.line, DeclarationProblem::Twice { key, name: from }));
        }
        Ok(Self {
            from,
            to: to.raw,
            within: step.pattern("in")?,
        })
    }
}

impl Operation for RenameField {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.within)
    }

    fn key_type(&self) -> Option<KeyType> {
        Some(KeyType::Hash)
    }

    fn fields(&self) -> Vec<&str> {
        vec![&self.from, &self.to]
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        match view.fields.as_slice() {
            [Some(_), Some(_)] => Decision::Refused(Problem::BothFields {
                from: self.from.clone(),
                to: self.to.clone(),
            }),
            [Some(_), None] => Decision::Work(Work::RenameField),
            _ => Decision::Done,
        }
    }

    fn reversed(&self) -> Option<Op> {
        Some(Op::RenameField(Self {
            from: self.to.clone(),
            to: self.from.clone(),
            within: self.within.clone(),
        }))
    }
}

impl std::fmt::Display for RenameField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (
            printable(self.from.as_bytes()),
            printable(self.to.as_bytes()),
        );
        write!(f, "rename field {from} to {to} in {}", self.within)
    }
}
