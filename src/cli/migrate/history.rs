use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine::Depth;
use crate::model::history::unexplained;
use crate::render::{self, StoreHistory};

/// Show what was done to the databases, and check that nobody edited the record
///
/// The history is append-only, each entry holds the hash of the one before it, and each record of the ledger has its
/// entry. Exits with 6 when the chain is broken or an entry is missing.
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
            // Before the histories: what the ledgers have then, these have too.
            let observed = project.observe(Depth::Ledgers).await?;
            let mut histories = Vec::new();
            for (kind, store) in project.stores.iter() {
                let entries = store.history().await?;
                let ledger = observed.stores.get(&kind).map(|state| &state.ledger);
                histories.push(StoreHistory {
                    store: kind,
                    unexplained: ledger
                        .map(|ledger| unexplained(ledger, &entries))
                        .unwrap_or_default(),
                    entries,
                });
            }
            Ok(histories)
        })?;
        output.print(|out, style| match self.format {
            Format::Text => render::history(out, style, &histories),
            Format::Json => render::history_json(out, &histories),
        })?;
        Ok(if histories.iter().all(StoreHistory::is_intact) {
            Exit::Done
        } else {
            Exit::Unverified
        })
    }
}
