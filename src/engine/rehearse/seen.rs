//! What was seen of the steps so far.

use std::collections::BTreeSet;

use super::warning;
use crate::model::id::MigrationId;
use crate::model::plan::{Evidence, Outcome, Step, StepRehearsal};

/// Takes what is seen of each step into the evidence, and knows which ones were not done.
pub(super) struct Seen<'a> {
    evidence: &'a mut Evidence,
    not_done: BTreeSet<MigrationId>,
}

impl<'a> Seen<'a> {
    /// Nothing was seen yet.
    pub(super) fn new(evidence: &'a mut Evidence) -> Self {
        Self {
            evidence,
            not_done: BTreeSet::new(),
        }
    }

    /// Why a step cannot be tried, where one that it comes after was not done.
    pub(super) fn obstacle(&self, step: &Step) -> Option<String> {
        let missing = step.after.iter().find(|id| self.not_done.contains(id));
        missing.map(|id| format!("{id}, which it comes after, was not done"))
    }

    /// Takes in how a step went.
    pub(super) fn enter(&mut self, step: &Step, seen: StepRehearsal) {
        if seen.outcome != Outcome::Done {
            self.not_done.insert(step.id.clone());
        }
        let found = self.evidence.steps.entry(step.id.clone()).or_default();
        found.warnings.extend(warning(&seen));
        found.rehearsal = Some(seen);
    }
}

/// A step that was not tried.
pub(super) fn not_run(reason: impl Into<String>) -> StepRehearsal {
    StepRehearsal {
        outcome: Outcome::NotRun {
            reason: reason.into(),
        },
        ms: 0,
        statements: Vec::new(),
        keys: None,
        way_back: None,
    }
}
