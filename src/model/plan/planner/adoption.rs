//! Taking over what an earlier tool applied.

use std::collections::BTreeSet;

use crate::model::config::AdoptMissing;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::plan::planner::Planner;
use crate::model::plan::{Action, PlanError, Step};
use crate::model::state::Proof;

impl Planner<'_> {
    /// What proves a migration that an earlier tool recorded; `None` where it is to be run again for the
    /// sources that have no counterpart.
    pub(super) fn adoptable(&self, id: &MigrationId) -> Result<Option<String>, PlanError> {
        let proof = self
            .observed
            .stores
            .get(&id.store())
            .and_then(|s| s.proofs.get(id));
        let (findings, sources_left) = match proof {
            Some(Proof::Proven(_)) if self.copies_before(id) => return Ok(None),
            Some(Proof::Proven(proof)) => return Ok(Some(proof.clone())),
            Some(Proof::SourcesLeft { count, samples }) => match self.desired.config.adopt_missing {
                Some(AdoptMissing::Keep) => {
                    // No count: the proof is part of the decision, and keys come and go.
                    return Ok(Some("sources without a counterpart are kept as they are".to_owned()));
                }
                Some(AdoptMissing::Copy) => return Ok(None),
                None => (
                    vec![format!("{count} sources have no counterpart, such as {}", samples.join(", "))],
                    true,
                ),
            },
            Some(Proof::Disproven(findings)) => (findings.clone(), false),
            Some(Proof::Nothing) | None => (
                vec!["nothing proves it: the lock file does not pin this state, and there is no .verify.sql".to_owned()],
                false,
            ),
        };
        Err(PlanError::Unproven {
            id: id.clone(),
            findings,
            sources_left,
        })
    }

    /// Whether a Redis migration that it needs is run again, for sources without a counterpart: what that
    /// one copies, this one has not seen, so it is run again as well.
    fn copies_before(&self, id: &MigrationId) -> bool {
        if id.store() != StoreKind::Redis
            || self.desired.config.adopt_missing != Some(AdoptMissing::Copy)
        {
            return false;
        }
        let needed = self.graph.with_requirements(&BTreeSet::from([id.clone()]));
        let claimed = self.claimed();
        needed
            .iter()
            .filter(|needed| *needed != id && claimed.contains(needed))
            .any(|needed| {
                let state = self.observed.stores.get(&needed.store());
                matches!(
                    state.and_then(|s| s.proofs.get(needed)),
                    Some(Proof::SourcesLeft { .. })
                )
            })
    }

    /// Makes the adoption of the migration that golang-migrate's row names wait for all others: once the
    /// ledger has it, the row claims nothing any more, and an interrupted adoption must not lose the rest.
    pub(super) fn adopt_row_last(&self, mut steps: Vec<Step>) -> Vec<Step> {
        let row = self
            .observed
            .stores
            .get(&StoreKind::Sql)
            .and_then(|s| s.legacy.golang_migrate.as_ref()?.row);
        let adopts =
            |s: &Step| s.id.store() == StoreKind::Sql && matches!(s.action, Action::Adopt { .. });
        let names = |s: &&mut Step| row.is_some_and(|row| row.version == s.id.number());
        let ids: BTreeSet<MigrationId> = steps
            .iter()
            .filter(|s| adopts(s))
            .map(|s| s.id.clone())
            .collect();
        if let Some(last) = steps.iter_mut().filter(|s| adopts(s)).find(names) {
            let itself = BTreeSet::from([last.id.clone()]);
            // One that needs the last itself cannot come before it.
            let others = ids
                .difference(&itself)
                .filter(|id| self.graph.needs_within(id, &itself).is_empty());
            last.after.extend(others.cloned());
        }
        in_turn(steps)
    }
}

/// The same steps, each after those that it waits for; otherwise in the order given.
fn in_turn(steps: Vec<Step>) -> Vec<Step> {
    let mut waiting: BTreeSet<MigrationId> = steps.iter().map(|s| s.id.clone()).collect();
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(steps.len());
    while let Some(step) = steps
        .iter_mut()
        .find(|s| s.as_ref().is_some_and(|s| s.after.is_disjoint(&waiting)))
        .and_then(Option::take)
    {
        waiting.remove(&step.id);
        ordered.push(step);
    }
    // Nothing is left, as the graph has no cycle; but a step is never dropped.
    ordered.extend(steps.into_iter().flatten());
    ordered
}
