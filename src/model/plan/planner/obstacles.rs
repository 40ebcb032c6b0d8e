//! What stops a plan, before any step is thought of.

use std::collections::BTreeSet;

use crate::model::id::{MigrationId, StoreKind};
use crate::model::plan::planner::Planner;
use crate::model::plan::{PlanError, Step};
use crate::model::state::Proof;

impl Planner<'_> {
    pub(super) fn refuse_unknown(&self) -> Result<(), PlanError> {
        let unknown: Vec<MigrationId> = self
            .observed
            .stores
            .values()
            .flat_map(|s| &s.ledger)
            .filter(|(id, entry)| self.catalog.get(id).is_none() && entry.recorded().is_some())
            .map(|(id, _)| id.clone())
            .collect();
        if !unknown.is_empty() && !self.desired.revert_unknown {
            return Err(PlanError::Ahead(unknown));
        }
        match self.observed.unknown_version(self.catalog) {
            Some(row) if !row.dirty && !self.desired.revert_unknown => {
                Err(PlanError::AheadUnknown {
                    table: self.golang_table(),
                    version: row.version,
                })
            }
            _ => Ok(()),
        }
    }

    fn golang_table(&self) -> String {
        let state = self.observed.stores.get(&StoreKind::Sql);
        state
            .and_then(|s| s.legacy.golang_migrate.as_ref())
            .map(|g| g.table.clone())
            .unwrap_or_default()
    }

    pub(super) fn refuse_dirty(&self) -> Result<(), PlanError> {
        let Some(state) = self.observed.stores.get(&StoreKind::Sql) else {
            return Ok(());
        };
        let Some(version) = state.legacy.dirty_at() else {
            return Ok(());
        };
        let id = self
            .catalog
            .ids_of(StoreKind::Sql)
            .find(|id| id.number() == version)
            .cloned();
        // Our own CONCURRENTLY steps mark the row dirty while they run; the ledger then says so.
        if id.as_ref().is_some_and(|id| self.half(id).is_some()) {
            return Ok(());
        }
        let found = match id.as_ref().and_then(|id| state.proofs.get(id)) {
            Some(Proof::Disproven(found)) => found.clone(),
            Some(Proof::Proven(proof)) => vec![proof.clone()],
            _ => Vec::new(),
        };
        Err(PlanError::Dirty {
            table: self.golang_table(),
            version,
            id,
            found,
        })
    }

    pub(super) fn refuse_edits(&self) -> Result<(), PlanError> {
        for migration in self.catalog.iter() {
            let Some(entry) = self.observed.entry(&migration.id) else {
                continue;
            };
            if entry.recorded().is_none() || entry.checksum == *migration.checksum() {
                continue;
            }
            let half_done = self.half(&migration.id).is_some();
            if half_done || !self.desired.accept_edits {
                return Err(PlanError::Edited {
                    id: migration.id.clone(),
                    file: migration.path().into(),
                    recorded: entry.checksum,
                    found: *migration.checksum(),
                    half_done,
                });
            }
        }
        Ok(())
    }

    /// The filter may not leave something in place whose requirement is reverted.
    pub(super) fn refuse_stranded(&self, reverts: &[Step]) -> Result<(), PlanError> {
        let Some(only) = self.desired.only else {
            return Ok(());
        };
        let reverted: BTreeSet<MigrationId> = reverts.iter().map(|s| s.id.clone()).collect();
        for (id, entry) in self.observed.stores.values().flat_map(|s| &s.ledger) {
            if reverted.contains(id) || entry.recorded().is_none() {
                continue;
            }
            if let Some(needed) = self.graph.needs_within(id, &reverted).into_iter().next() {
                return Err(PlanError::FilterLeavesOut {
                    only,
                    id: needed,
                    missing: id.clone(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn refuse_ahead_unadopted(&self) -> Result<(), PlanError> {
        let ids: Vec<MigrationId> = self
            .claimed()
            .into_iter()
            .filter(|id| !self.wanted.contains(id) && !self.filtered(id))
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        Err(PlanError::AheadUnadopted {
            version: self.desired.version.clone(),
            ids,
        })
    }
}
