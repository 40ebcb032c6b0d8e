//! Verifies everything that is applied, in full.

use std::collections::BTreeSet;

use crate::engine::Stores;
use crate::model::catalog::Catalog;
use crate::model::drift;
use crate::model::event::Events;
use crate::model::graph::Graph;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::migration::Migration;
use crate::model::state::{Doing, HowApplied, LedgerStatus, ObservedState};
use crate::model::verification::{Check, CheckOutcome, Verification};
use crate::store::StoreError;

/// Runs the verification of every applied migration, compares the schema with its pinned fingerprint,
/// and checks that ledgers, files and lock file agree. Leaves no trace.
///
/// # Errors
/// A store that cannot be read.
pub async fn verify(
    stores: &Stores,
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    events: &dyn Events,
) -> Result<Vec<Check>, StoreError> {
    let mut checks = vec![ledger_check(catalog, observed), half_done_check(observed)];
    checks.extend(lock_check(catalog, graph));
    checks.extend(migration_checks(stores, catalog, graph, observed, None, events).await?);
    checks.extend(fingerprint_check(catalog, observed));
    Ok(checks)
}

/// Runs the verification of every applied migration, in their order; of one store alone, where it is given.
pub(super) async fn migration_checks(
    stores: &Stores,
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    only: Option<StoreKind>,
    events: &dyn Events,
) -> Result<Vec<Check>, StoreError> {
    let applied = observed.applied();
    let mut checks = Vec::new();
    let order = graph.order(&applied).into_iter();
    for id in order.filter(|id| only.is_none_or(|only| id.store() == only)) {
        let (Some(migration), Some(store)) = (catalog.get(&id), stores.get(id.store())) else {
            continue;
        };
        let later = later(catalog, graph, &applied, &id);
        let verification = store.verify(migration, &later, events).await?;
        checks.extend(sources_check(&id, observed, &verification));
        checks.extend(verification.checks);
    }
    Ok(checks)
}

/// No source of a copy is without its counterpart, unless an earlier tool left it so: then it was looked at when the
/// migration was adopted, and is only said.
fn sources_check(
    id: &MigrationId,
    observed: &ObservedState,
    verification: &Verification,
) -> Option<Check> {
    if verification.sources_left == 0 {
        return None;
    }
    let adopted = observed.entry(id).is_some_and(|entry| {
        let how = HowApplied::Adopted;
        matches!(entry.status, LedgerStatus::Applied { how: found, .. } if found == how)
    });
    let mut check = Check::new(Some(id.clone()), "every source has its copy", "source");
    check.examined = verification.sources_left;
    check.found = verification.sources_left;
    check.outcome = match adopted {
        true => CheckOutcome::Unchecked,
        false => CheckOutcome::Failed,
    };
    let samples = verification.samples.iter();
    check.findings = samples
        .map(|key| format!("missing: {key}: its target"))
        .collect();
    Some(check)
}

/// The applied migrations that may have changed what this one left.
fn later<'a>(
    catalog: &'a Catalog,
    graph: &Graph,
    applied: &BTreeSet<MigrationId>,
    id: &MigrationId,
) -> Vec<&'a Migration> {
    let ids = graph.later(id, applied);
    ids.iter().filter_map(|id| catalog.get(id)).collect()
}

/// Every ledger entry has its file, unchanged.
pub(super) fn ledger_check(catalog: &Catalog, observed: &ObservedState) -> Check {
    let mut check = Check::new(None, "ledgers and files agree", "entry");
    for (id, entry) in observed.stores.values().flat_map(|s| &s.ledger) {
        if entry.recorded().is_none() {
            continue;
        }
        check.examined += 1;
        match catalog.get(id) {
            None => check.fail(format!("{id} is in the ledger, and no file defines it")),
            Some(migration) if *migration.checksum() != entry.checksum => check.fail(format!(
                "{id} was edited: the ledger has {}, {} has {}",
                entry.checksum.short(),
                migration.path(),
                migration.checksum().short()
            )),
            Some(_) => {}
        }
    }
    check
}

/// No step was begun and not finished, by this tool or by golang-migrate.
pub(super) fn half_done_check(observed: &ObservedState) -> Check {
    let mut check = Check::new(None, "nothing is half done", "record");
    for state in observed.stores.values() {
        let mut ours = false;
        for (id, entry) in &state.ledger {
            check.examined += 1;
            if let LedgerStatus::Partial { doing } = entry.status {
                ours = true;
                check.fail(format!("{id}: {} was begun and not finished", words(doing)));
            }
        }
        check.examined += u64::from(state.legacy.golang_migrate.is_some());
        // A step of ours outside a transaction keeps the row dirty, and was named above.
        if let Some(version) = state.legacy.dirty_at().filter(|_| !ours) {
            check.fail(format!(
                "version {version} failed half way under golang-migrate"
            ));
        }
    }
    check
}

fn words(doing: Doing) -> &'static str {
    match doing {
        Doing::Apply => "an apply",
        Doing::Revert => "a revert",
        Doing::Cleanup => "a cleanup",
    }
}

/// The files are as the lock file pins them.
fn lock_check(catalog: &Catalog, graph: &Graph) -> Option<Check> {
    let lock = catalog.lock()?;
    let files = catalog.files();
    let mut check = Check::new(None, "files are as locked", "file");
    check.examined = files.values().map(|f| f.len() as u64).sum();
    for finding in lock.compare(&files, &graph.order(&catalog.ids())) {
        check.fail(finding.to_string());
    }
    Some(check)
}

/// The real schema is the one that was pinned for what is applied.
fn fingerprint_check(catalog: &Catalog, observed: &ObservedState) -> Option<Check> {
    let schema = observed.stores.get(&StoreKind::Sql)?.schema.as_ref()?;
    if !observed
        .applied()
        .iter()
        .any(|id| id.store() == StoreKind::Sql)
    {
        return None;
    }
    let mut check = Check::new(None, "the schema has its pinned fingerprint", "object");
    match drift::pin(catalog, observed) {
        None => {
            check.outcome = CheckOutcome::Unchecked;
            let cleaned = drift::cleaned(catalog, observed);
            check.findings.push(match cleaned.first() {
                None => "nothing pins this state; outpost migrate lock does".to_owned(),
                Some(id) => format!(
                    "the lock file pins the schema before the cleanup of {id}; outpost migrate drift replays it"
                ),
            });
        }
        Some(pin) => {
            check.examined = pin.objects.len() as u64;
            for difference in pin.differences(schema) {
                check.fail(difference.to_string());
            }
        }
    }
    Some(check)
}
