//! Where each migration stands, and whether the application may start: one definition for `list`, `graph`
//! and the gate.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::catalog::Catalog;
use crate::model::config::Ahead;
use crate::model::history::Failure;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::LeaseInfo;
use crate::model::state::{Doing, GolangVersion, LedgerStatus, ObservedState};

/// Where a migration stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// In place and recorded.
    Applied {
        /// Whether what it left behind was removed.
        cleaned: bool,
    },
    /// Does not apply here.
    Skipped {
        /// Why.
        reason: String,
    },
    /// To be applied.
    Pending,
    /// An earlier tool recorded it; the next apply adopts it.
    Unadopted,
    /// A run that is alive has begun a step and not finished it.
    Running {
        /// What it is doing.
        doing: Doing,
    },
    /// A step was begun and not finished.
    Interrupted {
        /// What it was doing.
        doing: Doing,
    },
    /// golang-migrate failed half way in it.
    Dirty,
    /// Its file was edited after it was applied.
    Edited,
    /// In place, but outside of the desired version.
    Ahead,
    /// Neither in place nor desired.
    Unwanted,
    /// Its store is not configured, so it is left out.
    Unconfigured,
}

impl Status {
    /// One or two words for screens.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Applied { cleaned: false } => "applied",
            Self::Applied { cleaned: true } => "cleaned",
            Self::Skipped { .. } => "skipped",
            Self::Pending => "pending",
            Self::Unadopted => "unadopted",
            Self::Running { .. } => "running",
            Self::Interrupted { .. } => "interrupted",
            Self::Dirty => "dirty",
            Self::Edited => "edited",
            Self::Ahead => "ahead",
            Self::Unwanted => "not desired",
            Self::Unconfigured => "no store",
        }
    }

    /// Whether the application must not start while a migration stands here.
    pub fn blocks(&self) -> bool {
        matches!(
            self,
            Self::Pending
                | Self::Unadopted
                | Self::Running { .. }
                | Self::Interrupted { .. }
                | Self::Dirty
                | Self::Edited
        )
    }
}

/// A migration and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// The migration.
    pub id: MigrationId,
    /// What it is for.
    pub description: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub status: Status,
    /// When it was recorded, RFC 3339.
    pub at: Option<String>,
    /// Who recorded it.
    pub by: Option<String>,
    /// The first version that holds it.
    pub version: Option<String>,
    /// What it requires.
    pub requires: BTreeSet<MigrationId>,
    /// Whether the schema folder defines it; otherwise only the ledger knows it.
    pub in_catalog: bool,
    /// Whether it would be applied after a migration with a higher number.
    pub out_of_order: bool,
    /// The last attempt, where that failed; known only where somebody asked the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failure>,
}

/// Where every migration of the catalog and of the ledgers stands, by id.
pub fn statuses(
    catalog: &Catalog,
    observed: &ObservedState,
    desired: &BTreeSet<MigrationId>,
) -> Vec<MigrationStatus> {
    let claimed = observed.claimed(catalog);
    let mut ids = catalog.ids();
    for state in observed.stores.values() {
        ids.extend(
            state
                .ledger
                .iter()
                .filter(|(_, e)| e.recorded().is_some())
                .map(|(id, _)| id.clone()),
        );
    }
    ids.into_iter()
        .map(|id| {
            let migration = catalog.get(&id);
            let entry = observed.entry(&id).filter(|e| e.recorded().is_some());
            let status = status(catalog, observed, desired, &claimed, &id);
            let out_of_order = status == Status::Pending
                && observed.stores.get(&id.store()).is_some_and(|s| {
                    s.ledger
                        .iter()
                        .any(|(other, e)| other.number() > id.number() && e.is_applied())
                });
            MigrationStatus {
                description: migration.and_then(|m| m.description.clone()),
                at: entry.map(|e| e.at.clone()),
                by: entry.map(|e| e.actor.clone()),
                version: catalog.versions().declared_in(&id).map(str::to_owned),
                requires: migration.map(|m| m.requires.clone()).unwrap_or_default(),
                in_catalog: migration.is_some(),
                status,
                out_of_order,
                failed: None,
                id,
            }
        })
        .collect()
}

fn status(
    catalog: &Catalog,
    observed: &ObservedState,
    desired: &BTreeSet<MigrationId>,
    claimed: &BTreeSet<MigrationId>,
    id: &MigrationId,
) -> Status {
    let wanted = desired.contains(id);
    let Some(store) = observed.stores.get(&id.store()) else {
        return if wanted {
            Status::Unconfigured
        } else {
            Status::Unwanted
        };
    };
    let recorded = store.ledger.get(id).filter(|e| e.recorded().is_some());
    if let Some(doing) = recorded.and_then(|e| match e.status {
        LedgerStatus::Partial { doing } => Some(doing),
        _ => None,
    }) {
        // A lease of an earlier tool is no run of ours.
        let alive = |lease: &LeaseInfo| lease.holder.is_some() && lease.being_renewed();
        return match store.lease.as_ref().is_some_and(alive) {
            true => Status::Running { doing },
            false => Status::Interrupted { doing },
        };
    }
    if id.store() == StoreKind::Sql && store.legacy.dirty_at() == Some(id.number()) {
        return Status::Dirty;
    }
    let Some(entry) = recorded else {
        return match (claimed.contains(id), wanted) {
            (true, true) => Status::Unadopted,
            (true, false) => Status::Ahead,
            (false, true) => Status::Pending,
            (false, false) => Status::Unwanted,
        };
    };
    if catalog
        .get(id)
        .is_some_and(|m| *m.checksum() != entry.checksum)
    {
        return Status::Edited;
    }
    match (&entry.status, wanted) {
        (LedgerStatus::Skipped { reason }, _) => Status::Skipped {
            reason: reason.clone(),
        },
        (_, false) => Status::Ahead,
        (LedgerStatus::Applied { cleaned, .. }, true) => Status::Applied { cleaned: *cleaned },
        // Partial and reverted entries were answered above.
        (LedgerStatus::Partial { doing }, true) => Status::Interrupted { doing: *doing },
        (LedgerStatus::Reverted, true) => Status::Pending,
    }
}

/// Whether the application may start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// The desired version.
    pub version: String,
    /// What keeps it closed.
    pub blocking: Vec<MigrationStatus>,
    /// What is in place outside of the desired version.
    pub ahead: Vec<MigrationStatus>,
    /// golang-migrate's row, where its number is of no migration of the catalog.
    pub unknown: Option<GolangVersion>,
    /// What a database that is ahead means here.
    #[serde(skip)]
    pub policy: Ahead,
}

impl Gate {
    /// Decides from where the migrations stand.
    pub fn new(
        version: &str,
        statuses: &[MigrationStatus],
        catalog: &Catalog,
        observed: &ObservedState,
        policy: Ahead,
    ) -> Self {
        Self {
            version: version.to_owned(),
            blocking: statuses
                .iter()
                .filter(|s| s.status.blocks())
                .cloned()
                .collect(),
            ahead: statuses
                .iter()
                .filter(|s| s.status == Status::Ahead)
                .cloned()
                .collect(),
            unknown: observed.unknown_version(catalog),
            policy,
        }
    }

    /// Whether the application may start.
    pub fn open(&self) -> bool {
        self.blocking.is_empty()
            && !self.unknown.is_some_and(|row| row.dirty)
            && (!self.is_ahead() || self.policy != Ahead::Refuse)
    }

    /// Whether the user is to be told that the database is ahead.
    pub fn warns(&self) -> bool {
        self.is_ahead() && self.policy == Ahead::Warn
    }

    /// Whether anything is in place that the desired version does not hold.
    pub fn is_ahead(&self) -> bool {
        !self.ahead.is_empty() || self.unknown.is_some()
    }
}
