use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::{Format, Globals, OnlyStore};
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::migrate::rehearse::{self, Rehearse};
use crate::cli::migrate::signature::{self, Sign};
use crate::cli::output::Output;
use crate::engine::{self, Depth};
use crate::model::drift::KeyDrift;
use crate::model::event::NoEvents;
use crate::model::id::StoreKind;
use crate::model::plan::{self, Decision, Desired, Evidence};
use crate::model::state::ObservedState;
use crate::render::{self, Detail, PlanView};

/// Show what it takes to reach the desired version, and save it with -out
///
/// Reads the databases and changes nothing. A saved plan holds everything that `apply` runs: review it,
/// then apply exactly it. Re-planning from the same state gives the same digest.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    /// Save the plan to this file, for `outpost migrate apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    sign: Sign,

    /// Exit with 2 when there is something to do
    #[arg(long)]
    detailed_exitcode: bool,

    #[command(flatten)]
    scope: Scope,

    #[command(flatten)]
    rehearse: Rehearse,

    /// Verify the applied Redis migrations over all of their keys, and say in the plan where these have drifted
    #[arg(long)]
    redis_drift: bool,

    /// How to print
    #[arg(long, default_value = "text")]
    format: Format,
}

/// What a plan is made for; `plan` and `apply --yes` share it.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Scope {
    /// Plan for this version instead of the one in outpost.toml; a lower one plans reverts
    #[arg(long, value_name = "VERSION")]
    pub(super) to: Option<String>,

    /// Plan for one store only
    #[arg(long, value_name = "STORE")]
    pub(super) only: Option<OnlyStore>,

    /// Record edits of applied migrations instead of refusing them
    #[arg(long)]
    pub(super) accept_edits: bool,

    /// Revert Redis conversions even where values change that cannot be brought back
    #[arg(long)]
    pub(super) allow_lossy: bool,

    /// Revert migrations that the schema folder does not know, by the down SQL kept in the ledger
    #[arg(long)]
    pub(super) revert_unknown: bool,
}

impl Scope {
    fn desired(&self, project: &Project) -> Result<Desired, CliError> {
        Ok(Desired {
            only: self.only.map(Into::into),
            accept_edits: self.accept_edits,
            allow_lossy: self.allow_lossy,
            revert_unknown: self.revert_unknown,
            ..project.desired(self.to.as_deref())?
        })
    }

    /// Makes the plan.
    pub(super) async fn plan(&self, project: &Project) -> Result<plan::Plan, CliError> {
        let (_, decision, evidence) = self.decide(project).await?;
        Ok(plan::Plan::new(decision, evidence)?)
    }

    /// Makes the parts of the plan, and keeps what they were made from.
    async fn decide(
        &self,
        project: &Project,
    ) -> Result<(ObservedState, Decision, Evidence), CliError> {
        let desired = self.desired(project)?;
        let observed = project.observe(Depth::Full).await?;
        let decision = plan::plan(&project.catalog, &project.graph, &observed, &desired)?;
        let evidence = project.estimate(&observed, &decision).await?;
        Ok((observed, decision, evidence))
    }
}

/// A plan and the name of its file, as screens take them.
pub(super) fn view<'a>(plan: &'a plan::Plan, file: Option<&'a Path>) -> PlanView<'a> {
    PlanView {
        plan,
        file: file.and_then(Path::to_str),
        signature: None,
    }
}

async fn redis_drift(
    project: &Project,
    observed: &ObservedState,
) -> Result<Vec<KeyDrift>, CliError> {
    let Project {
        stores,
        catalog,
        graph,
        ..
    } = project;
    Ok(engine::redis_drift(stores, catalog, graph, observed, &NoEvents).await?)
}

impl Plan {
    /// Makes the plan and rehearses it; the exit code where a signal ended that.
    async fn make(&self, project: &Project) -> Result<Result<plan::Plan, Exit>, CliError> {
        if self.redis_drift && project.stores.get(StoreKind::Redis).is_none() {
            let words = "--redis-drift: outpost.toml names no Redis, so no key can have drifted; leave it out";
            return Err(CliError::Usage(words.to_owned()));
        }
        let (observed, decision, mut evidence) = self.scope.decide(project).await?;
        if self.redis_drift {
            evidence.redis_drift = Some(redis_drift(project, &observed).await?);
        }
        let interrupt = Interrupt::listen()?;
        let held = self
            .rehearse
            .hold(project, &observed, &decision, &mut evidence, &interrupt)
            .await;
        match (held, interrupt.exit()) {
            (Err(_), Some(exit)) => Ok(Err(exit)),
            (held, _) => {
                held?;
                Ok(Ok(plan::Plan::new(decision, evidence)?))
            }
        }
    }

    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let key = self.sign.key(self.out.as_deref(), output)?;
        let plan = match block_on(self.make(&project))? {
            Ok(plan) => plan,
            Err(exit) => return Ok(exit),
        };
        if let Some(path) = &self.out {
            signature::save(path, &plan, key.as_ref(), output)?;
        }
        output.print(|out, style| match self.format {
            Format::Text => {
                render::plan(out, style, &view(&plan, self.out.as_deref()), Detail::Brief)
            }
            Format::Json => render::plan_json(out, &view(&plan, self.out.as_deref())),
        })?;
        if let Some(error) = rehearse::failure(&plan, self.out.as_deref().and_then(Path::to_str)) {
            return Err(error);
        }
        let changes = !plan.decision.is_empty();
        Ok(if changes && self.detailed_exitcode {
            Exit::Changes
        } else {
            Exit::Done
        })
    }
}
