//! Which node answers for which slot.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use redis::{RedisError, Value};

use super::slot::SLOTS;

/// A node by its address, `host:port`, or the path of a socket.
pub(in crate::store::redis) type Node = Arc<str>;

/// The masters and their slots, as one node told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::redis) struct Topology {
    /// In the order of their addresses.
    pub(super) masters: Vec<Node>,
    /// Replicas: only asked for the topology when no master answers.
    pub(super) replicas: Vec<Node>,
    /// The place in `masters` for each slot; empty for a single server.
    slots: Vec<Option<u16>>,
}

/// Slots that no node answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uncovered {
    pub(super) first: u16,
    pub(super) count: usize,
}

impl fmt::Display for Uncovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "slot {} is served by no node", self.first),
            count => write!(
                f,
                "{count} slots are served by no node, the first of them {}",
                self.first
            ),
        }
    }
}

impl Topology {
    /// A single server: every key is there.
    pub(super) fn single(node: Node) -> Self {
        Self {
            masters: vec![node],
            replicas: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// From the answer to CLUSTER SLOTS. A node that does not know its own address is `asked`.
    pub(super) fn parse(answer: Value, asked: &Node) -> Result<Self, RedisError> {
        let ranges: Vec<Vec<Value>> = redis::from_redis_value(answer)?;
        let mut owners: BTreeMap<u16, (u16, Node)> = BTreeMap::new();
        let mut replicas = Vec::new();
        for range in ranges {
            let mut parts = range.into_iter();
            let mut next = || parts.next().unwrap_or(Value::Nil);
            let (first, last): (u16, u16) = (
                redis::from_redis_value(next())?,
                redis::from_redis_value(next())?,
            );
            let mut nodes = Vec::new();
            for node in parts {
                nodes.extend(address(node, asked)?);
            }
            let mut nodes = nodes.into_iter();
            if let Some(master) = nodes.next() {
                owners.insert(first, (last.min(SLOTS - 1), master));
            }
            replicas.extend(nodes);
        }
        let mut masters: Vec<Node> = owners.values().map(|(_, node)| node.clone()).collect();
        masters.sort();
        masters.dedup();
        replicas.sort();
        replicas.dedup();
        let mut slots = vec![None; usize::from(SLOTS)];
        for (first, (last, node)) in owners {
            let place = masters.binary_search(&node).ok();
            let place = place.and_then(|place| u16::try_from(place).ok());
            for slot in first..=last {
                if let Some(entry) = slots.get_mut(usize::from(slot)) {
                    *entry = place;
                }
            }
        }
        Ok(Self {
            masters,
            replicas,
            slots,
        })
    }

    /// The master of a slot; `None` where there is none at the moment.
    pub(super) fn master(&self, slot: u16) -> Option<&Node> {
        if self.slots.is_empty() {
            return self.masters.first();
        }
        let place = self.slots.get(usize::from(slot)).copied().flatten()?;
        self.masters.get(usize::from(place))
    }

    /// What is not served, if anything is not.
    pub(super) fn uncovered(&self) -> Option<Uncovered> {
        let mut missing = (0..SLOTS).filter(|slot| self.master(*slot).is_none());
        let first = missing.next()?;
        Some(Uncovered {
            first,
            count: missing.count() + 1,
        })
    }
}

/// A node's address; `None` for one that the cluster does not know how to reach.
fn address(node: Value, asked: &Node) -> Result<Option<Node>, RedisError> {
    let parts: Vec<Value> = redis::from_redis_value(node)?;
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    let (host, port): (Option<String>, u16) = (
        redis::from_redis_value(next())?,
        redis::from_redis_value(next())?,
    );
    Ok(match host.as_deref() {
        Some("?") => None,
        Some("") | None => {
            let own = asked.rsplit_once(':').map_or(&**asked, |(host, _)| host);
            Some(format!("{own}:{port}").into())
        }
        Some(host) if host.contains(':') => Some(format!("[{host}]:{port}").into()),
        Some(host) => Some(format!("{host}:{port}").into()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, nodes: &[(&str, i64)]) -> Value {
        let mut parts = vec![Value::Int(first), Value::Int(last)];
        parts.extend(nodes.iter().map(|(host, port)| {
            Value::Array(vec![
                text(host),
                Value::Int(*port),
                text("id"),
                Value::Array(vec![]),
            ])
        }));
        Value::Array(parts)
    }

    #[test]
    fn slots_belong_to_the_first_node_of_their_range() {
        let asked: Node = "10.0.0.9:7000".into();
        let answer = Value::Array(vec![
            range(0, 99, &[("10.0.0.2", 7002), ("10.0.0.3", 7003)]),
            range(100, 16382, &[("", 7001)]),
        ]);
        let topology = Topology::parse(answer, &asked).unwrap();
        assert_eq!(
            topology.masters,
            ["10.0.0.2:7002", "10.0.0.9:7001"].map(Node::from)
        );
        assert_eq!(topology.replicas, ["10.0.0.3:7003"].map(Node::from));
        assert_eq!(topology.master(99).map(|n| &**n), Some("10.0.0.2:7002"));
        assert_eq!(topology.master(100).map(|n| &**n), Some("10.0.0.9:7001"));
        assert_eq!(topology.master(16383), None);
        let expected = Uncovered {
            first: 16383,
            count: 1,
        };
        assert_eq!(topology.uncovered(), Some(expected));
    }

    #[test]
    fn a_single_server_has_every_slot() {
        let topology = Topology::single("localhost:6379".into());
        assert_eq!(topology.uncovered(), None);
        assert_eq!(topology.master(7).map(|n| &**n), Some("localhost:6379"));
    }
}
