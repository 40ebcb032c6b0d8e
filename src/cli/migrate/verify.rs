use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine::{self, Depth};
use crate::model::event::NoEvents;
use crate::model::verification::Check;
use crate::render;

/// Verify everything that is applied, in full
///
/// Runs each applied migration's verification over every row or key that it speaks of, compares the
/// schema with its pinned fingerprint, and checks that ledgers, files and lock file agree. Changes
/// nothing. Exits with 6 when any check fails.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// How to print
    #[arg(long, default_value = "text")]
    format: Format,
}

impl Verify {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let checks = block_on(async {
            let observed = project.observe(Depth::Full).await?;
            Ok(engine::verify(
                &project.stores,
                &project.catalog,
                &project.graph,
                &observed,
                &NoEvents,
            )
            .await?)
        })?;
        output.print(|out, style| match self.format {
            Format::Text => render::verify(out, style, &checks),
            Format::Json => render::verify_json(out, &checks),
        })?;
        Ok(if checks.iter().any(Check::failed) {
            Exit::Unverified
        } else {
            Exit::Done
        })
    }
}
