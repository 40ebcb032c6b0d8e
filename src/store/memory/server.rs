//! The server of a store in memory: what it keeps, and how it answers one request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wire::{Answer, Fence, Part, Reply, Request, Write};
use crate::model::checksum::Checksum;
use crate::model::history::HistoryEntry;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::{Holder, LEASE_TTL, LeaseInfo};
use crate::model::plan::{Action, Resolution, Step, StepContent};
use crate::model::state::{
    Checkpoint, Doing, HowApplied, LedgerEntry, LedgerStatus, Legacy, SchemaObjects, StoreIdentity,
    StoreState,
};
use crate::store::StoreErrorKind;

/// A server without a clock: everything happens at one moment.
const NOW: &str = "2026-01-01T00:00:00Z";

/// A mistake that a store could be built with. A test that looks for mistakes must find each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Writes are obeyed whoever holds the lease.
    NoFence,
    /// The effect of a step and its record are two writes.
    RecordApart,
    /// The lease is given to whoever asks.
    SharedLease,
    /// Whoever gives a lease back takes it from its holder, too.
    ReleaseForAll,
    /// Keys are written without looking whether they still need it.
    NoComparison,
    /// A lost answer is asked for again without fencing the request that may yet arrive.
    NoRaise,
    /// A checkpoint is written even where the step is recorded as done.
    LateCheckpoint,
}

/// The server of a store in memory. Each request is one atomic unit.
#[derive(Debug)]
pub struct Server {
    kind: StoreKind,
    flaw: Option<Flaw>,
    state: Mutex<State>,
}

/// What a server keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) uuid: Option<String>,
    pub(super) ledger: BTreeMap<MigrationId, LedgerEntry>,
    pub(super) legacy: Legacy,
    pub(super) schema: Option<SchemaObjects>,
    in_place: BTreeSet<MigrationId>,
    parts: BTreeSet<(MigrationId, &'static str, u64)>,
    pub(super) effects: Vec<String>,
    pub(super) part_effects: Vec<String>,
    history: Vec<HistoryEntry>,
    lease: Option<(String, Holder)>,
    pub(super) expired: bool,
    token: u64,
    pub(super) writes: usize,
}

impl Server {
    pub(super) fn new(kind: StoreKind, flaw: Option<Flaw>) -> Self {
        Self {
            kind,
            flaw,
            state: Mutex::default(),
        }
    }

    /// Which store it serves.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The mistake that it was built with.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a test must not hide behind a second one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Obeys a request, or refuses it.
    pub fn handle(&self, request: &Request) -> Answer {
        let mut state = self.state();
        match request {
            Request::Observe(what) => Ok(Reply::State(Box::new(StoreState {
                identity: self.identity(&state),
                ledger: state.ledger.clone(),
                legacy: state.legacy.clone(),
                schema: state.schema.clone().filter(|_| what.schema),
                lease: state.info(),
                proofs: BTreeMap::new(),
                not_applicable: BTreeMap::new(),
            }))),
            Request::Lease => Ok(Reply::Lease(state.info())),
            Request::History => Ok(Reply::History(state.read_history())),
            Request::InPlace(id) => Ok(Reply::InPlace(state.in_place.contains(id))),
            Request::Entry(id) => Ok(Reply::Entry(state.ledger.get(id).cloned().map(Box::new))),
            Request::Acquire { id, holder } => self.acquire(&mut state, id, holder),
            Request::Renew(fence) => {
                let ours = match self.kind {
                    // A row that has run out is renewed while nobody has taken it.
                    StoreKind::Sql => state.is_of(&fence.id),
                    // A key that has run out is gone.
                    StoreKind::Redis => state.holds(fence),
                };
                if !ours {
                    return Err(StoreErrorKind::LeaseLost);
                }
                state.expired = false;
                Ok(Reply::Done(1))
            }
            Request::Release(id) => {
                if state.is_of(id) || self.has(Flaw::ReleaseForAll) {
                    state.lease = None;
                }
                Ok(Reply::Done(0))
            }
            Request::Break(id) if state.is_of(id) => {
                state.lease = None;
                Ok(Reply::Done(1))
            }
            Request::Raise(id) if state.is_of(id) => {
                state.token += 1;
                state.expired = false;
                Ok(Reply::Token(state.token))
            }
            Request::Break(_) | Request::Raise(_) => Err(StoreErrorKind::LeaseLost),
            Request::Write(write) => self.write(&mut state, write),
        }
    }

    fn identity(&self, state: &State) -> StoreIdentity {
        let ledger = state.uuid.clone();
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

    fn acquire(&self, state: &mut State, id: &str, holder: &Holder) -> Answer {
        // A repeated request whose first answer was lost finds its own lease.
        let again = state.is_of(id) && !state.expired;
        if let Some(info) = state.info().filter(|info| !info.expired())
            && !again
            && !self.has(Flaw::SharedLease)
        {
            return Err(StoreErrorKind::LeaseHeld(Box::new(info)));
        }
        if !again || self.kind == StoreKind::Sql {
            state.token += 1;
        }
        state.expired = false;
        state.lease = Some((id.to_owned(), holder.clone()));
        state.uuid.get_or_insert_with(|| "ledger".to_owned());
        state.writes += 1;
        Ok(Reply::Token(state.token))
    }

    /// The fence and the write are one unit.
    fn write(&self, state: &mut State, write: &Write) -> Answer {
        if !state.holds(&write.fence) && !self.has(Flaw::NoFence) {
            return Err(StoreErrorKind::LeaseLost);
        }
        let step = &write.step;
        let changed = match &write.part {
            Part::Whole => {
                state.take_effect(step);
                state.finish(write);
                1
            }
            Part::Effect => {
                state.take_effect(step);
                1
            }
            Part::Record => {
                state.finish(write);
                1
            }
            Part::Begin => self.checkpoint(state, write, Checkpoint::default()),
            Part::Statement(n) => {
                state.part(step, u64::try_from(*n).unwrap_or(u64::MAX), "statement");
                let checkpoint = Checkpoint {
                    statements_done: n + 1,
                    ..Checkpoint::default()
                };
                self.checkpoint(state, write, checkpoint)
            }
            Part::Key(n) => {
                let place = (step.id.clone(), step.action.name(), *n);
                let todo = !state.parts.contains(&place) || self.has(Flaw::NoComparison);
                if todo {
                    state.part(step, *n, "key");
                }
                u64::from(todo)
            }
            Part::Checkpoint(keys_done) => {
                let checkpoint = Checkpoint {
                    keys_done: *keys_done,
                    ..Checkpoint::default()
                };
                self.checkpoint(state, write, checkpoint)
            }
            Part::Finish => {
                // A repeated request whose first answer was lost.
                let first = !state.recorded(write);
                if first {
                    state.take_effect_of_parts(step);
                    state.finish(write);
                }
                u64::from(first)
            }
            Part::Failed(reason) => {
                state.append(write, "failed", Some(reason.clone()));
                1
            }
        };
        state.writes += 1;
        Ok(Reply::Done(changed))
    }

    /// A checkpoint that arrives late does not undo the record of its own step.
    fn checkpoint(&self, state: &mut State, write: &Write, checkpoint: Checkpoint) -> u64 {
        let late = state.recorded(write) && !self.has(Flaw::LateCheckpoint);
        if !late {
            let doing = doing(&write.step.action);
            let entry = LedgerEntry {
                checkpoint: Some(checkpoint),
                ..entry_of(write, LedgerStatus::Partial { doing })
            };
            state.ledger.insert(write.step.id.clone(), entry);
        }
        u64::from(!late)
    }
}

impl State {
    fn is_of(&self, id: &str) -> bool {
        self.lease.as_ref().is_some_and(|(held, _)| held == id)
    }

    fn holds(&self, fence: &Fence) -> bool {
        self.is_of(&fence.id) && self.token == fence.token && !self.expired
    }

    pub(super) fn info(&self) -> Option<LeaseInfo> {
        let ttl = i64::try_from(LEASE_TTL.as_millis()).unwrap_or(i64::MAX);
        self.lease.as_ref().map(|(id, holder)| LeaseInfo {
            id: id.clone(),
            token: self.token,
            holder: Some(holder.clone()),
            since: NOW.to_owned(),
            expires_in_ms: if self.expired { 0 } else { ttl },
        })
    }

    fn take_effect(&mut self, step: &Step) {
        self.effects
            .push(format!("{} {}", step.action.name(), step.id));
        match step.action {
            Action::Apply => self.in_place.insert(step.id.clone()),
            Action::Revert { .. } => self.in_place.remove(&step.id),
            _ => false,
        };
    }

    /// With its last part done, the step is.
    fn take_effect_of_parts(&mut self, step: &Step) {
        self.take_effect(step);
        let (id, action) = (&step.id, step.action.name());
        // What the opposite action did is undone by now.
        self.parts.retain(|(of, by, _)| of != id || *by == action);
    }

    fn part(&mut self, step: &Step, n: u64, what: &str) {
        let (id, action) = (&step.id, step.action.name());
        self.part_effects.push(format!("{action} {id}, {what} {n}"));
        self.parts.insert((id.clone(), action, n));
    }

    /// Whether this very step is recorded as done by this very plan.
    fn recorded(&self, write: &Write) -> bool {
        is_outcome(&write.step, self.ledger.get(&write.step.id), &write.plan)
    }

    fn finish(&mut self, write: &Write) {
        let id = &write.step.id;
        let status = status_after(&write.step.action, self.ledger.get(id));
        self.ledger.insert(id.clone(), entry_of(write, status));
        self.append(write, "done", None);
    }

    fn append(&mut self, write: &Write, outcome: &str, detail: Option<String>) {
        let last = self.history.last();
        let previous = last.map(|e| e.hash.clone()).unwrap_or_default();
        let mut entry = HistoryEntry {
            seq: (self.history.len() + 1).to_string(),
            id: write.step.id.to_string(),
            action: write.step.action.name().to_owned(),
            outcome: outcome.to_owned(),
            detail,
            plan: write.plan.clone(),
            signer: write.holder.signer.clone(),
            actor: write.holder.user.clone(),
            host: write.holder.host.clone(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: NOW.to_owned(),
            ended_at: NOW.to_owned(),
            previous,
            hash: String::new(),
            intact: true,
        };
        entry.hash = hash_of(&entry);
        self.history.push(entry);
    }

    fn read_history(&self) -> Vec<HistoryEntry> {
        let mut previous = "";
        let mut entries = Vec::with_capacity(self.history.len());
        for entry in &self.history {
            let intact = entry.previous == previous && entry.hash == hash_of(entry);
            entries.push(HistoryEntry {
                intact,
                ..entry.clone()
            });
            previous = &entry.hash;
        }
        entries
    }
}

/// What an unfinished step is doing.
pub(super) fn doing(action: &Action) -> Doing {
    match action {
        Action::Revert { .. } => Doing::Revert,
        Action::Cleanup => Doing::Cleanup,
        _ => Doing::Apply,
    }
}

fn entry_of(write: &Write, status: LedgerStatus) -> LedgerEntry {
    let down = match &write.step.content {
        StepContent::Sql(sql) => sql.down.clone(),
        _ => None,
    };
    LedgerEntry {
        status,
        checksum: write.step.checksum,
        plan: write.plan.clone(),
        at: NOW.to_owned(),
        actor: write.holder.user.clone(),
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

/// Whether an entry is what the finished step of this plan leaves.
pub(super) fn is_outcome(step: &Step, entry: Option<&LedgerEntry>, plan: &str) -> bool {
    entry.is_some_and(|entry| {
        entry.plan == plan
            && entry.checksum == step.checksum
            && entry.status == status_after(&step.action, Some(entry))
    })
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
