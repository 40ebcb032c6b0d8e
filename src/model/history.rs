//! The append-only record of what was done to a store.

use serde::{Deserialize, Serialize};

/// One entry of a store's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its place in the history: a number in Postgres, a stream id in Redis.
    pub seq: String,
    /// The migration.
    pub id: String,
    /// What was done.
    pub action: String,
    /// `done` or `failed`.
    pub outcome: String,
    /// The error of a failed step, or the reason of a skip or a decision.
    pub detail: Option<String>,
    /// Hex digest of the plan.
    pub plan: String,
    /// Who signed the plan, and with which key; `None` where no signature was checked.
    pub signer: Option<String>,
    /// User that ran it.
    pub actor: String,
    /// Host that it ran on.
    pub host: String,
    /// Version of the tool.
    pub tool: String,
    /// When the step began, RFC 3339 in UTC, by the store's clock.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// Hash of the entry before, empty for the first.
    pub previous: String,
    /// Hash of this entry, over all of the above.
    pub hash: String,
    /// Whether `hash` and `previous` are right, as recomputed by the store when read.
    pub intact: bool,
}
