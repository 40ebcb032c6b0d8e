//! The client of a store in memory: what it asks for, and what it does when an answer is lost.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use async_trait::async_trait;

use super::server::{doing, is_outcome};
use super::wire::{Fence, Part, Reply, Request, Write};
use super::{Fault, Flaw, MemoryStore};
use crate::model::config::PlanConfig;
use crate::model::event::Events;
use crate::model::history::HistoryEntry;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::{Holder, LeaseInfo};
use crate::model::migration::Migration;
use crate::model::plan::{Step, StepContent, StepEvidence};
use crate::model::report::Done;
use crate::model::state::{Checkpoint, LedgerEntry, LedgerStatus, StoreState};
use crate::model::verification::{Check, Verification};
use crate::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};

/// How often a request is sent whose answer does not come.
const TRIES: u32 = 3;
/// Keys between two checkpoints.
const CHECKPOINT_EVERY: u64 = 2;

impl MemoryStore {
    pub(super) fn faults(&self) -> MutexGuard<'_, BTreeMap<MigrationId, Vec<Fault>>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next fault of a step, if it is to meet one.
    fn fault(&self, id: &MigrationId) -> Option<Fault> {
        let mut faults = self.faults();
        let faults = faults.get_mut(id)?;
        (!faults.is_empty()).then(|| faults.remove(0))
    }

    fn error(&self, kind: StoreErrorKind) -> StoreError {
        StoreError {
            store: self.server.kind(),
            address: self.address(),
            kind,
        }
    }

    fn failed(&self, step: &Step, reason: &str) -> StoreError {
        self.error(StoreErrorKind::Server {
            doing: step.id.to_string(),
            reason: reason.to_owned(),
        })
    }

    /// One request.
    async fn once(&self, request: Request) -> Result<Reply, StoreError> {
        let answer = self.wire.carry(&self.server, request).await;
        match answer {
            Ok(answer) => answer.map_err(|kind| self.error(kind)),
            Err(reason) => Err(self.error(StoreErrorKind::Disconnected { reason })),
        }
    }

    /// One that may be sent twice.
    async fn ask(&self, request: Request) -> Result<Reply, StoreError> {
        let mut tries = 1;
        loop {
            match self.once(request.clone()).await {
                Err(error) if tries < TRIES && is_broken(&error) => tries += 1,
                other => return other,
            }
        }
    }

    /// An answer of another form than was asked for.
    fn unexpected(&self) -> StoreError {
        let reason = "an answer to another request".to_owned();
        self.error(StoreErrorKind::Ledger { reason })
    }

    async fn entry(&self, id: &MigrationId) -> Result<Option<LedgerEntry>, StoreError> {
        match self.ask(Request::Entry(id.clone())).await? {
            Reply::Entry(entry) => Ok(entry.map(|entry| *entry)),
            _ => Err(self.unexpected()),
        }
    }

    fn request(&self, step: &Step, run: &Run<'_>, part: Part) -> Request {
        Request::Write(Box::new(Write {
            fence: Fence {
                id: run.lease.id.clone(),
                token: run.lease.token(),
            },
            plan: run.plan.digest.hex(),
            holder: run.lease.holder.clone(),
            step: step.clone(),
            part,
        }))
    }

    /// A write that shows its own repetition, as Redis' scripts do.
    async fn write(&self, step: &Step, run: &Run<'_>, part: Part) -> Result<u64, StoreError> {
        match self.ask(self.request(step, run, part)).await? {
            Reply::Done(changed) => Ok(changed),
            _ => Err(self.unexpected()),
        }
    }

    /// A write that must not be repeated, as Postgres' transactions: one whose answer is lost is fenced
    /// first, and then looked for.
    async fn transact(
        &self,
        step: &Step,
        run: &Run<'_>,
        part: Part,
        is_done: impl Fn(Option<&LedgerEntry>) -> bool + Send,
    ) -> Result<(), StoreError> {
        let mut tries = 1;
        loop {
            if run.cancel.is_cancelled() {
                return Err(self.error(StoreErrorKind::Cancelled));
            }
            let token = run.lease.token();
            let error = match self.once(self.request(step, run, part.clone())).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let rose = error.kind == StoreErrorKind::LeaseLost && run.lease.token() != token;
            if is_broken(&error) {
                if !self.server.has(Flaw::NoRaise) {
                    self.raise(run.lease).await?;
                }
                if is_done(self.entry(&step.id).await?.as_ref()) {
                    return Ok(());
                }
            } else if !rose {
                return Err(error);
            }
            if tries == TRIES {
                return Err(error);
            }
            tries += 1;
        }
    }

    async fn raise(&self, lease: &Lease) -> Result<(), StoreError> {
        match self.ask(Request::Raise(lease.id.clone())).await? {
            Reply::Token(token) => {
                lease.raise(token);
                Ok(())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// The whole step in one unit.
    async fn run_whole(&self, step: &Step, run: &Run<'_>) -> Result<u64, StoreError> {
        let plan = run.plan.digest.hex();
        let is_done = |entry: Option<&LedgerEntry>| is_outcome(step, entry, &plan);
        if self.server.has(Flaw::RecordApart) {
            self.transact(step, run, Part::Effect, |_| true).await?;
            self.transact(step, run, Part::Record, is_done).await?;
        } else {
            self.transact(step, run, Part::Whole, is_done).await?;
        }
        Ok(1)
    }

    /// Statement by statement, from the checkpoint.
    async fn run_by_statement(
        &self,
        step: &Step,
        run: &Run<'_>,
        statements: usize,
    ) -> Result<u64, StoreError> {
        let plan = run.plan.digest.hex();
        let before = self.unfinished(step, run).await?;
        let done = before.as_ref().map_or(0, |c| c.statements_done);
        let checkpoint = |entry: Option<&LedgerEntry>, n: usize| {
            entry.is_some_and(|entry| {
                entry.plan == plan
                    && entry
                        .checkpoint
                        .as_ref()
                        .is_some_and(|c| c.statements_done == n)
            })
        };
        if before.is_none() {
            let begun = |entry: Option<&LedgerEntry>| checkpoint(entry, 0);
            self.transact(step, run, Part::Begin, begun).await?;
        }
        for n in done..statements {
            let reached = |entry: Option<&LedgerEntry>| checkpoint(entry, n + 1);
            self.transact(step, run, Part::Statement(n), reached)
                .await?;
        }
        let is_done = |entry: Option<&LedgerEntry>| is_outcome(step, entry, &plan);
        self.transact(step, run, Part::Finish, is_done).await?;
        Ok(u64::try_from(statements - done.min(statements)).unwrap_or(u64::MAX))
    }

    /// Key by key, from the checkpoint.
    async fn run_by_key(&self, step: &Step, run: &Run<'_>) -> Result<u64, StoreError> {
        let before = self.unfinished(step, run).await?;
        if before.is_none() {
            self.write(step, run, Part::Begin).await?;
        }
        let mut changed = 0;
        for key in before.map_or(0, |c| c.keys_done)..self.keys {
            changed += self.write(step, run, Part::Key(key)).await?;
            let done = key + 1;
            let cancelled = run.cancel.is_cancelled();
            if cancelled || done.is_multiple_of(CHECKPOINT_EVERY) {
                self.write(step, run, Part::Checkpoint(done)).await?;
            }
            if cancelled {
                return Err(self.error(StoreErrorKind::Cancelled));
            }
        }
        self.write(step, run, Part::Finish).await?;
        Ok(changed)
    }

    /// How far an earlier run of the plan came with a step.
    async fn unfinished(
        &self,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let partial = LedgerStatus::Partial {
            doing: doing(&step.action),
        };
        let entry = self.entry(&step.id).await?;
        Ok(entry
            .filter(|entry| entry.status == partial && entry.plan == run.plan.digest.hex())
            .map(|entry| entry.checkpoint.unwrap_or_default()))
    }

    async fn carry_out(&self, step: &Step, run: &Run<'_>) -> Result<u64, StoreError> {
        match &step.content {
            StepContent::Sql(sql) if !sql.transaction => {
                self.run_by_statement(step, run, sql.statements.len()).await
            }
            StepContent::Redis(_) if !step.action.is_record_only() => {
                self.run_by_key(step, run).await
            }
            _ => self.run_whole(step, run).await,
        }
    }
}

fn is_broken(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::Disconnected { .. })
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> StoreKind {
        self.server.kind()
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }

    async fn observe(&self, what: &Observe) -> Result<StoreState, StoreError> {
        match self.ask(Request::Observe(what.clone())).await? {
            Reply::State(state) => Ok(*state),
            _ => Err(self.unexpected()),
        }
    }

    async fn verify(
        &self,
        migration: &Migration,
        _later: &[&Migration],
        _: &dyn Events,
    ) -> Result<Verification, StoreError> {
        let mut check = Check::new(Some(migration.id.clone()), "in place", "migration");
        check.examined = 1;
        match self.ask(Request::InPlace(migration.id.clone())).await? {
            Reply::InPlace(true) => {}
            Reply::InPlace(false) => check.fail(format!("{} is not in place", migration.id)),
            _ => return Err(self.unexpected()),
        }
        Ok(Verification {
            checks: vec![check],
            ..Verification::default()
        })
    }

    async fn estimate(
        &self,
        steps: &[&Step],
        _: &PlanConfig,
    ) -> Result<Vec<StepEvidence>, StoreError> {
        Ok(vec![StepEvidence::default(); steps.len()])
    }

    async fn acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        let request = Request::Acquire {
            id: id.to_owned(),
            holder: holder.clone(),
        };
        match self.ask(request).await? {
            Reply::Token(token) => Ok(Lease::new(id.to_owned(), holder.clone(), token)),
            _ => Err(self.unexpected()),
        }
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let fence = Fence {
            id: lease.id.clone(),
            token: lease.token(),
        };
        self.ask(Request::Renew(fence)).await.map(drop)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.ask(Request::Release(lease.id.clone())).await.map(drop)
    }

    async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
        match self.ask(Request::Lease).await? {
            Reply::Lease(info) => Ok(info),
            _ => Err(self.unexpected()),
        }
    }

    async fn break_lease(&self, id: &str) -> Result<(), StoreError> {
        self.ask(Request::Break(id.to_owned())).await.map(drop)
    }

    async fn run(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        let changed = match self.fault(&step.id) {
            None => self.carry_out(step, run).await?,
            Some(Fault::Fail(reason)) => return Err(self.failed(step, &reason)),
            Some(Fault::LoseAnswer) => {
                self.carry_out(step, run).await?;
                let reason = "cut after the commit".to_owned();
                return Err(self.error(StoreErrorKind::Disconnected { reason }));
            }
            Some(Fault::HalfWay) => {
                self.write(step, run, Part::Begin).await?;
                return Err(self.failed(step, "failed half way"));
            }
            Some(Fault::Stall) => {
                run.cancel.cancelled().await;
                return Err(self.error(StoreErrorKind::Cancelled));
            }
        };
        Ok(Done {
            changed,
            examined: changed,
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
        let part = Part::Failed(error.to_string());
        self.once(self.request(step, run, part)).await.map(drop)
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        match self.ask(Request::History).await? {
            Reply::History(entries) => Ok(entries),
            _ => Err(self.unexpected()),
        }
    }
}
