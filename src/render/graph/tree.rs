//! The graph as text.

use std::io::{self, Write};

use crate::render::graph::GraphView;
use crate::render::style::{Style, Tone};
use crate::render::text::{cut, line};

/// Writes the graph as a tree. A migration hangs below the one that it follows in its own store; what
/// else it requires is named beside it. A chain goes straight down, and only a fork is indented, so that
/// hundreds of migrations still fit.
///
/// # Errors
/// What `out` says.
pub fn graph_tree(out: &mut dyn Write, style: Style, view: &GraphView) -> io::Result<()> {
    let parents: Vec<Option<usize>> = (0..view.nodes.len()).map(|at| parent(view, at)).collect();
    let mut roots = Vec::new();
    let mut children = vec![Vec::new(); view.nodes.len()];
    for (at, parent) in parents.iter().enumerate() {
        match parent {
            Some(parent) => children[*parent].push(at),
            None => roots.push(at),
        }
    }
    // What is still to be written, the next one last: the node, what stands before it, and what stands
    // before everything below it.
    let mut open: Vec<(usize, String, String)> = roots
        .into_iter()
        .rev()
        .map(|root| (root, String::new(), String::new()))
        .collect();
    while let Some((at, before, below)) = open.pop() {
        row(out, style, view, at, parents[at], &before)?;
        let next = &children[at];
        if let [only] = next[..] {
            open.push((only, below.clone(), below));
            continue;
        }
        for (place, child) in next.iter().enumerate().rev() {
            let last = place + 1 == next.len();
            let (branch, under) = if last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            open.push((
                *child,
                format!("{below}{branch}"),
                format!("{below}{under}"),
            ));
        }
    }
    Ok(())
}

/// Among what a node requires: the last of its own store, else the last.
fn parent(view: &GraphView, at: usize) -> Option<usize> {
    let store = view.nodes[at].id.store();
    view.requires[at]
        .iter()
        .copied()
        .max_by_key(|from| (view.nodes[*from].id.store() == store, *from))
}

fn row(
    out: &mut dyn Write,
    style: Style,
    view: &GraphView,
    at: usize,
    parent: Option<usize>,
    before: &str,
) -> io::Result<()> {
    let node = &view.nodes[at];
    let mark = style.paint(node.look.tone(), &format!("{} {}", node.symbol, node.id));
    let others: Vec<String> = view.requires[at]
        .iter()
        .filter(|from| Some(**from) != parent)
        .map(|from| view.nodes[*from].id.to_string())
        .collect();
    let mut text = format!("{before}{mark}  {}", style.paint(Tone::Faint, &node.label));
    if !others.is_empty() {
        text.push_str(&format!("  also requires {}", others.join(", ")));
    }
    if let Some(description) = &node.description {
        text.push_str(&format!("  {}", line(description)));
    }
    writeln!(out, "{}", cut(&text, style.row_end()))
}
