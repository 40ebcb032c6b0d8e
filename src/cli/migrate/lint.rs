use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::model::graph::Graph;
use crate::model::lint::{Level, lint};
use crate::{render, source};

/// Look for dangerous statements, missing reverses and files that are not as locked
///
/// Reads the files alone: it needs no database and no variable of an address. Levels and accepted findings
/// are set under [lint] in outpost.toml; a file or a statement accepts one with a comment that gives the
/// reason. docs/lint.md lists the rules.
#[derive(Debug, Args)]
pub(in crate::cli) struct Lint {
    /// Exit with 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,

    /// How to print
    #[arg(long, default_value = "text")]
    format: Format,
}

impl Lint {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let schema = source::schema_config(&globals.config)?;
        let levels = source::lint_config(&globals.config)?;
        let folder = source::folder_of(&globals.config).join(&schema.path);
        let config = source::offline_plan_config(&globals.config)?;
        let catalog = source::catalog(&folder, &config)?;
        let graph = Graph::new(&catalog)?;
        let findings = lint(&catalog, &graph, &levels);
        output.print(|out, style| match self.format {
            Format::Text => render::lint(out, style, &findings),
            Format::Json => render::lint_json(out, &findings),
        })?;
        let refused = match self.deny_warnings {
            true => Level::Warn,
            false => Level::Error,
        };
        Ok(if findings.iter().any(|f| f.level >= refused) {
            Exit::Error
        } else {
            Exit::Done
        })
    }
}
