//! One action on one migration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::checksum::Checksum;
use crate::model::id::MigrationId;
use crate::model::sql::{ConcurrentIndex, QualifiedName, Risk, Statement};

/// One action on one migration, with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The migration.
    pub id: MigrationId,
    /// What is done with it.
    pub action: Action,
    /// What the migration is for.
    pub description: Option<String>,
    /// Of the migration's `.up.sql` or `.toml`.
    pub checksum: Checksum,
    /// Steps of this plan that must be done first.
    pub after: BTreeSet<MigrationId>,
    /// Whether an earlier run began this step and did not finish it.
    pub resumes: bool,
    /// Whether a migration with a higher number is in place already.
    pub out_of_order: bool,
    /// What is run.
    pub content: StepContent,
}

/// What a step does with its migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Runs it and records it.
    Apply,
    /// Undoes it and removes its record.
    Revert {
        /// What is lost for good, where its author said so.
        data_loss: Option<String>,
    },
    /// Removes what it left behind.
    Cleanup,
    /// Records what an earlier tool applied.
    Adopt {
        /// What proves that it is in place.
        proof: String,
    },
    /// Records that it does not apply here.
    Skip {
        /// Why.
        reason: String,
    },
    /// Records the checksum of a file that was edited after it was applied.
    AcceptEdit {
        /// The checksum in the ledger.
        recorded: Checksum,
    },
    /// Records what a person decided.
    Resolve(Resolution),
}

/// What a person decided about a migration that is half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "as")]
pub enum Resolution {
    /// It is in place.
    Applied,
    /// It is not in place, and nothing of it is.
    RolledBack,
}

impl Action {
    /// One character for screens.
    pub fn symbol(&self) -> char {
        match self {
            Self::Apply => '+',
            Self::Revert { .. } => '-',
            Self::Cleanup => '~',
            Self::Adopt { .. } => '=',
            Self::Skip { .. } => '.',
            Self::AcceptEdit { .. } | Self::Resolve(_) => '!',
        }
    }

    /// The verb for screens and the history.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Revert { .. } => "revert",
            Self::Cleanup => "cleanup",
            Self::Adopt { .. } => "adopt",
            Self::Skip { .. } => "skip",
            Self::AcceptEdit { .. } => "accept edit",
            Self::Resolve(Resolution::Applied) => "resolve as applied",
            Self::Resolve(Resolution::RolledBack) => "resolve as rolled back",
        }
    }

    /// Whether it only writes the ledger.
    pub fn is_record_only(&self) -> bool {
        !matches!(self, Self::Apply | Self::Revert { .. } | Self::Cleanup)
    }
}

impl Step {
    /// Whether values may be converted that the way back would not restore: on the way forward always,
    /// since that is what the declaration asks for, and the plan counts them; on the way back only where
    /// the user allowed it.
    pub fn may_lose(&self) -> bool {
        match (&self.action, &self.content) {
            (Action::Revert { .. }, StepContent::Redis(content)) => content.allow_lossy,
            _ => true,
        }
    }
}

/// What a step runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepContent {
    /// Statements.
    Sql(SqlContent),
    /// A declaration.
    Redis(RedisContent),
    /// Nothing but the ledger is written.
    Record,
}

/// The statements of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlContent {
    /// The file, below the schema folder.
    pub path: String,
    /// Checksum of that file.
    pub checksum: Checksum,
    /// Whether everything runs in one transaction, together with the ledger's row.
    pub transaction: bool,
    /// Longest wait for a lock, milliseconds; 0 for no limit. `None` outside a transaction when the
    /// file sets none: a CONCURRENTLY that gave up would leave an INVALID index.
    pub lock_timeout_ms: Option<u64>,
    /// Longest run of one statement, milliseconds; 0 for no limit.
    pub statement_timeout_ms: u64,
    /// What runs, in order.
    pub statements: Vec<PlannedStatement>,
    /// For a cleanup: the queries that must hold before anything is removed.
    pub verify: Vec<PlannedStatement>,
    /// For an apply: the down SQL to keep in the ledger.
    pub down: Option<String>,
}

/// A statement of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStatement {
    /// Its text, without the semicolon.
    pub text: String,
    /// The line of the file on which it begins, from 1.
    pub line: u32,
    /// What it is, in a few words.
    pub verb: String,
    /// The tables that it touches.
    pub tables: Vec<QualifiedName>,
    /// The tables that it creates.
    pub creates: Vec<QualifiedName>,
    /// What is dangerous about it, as far as its text tells.
    pub risks: Vec<Risk>,
    /// The index that it builds, drops or rebuilds outside of any transaction.
    pub concurrent_index: Option<ConcurrentIndex>,
}

/// The declaration of a Redis step, as its file has it; variables come from the plan's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisContent {
    /// The file, below the schema folder.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether a revert may convert values that its own way back would not restore.
    pub allow_lossy: bool,
    /// For a cleanup: the migrations in place that may have changed the copies since they were made, in their
    /// order. A source goes where its copy is what these made of it.
    pub later: Vec<LaterContent>,
}

/// The declaration of a migration that came after another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaterContent {
    /// The file, below the schema folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl From<&Statement> for PlannedStatement {
    fn from(statement: &Statement) -> Self {
        Self {
            text: statement.text.clone(),
            line: u32::try_from(statement.line).unwrap_or(u32::MAX),
            verb: statement.class.verb.clone(),
            tables: statement.class.tables.clone(),
            creates: statement.class.creates.clone(),
            risks: statement.class.risks.clone(),
            concurrent_index: statement.class.concurrent_index.clone(),
        }
    }
}
