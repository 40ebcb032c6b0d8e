//! The estimates and the rehearsal of a plan in its JSON.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::id::StoreKind;
use crate::model::plan::{
    KeyCounts, KeyTime, Origin, Outcome, Rehearsal, RehearsalServer, StatementRehearsal,
    StepRehearsal, TableImpact, WayBack,
};
use crate::model::sql::{LockMode, TableWork};

/// What a statement does to a table, as far as its text and the catalog tell.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Impact")]
pub(super) struct ImpactJson<'a> {
    /// Or an index that is locked without its table.
    table: &'a str,
    /// Whether this plan creates it.
    created_here: bool,
    /// The strongest that is taken.
    lock: LockMode,
    /// Whether SELECT waits.
    blocks_reads: bool,
    /// Whether INSERT, UPDATE and DELETE wait.
    blocks_writes: bool,
    /// That get the same lock.
    partitions: u64,
    /// What is done with its rows.
    work: TableWork,
    /// Where the lock and the work do not say it.
    why: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Keys")]
pub(super) struct KeysJson {
    /// Keys in scope.
    in_scope: u64,
    /// Keys that need work.
    to_do: u64,
    /// Keys that are as they should be.
    done: u64,
    /// Keys that the migration ignores.
    ignored: u64,
    /// Memory that the step takes; null where it cannot be told.
    extra_bytes: Option<u64>,
    /// Of the keys that need work, from a sample.
    bytes: Option<u64>,
    /// How long it may take; null where that cannot be told.
    time: Option<KeyTimeJson>,
    /// What earlier steps of the plan bring, which is in none of the numbers above; null where none do.
    coming: Option<ComingKeysJson>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ComingKeys")]
struct ComingKeysJson {
    /// How many at most.
    at_most: u64,
    /// The steps that bring them.
    by: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyTime")]
struct KeyTimeJson {
    /// Keys read in a second while the plan was made.
    read_per_second: u64,
    /// The least.
    least_ms: u64,
    /// The most.
    most_ms: u64,
}

/// Where a plan was rehearsed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rehearsal")]
pub(super) struct RehearsalJson<'a> {
    /// Of which store.
    store: StoreKind,
    /// Whose server.
    server: RehearsalServer,
    /// Its version.
    server_version: &'a str,
    /// The target's version, where it is known.
    target_version: Option<&'a str>,
    /// `empty`, `replayed` or `sampled`.
    #[schemars(extend("enum" = ["empty", "replayed", "sampled"]))]
    origin: &'static str,
    /// For `replayed`.
    migrations: Vec<String>,
    /// For `sampled`.
    keys: Option<u64>,
    /// How it differs from the target before the first step.
    differences: &'a [String],
    /// What kept it from beginning.
    failed: Option<&'a str>,
}

/// What the rehearsal of a step saw.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StepRehearsal")]
pub(super) struct StepRehearsalJson<'a> {
    /// `done`, `failed` or `not_run`.
    #[schemars(extend("enum" = ["done", "failed", "not_run"]))]
    outcome: &'static str,
    /// Why, unless it is done.
    reason: Option<&'a str>,
    /// On empty tables.
    ms: u64,
    /// Made-up keys, for a Redis step.
    keys: Option<u64>,
    /// Whether undoing it brings back what was there.
    way_back: Option<WayBackJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WayBack")]
struct WayBackJson<'a> {
    /// `exact`, `differs`, `failed` or `absent`.
    #[schemars(extend("enum" = ["exact", "differs", "failed", "absent"]))]
    kind: &'static str,
    /// An object or key each.
    differences: &'a [String],
    /// Why, for `failed` and `absent`.
    reason: Option<&'a str>,
}

/// What the rehearsal of a statement saw.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatementRehearsal")]
pub(super) struct StatementRehearsalJson<'a> {
    /// On empty tables.
    ms: u64,
    /// On what was there before the step.
    locks: Vec<LockJson<'a>>,
    /// Tables that were written anew.
    rewritten: &'a [String],
    /// Indexes that it built on tables which were there.
    indexes_built: &'a [String],
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LockTaken")]
struct LockJson<'a> {
    /// A table or an index.
    relation: &'a str,
    /// Which lock.
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
            coming: keys.coming.as_ref().map(|coming| ComingKeysJson {
                at_most: coming.at_most,
                by: coming.by.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

pub(super) fn rehearsal(store: StoreKind, rehearsal: &Rehearsal) -> RehearsalJson<'_> {
    let (origin, migrations, keys) = match &rehearsal.origin {
        Origin::Empty => ("empty", &[][..], None),
        Origin::Replayed { migrations } => ("replayed", migrations.as_slice(), None),
        Origin::Sampled { keys } => ("sampled", &[][..], Some(*keys)),
    };
    RehearsalJson {
        store,
        server: rehearsal.server,
        server_version: &rehearsal.version,
        target_version: rehearsal.target_version.as_deref(),
        origin,
        migrations: migrations.iter().map(ToString::to_string).collect(),
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
