//! Gathers the evidence of a plan.

use std::collections::BTreeSet;

use crate::engine::Stores;
use crate::model::catalog::Catalog;
use crate::model::drift::{self, DriftConfig};
use crate::model::id::StoreKind;
use crate::model::lint::Finding;
use crate::model::migration::{Content, Migration};
use crate::model::plan::{
    self, Action, Decision, Evidence, Step, StepContent, Warning, WarningKind,
};
use crate::model::state::ObservedState;
use crate::store::StoreError;

/// Counts and sizes what each step meets, and adds what `findings` say of the files that it runs and of the lock
/// file, and how the schema that was `observed` has drifted, as far as `config` does not ignore it. Leaves no trace.
///
/// # Errors
/// A store that cannot be read; Redis keys that would stop the apply, such as one that no step accounts
/// for.
pub async fn estimate(
    stores: &Stores,
    catalog: &Catalog,
    observed: &ObservedState,
    decision: &Decision,
    findings: Vec<Finding>,
    config: &DriftConfig,
) -> Result<Evidence, StoreError> {
    let mut evidence = Evidence {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        ..Evidence::default()
    };
    for (kind, store) in stores.iter() {
        let steps: Vec<&Step> = decision
            .steps
            .iter()
            .filter(|step| step.id.store() == kind && does_something(step))
            .collect();
        let found = store.estimate(&steps, &decision.config).await?;
        let ids = steps.iter().map(|step| step.id.clone());
        evidence.steps.extend(ids.zip(found));
    }
    plan::foresee(&decision.steps, &decision.config, &mut evidence.steps);
    for step in &decision.steps {
        let found = evidence.steps.entry(step.id.clone()).or_default();
        found.warnings.extend(general_warnings(catalog, step));
    }
    evidence.lint = concerning(catalog, decision, findings);
    if decision.only != Some(StoreKind::Redis) {
        evidence.drift = drift::from_pin(catalog, observed, config);
    }
    Ok(evidence)
}

/// Whether a step does more than to write the ledger.
fn does_something(step: &Step) -> bool {
    !matches!(step.content, StepContent::Record) && !step.action.is_record_only()
}

/// The findings on the files that the steps run, and those on the lock file.
fn concerning(catalog: &Catalog, decision: &Decision, findings: Vec<Finding>) -> Vec<Finding> {
    let files: BTreeSet<&str> = decision
        .steps
        .iter()
        .filter_map(|step| Some(files_run(&step.action, catalog.get(&step.id)?)))
        .flatten()
        .collect();
    findings
        .into_iter()
        .filter(|finding| finding.is_about_lock() || files.contains(finding.file.as_str()))
        .collect()
}

/// The files that an action runs.
fn files_run<'a>(action: &Action, migration: &'a Migration) -> Vec<&'a str> {
    let files = match (&migration.content, action) {
        (Content::Redis(redis), Action::Apply) => return vec![redis.path.as_str()],
        (Content::Sql(sql), Action::Apply) => vec![Some(&sql.up), sql.verify.as_ref()],
        (Content::Sql(sql), Action::Revert { .. }) => vec![sql.down.as_ref()],
        (Content::Sql(sql), Action::Cleanup) => vec![sql.cleanup.as_ref(), sql.verify.as_ref()],
        _ => Vec::new(),
    };
    let files = files.into_iter().flatten();
    files.map(|file| file.path.as_str()).collect()
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
