//! A step outside a transaction: statement by statement, each with a checkpoint. A statement that can share
//! a transaction with its checkpoint does so; the others are followed by theirs.
//!
//! First the ledger says that the step has begun, and golang-migrate's row is dirty, which keeps that tool
//! out. Nothing of ours waits in a transaction while a statement runs: it would wait for us for ever.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::checkpoint::{Reached, bookkeeping};
use super::ledger;
use super::orphan::new_mark;
use super::script::line_at;
use super::session::{Sent, Session};
use super::transaction::{Work, is_outcome};
use super::{PostgresStore, errors, history};
use crate::model::event::Event;
use crate::model::plan::{Action, PlannedStatement, SqlContent, Step};
use crate::model::report::Done;
use crate::model::state::Doing;
use crate::store::{Run, StoreError, StoreErrorKind};

/// How often it is looked whether a statement waits for a lock.
const SLOWEST_LOOK: Duration = Duration::from_millis(500);

/// A limit that a statement met. The server's own limits would need a setting of the session, which a
/// pooler would hand on.
enum Limit {
    Lock(u64),
    Statement(u64),
}

/// How a statement's try ended.
enum Alone {
    Done,
    Passing(String),
}

impl PostgresStore {
    /// Runs a step whose statements refuse a transaction, from its checkpoint.
    pub(super) async fn run_by_statement(
        &self,
        step: &Step,
        content: &SqlContent,
        run: &Run<'_>,
    ) -> Result<Done, StoreError> {
        let begun = Instant::now();
        let doing = match step.action {
            Action::Revert { .. } => Doing::Revert,
            Action::Cleanup => Doing::Cleanup,
            _ => Doing::Apply,
        };
        self.check_before_cleanup(step, content).await?;
        let Reached {
            done: done_before,
            begun: resumed,
            now: started_at,
        } = self.checkpoint(step, content, doing, run).await?;
        self.write_checkpoint(step, content, doing, done_before, run)
            .await?;
        let of = content.statements.len();
        for (index, statement) in content.statements.iter().enumerate().skip(done_before) {
            run.events.emit(Event::StatementStarted {
                id: step.id.clone(),
                number: index + 1,
                of,
                verb: statement.verb.clone(),
            });
            let record = self.checkpoint_record(step, content, doing, index + 1, run)?;
            if self
                .run_with_checkpoint(step, content, statement, &record, index + 1, run)
                .await?
            {
                continue;
            }
            // An earlier run may have been cut off between the statement and its checkpoint.
            let maybe_done = resumed && index == done_before;
            if let Err(error) = self
                .run_until_done(step, content, statement, maybe_done, run)
                .await
            {
                return Err(self.lost_or(error, step, run).await);
            }
            self.write_checkpoint(step, content, doing, index + 1, run)
                .await?;
        }
        let digest = run.plan.digest.hex();
        let author = self.author(run, &digest);
        let detail = history::detail(step);
        let record = vec![
            history::SERIALISE.to_owned(),
            self.quoted(ledger::finished(step, &author))?,
            self.quoted(history::append(
                step,
                &author,
                "done",
                detail.as_deref(),
                &started_at,
            ))?,
        ];
        let work = Work {
            step,
            statements: &[],
            limits: bookkeeping(),
            record,
        };
        self.carry_out(&work, run, |entry| is_outcome(step, entry, &digest))
            .await?;
        Ok(Done {
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            changed: (of - done_before.min(of)) as u64,
            ..Done::default()
        })
    }

    /// The reason behind an error: what arrives late meets what a successor has done since, or a session that it
    /// ended.
    async fn lost_or(&self, error: StoreError, step: &Step, run: &Run<'_>) -> StoreError {
        let Ok(session) = self.connect_directly().await else {
            return error;
        };
        match self.check_lease(&session, step, run).await {
            Err(lost) if matches!(lost.kind, StoreErrorKind::LeaseLost) => lost,
            _ => error,
        }
    }

    /// Runs a statement until it is done, fails for good, or every try is used up.
    async fn run_until_done(
        &self,
        step: &Step,
        content: &SqlContent,
        statement: &PlannedStatement,
        mut maybe_done: bool,
        run: &Run<'_>,
    ) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let session = self.connect_directly().await?;
            if maybe_done {
                self.check_lease(&session, step, run).await?;
                self.end_earlier_sessions(&session, step, run).await?;
            }
            if self
                .clear_the_way(&session, step, statement, maybe_done, run)
                .await?
            {
                return Ok(());
            }
            match self
                .run_alone(&session, step, content, statement, maybe_done, run)
                .await?
            {
                Alone::Done => return self.check_built(&session, step, statement).await,
                Alone::Passing(reason) => self.wait_or_give_up(step, run, attempt, reason).await?,
            }
            maybe_done = true;
        }
    }

    async fn run_alone(
        &self,
        session: &Session,
        step: &Step,
        content: &SqlContent,
        statement: &PlannedStatement,
        maybe_done: bool,
        run: &Run<'_>,
    ) -> Result<Alone, StoreError> {
        self.check_lease(session, step, run).await?;
        let mark = new_mark(step);
        let sql = format!("{mark}{}", statement.text);
        let stop = run.cancel.child_token();
        let mut met = None;
        let sent = {
            let sending = session.send(&sql, &stop, |_| {});
            let watching = self.watch(&mark, content);
            tokio::pin!(sending, watching);
            tokio::select! {
                sent = &mut sending => sent,
                limit = &mut watching => {
                    met = Some(limit);
                    stop.cancel();
                    sending.await
                }
            }
        };
        let error = match (sent, met) {
            (Sent::Done, _) => return Ok(Alone::Done),
            (Sent::Cancelled, Some(Limit::Lock(ms))) => {
                return Ok(Alone::Passing(format!(
                    "it waited {ms} ms for a lock (lock_timeout)"
                )));
            }
            (Sent::Cancelled, Some(Limit::Statement(ms))) => {
                return Err(self.fail(StoreErrorKind::Server {
                    doing: format!("running {}", step.id),
                    reason: format!(
                        "{}:{}: cancelled after {ms} ms (statement_timeout)",
                        content.path, statement.line
                    ),
                }));
            }
            (Sent::Cancelled | Sent::Unanswered, _) => {
                return Err(self.fail(StoreErrorKind::Cancelled));
            }
            (Sent::Failed(error), _) => error,
        };
        // The rules of `clear_the_way` tell what became of an index; of other statements nobody can.
        let recoverable = errors::is_broken(&error) && statement.concurrent_index.is_some();
        // One that was sent before, and was still on its way to the server, has come first after all.
        let overtaken = maybe_done
            && statement.concurrent_index.is_some()
            && [Some("42P07"), Some("42704")].contains(&error.code().map(SqlState::code));
        if recoverable || overtaken || errors::is_passing(&error) {
            return Ok(Alone::Passing(errors::words(&error)));
        }
        if errors::is_broken(&error) {
            return Err(session.error(&format!("running {}", step.id), &error));
        }
        let position = match error.as_db_error().and_then(|db| db.position()) {
            Some(tokio_postgres::error::ErrorPosition::Original(p)) => {
                usize::try_from(*p).unwrap_or(0)
            }
            _ => 0,
        };
        let line = line_at(statement, position.saturating_sub(mark.chars().count() + 1));
        Err(self.statement_error(step, statement, line, &error))
    }

    /// Ends when the statement has met one of its limits; never, where it has none.
    async fn watch(&self, mark: &str, content: &SqlContent) -> Limit {
        let statement_ms = content.statement_timeout_ms;
        let lock_ms = content.lock_timeout_ms.unwrap_or(0);
        let too_long = async {
            match statement_ms {
                0 => std::future::pending::<()>().await,
                ms => tokio::time::sleep(Duration::from_millis(ms)).await,
            }
        };
        let waits_too_long = async {
            match lock_ms {
                0 => std::future::pending::<()>().await,
                ms => self.watch_locks(mark, Duration::from_millis(ms)).await,
            }
        };
        tokio::select! {
            () = too_long => Limit::Statement(statement_ms),
            () = waits_too_long => Limit::Lock(lock_ms),
        }
    }

    /// Ends when the statement has waited for a lock without a break for `limit`.
    async fn watch_locks(&self, mark: &str, limit: Duration) {
        let sql = format!(
            "select 1 from pg_catalog.pg_stat_activity where wait_event_type = 'Lock' \
             and usename = current_user and starts_with(query, '{mark}')"
        );
        let mut session = None;
        let mut since: Option<Instant> = None;
        loop {
            tokio::time::sleep((limit / 4).min(SLOWEST_LOOK)).await;
            if session.is_none() {
                session = self.connect_directly().await.ok();
            }
            let Some(open) = &session else { continue };
            match open.rows(&sql).await {
                Ok(rows) if rows.is_empty() => since = None,
                Ok(_) if since.get_or_insert_with(Instant::now).elapsed() >= limit => return,
                Ok(_) => {}
                Err(_) => session = None,
            }
        }
    }
}
