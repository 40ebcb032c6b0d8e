//! The graph for Mermaid, which GitHub and GitLab draw inside Markdown.

use std::io::{self, Write};

use crate::render::graph::GraphView;
use crate::render::graph::view::Look;
use crate::render::text::line;

/// Writes the graph as a Mermaid flowchart.
///
/// # Errors
/// What `out` says.
pub fn graph_mermaid(out: &mut dyn Write, view: &GraphView) -> io::Result<()> {
    writeln!(out, "flowchart TD")?;
    for (at, node) in view.nodes.iter().enumerate() {
        let (open, close) = match node.look {
            Look::InPlace => ("[", "]"),
            Look::Add => ("([", "])"),
            Look::Adopt => ("(", ")"),
            Look::Off => ("[/", "/]"),
            Look::Caution => ("[[", "]]"),
            Look::Trouble => ("{{", "}}"),
        };
        let label = format!(
            "{}<br/>{}",
            escaped(&format!("{} {}", node.symbol, node.id)),
            escaped(&node.label)
        );
        writeln!(
            out,
            "  n{at}{open}\"{label}\"{close}:::{}",
            node.look.class()
        )?;
    }
    for (from, to) in &view.edges {
        writeln!(out, "  n{from} --> n{to}")?;
    }
    for look in Look::ALL {
        let (border, fill) = look.colours();
        writeln!(
            out,
            "  classDef {} stroke:{border},fill:{fill},color:#1b1b1b",
            look.class()
        )?;
    }
    Ok(())
}

/// Mermaid's own entities: a number sign, the character's number, a semicolon.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in line(text).chars() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | '_' | '.' | '-' | '+' | '=') {
            out.push_str(&format!("#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}
