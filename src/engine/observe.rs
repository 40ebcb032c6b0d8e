//! Reads what the stores record, and what proves the records of earlier tools.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use crate::engine::Stores;
use crate::model::catalog::Catalog;
use crate::model::config::PlanConfig;
use crate::model::drift::{self, ObjectDifference};
use crate::model::event::NoEvents;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lock::LockedMigration;
use crate::model::migration::{Content, Migration};
use crate::model::state::{ObservedState, Proof, SchemaObjects};
use crate::model::verification::{Check, CheckOutcome, Verification};
use crate::store::{Observe, StoreError};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The ledgers and the records of earlier tools: enough for `list` and the gate.
    Ledgers,
    /// The real schema too, and what proves records that are to be adopted: for planning.
    Full,
}

/// Observes every configured store. Leaves no trace.
///
/// # Errors
/// A store that cannot be read; an error is never taken for an empty ledger.
pub async fn observe(
    stores: &Stores,
    catalog: &Catalog,
    config: &PlanConfig,
    depth: Depth,
) -> Result<ObservedState, StoreError> {
    let what = Observe {
        markers: catalog.markers(),
        schema: depth == Depth::Full,
    };
    let reads = stores.iter().map(|(kind, store)| {
        let what = &what;
        async move { Ok::<_, StoreError>((kind, store.observe(what).await?)) }
    });
    let mut observed = ObservedState {
        stores: try_join_all(reads).await?.into_iter().collect(),
    };
    for migration in catalog.iter() {
        let Content::Redis(redis) = &migration.content else {
            continue;
        };
        let reason = redis.declaration.not_applicable(config);
        if let (Some(reason), Some(state)) = (reason, observed.stores.get_mut(&StoreKind::Redis)) {
            state.not_applicable.insert(migration.id.clone(), reason);
        }
    }
    if depth == Depth::Full {
        for (id, proof) in proofs(stores, catalog, &observed).await? {
            if let Some(state) = observed.stores.get_mut(&id.store()) {
                state.proofs.insert(id, proof);
            }
        }
    }
    Ok(observed)
}

/// A proof for each migration that only an earlier tool recorded. A record is evidence, not proof.
async fn proofs(
    stores: &Stores,
    catalog: &Catalog,
    observed: &ObservedState,
) -> Result<BTreeMap<MigrationId, Proof>, StoreError> {
    let claimed = observed.claimed(catalog);
    let mut proofs = BTreeMap::new();
    let sql = SqlEvidence::gather(catalog, observed);
    for id in &claimed {
        let (Some(migration), Some(store)) = (catalog.get(id), stores.get(id.store())) else {
            continue;
        };
        if let Some(proof) = sql
            .as_ref()
            .filter(|_| id.store() == StoreKind::Sql)
            .map(SqlEvidence::proof)
        {
            proofs.insert(id.clone(), proof);
            continue;
        }
        let verification = store.verify(migration, &[], &NoEvents).await?;
        proofs.insert(id.clone(), judge(migration, verification));
    }
    if let Some((id, proof)) = dirty(catalog, observed) {
        proofs.insert(id, proof);
    }
    Ok(proofs)
}

/// The pinned state that the recorded SQL migrations imply, compared with the real schema.
struct SqlEvidence<'a> {
    pin: &'a LockedMigration,
    differences: Vec<ObjectDifference>,
}

impl<'a> SqlEvidence<'a> {
    fn gather(catalog: &'a Catalog, observed: &ObservedState) -> Option<Self> {
        let pin = drift::pin(catalog, observed)?;
        let schema = observed.stores.get(&StoreKind::Sql)?.schema.as_ref()?;
        Some(Self {
            pin,
            differences: pin.differences(schema),
        })
    }

    fn proof(&self) -> Proof {
        if self.differences.is_empty() {
            return Proof::Proven(format!(
                "the schema has the fingerprint pinned for {}",
                self.pin.id
            ));
        }
        Proof::Disproven(self.differences.iter().map(ToString::to_string).collect())
    }
}

fn judge(migration: &Migration, verification: Verification) -> Proof {
    let failed: Vec<String> = verification
        .checks
        .iter()
        .filter(|c| c.failed())
        .flat_map(findings)
        .collect();
    if !failed.is_empty() {
        return Proof::Disproven(failed);
    }
    if verification.sources_left > 0 {
        return Proof::SourcesLeft {
            count: verification.sources_left,
            samples: verification.samples,
        };
    }
    let passed: Vec<&Check> = verification
        .checks
        .iter()
        .filter(|c| c.outcome == CheckOutcome::Passed)
        .collect();
    if passed.is_empty() {
        return Proof::Nothing;
    }
    // No counts in here: the proof is part of the decision, and keys come and go while it is reviewed.
    Proof::Proven(match migration.store() {
        StoreKind::Sql => "its .verify.sql passes".to_owned(),
        StoreKind::Redis => "its verification passes".to_owned(),
    })
}

fn findings(check: &Check) -> Vec<String> {
    let mut words: Vec<String> = check
        .findings
        .iter()
        .map(|finding| format!("{}: {finding}", check.name))
        .collect();
    let more = check.found.saturating_sub(check.findings.len() as u64);
    if more > 0 {
        words.push(format!("{}: and {more} more", check.name));
    }
    words
}

/// What is in place and what is missing of the migration that golang-migrate left dirty.
fn dirty(catalog: &Catalog, observed: &ObservedState) -> Option<(MigrationId, Proof)> {
    let state = observed.stores.get(&StoreKind::Sql)?;
    let version = state.legacy.dirty_at()?;
    let id = catalog
        .ids_of(StoreKind::Sql)
        .find(|id| id.number() == version)?;
    let schema: &SchemaObjects = state.schema.as_ref()?;
    let pin = catalog.lock()?.get(id)?;
    let differences = pin.differences(schema);
    if differences.is_empty() {
        return Some((
            id.clone(),
            Proof::Proven(format!(
                "the schema has the fingerprint pinned for {id}: all of it is in place"
            )),
        ));
    }
    let in_place = pin.objects.len() - differences.len();
    let mut found = vec![format!(
        "{in_place} of {} objects are as they are after {id}",
        pin.objects.len()
    )];
    found.extend(differences.iter().map(ToString::to_string));
    Some((id.clone(), Proof::Disproven(found)))
}
