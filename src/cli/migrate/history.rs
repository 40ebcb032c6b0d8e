use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::render;

/// Show what was done to the databases, and check that nobody edited the record
///
/// The history is append-only, and each entry holds the hash of the one before it. Exits with 6 when the
/// chain is broken.
#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// How to print
    #[arg(long, default_value = "text")]
    format: Format,
}

impl History {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let histories = block_on(async {
            let mut histories = Vec::new();
            for (kind, store) in project.stores.iter() {
                histories.push((kind, store.history().await?));
            }
            Ok(histories)
        })?;
        output.print(|out, style| match self.format {
            Format::Text => render::history(out, style, &histories),
            Format::Json => render::history_json(out, &histories),
        })?;
        let intact = histories
            .iter()
            .flat_map(|(_, entries)| entries)
            .all(|entry| entry.intact);
        Ok(if intact { Exit::Done } else { Exit::Unverified })
    }
}
