//! The command line: arguments, streams, prompts and exit codes. One file a command.

mod args;
mod completions;
mod context;
mod error;
mod exit;
mod interrupt;
mod migrate;
mod output;
mod prompt;
mod sandbox;
mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use exit::Exit;

use args::Globals;
use error::CliError;
use output::Output;

/// Migrates Postgres and Redis together, by reviewed plans.
///
/// Declare the desired schema version in outpost.toml. `plan` shows how to get there and saves it,
/// `apply` executes exactly what was saved, `serve` starts your application only when nothing is pending.
#[derive(Debug, Parser)]
#[command(name = "outpost", version, about, long_about, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at, plan and apply migrations
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    Serve(serve::Serve),
    Sandbox(sandbox::Sandbox),
    Completions(completions::Completions),
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    error
  2    plan -detailed-exitcode found changes
  3    migrations are pending (serve, list --exit-code)
  4    the plan is stale
  5    somebody else holds the lease
  6    verification failed, or something has drifted
  7    the plan's signature is missing or does not count
  64   wrong usage
  130  interrupted (143 by SIGTERM)

Long options may be written with one dash or two: -out plan.bin and --out plan.bin are the same.";

/// Says where a command is that was looked for one level too high: `outpost list`.
fn suggest_group(error: &mut clap::Error) {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let command = Cli::command();
    let found = command
        .find_subcommand("migrate")
        .and_then(|migrate| migrate.find_subcommand(name));
    if let Some(found) = found {
        let tip = format!("there is 'outpost migrate {}'", found.get_name());
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
}

/// Parses the arguments, runs the command, says what went wrong, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = args::with_two_dashes(&Cli::command(), arguments);
    let parsed = Cli::command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| {
            Ok((
                Cli::from_arg_matches(&matches)?,
                args::asks_for_json(&matches),
            ))
        });
    let (cli, json) = match parsed {
        Ok(parsed) => parsed,
        Err(mut error) => {
            suggest_group(&mut error);
            args::suggest_option(&mut error, &Cli::command(), &arguments);
            // Help and version are asked for and go to stdout; everything else is wrong usage.
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            let _ = error.print();
            return code.into();
        }
    };
    let output = Output::new(&cli.globals, json);
    let outcome = match cli.command {
        Command::Migrate(command) => command.run(&cli.globals, &output),
        Command::Serve(command) => command.run(&cli.globals, &output),
        Command::Sandbox(command) => command.run(),
        Command::Completions(command) => command.run(&mut Cli::command()),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(CliError::BrokenPipe) => Exit::Done.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}
