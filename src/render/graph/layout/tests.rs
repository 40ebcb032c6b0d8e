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
    let chain = layout(&[vec![], vec![0], vec![1]], SIZES);
    assert_eq!(chain.nodes, [(0.0, 0.0), (0.0, 70.0), (0.0, 140.0)]);
    assert_eq!((chain.width, chain.height), (100.0, 170.0));
    let fork = layout(&[vec![], vec![0], vec![0]], SIZES);
    assert_eq!(fork.nodes, [(60.0, 0.0), (0.0, 70.0), (120.0, 70.0)]);
}

#[test]
fn nothing_takes_no_room() {
    let empty = layout(&[], SIZES);
    assert_eq!((empty.width, empty.height), (0.0, 0.0));
}

#[test]
fn five_hundred_in_a_chain_or_side_by_side_make_no_strip() {
    let chain: Vec<Vec<usize>> = (0..500usize)
        .map(|at| at.checked_sub(1).into_iter().collect())
        .collect();
    for requires in [chain, vec![Vec::new(); 500]] {
        let drawn = layout(&requires, SIZES);
        let ratio = drawn.width / drawn.height;
        assert!(
            (0.4..2.5).contains(&ratio),
            "{} x {}",
            drawn.width,
            drawn.height
        );
        judge(&requires, &drawn);
    }
}

/// Whether a line is within a box, its border left out.
fn within(line: &[(f64, f64)], (x, y): (f64, f64)) -> bool {
    let (right, low) = (x + SIZES.node_width, y + SIZES.node_height);
    // Where it bends, a line stays between the heights of its ends, and those are gaps between rows.
    line.windows(2).any(|pair| {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        let across = ax.max(bx) > x + 0.001 && ax.min(bx) < right - 0.001;
        across && ay.max(by) > y + 0.001 && ay.min(by) < low - 0.001
    })
}

/// Boxes do not overlap, each line joins two boxes, and none runs through a third.
fn judge(requires: &[Vec<usize>], drawn: &Layout) {
    for (a, &(ax, ay)) in drawn.nodes.iter().enumerate() {
        for &(bx, by) in &drawn.nodes[..a] {
            let apart =
                (ax - bx).abs() >= SIZES.node_width - 0.001 || (ay - by).abs() >= SIZES.node_height;
            assert!(apart, "boxes at {ax},{ay} and {bx},{by}");
        }
        assert!(ax >= -0.001 && ax + SIZES.node_width <= drawn.width + 0.001);
        assert!(ay >= 0.0 && ay + SIZES.node_height <= drawn.height + 0.001);
    }
    let mut joined = vec![Vec::new(); requires.len()];
    for tree in &drawn.trees {
        let (x, y) = drawn.nodes[tree.from];
        assert_eq!(tree.trunk[0], (x + 50.0, y + 30.0));
        for (to, branch) in &tree.branches {
            let (x, y) = drawn.nodes[*to];
            assert!(
                tree.trunk.contains(&branch[0]),
                "{branch:?} leaves {:?}",
                tree.trunk
            );
            assert_eq!(branch[branch.len() - 1], (x + 50.0, y));
            joined[*to].push(tree.from);
        }
        for line in std::iter::once(&tree.trunk).chain(tree.branches.iter().map(|(_, line)| line)) {
            for node in &drawn.nodes {
                assert!(
                    !within(line, *node),
                    "{line:?} runs through the box at {node:?}"
                );
            }
        }
    }
    assert_eq!(joined, requires);
}

proptest! {
    #[test]
    fn boxes_never_overlap_and_lines_join_them(
        pairs in proptest::collection::btree_set((0usize..40, 0usize..40), 0..80),
        chained in any::<bool>(),
    ) {
        let mut requires = vec![std::collections::BTreeSet::new(); 40];
        for (from, to) in pairs {
            if from < to {
                requires[to].insert(from);
            }
        }
        if chained {
            for (to, requires) in requires.iter_mut().enumerate().skip(1) {
                requires.insert(to - 1);
            }
        }
        let requires: Vec<Vec<usize>> = requires.into_iter().map(|r| r.into_iter().collect()).collect();
        let drawn = layout(&requires, SIZES);
        judge(&requires, &drawn);
        prop_assert_eq!(&drawn, &layout(&requires, SIZES));
    }
}
