//! Finds out how the stores have drifted from what is recorded in them.

use crate::engine::Stores;
use crate::engine::verify::{half_done_check, ledger_check, migration_checks};
use crate::model::catalog::Catalog;
use crate::model::drift::{self, Drift, DriftConfig, Expected, KeyDrift, SchemaDrift};
use crate::model::event::Events;
use crate::model::graph::Graph;
use crate::model::id::StoreKind;
use crate::model::state::ObservedState;
use crate::model::verification::Check;
use crate::store::StoreError;

/// What is to be compared.
#[derive(Debug)]
pub struct Asked<'a> {
    /// What the schema should be; `None` where nothing is recorded.
    pub expected: Option<Expected>,
    /// What counts for nothing.
    pub config: &'a DriftConfig,
    /// The only store to look at, where there is to be one.
    pub only: Option<StoreKind>,
}

/// Compares the schema that `observed` holds with the expected one, and runs the verification of each applied
/// Redis migration. Leaves no trace.
///
/// # Errors
/// A store that cannot be read.
pub async fn drift(
    stores: &Stores,
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    asked: Asked<'_>,
    events: &dyn Events,
) -> Result<Drift, StoreError> {
    let Asked {
        expected,
        config,
        only,
    } = asked;
    let asked = |kind| stores.get(kind).is_some() && only.is_none_or(|only| only == kind);
    let real = observed.stores.get(&StoreKind::Sql);
    let real = real.and_then(|state| state.schema.as_ref());
    let redis = match asked(StoreKind::Redis) {
        true => {
            let kind = Some(StoreKind::Redis);
            Some(migration_checks(stores, catalog, graph, observed, kind, events).await?)
        }
        false => None,
    };
    let mut looked_at = observed.clone();
    looked_at.stores.retain(|kind, _| asked(*kind));
    let caveats = [
        ledger_check(catalog, &looked_at),
        half_done_check(&looked_at),
    ];
    Ok(Drift {
        schema: expected
            .zip(real)
            .filter(|_| asked(StoreKind::Sql))
            .map(|(expected, real)| SchemaDrift::new(expected, real, config)),
        redis,
        caveats: caveats.into_iter().filter(Check::failed).collect(),
    })
}

/// Runs the verification of each applied Redis migration over all of its keys, for the evidence of a plan. Leaves no
/// trace.
///
/// # Errors
/// A store that cannot be read.
pub async fn redis_drift(
    stores: &Stores,
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    events: &dyn Events,
) -> Result<Vec<KeyDrift>, StoreError> {
    let redis = Some(StoreKind::Redis);
    let checks = migration_checks(stores, catalog, graph, observed, redis, events).await?;
    Ok(drift::from_checks(checks))
}
