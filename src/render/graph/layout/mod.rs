//! Places for a layered drawing: each node below everything that it requires. A drawing that would be a
//! strip is broken into columns, read like those of a newspaper.

mod columns;
mod rows;
#[cfg(test)]
mod tests;

use columns::Columns;
use rows::Rows;

/// Where everything goes, in the drawing's own units.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Left upper corner of each node.
    pub(super) nodes: Vec<(f64, f64)>,
    /// The lines.
    pub(super) trees: Vec<Tree>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The lines from one node to all that require it. They share as much of the way as they can.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    /// The required node.
    pub(super) from: usize,
    /// From below the required node down to the layer above the last that requires it.
    pub(super) trunk: Vec<(f64, f64)>,
    /// To each node that requires it, by place: from a point of the trunk to above the node.
    pub(super) branches: Vec<(usize, Vec<(f64, f64)>)>,
}

/// Sizes of what is placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) node_width: f64,
    pub(super) node_height: f64,
    pub(super) gap: f64,
    pub(super) layer_gap: f64,
}

impl Sizes {
    /// From one layer to the next.
    fn pitch(self) -> f64 {
        self.node_height + self.layer_gap
    }
}

/// Lays out nodes: `requires` has, for each, what it requires, all with lower numbers. The same graph
/// always gets the same drawing.
pub(super) fn layout(requires: &[Vec<usize>], sizes: Sizes) -> Layout {
    let rows = Rows::new(requires, sizes);
    let mut columns = Columns::new(&rows, sizes);
    let trees = rows
        .lanes
        .iter()
        .map(|lanes| {
            let from = lanes.from;
            // What the lines of this tree pass, layer by layer: the node, then its lane.
            let passed: Vec<usize> = std::iter::once(from)
                .chain(lanes.slots.iter().copied())
                .collect();
            let mut trunk = vec![columns.below(from)];
            for pair in passed.windows(2) {
                trunk.extend(columns.link(pair[0], pair[1]));
                trunk.push(columns.below(pair[1]));
            }
            let branches = lanes
                .to
                .iter()
                .map(|&to| {
                    let last = passed[rows.slots[to].layer - rows.slots[from].layer - 1];
                    let mut way = vec![columns.below(last)];
                    way.extend(columns.link(last, to));
                    (to, way)
                })
                .collect();
            Tree {
                from,
                trunk,
                branches,
            }
        })
        .collect();
    Layout {
        nodes: (0..requires.len())
            .map(|node| columns.corner(node))
            .collect(),
        trees,
        width: columns.width(),
        height: columns.height(),
    }
}
