//! Plans: the ordered steps from an observed state to a desired version, with all content inside.
//!
//! A plan has two parts. The [`Decision`] is what will run, from which recorded state, against which
//! databases; its SHA-256 is the digest that a reviewer approves, and it is the same from run to run.
//! The [`Evidence`] is what was counted and estimated while planning, and may differ.

mod coming;
mod error;
mod evidence;
mod freshness;
mod planner;
mod rehearsal;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use coming::foresee;
pub use error::PlanError;
pub use evidence::{
    ComingKeys, Evidence, KeyCounts, KeyTime, StatementImpact, StepEvidence, TableImpact,
    TableSize, Warning, WarningKind,
};
pub use freshness::{Difference, Freshness};
pub use planner::{Desired, plan, plan_cleanup, plan_resolve};
pub use rehearsal::{
    LockTaken, Origin, Outcome, Rehearsal, RehearsalServer, StatementRehearsal, StepRehearsal,
    WayBack,
};
pub use step::{
    Action, LaterContent, PlannedStatement, RedisContent, Resolution, SqlContent, Step, StepContent,
};

use crate::model::checksum::Checksum;
use crate::model::config::PlanConfig;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::state::{Fingerprint, Legacy, StoreIdentity};

/// A plan, with the digest of its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What will run.
    pub decision: Decision,
    /// What was counted and estimated.
    pub evidence: Evidence,
    /// Digest of the decision's encoding.
    pub digest: PlanDigest,
}

/// What will run, from which recorded state, against which databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What the plan is for.
    pub purpose: Purpose,
    /// The name of the desired version.
    pub version: String,
    /// The only store that the plan may touch, where the user asked for one.
    pub only: Option<StoreKind>,
    /// Migrations of the version that are left out, since their store is not configured.
    pub left_out: BTreeSet<MigrationId>,
    /// The configuration that decides what runs; no secret is in it.
    pub config: PlanConfig,
    /// All SQL migrations of the catalog, in the order of their numbers: what golang-migrate's row is
    /// computed from.
    pub numbered: Vec<MigrationId>,
    /// Marker names of earlier tools that were looked for.
    pub markers: Vec<String>,
    /// What each store recorded when the plan was made.
    pub recorded: BTreeMap<StoreKind, RecordedStore>,
    /// The objects that the schema folder owns, as its lock file names them: what the fingerprint is of.
    /// `None` without a lock file: then it is of the whole schema.
    pub owned: Option<BTreeSet<String>>,
    /// The steps, in an order in which they may run one after the other.
    pub steps: Vec<Step>,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To reach the desired version.
    Migrate,
    /// To remove what applied migrations left behind.
    Cleanup,
    /// To record what a person decided about one migration.
    Resolve,
}

/// What a store recorded when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedStore {
    /// Which database.
    pub identity: StoreIdentity,
    /// The ledger, without the times and names that decide nothing.
    pub entries: BTreeMap<MigrationId, RecordedEntry>,
    /// What earlier tools recorded.
    pub legacy: Legacy,
    /// Digest of the real schema, for a store that has one.
    pub fingerprint: Option<Fingerprint>,
}

/// A ledger entry as far as it decides anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedEntry {
    /// Where the migration stands.
    pub status: RecordedStatus,
    /// Of the file that was applied.
    pub checksum: Checksum,
}

/// Where a migration stands, as far as it decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordedStatus {
    /// In place.
    Applied,
    /// In place, and what it left behind is removed.
    Cleaned,
    /// Not applicable.
    Skipped,
    /// Being applied.
    Applying,
    /// Being reverted.
    Reverting,
    /// In place, and being cleaned up.
    Cleaning,
}

/// The SHA-256 of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanDigest(pub [u8; 32]);

impl PlanDigest {
    /// The digest as 64 hex digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first twelve hex digits, for screens.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl std::fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl std::str::FromStr for PlanDigest {
    type Err = PlanDigestError;

    /// Reads 64 hex digits, with or without `sha256:` before them; upper-case digits are accepted.
    fn from_str(text: &str) -> Result<Self, PlanDigestError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text.strip_prefix("sha256:").unwrap_or(text), &mut digest)
            .map_err(|_| PlanDigestError)?;
        Ok(Self(digest))
    }
}

/// A text is not the digest of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a digest is \"sha256:\" and 64 hex digits, all of them, as `outpost migrate plan` and `outpost migrate show FILE` print it"
)]
pub struct PlanDigestError;

impl Decision {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The stores that the steps write to, Postgres first.
    pub fn touched(&self) -> BTreeSet<StoreKind> {
        self.steps.iter().map(|s| s.id.store()).collect()
    }

    /// The step for a migration.
    pub fn step(&self, id: &MigrationId) -> Option<&Step> {
        self.steps.iter().find(|s| s.id == *id)
    }
}
