//! One of the steps that share their passes over the keys: what it is to do, and how far it came.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::deed::{Deed, Tally};
use super::survey::Survey;
use crate::model::plan::Step;
use crate::model::redis::declaration::Declaration;
use crate::model::report::Done;
use crate::store::{StoreError, StoreErrorKind};

/// One step in a pass.
pub(super) struct Member<'a> {
    pub(super) step: &'a Step,
    pub(super) deed: Deed<'a>,
    pub(super) declaration: &'a Declaration,
    /// Steps of the same group that it requires.
    pub(super) requires: BTreeSet<usize>,
    /// About how many keys it goes over.
    pub(super) expected: u64,
    pub(super) started_at: String,
    pub(super) progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) done: Done,
    pub(super) survey: Survey,
    /// What the last pass came to.
    pub(super) last: Tally,
    pub(super) failed: Option<StoreError>,
}

impl Member<'_> {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fail(&self, error: StoreError) {
        self.progress().failed.get_or_insert(error);
    }

    /// What came of its work. An error that is its own fails it alone; one of the servers is passed on.
    pub(super) fn own<T>(&self, outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(error) if is_own(&error.kind) => {
                self.fail(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it has not failed.
    pub(super) fn is_going(&self) -> bool {
        self.progress().failed.is_none()
    }

    /// Whether all keys of this pass so far were as declared.
    pub(super) fn is_sound(&self) -> bool {
        self.deed.tally().findings.is_empty() && self.progress().survey.findings.is_empty()
    }

    /// Keys changed so far.
    pub(super) fn changed(&self) -> u64 {
        self.progress().done.changed + self.deed.tally().written
    }
}

/// Whether an error is about what a step does, and not about the servers or the run.
fn is_own(kind: &StoreErrorKind) -> bool {
    matches!(
        kind,
        StoreErrorKind::Permission { .. }
            | StoreErrorKind::Server { .. }
            | StoreErrorKind::Keys { .. }
            | StoreErrorKind::Script { .. }
    )
}
