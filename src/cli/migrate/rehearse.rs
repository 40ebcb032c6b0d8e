//! The options of `plan` that have its SQL run elsewhere first.

use clap::Args;

use crate::cli::context::{Project, holder};
use crate::cli::error::CliError;
use crate::cli::interrupt::Interrupt;
use crate::engine::{self, RehearsalError, Stage};
use crate::model::id::StoreKind;
use crate::model::plan::{Decision, Evidence, Outcome, Plan, RehearsalServer};
use crate::model::secret::Secret;
use crate::model::state::ObservedState;
use crate::sandbox::PostgresServer;
use crate::store::postgres::PostgresStore;

/// Whether and where a plan is rehearsed.
#[derive(Debug, Default, Args)]
pub(super) struct Rehearse {
    /// Run the SQL steps in a throwaway Postgres on this machine first, and put into the plan what they
    /// locked and rewrote, and whether their way back leads back
    #[arg(long)]
    rehearse: bool,

    /// Rehearse on this server instead, in a database that is made for it and removed; keep a password in
    /// PGPASSFILE rather than in the address
    #[arg(long, value_name = "URL", value_parser = secret)]
    rehearse_url: Option<Secret>,
}

impl Rehearse {
    /// Rehearses a plan, where that was asked for, and adds what was seen to its evidence.
    pub(super) async fn hold(
        &self,
        project: &Project,
        observed: &ObservedState,
        decision: &Decision,
        evidence: &mut Evidence,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        let wanted = self.rehearse || self.rehearse_url.is_some();
        if !wanted || !engine::has_sql(decision) {
            return Ok(());
        }
        let throwaway;
        let (admin, server) = match &self.rehearse_url {
            Some(url) => {
                let admin = PostgresStore::at(url.expose()).map_err(RehearsalError::from)?;
                engine::refuse_same_server(&admin, &project.stores, decision).await?;
                (admin, RehearsalServer::Given)
            }
            None => {
                let target = observed.stores.get(&StoreKind::Sql);
                let major = target.and_then(|state| state.schema.as_ref()?.server_major);
                throwaway = PostgresServer::builder().prefer(major).start()?;
                let admin = PostgresStore::at(throwaway.url()).map_err(RehearsalError::from)?;
                (admin, RehearsalServer::Throwaway)
            }
        };
        let stage = Stage {
            admin: &admin,
            server,
            catalog: &project.catalog,
            observed,
            holder: holder(),
        };
        Ok(engine::rehearse(&stage, decision, evidence, interrupt.token()).await?)
    }
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// The error of a plan that failed in its rehearsal.
pub(super) fn failure(plan: &Plan, file: Option<&str>) -> Option<CliError> {
    let error = |place: String, reason: &str| CliError::RehearsalFailed {
        place,
        reason: reason.to_owned(),
        file: file.map(str::to_owned),
    };
    let begun = plan.evidence.rehearsal.get(&StoreKind::Sql);
    if let Some(reason) = begun.and_then(|rehearsal| rehearsal.failed.as_ref()) {
        return Some(error("before its first step".to_owned(), reason));
    }
    plan.decision.steps.iter().find_map(|step| {
        let seen = plan.evidence.steps.get(&step.id)?.rehearsal.as_ref()?;
        match &seen.outcome {
            Outcome::Failed { reason } => {
                let number = seen.statements.len() + 1;
                Some(error(
                    format!("at statement {number} of {}", step.id),
                    reason,
                ))
            }
            _ => None,
        }
    })
}
