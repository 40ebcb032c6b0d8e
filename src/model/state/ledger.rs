//! What a ledger says of a migration.

use serde::{Deserialize, Serialize};

use crate::model::checksum::Checksum;

/// What a ledger says of one migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Where it stands.
    pub status: LedgerStatus,
    /// Of the file that was applied.
    pub checksum: Checksum,
    /// Hex digest of the plan that wrote this entry.
    pub plan: String,
    /// When it was written, by the store's clock, RFC 3339 in UTC.
    pub at: String,
    /// Who wrote it.
    pub actor: String,
    /// How far a step got that was not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The down SQL that was valid when the migration was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

/// Where a recorded migration stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LedgerStatus {
    /// In place.
    Applied {
        /// How it came to be in place.
        how: HowApplied,
        /// Whether its cleanup was run too.
        cleaned: bool,
    },
    /// Not applicable here.
    Skipped {
        /// Why.
        reason: String,
    },
    /// A step that cannot share one transaction with its record was begun and is not finished.
    Partial {
        /// What it was doing.
        doing: Doing,
    },
    /// Not in place any more. Kept, so that a repeated run of the plan that reverted it knows its own
    /// work.
    Reverted,
}

/// How a migration came to be recorded as applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HowApplied {
    /// This tool ran it.
    Run,
    /// An earlier tool ran it, and it was proven to be in place.
    Adopted,
    /// A person decided so with `resolve`.
    Resolved,
}

/// The direction of an unfinished step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Applying.
    Apply,
    /// Reverting.
    Revert,
    /// Cleaning up.
    Cleanup,
}

/// How far an unfinished step got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Statements that are done, for SQL outside a transaction.
    #[serde(default)]
    pub statements_done: usize,
    /// Keys examined so far, for Redis.
    #[serde(default)]
    pub keys_done: u64,
    /// The server run that the cursor belongs to, and the cursor, for Redis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cursors: Vec<ScanCursor>,
}

/// A SCAN position, only as good as the server run that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanCursor {
    /// `run_id` of the server.
    pub run_id: String,
    /// The cursor that SCAN returned.
    pub cursor: u64,
}

impl LedgerEntry {
    /// Whether the migration is in place; it still is while its cleanup is half done.
    pub fn is_applied(&self) -> bool {
        matches!(
            self.status,
            LedgerStatus::Applied { .. }
                | LedgerStatus::Partial {
                    doing: Doing::Cleanup
                }
        )
    }

    /// Whether what requires this migration may run: it is in place, or does not apply here.
    pub fn satisfies(&self) -> bool {
        matches!(
            self.status,
            LedgerStatus::Applied { .. }
                | LedgerStatus::Skipped { .. }
                | LedgerStatus::Partial {
                    doing: Doing::Cleanup
                }
        )
    }
}
