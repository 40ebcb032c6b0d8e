//! Looks what is in place of a migration that is half done.

use crate::engine::Stores;
use crate::model::catalog::Catalog;
use crate::model::half_done::{HalfDone, KeyEvidence, doing, statements};
use crate::model::id::StoreKind;
use crate::model::plan::{Action, Decision, Step};
use crate::model::state::{Doing, ObservedState};
use crate::store::{StoreError, StoreErrorKind};

/// What is in place of the migration that `decision` resolves: of SQL statement by statement, as `observed` has the
/// schema; of Redis by counting the keys. Leaves no trace.
///
/// # Errors
/// A store that cannot be read. Keys that the migration cannot deal with are part of the answer.
pub async fn half_done(
    stores: &Stores,
    catalog: &Catalog,
    observed: &ObservedState,
    decision: &Decision,
) -> Result<HalfDone, StoreError> {
    let Some(step) = decision.steps.first() else {
        return Ok(HalfDone::default());
    };
    let id = &step.id;
    let kind = id.store();
    let (Some(store), Some(state)) = (stores.get(kind), observed.stores.get(&kind)) else {
        return Ok(HalfDone::default());
    };
    if kind == StoreKind::Sql {
        return Ok(HalfDone {
            files: statements(catalog, id, state),
            keys: None,
        });
    }
    let doing = doing(id, state);
    let step = Step {
        action: match doing {
            Doing::Apply => Action::Apply,
            Doing::Revert => Action::Revert { data_loss: None },
            Doing::Cleanup => Action::Cleanup,
        },
        ..step.clone()
    };
    let keys = match store.estimate(&[&step], &decision.config).await {
        Ok(found) => found
            .into_iter()
            .find_map(|step| step.keys)
            .map(|keys| KeyEvidence::Counted(doing, keys)),
        Err(error) => match error.kind {
            StoreErrorKind::Keys { findings, .. } => Some(KeyEvidence::Refused(doing, findings)),
            _ => return Err(error),
        },
    };
    Ok(HalfDone {
        files: Vec::new(),
        keys,
    })
}
