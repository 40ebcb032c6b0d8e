//! The estimates and the rehearsal of a plan in its JSON.

use serde::Serialize;

use crate::model::id::StoreKind;
use crate::model::plan::{
    KeyCounts, KeyTime, Origin, Outcome, Rehearsal, RehearsalServer, StatementRehearsal,
    StepRehearsal, TableImpact, TableWork, WayBack,
};
use crate::model::sql::LockMode;

/// What a statement does to a table, as far as its text and the catalog tell.
#[derive(Serialize)]
pub(super) struct ImpactJson<'a> {
    /// Or an index that is locked without its table.
    table: &'a str,
    created_here: bool,
    lock: LockMode,
    blocks_reads: bool,
    blocks_writes: bool,
    partitions: u64,
    work: TableWork,
    why: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct KeysJson {
    in_scope: u64,
    to_do: u64,
    done: u64,
    ignored: u64,
    extra_bytes: Option<u64>,
    /// Of the keys that need work, from a sample.
    bytes: Option<u64>,
    time: Option<KeyTimeJson>,
}

#[derive(Serialize)]
struct KeyTimeJson {
    read_per_second: u64,
    least_ms: u64,
    most_ms: u64,
}

/// Where a plan was rehearsed.
#[derive(Serialize)]
pub(super) struct RehearsalJson<'a> {
    store: StoreKind,
    server: RehearsalServer,
    server_version: &'a str,
    target_version: Option<&'a str>,
    /// `empty`, `replayed`, `copied` or `sampled`.
    origin: &'static str,
    /// For `replayed`.
    migrations: Vec<String>,
    /// For `copied`.
    program: Option<&'a str>,
    /// For `sampled`.
    keys: Option<u64>,
    differences: &'a [String],
    failed: Option<&'a str>,
}

/// What the rehearsal of a step saw.
#[derive(Serialize)]
pub(super) struct StepRehearsalJson<'a> {
    /// `done`, `failed` or `not_run`.
    outcome: &'static str,
    reason: Option<&'a str>,
    /// On empty tables.
    ms: u64,
    keys: Option<u64>,
    way_back: Option<WayBackJson<'a>>,
}

#[derive(Serialize)]
struct WayBackJson<'a> {
    /// `exact`, `differs`, `failed` or `absent`.
    kind: &'static str,
    differences: &'a [String],
    reason: Option<&'a str>,
}

/// What the rehearsal of a statement saw.
#[derive(Serialize)]
pub(super) struct StatementRehearsalJson<'a> {
    /// On empty tables.
    ms: u64,
    locks: Vec<LockJson<'a>>,
    rewritten: &'a [String],
    indexes_built: &'a [String],
}

#[derive(Serialize)]
struct LockJson<'a> {
    relation: &'a str,
    mode: LockMode,
}

impl<'a> From<&'a TableImpact> for ImpactJson<'a> {
    fn from(impact: &'a TableImpact) -> Self {
        Self {
            table: &impact.table,
            created_here: impact.created_here,
            lock: impact.lock,
            blocks_reads: impact.lock.blocks_reads(),
            blocks_writes: impact.lock.blocks_writes(),
            partitions: impact.partitions,
            work: impact.work,
            why: impact.why.as_deref(),
        }
    }
}

impl From<&KeyCounts> for KeysJson {
    fn from(keys: &KeyCounts) -> Self {
        Self {
            in_scope: keys.in_scope,
            to_do: keys.to_do,
            done: keys.done,
            ignored: keys.ignored,
            extra_bytes: keys.extra_bytes,
            bytes: keys.bytes,
            time: keys.time.map(
                |KeyTime {
                     read_per_second,
                     least_ms,
                     most_ms,
                 }| KeyTimeJson {
                    read_per_second,
                    least_ms,
                    most_ms,
                },
            ),
        }
    }
}

pub(super) fn rehearsal(store: StoreKind, rehearsal: &Rehearsal) -> RehearsalJson<'_> {
    let (origin, migrations, program, keys) = match &rehearsal.origin {
        Origin::Empty => ("empty", &[][..], None, None),
        Origin::Replayed { migrations } => ("replayed", migrations.as_slice(), None, None),
        Origin::Copied { program } => ("copied", &[][..], Some(program.as_str()), None),
        Origin::Sampled { keys } => ("sampled", &[][..], None, Some(*keys)),
    };
    RehearsalJson {
        store,
        server: rehearsal.server,
        server_version: &rehearsal.version,
        target_version: rehearsal.target_version.as_deref(),
        origin,
        migrations: migrations.iter().map(ToString::to_string).collect(),
        program,
        keys,
        differences: &rehearsal.differences,
        failed: rehearsal.failed.as_deref(),
    }
}

impl<'a> From<&'a StepRehearsal> for StepRehearsalJson<'a> {
    fn from(step: &'a StepRehearsal) -> Self {
        let (outcome, reason) = match &step.outcome {
            Outcome::Done => ("done", None),
            Outcome::Failed { reason } => ("failed", Some(reason.as_str())),
            Outcome::NotRun { reason } => ("not_run", Some(reason.as_str())),
        };
        Self {
            outcome,
            reason,
            ms: step.ms,
            keys: step.keys,
            way_back: step.way_back.as_ref().map(WayBackJson::from),
        }
    }
}

impl<'a> From<&'a WayBack> for WayBackJson<'a> {
    fn from(way_back: &'a WayBack) -> Self {
        let (kind, differences, reason) = match way_back {
            WayBack::Exact => ("exact", &[][..], None),
            WayBack::Differs { differences } => ("differs", differences.as_slice(), None),
            WayBack::Failed { reason } => ("failed", &[][..], Some(reason.as_str())),
            WayBack::Absent { reason } => ("absent", &[][..], Some(reason.as_str())),
        };
        Self {
            kind,
            differences,
            reason,
        }
    }
}

impl<'a> From<&'a StatementRehearsal> for StatementRehearsalJson<'a> {
    fn from(statement: &'a StatementRehearsal) -> Self {
        Self {
            ms: statement.ms,
            locks: statement
                .locks
                .iter()
                .map(|lock| LockJson {
                    relation: &lock.relation,
                    mode: lock.mode,
                })
                .collect(),
            rewritten: &statement.rewritten,
            indexes_built: &statement.indexes_built,
        }
    }
}
