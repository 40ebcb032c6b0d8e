use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine::Depth;
use crate::model::status::statuses;
use crate::render;

/// Show every migration and where it stands
///
/// Reads the ledgers alone: it takes no lock, creates nothing, and answers while an apply runs.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Compare with this version instead of the one in outpost.toml
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,

    /// Exit with 3 when anything is pending
    #[arg(long)]
    exit_code: bool,

    /// How to print
    #[arg(long, default_value = "text")]
    format: Format,
}

impl List {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let desired = project.desired(self.to.as_deref())?;
        let (observed, statuses) = block_on(async {
            let observed = project.observe(Depth::Ledgers).await?;
            let mut statuses =
                statuses(&project.catalog, &observed, &project.desired_ids(&desired));
            project.recall_failures(&mut statuses).await?;
            Ok((observed, statuses))
        })?;
        let list = render::ListView {
            version: &desired.version,
            stores: project.addresses(&observed),
            migrations: &statuses,
        };
        output.print(|out, style| match self.format {
            Format::Text => render::list(out, style, &list),
            Format::Json => render::list_json(out, &list),
        })?;
        let pending = statuses.iter().any(|m| m.status.blocks());
        if pending && self.format == Format::Text {
            output.tell(|out, style| render::list_hint(out, style, &list));
        }
        Ok(if pending && self.exit_code {
            Exit::Pending
        } else {
            Exit::Done
        })
    }
}
