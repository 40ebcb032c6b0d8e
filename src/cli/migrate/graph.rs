use clap::{Args, ValueEnum};

use crate::cli::args::Globals;
use crate::cli::context::{Project, block_on};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine::Depth;
use crate::model::status::statuses;
use crate::render;

/// Print the graph of migrations, with where each stands
#[derive(Debug, Args)]
pub(in crate::cli) struct Graph {
    /// Compare with this version instead of the one in outpost.toml
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,

    /// How to print
    #[arg(long, default_value = "text")]
    format: GraphFormat,
}

/// How the graph prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// One line a migration
    Text,
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
    /// A picture
    Svg,
    /// For programs
    Json,
}

impl Graph {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let desired = project.desired(self.to.as_deref())?;
        let observed = block_on(project.observe(Depth::Ledgers))?;
        let statuses = statuses(&project.catalog, &observed, &project.desired_ids(&desired));
        let view = render::GraphView::of_catalog(&project.graph, &statuses);
        output.print(|out, style| match self.format {
            GraphFormat::Text => render::graph_tree(out, style, &view),
            GraphFormat::Dot => render::graph_dot(out, &view),
            GraphFormat::Mermaid => render::graph_mermaid(out, &view),
            GraphFormat::Svg => render::graph_svg(out, &view),
            GraphFormat::Json => render::graph_json(out, &statuses),
        })?;
        Ok(Exit::Done)
    }
}
