use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::Globals;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::migrate::plan::view;
use crate::cli::migrate::signature::Trust;
use crate::cli::output::Output;
use crate::plan_file::PlanFile;
use crate::render::{self, Detail, PlanView};

/// Show a saved plan, with every statement, and who signed it; needs no connection and no outpost.toml
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The plan file
    #[arg(required_unless_present = "json_schema")]
    plan: Option<PathBuf>,

    /// Print the JSON Schema of `--format json` instead of a plan
    #[arg(long, conflicts_with_all = ["plan", "format"])]
    json_schema: bool,

    /// Whose signatures count, instead of those that outpost.toml names
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,

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
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let (false, Some(path)) = (self.json_schema, &self.plan) else {
            output.print(|out, _| render::plan_schema(out))?;
            return Ok(Exit::Done);
        };
        let file = PlanFile::open(path)?;
        let plan = file.plan()?;
        let trust = Trust::where_configured(self.allowed_signers.as_deref(), globals)?;
        let signature = trust.judge(&file)?;
        let view = PlanView {
            signature: Some(&signature),
            ..view(&plan, Some(path))
        };
        output.print(|out, style| match self.format {
            ShowFormat::Text => render::plan(out, style, &view, Detail::Full),
            ShowFormat::Json => render::plan_json(out, &view),
            ShowFormat::Markdown => render::plan_markdown(out, &view),
            ShowFormat::Html => render::plan_html(out, &view),
        })?;
        Ok(Exit::Done)
    }
}
