//! What was observed in the stores at one moment: ledgers, the marks of earlier tools, fingerprints.

mod ledger;
mod legacy;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use ledger::{Checkpoint, Doing, HowApplied, LedgerEntry, LedgerStatus, ScanCursor};
pub use legacy::{GolangMigrate, GolangVersion, Legacy, Marker, MarkerStatus, Proof};
pub use schema::{Fingerprint, SchemaObjects};

use crate::model::catalog::Catalog;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::LeaseInfo;

/// Both stores at one moment. A store that is not configured is not in it.
#[derive(Debug, Clone, Default)]
pub struct ObservedState {
    /// What each configured store holds.
    pub stores: BTreeMap<StoreKind, StoreState>,
}

/// One store at one moment.
#[derive(Debug, Clone)]
pub struct StoreState {
    /// Which database this is.
    pub identity: StoreIdentity,
    /// What the ledger says, by migration; an absent ledger is an empty one.
    pub ledger: BTreeMap<MigrationId, LedgerEntry>,
    /// What earlier tools recorded.
    pub legacy: Legacy,
    /// The real schema, when it was asked for; `list` and the gate do not read it.
    pub schema: Option<SchemaObjects>,
    /// Who holds the lease, if anybody does.
    pub lease: Option<LeaseInfo>,
    /// Which migrations that an earlier tool recorded are proven to be in place.
    pub proofs: BTreeMap<MigrationId, Proof>,
    /// Migrations whose `only_if` rules them out here, with the reason.
    pub not_applicable: BTreeMap<MigrationId, String>,
}

/// Names a database, so that a plan cannot be applied to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "snake_case")]
pub enum StoreIdentity {
    /// A database of a Postgres cluster.
    Postgres {
        /// `pg_control_system()`'s identifier; `None` where the role may not ask.
        system_identifier: Option<String>,
        /// The database's name.
        database: String,
        /// The ledger's uuid; `None` for a database without a ledger.
        ledger: Option<String>,
    },
    /// A logical database of a Redis deployment.
    Redis {
        /// The configured deployment id, empty for none.
        deployment_id: String,
        /// The logical database's number.
        database: u32,
        /// The ledger's uuid; `None` for a keyspace without a ledger.
        ledger: Option<String>,
    },
}

impl StoreIdentity {
    /// The ledger's uuid, `None` where there is no ledger.
    pub fn ledger(&self) -> Option<&str> {
        match self {
            Self::Postgres { ledger, .. } | Self::Redis { ledger, .. } => ledger.as_deref(),
        }
    }

    /// Whether two identities name the same database, whatever became of its ledger.
    pub fn same_database(&self, other: &Self) -> bool {
        self.without_ledger() == other.without_ledger()
    }

    fn without_ledger(&self) -> Self {
        let mut identity = self.clone();
        match &mut identity {
            Self::Postgres { ledger, .. } | Self::Redis { ledger, .. } => *ledger = None,
        }
        identity
    }
}

impl std::fmt::Display for StoreIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ledger = self.ledger().unwrap_or("none yet");
        match self {
            Self::Postgres {
                system_identifier,
                database,
                ..
            } => {
                let system = system_identifier.as_deref().unwrap_or("unknown");
                write!(
                    f,
                    "Postgres system {system}, database {database}, ledger {ledger}"
                )
            }
            Self::Redis {
                deployment_id,
                database,
                ..
            } => {
                let deployment = if deployment_id.is_empty() {
                    "none"
                } else {
                    deployment_id
                };
                write!(
                    f,
                    "Redis deployment {deployment}, database {database}, ledger {ledger}"
                )
            }
        }
    }
}

impl ObservedState {
    /// What the ledgers say of a migration.
    pub fn entry(&self, id: &MigrationId) -> Option<&LedgerEntry> {
        self.stores.get(&id.store())?.ledger.get(id)
    }

    /// Migrations that an earlier tool claims to have applied, and of which the ledger says nothing.
    ///
    /// golang-migrate's row claims nothing once the ledger has the migration of its number: then the row is
    /// kept up by this tool, or was adopted with all that it stood for, and a migration that is merged late
    /// with a lower number was never applied. A person's decision about the migration of its number says
    /// nothing of those before it: they are still claimed, and still to be proven.
    pub fn claimed(&self, catalog: &Catalog) -> BTreeSet<MigrationId> {
        let row_is_known = self.row_is_known();
        catalog
            .iter()
            .filter(|m| self.entry(&m.id).is_none())
            .filter(|m| m.store() != StoreKind::Sql || !row_is_known)
            .filter(|m| {
                self.stores
                    .get(&m.store())
                    .is_some_and(|s| s.legacy.claims(&m.id, m.compat_name()))
            })
            .map(|m| m.id.clone())
            .collect()
    }

    fn row_is_known(&self) -> bool {
        let Some(state) = self.stores.get(&StoreKind::Sql) else {
            return false;
        };
        let row = state.legacy.golang_migrate.as_ref().and_then(|g| g.row);
        row.is_some_and(|row| {
            state.ledger.iter().any(|(id, entry)| {
                let decided = LedgerStatus::Applied {
                    how: HowApplied::Resolved,
                    cleaned: false,
                };
                id.number() == row.version && entry.recorded().is_some() && entry.status != decided
            })
        })
    }

    /// golang-migrate's row, where its number is of no migration of the catalog: the database was
    /// migrated by something newer, or by something else.
    pub fn unknown_version(&self, catalog: &Catalog) -> Option<GolangVersion> {
        let row = self
            .stores
            .get(&StoreKind::Sql)?
            .legacy
            .golang_migrate
            .as_ref()?
            .row?;
        let known = catalog
            .ids_of(StoreKind::Sql)
            .any(|id| id.number() == row.version);
        (!known).then_some(row)
    }

    /// The ids recorded as applied, over both stores.
    pub fn applied(&self) -> BTreeSet<MigrationId> {
        self.stores
            .values()
            .flat_map(|s| &s.ledger)
            .filter(|(_, entry)| entry.is_applied())
            .map(|(id, _)| id.clone())
            .collect()
    }
}
