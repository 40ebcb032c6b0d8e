//! What was counted, estimated and found while planning. It informs the reviewer and decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::id::MigrationId;

/// The evidence of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Version of the tool that made the plan.
    pub tool: String,
    /// By step.
    pub steps: BTreeMap<MigrationId, StepEvidence>,
}

/// What is known about the data that a step meets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepEvidence {
    /// Tables that the step touches and that exist now.
    pub tables: Vec<TableSize>,
    /// Keys, for a Redis step.
    pub keys: Option<KeyCounts>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// A rule of the linter found it in the files.
    Lint,
    /// Anything else.
    Other,
}
