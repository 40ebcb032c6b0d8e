//! `schema/outpost.lock`: the pinned checksum of every file, and the fingerprint of the schema after
//! each SQL migration.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::checksum::Checksum;
use crate::model::drift::{self, ObjectDifference};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::state::{Fingerprint, SchemaObjects};

/// The version of the lock file's format that this tool writes.
pub const LOCK_FORMAT: u32 = 1;

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Format of the file.
    pub format: u32,
    /// Major version of the Postgres in which the folder was replayed: the server words some
    /// definitions differently from one major version to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<u32>,
    /// The migrations, in the order in which they were replayed.
    #[serde(default, rename = "migration")]
    pub migrations: Vec<LockedMigration>,
}

/// What the lock pins of one migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedMigration {
    /// The migration.
    pub id: MigrationId,
    /// Checksum of each of its files, by path below the schema folder.
    pub files: BTreeMap<String, Checksum>,
    /// The objects that the folder owns after this migration, each with the digest of its definition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, String>,
}

/// Why a lock file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is no TOML, or not of this shape.
    #[error("{file} is not a lock file: {message}")]
    Malformed {
        /// The file.
        file: String,
        /// The parser's words.
        message: String,
    },
    /// Another tool version wrote it.
    #[error("{file} has format {found}; this version of outpost reads format {LOCK_FORMAT}")]
    Format {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
    },
}

impl LockError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some("write it anew with: outpost migrate lock".to_owned())
    }
}

/// A difference between the schema folder and its lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LockFinding {
    /// A file's content is not what was pinned.
    Edited {
        /// Path below the schema folder.
        path: String,
        /// What the lock says.
        pinned: Checksum,
        /// What is on disk.
        found: Checksum,
    },
    /// A pinned file is gone.
    Removed {
        /// Path below the schema folder.
        path: String,
    },
    /// A file that the lock does not know.
    AddedWithoutLock {
        /// Path below the schema folder.
        path: String,
    },
    /// The migrations run in another order than the one that was replayed.
    Reordered {
        /// The first migration that stands elsewhere.
        id: MigrationId,
    },
}

impl LockFinding {
    /// What sort of difference it is, in one word; the linter's rules are named after it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Edited { .. } => "lock-edited",
            Self::Removed { .. } => "lock-removed",
            Self::AddedWithoutLock { .. } => "lock-added-without-lock",
            Self::Reordered { .. } => "lock-reordered",
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Edited { path, .. } | Self::Removed { path } if is_history(path) => {
                "where it was applied anywhere, restore it and write a new migration; otherwise: outpost migrate lock"
            }
            Self::Edited { .. } | Self::Removed { .. } | Self::AddedWithoutLock { .. } => {
                "write the lock anew: outpost migrate lock"
            }
            Self::Reordered { .. } => {
                "where it was applied anywhere, restore its requirements; otherwise: outpost migrate lock"
            }
        }
    }
}

/// Whether the ledger records this file's checksum, so that databases in which it was applied remember how it was.
fn is_history(path: &str) -> bool {
    path.ends_with(".up.sql") || path.ends_with(".toml")
}

impl Lock {
    /// A lock that pins nothing.
    pub fn empty() -> Self {
        Self {
            format: LOCK_FORMAT,
            postgres: None,
            migrations: Vec::new(),
        }
    }

    /// The text of the lock file.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        let body = toml::to_string_pretty(self)?;
        Ok(format!(
            "# Written by `outpost migrate lock`. Commit it; do not edit it.\n\n{body}"
        ))
    }

    /// Reads a lock file.
    ///
    /// # Errors
    /// [`LockError`] where it is malformed or of another format.
    pub fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let lock: Self = toml::from_str(text).map_err(|e| LockError::Malformed {
            file: file.to_owned(),
            message: e.message().to_owned(),
        })?;
        if lock.format != LOCK_FORMAT {
            return Err(LockError::Format {
                file: file.to_owned(),
                found: lock.format,
            });
        }
        Ok(lock)
    }

    /// The state that the folder reaches when exactly `applied` SQL migrations are in place, if that is
    /// one of the states that were replayed.
    pub fn pin_for(&self, applied: &BTreeSet<MigrationId>) -> Option<&LockedMigration> {
        let mut seen = BTreeSet::new();
        for pin in self
            .migrations
            .iter()
            .filter(|m| m.id.store() == StoreKind::Sql)
        {
            seen.insert(&pin.id);
            if seen.len() == applied.len() {
                return (seen == applied.iter().collect()).then_some(pin);
            }
        }
        None
    }

    /// The pin of one migration.
    pub fn get(&self, id: &MigrationId) -> Option<&LockedMigration> {
        self.migrations.iter().find(|m| m.id == *id)
    }

    /// What differs between this lock and the files on disk, given the order in which they would run.
    pub fn compare(
        &self,
        files: &BTreeMap<MigrationId, BTreeMap<String, Checksum>>,
        order: &[MigrationId],
    ) -> Vec<LockFinding> {
        let mut findings = Vec::new();
        let pinned: BTreeMap<&String, &Checksum> =
            self.migrations.iter().flat_map(|m| &m.files).collect();
        let found: BTreeMap<&String, &Checksum> = files.values().flatten().collect();
        for (path, pin) in &pinned {
            match found.get(path) {
                None => findings.push(LockFinding::Removed {
                    path: (*path).clone(),
                }),
                Some(now) if now != pin => findings.push(LockFinding::Edited {
                    path: (*path).clone(),
                    pinned: **pin,
                    found: **now,
                }),
                Some(_) => {}
            }
        }
        for path in found.keys().filter(|path| !pinned.contains_key(*path)) {
            findings.push(LockFinding::AddedWithoutLock {
                path: (*path).clone(),
            });
        }
        let known: Vec<&MigrationId> = self.migrations.iter().map(|m| &m.id).collect();
        let both = |id: &&&MigrationId| known.contains(*id) && order.contains(id);
        let then: Vec<&&MigrationId> = known.iter().filter(both).collect();
        let order: Vec<&MigrationId> = order.iter().collect();
        let now: Vec<&&MigrationId> = order.iter().filter(both).collect();
        if let Some((id, _)) = then.iter().zip(&now).find(|(a, b)| a != b) {
            findings.push(LockFinding::Reordered { id: (**id).clone() });
        }
        findings
    }
}

impl LockedMigration {
    /// The fingerprint of the owned objects.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(
            self.objects
                .iter()
                .map(|(id, digest)| (id.as_str(), digest.as_str())),
        )
    }

    /// How the live schema differs from this pin; objects that the folder does not own do not count.
    pub fn differences(&self, live: &SchemaObjects) -> Vec<ObjectDifference> {
        drift::differences(&self.objects, live)
    }
}

impl std::fmt::Display for LockFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Edited {
                path,
                pinned,
                found,
            } => {
                write!(
                    f,
                    "{path} was edited: locked as {}, found {}",
                    pinned.short(),
                    found.short()
                )
            }
            Self::Removed { path } => write!(f, "{path} was removed"),
            Self::AddedWithoutLock { path } => write!(f, "{path} was added without a new lock"),
            Self::Reordered { id } => {
                write!(f, "{id} runs at another place than when it was locked")
            }
        }
    }
}
