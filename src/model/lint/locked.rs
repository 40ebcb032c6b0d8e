//! Files that are not as the lock file pins them.

use super::rules::{LOCK_ADDED, LOCK_EDITED, LOCK_REMOVED, LOCK_REORDERED};
use super::{Raw, Rule};
use crate::model::catalog::Catalog;
use crate::model::id::MigrationId;
use crate::model::lock::LockFinding;

const WRITE_ANEW: &str = "write the lock anew: outpost migrate lock";
const RESTORE: &str = "where it was applied anywhere, restore it and write a new migration; otherwise: outpost migrate lock";

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
        let message = difference.to_string();
        let (rule, id, file, advice): (&'static Rule, _, _, _) = match difference {
            LockFinding::Edited { path, .. } => {
                let id = owner(&path);
                let history = id
                    .as_ref()
                    .and_then(|id| catalog.get(id))
                    .is_some_and(|migration| migration.path() == path);
                let advice = if history { RESTORE } else { WRITE_ANEW };
                (&LOCK_EDITED, id, path, advice)
            }
            LockFinding::Removed { path } => (&LOCK_REMOVED, owner(&path), path, RESTORE),
            LockFinding::AddedWithoutLock { path } => (&LOCK_ADDED, owner(&path), path, WRITE_ANEW),
            LockFinding::Reordered { id } => {
                let file = catalog
                    .get(&id)
                    .map_or_else(String::new, |m| m.path().to_owned());
                (
                    &LOCK_REORDERED,
                    Some(id),
                    file,
                    "where it was applied anywhere, restore its requirements; otherwise: outpost migrate lock",
                )
            }
        };
        found.push(Raw {
            rule,
            id,
            file,
            line: None,
            statement: None,
            message,
            advice: Some(advice.to_owned()),
        });
    }
}
