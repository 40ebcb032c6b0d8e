use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::Globals;
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::migrate::apply::How;
use crate::cli::migrate::plan::view;
use crate::cli::migrate::signature::{self, Sign, Trust};
use crate::cli::output::Output;
use crate::engine::Depth;
use crate::model::id::MigrationId;
use crate::model::plan::{Plan, plan_cleanup};
use crate::render::{self, Detail};

/// Remove what applied migrations left behind
///
/// Plans the removal, shows it, and asks. Removed are Redis sources whose copy is on record or equals them, also
/// where the application has changed the copy since, or deleted it, which the plan warns of; and what a
/// .cleanup.sql names once its .verify.sql passes. With -out the plan is saved for `outpost migrate apply FILE` instead.
#[derive(Debug, Args)]
pub(in crate::cli) struct Cleanup {
    /// Only these migrations; all that are applied and have something to clean up, without any
    #[arg(value_name = "ID")]
    ids: Vec<MigrationId>,

    /// Save the plan to this file instead of applying it
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    out: Option<PathBuf>,

    #[command(flatten)]
    sign: Sign,

    #[command(flatten)]
    how: How,
}

impl Cleanup {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load_limited(globals, self.how.limits())?;
        let key = self.sign.key(self.out.as_deref(), output)?;
        if self.out.is_none() {
            Trust::new(None, &project.config.signing, globals)?
                .allow_unsaved("outpost migrate cleanup -out FILE --sign KEY")?;
        }
        let ids: BTreeSet<MigrationId> = self.ids.iter().cloned().collect();
        let plan = block_on(async {
            let desired = project.desired(None)?;
            let observed = project.observe(Depth::Full).await?;
            let chosen = (!ids.is_empty()).then_some(&ids);
            let decision = plan_cleanup(
                &project.catalog,
                &project.graph,
                &observed,
                &desired,
                chosen,
            )?;
            let evidence = project.estimate(&observed, &decision).await?;
            Ok(Plan::new(decision, evidence)?)
        })?;
        match &self.out {
            Some(path) => {
                signature::save(path, &plan, key.as_ref(), output)?;
                output.print(|out, style| {
                    render::plan(out, style, &view(&plan, Some(path)), Detail::Brief)
                })?;
                Ok(Exit::Done)
            }
            None => self.how.confirm_and_apply(
                &project.stores,
                &plan,
                "outpost migrate cleanup",
                output,
            ),
        }
    }
}
