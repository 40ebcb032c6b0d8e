//! The options of `plan` that have its steps run elsewhere first.

use clap::Args;

use crate::cli::context::{Project, holder};
use crate::cli::error::CliError;
use crate::cli::interrupt::Interrupt;
use crate::engine::{self, KeyStage, RehearsalError, Stage};
use crate::model::id::StoreKind;
use crate::model::plan::{Decision, Evidence, Outcome, Plan, RehearsalServer};
use crate::model::secret::Secret;
use crate::model::state::ObservedState;
use crate::sandbox::{PostgresServer, RedisServer, SandboxError};
use crate::store::StoreErrorKind;
use crate::store::postgres::PostgresStore;
use crate::store::redis::RedisStore;

/// Whether and where a plan is rehearsed.
#[derive(Debug, Default, Args)]
pub(super) struct Rehearse {
    /// Run the steps in a throwaway Postgres and a throwaway Redis on this machine first, and put into the plan
    /// what the SQL locked and rewrote, and whether each way back leads back
    #[arg(long)]
    rehearse: bool,

    /// Rehearse the SQL on this server instead, in a database that is made for it and removed; keep a password
    /// in PGPASSFILE rather than in the address
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
        if wanted && engine::has_sql(decision) {
            self.hold_sql(project, observed, decision, evidence, interrupt)
                .await?;
        }
        if wanted && engine::has_keys(decision) {
            self.hold_keys(project, decision, evidence, interrupt)
                .await?;
        }
        Ok(())
    }

    /// Rehearses the Redis steps. That this machine or the user cannot is no reason not to plan.
    async fn hold_keys(
        &self,
        project: &Project,
        decision: &Decision,
        evidence: &mut Evidence,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        if !self.rehearse {
            engine::no_keys(
                decision,
                evidence,
                "that takes --rehearse, which starts a Redis",
            );
            return Ok(());
        }
        let Some(target) = project.redis()? else {
            return Ok(());
        };
        let throwaway = match RedisServer::start() {
            Ok(server) => server,
            Err(SandboxError::Missing { .. }) => {
                let reason = "neither Redis nor Valkey is installed on this machine";
                engine::no_keys(decision, evidence, reason);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let store = |database| {
            RedisStore::throwaway(throwaway.url(), database, &decision.config)
                .map_err(RehearsalError::from)
        };
        let (server, aside) = (store(0)?, store(1)?);
        let stage = KeyStage {
            target: &target,
            server: &server,
            aside: &aside,
            holder: holder(),
        };
        let held = engine::rehearse_keys(&stage, decision, evidence, interrupt.token()).await;
        match held {
            Err(RehearsalError::Server(error))
                if matches!(error.kind, StoreErrorKind::Permission { .. }) =>
            {
                engine::no_keys(decision, evidence, &error.kind.to_string());
                Ok(())
            }
            held => Ok(held?),
        }
    }

    async fn hold_sql(
        &self,
        project: &Project,
        observed: &ObservedState,
        decision: &Decision,
        evidence: &mut Evidence,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
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
                let place = match step.id.store() {
                    StoreKind::Sql => {
                        format!("at statement {} of {}", seen.statements.len() + 1, step.id)
                    }
                    StoreKind::Redis => format!("at {}", step.id),
                };
                Some(error(place, reason))
            }
            _ => None,
        }
    })
}
