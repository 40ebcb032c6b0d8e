//! Places for a layered drawing: each node below everything that it requires.

use std::collections::{BTreeMap, BTreeSet};

/// Where everything goes, in the drawing's own units.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Left upper corner of each node.
    pub(super) nodes: Vec<(f64, f64)>,
    /// The way of each edge, in the order of the edges: from below the required node to above the other.
    pub(super) edges: Vec<Vec<(f64, f64)>>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Sizes of what is placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) node_width: f64,
    pub(super) node_height: f64,
    pub(super) gap: f64,
    pub(super) layer_gap: f64,
}

/// A node, or the bend of an edge that passes a layer.
struct Slot {
    layer: usize,
    width: f64,
    /// Slots of the layer above that this one hangs on.
    above: Vec<usize>,
}

/// Lays out `count` nodes. Every edge leads from a lower number to a higher one. The same graph always
/// gets the same drawing.
pub(super) fn layout(count: usize, edges: &BTreeSet<(usize, usize)>, sizes: Sizes) -> Layout {
    let mut slots: Vec<Slot> = layers(count, edges)
        .into_iter()
        .map(|layer| Slot {
            layer,
            width: sizes.node_width,
            above: Vec::new(),
        })
        .collect();
    let mut ways = Vec::with_capacity(edges.len());
    for &(from, to) in edges {
        let mut way = vec![from];
        for layer in slots[from].layer + 1..slots[to].layer {
            let above = way.last().copied().into_iter().collect();
            way.push(slots.len());
            slots.push(Slot {
                layer,
                width: 2.0,
                above,
            });
        }
        let last = way.last().copied().unwrap_or(from);
        slots[to].above.push(last);
        way.push(to);
        ways.push(way);
    }
    let rows = ordered_rows(&slots);
    let row_width = |row: &Vec<usize>| {
        row.iter().map(|slot| slots[*slot].width).sum::<f64>()
            + sizes.gap * row.len().saturating_sub(1) as f64
    };
    let width = rows.iter().map(row_width).fold(0.0, f64::max);
    let mut centre = vec![(0.0, 0.0); slots.len()];
    for (layer, row) in rows.iter().enumerate() {
        let mut x = (width - row_width(row)) / 2.0;
        let y = layer as f64 * (sizes.node_height + sizes.layer_gap);
        for &slot in row {
            centre[slot] = (x + slots[slot].width / 2.0, y + sizes.node_height / 2.0);
            x += slots[slot].width + sizes.gap;
        }
    }
    let half = sizes.node_height / 2.0;
    let edges = ways
        .iter()
        .map(|way| {
            let mut points = Vec::new();
            for (at, &slot) in way.iter().enumerate() {
                let (x, y) = centre[slot];
                if at > 0 {
                    points.push((x, y - half));
                }
                if at + 1 < way.len() {
                    points.push((x, y + half));
                }
            }
            points
        })
        .collect();
    let height = rows.len() as f64 * (sizes.node_height + sizes.layer_gap) - sizes.layer_gap;
    let nodes = centre[..count]
        .iter()
        .map(|(x, y)| (x - sizes.node_width / 2.0, y - half))
        .collect();
    Layout {
        nodes,
        edges,
        width,
        height: height.max(0.0),
    }
}

/// The length of the longest way from a root to each node.
fn layers(count: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut layers = vec![0; count];
    for to in 0..count {
        // Requirements have lower numbers, so theirs are final.
        layers[to] = edges
            .iter()
            .filter(|(_, node)| *node == to)
            .map(|(from, _)| layers[*from] + 1)
            .max()
            .unwrap_or(0);
    }
    layers
}

/// The slots of each layer, left to right: each close to what it hangs on, ties by number.
fn ordered_rows(slots: &[Slot]) -> Vec<Vec<usize>> {
    let mut by_layer: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, slot) in slots.iter().enumerate() {
        by_layer.entry(slot.layer).or_default().push(at);
    }
    let mut place = vec![0.0; slots.len()];
    let mut rows = Vec::with_capacity(by_layer.len());
    for mut row in by_layer.into_values() {
        let wish = |at: usize| {
            let above = &slots[at].above;
            if above.is_empty() {
                return f64::MAX;
            }
            above.iter().map(|slot| place[*slot]).sum::<f64>() / above.len() as f64
        };
        row.sort_by(|a, b| wish(*a).total_cmp(&wish(*b)).then(a.cmp(b)));
        let middle = row.len() as f64 / 2.0;
        for (at, slot) in row.iter().enumerate() {
            place[*slot] = at as f64 + 0.5 - middle;
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    const SIZES: Sizes = Sizes {
        node_width: 100.0,
        node_height: 30.0,
        gap: 20.0,
        layer_gap: 40.0,
    };

    #[test]
    fn a_chain_is_one_column_and_a_fork_one_row() {
        let chain = layout(3, &BTreeSet::from([(0, 1), (1, 2)]), SIZES);
        assert_eq!(chain.nodes, [(0.0, 0.0), (0.0, 70.0), (0.0, 140.0)]);
        assert_eq!((chain.width, chain.height), (100.0, 170.0));
        let fork = layout(3, &BTreeSet::from([(0, 1), (0, 2)]), SIZES);
        assert_eq!(fork.nodes, [(60.0, 0.0), (0.0, 70.0), (120.0, 70.0)]);
    }

    #[test]
    fn nothing_takes_no_room() {
        let empty = layout(0, &BTreeSet::new(), SIZES);
        assert_eq!((empty.width, empty.height), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn requirements_are_above_and_nodes_never_overlap(
            pairs in proptest::collection::btree_set((0usize..12, 0usize..12), 0..30),
        ) {
            let edges: BTreeSet<(usize, usize)> = pairs.into_iter().filter(|(a, b)| a < b).collect();
            let drawn = layout(12, &edges, SIZES);
            for (from, to) in &edges {
                prop_assert!(drawn.nodes[*from].1 < drawn.nodes[*to].1);
            }
            for a in 0..12 {
                for b in 0..a {
                    let (ax, ay) = drawn.nodes[a];
                    let (bx, by) = drawn.nodes[b];
                    prop_assert!(ay != by || (ax - bx).abs() >= SIZES.node_width);
                }
                prop_assert!(drawn.nodes[a].0 >= 0.0 && drawn.nodes[a].0 + SIZES.node_width <= drawn.width + 0.001);
            }
            prop_assert_eq!(&drawn, &layout(12, &edges, SIZES));
        }
    }
}
