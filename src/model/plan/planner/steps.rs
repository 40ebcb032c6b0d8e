//! The steps: reverts of what is not desired, and what brings the desired migrations into place.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::{MigrationId, StoreKind};
use crate::model::migration::{Content, Migration, SqlFile};
use crate::model::plan::planner::Planner;
use crate::model::plan::{Action, PlanError, Step, StepContent};
use crate::model::state::{Doing, LedgerEntry, LedgerStatus};

impl Planner<'_> {
    pub(super) fn reverts(&self) -> Result<Vec<Step>, PlanError> {
        let unwanted: BTreeSet<MigrationId> = self
            .observed
            .stores
            .values()
            .flat_map(|s| &s.ledger)
            .filter(|(id, e)| {
                !self.wanted.contains(id) && !self.filtered(id) && e.recorded().is_some()
            })
            .map(|(id, _)| id.clone())
            .collect();
        let mut order = self.graph.order(&unwanted);
        // What only the ledger knows came after everything that the folder knows: it goes first.
        order.extend(
            unwanted
                .iter()
                .filter(|id| self.catalog.get(id).is_none())
                .cloned(),
        );
        let mut steps = Vec::new();
        let mut reasons = Vec::new();
        for id in order.iter().rev() {
            match self.revert(id)? {
                Ok(step) => steps.push(step),
                Err(reason) => reasons.push(reason),
            }
        }
        if !reasons.is_empty() {
            return Err(PlanError::Irreversible {
                version: self.desired.version.clone(),
                reasons,
            });
        }
        // Dependents first: each revert waits for those of the migrations that need it. What the graph
        // does not know is reverted one after the other.
        let ids: BTreeSet<MigrationId> = steps.iter().map(|s| s.id.clone()).collect();
        let mut after: BTreeMap<MigrationId, BTreeSet<MigrationId>> = BTreeMap::new();
        for id in &ids {
            for needed in self.graph.needs_within(id, &ids) {
                after.entry(needed).or_default().insert(id.clone());
            }
        }
        let mut unknown: BTreeSet<MigrationId> = BTreeSet::new();
        for step in &mut steps {
            step.after = after.remove(&step.id).unwrap_or_default();
            step.after.extend(unknown.iter().cloned());
            if self.catalog.get(&step.id).is_none() {
                unknown.insert(step.id.clone());
            }
        }
        Ok(steps)
    }

    /// The revert of one migration, or the sentence that says why it has none.
    fn revert(&self, id: &MigrationId) -> Result<Result<Step, String>, PlanError> {
        let Some(entry) = self.observed.entry(id) else {
            return Ok(Err(format!("{id} is not in the ledger")));
        };
        let half = self.half(id);
        if half == Some(Doing::Apply) && id.store() == StoreKind::Sql {
            return Err(PlanError::HalfDone {
                id: id.clone(),
                doing: "applied",
                version: self.desired.version.clone(),
            });
        }
        let resumes = half == Some(Doing::Revert);
        let Some(migration) = self.catalog.get(id) else {
            return Ok(self.revert_unknown(id, entry));
        };
        if matches!(entry.status, LedgerStatus::Skipped { .. }) {
            // Nothing of it is in place: with its declaration, a store would undo what it never did.
            let action = Action::Revert { data_loss: None };
            return Ok(Ok(self.step(migration, action, StepContent::Record, false)));
        }
        if let Some(reason) = migration.irreversible() {
            return Ok(Err(reason));
        }
        let cleaned = matches!(entry.status, LedgerStatus::Applied { cleaned: true, .. })
            || half == Some(Doing::Cleanup);
        if cleaned && id.store() == StoreKind::Redis {
            return Ok(Err(format!(
                "{id} was cleaned up, so what a revert would restore is gone"
            )));
        }
        let (content, data_loss) = match &migration.content {
            Content::Sql(sql) => match &sql.down {
                Some(down) => (
                    StepContent::Sql(self.sql_content(down, None)?),
                    down.script.directives.data_loss.clone(),
                ),
                None => return Ok(Err(format!("{id} has no .down.sql"))),
            },
            Content::Redis(_) => (self.declaration(migration), None),
        };
        Ok(Ok(self.step(
            migration,
            Action::Revert { data_loss },
            content,
            resumes,
        )))
    }

    /// The revert of a migration that only the ledger knows, by the down SQL that it kept.
    fn revert_unknown(&self, id: &MigrationId, entry: &LedgerEntry) -> Result<Step, String> {
        let Some(text) = &entry.down else {
            return Err(format!(
                "{id} is not in the schema folder, and the ledger kept no down SQL for it"
            ));
        };
        let path = format!("ledger:{id}.down.sql");
        let file = SqlFile::parse(&path, text, &self.desired.config.vars).map_err(|e| {
            format!("the down SQL that the ledger kept for {id} does not parse: {e}")
        })?;
        let content = self.sql_content(&file, None).map_err(|e| e.to_string())?;
        Ok(Step {
            id: id.clone(),
            action: Action::Revert {
                data_loss: file.script.directives.data_loss.clone(),
            },
            description: None,
            checksum: entry.checksum,
            after: BTreeSet::new(),
            resumes: self.half(id) == Some(Doing::Revert),
            out_of_order: false,
            content: StepContent::Sql(content),
        })
    }

    /// The step that brings a desired migration into place, if it is not there yet.
    pub(super) fn forward(&self, migration: &Migration) -> Result<Option<Step>, PlanError> {
        let id = &migration.id;
        let entry = self.observed.entry(id).filter(|e| e.recorded().is_some());
        if self.half(id) == Some(Doing::Revert) {
            return Err(PlanError::HalfDone {
                id: id.clone(),
                doing: "reverted",
                version: self.desired.version.clone(),
            });
        }
        if let Some(entry) = entry.filter(|e| e.satisfies()) {
            if entry.checksum == *migration.checksum() {
                return Ok(None);
            }
            let action = Action::AcceptEdit {
                recorded: entry.checksum,
            };
            return Ok(Some(self.step(
                migration,
                action,
                StepContent::Record,
                false,
            )));
        }
        let state = self.observed.stores.get(&id.store());
        if let Some(reason) = state.and_then(|s| s.not_applicable.get(id)) {
            let action = Action::Skip {
                reason: reason.clone(),
            };
            let content = self.declaration(migration);
            return Ok(Some(self.step(migration, action, content, false)));
        }
        if entry.is_none()
            && self.claimed().contains(id)
            && let Some(proof) = self.adoptable(id)?
        {
            let content = self.declaration(migration);
            return Ok(Some(self.step(
                migration,
                Action::Adopt { proof },
                content,
                false,
            )));
        }
        let content = match &migration.content {
            Content::Sql(sql) => StepContent::Sql(self.sql_content(&sql.up, sql.down.as_ref())?),
            Content::Redis(_) => self.declaration(migration),
        };
        Ok(Some(self.step(
            migration,
            Action::Apply,
            content,
            entry.is_some(),
        )))
    }

    pub(super) fn step(
        &self,
        migration: &Migration,
        action: Action,
        content: StepContent,
        resumes: bool,
    ) -> Step {
        let later = |(id, entry): (&MigrationId, &LedgerEntry)| {
            id.number() > migration.id.number() && entry.is_applied()
        };
        let out_of_order = action == Action::Apply
            && self
                .observed
                .stores
                .get(&migration.store())
                .is_some_and(|s| s.ledger.iter().any(later));
        Step {
            id: migration.id.clone(),
            action,
            description: migration.description.clone(),
            checksum: *migration.checksum(),
            after: BTreeSet::new(),
            resumes,
            out_of_order,
            content,
        }
    }
}
