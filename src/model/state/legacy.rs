//! What earlier tools recorded, and whether it is true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::id::{MigrationId, StoreKind};

/// What earlier tools recorded in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legacy {
    /// golang-migrate's row, where its table exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golang_migrate: Option<GolangMigrate>,
    /// The markers of the earlier Redis migrator, by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub markers: BTreeMap<String, Marker>,
}

/// golang-migrate's table. No row in it means that no migration was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GolangMigrate {
    /// The table's name.
    pub table: String,
    /// The row, if there is one.
    pub row: Option<GolangVersion>,
}

/// The row of golang-migrate's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GolangVersion {
    /// The last migration's number.
    pub version: u64,
    /// Whether it failed half way.
    pub dirty: bool,
}

/// A marker of the earlier Redis migrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// `applied` or `not_applicable`.
    pub status: MarkerStatus,
    /// Its reason, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a marker claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkerStatus {
    /// The migration was run.
    Applied,
    /// The migration does not apply to this deployment.
    NotApplicable,
    /// Something that no earlier tool is known to write.
    Other(String),
}

/// Whether a migration that an earlier tool recorded is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It is, and this shows it.
    Proven(String),
    /// It is not: what was found.
    Disproven(Vec<String>),
    /// Everything in place is right, but sources have no counterpart: left-overs of years, or losses.
    SourcesLeft {
        /// How many.
        count: u64,
        /// A few of them, printable.
        samples: Vec<String>,
    },
    /// Nothing to prove it with: no pinned fingerprint and no verification.
    Nothing,
}

impl Legacy {
    /// Whether an earlier tool recorded this migration as applied. golang-migrate's one number stands for
    /// every migration up to it; a dirty one claims nothing of the migration that it is dirty at.
    pub fn claims(&self, id: &MigrationId, compat_name: Option<&str>) -> bool {
        match id.store() {
            StoreKind::Sql => self
                .golang_migrate
                .as_ref()
                .and_then(|g| g.row)
                .is_some_and(|row| {
                    id.number() < row.version || (id.number() == row.version && !row.dirty)
                }),
            StoreKind::Redis => compat_name
                .and_then(|name| self.markers.get(name))
                .is_some_and(|m| m.status == MarkerStatus::Applied),
        }
    }

    /// Whether the marker of this name says neither that its migration was run nor that it does not apply.
    pub fn left_unfinished(&self, compat_name: Option<&str>) -> bool {
        compat_name
            .and_then(|name| self.markers.get(name))
            .is_some_and(|marker| matches!(marker.status, MarkerStatus::Other(_)))
    }

    /// The number at which golang-migrate's table is dirty.
    pub fn dirty_at(&self) -> Option<u64> {
        self.golang_migrate
            .as_ref()
            .and_then(|g| g.row)
            .filter(|row| row.dirty)
            .map(|row| row.version)
    }
}

impl std::fmt::Display for Legacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let Some(golang) = &self.golang_migrate {
            parts.push(match golang.row {
                None => format!("{} without a row", golang.table),
                Some(GolangVersion {
                    version,
                    dirty: false,
                }) => format!("{} at {version}", golang.table),
                Some(GolangVersion {
                    version,
                    dirty: true,
                }) => format!("{} dirty at {version}", golang.table),
            });
        }
        for (name, marker) in &self.markers {
            let status = match &marker.status {
                MarkerStatus::Applied => "applied",
                MarkerStatus::NotApplicable => "not applicable",
                MarkerStatus::Other(other) => other,
            };
            parts.push(format!("marker {name} {status}"));
        }
        if parts.is_empty() {
            parts.push("nothing".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}
