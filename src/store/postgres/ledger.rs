//! The ledger: schema `outpost`. Created by the first acquire, never by a read.

use std::collections::BTreeMap;

use super::quote::{HoldsNul, literal, nullable};
use super::session::{Row, Session};
use super::{PostgresStore, errors};
use crate::model::checksum::Checksum;
use crate::model::id::MigrationId;
use crate::model::plan::{Action, Resolution, Step, StepContent};
use crate::model::state::{Checkpoint, Doing, HowApplied, LedgerEntry, LedgerStatus};
use crate::store::{StoreError, StoreErrorKind};

/// The format of the ledger that this version reads and writes.
pub(super) const FORMAT: &str = "1";

const CREATE: &str = include_str!("ledger.sql");

/// How often creating the ledger is tried while other runners create it too.
const TRIES: u32 = 10;

/// A timestamp as RFC 3339 in UTC, whatever the session's time zone and date style are.
pub(super) fn rfc3339(expression: &str) -> String {
    format!("to_char({expression} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
}

/// Whether the ledger is there, its format and its uuid. Asks the catalog first: that needs no right on
/// the schema, so that a missing right is never taken for a missing ledger.
pub(super) async fn identity(session: &Session) -> Result<Option<String>, StoreError> {
    let doing = "reading the ledger";
    let failed = |e: tokio_postgres::Error| session.error(doing, &e);
    let probe = "select 1 from pg_catalog.pg_class c \
                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = 'outpost' and c.relname = 'ledger'";
    if session.rows(probe).await.map_err(failed)?.is_empty() {
        return Ok(None);
    }
    let rows = session
        .rows("select format, uuid from outpost.ledger")
        .await
        .map_err(failed)?;
    let unreadable =
        |reason: String| errors::at(session.shown(), StoreErrorKind::Ledger { reason });
    match rows.first().map(Vec::as_slice) {
        Some([Some(format), Some(uuid)]) if format == FORMAT => Ok(Some(uuid.clone())),
        Some([Some(format), _]) => Err(unreadable(format!(
            "it has format {format}; this version of outpost knows format {FORMAT}"
        ))),
        _ => Err(unreadable("outpost.ledger has no row".to_owned())),
    }
}

/// Creates the ledger unless it is there.
pub(super) async fn ensure(session: &Session) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        if identity(session).await?.is_some() {
            return Ok(());
        }
        // CREATE SCHEMA IF NOT EXISTS asks for a right on the database even where the schema exists.
        let schema = session
            .rows("select 1 from pg_catalog.pg_namespace where nspname = 'outpost'")
            .await
            .map_err(|e| session.error("reading the catalog", &e))?;
        let create_schema = if schema.is_empty() {
            "create schema if not exists outpost;"
        } else {
            ""
        };
        let sql = format!(
            "begin isolation level read committed; set local lock_timeout = '10s'; \
             set local client_min_messages = 'warning'; {create_schema}\n{CREATE}\ncommit"
        );
        let Err(error) = session.rows(&sql).await else {
            return Ok(());
        };
        session.roll_back().await;
        tries += 1;
        if tries == TRIES || !lost_race(&error) {
            return Err(session.error("creating the ledger in schema outpost", &error));
        }
    }
}

/// Somebody else created the same thing at the same moment: IF NOT EXISTS does not cover that.
fn lost_race(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    let raced = [
        "23505", "42P06", "42P07", "42710", "42723", "40P01", "40001", "55P03",
    ];
    code.is_some_and(|code| raced.contains(&code))
        || error
            .as_db_error()
            .is_some_and(|db| db.message().contains("tuple concurrently"))
}

/// What the ledger says, in a transaction that the caller has begun.
pub(super) async fn entries(
    session: &Session,
    only: Option<&MigrationId>,
) -> Result<BTreeMap<MigrationId, LedgerEntry>, StoreError> {
    let filter = match only {
        Some(id) => {
            let id = literal(&id.to_string()).map_err(|e| e.at(session.shown()))?;
            format!("where id = {id}")
        }
        None => String::new(),
    };
    let at = rfc3339("at");
    let sql = format!(
        "select id, status, how, cleaned, doing, reason, checksum, plan, {at}, actor, statements_done, down \
         from outpost.migration {filter} order by id"
    );
    let rows = session
        .rows(&sql)
        .await
        .map_err(|e| session.error("reading the ledger", &e))?;
    rows.iter()
        .map(|row| {
            read_entry(row)
                .map_err(|reason| errors::at(session.shown(), StoreErrorKind::Ledger { reason }))
        })
        .collect()
}

fn read_entry(row: &Row) -> Result<(MigrationId, LedgerEntry), String> {
    let text = |column: usize| row.get(column).cloned().flatten();
    let needed = |column: usize| {
        text(column).ok_or_else(|| "a column of outpost.migration is null".to_owned())
    };
    let id: MigrationId = needed(0)?.parse().map_err(|e| format!("{e}"))?;
    let odd = |what: &str, value: Option<String>| {
        format!(
            "{id}: {what} {} is unknown",
            value.as_deref().unwrap_or("null")
        )
    };
    let status = match needed(1)?.as_str() {
        "applied" => LedgerStatus::Applied {
            how: match text(2).as_deref() {
                Some("run") => HowApplied::Run,
                Some("adopted") => HowApplied::Adopted,
                Some("resolved") => HowApplied::Resolved,
                _ => return Err(odd("how", text(2))),
            },
            cleaned: text(3).as_deref() == Some("t"),
        },
        "skipped" => LedgerStatus::Skipped {
            reason: text(5).unwrap_or_default(),
        },
        "partial" => LedgerStatus::Partial {
            doing: match text(4).as_deref() {
                Some("apply") => Doing::Apply,
                Some("revert") => Doing::Revert,
                Some("cleanup") => Doing::Cleanup,
                _ => return Err(odd("doing", text(4))),
            },
        },
        "reverted" => LedgerStatus::Reverted,
        other => return Err(odd("status", Some(other.to_owned()))),
    };
    let checksum = Checksum::parse(&needed(6)?).map_err(|e| format!("{id}: {e}"))?;
    let checkpoint = match (&status, text(10)) {
        (LedgerStatus::Partial { .. }, Some(done)) => Some(Checkpoint {
            statements_done: done
                .parse()
                .map_err(|_| odd("statements_done", Some(done)))?,
            ..Checkpoint::default()
        }),
        _ => None,
    };
    let entry = LedgerEntry {
        status,
        checksum,
        plan: needed(7)?,
        at: needed(8)?,
        actor: needed(9)?,
        checkpoint,
        down: text(11),
    };
    Ok((id, entry))
}

/// Who writes, under which plan.
pub(super) struct Author<'a> {
    pub(super) plan: &'a str,
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    /// Who signed the plan.
    pub(super) signer: Option<&'a str>,
}

/// The statement that records a finished step.
pub(super) fn finished(step: &Step, author: &Author<'_>) -> Result<String, HoldsNul> {
    let mut row = Entry::new(step, author)?;
    match &step.action {
        Action::Apply => {
            row.set("status", "'applied'")
                .set("how", "'run'")
                .set("cleaned", "false");
            row.set("down", &nullable(down(step))?);
        }
        Action::Adopt { .. } => {
            row.set("status", "'applied'")
                .set("how", "'adopted'")
                .set("cleaned", "false");
        }
        Action::Resolve(Resolution::Applied) => {
            row.set("status", "'applied'")
                .set("how", "'resolved'")
                .set("cleaned", "false");
        }
        Action::Cleanup => {
            row.set("status", "'applied'")
                .set("cleaned", "true")
                .keep("checksum");
            row.insert_only("how", "'run'");
        }
        Action::Skip { reason } => {
            row.set("status", "'skipped'")
                .set("reason", &literal(reason)?);
        }
        Action::Revert { .. } | Action::Resolve(Resolution::RolledBack) => {
            row.set("status", "'reverted'");
        }
        Action::AcceptEdit { .. } => return accepted_edit(step, author),
    }
    row.set("doing", "null")
        .set("statements_done", "null")
        .set("content", "null");
    Ok(row.upsert())
}

/// The statement that records that a step outside a transaction has begun, or how far it is.
pub(super) fn partial(
    step: &Step,
    doing: Doing,
    statements_done: usize,
    content: &Checksum,
    author: &Author<'_>,
) -> Result<String, HoldsNul> {
    let mut row = Entry::new(step, author)?;
    let doing_word = match doing {
        Doing::Apply => "'apply'",
        Doing::Revert => "'revert'",
        Doing::Cleanup => "'cleanup'",
    };
    row.set("status", "'partial'").set("doing", doing_word);
    row.set("statements_done", &statements_done.to_string());
    row.set("content", &literal(&content.to_string())?);
    match doing {
        Doing::Apply => {
            row.set("down", &nullable(down(step))?);
        }
        // The entry goes on saying what was applied.
        Doing::Revert | Doing::Cleanup => {
            row.keep("checksum");
        }
    }
    Ok(row.upsert())
}

fn down(step: &Step) -> Option<&str> {
    match &step.content {
        StepContent::Sql(content) => content.down.as_deref(),
        _ => None,
    }
}

fn accepted_edit(step: &Step, author: &Author<'_>) -> Result<String, HoldsNul> {
    let id = step.id.to_string();
    super::quote::do_block(&format!(
        "begin update outpost.migration set checksum = {checksum}, plan = {plan}, actor = {actor}, \
         at = clock_timestamp() where id = {id}; \
         if not found then raise exception using errcode = '{code}', message = {message}; end if; end",
        checksum = literal(&step.checksum.to_string())?,
        plan = literal(author.plan)?,
        actor = literal(author.user)?,
        id = literal(&id)?,
        code = errors::private::NO_ENTRY,
        message = literal(&format!("the ledger has no entry for {id}"))?,
    ))
}

/// A row of `outpost.migration` as an upsert. Columns that are not named keep what they have.
struct Entry {
    columns: Vec<(&'static str, String)>,
    kept: Vec<&'static str>,
}

impl Entry {
    fn new(step: &Step, author: &Author<'_>) -> Result<Self, HoldsNul> {
        let columns = vec![
            ("id", literal(&step.id.to_string())?),
            ("checksum", literal(&step.checksum.to_string())?),
            ("plan", literal(author.plan)?),
            ("actor", literal(author.user)?),
            ("at", "clock_timestamp()".to_owned()),
        ];
        Ok(Self {
            columns,
            kept: vec!["id"],
        })
    }

    fn set(&mut self, column: &'static str, value: &str) -> &mut Self {
        self.columns.push((column, value.to_owned()));
        self
    }

    /// An existing row keeps this column.
    fn keep(&mut self, column: &'static str) -> &mut Self {
        self.kept.push(column);
        self
    }

    fn insert_only(&mut self, column: &'static str, value: &str) -> &mut Self {
        self.set(column, value).keep(column)
    }

    fn upsert(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = self
            .columns
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let updates: Vec<String> = names
            .iter()
            .filter(|name| !self.kept.contains(name))
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        format!(
            "insert into outpost.migration ({}) values ({}) on conflict (id) do update set {}",
            names.join(", "),
            values.join(", "),
            updates.join(", ")
        )
    }
}

impl PostgresStore {
    /// The ledger's entry of one migration, read in a transaction of its own.
    pub(super) async fn entry(
        &self,
        session: &Session,
        id: &MigrationId,
    ) -> Result<Option<LedgerEntry>, StoreError> {
        Ok(entries(session, Some(id)).await?.remove(id))
    }
}
