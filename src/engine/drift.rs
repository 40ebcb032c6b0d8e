//! Finds out how the stores have drifted from what is recorded in them.

use crate::engine::Stores;
use crate::engine::verify::{half_done_check, ledger_check, migration_checks};
use crate::model::catalog::Catalog;
use crate::model::drift::{Drift, Expected, SchemaDrift};
use crate::model::event::Events;
use crate::model::graph::Graph;
use crate::model::id::StoreKind;
use crate::model::state::ObservedState;
use crate::model::verification::Check;
use crate::store::StoreError;

/// Compares the schema that `observed` holds with `expected`, and runs the verification of each applied Redis
/// migration; of one store alone, where `only` names it. Leaves no trace.
///
/// # Errors
/// A store that cannot be read.
pub async fn drift(
    stores: &Stores,
    catalog: &Catalog,
    graph: &Graph,
    observed: &ObservedState,
    expected: Option<Expected>,
    only: Option<StoreKind>,
    events: &dyn Events,
) -> Result<Drift, StoreError> {
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
            .map(|(expected, real)| SchemaDrift::new(expected, real)),
        redis,
        caveats: caveats.into_iter().filter(Check::failed).collect(),
    })
}
