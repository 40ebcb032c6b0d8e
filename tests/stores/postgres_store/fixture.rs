//! Steps and plans made by hand, and a store on a database of the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use outpost::model::checksum::Checksum;
use outpost::model::config::{Config, PlanConfig};
use outpost::model::event::{Event, Events};
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lease::Holder;
use outpost::model::plan::{
    Action, Decision, Evidence, Plan, PlanDigest, PlannedStatement, Purpose, RecordedStore,
    SqlContent, Step, StepContent,
};
use outpost::model::sql::Script;
use outpost::model::state::{
    GolangMigrate, GolangVersion, LedgerEntry, Legacy, StoreIdentity, StoreState,
};
use outpost::store::postgres::PostgresStore;
use outpost::store::{Lease, Observe, Run, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, fresh_database};

pub struct Fixture {
    pub database: Database,
    pub store: PostgresStore,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_golang(None)
    }

    pub fn with_golang(table: Option<&str>) -> Self {
        let database = fresh_database();
        let store = store(&database.url, table);
        Self { database, store }
    }

    pub async fn state(&self) -> StoreState {
        self.store.observe(&Observe::default()).await.unwrap()
    }

    pub async fn entry(&self, text: &str) -> Option<LedgerEntry> {
        self.state().await.ledger.remove(&id(text))
    }
}

/// A store with short pauses between its tries.
pub fn store(url: &str, golang: Option<&str>) -> PostgresStore {
    let text = "[schema]\npath = \"schema\"\nversion = \"latest\"\n[postgres]\nurl = \"${URL}\"\n";
    let config = Config::parse("outpost.toml", text, &|_| Some(url.to_owned())).unwrap();
    let postgres = config.postgres.unwrap();
    PostgresStore::new(&postgres, golang.map(str::to_owned), Path::new("."))
        .unwrap()
        .with_retries(5, Duration::from_millis(10))
}

pub fn id(text: &str) -> MigrationId {
    text.parse().unwrap()
}

pub fn holder() -> Holder {
    Holder {
        user: "ann".to_owned(),
        host: "box".to_owned(),
        pid: 7,
        plan: "p".repeat(64),
        signer: None,
    }
}

/// A step with the statements of an SQL text.
pub fn step(name: &str, action: Action, sql: &str) -> Step {
    let path = format!("{name}.up.sql");
    let script = Script::parse(&path, sql).unwrap();
    let content = SqlContent {
        path,
        checksum: Checksum::of_content(sql),
        transaction: script.directives.transaction,
        lock_timeout_ms: match script.directives.lock_timeout {
            Some(limit) => Some(u64::try_from(limit.as_millis()).unwrap()),
            None => script.directives.transaction.then_some(5_000),
        },
        statement_timeout_ms: script
            .directives
            .statement_timeout
            .map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap()),
        statements: script
            .statements
            .iter()
            .map(PlannedStatement::from)
            .collect(),
        verify: Vec::new(),
        down: None,
    };
    Step {
        id: id(name),
        action,
        description: None,
        checksum: Checksum::of_content(sql),
        after: BTreeSet::new(),
        resumes: false,
        out_of_order: false,
        content: StepContent::Sql(content),
    }
}

pub fn apply(name: &str, sql: &str) -> Step {
    step(name, Action::Apply, sql)
}

pub fn record(name: &str, action: Action) -> Step {
    Step {
        content: StepContent::Record,
        ..step(name, action, "select 1")
    }
}

pub fn content(step: &mut Step) -> &mut SqlContent {
    match &mut step.content {
        StepContent::Sql(content) => content,
        _ => panic!("the step has no statements"),
    }
}

/// A plan of these steps, for a catalog with these SQL migrations.
pub fn plan(digest: u8, steps: &[Step], numbered: &[&str], legacy: Legacy) -> Plan {
    let identity = StoreIdentity::Postgres {
        system_identifier: None,
        database: "db".to_owned(),
        ledger: None,
    };
    let recorded = RecordedStore {
        identity,
        entries: BTreeMap::new(),
        legacy,
        fingerprint: None,
    };
    let config = PlanConfig {
        postgres: None,
        redis: None,
        vars: BTreeMap::new(),
        golang_migrate: None,
        outpost_redis: false,
        adopt_missing: None,
    };
    Plan {
        decision: Decision {
            purpose: Purpose::Migrate,
            version: "latest".to_owned(),
            only: None,
            left_out: BTreeSet::new(),
            config,
            numbered: numbered.iter().map(|text| id(text)).collect(),
            markers: Vec::new(),
            recorded: [(StoreKind::Sql, recorded)].into(),
            owned: None,
            steps: steps.to_vec(),
        },
        evidence: Evidence::default(),
        digest: PlanDigest([digest; 32]),
    }
}

pub fn golang_at(row: Option<(u64, bool)>) -> Legacy {
    let row = row.map(|(version, dirty)| GolangVersion { version, dirty });
    Legacy {
        golang_migrate: Some(GolangMigrate {
            table: "schema_migrations".to_owned(),
            row,
        }),
        ..Legacy::default()
    }
}

#[derive(Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Events for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorder {
    pub fn retries(&self) -> usize {
        self.count(|e| matches!(e, Event::Retry { .. }))
    }

    pub fn notes(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let notes = events.iter().filter_map(|e| match e {
            Event::Note { message, .. } => Some(message.clone()),
            _ => None,
        });
        notes.collect()
    }

    pub fn statements(&self) -> usize {
        self.count(|e| matches!(e, Event::StatementStarted { .. }))
    }

    fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|e| which(e)).count()
    }
}

/// Runs a step of a plan under a lease.
pub async fn run(
    store: &PostgresStore,
    step: &Step,
    plan: &Plan,
    lease: &Lease,
    events: &Recorder,
) -> Result<(), StoreError> {
    let cancel = CancellationToken::new();
    let run = Run {
        lease,
        plan,
        events,
        cancel: &cancel,
    };
    store.run(step, &run).await.map(drop)
}

/// Runs one step in a plan of its own under a lease of its own.
pub async fn run_alone(fixture: &Fixture, step: &Step) -> Result<(), StoreError> {
    let plan = plan(1, std::slice::from_ref(step), &[], Legacy::default());
    let lease = fixture.store.acquire("alone", &holder()).await.unwrap();
    let result = run(&fixture.store, step, &plan, &lease, &Recorder::default()).await;
    fixture.store.release(&lease).await.unwrap();
    result
}
