//! Statements that outlived the run that sent them: the server goes on with what it has received, whatever
//! became of the client.

use std::time::Duration;

use super::PostgresStore;
use super::quote::literal;
use super::session::Session;
use crate::model::event::Event;
use crate::model::plan::Step;
use crate::store::{Run, StoreError, StoreErrorKind};

/// How often it is looked whether the statement still runs.
const LOOK: Duration = Duration::from_millis(250);

/// How each statement of a step begins that runs outside a transaction.
pub(super) fn mark_of(step: &Step) -> String {
    format!("/* outpost {} ", step.id)
}

impl PostgresStore {
    /// Waits until no session runs a statement of this step any more. Nobody else can begin one: the lease
    /// is ours. Its work may be hours old, so it is waited for and not cancelled.
    pub(super) async fn wait_for_orphan(
        &self,
        session: &Session,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "select pid from pg_catalog.pg_stat_activity where datname = current_database() \
             and state = 'active' and pid <> pg_backend_pid() and starts_with(query, {})",
            self.quoted(literal(&mark_of(step)))?
        );
        let mut told = false;
        loop {
            let rows = session
                .rows(&sql)
                .await
                .map_err(|e| session.error("looking at running statements", &e))?;
            let Some(pid) = rows.first().and_then(|row| row.first()?.clone()) else {
                return Ok(());
            };
            if !told {
                told = true;
                run.events.emit(Event::Note {
                    id: step.id.clone(),
                    message: format!(
                        "the server still runs a statement that an earlier run sent (pid {pid}); waiting for it"
                    ),
                });
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = run.cancel.cancelled() => return Err(self.fail(StoreErrorKind::Cancelled)),
            }
        }
    }
}
