//! A step in one transaction: one message carries the checks, the statements, and the record.

use std::time::{Duration, Instant};

use super::errors::{self, private};
use super::golang::GolangTable;
use super::ledger::{self, Author};
use super::orphan::transaction_mark;
use super::quote::HoldsNul;
use super::script::Script;
use super::session::Sent;
use super::{PostgresStore, history, lease};
use crate::model::event::Event;
use crate::model::lease::LEASE_TTL;
use crate::model::plan::{Action, PlannedStatement, Resolution, Step, StepContent};
use crate::model::report::Done;
use crate::model::state::{HowApplied, LedgerEntry, LedgerStatus};
use crate::store::{Run, StoreError, StoreErrorKind};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The limits of a transaction, milliseconds; 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) lock_ms: u64,
    pub(super) statement_ms: u64,
}

/// What one transaction does: the migration's statements, then commands that record them.
pub(super) struct Work<'a> {
    pub(super) step: &'a Step,
    pub(super) statements: &'a [PlannedStatement],
    pub(super) limits: Limits,
    pub(super) record: Vec<String>,
}

/// How a try ended.
enum Try {
    Done,
    /// It may succeed if it is tried again.
    Passing(String),
    /// Nobody knows what became of it.
    Unknown(String),
    Failed(StoreError),
}

impl PostgresStore {
    /// Runs a step whose statements share a transaction with its record, or that has none.
    pub(super) async fn run_in_transaction(
        &self,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<Done, StoreError> {
        let begun = Instant::now();
        let (statements, limits) = match &step.content {
            StepContent::Sql(content) => {
                self.check_before_cleanup(step, content).await?;
                let limits = Limits {
                    lock_ms: content.lock_timeout_ms.unwrap_or(0),
                    statement_ms: content.statement_timeout_ms,
                };
                (content.statements.as_slice(), limits)
            }
            StepContent::Redis(_) | StepContent::Record => {
                let lock_ms = u64::try_from(LEASE_TTL.as_millis()).unwrap_or(u64::MAX);
                (
                    &[][..],
                    Limits {
                        lock_ms,
                        statement_ms: 0,
                    },
                )
            }
        };
        let digest = run.plan.digest.hex();
        let author = self.author(run, &digest);
        let record = vec![
            history::SERIALISE.to_owned(),
            self.quoted(ledger::finished(step, &author))?,
            self.quoted(history::append(
                step,
                &author,
                "done",
                history::detail(step).as_deref(),
                "now()",
            ))?,
        ];
        let work = Work {
            step,
            statements,
            limits,
            record,
        };
        self.carry_out(&work, run, |entry| is_outcome(step, entry, &digest))
            .await?;
        Ok(Done {
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            changed: statements.len() as u64,
            ..Done::default()
        })
    }

    /// Runs a transaction until it commits, fails for good, or every try is used up. `is_done` tells from
    /// the ledger's entry whether a try whose end nobody saw has committed.
    pub(super) async fn carry_out(
        &self,
        work: &Work<'_>,
        run: &Run<'_>,
        is_done: impl Fn(Option<&LedgerEntry>) -> bool + Send + Sync,
    ) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let reason = match self.one_try(work, run).await? {
                Try::Done => return Ok(()),
                Try::Failed(error) => return Err(error),
                Try::Passing(reason) => reason,
                Try::Unknown(reason) => {
                    if self.settle(work.step, run, &is_done).await? {
                        return Ok(());
                    }
                    reason
                }
            };
            self.wait_or_give_up(work.step, run, attempt, reason)
                .await?;
        }
    }

    /// Tells of a failed try and pauses; an error once there were too many, or when the run is cancelled.
    pub(super) async fn wait_or_give_up(
        &self,
        step: &Step,
        run: &Run<'_>,
        attempt: u32,
        reason: String,
    ) -> Result<(), StoreError> {
        if attempt >= self.attempts {
            let id = step.id.clone();
            return Err(self.fail(StoreErrorKind::Exhausted {
                id,
                attempts: attempt,
                reason,
            }));
        }
        let wait = self.pause_before(attempt);
        run.events.emit(Event::Retry {
            id: step.id.clone(),
            attempt,
            of: self.attempts,
            reason,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = run.cancel.cancelled() => Err(self.fail(StoreErrorKind::Cancelled)),
        }
    }

    /// Twice as long after every try, up to a limit; half of it at random, so that runs that met once do
    /// not meet again.
    fn pause_before(&self, attempt: u32) -> Duration {
        let full = self
            .first_pause
            .saturating_mul(1 << attempt.min(16))
            .min(LONGEST_PAUSE);
        full.div_f64(2.0) + full.mul_f64(rand::random::<f64>() / 2.0)
    }

    pub(super) async fn pause(&self, attempt: u32) {
        tokio::time::sleep(self.pause_before(attempt)).await;
    }

    async fn one_try(&self, work: &Work<'_>, run: &Run<'_>) -> Result<Try, StoreError> {
        if run.cancel.is_cancelled() {
            return Err(self.fail(StoreErrorKind::Cancelled));
        }
        let connection = self.connect_for_step().await?;
        let session = &connection.session;
        let golang = self.golang(session).await?;
        let token = run.lease.token();
        let script = self.quoted(compose(work, run, golang.as_ref(), token))?;
        let mut progress = script.progress();
        let sent = session
            .send(script.text(), run.cancel, |said| progress.see(&said))
            .await;
        let error = match sent {
            Sent::Done if progress.is_whole() => {
                self.give_back(connection);
                return Ok(Try::Done);
            }
            Sent::Done => {
                let reason = "the server's answer does not say that it committed";
                return Ok(Try::Unknown(reason.to_owned()));
            }
            Sent::Cancelled | Sent::Unanswered => {
                session.roll_back().await;
                return Err(self.fail(StoreErrorKind::Cancelled));
            }
            Sent::Failed(error) => error,
        };
        if errors::is_broken(&error) {
            return Ok(Try::Unknown(errors::words(&error)));
        }
        session.roll_back().await;
        if errors::private_code(&error) == Some(private::LEASE_LOST)
            && self.token_rose(run.lease, token).await
        {
            return Ok(Try::Passing("the lease's token rose".to_owned()));
        }
        if errors::is_passing(&error) {
            return Ok(Try::Passing(errors::words(&error)));
        }
        Ok(Try::Failed(self.explain(
            work.step,
            session,
            &script,
            progress.passed(),
            &error,
        )))
    }

    /// Finds out what became of a transaction whose end nobody saw: whether its record is there.
    async fn settle(
        &self,
        step: &Step,
        run: &Run<'_>,
        is_done: &(impl Fn(Option<&LedgerEntry>) -> bool + Send + Sync),
    ) -> Result<bool, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.look_for_record(step, run).await {
                Ok(entry) => return Ok(is_done(entry.as_ref())),
                Err(error) => error,
            };
            let may_pass = matches!(
                error.kind,
                StoreErrorKind::Disconnected { .. }
                    | StoreErrorKind::Unreachable { .. }
                    | StoreErrorKind::NotReady { .. }
                    | StoreErrorKind::SchemaLocked { .. }
            );
            if !may_pass {
                return Err(error);
            }
            let reason = error.kind.to_string();
            if attempt >= self.attempts {
                return Err(error);
            }
            self.wait_or_give_up(step, run, attempt, reason).await?;
        }
    }

    async fn look_for_record(
        &self,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<Option<LedgerEntry>, StoreError> {
        let session = self.connect().await?;
        self.raise_token(&session, run.lease).await?;
        self.entry(&session, &step.id).await
    }

    pub(super) fn author<'a>(&self, run: &'a Run<'_>, digest: &'a str) -> Author<'a> {
        Author {
            plan: digest,
            user: &run.lease.holder.user,
            host: &run.lease.holder.host,
            signer: run.lease.holder.signer.as_deref(),
        }
    }

    pub(super) fn quoted<T>(&self, result: Result<T, HoldsNul>) -> Result<T, StoreError> {
        result.map_err(|e| e.at(&self.shown))
    }
}

/// The whole message.
fn compose<'a>(
    work: &Work<'a>,
    run: &Run<'_>,
    golang: Option<&GolangTable>,
    token: u64,
) -> Result<Script<'a>, HoldsNul> {
    let mut script = Script::new();
    script.command(&format!(
        "{}begin isolation level read committed",
        transaction_mark(work.step)
    ));
    script.command(&format!(
        "set local lock_timeout = '{}ms'",
        work.limits.lock_ms
    ));
    script.command(&format!(
        "set local statement_timeout = '{}ms'",
        work.limits.statement_ms
    ));
    // The server goes through the message without us, but for its end after an error: a runner that is frozen
    // then would keep a pooler's connection.
    script.command(&format!(
        "set local idle_in_transaction_session_timeout = '{}ms'",
        LEASE_TTL.as_millis()
    ));
    script.command(&lease::check(token)?);
    if let Some(golang) = golang {
        script.command(&golang.check(run.plan)?);
    }
    script.statements(work.statements);
    script.command(&lease::still_ours(token)?);
    for command in &work.record {
        script.command(command);
    }
    if let Some(golang) = golang {
        script.command(&golang.keep(run.plan)?);
    }
    script.command("commit");
    Ok(script)
}

/// Whether an entry is what a finished step of this plan leaves.
pub(super) fn is_outcome(step: &Step, entry: Option<&LedgerEntry>, digest: &str) -> bool {
    let Some(entry) = entry.filter(|entry| entry.plan == digest) else {
        return false;
    };
    match (&step.action, &entry.status) {
        (Action::Apply, LedgerStatus::Applied { how, .. }) => *how == HowApplied::Run,
        (Action::Adopt { .. }, LedgerStatus::Applied { how, .. }) => *how == HowApplied::Adopted,
        (Action::Resolve(Resolution::Applied), LedgerStatus::Applied { how, .. }) => {
            *how == HowApplied::Resolved
        }
        (Action::Cleanup, LedgerStatus::Applied { cleaned, .. }) => *cleaned,
        (Action::Skip { .. }, LedgerStatus::Skipped { .. })
        | (
            Action::Revert { .. } | Action::Resolve(Resolution::RolledBack),
            LedgerStatus::Reverted,
        ) => true,
        (Action::AcceptEdit { .. }, _) => entry.checksum == step.checksum,
        _ => false,
    }
}
