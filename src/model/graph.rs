//! The DAG of migrations, over both stores.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::model::catalog::Catalog;
use crate::model::id::MigrationId;

/// What keeps a catalog from being a DAG.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A migration requires one that no file defines.
    #[error("{place}: {id} requires {missing}, which is not in the schema folder{}", nearest.as_ref().map(|n| format!("; the nearest id is {n}")).unwrap_or_default())]
    MissingRequirement {
        /// The migration.
        id: MigrationId,
        /// Its file and the line.
        place: String,
        /// What is not there.
        missing: MigrationId,
        /// An id that looks like it.
        nearest: Option<String>,
    },
    /// Migrations that require one another in a circle.
    #[error("migrations require one another in a circle: {}", circle(.0))]
    Cycle(Vec<MigrationId>),
}

impl GraphError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissingRequirement { .. } => "correct the id under `requires`, or add the migration".to_owned(),
            Self::Cycle(_) => "take one of these requirements away; where a migration only follows its predecessor by number, `root = true` does that".to_owned(),
        })
    }
}

fn circle(ids: &[MigrationId]) -> String {
    ids.iter()
        .chain(ids.first())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" -> ")
}

/// Requirements as edges from the required migration to the one that needs it.
#[derive(Debug, Clone)]
pub struct Graph {
    ids: Vec<MigrationId>,
    index: BTreeMap<MigrationId, u32>,
    edges: DiGraphMap<u32, ()>,
    order: Vec<MigrationId>,
}

impl Graph {
    /// Builds the graph of a catalog.
    ///
    /// # Errors
    /// A requirement that is not in the catalog, and a cycle, both named.
    pub fn new(catalog: &Catalog) -> Result<Self, GraphError> {
        let requires = catalog
            .iter()
            .map(|m| (m.id.clone(), m.requires.clone()))
            .collect();
        Self::from_requirements(&requires, |id, required| {
            let Some(migration) = catalog.get(id) else {
                return String::new();
            };
            match migration.line_that_requires(required) {
                Some(line) => format!("{}:{line}", migration.path()),
                None => migration.path().to_owned(),
            }
        })
    }

    /// Builds the graph from bare requirements; `place_of` tells in errors where a migration (the first)
    /// requires another.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn from_requirements(
        requires: &BTreeMap<MigrationId, BTreeSet<MigrationId>>,
        place_of: impl Fn(&MigrationId, &MigrationId) -> String,
    ) -> Result<Self, GraphError> {
        let ids: Vec<MigrationId> = requires.keys().cloned().collect();
        let index: BTreeMap<MigrationId, u32> = ids.iter().cloned().zip(0u32..).collect();
        let mut edges = DiGraphMap::new();
        for (id, needed) in requires {
            let to = index[id];
            edges.add_node(to);
            for missing in needed {
                let Some(&from) = index.get(missing) else {
                    let known: Vec<String> = ids.iter().map(ToString::to_string).collect();
                    return Err(GraphError::MissingRequirement {
                        id: id.clone(),
                        place: place_of(id, missing),
                        missing: missing.clone(),
                        nearest: crate::model::nearest::nearest(
                            &missing.to_string(),
                            known.iter().map(String::as_str),
                        ),
                    });
                };
                edges.add_edge(from, to, ());
            }
        }
        let mut graph = Self {
            ids,
            index,
            edges,
            order: Vec::new(),
        };
        if let Some(cycle) = graph.find_cycle() {
            return Err(GraphError::Cycle(cycle));
        }
        graph.order = graph.topological();
        Ok(graph)
    }

    /// A cycle in the order in which its members require each other, smallest id first.
    fn find_cycle(&self) -> Option<Vec<MigrationId>> {
        let component = tarjan_scc(&self.edges)
            .into_iter()
            .filter(|c| c.len() > 1 || self.edges.contains_edge(c[0], c[0]))
            .map(|c| c.into_iter().collect::<BTreeSet<u32>>())
            .min_by_key(|c| c.first().copied())?;
        let start = component.first().copied()?;
        // Every node of a strongly connected component has a predecessor in it, so the walk along
        // requirements must meet itself again.
        let mut path = vec![start];
        loop {
            let here = *path.last()?;
            let next = self
                .edges
                .neighbors_directed(here, petgraph::Incoming)
                .filter(|n| component.contains(n))
                .min()?;
            if let Some(at) = path.iter().position(|n| *n == next) {
                let mut cycle = path.split_off(at);
                let smallest = cycle.iter().enumerate().min_by_key(|(_, node)| **node);
                let first = smallest.map_or(0, |(place, _)| place);
                cycle.rotate_left(first);
                return Some(
                    cycle
                        .iter()
                        .map(|n| self.ids[*n as usize].clone())
                        .collect(),
                );
            }
            path.push(next);
        }
    }

    /// What `id` requires directly, by id.
    pub fn requirements<'a>(&'a self, id: &MigrationId) -> impl Iterator<Item = &'a MigrationId> {
        self.neighbours(id, petgraph::Incoming)
    }

    /// What requires `id` directly, by id.
    pub fn dependents<'a>(&'a self, id: &MigrationId) -> impl Iterator<Item = &'a MigrationId> {
        self.neighbours(id, petgraph::Outgoing)
    }

    fn neighbours<'a>(
        &'a self,
        id: &MigrationId,
        direction: petgraph::Direction,
    ) -> impl Iterator<Item = &'a MigrationId> {
        let found: BTreeSet<u32> = self
            .index
            .get(id)
            .into_iter()
            .flat_map(|n| self.edges.neighbors_directed(*n, direction))
            .collect();
        found.into_iter().map(|n| &self.ids[n as usize])
    }

    /// The set and everything that it requires.
    pub fn with_requirements(&self, set: &BTreeSet<MigrationId>) -> BTreeSet<MigrationId> {
        let mut closed = BTreeSet::new();
        let mut open: Vec<MigrationId> = set
            .iter()
            .filter(|id| self.index.contains_key(id))
            .cloned()
            .collect();
        while let Some(id) = open.pop() {
            if closed.insert(id.clone()) {
                open.extend(self.requirements(&id).cloned());
            }
        }
        closed
    }

    /// The set in an order in which every requirement comes first; ties by id, so that the order is the
    /// same from run to run. Ids that the graph does not know are left out.
    pub fn order(&self, set: &BTreeSet<MigrationId>) -> Vec<MigrationId> {
        self.order
            .iter()
            .filter(|id| set.contains(id))
            .cloned()
            .collect()
    }

    /// The members of `set` of the same store that `id` does not require: what may have come after it, in the
    /// order of the graph.
    pub fn later(&self, id: &MigrationId, set: &BTreeSet<MigrationId>) -> Vec<MigrationId> {
        let before = self.with_requirements(&BTreeSet::from([id.clone()]));
        self.order(set)
            .into_iter()
            .filter(|other| other.store() == id.store() && !before.contains(other))
            .collect()
    }

    /// The members of `set` that `id` needs, directly or through migrations outside of the set: what a
    /// step has to wait for when the rest is in place already.
    pub fn needs_within(
        &self,
        id: &MigrationId,
        set: &BTreeSet<MigrationId>,
    ) -> BTreeSet<MigrationId> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&MigrationId> = self.requirements(id).collect();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            if set.contains(next) {
                found.insert(next.clone());
            } else {
                open.extend(self.requirements(next));
            }
        }
        found
    }

    /// Kahn's algorithm with an ordered set of what is ready.
    fn topological(&self) -> Vec<MigrationId> {
        let mut missing: Vec<usize> = (0u32..)
            .zip(&self.ids)
            .map(|(node, _)| {
                self.edges
                    .neighbors_directed(node, petgraph::Incoming)
                    .count()
            })
            .collect();
        let mut ready: BTreeSet<u32> = (0u32..)
            .zip(&missing)
            .filter(|(_, n)| **n == 0)
            .map(|(node, _)| node)
            .collect();
        let mut ordered = Vec::with_capacity(self.ids.len());
        while let Some(node) = ready.pop_first() {
            ordered.push(self.ids[node as usize].clone());
            for next in self.edges.neighbors_directed(node, petgraph::Outgoing) {
                missing[next as usize] -= 1;
                if missing[next as usize] == 0 {
                    ready.insert(next);
                }
            }
        }
        ordered
    }
}
