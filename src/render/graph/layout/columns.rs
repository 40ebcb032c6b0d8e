//! Where the rows go: below one another, and in several columns where that would be a strip.

use std::collections::BTreeMap;

use super::Sizes;
use super::rows::Rows;

/// Rows that a column has at least, where there are several.
const SHORTEST: usize = 8;

/// Between two lines beside each other, and between a line and a box.
const LINE_GAP: f64 = 6.0;

/// How often places are improved, down and up in turn.
const SWEEPS: usize = 8;

/// Places of all slots.
#[derive(Debug)]
pub(super) struct Columns {
    sizes: Sizes,
    /// Horizontal centre of each slot.
    x: Vec<f64>,
    /// The layer of each slot.
    layer: Vec<usize>,
    width: Vec<f64>,
    /// Layers of a column.
    height: usize,
    layers: usize,
    /// Of each column.
    left: Vec<f64>,
    /// Lines that go on from each column to the next.
    crossing: Vec<usize>,
    /// Those of them that have been drawn.
    drawn: BTreeMap<usize, usize>,
}

impl Columns {
    pub(super) fn new(rows: &Rows, sizes: Sizes) -> Self {
        let layers = rows.rows.len();
        let mut x = vec![0.0; rows.slots.len()];
        let widest = rows
            .rows
            .iter()
            .map(|row| width_of(row, rows, sizes))
            .fold(0.0, f64::max);
        let height = column_height(layers, widest, sizes);
        let mut crossing = Vec::new();
        let mut left = Vec::new();
        let mut start = 0.0;
        for first in (0..layers).step_by(height.max(1)) {
            let last = (first + height).min(layers);
            let right = place(rows, first..last, sizes, start, &mut x);
            left.push(start);
            let lines: usize = rows.rows[last - 1]
                .iter()
                .map(|slot| rows.slots[*slot].below.len())
                .sum();
            crossing.push(lines);
            start = right + sizes.gap + (lines + 1) as f64 * LINE_GAP;
        }
        Self {
            sizes,
            x,
            layer: rows.slots.iter().map(|slot| slot.layer).collect(),
            width: rows.slots.iter().map(|slot| slot.width).collect(),
            height,
            layers,
            left,
            crossing,
            drawn: BTreeMap::new(),
        }
    }

    /// Room for the lines that lead from one column to the next, above and below all.
    fn margin(&self) -> f64 {
        match self.crossing.iter().max() {
            Some(lines) if self.left.len() > 1 => (lines + 1) as f64 * LINE_GAP,
            _ => 0.0,
        }
    }

    fn top(&self, slot: usize) -> f64 {
        self.margin() + (self.layer[slot] % self.height.max(1)) as f64 * self.sizes.pitch()
    }

    /// The left upper corner of a node.
    pub(super) fn corner(&self, node: usize) -> (f64, f64) {
        (self.x[node] - self.width[node] / 2.0, self.top(node))
    }

    /// Where a line leaves a slot.
    pub(super) fn below(&self, slot: usize) -> (f64, f64) {
        (self.x[slot], self.top(slot) + self.sizes.node_height)
    }

    /// The points from below one slot to above another of the next layer, without the first.
    pub(super) fn link(&mut self, from: usize, to: usize) -> Vec<(f64, f64)> {
        let end = (self.x[to], self.top(to));
        let column = self.layer[from] / self.height.max(1);
        if self.layer[to] / self.height.max(1) == column {
            return vec![end];
        }
        // Down, right below the column, up between the columns, and right above the next one.
        let drawn = self.drawn.entry(column).or_default();
        *drawn += 1;
        let offset = *drawn as f64 * LINE_GAP;
        let below = self.bottom() + offset;
        let between = self.left[column + 1] - self.sizes.gap / 2.0 - offset;
        let above = self.margin() - offset;
        vec![
            (self.x[from], below),
            (between, below),
            (between, above),
            (end.0, above),
            end,
        ]
    }

    /// The lower edge of the last row of a full column.
    fn bottom(&self) -> f64 {
        let rows = self.height.min(self.layers) as f64;
        self.margin() + (rows * self.sizes.pitch() - self.sizes.layer_gap).max(0.0)
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom() + self.margin()
    }

    pub(super) fn width(&self) -> f64 {
        self.x
            .iter()
            .zip(&self.width)
            .map(|(x, width)| x + width / 2.0)
            .fold(0.0, f64::max)
    }
}

/// Layers of a column: all of them, unless the drawing would be more than twice as high as wide.
fn column_height(layers: usize, widest: f64, sizes: Sizes) -> usize {
    let high = layers as f64 * sizes.pitch();
    if high <= 2.0 * widest || layers <= 2 * SHORTEST {
        return layers;
    }
    let columns = (high / (widest + sizes.gap)).sqrt().floor().max(1.0);
    ((layers as f64 / columns).ceil() as usize).max(SHORTEST)
}

/// Between the centres of neighbours.
fn apart(rows: &Rows, sizes: Sizes, left: usize, right: usize) -> f64 {
    let (left, right) = (rows.slots[left].width, rows.slots[right].width);
    let gap = if left < sizes.node_width && right < sizes.node_width {
        LINE_GAP
    } else {
        sizes.gap
    };
    f64::midpoint(left, right) + gap
}

fn width_of(row: &[usize], rows: &Rows, sizes: Sizes) -> f64 {
    let ends = row.first().into_iter().chain(row.last());
    row.windows(2)
        .map(|pair| apart(rows, sizes, pair[0], pair[1]))
        .sum::<f64>()
        + ends.map(|slot| rows.slots[*slot].width / 2.0).sum::<f64>()
}

/// Places the slots of one column, the leftmost edge at `left`; returns the right edge.
fn place(
    rows: &Rows,
    layers: std::ops::Range<usize>,
    sizes: Sizes,
    left: f64,
    x: &mut [f64],
) -> f64 {
    for layer in layers.clone() {
        let mut at = 0.0;
        let row = &rows.rows[layer];
        for (place, slot) in row.iter().enumerate() {
            if let Some(before) = place.checked_sub(1) {
                at += apart(rows, sizes, row[before], *slot);
            }
            x[*slot] = at;
        }
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for step in 0..layers.len() {
            let layer = if down {
                layers.start + step
            } else {
                layers.end - 1 - step
            };
            let row = &rows.rows[layer];
            let wishes: Vec<f64> = row
                .iter()
                .map(|slot| {
                    let slot_of = &rows.slots[*slot];
                    let near = if down { &slot_of.above } else { &slot_of.below };
                    let near: Vec<usize> = near
                        .iter()
                        .copied()
                        .filter(|near| layers.contains(&rows.slots[*near].layer))
                        .collect();
                    if near.is_empty() {
                        return x[*slot];
                    }
                    near.iter().map(|near| x[*near]).sum::<f64>() / near.len() as f64
                })
                .collect();
            let gaps: Vec<f64> = row
                .windows(2)
                .map(|pair| apart(rows, sizes, pair[0], pair[1]))
                .collect();
            for (slot, at) in row.iter().zip(nearest(&wishes, &gaps)) {
                x[*slot] = at;
            }
        }
    }
    let slots = || {
        layers
            .clone()
            .flat_map(|layer| rows.rows[layer].iter().copied())
    };
    let edge = |slot: usize, side: f64| side * rows.slots[slot].width / 2.0;
    let leftmost = slots()
        .map(|slot| x[slot] + edge(slot, -1.0))
        .fold(f64::INFINITY, f64::min);
    let mut right = left;
    for slot in slots() {
        x[slot] += left - leftmost;
        right = right.max(x[slot] + edge(slot, 1.0));
    }
    right
}

/// The places nearest to the wishes, by least squares, that keep the order and the gaps: neighbours whose
/// wishes are too close are pooled and share their mean.
fn nearest(wishes: &[f64], gaps: &[f64]) -> Vec<f64> {
    let mut offsets = vec![0.0];
    for gap in gaps {
        offsets.push(offsets[offsets.len() - 1] + gap);
    }
    // Each pool: the sum of what its members wish for, without their offsets, and how many they are.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut pool = (wish - offset, 1);
        while let Some(&(sum, count)) = pools.last() {
            if sum / count as f64 <= pool.0 / pool.1 as f64 {
                break;
            }
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    pools
        .into_iter()
        .flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count))
        .zip(offsets)
        .map(|(mean, offset)| mean + offset)
        .collect()
}
