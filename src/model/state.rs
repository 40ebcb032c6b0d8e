//! What was observed in the stores at one moment: ledgers, the marks of earlier tools, fingerprints.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::catalog::Catalog;
use crate::model::checksum::Checksum;
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

/// What a ledger says of one migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Where it stands.
    pub status: LedgerStatus,
    /// Of the file that was applied.
    pub checksum: Checksum,
    /// Hex digest of the plan that wrote this entry.
    pub plan: String,
    /// When it was written, by the store's clock, RFC 3339 in UTC.
    pub at: String,
    /// Who wrote it.
    pub actor: String,
    /// How far a step got that was not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The down SQL that was valid when the migration was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

/// Where a recorded migration stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LedgerStatus {
    /// In place.
    Applied {
        /// How it came to be in place.
        how: HowApplied,
        /// Whether its cleanup was run too.
        cleaned: bool,
    },
    /// Not applicable here.
    Skipped {
        /// Why.
        reason: String,
    },
    /// A step that cannot share one transaction with its record was begun and is not finished.
    Partial {
        /// What it was doing.
        doing: Doing,
    },
    /// Not in place any more. Kept, so that a repeated run of the plan that reverted it knows its own
    /// work.
    Reverted,
}

/// How a migration came to be recorded as applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HowApplied {
    /// This tool ran it.
    Run,
    /// An earlier tool ran it, and it was proven to be in place.
    Adopted,
    /// A person decided so with `resolve`.
    Resolved,
}

/// The direction of an unfinished step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Applying.
    Apply,
    /// Reverting.
    Revert,
    /// Cleaning up.
    Cleanup,
}

/// How far an unfinished step got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Statements that are done, for SQL outside a transaction.
    #[serde(default)]
    pub statements_done: usize,
    /// Keys examined so far, for Redis.
    #[serde(default)]
    pub keys_done: u64,
    /// The server run that the cursor belongs to, and the cursor, for Redis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cursors: Vec<ScanCursor>,
}

/// A SCAN position, only as good as the server run that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanCursor {
    /// `run_id` of the server.
    pub run_id: String,
    /// The cursor that SCAN returned.
    pub cursor: u64,
}

impl LedgerEntry {
    /// Whether the migration is in place; it still is while its cleanup is half done.
    pub fn is_applied(&self) -> bool {
        matches!(
            self.status,
            LedgerStatus::Applied { .. }
                | LedgerStatus::Partial {
                    doing: Doing::Cleanup
                }
        )
    }

    /// Whether what requires this migration may run: it is in place, or does not apply here.
    pub fn satisfies(&self) -> bool {
        matches!(
            self.status,
            LedgerStatus::Applied { .. }
                | LedgerStatus::Skipped { .. }
                | LedgerStatus::Partial {
                    doing: Doing::Cleanup
                }
        )
    }
}

/// What earlier tools recorded in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legacy {
    /// golang-migrate's row, where its table exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golang_migrate: Option<GolangMigrate>,
    /// The markers of the earlier Redis migrator, by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub markers: BTreeMap<String, Marker>,
}

/// golang-migrate's table. No row in it means that no migration was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GolangMigrate {
    /// The table's name.
    pub table: String,
    /// The row, if there is one.
    pub row: Option<GolangVersion>,
}

/// The row of golang-migrate's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GolangVersion {
    /// The last migration's number.
    pub version: u64,
    /// Whether it failed half way.
    pub dirty: bool,
}

/// A marker of the earlier Redis migrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// `applied` or `not_applicable`.
    pub status: MarkerStatus,
    /// Its reason, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a marker claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkerStatus {
    /// The migration was run.
    Applied,
    /// The migration does not apply to this deployment.
    NotApplicable,
    /// Something that no earlier tool is known to write.
    Other(String),
}

/// Whether a migration that an earlier tool recorded is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It is, and this shows it.
    Proven(String),
    /// It is not: what was found.
    Disproven(Vec<String>),
    /// Everything in place is right, but sources have no counterpart: left-overs of years, or losses.
    SourcesLeft {
        /// How many.
        count: u64,
        /// A few of them, printable.
        samples: Vec<String>,
    },
    /// Nothing to prove it with: no pinned fingerprint and no verification.
    Nothing,
}

/// The objects of a real schema, each with its definition in one canonical text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaObjects {
    /// By kind and qualified name, such as `table public.events`.
    pub definitions: BTreeMap<String, String>,
    /// Those of `definitions` that belong to partitions attached to a partitioned table.
    pub partitions: BTreeSet<String>,
    /// The relation that an index, a constraint, a trigger, a policy or a rule is on, by its qualified name.
    pub attached: BTreeMap<String, String>,
    /// The server's major version, which has a say in how definitions are worded.
    pub server_major: Option<u32>,
    /// The schemas in which a name without one is looked up, in their order.
    pub search_path: Vec<String>,
}

impl SchemaObjects {
    /// The digest of one object's definition.
    pub fn digest(&self, object: &str) -> Option<String> {
        self.definitions.get(object).map(|text| object_digest(text))
    }

    /// Every object with its digest.
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.definitions
            .iter()
            .map(|(object, text)| (object.clone(), object_digest(text)))
            .collect()
    }

    /// The fingerprint of the objects in `owned`, or, where nothing says what the folder owns, of
    /// everything but partitions, which operators add and drop while the application runs.
    pub fn fingerprint(&self, owned: Option<&BTreeSet<String>>) -> Fingerprint {
        let digests = self.digests();
        Fingerprint::of(
            digests
                .iter()
                .filter(|(object, _)| match owned {
                    Some(owned) => owned.contains(*object),
                    None => !self.partitions.contains(*object),
                })
                .map(|(object, digest)| (object.as_str(), digest.as_str())),
        )
    }
}

/// The first 32 hex digits of the SHA-256 of a definition: it tells two definitions apart, it guards
/// nothing.
fn object_digest(definition: &str) -> String {
    hex::encode(&Sha256::digest(definition.as_bytes())[..16])
}

/// A digest of a store's real schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Of objects and their digests, in the order given.
    pub fn of<'a>(objects: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = Sha256::new();
        for (object, digest) in objects {
            hash.update(object.as_bytes());
            hash.update([0]);
            hash.update(digest.as_bytes());
            hash.update([0]);
        }
        Self(format!("sha256:{}", hex::encode(hash.finalize())))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
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

impl Legacy {
    /// Whether an earlier tool recorded this migration as applied. golang-migrate's one number stands for
    /// every migration up to it; a dirty one claims nothing of the migration that it is dirty at.
    pub fn claims(&self, id: &MigrationId, compat_name: Option<&str>) -> bool {
        match id.store() {
            StoreKind::Sql => self
                .golang_migrate
                .as_ref()
                .and_then(|g| g.row)
                .is_some_and(|row| {
                    id.number() < row.version || (id.number() == row.version && !row.dirty)
                }),
            StoreKind::Redis => compat_name
                .and_then(|name| self.markers.get(name))
                .is_some_and(|m| m.status == MarkerStatus::Applied),
        }
    }

    /// The number at which golang-migrate's table is dirty.
    pub fn dirty_at(&self) -> Option<u64> {
        self.golang_migrate
            .as_ref()
            .and_then(|g| g.row)
            .filter(|row| row.dirty)
            .map(|row| row.version)
    }
}

impl std::fmt::Display for Legacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let Some(golang) = &self.golang_migrate {
            parts.push(match golang.row {
                None => format!("{} without a row", golang.table),
                Some(GolangVersion {
                    version,
                    dirty: false,
                }) => format!("{} at {version}", golang.table),
                Some(GolangVersion {
                    version,
                    dirty: true,
                }) => format!("{} dirty at {version}", golang.table),
            });
        }
        for (name, marker) in &self.markers {
            let status = match &marker.status {
                MarkerStatus::Applied => "applied",
                MarkerStatus::NotApplicable => "not applicable",
                MarkerStatus::Other(other) => other,
            };
            parts.push(format!("marker {name} {status}"));
        }
        if parts.is_empty() {
            parts.push("nothing".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}
