//! One key that a step is to deal with.

use super::{Decision, KeyType, KeyView, Op, Problem};
use crate::model::redis::declaration::Step;
use crate::model::redis::pattern::{Captures, PatternError};

/// A key that one step matches, with the step's templates filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'d> {
    /// The step.
    pub step: &'d Step,
    /// The key.
    pub key: Vec<u8>,
    /// Where a copy goes.
    pub target: Option<Vec<u8>>,
    /// What the step's fields must hold (a copy's guards) or are set to, in their order.
    pub values: Vec<Vec<u8>>,
}

impl<'d> Item<'d> {
    /// Fills the step's templates with what its pattern captured.
    ///
    /// # Errors
    /// None for a step whose templates were checked against its pattern, as a declaration does.
    pub fn new(step: &'d Step, captures: &Captures<'_>) -> Result<Self, PatternError> {
        let target = match &step.op {
            Op::Copy(op) => Some(op.to.expand(captures)?),
            _ => None,
        };
        let values = match &step.op {
            Op::Copy(op) => (op.guards.iter().map(|guard| guard.value.expand(captures)))
                .collect::<Result<_, _>>()?,
            Op::Set(op) => (op.fields.iter().map(|(_, value)| value.expand(captures)))
                .collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        Ok(Self {
            step,
            key: captures.key().to_vec(),
            target,
            values,
        })
    }

    /// What is to be done with the key: the one definition that plan, apply and verify share.
    pub fn decide(&self, view: &KeyView) -> Decision {
        let Some(found) = view.kind else {
            return Decision::Gone;
        };
        // What was dealt with once is not judged again: by now it may be the application's own business.
        if view.recorded.is_some() {
            return Decision::Done;
        }
        if let Some(problem) = wrong_type(&self.step.op, found) {
            return Decision::Refused(problem);
        }
        match &self.step.op {
            Op::Copy(op) => op.decide(&self.values, view),
            Op::Convert(op) => op.decide(view),
            Op::Set(op) => op.decide(&self.values, view),
            Op::RenameField(op) => op.decide(view),
            Op::RemoveField(_) => super::fields::decide_removal(view),
            Op::Expire(op) => op.decide(view),
            Op::Persist(_) => super::expiry::decide_persist(view),
            Op::Delete(_) => super::delete::decide(),
            Op::Command(_) => Decision::Done,
        }
    }
}

fn wrong_type(op: &Op, found: KeyType) -> Option<Problem> {
    let expected = op.key_type()?;
    (found != expected).then_some(Problem::WrongType { expected, found })
}
