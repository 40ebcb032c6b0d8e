//! Access to the databases that are migrated: one trait, and an implementation for each store.

pub mod error;
pub mod memory;
pub mod postgres;
pub mod redis;
pub mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use error::{StoreError, StoreErrorKind};

use crate::model::config::PlanConfig;
use crate::model::event::Events;
use crate::model::history::{Failure, HistoryEntry, failures};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::{Holder, LeaseInfo};
use crate::model::migration::Migration;
use crate::model::plan::{Plan, Step, StepEvidence};
use crate::model::report::Done;
use crate::model::state::StoreState;
use crate::model::verification::Verification;

/// What to read when a store is observed.
#[derive(Debug, Clone, Default)]
pub struct Observe {
    /// Marker names of earlier tools to look for.
    pub markers: Vec<String>,
    /// Whether to read the real schema as well; the gate and `list` touch the ledger alone.
    pub schema: bool,
}

/// A lease that this process holds in one store.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Its id, new for every run.
    pub id: String,
    /// Who holds it.
    pub holder: Holder,
    token: Arc<AtomicU64>,
}

impl Lease {
    /// A lease with its fencing token.
    pub fn new(id: String, holder: Holder, token: u64) -> Self {
        Self {
            id,
            holder,
            token: Arc::new(AtomicU64::new(token)),
        }
    }

    /// The token now. It grows when this process raises it to fence a commit whose end it did not see.
    pub fn token(&self) -> u64 {
        self.token.load(Ordering::SeqCst)
    }

    /// Stores a raised token, for every clone of this lease.
    pub fn raise(&self, token: u64) {
        self.token.store(token, Ordering::SeqCst);
    }
}

/// What a step runs under.
pub struct Run<'a> {
    /// The lease of the step's store.
    pub lease: &'a Lease,
    /// The plan that the step belongs to.
    pub plan: &'a Plan,
    /// Where events go.
    pub events: &'a dyn Events,
    /// Cancelled when the user interrupts the run or the lease is lost.
    pub cancel: &'a CancellationToken,
}

/// A database that is migrated.
///
/// Reading methods (`observe`, `verify`, `estimate`, `history`) leave no trace: they take no lock, create
/// nothing, and work with rights to read alone. Writing methods are fenced by the lease.
#[async_trait]
pub trait Store: Send + Sync {
    /// Which store this is.
    fn kind(&self) -> StoreKind;

    /// Where it is, for messages: never with a password.
    fn address(&self) -> String;

    /// Reads what is recorded. An absent ledger is an empty one; an error is never taken for absence.
    async fn observe(&self, what: &Observe) -> Result<StoreState, StoreError>;

    /// Verifies that a migration is in place, exhaustively. `later` are the applied migrations that may have
    /// come after it, in their order: they may have changed what it left.
    async fn verify(
        &self,
        migration: &Migration,
        later: &[&Migration],
        events: &dyn Events,
    ) -> Result<Verification, StoreError>;

    /// Counts and sizes what steps of one plan meet, in their order; as many answers as steps. They are given
    /// together, since what one meets depends on those before it.
    async fn estimate(
        &self,
        steps: &[&Step],
        plan: &PlanConfig,
    ) -> Result<Vec<StepEvidence>, StoreError>;

    /// Takes the lease; creates the ledger where it is absent.
    ///
    /// # Errors
    /// [`StoreErrorKind::LeaseHeld`] while somebody else's lease has not expired.
    async fn acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError>;

    /// Makes the lease live on for its full time.
    ///
    /// # Errors
    /// [`StoreErrorKind::LeaseLost`] where it is not held any more.
    async fn renew(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Gives the lease back; nothing happens where it is not held any more.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Who holds the lease, expired or not.
    async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError>;

    /// Removes the lease with this id, so that its holder writes nothing more.
    ///
    /// # Errors
    /// [`StoreErrorKind::LeaseLost`] where another lease, or none, is there.
    async fn break_lease(&self, id: &str) -> Result<(), StoreError>;

    /// Runs a step and records it: in one transaction wherever the store can, otherwise idempotently and
    /// from its checkpoint.
    async fn run(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError>;

    /// Whether a step can be run together with others of its kind, so that what they all go over is gone over
    /// once.
    fn shares(&self, _step: &Step, _plan: &Plan) -> bool {
        false
    }

    /// Runs steps together that [`Self::shares`] names, given in the plan's order; one may require another
    /// that comes before it. Each has its own record and its own outcome, in the order given.
    async fn run_together(&self, steps: &[&Step], run: &Run<'_>) -> Vec<Result<Done, StoreError>> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            outcomes.push(self.run(step, run).await);
        }
        outcomes
    }

    /// Writes to the history that a step failed.
    async fn record_failure(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError>;

    /// The history, oldest entry first.
    async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Of these migrations those whose last entry in the history is a failure. A store may look at the newest
    /// entries alone.
    async fn failures(
        &self,
        of: &BTreeSet<MigrationId>,
    ) -> Result<BTreeMap<MigrationId, Failure>, StoreError> {
        Ok(failures(of, &self.history().await?))
    }
}
