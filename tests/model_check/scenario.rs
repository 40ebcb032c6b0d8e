//! The plans whose application is explored.

use std::collections::BTreeMap;
use std::sync::Arc;

use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::plan::Plan;
use outpost::model::state::LedgerEntry;
use outpost::store::Store as _;
use outpost::store::memory::{Flaw, MemoryStore};

use crate::explore;
use crate::folder::{Project, State, sealed};

/// A plan, and the servers that it is for.
pub struct Scenario {
    pub plan: Arc<Plan>,
    pub parallelism: usize,
    /// Keys that each Redis step meets.
    pub keys: u64,
    /// What the servers are built with.
    pub flaw: Option<Flaw>,
    /// What an undisturbed run leaves.
    pub expected: BTreeMap<StoreKind, Left>,
}

/// What a run leaves in a store, without the times and names that may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub effects: Vec<String>,
    pub parts: Vec<String>,
    pub ledger: BTreeMap<MigrationId, LedgerEntry>,
}

impl Left {
    /// Side by side, the order of steps may differ: the judge watches what must not.
    pub fn of(store: &MemoryStore) -> Self {
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        Self {
            effects: sorted(store.effects()),
            parts: sorted(store.part_effects()),
            ledger: store.ledger(),
        }
    }
}

impl Scenario {
    /// Four steps: SQL in a transaction, SQL statement by statement, keys of Redis, and SQL that needs both
    /// of them. The second and the third may run side by side.
    pub fn cross() -> Self {
        let project = Project::new(
            "sql/0001_a sql/0002_b redis/0001_x<-sql/0001_a sql/0003_c<-redis/0001_x",
        )
        .file(
            "sql/0002_b.up.sql",
            "-- outpost: transaction = false\nINSERT INTO t1 VALUES (1);\nINSERT INTO t1 VALUES (2);\n",
        );
        Self::of(&project, 2)
    }

    /// The same, one step after the other.
    pub fn in_line() -> Self {
        Self {
            parallelism: 1,
            ..Self::cross()
        }
    }

    fn of(project: &Project, parallelism: usize) -> Self {
        let mut state = State::empty();
        for kind in [StoreKind::Sql, StoreKind::Redis] {
            let server = MemoryStore::new(kind);
            let observed =
                futures_util::FutureExt::now_or_never(server.observe(&Default::default()));
            *state.store(kind) = observed.expect("no wire").expect("no fault");
        }
        let mut scenario = Self {
            plan: Arc::new(sealed(project.plan_latest(&state).expect("a plan"))),
            parallelism,
            keys: 2,
            flaw: None,
            expected: BTreeMap::new(),
        };
        scenario.expected = explore::undisturbed(&scenario);
        scenario
    }

    /// On servers that were built with a mistake.
    pub fn with(self, flaw: Flaw) -> Self {
        Self {
            flaw: Some(flaw),
            ..self
        }
    }

    /// New, empty servers.
    pub fn servers(&self) -> BTreeMap<StoreKind, MemoryStore> {
        [StoreKind::Sql, StoreKind::Redis]
            .map(|kind| {
                let store = match self.flaw {
                    Some(flaw) => MemoryStore::flawed(kind, flaw),
                    None => MemoryStore::new(kind),
                };
                (kind, store.with_keys(self.keys))
            })
            .into()
    }
}
