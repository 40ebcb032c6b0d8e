//! Replays a schema folder in an empty database, to find out what it owns at each point.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::{Applied, ApplyError, ApplyOptions, Depth, Stores, apply, observe};
use crate::model::catalog::Catalog;
use crate::model::codec::CodecError;
use crate::model::config::PlanConfig;
use crate::model::event::NoEvents;
use crate::model::graph::{Graph, GraphError};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::Holder;
use crate::model::lock::{LOCK_FORMAT, Lock, LockedMigration};
use crate::model::migration::Migration;
use crate::model::plan::{Decision, Desired, Evidence, Plan, PlanError, plan, plan_cleanup};
use crate::model::report::StepOutcome;
use crate::model::state::SchemaObjects;
use crate::model::versions::Versions;
use crate::store::{Store, StoreError};

/// Why a folder could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A migration could not be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Without the edges to the other store the graph is broken.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A plan could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A migration failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The throwaway database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplayError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Plan(e) => e.hint(),
            Self::Codec(e) => e.hint(),
            Self::Store(e) | Self::Apply(ApplyError::Store(e)) => e.hint(),
            Self::Graph(_) | Self::Apply(ApplyError::Stale(_)) => None,
        }
    }
}

/// Applies the SQL migrations one by one to an empty database, and pins what is there after each. What
/// they require of the other store plays no part: SQL sees SQL alone.
///
/// # Errors
/// [`ReplayError`] where a migration does not run.
pub async fn replay(
    store: Arc<dyn Store>,
    catalog: &Catalog,
    graph: &Graph,
    config: PlanConfig,
    holder: Holder,
) -> Result<Lock, ReplayError> {
    let stores = Stores::new().with(store);
    let sql = sql_of(catalog, &catalog.ids_of(StoreKind::Sql).cloned().collect());
    let sql_graph = Graph::new(&sql)?;
    let mut lock = unreplayed_lock(catalog, graph);
    let mut desired = desired("replay", BTreeSet::new(), &config);
    for pin in &mut lock.migrations {
        if pin.id.store() != StoreKind::Sql {
            continue;
        }
        desired.ids.insert(pin.id.clone());
        advance(&stores, &sql, &sql_graph, &desired, &holder).await?;
        let observed = observe(&stores, &sql, &desired.config, Depth::Full).await?;
        let schema = observed
            .stores
            .get(&StoreKind::Sql)
            .and_then(|s| s.schema.as_ref());
        lock.postgres = schema.and_then(|s| s.server_major);
        pin.objects = schema.map(|s| s.digests()).unwrap_or_default();
    }
    Ok(lock)
}

/// Brings an empty database to what is desired of it, or on from there.
///
/// # Errors
/// [`ReplayError`] where a migration does not run.
pub(super) async fn advance(
    stores: &Stores,
    catalog: &Catalog,
    graph: &Graph,
    desired: &Desired,
    holder: &Holder,
) -> Result<(), ReplayError> {
    let observed = observe(stores, catalog, &desired.config, Depth::Full).await?;
    run(stores, plan(catalog, graph, &observed, desired)?, holder).await
}

async fn run(stores: &Stores, decision: Decision, holder: &Holder) -> Result<(), ReplayError> {
    let plan = Plan::new(decision, Evidence::default())?;
    let options = ApplyOptions {
        holder: holder.clone(),
        lease_id: format!("replay to {}", plan.digest.short()),
        parallelism: 1,
        lock_wait: None,
    };
    let cancel = CancellationToken::new();
    let Applied::Ran(report) = apply(stores, &plan, &options, &NoEvents, &cancel).await? else {
        return Ok(());
    };
    let failed = report
        .steps
        .into_iter()
        .find_map(|step| match step.outcome {
            StepOutcome::Failed(error) => Some(error),
            _ => None,
        });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Applies to an empty database the SQL migrations of `ids` and then runs the cleanup of those of `cleaned`,
/// and answers what they made.
///
/// # Errors
/// [`ReplayError`] where a migration or a cleanup does not run.
pub async fn replay_recorded(
    store: Arc<dyn Store>,
    catalog: &Catalog,
    ids: &BTreeSet<MigrationId>,
    cleaned: &BTreeSet<MigrationId>,
    config: PlanConfig,
    holder: Holder,
) -> Result<SchemaObjects, ReplayError> {
    let stores = Stores::new().with(store);
    let sql = sql_of(catalog, ids);
    let graph = Graph::new(&sql)?;
    let desired = desired("replay", sql.ids(), &config);
    advance(&stores, &sql, &graph, &desired, &holder).await?;
    if !cleaned.is_empty() {
        let observed = observe(&stores, &sql, &desired.config, Depth::Full).await?;
        let decision = plan_cleanup(&sql, &graph, &observed, &desired, Some(cleaned))?;
        run(&stores, decision, &holder).await?;
    }
    let mut observed = observe(&stores, &sql, &desired.config, Depth::Full).await?;
    let state = observed.stores.remove(&StoreKind::Sql);
    Ok(state.and_then(|state| state.schema).unwrap_or_default())
}

/// What planning wants in a throwaway database; `version` is what its plan is called.
pub(super) fn desired(version: &str, ids: BTreeSet<MigrationId>, config: &PlanConfig) -> Desired {
    Desired {
        version: version.to_owned(),
        ids,
        only: None,
        accept_edits: false,
        allow_lossy: false,
        revert_unknown: false,
        // Earlier tools have no part in a throwaway database.
        config: PlanConfig {
            golang_migrate: None,
            ..config.clone()
        },
    }
}

/// A lock of the files alone, in the order in which they would run.
pub fn unreplayed_lock(catalog: &Catalog, graph: &Graph) -> Lock {
    let migrations = graph
        .order(&catalog.ids())
        .into_iter()
        .filter_map(|id| {
            let files = catalog.get(&id)?.files();
            Some(LockedMigration {
                id,
                files,
                objects: BTreeMap::new(),
            })
        })
        .collect();
    Lock {
        format: LOCK_FORMAT,
        postgres: None,
        migrations,
    }
}

/// The SQL migrations of `ids` and what they require of one another.
pub(super) fn sql_of(catalog: &Catalog, ids: &BTreeSet<MigrationId>) -> Catalog {
    let migrations: BTreeMap<MigrationId, Migration> = catalog
        .iter()
        .filter(|m| m.store() == StoreKind::Sql && ids.contains(&m.id))
        .map(|m| {
            let mut migration = m.clone();
            migration.requires.retain(|id| ids.contains(id));
            (m.id.clone(), migration)
        })
        .collect();
    Catalog::new(migrations, Versions::single_latest(), None)
}
