//! The graph for Graphviz.

use std::io::{self, Write};

use crate::render::graph::GraphView;
use crate::render::graph::view::Look;
use crate::render::text::line;

/// Writes the graph in DOT.
///
/// # Errors
/// What `out` says.
pub fn graph_dot(out: &mut dyn Write, view: &GraphView) -> io::Result<()> {
    writeln!(out, "digraph migrations {{")?;
    writeln!(out, "  node [fontname=\"monospace\", fontsize=11];")?;
    for node in &view.nodes {
        let (shape, style) = match node.look {
            Look::InPlace => ("box", "filled"),
            Look::Add => ("box", "filled,rounded"),
            Look::Adopt => ("box", "filled,rounded,dashed"),
            Look::Off => ("box", "filled,dashed"),
            Look::Caution => ("parallelogram", "filled"),
            Look::Trouble => ("hexagon", "filled"),
        };
        let (border, fill) = node.look.colours();
        let id = quoted(&node.id.to_string());
        // The line break is Graphviz's own escape; what stands around it is quoted text.
        let label = format!(
            "{}\\n{}",
            inner(&format!("{} {}", node.symbol, node.id)),
            inner(&node.label)
        );
        let tooltip = quoted(node.description.as_deref().unwrap_or(&node.label));
        writeln!(
            out,
            "  {id} [label=\"{label}\", tooltip={tooltip}, shape={shape}, style=\"{style}\", color=\"{border}\", fillcolor=\"{fill}\"];"
        )?;
    }
    for (from, to) in view.edges() {
        let (from, to) = (&view.nodes[from].id, &view.nodes[to].id);
        writeln!(
            out,
            "  {} -> {};",
            quoted(&from.to_string()),
            quoted(&to.to_string())
        )?;
    }
    writeln!(out, "}}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", inner(text))
}

fn inner(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('"', "\\\"")
}
