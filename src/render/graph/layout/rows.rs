//! Which layer everything is in, and the order within a layer.

use super::Sizes;

/// How often the order is improved, down and up in turn.
const SWEEPS: usize = 6;

/// A node, or the place where the lines of a tree pass a layer.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) layer: usize,
    pub(super) width: f64,
    /// Slots of the layer above that this one hangs on.
    pub(super) above: Vec<usize>,
    /// Slots of the layer below that hang on this one.
    pub(super) below: Vec<usize>,
}

/// How the lines of a tree go down: one slot in each layer that they pass.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    pub(super) from: usize,
    /// In the layers below `from`, in order.
    pub(super) slots: Vec<usize>,
    /// The nodes that require `from`, ascending.
    pub(super) to: Vec<usize>,
}

/// The layers.
#[derive(Debug)]
pub(super) struct Rows {
    /// The nodes first, by number.
    pub(super) slots: Vec<Slot>,
    pub(super) lanes: Vec<Lanes>,
    /// The slots of each layer, left to right.
    pub(super) rows: Vec<Vec<usize>>,
}

impl Rows {
    pub(super) fn new(requires: &[Vec<usize>], sizes: Sizes) -> Self {
        let mut slots: Vec<Slot> = layers(requires, widest(requires.len(), sizes))
            .into_iter()
            .map(|layer| Slot {
                layer,
                width: sizes.node_width,
                above: Vec::new(),
                below: Vec::new(),
            })
            .collect();
        let mut required_by = vec![Vec::new(); requires.len()];
        for (to, requires) in requires.iter().enumerate() {
            for &from in requires {
                required_by[from].push(to);
            }
        }
        let mut lanes = Vec::new();
        for (from, to) in required_by.into_iter().enumerate() {
            if !to.is_empty() {
                lanes.push(lane(&mut slots, from, to));
            }
        }
        let rows = ordered(&slots);
        Self { slots, lanes, rows }
    }
}

/// The nodes of one layer at most: so that unrelated nodes make a block and no endless row.
fn widest(count: usize, sizes: Sizes) -> usize {
    let square = (count as f64 * sizes.pitch() / (sizes.node_width + sizes.gap)).sqrt();
    (square.ceil() as usize).max(3)
}

/// A layer for each node, below what it requires, the first that has room.
fn layers(requires: &[Vec<usize>], widest: usize) -> Vec<usize> {
    let mut layers: Vec<usize> = Vec::with_capacity(requires.len());
    let mut taken: Vec<usize> = Vec::new();
    for requires in requires {
        let mut layer = requires
            .iter()
            .map(|from| layers[*from] + 1)
            .max()
            .unwrap_or(0);
        while taken.get(layer).is_some_and(|taken| *taken >= widest) {
            layer += 1;
        }
        taken.resize(taken.len().max(layer + 1), 0);
        taken[layer] += 1;
        layers.push(layer);
    }
    layers
}

/// Adds the slots that the lines from a node pass, and hangs everything on what is above it.
fn lane(slots: &mut Vec<Slot>, from: usize, to: Vec<usize>) -> Lanes {
    let first = slots[from].layer + 1;
    let last = to.iter().map(|to| slots[*to].layer).max().unwrap_or(first);
    let mut passed = vec![from];
    for layer in first..last {
        let (above, slot) = (passed[passed.len() - 1], slots.len());
        slots[above].below.push(slot);
        slots.push(Slot {
            layer,
            width: 2.0,
            above: vec![above],
            below: Vec::new(),
        });
        passed.push(slot);
    }
    for &to in &to {
        let above = passed[slots[to].layer - first];
        slots[above].below.push(to);
        slots[to].above.push(above);
    }
    passed.remove(0);
    Lanes {
        from,
        slots: passed,
        to,
    }
}

/// The slots of each layer, left to right: each close to what it hangs on and to what hangs on it, ties by
/// number.
fn ordered(slots: &[Slot]) -> Vec<Vec<usize>> {
    let depth = slots.iter().map(|slot| slot.layer + 1).max().unwrap_or(0);
    let mut rows = vec![Vec::new(); depth];
    for (at, slot) in slots.iter().enumerate() {
        rows[slot.layer].push(at);
    }
    let mut place = vec![0.0; slots.len()];
    for row in &rows {
        settle(row, &mut place);
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for step in 0..depth {
            let row = &mut rows[if down { step } else { depth - 1 - step }];
            let wish = |slot: usize| {
                let near = if down {
                    &slots[slot].above
                } else {
                    &slots[slot].below
                };
                if near.is_empty() {
                    return place[slot];
                }
                near.iter().map(|near| place[*near]).sum::<f64>() / near.len() as f64
            };
            let mut wishes: Vec<(f64, usize)> =
                row.iter().map(|slot| (wish(*slot), *slot)).collect();
            wishes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            *row = wishes.into_iter().map(|(_, slot)| slot).collect();
            settle(row, &mut place);
        }
    }
    rows
}

/// Notes the place of each slot of a row, counted from its middle.
fn settle(row: &[usize], place: &mut [f64]) {
    let middle = row.len() as f64 / 2.0;
    for (at, slot) in row.iter().enumerate() {
        place[*slot] = at as f64 + 0.5 - middle;
    }
}
