//! What is drawn: migrations with their looks, requirements first, and the edges between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::graph::Graph;
use crate::model::id::MigrationId;
use crate::model::plan::{Action, Plan};
use crate::model::status::{MigrationStatus, Status};
use crate::render::style::Tone;

/// A graph that is ready to be drawn.
#[derive(Debug, Clone)]
pub struct GraphView {
    /// In an order in which requirements come first.
    pub(super) nodes: Vec<Node>,
    /// From the required node to the one that needs it, by their places in `nodes`.
    pub(super) edges: BTreeSet<(usize, usize)>,
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
        Status::Ahead => Look::Caution,
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
        let nodes = steps
            .iter()
            .map(|step| Node {
                id: step.id.clone(),
                symbol: step.action.symbol(),
                label: step.action.name().to_owned(),
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
            plan.decision
                .step(id)
                .map(|s| s.after.clone())
                .unwrap_or_default()
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
        let mut edges = BTreeSet::new();
        for (to, node) in nodes.iter().enumerate() {
            for needed in requires(&node.id) {
                // The drawing goes down the order: a wait against it is not drawn, and is named at its step.
                if let Some(&from) = place.get(&needed).filter(|from| **from < to) {
                    edges.insert((from, to));
                }
            }
        }
        Self { nodes, edges }
    }

    /// Drops every edge that a longer way stands for.
    fn reduce(&mut self) {
        let words = self.nodes.len().div_ceil(64);
        let mut above = vec![vec![0u64; words]; self.nodes.len()];
        let has = |set: &[u64], at: usize| set[at / 64] & (1 << (at % 64)) != 0;
        let mut kept = BTreeSet::new();
        for to in 0..self.nodes.len() {
            let mut reached = vec![0u64; words];
            // Nearest first: what a later requirement waits for is reached before it is asked about.
            let from: Vec<usize> = self.requirements(to).collect();
            for &from in from.iter().rev() {
                if !has(&reached, from) {
                    kept.insert((from, to));
                }
                reached[from / 64] |= 1 << (from % 64);
                for (word, more) in reached.iter_mut().zip(&above[from]) {
                    *word |= more;
                }
            }
            above[to] = reached;
        }
        self.edges = kept;
    }

    /// What a node requires, by place.
    pub(super) fn requirements(&self, to: usize) -> impl Iterator<Item = usize> {
        self.edges
            .iter()
            .filter(move |(_, node)| *node == to)
            .map(|(from, _)| *from)
    }
}
