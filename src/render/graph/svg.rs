//! The graph as SVG: no script, no font and no picture from elsewhere.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::render::graph::GraphView;
use crate::render::graph::layout::{Sizes, layout};
use crate::render::graph::view::{Look, anchor};
use crate::render::text::{columns, cut, html};

/// Columns of a label; a longer one is cut, and whole in the tooltip.
const LABEL: usize = 44;
const MARGIN: f64 = 8.0;

/// Writes the graph as a file of its own.
///
/// # Errors
/// What `out` says.
pub fn graph_svg(out: &mut dyn Write, view: &GraphView) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    out.write_all(svg(view, false).as_bytes())
}

/// The graph as an element. `links`: to the steps of the page that it stands in.
pub(in crate::render) fn svg(view: &GraphView, links: bool) -> String {
    let labels: Vec<String> = view
        .nodes
        .iter()
        .map(|n| cut(&format!("{} {}", n.symbol, n.id), LABEL))
        .collect();
    // By the fonts of the style sheet: a name is written larger than a state.
    let widest = view
        .nodes
        .iter()
        .zip(&labels)
        .map(|(n, label)| (columns(label) as f64 * 7.3).max(columns(&n.label) as f64 * 6.1))
        .fold(0.0, f64::max);
    let sizes = Sizes {
        node_width: widest + 30.0,
        node_height: 40.0,
        gap: 18.0,
        layer_gap: 30.0,
    };
    let drawn = layout(&view.requires, sizes);
    let (width, height) = (drawn.width + 2.0 * MARGIN, drawn.height + 2.0 * MARGIN);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" role=\"img\" aria-label=\"Graph of migrations\" \
         width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.1} {height:.1}\">"
    );
    out.push_str(&style());
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {MARGIN})\">");
    for tree in &drawn.trees {
        let mut lines = path(&tree.trunk);
        for (_, branch) in &tree.branches {
            lines.push_str(&path(branch));
            lines.push_str(&head(branch));
        }
        let _ = writeln!(out, "<path class=\"g-edge\" d=\"{lines}\"/>");
    }
    for ((node, label), (x, y)) in view.nodes.iter().zip(&labels).zip(&drawn.nodes) {
        let title = match &node.description {
            Some(description) => format!("{} ({}): {description}", node.id, node.label),
            None => format!("{} ({})", node.id, node.label),
        };
        if links {
            let _ = write!(out, "<a href=\"#{}\">", html(&anchor(&node.id)));
        }
        let _ = write!(
            out,
            "<g class=\"g-{}\"><title>{}</title>",
            node.look.class(),
            html(&title)
        );
        out.push_str(&shape(node.look, *x, *y, sizes));
        let centre = x + sizes.node_width / 2.0;
        let _ = write!(
            out,
            "<text x=\"{centre:.1}\" y=\"{:.1}\">{}</text><text class=\"g-state\" x=\"{centre:.1}\" y=\"{:.1}\">{}</text></g>",
            y + 17.0,
            html(label),
            y + 32.0,
            html(&node.label)
        );
        out.push_str(if links { "</a>\n" } else { "\n" });
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Both grounds, since a page and a picture in it follow the reader's choice.
fn style() -> String {
    let mut css = String::from(
        "<style>.graph text{font:12px ui-monospace,monospace;text-anchor:middle;fill:#1b1b1b}\
         .graph .g-state{font-size:10px;opacity:.8}\
         .g-edge{fill:none;stroke:#8a8a8a;stroke-width:1.3}\
         .graph :is(rect,polygon){stroke-width:1.5}\
         .g-off :is(rect,polygon),.g-adopt :is(rect,polygon){stroke-dasharray:5 3}",
    );
    looks(&mut css, Look::colours);
    css.push_str("@media (prefers-color-scheme: dark){.graph text{fill:#ececec}");
    looks(&mut css, Look::dark_colours);
    css.push_str("}</style>\n");
    css
}

fn looks(css: &mut String, colours: impl Fn(Look) -> (&'static str, &'static str)) {
    for look in Look::ALL {
        let (border, fill) = colours(look);
        let _ = write!(
            css,
            ".g-{} :is(rect,polygon){{stroke:{border};fill:{fill}}}",
            look.class()
        );
    }
}

fn shape(look: Look, x: f64, y: f64, sizes: Sizes) -> String {
    let (w, h) = (sizes.node_width, sizes.node_height);
    let rect = |radius: f64| {
        format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"{radius}\"/>"
        )
    };
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> = points
            .iter()
            .map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy))
            .collect();
        format!("<polygon points=\"{}\"/>", points.join(" "))
    };
    match look {
        Look::InPlace | Look::Off => rect(2.0),
        Look::Add | Look::Adopt => rect(h / 2.0),
        Look::Caution => polygon(&[(10.0, 0.0), (w, 0.0), (w - 10.0, h), (0.0, h)]),
        Look::Trouble => polygon(&[
            (10.0, 0.0),
            (w - 10.0, 0.0),
            (w, h / 2.0),
            (w - 10.0, h),
            (10.0, h),
            (0.0, h / 2.0),
        ]),
    }
}

/// The head of an arrow that comes from above.
fn head(way: &[(f64, f64)]) -> String {
    way.last().map_or_else(String::new, |(x, y)| {
        format!(
            "M{:.1} {:.1}L{x:.1} {y:.1}L{:.1} {:.1}",
            x - 3.5,
            y - 6.0,
            x + 3.5,
            y - 6.0
        )
    })
}

/// A line that leaves and reaches boxes upright; nothing where it has no length.
fn path(way: &[(f64, f64)]) -> String {
    let mut out = String::new();
    if way.len() < 2 {
        return out;
    }
    for (at, &(x, y)) in way.iter().enumerate() {
        let _ = match at.checked_sub(1).map(|before| way[before]) {
            None => write!(out, "M{x:.1} {y:.1}"),
            Some((px, py)) if (px - x).abs() < 0.05 || (py - y).abs() < 0.05 => {
                write!(out, "L{x:.1} {y:.1}")
            }
            Some((px, py)) => {
                let middle = f64::midpoint(py, y);
                write!(out, "C{px:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}")
            }
        };
    }
    out
}
