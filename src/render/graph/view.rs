//! What is drawn: migrations with their looks, requirements first, and the edges between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::graph::Graph;
use crate::model::id::MigrationId;
use crate::model::plan::{Action, Plan};
use crate::model::status::{MigrationStatus, Status};
use crate::render::plan::warning_counts;
use crate::render::style::Tone;
use crate::render::units::counted_len;

/// A graph that is ready to be drawn.
#[derive(Debug, Clone)]
pub struct GraphView {
    /// In an order in which requirements come first.
    pub(super) nodes: Vec<Node>,
    /// What each node requires, by place in `nodes`, ascending; all are lower than the node's own place.
    pub(super) requires: Vec<Vec<usize>>,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: MigrationId,
    /// One character.
    pub(super) symbol: char,
    /// Where it stands, or what is done with it.
    pub(super) label: String,
    pub(super) description: Option<String>,
    pub(super) look: Look,
}

/// Shape and colour together, so that nobody has to tell colours apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// In place.
    InPlace,
    /// To be applied.
    Add,
    /// To be adopted.
    Adopt,
    /// Not in play.
    Off,
    /// To be looked at.
    Caution,
    /// Broken, or to be reverted.
    Trouble,
}

impl Look {
    pub(super) const ALL: [Self; 6] = [
        Self::InPlace,
        Self::Add,
        Self::Adopt,
        Self::Off,
        Self::Caution,
        Self::Trouble,
    ];

    /// A name for style sheets.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::InPlace => "inplace",
            Self::Add => "add",
            Self::Adopt => "adopt",
            Self::Off => "off",
            Self::Caution => "caution",
            Self::Trouble => "trouble",
        }
    }

    /// Border and fill on a light ground.
    pub(super) fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::InPlace => ("#2e7d32", "#d7f0da"),
            Self::Add => ("#1565c0", "#dcebfb"),
            Self::Adopt => ("#00838f", "#d6f3f5"),
            Self::Off => ("#8a8a8a", "#f0f0f0"),
            Self::Caution => ("#b26a00", "#fdeccb"),
            Self::Trouble => ("#c62828", "#fbdcdc"),
        }
    }

    /// Border and fill on a dark ground.
    pub(super) fn dark_colours(self) -> (&'static str, &'static str) {
        match self {
            Self::InPlace => ("#7bc47f", "#16301a"),
            Self::Add => ("#82b8f5", "#14273d"),
            Self::Adopt => ("#6fd3e3", "#0e2f34"),
            Self::Off => ("#8f8f8f", "#262626"),
            Self::Caution => ("#ffc266", "#3a2a0c"),
            Self::Trouble => ("#ff8a80", "#401a1a"),
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::InPlace => Tone::Good,
            Self::Add | Self::Adopt => Tone::Note,
            Self::Off => Tone::Faint,
            Self::Caution => Tone::Caution,
            Self::Trouble => Tone::Bad,
        }
    }
}

/// One character for where a migration stands.
pub(in crate::render) fn symbol(status: &Status) -> char {
    match status {
        Status::Applied { .. } => '✓',
        Status::Skipped { .. } => '.',
        Status::Pending => '+',
        Status::Unadopted => '=',
        Status::Running { .. } => '*',
        Status::Interrupted { .. } | Status::Dirty | Status::Edited => '!',
        Status::Ahead => '>',
        Status::Unwanted => '-',
        Status::Unconfigured => '?',
    }
}

/// The colour for where a migration stands.
pub(in crate::render) fn status_tone(status: &Status) -> Tone {
    look(status).tone()
}

fn look(status: &Status) -> Look {
    match status {
        Status::Applied { .. } => Look::InPlace,
        Status::Pending => Look::Add,
        Status::Unadopted => Look::Adopt,
        Status::Skipped { .. } | Status::Unwanted | Status::Unconfigured => Look::Off,
        Status::Ahead | Status::Running { .. } => Look::Caution,
        Status::Interrupted { .. } | Status::Dirty | Status::Edited => Look::Trouble,
    }
}

/// The name of a step's place in the HTML page.
pub(in crate::render) fn anchor(id: &MigrationId) -> String {
    format!("step-{}-{}", id.store(), id.name())
}

impl GraphView {
    /// The graph of a catalog, each migration with where it stands.
    pub fn of_catalog(graph: &Graph, statuses: &[MigrationStatus]) -> Self {
        let all: BTreeSet<MigrationId> = statuses.iter().map(|s| s.id.clone()).collect();
        let mut order = graph.order(&all);
        let known: BTreeSet<&MigrationId> = order.iter().collect();
        let unknown: Vec<MigrationId> = all
            .iter()
            .filter(|id| !known.contains(id))
            .cloned()
            .collect();
        order.extend(unknown);
        let by_id: BTreeMap<&MigrationId, &MigrationStatus> =
            statuses.iter().map(|s| (&s.id, s)).collect();
        let nodes: Vec<Node> = order
            .iter()
            .filter_map(|id| by_id.get(id))
            .map(|status| Node {
                id: status.id.clone(),
                symbol: symbol(&status.status),
                label: status.status.label().to_owned(),
                description: status.description.clone(),
                look: look(&status.status),
            })
            .collect();
        Self::new(nodes, |id| graph.requirements(id).cloned().collect())
    }

    /// The steps of a plan, and which waits for which. Waits that follow from others are not drawn.
    pub fn of_plan(plan: &Plan) -> Self {
        let steps = &plan.decision.steps;
        let after: BTreeMap<&MigrationId, &BTreeSet<MigrationId>> =
            steps.iter().map(|step| (&step.id, &step.after)).collect();
        let nodes = steps
            .iter()
            .zip(warning_counts(plan))
            .map(|(step, warnings)| Node {
                id: step.id.clone(),
                symbol: step.action.symbol(),
                label: match warnings {
                    0 => step.action.name().to_owned(),
                    number => format!("{}, {}", step.action.name(), counted_len(number, "warning")),
                },
                description: step.description.clone(),
                look: match step.action {
                    Action::Apply => Look::Add,
                    Action::Revert { .. } => Look::Trouble,
                    Action::Cleanup | Action::AcceptEdit { .. } | Action::Resolve(_) => {
                        Look::Caution
                    }
                    Action::Adopt { .. } => Look::Adopt,
                    Action::Skip { .. } => Look::Off,
                },
            })
            .collect();
        let mut view = Self::new(nodes, |id| {
            after.get(id).copied().cloned().unwrap_or_default()
        });
        view.reduce();
        view
    }

    fn new(nodes: Vec<Node>, requires: impl Fn(&MigrationId) -> BTreeSet<MigrationId>) -> Self {
        let place: BTreeMap<&MigrationId, usize> = nodes
            .iter()
            .enumerate()
            .map(|(at, n)| (&n.id, at))
            .collect();
        let requires = nodes
            .iter()
            .enumerate()
            .map(|(to, node)| {
                let mut from: Vec<usize> = requires(&node.id)
                    .iter()
                    .filter_map(|needed| place.get(needed).copied())
                    // The drawing goes down the order: a wait against it is not drawn, and is named at
                    // its step.
                    .filter(|from| *from < to)
                    .collect();
                from.sort_unstable();
                from
            })
            .collect();
        Self { nodes, requires }
    }

    /// Drops every edge that a longer way stands for.
    pub(super) fn reduce(&mut self) {
        let words = self.nodes.len().div_ceil(64);
        let mut above: Vec<Vec<u64>> = Vec::with_capacity(self.nodes.len());
        let has = |set: &[u64], at: usize| set[at / 64] & (1 << (at % 64)) != 0;
        for requires in &mut self.requires {
            let mut reached = vec![0u64; words];
            // Nearest first: what a later requirement waits for is reached before it is asked about.
            let mut kept: Vec<usize> = Vec::new();
            for &from in requires.iter().rev() {
                if has(&reached, from) {
                    continue;
                }
                kept.push(from);
                reached[from / 64] |= 1 << (from % 64);
                for (word, more) in reached.iter_mut().zip(&above[from]) {
                    *word |= more;
                }
            }
            kept.reverse();
            *requires = kept;
            above.push(reached);
        }
    }

    /// The migrations that the one at this place waits for, by place.
    pub(in crate::render) fn waits(&self, at: usize) -> impl Iterator<Item = &MigrationId> {
        self.requires[at].iter().map(|from| &self.nodes[*from].id)
    }

    /// Every edge, from the required node to the one that needs it, by place.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.requires
            .iter()
            .enumerate()
            .flat_map(|(to, requires)| requires.iter().map(move |from| (*from, to)))
    }
}
