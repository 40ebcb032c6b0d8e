//! What CREATE, DROP and REINDEX INDEX CONCURRENTLY leave behind, and what becomes of it before a retry.

use std::time::Duration;

use super::PostgresStore;
use super::orphan::new_mark;
use super::quote::{HoldsNul, literal};
use super::session::{Sent, Session};
use crate::model::event::Event;
use crate::model::plan::{PlannedStatement, Step};
use crate::model::sql::{ConcurrentIndex, IndexAction};
use crate::store::{Run, StoreError, StoreErrorKind};

/// How often it is looked whether another session still builds an index.
const LOOK: Duration = Duration::from_millis(250);

/// An index that exists.
struct Found {
    oid: String,
    name: String,
    valid: bool,
}

impl PostgresStore {
    /// Removes what an earlier try of the statement left. True when the statement is done already, which
    /// only counts where `maybe_done` says that it may have been sent before.
    pub(super) async fn clear_the_way(
        &self,
        session: &Session,
        step: &Step,
        statement: &PlannedStatement,
        maybe_done: bool,
        run: &Run<'_>,
    ) -> Result<bool, StoreError> {
        let Some(what) = &statement.concurrent_index else {
            return Ok(false);
        };
        match what.action {
            IndexAction::Create => {
                let mut told = false;
                loop {
                    let Some(index) = self.find(session, what).await? else {
                        return Ok(false);
                    };
                    if index.valid {
                        return Ok(maybe_done);
                    }
                    if !self.is_being_built(session, &index).await? {
                        self.drop_leftover(session, step, &index, run).await?;
                        return Ok(false);
                    }
                    if !told {
                        told = true;
                        let message = format!(
                            "another session still builds index {}; waiting for it",
                            index.name
                        );
                        run.events.emit(Event::Note {
                            id: step.id.clone(),
                            message,
                        });
                    }
                    tokio::select! {
                        () = tokio::time::sleep(LOOK) => {}
                        () = run.cancel.cancelled() => return Err(self.fail(StoreErrorKind::Cancelled)),
                    }
                }
            }
            IndexAction::Drop => Ok(maybe_done && self.find(session, what).await?.is_none()),
            IndexAction::Reindex => {
                for index in self.leftovers(session, what).await? {
                    if !self.is_being_built(session, &index).await? {
                        self.drop_leftover(session, step, &index, run).await?;
                    }
                }
                Ok(false)
            }
        }
    }

    /// After a statement said that it is done: the index must be there and valid.
    pub(super) async fn check_built(
        &self,
        session: &Session,
        step: &Step,
        statement: &PlannedStatement,
    ) -> Result<(), StoreError> {
        let Some(what) = &statement.concurrent_index else {
            return Ok(());
        };
        if what.action == IndexAction::Drop {
            return Ok(());
        }
        match self.find(session, what).await? {
            Some(index) if !index.valid => Err(self.fail(StoreErrorKind::Server {
                doing: format!("running {}", step.id),
                reason: format!(
                    "{}: index {} is INVALID after its statement",
                    step.id, index.name
                ),
            })),
            _ => Ok(()),
        }
    }

    async fn find(
        &self,
        session: &Session,
        what: &ConcurrentIndex,
    ) -> Result<Option<Found>, StoreError> {
        match self.quoted(named(what))? {
            Some(condition) => Ok(self.indexes(session, &condition).await?.into_iter().next()),
            None => Ok(None),
        }
    }

    /// What a REINDEX left on the tables that it names: copies that are not valid.
    async fn leftovers(
        &self,
        session: &Session,
        what: &ConcurrentIndex,
    ) -> Result<Vec<Found>, StoreError> {
        let table = match (&what.table, self.quoted(named(what))?) {
            (Some(table), _) => format!("to_regclass({})", self.quoted(literal(&table.quoted()))?),
            (None, Some(index)) => format!(
                "(select i.indrelid from pg_catalog.pg_index i \
                 join pg_catalog.pg_class c on c.oid = i.indexrelid \
                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace where {index} limit 1)"
            ),
            (None, None) => return Ok(Vec::new()),
        };
        let condition = format!(
            "i.indrelid = {table} and not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'"
        );
        self.indexes(session, &condition).await
    }

    async fn indexes(&self, session: &Session, condition: &str) -> Result<Vec<Found>, StoreError> {
        let sql = format!(
            "select c.oid, format('%I.%I', n.nspname, c.relname), i.indisvalid and i.indisready \
             from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace where {condition} order by 2"
        );
        let rows = session
            .rows(&sql)
            .await
            .map_err(|e| session.error("looking at indexes", &e))?;
        let found = rows
            .into_iter()
            .filter_map(|row| match <[_; 3]>::try_from(row) {
                Ok([Some(oid), Some(name), Some(valid)]) => Some(Found {
                    oid,
                    name,
                    valid: valid == "t",
                }),
                _ => None,
            });
        Ok(found.collect())
    }

    /// Whether a session is at work on it, such as one whose client is gone.
    async fn is_being_built(&self, session: &Session, index: &Found) -> Result<bool, StoreError> {
        let sql = format!(
            "select 1 from pg_catalog.pg_stat_progress_create_index \
             where index_relid = {} and pid <> pg_backend_pid()",
            index.oid
        );
        let rows = session
            .rows(&sql)
            .await
            .map_err(|e| session.error("looking at indexes", &e))?;
        Ok(!rows.is_empty())
    }

    async fn drop_leftover(
        &self,
        session: &Session,
        step: &Step,
        index: &Found,
        run: &Run<'_>,
    ) -> Result<(), StoreError> {
        let message = format!(
            "dropping the INVALID index {} that an earlier try left",
            index.name
        );
        run.events.emit(Event::Note {
            id: step.id.clone(),
            message,
        });
        // A successor that rebuilt the index would lose it to one that arrives late.
        self.check_lease(session, step, run).await?;
        let sql = format!(
            "{}drop index concurrently if exists {}",
            new_mark(step),
            index.name
        );
        match session.send(&sql, run.cancel, |_| {}).await {
            Sent::Done => Ok(()),
            Sent::Failed(error) => {
                Err(session.error(&format!("dropping index {}", index.name), &error))
            }
            Sent::Cancelled | Sent::Unanswered => Err(self.fail(StoreErrorKind::Cancelled)),
        }
    }
}

/// The condition that picks the index of a statement; `None` for a REINDEX that names none. CREATE INDEX
/// puts an index where its table is.
fn named(what: &ConcurrentIndex) -> Result<Option<String>, HoldsNul> {
    let Some(index) = &what.index else {
        return Ok(None);
    };
    let name = format!("c.relname = {}", literal(&index.name)?);
    Ok(Some(match (&index.schema, &what.table) {
        (Some(schema), _) => format!("{name} and n.nspname = {}", literal(schema)?),
        (None, Some(table)) => format!(
            "{name} and n.oid = (select relnamespace from pg_catalog.pg_class where oid = to_regclass({}))",
            literal(&table.quoted())?
        ),
        (None, None) => format!("c.oid = to_regclass({})", literal(&index.quoted())?),
    }))
}
