//! A store in memory. It keeps the promises of [`Store`](crate::store::Store), so that the engine's tests
//! need no server, and it can be told to fail, stall or lose its lease at a named step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::model::checksum::Checksum;
use crate::model::config::PlanConfig;
use crate::model::event::Events;
use crate::model::history::HistoryEntry;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::{Holder, LEASE_TTL, LeaseInfo};
use crate::model::migration::Migration;
use crate::model::plan::{Action, Resolution, Step, StepContent, StepEvidence};
use crate::model::report::Done;
use crate::model::state::{
    Doing, HowApplied, LedgerEntry, LedgerStatus, Legacy, SchemaObjects, StoreIdentity, StoreState,
};
use crate::model::verification::{Check, Verification};
use crate::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};

/// What a [`MemoryStore`] does when a step reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Fails before anything is written.
    Fail(String),
    /// Does the work, records it, and then reports a broken connection.
    LoseAnswer,
    /// Waits until the run is cancelled.
    Stall,
    /// Records that the step was begun, and fails: what a step outside a transaction leaves.
    HalfWay,
}

/// A store without a clock: everything happens at one moment.
const NOW: &str = "2026-01-01T00:00:00Z";

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    kind: StoreKind,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    uuid: Option<String>,
    ledger: BTreeMap<MigrationId, LedgerEntry>,
    legacy: Legacy,
    schema: Option<SchemaObjects>,
    in_place: BTreeSet<MigrationId>,
    effects: Vec<String>,
    history: Vec<HistoryEntry>,
    lease: Option<(String, Holder)>,
    expired: bool,
    token: u64,
    faults: BTreeMap<MigrationId, Vec<Fault>>,
    reads: usize,
    writes: usize,
}

impl MemoryStore {
    /// An empty store without a ledger.
    pub fn new(kind: StoreKind) -> Self {
        Self {
            kind,
            inner: Mutex::new(Inner::default()),
        }
    }

    /// Makes the next run of a step fail in this way; several faults are met one after the other.
    pub fn inject(&self, id: &MigrationId, fault: Fault) {
        self.lock()
            .faults
            .entry(id.clone())
            .or_default()
            .push(fault);
    }

    /// What the steps did, in order: `apply sql/0001_a` and the like.
    pub fn effects(&self) -> Vec<String> {
        self.lock().effects.clone()
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> BTreeMap<MigrationId, LedgerEntry> {
        self.lock().ledger.clone()
    }

    /// Puts an entry into the ledger, as another run would have.
    pub fn put(&self, id: MigrationId, entry: LedgerEntry) {
        let mut inner = self.lock();
        inner.uuid.get_or_insert_with(|| "other".to_owned());
        inner.ledger.insert(id, entry);
    }

    /// Sets what an earlier tool recorded.
    pub fn set_legacy(&self, legacy: Legacy) {
        self.lock().legacy = legacy;
    }

    /// Sets the real schema.
    pub fn set_schema(&self, schema: SchemaObjects) {
        self.lock().schema = Some(schema);
    }

    /// Lets the lease run out, as if its holder had been frozen.
    pub fn expire_lease(&self) {
        self.lock().expired = true;
    }

    /// How often anything was written.
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a test must not hide behind a second one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: StoreErrorKind) -> StoreError {
        StoreError {
            store: self.kind,
            address: self.address(),
            kind,
        }
    }

    fn identity(&self, inner: &Inner) -> StoreIdentity {
        let ledger = inner.uuid.clone();
        match self.kind {
            StoreKind::Sql => StoreIdentity::Postgres {
                system_identifier: Some("memory".to_owned()),
                database: "memory".to_owned(),
                ledger,
            },
            StoreKind::Redis => StoreIdentity::Redis {
                deployment_id: String::new(),
                database: 0,
                ledger,
            },
        }
    }

    /// Takes the next fault of a step, if it is to meet one.
    fn fault(&self, id: &MigrationId) -> Option<Fault> {
        let mut inner = self.lock();
        let faults = inner.faults.get_mut(id)?;
        (!faults.is_empty()).then(|| faults.remove(0))
    }

    /// The fence of every write.
    fn check_lease(&self, inner: &Inner, run: &Run<'_>) -> Result<(), StoreError> {
        let held = inner
            .lease
            .as_ref()
            .is_some_and(|(id, _)| *id == run.lease.id)
            && inner.token == run.lease.token()
            && !inner.expired;
        if held {
            Ok(())
        } else {
            Err(self.error(StoreErrorKind::LeaseLost))
        }
    }

    /// Records that a step was begun, in the ledger alone.
    fn begin(&self, step: &Step, run: &Run<'_>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        self.check_lease(&inner, run)?;
        let doing = match step.action {
            Action::Revert { .. } => Doing::Revert,
            Action::Cleanup => Doing::Cleanup,
            _ => Doing::Apply,
        };
        let entry = entry_of(step, run, LedgerStatus::Partial { doing });
        inner.ledger.insert(step.id.clone(), entry);
        inner.writes += 1;
        Ok(())
    }

    /// Work, ledger and history in one critical section: the transaction of this store.
    fn commit(&self, step: &Step, run: &Run<'_>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        self.check_lease(&inner, run)?;
        inner
            .effects
            .push(format!("{} {}", step.action.name(), step.id));
        match step.action {
            Action::Apply => {
                inner.in_place.insert(step.id.clone());
            }
            Action::Revert { .. } => {
                inner.in_place.remove(&step.id);
            }
            _ => {}
        }
        let status = status_after(&step.action, inner.ledger.get(&step.id));
        inner
            .ledger
            .insert(step.id.clone(), entry_of(step, run, status));
        append(&mut inner, step, run, "done", None);
        Ok(())
    }
}

fn info(inner: &Inner) -> Option<LeaseInfo> {
    let ttl = i64::try_from(LEASE_TTL.as_millis()).unwrap_or(i64::MAX);
    inner.lease.as_ref().map(|(id, holder)| LeaseInfo {
        id: id.clone(),
        token: inner.token,
        holder: Some(holder.clone()),
        since: NOW.to_owned(),
        expires_in_ms: if inner.expired { 0 } else { ttl },
    })
}

fn entry_of(step: &Step, run: &Run<'_>, status: LedgerStatus) -> LedgerEntry {
    let down = match &step.content {
        StepContent::Sql(sql) => sql.down.clone(),
        _ => None,
    };
    LedgerEntry {
        status,
        checksum: step.checksum,
        plan: run.plan.digest.hex(),
        at: NOW.to_owned(),
        actor: run.lease.holder.user.clone(),
        checkpoint: None,
        down,
    }
}

fn status_after(action: &Action, before: Option<&LedgerEntry>) -> LedgerStatus {
    let applied = |how, cleaned| LedgerStatus::Applied { how, cleaned };
    match action {
        Action::Apply => applied(HowApplied::Run, false),
        Action::AcceptEdit { .. } => {
            before.map_or(applied(HowApplied::Run, false), |e| e.status.clone())
        }
        Action::Adopt { .. } => applied(HowApplied::Adopted, false),
        Action::Resolve(Resolution::Applied) => applied(HowApplied::Resolved, false),
        Action::Cleanup => applied(HowApplied::Run, true),
        Action::Skip { reason } => LedgerStatus::Skipped {
            reason: reason.clone(),
        },
        Action::Revert { .. } | Action::Resolve(Resolution::RolledBack) => LedgerStatus::Reverted,
    }
}

fn append(inner: &mut Inner, step: &Step, run: &Run<'_>, outcome: &str, detail: Option<String>) {
    let previous = inner
        .history
        .last()
        .map(|e| e.hash.clone())
        .unwrap_or_default();
    let mut entry = HistoryEntry {
        seq: (inner.history.len() + 1).to_string(),
        id: step.id.to_string(),
        action: step.action.name().to_owned(),
        outcome: outcome.to_owned(),
        detail,
        plan: run.plan.digest.hex(),
        actor: run.lease.holder.user.clone(),
        host: run.lease.holder.host.clone(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: NOW.to_owned(),
        ended_at: NOW.to_owned(),
        previous,
        hash: String::new(),
        intact: true,
    };
    entry.hash = hash_of(&entry);
    inner.history.push(entry);
    inner.writes += 1;
}

/// Over everything but the hash itself, and the judgement that reading adds.
fn hash_of(entry: &HistoryEntry) -> String {
    let content = HistoryEntry {
        hash: String::new(),
        intact: true,
        ..entry.clone()
    };
    Checksum::of_bytes(format!("{content:?}").as_bytes()).to_string()
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }

    async fn observe(&self, what: &Observe) -> Result<StoreState, StoreError> {
        let mut inner = self.lock();
        inner.reads += 1;
        Ok(StoreState {
            identity: self.identity(&inner),
            ledger: inner.ledger.clone(),
            legacy: inner.legacy.clone(),
            schema: inner.schema.clone().filter(|_| what.schema),
            lease: info(&inner),
            proofs: BTreeMap::new(),
            not_applicable: BTreeMap::new(),
        })
    }

    async fn verify(
        &self,
        migration: &Migration,
        _: &dyn Events,
    ) -> Result<Verification, StoreError> {
        let mut check = Check::new(Some(migration.id.clone()), "in place", "migrations");
        check.examined = 1;
        if !self.lock().in_place.contains(&migration.id) {
            check.fail(format!("{} is not in place", migration.id));
        }
        Ok(Verification {
            checks: vec![check],
            ..Verification::default()
        })
    }

    async fn estimate(&self, _: &Step, _: &PlanConfig) -> Result<StepEvidence, StoreError> {
        Ok(StepEvidence::default())
    }

    async fn acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        let mut inner = self.lock();
        if let Some(info) = info(&inner).filter(|info| !info.expired()) {
            return Err(self.error(StoreErrorKind::LeaseHeld(Box::new(info))));
        }
        inner.token += 1;
        inner.expired = false;
        inner.lease = Some((id.to_owned(), holder.clone()));
        inner.uuid.get_or_insert_with(|| "ledger".to_owned());
        inner.writes += 1;
        Ok(Lease::new(id.to_owned(), holder.clone(), inner.token))
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let inner = self.lock();
        let held = inner.lease.as_ref().is_some_and(|(id, _)| *id == lease.id)
            && inner.token == lease.token()
            && !inner.expired;
        if held {
            Ok(())
        } else {
            Err(self.error(StoreErrorKind::LeaseLost))
        }
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut inner = self.lock();
        if inner.lease.as_ref().is_some_and(|(id, _)| *id == lease.id) {
            inner.lease = None;
        }
        Ok(())
    }

    async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
        Ok(info(&self.lock()))
    }

    async fn break_lease(&self, id: &str) -> Result<(), StoreError> {
        let mut inner = self.lock();
        match &inner.lease {
            Some((held, _)) if held == id => {
                inner.lease = None;
                Ok(())
            }
            _ => Err(self.error(StoreErrorKind::LeaseLost)),
        }
    }

    async fn run(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        match self.fault(&step.id) {
            None => self.commit(step, run)?,
            Some(Fault::Fail(reason)) => {
                return Err(self.error(StoreErrorKind::Server {
                    doing: step.id.to_string(),
                    reason,
                }));
            }
            Some(Fault::LoseAnswer) => {
                self.commit(step, run)?;
                let reason = "cut after the commit".to_owned();
                return Err(self.error(StoreErrorKind::Disconnected { reason }));
            }
            Some(Fault::HalfWay) => {
                self.begin(step, run)?;
                return Err(self.error(StoreErrorKind::Server {
                    doing: step.id.to_string(),
                    reason: "failed half way".to_owned(),
                }));
            }
            Some(Fault::Stall) => {
                run.cancel.cancelled().await;
                return Err(self.error(StoreErrorKind::Cancelled));
            }
        }
        Ok(Done {
            changed: 1,
            examined: 1,
            passes: 1,
            ..Done::default()
        })
    }

    async fn record_failure(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        self.check_lease(&inner, run)?;
        append(&mut inner, step, run, "failed", Some(error.to_string()));
        Ok(())
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let inner = self.lock();
        let mut previous = "";
        let mut entries = Vec::with_capacity(inner.history.len());
        for entry in &inner.history {
            let intact = entry.previous == previous && entry.hash == hash_of(entry);
            entries.push(HistoryEntry {
                intact,
                ..entry.clone()
            });
            previous = &entry.hash;
        }
        Ok(entries)
    }
}
