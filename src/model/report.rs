//! What a run did, in the end.

use serde::Serialize;

use crate::model::id::MigrationId;
use crate::model::plan::PlanDigest;

/// The end of a run: every step of the plan has its line, also those that were not started.
#[derive(Debug, Clone)]
pub struct Report<E> {
    /// The plan.
    pub plan: PlanDigest,
    /// One for each step, in the plan's order.
    pub steps: Vec<StepReport<E>>,
}

/// What became of a step.
#[derive(Debug, Clone)]
pub struct StepReport<E> {
    /// The migration.
    pub id: MigrationId,
    /// What was to be done.
    pub action: &'static str,
    /// What became of it.
    pub outcome: StepOutcome<E>,
}

/// What became of a step.
#[derive(Debug, Clone)]
pub enum StepOutcome<E> {
    /// Done and recorded in this run.
    Done(Done),
    /// An earlier run of the same plan did it.
    AlreadyDone,
    /// It failed; the error says why.
    Failed(E),
    /// It was not started, since something before it failed or the run was interrupted.
    NotStarted,
}

/// The figures of a finished step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// How long it took, milliseconds.
    pub ms: u64,
    /// Statements run, or keys changed.
    pub changed: u64,
    /// Keys examined, over all passes.
    pub examined: u64,
    /// Passes over the keyspace.
    pub passes: u32,
}

impl<E> Report<E> {
    /// Steps done in this run.
    pub fn done(&self) -> usize {
        self.count(|o| matches!(o, StepOutcome::Done(_)))
    }

    /// Steps that failed.
    pub fn failed(&self) -> usize {
        self.count(|o| matches!(o, StepOutcome::Failed(_)))
    }

    /// Steps that were not started.
    pub fn not_started(&self) -> usize {
        self.count(|o| matches!(o, StepOutcome::NotStarted))
    }

    /// Whether every step is done.
    pub fn complete(&self) -> bool {
        self.failed() == 0 && self.not_started() == 0
    }

    fn count(&self, which: impl Fn(&StepOutcome<E>) -> bool) -> usize {
        self.steps.iter().filter(|s| which(&s.outcome)).count()
    }
}
