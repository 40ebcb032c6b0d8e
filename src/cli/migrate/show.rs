use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::migrate::plan::view;
use crate::cli::output::Output;
use crate::plan_file;
use crate::render::{self, Detail};

/// Show a saved plan, with every statement; needs no connection and no outpost.toml
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The plan file
    plan: PathBuf,

    /// How to print
    #[arg(long, default_value = "text")]
    format: ShowFormat,
}

/// How `show` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// For a terminal
    Text,
    /// For programs
    Json,
    /// For a comment on a pull request
    Markdown,
    /// One self-contained page
    Html,
}

impl Show {
    pub(super) fn run(self, output: &Output) -> Result<Exit, CliError> {
        let plan = plan_file::read(&self.plan)?;
        let view = view(&plan, Some(&self.plan));
        output.print(|out, style| match self.format {
            ShowFormat::Text => render::plan(out, style, &view, Detail::Full),
            ShowFormat::Json => render::plan_json(out, &view),
            ShowFormat::Markdown => render::plan_markdown(out, &view),
            ShowFormat::Html => render::plan_html(out, &view),
        })?;
        Ok(Exit::Done)
    }
}
