//! Runs the SQL of a plan in a scratch database that has the target's schema, and records what it did.

mod keys;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use keys::{KeyStage, has_keys, no_keys, rehearse_keys};

use tokio_util::sync::CancellationToken;

use self::seen::{Seen, not_run};
use crate::engine::replay::{self, advance, sql_of};
use crate::engine::{ReplayError, Stores};
use crate::model::catalog::Catalog;
use crate::model::graph::Graph;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::Holder;
use crate::model::plan::{
    Action, Decision, Evidence, Origin, Outcome, PlanError, RecordedStatus, Rehearsal,
    RehearsalServer, Resolution, Step, StepContent, StepRehearsal, Warning, WarningKind, WayBack,
    plan,
};
use crate::model::state::{
    HowApplied, LedgerEntry, LedgerStatus, ObservedState, SchemaObjects, StoreState,
};
use crate::store::postgres::{PostgresStore, Scratch};
use crate::store::{Observe, Store, StoreError};

/// Differences that are listed; the rest is counted.
const LISTED: usize = 50;

/// Differences that a warning names.
const NAMED: usize = 5;

/// What a rehearsal is of, and where it is held.
pub struct Stage<'a> {
    /// The server, in which databases are made and removed.
    pub admin: &'a PostgresStore,
    /// Whose it is.
    pub server: RehearsalServer,
    /// All migrations.
    pub catalog: &'a Catalog,
    /// The target, observed with its schema.
    pub observed: &'a ObservedState,
    /// Who rehearses.
    pub holder: Holder,
}

/// Why there was no rehearsal.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The server is the target's own.
    #[error(
        "the rehearsal would run on the server of the database that is to be migrated ({address})"
    )]
    SameServer {
        /// Where it is.
        address: String,
    },
    /// The plan cannot be encoded.
    #[error("the plan cannot be rehearsed: {0}")]
    Plan(String),
    /// The user interrupted it.
    #[error("the rehearsal was interrupted; its database is removed")]
    Interrupted,
    /// The server failed, or may not be used.
    #[error("the rehearsal's server failed: {0}")]
    Server(#[from] StoreError),
}

impl RehearsalError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        use crate::store::StoreErrorKind;
        match self {
            Self::SameServer { .. } => Some(
                "name a server that nobody depends on, or use --rehearse alone, which starts one of its own"
                    .to_owned(),
            ),
            Self::Interrupted | Self::Plan(_) => None,
            Self::Server(error) => Some(match &error.kind {
                StoreErrorKind::Permission { .. } => {
                    "the role needs CREATEDB, since the rehearsal makes databases and removes them; --rehearse alone starts a server of its own".to_owned()
                }
                StoreErrorKind::Unreachable { .. } | StoreErrorKind::Authentication { .. } | StoreErrorKind::NoPassword => {
                    "check the address in --rehearse-url; --rehearse alone starts a server of its own".to_owned()
                }
                _ => return error.hint(),
            }),
        }
    }
}

/// Rehearses the SQL steps of a decision, and adds what was seen to its evidence. What the steps do wrong is
/// evidence too, and no error. Does nothing for a plan that runs no SQL.
///
/// # Errors
/// [`RehearsalError`] where the rehearsal could not be held.
pub async fn rehearse(
    stage: &Stage<'_>,
    decision: &Decision,
    evidence: &mut Evidence,
    cancel: &CancellationToken,
) -> Result<(), RehearsalError> {
    if !has_sql(decision) {
        return Ok(());
    }
    let scratch = stage.admin.scratch().await?;
    let outcome = tokio::select! {
        outcome = stage.hold(&scratch, decision, evidence) => outcome,
        () = cancel.cancelled() => Err(RehearsalError::Interrupted),
    };
    let removed = scratch.remove(stage.admin).await;
    outcome?;
    Ok(removed?)
}

/// Whether a decision runs any SQL.
pub fn has_sql(decision: &Decision) -> bool {
    decision.steps.iter().any(runs_sql)
}

fn runs_sql(step: &Step) -> bool {
    matches!(step.content, StepContent::Sql(_)) && !step.action.is_record_only()
}

impl Stage<'_> {
    async fn hold(
        &self,
        scratch: &Scratch,
        decision: &Decision,
        evidence: &mut Evidence,
    ) -> Result<(), RehearsalError> {
        let facts = self.admin.server().await?;
        let target = self.observed.stores.get(&StoreKind::Sql);
        let target = target.and_then(|state| state.schema.as_ref());
        let target_major = target.and_then(|schema| schema.server_major);
        let in_place = in_place(decision);
        let known: BTreeSet<MigrationId> = in_place
            .iter()
            .filter(|id| self.catalog.get(id).is_some())
            .cloned()
            .collect();
        let mut rehearsal = Rehearsal {
            server: self.server,
            version: facts.version,
            target_version: target_major.map(|major| major.to_string()),
            origin: Origin::Empty,
            differences: in_place
                .difference(&known)
                .map(|id| format!("{id} is applied, and not in the schema folder"))
                .collect(),
            failed: None,
        };
        if let Err(error) = self.set(scratch, &known, decision).await {
            rehearsal.failed = Some(format!(
                "the schema folder does not bring an empty database to the target's schema: {}",
                words(&error)
            ));
            evidence.rehearsal.insert(StoreKind::Sql, rehearsal);
            return Ok(());
        }
        if !known.is_empty() {
            rehearsal.origin = Origin::Replayed {
                migrations: Graph::new(&sql_of(self.catalog, &known))
                    .map(|graph| graph.order(&known))
                    .unwrap_or_default(),
            };
        }
        let at_first = schema(&scratch.store).await?;
        // Servers of other versions word definitions differently.
        if let Some(target) = target.filter(|target| target.server_major == at_first.server_major) {
            let owned = decision.owned.as_ref();
            let counts = |object: &str| match owned {
                Some(owned) => owned.contains(object),
                None => !target.partitions.contains(object),
            };
            rehearsal
                .differences
                .extend(differences(target, &at_first, counts));
        }
        self.run(scratch, decision, evidence, at_first).await?;
        evidence.rehearsal.insert(StoreKind::Sql, rehearsal);
        Ok(())
    }

    /// Brings a scratch database to where the target is.
    async fn set(
        &self,
        scratch: &Scratch,
        in_place: &BTreeSet<MigrationId>,
        decision: &Decision,
    ) -> Result<(), ReplayError> {
        if in_place.is_empty() {
            return Ok(());
        }
        let catalog = sql_of(self.catalog, in_place);
        let graph = Graph::new(&catalog)?;
        let store: Arc<dyn Store> = Arc::new(scratch.another());
        let stores = Stores::new().with(store);
        let desired = replay::desired("rehearsal", in_place.clone(), &decision.config);
        advance(&stores, &catalog, &graph, &desired, &self.holder).await
    }

    async fn run(
        &self,
        scratch: &Scratch,
        decision: &Decision,
        evidence: &mut Evidence,
        mut before: SchemaObjects,
    ) -> Result<(), RehearsalError> {
        const UNKNOWN: &str = "the schema folder does not have it, so there is nothing to undo";
        let mut seen = Seen::new(evidence);
        for step in decision.steps.iter().filter(|step| runs_sql(step)) {
            let unknown = matches!(step.action, Action::Revert { .. })
                && self.catalog.get(&step.id).is_none();
            let tried = match seen.obstacle(step) {
                Some(reason) => not_run(reason),
                None if unknown => not_run(UNKNOWN),
                None => self.try_step(scratch, step, decision, &mut before).await?,
            };
            seen.enter(step, tried);
        }
        Ok(())
    }

    async fn try_step(
        &self,
        scratch: &Scratch,
        step: &Step,
        decision: &Decision,
        before: &mut SchemaObjects,
    ) -> Result<StepRehearsal, RehearsalError> {
        let tried = scratch.store.rehearse(step).await?;
        let after = schema(&scratch.store).await?;
        let earlier = std::mem::replace(before, after);
        let (outcome, way_back) = match tried.failed {
            Some(error) => (
                Outcome::Failed {
                    reason: error.to_string(),
                },
                None,
            ),
            None => (
                Outcome::Done,
                Some(self.way_back(scratch, step, decision, &earlier).await?),
            ),
        };
        Ok(StepRehearsal {
            outcome,
            ms: tried.ms,
            statements: tried.statements,
            keys: None,
            way_back,
        })
    }

    /// Undoes a step in a copy of the database, and compares with what was there before it.
    async fn way_back(
        &self,
        scratch: &Scratch,
        step: &Step,
        decision: &Decision,
        before: &SchemaObjects,
    ) -> Result<WayBack, RehearsalError> {
        let absent = |reason: &str| WayBack::Absent {
            reason: reason.to_owned(),
        };
        match step.action {
            Action::Apply => {}
            Action::Cleanup => return Ok(absent("a cleanup removes for good")),
            _ => return Ok(absent("it is the way back of another step")),
        }
        let revert = match self.revert_of(step, decision) {
            Ok(Some(revert)) => revert,
            Ok(None) => return Ok(absent("there is nothing to undo")),
            Err(PlanError::Irreversible { reasons, .. }) => {
                return Ok(absent(&reasons.join("; ")));
            }
            Err(error) => {
                return Ok(WayBack::Failed {
                    reason: error.to_string(),
                });
            }
        };
        let copy = scratch.copy(self.admin).await?;
        let undone = async {
            let tried = copy.store.rehearse(&revert).await?;
            let back = schema(&copy.store).await?;
            Ok::<_, StoreError>((tried.failed, back))
        };
        let undone = undone.await;
        copy.remove(self.admin).await?;
        let (failed, back) = undone?;
        if let Some(error) = failed {
            return Ok(WayBack::Failed {
                reason: error.to_string(),
            });
        }
        Ok(differing(differences(before, &back, |_| true)))
    }

    /// The step that would revert a migration if it alone were applied.
    fn revert_of(&self, step: &Step, decision: &Decision) -> Result<Option<Step>, PlanError> {
        let alone = BTreeSet::from([step.id.clone()]);
        let catalog = sql_of(self.catalog, &alone);
        let Some(recorded) = decision.recorded.get(&StoreKind::Sql) else {
            return Ok(None);
        };
        // A graph of one migration without requirements has no cycle.
        let Ok(graph) = Graph::new(&catalog) else {
            return Ok(None);
        };
        let entry = LedgerEntry {
            status: LedgerStatus::Applied {
                how: HowApplied::Run,
                cleaned: false,
            },
            checksum: step.checksum,
            plan: String::new(),
            at: String::new(),
            actor: String::new(),
            checkpoint: None,
            down: None,
        };
        let state = StoreState {
            identity: recorded.identity.clone(),
            ledger: BTreeMap::from([(step.id.clone(), entry)]),
            legacy: Default::default(),
            schema: None,
            lease: None,
            proofs: BTreeMap::new(),
            not_applicable: BTreeMap::new(),
        };
        let observed = ObservedState {
            stores: BTreeMap::from([(StoreKind::Sql, state)]),
        };
        let desired = replay::desired("rehearsal", BTreeSet::new(), &decision.config);
        let decision = plan(&catalog, &graph, &observed, &desired)?;
        Ok(decision.steps.into_iter().find(runs_sql))
    }
}

/// The SQL migrations that are in place before the first step, or that the plan takes for that.
fn in_place(decision: &Decision) -> BTreeSet<MigrationId> {
    let recorded = decision.recorded.get(&StoreKind::Sql);
    let recorded = recorded.into_iter().flat_map(|store| &store.entries);
    let applied = recorded
        .filter(|(_, entry)| {
            matches!(
                entry.status,
                RecordedStatus::Applied
                    | RecordedStatus::Cleaned
                    | RecordedStatus::Cleaning
                    | RecordedStatus::Reverting
            )
        })
        .map(|(id, _)| id);
    let taken = decision.steps.iter().filter(|step| {
        step.id.store() == StoreKind::Sql
            && matches!(
                step.action,
                Action::Adopt { .. } | Action::Resolve(Resolution::Applied)
            )
    });
    applied.chain(taken.map(|step| &step.id)).cloned().collect()
}

async fn schema(store: &PostgresStore) -> Result<SchemaObjects, StoreError> {
    let what = Observe {
        markers: Vec::new(),
        schema: true,
    };
    Ok(store.observe(&what).await?.schema.unwrap_or_default())
}

/// How `now` differs from `expected`, an object each, among those that count.
fn differences(
    expected: &SchemaObjects,
    now: &SchemaObjects,
    counts: impl Fn(&str) -> bool,
) -> Vec<String> {
    let objects: BTreeSet<&String> = expected
        .definitions
        .keys()
        .chain(now.definitions.keys())
        .filter(|object| counts(object))
        .collect();
    let found = objects
        .into_iter()
        .filter_map(|object| {
            let (expected, now) = (
                expected.definitions.get(object),
                now.definitions.get(object),
            );
            match (expected, now) {
                (Some(_), None) => Some(format!("{object} is missing")),
                (None, Some(_)) => Some(format!("{object} is there as well")),
                (expected, now) if expected != now => {
                    Some(format!("{object} is defined differently"))
                }
                _ => None,
            }
        })
        .collect();
    listed(found)
}

/// What a way back came to that leaves these differences.
fn differing(differences: Vec<String>) -> WayBack {
    match differences.is_empty() {
        true => WayBack::Exact,
        false => WayBack::Differs {
            differences: listed(differences),
        },
    }
}

/// The first of many, and how many more there are.
fn listed(mut found: Vec<String>) -> Vec<String> {
    if found.len() > LISTED {
        let more = found.len() - LISTED;
        found.truncate(LISTED);
        found.push(format!("and {more} more"));
    }
    found
}

/// The first few, and how many there are besides.
fn first(differences: &[String]) -> String {
    let mut words = differences[..differences.len().min(NAMED)].join("; ");
    if differences.len() > NAMED {
        words.push_str(&format!("; and {} more", differences.len() - NAMED));
    }
    words
}

/// What a reviewer has to know of a rehearsed step.
fn warning(seen: &StepRehearsal) -> Option<Warning> {
    let message = match (&seen.outcome, &seen.way_back) {
        (Outcome::Failed { reason }, _) => format!("it failed in the rehearsal: {reason}"),
        (_, Some(WayBack::Failed { reason })) => {
            format!("its way back failed in the rehearsal: {reason}")
        }
        (_, Some(WayBack::Differs { differences })) => format!(
            "its way back does not bring back what was there: {}",
            first(differences)
        ),
        _ => return None,
    };
    Some(Warning {
        kind: WarningKind::Rehearsal,
        message,
        line: None,
    })
}

/// An error of a replay, without the address of a server that is gone.
fn words(error: &ReplayError) -> String {
    use crate::engine::ApplyError;
    match error {
        ReplayError::Store(error) | ReplayError::Apply(ApplyError::Store(error)) => {
            error.kind.to_string()
        }
        other => other.to_string(),
    }
}

/// Refuses a server that holds the database which is to be migrated: roles and settings are the whole
/// server's, and so is its disk.
///
/// # Errors
/// [`RehearsalError::SameServer`]; a server that cannot be asked.
pub async fn refuse_same_server(
    admin: &PostgresStore,
    stores: &Stores,
    decision: &Decision,
) -> Result<(), RehearsalError> {
    let (Some(target), Some(recorded)) = (
        stores.get(StoreKind::Sql),
        decision.recorded.get(&StoreKind::Sql),
    ) else {
        return Ok(());
    };
    let address = target.address();
    if admin.is_beside(&recorded.identity, &address).await? {
        return Err(RehearsalError::SameServer { address });
    }
    Ok(())
}
