//! The history: append-only, each entry with the hash of the one before it, computed in the database.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Author, rfc3339};
use super::quote::{HoldsNul, literal, nullable};
use super::session::{Row, Session};
use super::{errors, ledger};
use crate::model::history::{Failure, HistoryEntry};
use crate::model::id::MigrationId;
use crate::model::plan::{Action, Resolution, Step};
use crate::store::{StoreError, StoreErrorKind};

/// Lets the transactions that append do it one after the other, until they commit: each must see the
/// entry before its own. Taken last of all, so it is held for a moment.
pub(super) const SERIALISE: &str = "select 1 from outpost.ledger for update";

/// The hash of a row of `outpost.history`, over every other column. Text only, so that no setting of the
/// session changes it. `signer` is an expression; a row without one has the hash that it had before there
/// was such a column.
fn hash(signer: &str) -> String {
    format!(
        "encode(sha256(convert_to((jsonb_build_array(seq::text, id, action, outcome, detail, plan, actor, host, \
         tool, {}, {}, previous) || case when {signer} is null then '[]'::jsonb \
         else jsonb_build_array({signer}) end)::text, 'UTF8')), 'hex')",
        rfc3339("started_at"),
        rfc3339("ended_at")
    )
}

/// The signer of a row, also where a ledger of an earlier release has no such column.
const SIGNER: &str = "(to_jsonb(history) ->> 'signer')";

/// Adds the column for signers to the history of an earlier release. Only a signed plan needs it.
pub(super) async fn ensure_signer(session: &Session) -> Result<(), StoreError> {
    let doing = "adding the column signer to outpost.history";
    let probe = "select 1 from pg_catalog.pg_attribute where attrelid = 'outpost.history'::regclass \
                 and attname = 'signer' and not attisdropped";
    let there = session.rows(probe).await;
    if !there.map_err(|e| session.error(doing, &e))?.is_empty() {
        return Ok(());
    }
    let sql = "begin; set local lock_timeout = '10s'; \
               alter table outpost.history add column if not exists signer text; commit";
    if let Err(error) = session.rows(sql).await {
        session.roll_back().await;
        return Err(session.error(doing, &error));
    }
    Ok(())
}

/// The statement that appends an entry. `started_at` is an expression for a timestamp.
pub(super) fn append(
    step: &Step,
    author: &Author<'_>,
    outcome: &str,
    detail: Option<&str>,
    started_at: &str,
) -> Result<String, HoldsNul> {
    // Not named without one, for ledgers that have no such column.
    let (column, value) = match author.signer {
        Some(signer) => (
            "signer, ",
            format!(", {}::text as signer", literal(signer)?),
        ),
        None => ("", String::new()),
    };
    let signer = match author.signer {
        Some(_) => "signer",
        None => "null",
    };
    Ok(format!(
        "insert into outpost.history (seq, id, action, outcome, detail, plan, actor, host, tool, started_at, \
         ended_at, previous, {column}hash) select e.*, {hash} from (select coalesce(l.seq, 0) + 1 as seq, {id} as id, \
         {action} as action, {outcome} as outcome, {detail} as detail, {plan} as plan, {actor} as actor, \
         {host} as host, {tool} as tool, {started_at} as started_at, clock_timestamp() as ended_at, \
         coalesce(l.hash, '') as previous{value} from (select 1) as always left join \
         (select seq, hash from outpost.history order by seq desc limit 1) as l on true) as e",
        hash = hash(signer),
        id = literal(&step.id.to_string())?,
        action = literal(step.action.name())?,
        outcome = literal(outcome)?,
        detail = format_args!("{}::text", nullable(detail)?),
        plan = literal(author.plan)?,
        actor = literal(author.user)?,
        host = literal(author.host)?,
        tool = literal(env!("CARGO_PKG_VERSION"))?,
    ))
}

/// What the history says about a finished step beyond its action.
pub(super) fn detail(step: &Step) -> Option<String> {
    match &step.action {
        Action::Skip { reason } => Some(reason.clone()),
        Action::Adopt { proof } => Some(proof.clone()),
        Action::Revert { data_loss } => data_loss.as_ref().map(|lost| format!("lost: {lost}")),
        Action::AcceptEdit { recorded } => Some(format!("was {recorded}")),
        Action::Resolve(Resolution::Applied) => {
            Some("a person decided that it is in place".to_owned())
        }
        Action::Resolve(Resolution::RolledBack) => {
            Some("a person decided that nothing of it is in place".to_owned())
        }
        Action::Apply | Action::Cleanup => None,
    }
}

/// The history, oldest first, each entry checked; an absent ledger has none.
pub(super) async fn read(session: &Session) -> Result<Vec<HistoryEntry>, StoreError> {
    if ledger::identity(session).await?.is_none() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select seq, id, action, outcome, detail, plan, actor, host, tool, {started}, {ended}, previous, hash, \
         {SIGNER}, hash = {hash} and previous = coalesce(lag(hash) over by_seq, '') \
         and seq = coalesce(lag(seq) over by_seq, 0) + 1 \
         from outpost.history window by_seq as (order by seq) order by seq",
        started = rfc3339("started_at"),
        ended = rfc3339("ended_at"),
        hash = hash(SIGNER),
    );
    let rows = session
        .rows(&sql)
        .await
        .map_err(|e| session.error("reading the history", &e))?;
    rows.iter()
        .map(|row| {
            entry(row).ok_or_else(|| {
                let reason = "a column of outpost.history is null".to_owned();
                errors::at(session.shown(), StoreErrorKind::Ledger { reason })
            })
        })
        .collect()
}

/// Of these migrations those whose last entry is a failure.
pub(super) async fn failures(
    session: &Session,
    of: &BTreeSet<MigrationId>,
) -> Result<BTreeMap<MigrationId, Failure>, StoreError> {
    // No id holds what cannot be written as a literal.
    let ids: Vec<String> = of
        .iter()
        .filter_map(|id| literal(&id.to_string()).ok())
        .collect();
    if ids.is_empty() || ledger::identity(session).await?.is_none() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "select distinct on (id) id, outcome, action, {ended}, detail from outpost.history \
         where id in ({ids}) order by id, history.seq desc",
        ended = rfc3339("ended_at"),
        ids = ids.join(", "),
    );
    let rows = session
        .rows(&sql)
        .await
        .map_err(|e| session.error("reading the history", &e))?;
    let failure = |row: &Row| {
        let text = |column: usize| row.get(column)?.as_deref();
        let failure = Failure::new(text(1)?, text(2)?, text(3)?, text(4))?;
        Some((text(0)?.parse().ok()?, failure))
    };
    Ok(rows.iter().filter_map(failure).collect())
}

fn entry(row: &Row) -> Option<HistoryEntry> {
    let text = |column: usize| row.get(column).cloned().flatten();
    Some(HistoryEntry {
        seq: text(0)?,
        id: text(1)?,
        action: text(2)?,
        outcome: text(3)?,
        detail: text(4),
        plan: text(5)?,
        signer: text(13),
        actor: text(6)?,
        host: text(7)?,
        tool: text(8)?,
        started_at: text(9)?,
        ended_at: text(10)?,
        previous: text(11)?,
        hash: text(12)?,
        intact: text(14)? == "t",
    })
}
