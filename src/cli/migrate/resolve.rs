use clap::Args;

use crate::cli::args::Globals;
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::migrate::apply::{ApplyFormat, How, Pace, Run};
use crate::cli::output::Output;
use crate::engine::{self, Depth};
use crate::model::id::MigrationId;
use crate::model::plan::{Evidence, Plan, Resolution, plan_resolve};
use crate::render::{self, ResolveView};

/// Decide about a migration that is half done
///
/// The way out of a migration that golang-migrate left dirty, of a step outside a transaction that was
/// interrupted and cannot go on, and of an earlier tool's record that nothing proves. Shows statement by
/// statement what is in place, as far as the catalog can tell, and for Redis how many keys still need work;
/// asks, and records the decision and who took it. Runs no migration.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("decision").args(["applied", "rolled_back"]).required(true))]
pub(in crate::cli) struct Resolve {
    /// The migration
    id: MigrationId,

    /// It is in place
    #[arg(long)]
    applied: bool,

    /// Nothing of it is in place
    #[arg(long)]
    rolled_back: bool,

    #[command(flatten)]
    run: Run,

    // Before it asks, it counts keys.
    #[command(flatten)]
    pace: Pace,
}

impl Resolve {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        // A decision is one record, and copies nothing.
        let how = How {
            run: self.run,
            parallelism: 1,
            pace: self.pace,
            ignore_memory: false,
        };
        let project = Project::load_limited(globals, how.limits())?;
        let resolution = if self.applied {
            Resolution::Applied
        } else {
            Resolution::RolledBack
        };
        let (plan, observed, found) = block_on(async {
            let desired = project.desired(None)?;
            let observed = project.observe(Depth::Full).await?;
            let decision = plan_resolve(
                &project.catalog,
                &project.graph,
                &observed,
                &desired,
                &self.id,
                resolution,
            )?;
            let found =
                engine::half_done(&project.stores, &project.catalog, &observed, &decision).await?;
            Ok((Plan::new(decision, Evidence::default())?, observed, found))
        })?;
        if let Some(state) = observed.stores.get(&self.id.store()) {
            let view = ResolveView {
                id: &self.id,
                state,
                found: &found,
                resolution,
            };
            output.tell(|out, style| render::resolve(out, style, &view));
            if how.run.format == ApplyFormat::Json {
                output.print(|out, _| render::resolve_json(out, &view))?;
            }
        }
        let again = format!("outpost migrate resolve {}", self.id);
        // A decision runs nothing, and is taken when something is broken: nobody has to sign it.
        how.confirm_and_apply(&project.stores, &plan, &again, output)
    }
}
