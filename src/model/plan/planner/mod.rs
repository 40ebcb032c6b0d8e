//! The decision: from what is desired and what was observed to the steps in between.

mod adoption;
mod contents;
mod obstacles;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::Catalog;
use crate::model::config::PlanConfig;
use crate::model::graph::Graph;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::migration::Migration;
use crate::model::plan::{Action, Decision, PlanError, Purpose, RecordedStore, Resolution, Step};
use crate::model::state::{Doing, LedgerEntry, LedgerStatus, ObservedState, Proof};

/// What the user wants.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Name of the version.
    pub version: String,
    /// The version's migrations; what they require is added while planning.
    pub ids: BTreeSet<MigrationId>,
    /// The only store to plan for.
    pub only: Option<StoreKind>,
    /// Whether edits of applied migrations are recorded instead of refused.
    pub accept_edits: bool,
    /// Whether lossy conversions may run.
    pub allow_lossy: bool,
    /// Whether migrations that the catalog does not know are reverted by the down SQL in the ledger.
    pub revert_unknown: bool,
    /// What of the configuration decides.
    pub config: PlanConfig,
}

/// Plans the way from the observed state to the desired version.
///
/// # Errors
/// [`PlanError`] says what keeps the version from being reached, before anything runs.
pub fn plan(
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    desired: &Desired,
) -> Result<Decision, PlanError> {
    Planner::new(catalog, graph, observed, desired)?.migrate()
}

/// Plans the cleanup of what applied migrations left behind; of `ids` alone, where they are given.
///
/// # Errors
/// As [`plan`]; an id that is not in the catalog.
pub fn plan_cleanup(
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    desired: &Desired,
    ids: Option<&BTreeSet<MigrationId>>,
) -> Result<Decision, PlanError> {
    Planner::new(catalog, graph, observed, desired)?.cleanup(ids)
}

/// Plans the record of a person's decision about a migration that is half done.
///
/// # Errors
/// An id that is not in the catalog, and a migration that is not half done.
pub fn plan_resolve(
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    desired: &Desired,
    id: &MigrationId,
    resolution: Resolution,
) -> Result<Decision, PlanError> {
    let planner = Planner {
        catalog,
        graph,
        observed,
        desired,
        wanted: BTreeSet::new(),
    };
    planner.resolve(id, resolution)
}

struct Planner<'a> {
    catalog: &'a Catalog,
    graph: &'a Graph,
    observed: &'a ObservedState,
    desired: &'a Desired,
    /// The desired migrations and what they require.
    wanted: BTreeSet<MigrationId>,
}

impl<'a> Planner<'a> {
    fn new(
        catalog: &'a Catalog,
        graph: &'a Graph,
        observed: &'a ObservedState,
        desired: &'a Desired,
    ) -> Result<Self, PlanError> {
        let wanted = graph.with_requirements(&desired.ids);
        let planner = Self {
            catalog,
            graph,
            observed,
            desired,
            wanted,
        };
        planner.refuse_unknown()?;
        planner.refuse_dirty()?;
        planner.refuse_edits()?;
        Ok(planner)
    }

    fn migrate(&self) -> Result<Decision, PlanError> {
        self.refuse_ahead_unadopted()?;
        let mut reverts = self.reverts()?;
        let mut steps = Vec::new();
        for id in self.graph.order(&self.wanted) {
            if self.filtered(&id) {
                continue;
            }
            let Some(migration) = self.catalog.get(&id) else {
                continue;
            };
            if let Some(step) = self.forward(migration)? {
                steps.push(step);
            }
        }
        self.refuse_stranded(&reverts)?;
        self.link(&mut steps, &reverts)?;
        reverts.extend(self.adopt_row_last(steps));
        Ok(self.decision(Purpose::Migrate, reverts))
    }

    fn cleanup(&self, ids: Option<&BTreeSet<MigrationId>>) -> Result<Decision, PlanError> {
        for id in ids.into_iter().flatten() {
            self.known(id)?;
        }
        let chosen: BTreeSet<MigrationId> = self
            .catalog
            .iter()
            .filter(|m| m.has_cleanup() && !self.filtered(&m.id))
            .filter(|m| ids.is_none_or(|ids| ids.contains(&m.id)))
            .filter(|m| self.observed.entry(&m.id).is_some_and(needs_cleanup))
            .map(|m| m.id.clone())
            .collect();
        let mut steps = Vec::new();
        for id in self.graph.order(&chosen) {
            let Some(migration) = self.catalog.get(&id) else {
                continue;
            };
            let resumes = self.half(&id) == Some(Doing::Cleanup);
            let content = self.cleanup_content(migration)?;
            steps.push(self.step(migration, Action::Cleanup, content, resumes));
        }
        self.link(&mut steps, &[])?;
        Ok(self.decision(Purpose::Cleanup, steps))
    }

    fn resolve(&self, id: &MigrationId, resolution: Resolution) -> Result<Decision, PlanError> {
        let migration = self.known(id)?;
        let state = self.observed.stores.get(&id.store());
        let dirty = id.store() == StoreKind::Sql
            && state.and_then(|s| s.legacy.dirty_at()) == Some(id.number());
        let entry = self.observed.entry(id);
        let unproven = state
            .and_then(|s| s.proofs.get(id))
            .is_some_and(|p| !matches!(p, Proof::Proven(_)));
        let unfinished = entry.and_then(LedgerEntry::recorded).is_none()
            && state.is_some_and(|s| s.legacy.left_unfinished(migration.compat_name()));
        let half_done = self.half(id).is_some();
        if !dirty && !unproven && !unfinished && !half_done {
            let status = match entry.and_then(LedgerEntry::recorded) {
                None => "not applied".to_owned(),
                Some(e) => e.status.to_string(),
            };
            return Err(PlanError::NothingToResolve {
                id: id.clone(),
                status,
            });
        }
        let step = self.step(
            migration,
            Action::Resolve(resolution),
            self.declaration(migration),
            false,
        );
        Ok(self.decision(Purpose::Resolve, vec![step]))
    }

    /// Makes every step wait for what it needs, and for all reverts.
    fn link(&self, steps: &mut [Step], reverts: &[Step]) -> Result<(), PlanError> {
        let planned: BTreeSet<MigrationId> = steps.iter().map(|s| s.id.clone()).collect();
        for step in steps {
            step.after = self.graph.needs_within(&step.id, &planned);
            step.after.extend(reverts.iter().map(|r| r.id.clone()));
            let missing = self.graph.requirements(&step.id).find(|needed| {
                !planned.contains(needed)
                    && self.configured(needed)
                    && !self
                        .observed
                        .entry(needed)
                        .is_some_and(LedgerEntry::satisfies)
            });
            if let (Some(missing), Some(only)) = (missing, self.desired.only) {
                return Err(PlanError::FilterLeavesOut {
                    only,
                    id: step.id.clone(),
                    missing: missing.clone(),
                });
            }
        }
        Ok(())
    }

    fn decision(&self, purpose: Purpose, steps: Vec<Step>) -> Decision {
        let owned = self.catalog.owned_objects();
        let recorded: BTreeMap<StoreKind, RecordedStore> = self
            .observed
            .stores
            .iter()
            .map(|(store, state)| (*store, state.recorded(owned.as_ref())))
            .collect();
        Decision {
            purpose,
            version: self.desired.version.clone(),
            only: self.desired.only,
            left_out: self
                .wanted
                .iter()
                .filter(|id| !self.configured(id))
                .cloned()
                .collect(),
            config: self.desired.config.clone(),
            numbered: self.catalog.ids_of(StoreKind::Sql).cloned().collect(),
            markers: self.catalog.markers(),
            recorded,
            steps,
            owned,
        }
    }

    // Questions.

    fn known(&self, id: &MigrationId) -> Result<&'a Migration, PlanError> {
        self.catalog.get(id).ok_or_else(|| {
            let known: Vec<String> = self.catalog.iter().map(|m| m.id.to_string()).collect();
            PlanError::Unknown {
                id: id.to_string(),
                nearest: crate::model::nearest::nearest(
                    &id.to_string(),
                    known.iter().map(String::as_str),
                ),
            }
        })
    }

    /// Whether a migration is left out: by the filter, or since its store is not configured.
    fn filtered(&self, id: &MigrationId) -> bool {
        self.desired.only.is_some_and(|only| only != id.store()) || !self.configured(id)
    }

    fn configured(&self, id: &MigrationId) -> bool {
        self.observed.stores.contains_key(&id.store())
    }

    fn half(&self, id: &MigrationId) -> Option<Doing> {
        match self.observed.entry(id)?.status {
            LedgerStatus::Partial { doing } => Some(doing),
            _ => None,
        }
    }

    fn claimed(&self) -> BTreeSet<MigrationId> {
        self.observed.claimed(self.catalog)
    }
}

fn needs_cleanup(entry: &LedgerEntry) -> bool {
    matches!(
        entry.status,
        LedgerStatus::Applied { cleaned: false, .. }
            | LedgerStatus::Partial {
                doing: Doing::Cleanup
            }
    )
}
