//! The graph for Mermaid, which GitHub and GitLab draw inside Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::render::graph::GraphView;
use crate::render::graph::view::Look;
use crate::render::text::line;
use crate::render::units::count;

/// What Mermaid draws at most, unless the page's owner allows more: its settings `maxEdges` and
/// `maxTextSize`, which a diagram cannot change.
const EDGES: usize = 500;
const CHARACTERS: usize = 50_000;

/// Writes the graph as a Mermaid flowchart. One that Mermaid would refuse for its size has its chains of
/// equal migrations folded, a box each.
///
/// # Errors
/// What `out` says.
pub fn graph_mermaid(out: &mut dyn Write, view: &GraphView) -> io::Result<()> {
    let whole = Boxes::whole(view);
    if whole.fit {
        return out.write_all(whole.text.as_bytes());
    }
    let folded = Boxes::folded(view);
    writeln!(
        out,
        "%% Mermaid draws {} edges and {} characters at most. Chains are folded here; the other formats have every \
         migration.",
        count(EDGES as u64),
        count(CHARACTERS as u64)
    )?;
    if !folded.fit {
        writeln!(
            out,
            "%% It is still too much: set maxEdges and maxTextSize higher where it is drawn."
        )?;
    }
    out.write_all(folded.text.as_bytes())
}

/// A drawing, and whether Mermaid takes it.
struct Boxes {
    text: String,
    fit: bool,
}

impl Boxes {
    fn whole(view: &GraphView) -> Self {
        let own: Vec<usize> = (0..view.nodes.len()).collect();
        Self::drawn(view, &own)
    }

    fn folded(view: &GraphView) -> Self {
        let mut view = view.clone();
        view.reduce();
        let mut required = vec![0usize; view.nodes.len()];
        for (from, _) in view.edges() {
            required[from] += 1;
        }
        let mut first: Vec<usize> = Vec::with_capacity(view.nodes.len());
        for (at, node) in view.nodes.iter().enumerate() {
            let chained = match view.requires[at][..] {
                [from] if required[from] == 1 => {
                    let before = &view.nodes[from];
                    (before.look, &before.label) == (node.look, &node.label)
                }
                _ => false,
            };
            first.push(match view.requires[at].first() {
                Some(from) if chained => first[*from],
                _ => at,
            });
        }
        Self::drawn(&view, &first)
    }

    /// `first`: for each node, the first of its box.
    fn drawn(view: &GraphView, first: &[usize]) -> Self {
        let mut last = vec![(0usize, 0usize); first.len()];
        for (at, first) in first.iter().enumerate() {
            last[*first] = (at, last[*first].1 + 1);
        }
        let mut text = String::from("flowchart TD\n");
        for (at, &(last, members)) in last.iter().enumerate() {
            if members > 0 {
                text.push_str(&one(view, at, last, members));
            }
        }
        let edges: BTreeSet<(usize, usize)> = view
            .edges()
            .map(|(from, to)| (first[from], first[to]))
            .filter(|(from, to)| from != to)
            .collect();
        // Writing to a String cannot fail.
        for (from, to) in &edges {
            let _ = writeln!(text, "  n{from} --> n{to}");
        }
        for look in Look::ALL {
            let (border, fill) = look.colours();
            let _ = writeln!(
                text,
                "  classDef {} stroke:{border},fill:{fill},color:#1b1b1b",
                look.class()
            );
        }
        let fit = edges.len() <= EDGES && text.chars().count() <= CHARACTERS;
        Self { text, fit }
    }
}

/// A box for a node, or for a chain of nodes that ends with `last`.
fn one(view: &GraphView, at: usize, last: usize, members: usize) -> String {
    let node = &view.nodes[at];
    let (open, close) = match node.look {
        Look::InPlace => ("[", "]"),
        Look::Add => ("([", "])"),
        Look::Adopt => ("(", ")"),
        Look::Off => ("[/", "/]"),
        Look::Caution => ("[[", "]]"),
        Look::Trouble => ("{{", "}}"),
    };
    let (mut name, mut state) = (format!("{} {}", node.symbol, node.id), node.label.clone());
    if members > 1 {
        name.push_str(&format!(" … {}", view.nodes[last].id));
        state = format!("{} {state}", count(members as u64));
    }
    format!(
        "  n{at}{open}\"{}<br/>{}\"{close}:::{}\n",
        escaped(&name),
        escaped(&state),
        node.look.class()
    )
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
