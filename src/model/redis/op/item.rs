//! One key that a step is to deal with.

use super::{Decision, KeyView, Problem, Recorded};
use crate::model::redis::declaration::Step;
use crate::model::redis::pattern::{Captures, PatternError};

/// A key that one step matches, with the step's templates filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'d> {
    /// The step.
    pub step: &'d Step,
    /// The key.
    pub key: Vec<u8>,
    /// Where a copy or a renaming goes.
    pub target: Option<Vec<u8>>,
    /// What the step's fields must hold (a copy's guards) or are set to, or a script's arguments, in their
    /// order.
    pub values: Vec<Vec<u8>>,
}

impl<'d> Item<'d> {
    /// Fills the step's templates with what its pattern captured.
    ///
    /// # Errors
    /// None for a step whose templates were checked against its pattern, as a declaration does.
    pub fn new(step: &'d Step, captures: &Captures<'_>) -> Result<Self, PatternError> {
        let operation = step.op.operation();
        Ok(Self {
            step,
            key: captures.key().to_vec(),
            target: operation
                .target()
                .map(|target| target.expand(captures))
                .transpose()?,
            values: operation
                .values()
                .into_iter()
                .map(|value| value.expand(captures))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Why the key must be left alone, whatever it holds.
    pub fn strays(&self) -> Option<Problem> {
        self.step.op.operation().strays(self)
    }

    /// What is to be done with the key: the one definition that plan, apply and verify share.
    pub fn decide(&self, view: &KeyView) -> Decision {
        let operation = self.step.op.operation();
        let Some(found) = view.kind else {
            return Decision::Gone;
        };
        // What was dealt with once is not judged again: by now it may be the application's own business.
        if matches!(view.recorded, Some(Recorded::Copied | Recorded::Kept)) {
            return Decision::Done;
        }
        match operation.key_type() {
            Some(expected) if found != expected => {
                Decision::Refused(Problem::WrongType { expected, found })
            }
            _ => match operation.strays(self) {
                Some(problem) => Decision::Refused(problem),
                None => operation.decide(self, view),
            },
        }
    }
}
