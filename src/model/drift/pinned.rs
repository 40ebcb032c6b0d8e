//! What the lock file tells of drift, without a server to replay the migrations on.

use serde::{Deserialize, Serialize};

use super::{DriftConfig, ObjectDifference, compared, pin};
use crate::model::catalog::Catalog;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::state::{LedgerStatus, ObservedState, StoreState};

/// How a Postgres schema differs from the state that the lock file pins for the recorded migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedDrift {
    /// The pinned state is the one after this migration.
    pub after: MigrationId,
    /// Major version of the Postgres that the lock file was made with.
    pub expected_server: Option<u32>,
    /// Major version of the server that was looked at. Another one may word a definition differently.
    pub server: Option<u32>,
    /// What differs, by kind and name.
    pub objects: Vec<ObjectDifference>,
}

/// How the real schema differs from its pinned state, for a plan's evidence. `None` where nothing pins it: as
/// for [`pin`], and while something is half done, which belongs to no pinned state.
pub fn from_pin(
    catalog: &Catalog,
    observed: &ObservedState,
    config: &DriftConfig,
) -> Option<PinnedDrift> {
    let state = observed.stores.get(&StoreKind::Sql)?;
    let schema = state.schema.as_ref()?;
    if is_half_done(state) {
        return None;
    }
    let pin = pin(catalog, observed)?;
    Some(PinnedDrift {
        after: pin.id.clone(),
        expected_server: catalog.lock().and_then(|lock| lock.postgres),
        server: schema.server_major,
        objects: compared(&pin.objects, schema, config).objects,
    })
}

fn is_half_done(state: &StoreState) -> bool {
    let mut entries = state.ledger.values();
    state.legacy.dirty_at().is_some()
        || entries.any(|entry| matches!(entry.status, LedgerStatus::Partial { .. }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::checksum::Checksum;
    use crate::model::lock::{LOCK_FORMAT, Lock, LockedMigration};
    use crate::model::state::{
        Doing, GolangMigrate, GolangVersion, HowApplied, LedgerEntry, Legacy, SchemaObjects,
        StoreIdentity,
    };
    use crate::model::versions::Versions;

    /// A folder without files, whose lock pins one table after its first migration.
    fn catalog() -> Catalog {
        let mut schema = SchemaObjects::default();
        schema
            .definitions
            .insert("table public.a".to_owned(), "id bigint".to_owned());
        let pin = LockedMigration {
            id: "sql/0001_a".parse().unwrap(),
            files: BTreeMap::new(),
            objects: schema.digests(),
        };
        let lock = Lock {
            format: LOCK_FORMAT,
            postgres: Some(17),
            migrations: vec![pin],
        };
        Catalog::new(BTreeMap::new(), Versions::single_latest(), Some(lock))
    }

    /// An empty database whose ledger says that this stands with the migration.
    fn observed(id: &str, status: LedgerStatus) -> ObservedState {
        let entry = LedgerEntry {
            status,
            checksum: Checksum::of_content("x"),
            plan: String::new(),
            at: String::new(),
            actor: String::new(),
            checkpoint: None,
            down: None,
        };
        let state = StoreState {
            identity: StoreIdentity::Postgres {
                system_identifier: None,
                database: "d".to_owned(),
                ledger: None,
            },
            ledger: BTreeMap::from([(id.parse().unwrap(), entry)]),
            legacy: Legacy::default(),
            schema: Some(SchemaObjects::default()),
            lease: None,
            proofs: BTreeMap::new(),
            not_applicable: BTreeMap::new(),
        };
        ObservedState {
            stores: BTreeMap::from([(StoreKind::Sql, state)]),
        }
    }

    const APPLIED: LedgerStatus = LedgerStatus::Applied {
        how: HowApplied::Run,
        cleaned: false,
    };

    fn pinned(observed: &ObservedState) -> Option<PinnedDrift> {
        from_pin(&catalog(), observed, &DriftConfig::default())
    }

    #[test]
    fn only_a_state_that_is_pinned_and_not_half_done_can_drift() {
        let drift = pinned(&observed("sql/0001_a", APPLIED)).unwrap();
        assert_eq!(drift.after, "sql/0001_a".parse().unwrap());
        assert_eq!((drift.expected_server, drift.server), (Some(17), None));
        let words: Vec<String> = drift.objects.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["table public.a is missing"]);

        let other = observed("sql/0002_b", APPLIED);
        assert_eq!(pinned(&other), None);
        let doing = Doing::Apply;
        let begun = observed("sql/0001_a", LedgerStatus::Partial { doing });
        assert_eq!(pinned(&begun), None);
        let mut dirty = observed("sql/0001_a", APPLIED);
        let state = dirty.stores.get_mut(&StoreKind::Sql).unwrap();
        state.legacy.golang_migrate = Some(GolangMigrate {
            table: "schema_migrations".to_owned(),
            row: Some(GolangVersion {
                version: 2,
                dirty: true,
            }),
        });
        assert_eq!(pinned(&dirty), None);
    }
}
