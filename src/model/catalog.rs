//! All migrations found under the schema path.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::checksum::Checksum;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lock::Lock;
use crate::model::migration::Migration;
use crate::model::versions::Versions;

/// The migrations of a schema folder, its versions and its lock file.
#[derive(Debug, Clone)]
pub struct Catalog {
    migrations: BTreeMap<MigrationId, Migration>,
    versions: Versions,
    lock: Option<Lock>,
}

impl Catalog {
    /// Puts the parts together; the graph checks what they say of one another.
    pub fn new(
        migrations: BTreeMap<MigrationId, Migration>,
        versions: Versions,
        lock: Option<Lock>,
    ) -> Self {
        Self {
            migrations,
            versions,
            lock,
        }
    }

    /// The same catalog with another lock file, or none.
    pub fn with_lock(self, lock: Option<Lock>) -> Self {
        Self { lock, ..self }
    }

    /// The migration with this id.
    pub fn get(&self, id: &MigrationId) -> Option<&Migration> {
        self.migrations.get(id)
    }

    /// All migrations, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Migration> {
        self.migrations.values()
    }

    /// The ids of one store, by number.
    pub fn ids_of(&self, store: StoreKind) -> impl Iterator<Item = &MigrationId> {
        self.migrations.keys().filter(move |id| id.store() == store)
    }

    /// All ids.
    pub fn ids(&self) -> BTreeSet<MigrationId> {
        self.migrations.keys().cloned().collect()
    }

    /// The declared versions.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The lock file, if the folder has one.
    pub fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// The marker names that earlier tools use for these migrations.
    pub fn markers(&self) -> Vec<String> {
        self.iter()
            .filter_map(|m| m.compat_name().map(str::to_owned))
            .collect()
    }

    /// Every file of every migration, with its checksum.
    pub fn files(&self) -> BTreeMap<MigrationId, BTreeMap<String, Checksum>> {
        self.iter().map(|m| (m.id.clone(), m.files())).collect()
    }

    /// Every object that the folder owns at some point, as the lock file names them.
    pub fn owned_objects(&self) -> Option<BTreeSet<String>> {
        let lock = self.lock.as_ref()?;
        Some(
            lock.migrations
                .iter()
                .flat_map(|m| m.objects.keys().cloned())
                .collect(),
        )
    }

    /// Whether it holds no migration at all.
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty()
    }
}
