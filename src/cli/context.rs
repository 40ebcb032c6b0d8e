//! What commands need before they can do anything: the project, the stores, the runtime.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::args::Globals;
use crate::cli::error::CliError;
use crate::engine::{self, Depth, Stores};
use crate::model::catalog::Catalog;
use crate::model::config::Config;
use crate::model::graph::Graph;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::Holder;
use crate::model::lint::lint;
use crate::model::plan::{Decision, Desired, Evidence};
use crate::model::state::{ObservedState, StoreState};
use crate::model::status::{MigrationStatus, Status};
use crate::source;
use crate::store::postgres::PostgresStore;
use crate::store::redis::{Limits, RedisStore};

/// The configuration and the stores that it names: all that a command needs which does not look at migrations,
/// so that it works where the schema folder is missing or broken.
pub(super) struct Target {
    /// The folder of outpost.toml.
    folder: PathBuf,
    pub(super) config: Config,
    pub(super) stores: Stores,
}

impl Target {
    /// Reads `outpost.toml`. Connects to nothing yet, and works Redis no harder than these limits allow.
    pub(super) fn load(globals: &Globals, limits: Limits) -> Result<Self, CliError> {
        let folder = source::folder_of(&globals.config);
        let config = source::config(&globals.config)?;
        let stores = stores(&config, &folder, limits)?;
        Ok(Self {
            folder,
            config,
            stores,
        })
    }
}

/// A project: its configuration and its schema folder, read and checked.
pub(super) struct Project {
    /// The folder of outpost.toml.
    folder: PathBuf,
    pub(super) config: Config,
    pub(super) catalog: Catalog,
    pub(super) graph: Graph,
    pub(super) stores: Stores,
}

impl Project {
    /// Reads `outpost.toml` and the schema folder. Connects to nothing yet.
    pub(super) fn load(globals: &Globals) -> Result<Self, CliError> {
        Self::load_limited(globals, Limits::default())
    }

    /// The same, for a command that works Redis no harder than these limits allow.
    pub(super) fn load_limited(globals: &Globals, limits: Limits) -> Result<Self, CliError> {
        let Target {
            folder,
            config,
            stores,
        } = Target::load(globals, limits)?;
        let relevant = config.plan_relevant();
        let catalog = source::catalog(&folder.join(&config.schema.path), &relevant)?;
        let graph = Graph::new(&catalog)?;
        check_versions(&catalog)?;
        Ok(Self {
            folder,
            config,
            catalog,
            graph,
            stores,
        })
    }

    /// Another connection to Redis; `None` where it is not configured.
    pub(super) fn redis(&self) -> Result<Option<RedisStore>, CliError> {
        redis(&self.config, &self.folder)
    }

    /// What the user wants: the version named here, or the one that outpost.toml declares.
    pub(super) fn desired(&self, to: Option<&str>) -> Result<Desired, CliError> {
        let version = to.unwrap_or(&self.config.schema.version);
        let ids = self
            .catalog
            .versions()
            .resolve(version, &self.catalog.ids())?;
        Ok(Desired {
            version: version.to_owned(),
            ids,
            only: None,
            accept_edits: false,
            allow_lossy: false,
            revert_unknown: false,
            config: self.config.plan_relevant(),
        })
    }

    /// The desired migrations and all that they require.
    pub(super) fn desired_ids(&self, desired: &Desired) -> BTreeSet<MigrationId> {
        self.graph.with_requirements(&desired.ids)
    }

    /// Each observed store with its address, Postgres first.
    pub(super) fn addresses<'a>(
        &self,
        observed: &'a ObservedState,
    ) -> Vec<(String, &'a StoreState)> {
        self.stores
            .iter()
            .filter_map(|(kind, store)| Some((store.address(), observed.stores.get(&kind)?)))
            .collect()
    }

    /// Gathers the evidence of a plan.
    pub(super) async fn estimate(
        &self,
        observed: &ObservedState,
        decision: &Decision,
    ) -> Result<Evidence, CliError> {
        let findings = lint(&self.catalog, &self.graph, &self.config.lint);
        Ok(engine::estimate(
            &self.stores,
            &self.catalog,
            observed,
            decision,
            findings,
            &self.config.drift,
        )
        .await?)
    }

    /// Asks the histories whether the last attempt at what is pending failed.
    pub(super) async fn recall_failures(
        &self,
        statuses: &mut [MigrationStatus],
    ) -> Result<(), CliError> {
        for (kind, store) in self.stores.iter() {
            let mut pending: Vec<&mut MigrationStatus> = statuses
                .iter_mut()
                .filter(|m| m.status == Status::Pending && m.id.store() == kind)
                .collect();
            if pending.is_empty() {
                continue;
            }
            let ids = pending.iter().map(|m| m.id.clone()).collect();
            let mut failures = store.failures(&ids).await?;
            for migration in &mut pending {
                migration.failed = failures.remove(&migration.id);
            }
        }
        Ok(())
    }

    /// Observes the stores.
    pub(super) async fn observe(&self, depth: Depth) -> Result<ObservedState, CliError> {
        Ok(engine::observe(
            &self.stores,
            &self.catalog,
            &self.config.plan_relevant(),
            depth,
        )
        .await?)
    }
}

fn check_versions(catalog: &Catalog) -> Result<(), CliError> {
    let requires = catalog
        .iter()
        .map(|m| (m.id.clone(), m.requires.clone()))
        .collect();
    Ok(catalog.versions().validate(&catalog.ids(), &requires)?)
}

/// The Redis of a configuration; `None` where it has none.
fn redis(config: &Config, folder: &Path) -> Result<Option<RedisStore>, CliError> {
    let store = |redis| RedisStore::new(redis, &config.plan_relevant(), folder);
    Ok(config.redis.as_ref().map(store).transpose()?)
}

fn stores(config: &Config, folder: &Path, limits: Limits) -> Result<Stores, CliError> {
    let mut stores = Stores::new();
    let golang = config.compat.golang_migrate.clone();
    if let Some(postgres) = &config.postgres {
        stores = stores.with(Arc::new(PostgresStore::new(postgres, golang, folder)?));
    }
    if let Some(redis) = redis(config, folder)? {
        stores = stores.with(Arc::new(redis.limited(limits)));
    }
    Ok(stores)
}

/// Runs a command's asynchronous part.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    // One thread: all work is waiting for servers, and handing answers from thread to thread costs more than
    // making use of them.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?
        .block_on(work)
}

/// Who runs this process.
pub(super) fn holder() -> Holder {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .ok()
        .flatten()
        .map_or_else(|| nix::unistd::geteuid().to_string(), |user| user.name);
    let host = nix::unistd::gethostname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    Holder {
        user,
        host,
        pid: std::process::id(),
        plan: String::new(),
        signer: None,
    }
}

/// Reads a duration such as `60s`, for clap.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    crate::model::duration::parse_duration(text).map_err(|e| e.to_string())
}

/// The name of a store for people.
pub(super) fn store_name(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Sql => "Postgres",
        StoreKind::Redis => "Redis",
    }
}
