//! Arguments that several commands share, and the rule that a long option may have one dash.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, ValueEnum};

use crate::model::nearest::nearest;

/// Arguments of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Globals {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "outpost.toml",
        env = "OUTPOST_CONFIG"
    )]
    pub(super) config: PathBuf,

    /// When to colour the output; `auto` obeys NO_COLOR, `always` colours all the same
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Colour,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How a reading command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs; has a format_version
    Json,
}

/// Which of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnlyStore {
    /// Postgres
    Sql,
    /// Redis
    Redis,
}

impl From<OnlyStore> for crate::model::id::StoreKind {
    fn from(only: OnlyStore) -> Self {
        match only {
            OnlyStore::Sql => Self::Sql,
            OnlyStore::Redis => Self::Redis,
        }
    }
}

/// Turns `-out` into `--out` for every long option that any command has, up to a bare `--`: what follows
/// that belongs to another program. What looks like one is turned, too, so that `-outt` is a mistaken `--outt` and
/// not `-o`, which nobody meant.
pub(super) fn with_two_dashes(
    command: &clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let known = long_options(command);
    let mut ours = true;
    arguments
        .into_iter()
        .map(|argument| {
            ours &= argument != "--";
            let long = argument.to_str().filter(|_| ours).and_then(|text| {
                let name = text
                    .strip_prefix('-')
                    .filter(|rest| !rest.starts_with('-') && rest.len() > 1)?;
                let bare = name.split_once('=').map_or(name, |(bare, _)| bare);
                (known.contains(bare) || is_misspelt(bare))
                    .then(|| OsString::from(format!("--{name}")))
            });
            long.unwrap_or(argument)
        })
        .collect()
}

/// Whether this can be no bundle of short options, of which there are `-h` and `-V`.
fn is_misspelt(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.starts_with(['h', 'V'])
}

/// Names the option that was likely meant by one that the command does not have; and does not advise to pass it as a
/// value where a plan or an id is all that could be.
pub(super) fn suggest_option(
    error: &mut clap::Error,
    command: &clap::Command,
    arguments: &[OsString],
) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let Some(given) = given.strip_prefix("--").map(str::to_owned) else {
        return;
    };
    let mut command = command;
    let mut options = own_options(command);
    for argument in arguments.iter().take_while(|argument| *argument != "--") {
        if let Some(found) = command.find_subcommand(argument) {
            command = found;
            options.extend(own_options(command));
        }
    }
    // A part of the name, as in `--wait` for `--lock-wait`, is farther away by letters than much else.
    let meant = nearest(&given, &options).or_else(|| {
        let mut parts = options
            .iter()
            .filter(|option| option.split('-').any(|part| part == given));
        parts.next().filter(|_| parts.next().is_none()).cloned()
    });
    if let Some(meant) = meant {
        error.insert(
            ContextKind::SuggestedArg,
            ContextValue::String(format!("--{meant}")),
        );
    }
    if !command.get_positionals().any(clap::Arg::is_last_set) {
        error.remove(ContextKind::Suggested);
    }
}

/// The long options of this command alone.
fn own_options(command: &clap::Command) -> Vec<String> {
    command
        .get_arguments()
        .filter_map(|a| a.get_long())
        .map(str::to_owned)
        .collect()
}

/// Whether the command that was given has `--format json`.
pub(super) fn asks_for_json(matches: &clap::ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, command)) => asks_for_json(command),
        None => matches
            .try_get_raw("format")
            .ok()
            .flatten()
            .is_some_and(|mut format| format.any(|value| value == "json")),
    }
}

fn long_options(command: &clap::Command) -> BTreeSet<String> {
    let mut names = BTreeSet::from_iter(own_options(command));
    names.extend(["help".to_owned(), "version".to_owned()]);
    for sub in command.get_subcommands() {
        names.extend(long_options(sub));
    }
    names
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn rewritten(arguments: &[&str]) -> Vec<String> {
        with_two_dashes(
            &super::super::Cli::command(),
            arguments.iter().map(OsString::from),
        )
        .into_iter()
        .map(|a| a.to_string_lossy().into_owned())
        .collect()
    }

    #[test]
    fn every_long_option_may_have_one_dash() {
        for (given, expected) in [
            (
                vec!["plan", "-out", "plan.bin"],
                vec!["plan", "--out", "plan.bin"],
            ),
            (
                vec!["plan", "-out=plan.bin"],
                vec!["plan", "--out=plan.bin"],
            ),
            (
                vec!["plan", "--out", "plan.bin"],
                vec!["plan", "--out", "plan.bin"],
            ),
            (
                vec!["plan", "-detailed-exitcode"],
                vec!["plan", "--detailed-exitcode"],
            ),
            (vec!["-help"], vec!["--help"]),
            (vec!["-h", "-", "-5"], vec!["-h", "-", "-5"]),
            (
                vec!["serve", "--", "server", "-out"],
                vec!["serve", "--", "server", "-out"],
            ),
            (vec!["plan", "-outt"], vec!["plan", "--outt"]),
            (vec!["plan", "-unknown=1"], vec!["plan", "--unknown=1"]),
            (vec!["-hV", "-?x"], vec!["-hV", "-?x"]),
        ] {
            assert_eq!(rewritten(&given), expected);
        }
    }
}
