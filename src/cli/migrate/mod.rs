//! `outpost migrate`: one file a command.

mod apply;
mod cleanup;
mod drift;
mod graph;
mod history;
mod lint;
mod list;
mod lock;
mod new;
mod plan;
mod rehearse;
mod resolve;
mod show;
mod signature;
mod unlock;
mod verify;

use clap::Subcommand;

use crate::cli::args::Globals;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;

/// The commands of `outpost migrate`.
#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    List(list::List),
    Plan(plan::Plan),
    Show(show::Show),
    Apply(apply::Apply),
    Verify(verify::Verify),
    Drift(drift::Drift),
    Cleanup(cleanup::Cleanup),
    Resolve(resolve::Resolve),
    Unlock(unlock::Unlock),
    History(history::History),
    Graph(graph::Graph),
    New(new::New),
    Lint(lint::Lint),
    Lock(lock::Lock),
}

impl Migrate {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        match self {
            Self::List(command) => command.run(globals, output),
            Self::Plan(command) => command.run(globals, output),
            Self::Show(command) => command.run(globals, output),
            Self::Apply(command) => command.run(globals, output),
            Self::Verify(command) => command.run(globals, output),
            Self::Drift(command) => command.run(globals, output),
            Self::Cleanup(command) => command.run(globals, output),
            Self::Resolve(command) => command.run(globals, output),
            Self::Unlock(command) => command.run(globals, output),
            Self::History(command) => command.run(globals, output),
            Self::Graph(command) => command.run(globals, output),
            Self::New(command) => command.run(globals, output),
            Self::Lint(command) => command.run(globals, output),
            Self::Lock(command) => command.run(globals, output),
        }
    }
}
