//! Files that are not as the lock file pins them.

use super::rules::{LOCK_ADDED, LOCK_EDITED, LOCK_REMOVED, LOCK_REORDERED};
use super::{Raw, Rule};
use crate::model::catalog::Catalog;
use crate::model::id::MigrationId;
use crate::model::lock::LockFinding;

pub(super) fn compare(catalog: &Catalog, order: &[MigrationId], found: &mut Vec<Raw>) {
    let Some(lock) = catalog.lock() else {
        return;
    };
    let files = catalog.files();
    let owner = |path: &str| {
        let on_disk = files.iter().find(|(_, paths)| paths.contains_key(path));
        let pinned = || lock.migrations.iter().find(|m| m.files.contains_key(path));
        on_disk
            .map(|(id, _)| id.clone())
            .or_else(|| pinned().map(|m| m.id.clone()))
    };
    for difference in lock.compare(&files, order) {
        let (rule, id, file): (&'static Rule, _, _) = match &difference {
            LockFinding::Edited { path, .. } => (&LOCK_EDITED, owner(path), path.clone()),
            LockFinding::Removed { path } => (&LOCK_REMOVED, owner(path), path.clone()),
            LockFinding::AddedWithoutLock { path } => (&LOCK_ADDED, owner(path), path.clone()),
            LockFinding::Reordered { id } => {
                let migration = catalog.get(id);
                let file = migration.map_or_else(String::new, |m| m.path().to_owned());
                (&LOCK_REORDERED, Some(id.clone()), file)
            }
        };
        found.push(Raw {
            rule,
            id,
            file,
            line: None,
            statement: None,
            message: difference.to_string(),
            advice: Some(difference.advice().to_owned()),
        });
    }
}
