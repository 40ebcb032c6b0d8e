//! Schema folders and observed states from short texts, for tests of the pure model and of the engine.
//!
//! A project is a list of ids: `sql/0001_a ^sql/0002_b<-redis/0001_x`. Each requires the one before it in
//! its store, unless `^` makes it a root; `<-` adds requirements, with commas between them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use outpost::model::catalog::Catalog;
use outpost::model::checksum::Checksum;
use outpost::model::config::{PlanConfig, PlanPostgres, PlanRedis};
use outpost::model::graph::Graph;
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lock::Lock;
use outpost::model::migration::{Content, Migration, RedisMigration, SqlFile, SqlMigration};
use outpost::model::plan::{
    Decision, Desired, Evidence, Plan, PlanError, Resolution, plan, plan_cleanup, plan_resolve,
};
use outpost::model::state::{
    Doing, GolangMigrate, GolangVersion, HowApplied, LedgerEntry, LedgerStatus, Legacy, Marker,
    MarkerStatus, ObservedState, Proof, StoreIdentity, StoreState,
};
use outpost::model::versions::Versions;

/// The id of a text that is one.
pub fn id(text: &str) -> MigrationId {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The ids of a text, with blanks between them.
pub fn ids(text: &str) -> BTreeSet<MigrationId> {
    text.split_whitespace().map(id).collect()
}

/// A configuration with both stores and without earlier tools.
pub fn config() -> PlanConfig {
    PlanConfig {
        postgres: Some(PlanPostgres {
            lock_timeout_ms: 5_000,
            statement_timeout_ms: 0,
        }),
        redis: Some(PlanRedis {
            deployment_id: None,
            database: 0,
            cluster: false,
            ignore: Vec::new(),
        }),
        vars: BTreeMap::new(),
        golang_migrate: None,
        outpost_redis: false,
        adopt_missing: None,
    }
}

/// A schema folder.
#[derive(Clone)]
pub struct Project {
    migrations: BTreeMap<MigrationId, Migration>,
    lock: Option<Lock>,
    pub config: PlanConfig,
}

impl Project {
    /// With content that can be reverted: a table for SQL, a copy of keys for Redis.
    pub fn new(text: &str) -> Self {
        let mut declared = BTreeMap::new();
        for word in text.split_whitespace() {
            let (name, extra) = word.split_once("<-").unwrap_or((word, ""));
            let root = name.starts_with('^');
            let requires: BTreeSet<MigrationId> =
                extra.split(',').filter(|s| !s.is_empty()).map(id).collect();
            declared.insert(id(name.trim_start_matches('^')), (root, requires));
        }
        let mut project = Self {
            migrations: BTreeMap::new(),
            lock: None,
            config: config(),
        };
        let mut previous: Option<MigrationId> = None;
        for (id, (root, mut requires)) in declared {
            let before = previous.replace(id.clone());
            requires.extend(before.filter(|p| !root && p.store() == id.store()));
            project.insert(id, requires);
        }
        project
    }

    /// From bare requirements.
    pub fn of(requirements: &BTreeMap<MigrationId, BTreeSet<MigrationId>>) -> Self {
        let mut project = Self::new("");
        for (id, requires) in requirements {
            project.insert(id.clone(), requires.clone());
        }
        project
    }

    fn insert(&mut self, id: MigrationId, requires: BTreeSet<MigrationId>) {
        let content = match id.store() {
            StoreKind::Sql => {
                let file = |ending: &str, text: String| {
                    let path = format!("sql/{}.{ending}.sql", id.name());
                    SqlFile::parse(&path, &text, &self.config.vars).expect("valid SQL")
                };
                let table = format!("t{}", id.number());
                Content::Sql(Box::new(SqlMigration {
                    up: file("up", format!("CREATE TABLE {table} (id bigint);\n")),
                    down: Some(file("down", format!("DROP TABLE {table};\n"))),
                    verify: None,
                    cleanup: None,
                }))
            }
            StoreKind::Redis => self.redis(&id, &copy(&id)),
        };
        let migration = Migration {
            id: id.clone(),
            description: None,
            requires,
            content,
        };
        self.migrations.insert(id, migration);
    }

    fn redis(&self, id: &MigrationId, text: &str) -> Content {
        let path = format!("redis/{}.toml", id.name());
        Content::Redis(Box::new(
            RedisMigration::parse(&path, text, &self.config).unwrap_or_else(|e| panic!("{e}")),
        ))
    }

    /// Writes a file: `sql/0001_a.up.sql`, `sql/0001_a.cleanup.sql`, `redis/0001_x.toml`.
    pub fn file(mut self, path: &str, text: &str) -> Self {
        let (name, ending) = path.split_once('.').expect("a path with an ending");
        let id = id(name);
        if ending == "toml" {
            let content = self.redis(&id, text);
            self.migrations.get_mut(&id).expect(path).content = content;
            return self;
        }
        let file = SqlFile::parse(path, text, &self.config.vars).unwrap_or_else(|e| panic!("{e}"));
        let sql = self.sql(&id);
        match ending {
            "up.sql" => sql.up = file,
            "down.sql" => sql.down = Some(file),
            "verify.sql" => sql.verify = Some(file),
            "cleanup.sql" => sql.cleanup = Some(file),
            _ => panic!("{path}"),
        }
        self
    }

    /// Removes the down files of these migrations.
    pub fn without_down(mut self, names: &str) -> Self {
        for id in ids(names) {
            self.sql(&id).down = None;
        }
        self
    }

    fn sql(&mut self, id: &MigrationId) -> &mut SqlMigration {
        match &mut self.migrations.get_mut(id).expect("known").content {
            Content::Sql(sql) => sql,
            Content::Redis(_) => panic!("{id} is no SQL"),
        }
    }

    /// The same folder without some migrations, as an older checkout has it.
    pub fn without(mut self, names: &str) -> Self {
        let gone = ids(names);
        self.migrations.retain(|id, _| !gone.contains(id));
        self
    }

    pub fn with_config(mut self, change: impl FnOnce(&mut PlanConfig)) -> Self {
        change(&mut self.config);
        self
    }

    pub fn with_lock(mut self, lock: Lock) -> Self {
        self.lock = Some(lock);
        self
    }

    pub fn catalog(&self) -> Catalog {
        Catalog::new(
            self.migrations.clone(),
            Versions::single_latest(),
            self.lock.clone(),
        )
    }

    pub fn graph(&self) -> Graph {
        Graph::new(&self.catalog()).unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn migration(&self, name: &str) -> &Migration {
        &self.migrations[&id(name)]
    }

    pub fn all(&self) -> BTreeSet<MigrationId> {
        self.migrations.keys().cloned().collect()
    }

    /// Every migration is desired.
    pub fn latest(&self) -> Desired {
        self.desire("latest", self.all())
    }

    /// These migrations are desired.
    pub fn version(&self, names: &str) -> Desired {
        self.desire("v", ids(names))
    }

    /// This set is desired.
    pub fn desired(&self, ids: &BTreeSet<MigrationId>) -> Desired {
        self.desire("v", ids.clone())
    }

    fn desire(&self, version: &str, ids: BTreeSet<MigrationId>) -> Desired {
        Desired {
            version: version.to_owned(),
            ids,
            only: None,
            accept_edits: false,
            allow_lossy: false,
            revert_unknown: false,
            config: self.config.clone(),
        }
    }

    pub fn plan(&self, state: &State, desired: &Desired) -> Result<Decision, PlanError> {
        plan(&self.catalog(), &self.graph(), &state.0, desired)
    }

    pub fn plan_latest(&self, state: &State) -> Result<Decision, PlanError> {
        self.plan(state, &self.latest())
    }

    pub fn cleanup(&self, state: &State, names: Option<&str>) -> Result<Decision, PlanError> {
        let ids = names.map(ids);
        let (catalog, graph) = (self.catalog(), self.graph());
        plan_cleanup(&catalog, &graph, &state.0, &self.latest(), ids.as_ref())
    }

    pub fn resolve(
        &self,
        state: &State,
        name: &str,
        resolution: Resolution,
    ) -> Result<Decision, PlanError> {
        let (catalog, graph) = (self.catalog(), self.graph());
        let latest = self.latest();
        plan_resolve(&catalog, &graph, &state.0, &latest, &id(name), resolution)
    }

    /// The entry of a migration that was run, by a plan that nobody knows.
    pub fn entry(&self, name: &str) -> LedgerEntry {
        entry(
            *self.migration(name).checksum(),
            LedgerStatus::Applied {
                how: HowApplied::Run,
                cleaned: false,
            },
        )
    }

    /// A state in which these migrations are applied.
    pub fn applied(&self, names: &str) -> State {
        names
            .split_whitespace()
            .fold(State::empty(), |state, name| {
                state.with_entry(name, self.entry(name))
            })
    }

    /// The same, of a migration that stands somewhere else.
    pub fn standing(&self, state: State, name: &str, status: LedgerStatus) -> State {
        state.with_entry(name, entry(*self.migration(name).checksum(), status))
    }
}

/// Keys that one Redis migration copies; two migrations never touch the same ones.
fn copy(id: &MigrationId) -> String {
    let n = id.number();
    format!(
        "scope = \"old{n}:<id>\"\n\n[[step]]\ncopy = \"old{n}:<id>\"\nto = \"new{n}:<id>\"\ntype = \"hash\"\n"
    )
}

pub fn entry(checksum: Checksum, status: LedgerStatus) -> LedgerEntry {
    LedgerEntry {
        status,
        checksum,
        plan: "00".repeat(32),
        at: "2026-01-01T00:00:00Z".to_owned(),
        actor: "ann".to_owned(),
        checkpoint: None,
        down: None,
    }
}

pub fn partial(doing: Doing) -> LedgerStatus {
    LedgerStatus::Partial { doing }
}

/// An observed state, put together piece by piece.
#[derive(Clone)]
pub struct State(pub ObservedState);

impl State {
    /// Both stores, without a ledger.
    pub fn empty() -> Self {
        let stores = [StoreKind::Sql, StoreKind::Redis].map(|kind| (kind, empty_store(kind)));
        Self(ObservedState {
            stores: stores.into(),
        })
    }

    /// One store alone is configured.
    pub fn only(kind: StoreKind) -> Self {
        Self(ObservedState {
            stores: [(kind, empty_store(kind))].into(),
        })
    }

    pub fn store(&mut self, kind: StoreKind) -> &mut StoreState {
        self.0.stores.get_mut(&kind).expect("configured")
    }

    pub fn with_entry(mut self, name: &str, entry: LedgerEntry) -> Self {
        let id = id(name);
        self.store(id.store()).ledger.insert(id, entry);
        self
    }

    pub fn with_row(mut self, version: u64, dirty: bool) -> Self {
        self.store(StoreKind::Sql).legacy.golang_migrate = Some(GolangMigrate {
            table: "schema_migrations".to_owned(),
            row: Some(GolangVersion { version, dirty }),
        });
        self
    }

    pub fn with_marker(mut self, name: &str, status: MarkerStatus) -> Self {
        let marker = Marker {
            status,
            reason: None,
        };
        let legacy = &mut self.store(StoreKind::Redis).legacy;
        legacy.markers.insert(name.to_owned(), marker);
        self
    }

    pub fn with_proof(mut self, name: &str, proof: Proof) -> Self {
        let id = id(name);
        self.store(id.store()).proofs.insert(id, proof);
        self
    }

    pub fn not_applicable(mut self, name: &str, reason: &str) -> Self {
        let id = id(name);
        self.store(id.store())
            .not_applicable
            .insert(id, reason.to_owned());
        self
    }
}

pub fn empty_store(kind: StoreKind) -> StoreState {
    StoreState {
        identity: identity(kind, None),
        ledger: BTreeMap::new(),
        legacy: Legacy::default(),
        schema: None,
        lease: None,
        proofs: BTreeMap::new(),
        not_applicable: BTreeMap::new(),
    }
}

pub fn identity(kind: StoreKind, ledger: Option<&str>) -> StoreIdentity {
    let ledger = ledger.map(str::to_owned);
    match kind {
        StoreKind::Sql => StoreIdentity::Postgres {
            system_identifier: Some("7".to_owned()),
            database: "app".to_owned(),
            ledger,
        },
        StoreKind::Redis => StoreIdentity::Redis {
            deployment_id: String::new(),
            database: 0,
            ledger,
        },
    }
}

/// A plan file's plan of a decision.
pub fn sealed(decision: Decision) -> Plan {
    Plan::new(decision, Evidence::default()).unwrap()
}

/// The steps in one line each: `apply sql/0001_a` and, in parentheses, what it waits for.
pub fn lines(decision: &Decision) -> Vec<String> {
    let line = |step: &outpost::model::plan::Step| {
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        match after.is_empty() {
            true => format!("{} {}", step.action.name(), step.id),
            false => format!("{} {} ({})", step.action.name(), step.id, after.join(" ")),
        }
    };
    decision.steps.iter().map(line).collect()
}
