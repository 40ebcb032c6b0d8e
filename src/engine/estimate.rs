//! Gathers the evidence of a plan.

use crate::engine::Stores;
use crate::model::catalog::Catalog;
use crate::model::lint::Finding;
use crate::model::migration::{Content, Migration};
use crate::model::plan::{Action, Decision, Evidence, Step, StepContent, Warning, WarningKind};
use crate::store::StoreError;

/// Counts and sizes what each step meets, and adds what the linter found in the files that it runs. Leaves
/// no trace.
///
/// # Errors
/// A store that cannot be read; Redis keys that would stop the apply, such as one that no step accounts
/// for.
pub async fn estimate(
    stores: &Stores,
    catalog: &Catalog,
    decision: &Decision,
    findings: &[Finding],
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
    for step in &decision.steps {
        let found = evidence.steps.entry(step.id.clone()).or_default();
        found.warnings.extend(general_warnings(catalog, step));
        found
            .warnings
            .extend(lint_warnings(catalog, step, findings));
    }
    Ok(evidence)
}

/// Whether a step does more than to write the ledger.
fn does_something(step: &Step) -> bool {
    !matches!(step.content, StepContent::Record) && !step.action.is_record_only()
}

/// The findings on the files that the step runs.
fn lint_warnings(catalog: &Catalog, step: &Step, findings: &[Finding]) -> Vec<Warning> {
    let files: Vec<&str> = catalog
        .get(&step.id)
        .map(|migration| files_run(&step.action, migration))
        .unwrap_or_default();
    findings
        .iter()
        .filter(|finding| finding.id.as_ref() == Some(&step.id))
        .filter_map(|finding| {
            let place = files.iter().position(|file| *file == finding.file)?;
            let warning = finding.warning()?;
            Some(match (place, finding.line) {
                (0, _) => warning,
                // A warning's line is one of the first file.
                (_, Some(line)) => Warning {
                    message: format!("{} ({}:{line})", warning.message, finding.file),
                    line: None,
                    ..warning
                },
                (_, None) => Warning {
                    message: format!("{} ({})", warning.message, finding.file),
                    ..warning
                },
            })
        })
        .collect()
}

/// The files that an action runs, the one that does the work first.
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
