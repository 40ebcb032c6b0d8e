//! Gathers the evidence of a plan.

use crate::engine::Stores;
use crate::model::catalog::Catalog;
use crate::model::migration::Content;
use crate::model::plan::{
    Action, Decision, Evidence, Step, StepContent, StepEvidence, Warning, WarningKind,
};
use crate::store::StoreError;

/// Counts and sizes what each step meets. Leaves no trace.
///
/// # Errors
/// A store that cannot be read; Redis keys that would stop the apply, such as one that no step accounts
/// for.
pub async fn estimate(
    stores: &Stores,
    catalog: &Catalog,
    decision: &Decision,
) -> Result<Evidence, StoreError> {
    let mut evidence = Evidence {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        ..Evidence::default()
    };
    for step in &decision.steps {
        let mut found = match (stores.get(step.id.store()), &step.content) {
            (None, _) | (_, StepContent::Record) => StepEvidence::default(),
            (Some(store), _) => store.estimate(step, &decision.config).await?,
        };
        found.warnings.extend(general_warnings(catalog, step));
        evidence.steps.insert(step.id.clone(), found);
    }
    Ok(evidence)
}

/// What can be told without the store.
fn general_warnings(catalog: &Catalog, step: &Step) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |kind, message: String| {
        warnings.push(Warning {
            kind,
            message,
            line: None,
        })
    };
    let Some(migration) = catalog.get(&step.id) else {
        return warnings;
    };
    match &step.action {
        Action::Apply => {
            if let Some(reason) = migration.irreversible() {
                warn(
                    WarningKind::Irreversible,
                    format!("there is no way back: {reason}"),
                );
            }
            if matches!(&migration.content, Content::Sql(sql) if sql.verify.is_none()) {
                warn(
                    WarningKind::NoVerification,
                    "no .verify.sql proves that it worked".to_owned(),
                );
            }
        }
        Action::Revert { data_loss } => {
            let message = match data_loss {
                Some(loss) => format!("the revert loses data: {loss}"),
                None => {
                    "a revert may lose what was written since the migration was applied".to_owned()
                }
            };
            warn(WarningKind::DataLoss, message);
        }
        Action::Cleanup => warn(
            WarningKind::Irreversible,
            "what is removed is gone; the migration cannot be reverted afterwards".to_owned(),
        ),
        _ => {}
    }
    warnings
}
