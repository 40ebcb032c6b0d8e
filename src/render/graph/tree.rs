//! The graph as text.

use std::io::{self, Write};

use crate::render::graph::GraphView;
use crate::render::graph::view::Node;
use crate::render::style::{Style, Tone};
use crate::render::text::{columns, cut, line, wrapped};

/// Fewest columns of a description that are worth showing.
const WORTH: usize = 12;

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
        let next = &children[at];
        let bar = if next.len() > 1 { "│ " } else { "  " };
        row(
            out,
            style,
            view,
            at,
            parents[at],
            [&before, &format!("{below}{bar}")],
        )?;
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
    [before, under]: [&str; 2],
) -> io::Result<()> {
    let node = &view.nodes[at];
    let mark = style.paint(node.look.tone(), &format!("{} {}", node.symbol, node.id));
    let others: Vec<String> = view.requires[at]
        .iter()
        .filter(|from| Some(**from) != parent)
        .map(|from| view.nodes[*from].id.to_string())
        .collect();
    let label = style.paint(Tone::Faint, &node.label);
    let mut text = format!("{before}{mark}  {label}");
    if !others.is_empty() {
        text.push_str(&format!("  also requires {}", others.join(", ")));
    }
    let end = style.row_end();
    let least = columns(&text);
    let description = node.description.as_deref().map(line);
    if let Some(words) = &description {
        text.push_str(&format!("  {words}"));
    }
    // A description may be cut, if enough of it is left to be worth it; nothing else may.
    let whole = columns(&text) <= end;
    if whole || description.is_some() && least + 2 + WORTH <= end {
        return writeln!(out, "{}", cut(&text, end));
    }
    narrow(out, style, node, [before, under], others, description)
}

/// A row over as many lines as it takes.
fn narrow(
    out: &mut dyn Write,
    style: Style,
    node: &Node,
    [before, under]: [&str; 2],
    others: Vec<String>,
    description: Option<String>,
) -> io::Result<()> {
    let mut first = before;
    let label = &node.label;
    let mark = format!("{} {}", node.symbol, node.id);
    let names = wrapped(&mark, style.room(columns(under)));
    let label_below =
        names.len() > 1 || columns(before) + columns(&mark) + 2 + columns(label) > style.width;
    for (at, name) in names.iter().enumerate() {
        let beside = if label_below || at > 0 {
            String::new()
        } else {
            format!("  {}", style.paint(Tone::Faint, label))
        };
        let name = style.paint(node.look.tone(), name);
        writeln!(out, "{first}{name}{beside}")?;
        first = under;
    }
    let requires = (!others.is_empty()).then(|| format!("also requires {}", others.join(", ")));
    let below = label_below.then(|| (label.clone(), Some(Tone::Faint)));
    let rest = [
        below,
        requires.map(|words| (words, None)),
        description.map(|words| (words, None)),
    ];
    for (words, tone) in rest.into_iter().flatten() {
        for text in wrapped(&words, style.room(columns(under))) {
            let text = tone.map_or(text.clone(), |tone| style.paint(tone, &text));
            writeln!(out, "{under}{text}")?;
        }
    }
    Ok(())
}
