use clap::Args;

use crate::cli::args::Globals;
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::migrate::apply::How;
use crate::cli::output::Output;
use crate::engine::Depth;
use crate::model::id::MigrationId;
use crate::model::plan::{Evidence, Plan, Resolution, plan_resolve};
use crate::render;

/// Decide about a migration that is half done
///
/// The way out of a migration that golang-migrate left dirty, of a step outside a transaction that was
/// interrupted and cannot go on, and of an earlier tool's record that nothing proves. Shows what was
/// found, asks, and records the decision and who took it. Runs no migration.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resolve {
    /// The migration
    id: MigrationId,

    /// It is in place
    #[arg(
        long,
        conflicts_with = "rolled_back",
        required_unless_present = "rolled_back"
    )]
    applied: bool,

    /// Nothing of it is in place
    #[arg(long)]
    rolled_back: bool,

    #[command(flatten)]
    how: How,
}

impl Resolve {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load_limited(globals, self.how.limits())?;
        let resolution = if self.applied {
            Resolution::Applied
        } else {
            Resolution::RolledBack
        };
        let (plan, observed) = block_on(async {
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
            Ok((Plan::new(decision, Evidence::default())?, observed))
        })?;
        if let Some(state) = observed.stores.get(&self.id.store()) {
            output.tell(|out, style| render::resolve(out, style, &self.id, state, resolution));
        }
        let again = format!("outpost migrate resolve {}", self.id);
        self.how
            .confirm_and_apply(&project.stores, &plan, &again, output)
    }
}
