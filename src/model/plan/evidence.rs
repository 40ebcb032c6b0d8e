//! What was counted, estimated and found while planning. It informs the reviewer and decides nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rehearsal::{Rehearsal, StepRehearsal};
use crate::model::drift::{KeyDrift, PinnedDrift};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lint::Finding;
use crate::model::sql::{LockMode, TableWork};

/// The evidence of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Version of the tool that made the plan.
    pub tool: String,
    /// By step.
    pub steps: BTreeMap<MigrationId, StepEvidence>,
    /// Where the plan was rehearsed, by store; empty where it was not.
    pub rehearsal: BTreeMap<StoreKind, Rehearsal>,
    /// What the linter found in the files that the steps run, and every file that is not as locked; by
    /// migration, file and line.
    pub lint: Vec<Finding>,
    /// How the Postgres schema differed from the recorded one; `None` where nothing pins that state, or the
    /// store was not looked at.
    pub drift: Option<PinnedDrift>,
    /// Where keys were not as the applied Redis migrations left them, in the migrations' order; `None` where nobody
    /// asked for that.
    pub redis_drift: Option<Vec<KeyDrift>>,
}

/// What is known about the data that a step meets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepEvidence {
    /// Tables that the step touches and that exist now.
    pub tables: Vec<TableSize>,
    /// What each statement does to the tables, in the order of the statements; empty for a step without
    /// SQL of its own.
    pub statements: Vec<StatementImpact>,
    /// Keys, for a Redis step.
    pub keys: Option<KeyCounts>,
    /// How the step went where the plan was rehearsed.
    pub rehearsal: Option<StepRehearsal>,
    /// What a reviewer should look at.
    pub warnings: Vec<Warning>,
}

/// The size of a table, from the catalog's statistics: nothing is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSize {
    /// Qualified name.
    pub table: String,
    /// Estimated rows; `None` where the table was never analysed.
    pub rows: Option<u64>,
    /// Bytes on disk, partitions included.
    pub bytes: u64,
}

/// What a statement does to the tables that it meets, by its text and the catalog: nothing was run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementImpact {
    /// Each table or index once, by name.
    pub tables: Vec<TableImpact>,
}

/// What a statement does to one table or view, or to an index that it locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableImpact {
    /// Qualified name of a table, a view or an index; the size, where the table exists now, is at the step.
    pub table: String,
    /// Whether this plan creates it, so that it is not there yet and nobody else uses it.
    pub created_here: bool,
    /// The strongest lock that is taken.
    pub lock: LockMode,
    /// Partitions that get the same lock.
    pub partitions: u64,
    /// What is done with its rows.
    pub work: TableWork,
    /// Why, where the lock and the work do not say it: a clause for the reviewer, without a full stop.
    pub why: Option<String>,
}

/// How many keys a Redis step meets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyCounts {
    /// Keys in scope.
    pub in_scope: u64,
    /// Keys that need work.
    pub to_do: u64,
    /// Keys that are as they should be.
    pub done: u64,
    /// Keys that the migration ignores.
    pub ignored: u64,
    /// Extra memory that the step takes, bytes; `None` where it cannot be told.
    pub extra_bytes: Option<u64>,
    /// Memory of the keys that need work, bytes, from a sample; `None` where it cannot be told.
    pub bytes: Option<u64>,
    /// How long the step may take, with the keys that are coming; `None` where nothing is to do, or too little was
    /// read to tell.
    pub time: Option<KeyTime>,
    /// Keys that earlier steps of the plan bring, which none of the numbers above counts; `None` where none do.
    pub coming: Option<ComingKeys>,
}

/// Keys that are not there yet: earlier steps of the same plan copy or rename them into what a step works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComingKeys {
    /// How many at most.
    pub at_most: u64,
    /// The steps that bring them, in the plan's order.
    pub by: Vec<MigrationId>,
}

/// How long a Redis step may take: a range, from the speed at which this very plan read the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTime {
    /// Keys read in a second while the plan was made.
    pub read_per_second: u64,
    /// The least, milliseconds.
    pub least_ms: u64,
    /// The most, milliseconds.
    pub most_ms: u64,
}

/// How often a run goes over all keys at most, where nobody else writes: before a step that cannot be undone, for
/// the work, and to prove that nothing is left.
const READINGS: u64 = 3;

/// How many times as long as to read a key it may take to write one, with the pauses so that other clients
/// hardly wait. In docs/benchmarks.md a run takes up to 3 times as long as its plan; this leaves three times that.
const WRITE_TO_READ: u64 = 9;

impl KeyTime {
    /// How long it may take to work on `to_do` keys of `in_scope`: at least one reading of all of them, at most
    /// all readings and the writing of those to do, where no limit was set.
    pub fn from_speed(read_per_second: u64, in_scope: u64, to_do: u64) -> Self {
        let ms = |keys: u64| {
            let ms = u128::from(keys) * 1_000 / u128::from(read_per_second.max(1));
            u64::try_from(ms).unwrap_or(u64::MAX)
        };
        let readings = in_scope.saturating_mul(READINGS);
        Self {
            read_per_second,
            least_ms: ms(in_scope),
            most_ms: ms(readings.saturating_add(to_do.saturating_mul(WRITE_TO_READ))),
        }
    }
}

/// Something that a reviewer should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// What sort of thing.
    pub kind: WarningKind,
    /// In words, with the tables and sizes concerned.
    pub message: String,
    /// The line of the step's file.
    pub line: Option<u32>,
}

/// Sorts of warnings.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Data is lost.
    DataLoss,
    /// Reads or writes of a table wait while the step runs.
    Blocking,
    /// The whole table is written anew.
    Rewrite,
    /// There is no way back.
    Irreversible,
    /// There is nothing to prove that it worked.
    NoVerification,
    /// Memory may not suffice.
    Memory,
    /// Keys that no step accounts for, or of another form than declared: apply would stop at them.
    Unaccounted,
    /// It went wrong in the rehearsal, or its way back did not lead back.
    Rehearsal,
    /// Anything else.
    Other,
}
