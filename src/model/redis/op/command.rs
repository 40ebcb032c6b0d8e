//! `command = ["…"]`: one raw command, for what no other operation says.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyView};
use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::Pattern;
use crate::model::redis::printable::printable;

/// Runs one command where its check fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command and its arguments.
    pub run: Vec<Vec<u8>>,
    /// A reading command. Its check passes unless it answers with an error, nil, 0, false or nothing.
    pub check: Vec<Vec<u8>>,
    /// What undoes it.
    pub undo: Option<Vec<Vec<u8>>>,
}

impl Declared for Command {
    const NAME: &'static str = "command";
    const KEYS: &'static [&'static str] = &["check", "undo"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let undo = step.literals("undo")?;
        Ok(Self {
            run: step.some(Self::NAME, step.literals(Self::NAME)?)?,
            check: step.some("check", step.literals("check")?)?,
            undo: (!undo.is_empty()).then_some(undo),
        })
    }
}

impl Operation for Command {
    fn pattern(&self) -> Option<&Pattern> {
        None
    }

    /// No key is its own, so none needs work.
    fn decide(&self, _: &Item<'_>, _: &KeyView) -> Decision {
        Decision::Done
    }

    fn irreversible(&self) -> Option<&'static str> {
        self.undo.is_none().then_some("it has no `undo`")
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self.run.iter().map(|word| printable(word)).collect();
        write!(f, "command {}", words.join(" "))
    }
}
