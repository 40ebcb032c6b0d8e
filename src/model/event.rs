//! What happens during an apply, as it happens.

use serde::Serialize;

use crate::model::id::{MigrationId, StoreKind};

/// One event of a run. `apply --format json` prints one a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Another run holds the lease; this one waits for it.
    WaitingForLease {
        /// The store.
        store: StoreKind,
        /// Who holds it.
        holder: String,
    },
    /// The lease of a store was taken.
    LeaseTaken {
        /// The store.
        store: StoreKind,
        /// Its fencing token.
        token: u64,
    },
    /// The run begins.
    RunStarted {
        /// Hex digest of the plan.
        plan: String,
        /// Steps of the plan.
        steps: usize,
        /// Steps that an earlier run of the same plan did.
        already_done: usize,
    },
    /// A step begins.
    StepStarted {
        /// The migration.
        id: MigrationId,
        /// What is done with it.
        action: &'static str,
    },
    /// A statement outside a transaction begins.
    StatementStarted {
        /// The migration.
        id: MigrationId,
        /// From 1.
        number: usize,
        /// Statements of the step.
        of: usize,
        /// What it is.
        verb: String,
    },
    /// Keys were examined.
    Progress {
        /// The migration.
        id: MigrationId,
        /// Keys examined in this pass.
        done: u64,
        /// Keys expected; SCAN may repeat some.
        total: u64,
        /// Keys written so far.
        changed: u64,
        /// The pass, from 1.
        pass: u32,
    },
    /// A transaction or a batch failed for a passing reason and is tried again.
    Retry {
        /// The migration.
        id: MigrationId,
        /// The try that failed, from 1.
        attempt: u32,
        /// Tries in all.
        of: u32,
        /// Why.
        reason: String,
        /// Pause before the next try, milliseconds.
        wait_ms: u64,
    },
    /// Something that the user should know.
    Note {
        /// The migration.
        id: MigrationId,
        /// In words.
        message: String,
    },
    /// A step is done and recorded.
    StepFinished {
        /// The migration.
        id: MigrationId,
        /// What was done with it.
        action: &'static str,
        /// How long it took, milliseconds.
        ms: u64,
        /// Statements run, or keys changed.
        changed: u64,
    },
    /// A step failed.
    StepFailed {
        /// The migration.
        id: MigrationId,
        /// What was to be done with it.
        action: &'static str,
        /// Why.
        error: String,
        /// What to do next.
        hint: Option<String>,
        /// Whether it is only that somebody stopped the run.
        interrupted: bool,
    },
    /// The run is over.
    RunFinished {
        /// Steps done in this run.
        done: usize,
        /// Steps that failed.
        failed: usize,
        /// Steps that were not started.
        not_started: usize,
    },
}

/// Where events go.
pub trait Events: Send + Sync {
    /// Takes an event; must not block for long.
    fn emit(&self, event: Event);
}

/// Drops every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn emit(&self, _: Event) {}
}
