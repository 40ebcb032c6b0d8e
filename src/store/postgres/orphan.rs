//! What an earlier run may still do outside a transaction. Statements outlive the run that sent them: the server
//! goes on with what it has received, whatever became of the client. And a run that was stopped right after its
//! look at the lease would send its statement when it wakes.

use std::time::Duration;

use super::quote::{HoldsNul, do_block, literal};
use super::session::Session;
use super::{PostgresStore, errors, lease};
use crate::model::event::Event;
use crate::model::plan::Step;
use crate::store::{Run, StoreError, StoreErrorKind};

/// How often it is looked whether the statement still runs.
const LOOK: Duration = Duration::from_millis(250);

/// How soon it is looked whether a session that was ended is gone.
const GONE: Duration = Duration::from_millis(5);

/// How everything begins that is sent for a step outside a transaction, and the look at the lease before it, up to
/// the step's id: pg_stat_activity shows a session's last query, whichever connection a pooler gives it.
const ALONE: &str = "/* outpost ";

/// How a transaction begins that is sent for a step, up to the step's id.
const TRANSACTION: &str = "/* outpost transaction ";

/// How all begins that is sent for this step outside a transaction.
fn mark_of(step: &Step) -> String {
    format!("{ALONE}{} ", step.id)
}

/// The same for one statement alone.
pub(super) fn new_mark(step: &Step) -> String {
    format!("{}{} */ ", mark_of(step), uuid::Uuid::new_v4().simple())
}

/// How a transaction begins that is sent for this step.
pub(super) fn transaction_mark(step: &Step) -> String {
    format!("{TRANSACTION}{} */ ", step.id)
}

/// What follows a takeover by the lease with this id, which is a literal. All that is marked belongs to runs that lost
/// the lease. Their transactions can no longer commit, and would hold their table locks for as long as they work, wait,
/// or have a client that does not read what they answer. Their idle sessions could still send a statement that no
/// transaction guards, also when nobody goes on with its step, as after `resolve`.
pub(super) fn end_doomed(id: &str) -> Result<String, HoldsNul> {
    do_block(&format!(
        "begin if exists (select from outpost.lease where id = {id}) then \
         perform pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity \
         where datname = current_database() and usename = current_user and pid <> pg_backend_pid() \
         and case when starts_with(query, '{TRANSACTION}') then state <> 'idle' \
         else starts_with(query, '{ALONE}') and state = 'idle' end; end if; \
         exception when insufficient_privilege then null; end"
    ))
}

impl PostgresStore {
    /// The last look at the lease before something is sent that no transaction guards.
    ///
    /// A run may be stopped right after it, for longer than its lease lives. Its session can be told by the mark,
    /// and the successor ends it.
    pub(super) async fn check_lease(
        &self,
        session: &Session,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<(), StoreError> {
        loop {
            let token = run.lease.token();
            let check = self.quoted(lease::check(token))?;
            let check = format!("{}lease */ {check}", mark_of(step));
            let Err(error) = session.rows(&check).await else {
                return Ok(());
            };
            if errors::private_code(&error) != Some(errors::private::LEASE_LOST) {
                return Err(session.error("checking the lease", &error));
            }
            if !self.token_rose(run.lease, token).await {
                return Err(self.fail(StoreErrorKind::LeaseLost));
            }
        }
    }

    /// Waits until no session runs a statement of this step any more, and ends those that could still send one.
    /// The lease is ours, so they belong to runs that lost it. What runs may be hours old: it is waited for and
    /// not cancelled.
    pub(super) async fn end_earlier_sessions(
        &self,
        session: &Session,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<(), StoreError> {
        // Sessions of another role show no query, and could not be ended. What begins between the two looks at a
        // session's state is ended with it; what that leaves of an index is found afterwards.
        let sql = format!(
            "select pid, state = 'active', \
             case when state = 'idle' then pg_catalog.pg_terminate_backend(pid) end \
             from pg_catalog.pg_stat_activity where datname = current_database() \
             and pid <> pg_backend_pid() and starts_with(query, {}) \
             and (state = 'active' or state = 'idle' and usename = current_user)",
            self.quoted(literal(&mark_of(step)))?
        );
        let mut told = false;
        loop {
            let rows = session
                .rows(&sql)
                .await
                .map_err(|e| session.error("looking at running statements", &e))?;
            if rows.is_empty() {
                return Ok(());
            }
            let active = rows
                .iter()
                .find(|row| row.get(1).is_some_and(|is| is.as_deref() == Some("t")));
            let pid = active.and_then(|row| row.first()?.clone());
            if let Some(pid) = pid.filter(|_| !told) {
                told = true;
                run.events.emit(Event::Note {
                    id: step.id.clone(),
                    message: format!(
                        "the server still runs a statement that an earlier run sent (pid {pid}); waiting for it"
                    ),
                });
            }
            let pause = if active.is_some() { LOOK } else { GONE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = run.cancel.cancelled() => return Err(self.fail(StoreErrorKind::Cancelled)),
            }
        }
    }
}
