//! Why there is no plan.

use crate::model::checksum::Checksum;
use crate::model::id::{MigrationId, StoreKind};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Applied migrations that the schema folder does not know.
    #[error("the database is ahead: the ledger holds {}, which the schema folder does not define", list(.0))]
    Ahead(Vec<MigrationId>),
    /// An earlier tool recorded migrations outside of the desired version.
    #[error("the database is ahead of version {version}: an earlier tool recorded {}", list(.ids))]
    AheadUnadopted {
        /// The desired version.
        version: String,
        /// What was recorded and is not desired.
        ids: Vec<MigrationId>,
    },
    /// golang-migrate's row names a number that the schema folder does not define.
    #[error(
        "the database is ahead: {table} is at version {version}, which the schema folder does not define"
    )]
    AheadUnknown {
        /// golang-migrate's table.
        table: String,
        /// Its version.
        version: u64,
    },
    /// golang-migrate's row is dirty.
    #[error("{table} is dirty at version {version}: {} failed half way under golang-migrate{}", id.as_ref().map_or_else(|| "a migration that the schema folder does not define".to_owned(), ToString::to_string), details(.found))]
    Dirty {
        /// golang-migrate's table.
        table: String,
        /// Its version.
        version: u64,
        /// The migration with that number.
        id: Option<MigrationId>,
        /// What is in place and what is missing.
        found: Vec<String>,
    },
    /// A file was edited after it was applied.
    #[error("{id} was edited after it was applied: the ledger has {recorded}, {file} has {found}")]
    Edited {
        /// The migration.
        id: MigrationId,
        /// Its file.
        file: Box<str>,
        /// The checksum in the ledger.
        recorded: Checksum,
        /// The checksum of the file.
        found: Checksum,
        /// Whether a step of it is half done, so that the edit cannot simply be accepted.
        half_done: bool,
    },
    /// Applied migrations that would have to be reverted and cannot be.
    #[error("version {version} needs reverts that are not possible: {}", .reasons.join("; "))]
    Irreversible {
        /// The desired version.
        version: String,
        /// One sentence a migration.
        reasons: Vec<String>,
    },
    /// A half-done revert of something that is desired, or a half-done apply of something that is not.
    #[error(
        "{id} is half {doing}: the step was interrupted, and version {version} wants the opposite"
    )]
    HalfDone {
        /// The migration.
        id: MigrationId,
        /// `applied` or `reverted`.
        doing: &'static str,
        /// The desired version.
        version: String,
    },
    /// A migration that an earlier tool recorded is not proven to be in place.
    #[error("an earlier tool recorded {id} as applied, but it is not proven to be in place: {}", .findings.join("; "))]
    Unproven {
        /// The migration.
        id: MigrationId,
        /// What was found.
        findings: Vec<String>,
        /// Whether sources without a counterpart are all that was found.
        sources_left: bool,
    },
    /// The store filter leaves out something that a step needs.
    #[error("--only {only} leaves out {missing}, which has to come before {id}")]
    FilterLeavesOut {
        /// The filter.
        only: StoreKind,
        /// The step.
        id: MigrationId,
        /// What it needs.
        missing: MigrationId,
    },
    /// A planned file does not parse.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// The parser's words.
        message: String,
    },
    /// An id that the catalog does not have.
    #[error("{id} is not in the schema folder{}", nearest.as_ref().map(|n| format!("; the nearest id is {n}")).unwrap_or_default())]
    Unknown {
        /// The id.
        id: String,
        /// One that looks like it.
        nearest: Option<String>,
    },
    /// There is nothing to resolve.
    #[error("{id} needs no decision: it is {status}")]
    NothingToResolve {
        /// The migration.
        id: MigrationId,
        /// Where it stands.
        status: String,
    },
}

fn list(ids: &[MigrationId]) -> String {
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn details(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(": {}", found.join("; "))
    }
}

impl PlanError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ahead(_) => "use a schema folder that has these migrations, or revert them by the down SQL in the ledger: outpost migrate plan --revert-unknown".to_owned(),
            Self::AheadUnadopted { .. } => "adopt what is there first, by planning for a version that holds it: outpost migrate plan --to VERSION".to_owned(),
            Self::AheadUnknown { .. } => "use the schema folder that has this migration".to_owned(),
            Self::Dirty { id: Some(id), .. } => format!("look at the database, then say what is true: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::Dirty { id: None, .. } => "use the schema folder that has this migration".to_owned(),
            Self::Edited { half_done: true, id, .. } => format!("restore the file, or finish by hand and say so: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::Edited { .. } => "restore the file and write a new migration, or record the edit: outpost migrate plan --accept-edits".to_owned(),
            Self::Irreversible { .. } => "write a .down.sql, or stay at a version that keeps these migrations".to_owned(),
            Self::HalfDone { id, .. } => format!("finish it by planning for the version it was for, or decide: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::Unproven { sources_left: true, .. } => "set [adopt] missing = \"keep\" to leave them as they are, or \"copy\" to run the migration for them".to_owned(),
            Self::Unproven { id, .. } => format!("pin the schema with outpost migrate lock, give the migration a .verify.sql, or decide: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::FilterLeavesOut { .. } => "plan without --only".to_owned(),
            Self::Syntax { .. } => "correct the statement; if Postgres does accept it, put `-- outpost: parse = false` at the top of the file".to_owned(),
            Self::Unknown { .. } => "outpost migrate list shows the ids".to_owned(),
            Self::NothingToResolve { .. } => return None,
        })
    }
}
