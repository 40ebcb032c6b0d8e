//! The decision: from what is desired and what was observed to the steps in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::Catalog;
use crate::model::checksum::Checksum;
use crate::model::config::PlanConfig;
use crate::model::graph::Graph;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::migration::{Content, Migration, SqlFile};
use crate::model::plan::{
    Action, Decision, Purpose, RecordedStore, RedisContent, Resolution, SqlContent, Step,
    StepContent,
};
use crate::model::state::{Doing, LedgerEntry, LedgerStatus, ObservedState, Proof};

pub use crate::model::config::AdoptMissing;

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

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Applied migrations that the schema folder does not know.
    #[error("the database is ahead: the ledger holds {}, which the schema folder does not define", list(.0))]
    Ahead(Vec<MigrationId>),
    /// An earlier tool recorded migrations outside of the desired version.
    #[error("the database is ahead of version {version}: an earlier tool recorded {}", list(.ids))]
    AheadUnadopted {
        /// The desired version.
        version: String,
        /// What was recorded and is not desired.
        ids: Vec<MigrationId>,
    },
    /// golang-migrate's row names a number that the schema folder does not define.
    #[error(
        "the database is ahead: {table} is at version {version}, which the schema folder does not define"
    )]
    AheadUnknown {
        /// golang-migrate's table.
        table: String,
        /// Its version.
        version: u64,
    },
    /// golang-migrate's row is dirty.
    #[error("{table} is dirty at version {version}: {} failed half way under golang-migrate{}", id.as_ref().map_or_else(|| "a migration that the schema folder does not define".to_owned(), ToString::to_string), details(.found))]
    Dirty {
        /// golang-migrate's table.
        table: String,
        /// Its version.
        version: u64,
        /// The migration with that number.
        id: Option<MigrationId>,
        /// What is in place and what is missing.
        found: Vec<String>,
    },
    /// A file was edited after it was applied.
    #[error("{id} was edited after it was applied: the ledger has {recorded}, {file} has {found}")]
    Edited {
        /// The migration.
        id: MigrationId,
        /// Its file.
        file: String,
        /// The checksum in the ledger.
        recorded: Checksum,
        /// The checksum of the file.
        found: Checksum,
        /// Whether a step of it is half done, so that the edit cannot simply be accepted.
        half_done: bool,
    },
    /// Applied migrations that would have to be reverted and cannot be.
    #[error("version {version} needs reverts that are not possible: {}", .reasons.join("; "))]
    Irreversible {
        /// The desired version.
        version: String,
        /// One sentence a migration.
        reasons: Vec<String>,
    },
    /// A half-done revert of something that is desired, or a half-done apply of something that is not.
    #[error(
        "{id} is half {doing}: the step was interrupted, and version {version} wants the opposite"
    )]
    HalfDone {
        /// The migration.
        id: MigrationId,
        /// `applied` or `reverted`.
        doing: &'static str,
        /// The desired version.
        version: String,
    },
    /// A migration that an earlier tool recorded is not proven to be in place.
    #[error("an earlier tool recorded {id} as applied, but it is not proven to be in place: {}", .findings.join("; "))]
    Unproven {
        /// The migration.
        id: MigrationId,
        /// What was found.
        findings: Vec<String>,
        /// Whether sources without a counterpart are all that was found.
        sources_left: bool,
    },
    /// The store filter leaves out something that a step needs.
    #[error("--only {only} leaves out {missing}, which {id} requires")]
    FilterLeavesOut {
        /// The filter.
        only: StoreKind,
        /// The step.
        id: MigrationId,
        /// What it needs.
        missing: MigrationId,
    },
    /// A desired migration is for a store that is not configured.
    #[error("version {version} holds {id}, but outpost.toml has no [{}] section", section(.id.store()))]
    StoreNotConfigured {
        /// The desired version.
        version: String,
        /// The first such migration.
        id: MigrationId,
    },
    /// A planned file does not parse.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// The parser's words.
        message: String,
    },
    /// An id that the catalog does not have.
    #[error("{id} is not in the schema folder{}", nearest.as_ref().map(|n| format!("; the nearest id is {n}")).unwrap_or_default())]
    Unknown {
        /// The id.
        id: String,
        /// One that looks like it.
        nearest: Option<String>,
    },
    /// There is nothing to resolve.
    #[error("{id} needs no decision: it is {status}")]
    NothingToResolve {
        /// The migration.
        id: MigrationId,
        /// Where it stands.
        status: String,
    },
}

fn section(store: StoreKind) -> &'static str {
    match store {
        StoreKind::Sql => "postgres",
        StoreKind::Redis => "redis",
    }
}

fn list(ids: &[MigrationId]) -> String {
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn details(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(": {}", found.join("; "))
    }
}

impl PlanError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ahead(_) => "use a schema folder that has these migrations, or revert them by the down SQL in the ledger: outpost migrate plan --revert-unknown".to_owned(),
            Self::AheadUnadopted { .. } => "adopt what is there first, by planning for a version that holds it: outpost migrate plan --to VERSION".to_owned(),
            Self::AheadUnknown { .. } => "use the schema folder that has this migration".to_owned(),
            Self::Dirty { id: Some(id), .. } => format!("look at the database, then say what is true: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::Dirty { id: None, .. } => "use the schema folder that has this migration".to_owned(),
            Self::Edited { half_done: true, id, .. } => format!("restore the file, or finish by hand and say so: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::Edited { .. } => "restore the file and write a new migration, or record the edit: outpost migrate plan --accept-edits".to_owned(),
            Self::Irreversible { .. } => "write a .down.sql, or stay at a version that keeps these migrations".to_owned(),
            Self::HalfDone { id, .. } => format!("finish it by planning for the version it was for, or decide: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::Unproven { sources_left: true, .. } => "set [adopt] missing = \"keep\" to leave them as they are, or \"copy\" to run the migration for them".to_owned(),
            Self::Unproven { id, .. } => format!("pin the schema with outpost migrate lock, give the migration a .verify.sql, or decide: outpost migrate resolve {id} --applied, or --rolled-back"),
            Self::FilterLeavesOut { .. } => "plan without --only".to_owned(),
            Self::StoreNotConfigured { .. } => "configure the store, or declare a version without its migrations".to_owned(),
            Self::Syntax { .. } => "correct the statement; if Postgres does accept it, put `-- outpost: parse = false` at the top of the file".to_owned(),
            Self::Unknown { .. } => "outpost migrate list shows the ids".to_owned(),
            Self::NothingToResolve { .. } => return None,
        })
    }
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
        planner.refuse_unconfigured()?;
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
        self.link(&mut steps, &mut reverts)?;
        reverts.append(&mut steps);
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
        self.link(&mut steps, &mut Vec::new())?;
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
        let half_done = self.half(id).is_some();
        if !dirty && !unproven && !half_done {
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
            StepContent::Record,
            false,
        );
        Ok(self.decision(Purpose::Resolve, vec![step]))
    }

    // What stops a plan.

    fn refuse_unconfigured(&self) -> Result<(), PlanError> {
        let missing = self
            .wanted
            .iter()
            .find(|id| !self.observed.stores.contains_key(&id.store()) && !self.filtered(id));
        match missing {
            // A project may be shared by deployments of which some have one store only: what is not
            // configured must then be left out by name, never by silence.
            Some(id) => Err(PlanError::StoreNotConfigured {
                version: self.desired.version.clone(),
                id: id.clone(),
            }),
            None => Ok(()),
        }
    }

    fn refuse_unknown(&self) -> Result<(), PlanError> {
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

    fn refuse_dirty(&self) -> Result<(), PlanError> {
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

    fn refuse_edits(&self) -> Result<(), PlanError> {
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
                    file: migration.path().to_owned(),
                    recorded: entry.checksum.clone(),
                    found: migration.checksum().clone(),
                    half_done,
                });
            }
        }
        Ok(())
    }

    fn refuse_ahead_unadopted(&self) -> Result<(), PlanError> {
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

    // Steps.

    fn reverts(&self) -> Result<Vec<Step>, PlanError> {
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
            Content::Redis(_) => (self.redis_content(migration), None),
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
            checksum: entry.checksum.clone(),
            after: BTreeSet::new(),
            resumes: false,
            out_of_order: false,
            content: StepContent::Sql(content),
        })
    }

    /// The step that brings a desired migration into place, if it is not there yet.
    fn forward(&self, migration: &Migration) -> Result<Option<Step>, PlanError> {
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
                recorded: entry.checksum.clone(),
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
            return Ok(Some(self.step(
                migration,
                action,
                StepContent::Record,
                false,
            )));
        }
        if entry.is_none() && self.claimed().contains(id) {
            if let Some(proof) = self.adoptable(id)? {
                return Ok(Some(self.step(
                    migration,
                    Action::Adopt { proof },
                    StepContent::Record,
                    false,
                )));
            }
        }
        let content = match &migration.content {
            Content::Sql(sql) => StepContent::Sql(self.sql_content(&sql.up, sql.down.as_ref())?),
            Content::Redis(_) => self.redis_content(migration),
        };
        Ok(Some(self.step(
            migration,
            Action::Apply,
            content,
            entry.is_some(),
        )))
    }

    /// What proves a migration that an earlier tool recorded; `None` where it is to be run again for the
    /// sources that have no counterpart.
    fn adoptable(&self, id: &MigrationId) -> Result<Option<String>, PlanError> {
        let proof = self
            .observed
            .stores
            .get(&id.store())
            .and_then(|s| s.proofs.get(id));
        let (findings, sources_left) = match proof {
            Some(Proof::Proven(proof)) => return Ok(Some(proof.clone())),
            Some(Proof::SourcesLeft { count, samples }) => match self.desired.config.adopt_missing {
                Some(AdoptMissing::Keep) => {
                    return Ok(Some(format!("{count} sources without a counterpart are kept as they are")));
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

    // Contents.

    fn sql_content(&self, file: &SqlFile, down: Option<&SqlFile>) -> Result<SqlContent, PlanError> {
        refuse_syntax(file)?;
        let transaction = file.script.directives.transaction;
        let lock_timeout = if transaction {
            Some(file.lock_timeout(self.desired.config.lock_timeout()))
        } else {
            file.script.directives.lock_timeout
        };
        Ok(SqlContent {
            path: file.path.clone(),
            checksum: file.checksum.clone(),
            transaction,
            lock_timeout_ms: lock_timeout.map(millis),
            statement_timeout_ms: millis(
                file.statement_timeout(self.desired.config.statement_timeout()),
            ),
            statements: file.script.statements.iter().map(Into::into).collect(),
            verify: Vec::new(),
            down: down.map(|d| d.text.clone()),
        })
    }

    fn redis_content(&self, migration: &Migration) -> StepContent {
        match &migration.content {
            Content::Redis(redis) => StepContent::Redis(RedisContent {
                path: redis.path.clone(),
                text: redis.text.clone(),
                allow_lossy: self.desired.allow_lossy,
            }),
            Content::Sql(_) => StepContent::Record,
        }
    }

    fn cleanup_content(&self, migration: &Migration) -> Result<StepContent, PlanError> {
        let Content::Sql(sql) = &migration.content else {
            return Ok(self.redis_content(migration));
        };
        let Some(cleanup) = &sql.cleanup else {
            return Ok(StepContent::Record);
        };
        let mut content = self.sql_content(cleanup, None)?;
        if let Some(verify) = &sql.verify {
            refuse_syntax(verify)?;
            content.verify = verify.script.statements.iter().map(Into::into).collect();
        }
        Ok(StepContent::Sql(content))
    }

    fn step(
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
            checksum: migration.checksum().clone(),
            after: BTreeSet::new(),
            resumes,
            out_of_order,
            content,
        }
    }

    /// Makes every step wait for what it needs, and for all reverts.
    fn link(&self, steps: &mut [Step], reverts: &mut [Step]) -> Result<(), PlanError> {
        let planned: BTreeSet<MigrationId> = steps.iter().map(|s| s.id.clone()).collect();
        for step in steps {
            step.after = self.graph.needs_within(&step.id, &planned);
            step.after.extend(reverts.iter().map(|r| r.id.clone()));
            let missing = self.graph.requirements(&step.id).find(|needed| {
                !planned.contains(needed)
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

    fn filtered(&self, id: &MigrationId) -> bool {
        self.desired.only.is_some_and(|only| only != id.store())
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

fn refuse_syntax(file: &SqlFile) -> Result<(), PlanError> {
    match file.syntax_problem() {
        None => Ok(()),
        Some(problem) => Err(PlanError::Syntax {
            file: problem.file.clone(),
            line: u32::try_from(problem.line).unwrap_or(u32::MAX),
            message: problem.message.clone(),
        }),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
