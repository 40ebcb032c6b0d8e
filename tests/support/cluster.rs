//! A Redis Cluster of a test's own: masters that share the slots, and a replica for each if asked for.
//!
//! Nodes are numbered: the masters first, then their replicas in the same order. A number stays with its
//! node, whatever role it has after a failover.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use outpost::sandbox::{RedisServer, SandboxError};
use redis::{RedisResult, Value};

use crate::keyspace::{Keyspace, keyspace};
use crate::support::{started, wait_until};

/// How many slots a cluster has.
pub const SLOTS: u16 = 16384;
/// After this long without an answer a node counts as failed.
const NODE_TIMEOUT_MS: u32 = 1000;
const MIGRATE_TIMEOUT_MS: u32 = 5000;
const USER: &str = "default";
const PASSWORD: &str = "w0rd-of-the-cluster";

/// A cluster that goes with the value.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    masters: usize,
    password: Option<&'static str>,
}

/// Settings of a [`RedisCluster`].
#[derive(Clone)]
pub struct RedisClusterBuilder {
    masters: usize,
    replicas: bool,
    password: Option<&'static str>,
    directives: Vec<String>,
}

/// A slot that is being moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotMove {
    pub slot: u16,
    /// The node that gives it.
    pub from: usize,
    /// The node that gets it.
    pub to: usize,
}

impl RedisCluster {
    /// Three masters, and a password.
    pub fn start() -> Self {
        Self::builder().start()
    }

    pub fn builder() -> RedisClusterBuilder {
        RedisClusterBuilder {
            masters: 3,
            replicas: false,
            password: Some(PASSWORD),
            directives: Vec::new(),
        }
    }

    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Their addresses, as the list that `[redis] url` takes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.url().to_owned())
            .collect()
    }

    /// Their addresses with commas between them.
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// Their addresses for a user that [`Self::add_user`] made.
    pub fn urls_of(&self, user: &str, password: &str) -> Vec<String> {
        let url =
            |node: &RedisServer| format!("redis://{user}:{password}@127.0.0.1:{}", node.port());
        self.nodes.iter().map(url).collect()
    }

    /// Makes an ACL user on every node: `add_user("reader", "pw", "~* +@read +@connection")`.
    pub fn add_user(&self, name: &str, password: &str, rules: &str) {
        let password = format!(">{password}");
        let mut command = vec!["ACL", "SETUSER", name, "reset", "on", &password];
        command.extend(rules.split_whitespace());
        for node in self.live() {
            self.on(node, &command);
        }
    }

    /// The slot of a key, by its hash tag where it has one.
    pub fn slot(key: &str) -> u16 {
        let tag = key
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .map(|(tag, _)| tag)
            .filter(|tag| !tag.is_empty());
        crc16(tag.unwrap_or(key).as_bytes()) % SLOTS
    }

    /// The node that serves a slot; panics when none does.
    pub fn node_of_slot(&self, slot: u16) -> usize {
        self.owners()[usize::from(slot)].unwrap_or_else(|| panic!("nobody serves slot {slot}"))
    }

    /// The node that serves a key.
    pub fn node_of(&self, key: &str) -> usize {
        self.node_of_slot(Self::slot(key))
    }

    /// Sends one command to a node, and panics on an error reply.
    pub fn on(&self, node: usize, command: &[&str]) -> Value {
        self.try_on(node, command)
            .unwrap_or_else(|error| panic!("node {node}: {error}\n{command:?}"))
    }

    /// Sends one command to a node.
    pub fn try_on(&self, node: usize, command: &[&str]) -> RedisResult<Value> {
        crate::support::try_redis_cmd(self.nodes[node].url(), command)
    }

    /// Sends one command to the node of its first argument, its key; panics on an error reply.
    pub fn cmd(&self, command: &[&str]) -> Value {
        self.on(self.node_of(command[1]), command)
    }

    /// The reply to one command as text.
    pub fn text(&self, node: usize, command: &[&str]) -> String {
        redis::from_redis_value(self.on(node, command)).expect("text")
    }

    /// Sends many commands, each with its key as the first argument, in pipelines; panics on an error reply.
    pub fn load(&self, commands: impl IntoIterator<Item = Vec<String>>) {
        let owners = self.owners();
        let mut of_node: BTreeMap<usize, Vec<Vec<String>>> = BTreeMap::new();
        for command in commands {
            let slot = Self::slot(&command[1]);
            let node = owners[usize::from(slot)].unwrap_or_else(|| panic!("nobody serves {slot}"));
            of_node.entry(node).or_default().push(command);
        }
        for (node, commands) in of_node {
            let mut connection = redis::Client::open(self.nodes[node].url())
                .and_then(|client| client.get_connection())
                .expect("a connection");
            for commands in commands.chunks(1000) {
                let mut pipe = redis::pipe();
                for command in commands {
                    pipe.add_command(redis::Cmd::new()).arg(command);
                }
                let () = pipe.query(&mut connection).expect("commands");
            }
        }
    }

    /// Every key of every master. A key that two of them hold is a broken cluster, and panics.
    pub fn keyspace(&self) -> Keyspace {
        let mut all = Keyspace::new();
        for node in self.masters() {
            for (key, entry) in keyspace(self.nodes[node].url()) {
                assert!(
                    all.insert(key.clone(), entry).is_none(),
                    "{key} is on two nodes"
                );
            }
        }
        all
    }

    /// The running nodes that are masters now.
    pub fn masters(&self) -> Vec<usize> {
        self.live()
            .filter(|node| {
                self.view(*node)
                    .iter()
                    .any(|seen| seen.myself && seen.master)
            })
            .collect()
    }

    /// Moves a slot with its keys.
    pub fn move_slot(&self, slot: u16, to: usize) {
        let moving = self.begin_move(slot, to);
        self.move_keys(moving, usize::MAX);
        self.finish_move(moving);
    }

    /// Opens a slot: it is migrating on its node and importing on the other.
    pub fn begin_move(&self, slot: u16, to: usize) -> SlotMove {
        let from = self.node_of_slot(slot);
        assert_ne!(from, to, "node {to} has slot {slot} already");
        let number = slot.to_string();
        let set = |node: usize, state: &str, other: usize| {
            self.on(
                node,
                &["CLUSTER", "SETSLOT", &number, state, &self.id(other)],
            );
        };
        set(to, "IMPORTING", from);
        set(from, "MIGRATING", to);
        SlotMove { slot, from, to }
    }

    /// Moves up to so many keys of an open slot, and says how many it were.
    pub fn move_keys(&self, moving: SlotMove, at_most: usize) -> usize {
        let mut moved = 0;
        while moved < at_most {
            let (slot, count) = (
                moving.slot.to_string(),
                (at_most - moved).min(100).to_string(),
            );
            let list = ["CLUSTER", "GETKEYSINSLOT", &slot, &count];
            let keys: Vec<Vec<u8>> =
                redis::from_redis_value(self.on(moving.from, &list)).expect("keys");
            if keys.is_empty() {
                break;
            }
            self.migrate(moving, &keys);
            moved += keys.len();
        }
        moved
    }

    /// Moves one key of an open slot.
    pub fn move_key(&self, moving: SlotMove, key: &str) {
        self.migrate(moving, &[key.as_bytes().to_vec()]);
    }

    fn migrate(&self, moving: SlotMove, keys: &[Vec<u8>]) {
        let mut command = redis::cmd("MIGRATE");
        command.arg("127.0.0.1").arg(self.nodes[moving.to].port());
        command.arg("").arg(0).arg(MIGRATE_TIMEOUT_MS);
        if let Some(password) = self.password {
            command.arg("AUTH").arg(password);
        }
        command.arg("KEYS").arg(keys);
        let mut connection = redis::Client::open(self.nodes[moving.from].url())
            .and_then(|client| client.get_connection())
            .expect("a connection");
        let () = command.query(&mut connection).expect("keys that move");
    }

    /// Closes an open slot whose keys are all moved: it is the other node's, and every node knows.
    pub fn finish_move(&self, moving: SlotMove) {
        let (slot, id) = (moving.slot.to_string(), self.id(moving.to));
        // The new owner first: it makes the move known with a newer epoch.
        let others = self.masters().into_iter();
        let others = others.filter(|node| *node != moving.to && *node != moving.from);
        for node in [moving.to, moving.from].into_iter().chain(others) {
            self.on(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
        wait_until("every node knows where the slot is", || {
            self.live()
                .all(|node| self.owner_seen_by(node, moving.slot) == Some(moving.to))
        });
    }

    /// Closes an open slot and leaves it where it was. The keys that were moved must be moved back first.
    pub fn cancel_move(&self, moving: SlotMove) {
        for node in [moving.to, moving.from] {
            self.on(
                node,
                &["CLUSTER", "SETSLOT", &moving.slot.to_string(), "STABLE"],
            );
        }
    }

    /// Takes a slot away from its node: nobody serves it, and every node knows.
    pub fn uncover_slot(&self, slot: u16) {
        let owner = self.node_of_slot(slot);
        // The owner first: its word would give the slot back to it.
        let others = self.live().filter(|node| *node != owner);
        for node in [owner].into_iter().chain(others) {
            self.on(node, &["CLUSTER", "DELSLOTS", &slot.to_string()]);
        }
        wait_until("nobody serves the slot", || {
            self.live()
                .all(|node| self.owner_seen_by(node, slot).is_none())
        });
    }

    /// Gives an uncovered slot to a node.
    pub fn cover_slot(&self, slot: u16, node: usize) {
        self.on(node, &["CLUSTER", "ADDSLOTS", &slot.to_string()]);
        self.wait_until_ok();
    }

    /// Lets the nodes tell clients other ports than their own: those of something in front of them, in their
    /// order. From then on the nodes are to be asked about themselves alone.
    pub fn announce(&self, ports: &[u16]) {
        for (node, port) in ports.iter().enumerate() {
            let port = port.to_string();
            self.on(node, &["CONFIG", "SET", "cluster-announce-port", &port]);
        }
        wait_until("every node knows the new ports", || {
            self.live().all(|node| {
                let view = self.view(node);
                view.iter().all(|seen| ports.contains(&seen.port))
            })
        });
    }

    /// Ends a node with SIGKILL. Where it was a master, its replica takes over by itself:
    /// [`Self::wait_for_failover`].
    pub fn kill_master(&mut self, node: usize) {
        self.nodes[node].kill().expect("the node ends");
    }

    /// Starts a node again that was killed, with the same data folder and port.
    pub fn restart(&mut self, node: usize) {
        started(self.nodes[node].restart());
    }

    /// Waits until the running nodes serve every slot, and agree on who does.
    pub fn wait_for_failover(&self) {
        self.wait_until_ok();
    }

    /// Lets the replica of a master take over in good order, without a lost write, and waits for it.
    pub fn failover(&self, master: usize) -> usize {
        let id = self.id(master);
        let replica = self
            .live()
            .find(|node| {
                let view = self.view(*node);
                view.iter().any(|seen| seen.myself && seen.master_id == id)
            })
            .unwrap_or_else(|| panic!("node {master} has no replica"));
        self.on(replica, &["CLUSTER", "FAILOVER"]);
        wait_until("the replica takes over", || {
            self.masters().contains(&replica)
        });
        self.wait_until_ok();
        replica
    }

    /// Waits until every running node serves, all slots are served, and all agree by whom.
    pub fn wait_until_ok(&self) {
        wait_until("the cluster serves every slot", || self.is_ok());
    }

    fn is_ok(&self) -> bool {
        let owners = self.owners();
        let every = owners.iter().all(Option::is_some);
        every
            && self.live().all(|node| {
                self.text(node, &["CLUSTER", "INFO"])
                    .contains("cluster_state:ok")
                    && self.owners_seen_by(node) == owners
            })
    }

    fn live(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].pid().is_some())
    }

    /// Who serves each slot: of those who say so of themselves, the one with the newest epoch.
    fn owners(&self) -> Vec<Option<usize>> {
        let mut claims: Vec<(u64, usize, Seen)> = self
            .live()
            .filter_map(|node| {
                let seen = self.view(node).into_iter().find(|seen| seen.myself)?;
                Some((seen.epoch, node, seen))
            })
            .collect();
        claims.sort_by_key(|(epoch, node, _)| (*epoch, *node));
        let mut owners = vec![None; usize::from(SLOTS)];
        for (_, node, seen) in claims {
            seen.give_slots(&mut owners, node);
        }
        owners
    }

    fn owners_seen_by(&self, node: usize) -> Vec<Option<usize>> {
        let mut owners = vec![None; usize::from(SLOTS)];
        for seen in self.view(node) {
            let owner = self
                .live()
                .find(|node| self.nodes[*node].port() == seen.port);
            if let Some(owner) = owner {
                seen.give_slots(&mut owners, owner);
            }
        }
        owners
    }

    fn owner_seen_by(&self, node: usize, slot: u16) -> Option<usize> {
        self.owners_seen_by(node)[usize::from(slot)]
    }

    fn id(&self, node: usize) -> String {
        self.text(node, &["CLUSTER", "MYID"])
    }

    fn view(&self, node: usize) -> Vec<Seen> {
        let text = self.text(node, &["CLUSTER", "NODES"]);
        text.lines().map(Seen::read).collect()
    }
}

impl RedisClusterBuilder {
    /// One replica for each master.
    #[must_use]
    pub fn replicas(mut self) -> Self {
        self.replicas = true;
        self
    }

    /// Nodes that ask for no password.
    #[must_use]
    pub fn no_password(mut self) -> Self {
        self.password = None;
        self
    }

    /// A line of every node's `redis.conf`, e.g. `cluster-require-full-coverage no`.
    #[must_use]
    pub fn directive(mut self, line: &str) -> Self {
        self.directives.push(line.to_owned());
        self
    }

    /// Starts the nodes, and waits until they serve every slot. Takes about two seconds.
    pub fn start(self) -> RedisCluster {
        let count = self.masters * if self.replicas { 2 } else { 1 };
        let cluster = RedisCluster {
            nodes: (0..count).map(|_| self.node()).collect(),
            masters: self.masters,
            password: self.password,
        };
        for node in 0..count {
            let epoch = (node + 1).to_string();
            cluster.on(node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        for master in 0..self.masters {
            give_slots(&cluster, master);
        }
        for node in 0..count {
            for other in &cluster.nodes[..node] {
                let port = other.port().to_string();
                cluster.on(node, &["CLUSTER", "MEET", "127.0.0.1", &port]);
            }
        }
        wait_until("every node knows every node", || {
            (0..count).all(|node| {
                let view = cluster.view(node);
                view.len() == count && view.iter().all(|seen| !seen.handshake)
            })
        });
        for replica in self.masters..count {
            let id = cluster.id(replica - self.masters);
            cluster.on(replica, &["CLUSTER", "REPLICATE", &id]);
        }
        cluster.wait_until_ok();
        wait_until("every replica has its master's data", || {
            (self.masters..count).all(|replica| {
                let replication = cluster.text(replica, &["INFO", "replication"]);
                replication.contains("master_link_status:up")
            })
        });
        wait_until("every node knows who is a replica", || {
            (0..count).all(|node| {
                let view = cluster.view(node);
                view.iter().filter(|seen| seen.master).count() == self.masters
            })
        });
        cluster
    }

    fn node(&self) -> RedisServer {
        loop {
            let mut builder = RedisServer::builder();
            let mut directives = vec![
                "cluster-enabled yes".to_owned(),
                "cluster-config-file nodes.conf".to_owned(),
                format!("cluster-node-timeout {NODE_TIMEOUT_MS}"),
                // However long it has not heard of its master, a replica may take over.
                "cluster-replica-validity-factor 0".to_owned(),
                "repl-diskless-sync-delay 0".to_owned(),
            ];
            builder = match self.password {
                Some(password) => {
                    directives.push(format!("masterauth {password}"));
                    builder.user(USER, password)
                }
                None => builder.no_password(),
            };
            for line in directives.iter().chain(&self.directives) {
                builder = builder.directive(line);
            }
            match builder.start() {
                // The nodes talk on the port plus 10000, which may be more than there are.
                Err(SandboxError::Ended { log, .. }) if log.contains("too high") => {}
                outcome => return started(outcome),
            }
        }
    }
}

fn give_slots(cluster: &RedisCluster, master: usize) {
    let share = |n: usize| n * usize::from(SLOTS) / cluster.masters;
    let (first, last) = (share(master), share(master + 1) - 1);
    let range = [first.to_string(), last.to_string()];
    let command = ["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]];
    if cluster.try_on(master, &command).is_err() {
        // Before 7.0 each slot is named.
        let slots: Vec<String> = (first..=last).map(|slot| slot.to_string()).collect();
        let mut command = vec!["CLUSTER", "ADDSLOTS"];
        command.extend(slots.iter().map(String::as_str));
        cluster.on(master, &command);
    }
}

/// A line of CLUSTER NODES.
struct Seen {
    myself: bool,
    master: bool,
    handshake: bool,
    port: u16,
    /// Of a replica, its master's id.
    master_id: String,
    epoch: u64,
    slots: Vec<RangeInclusive<u16>>,
}

impl Seen {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let has = |flag: &str| words[2].split(',').any(|word| word == flag);
        let port = words[1]
            .split_once('@')
            .and_then(|(address, _)| address.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok());
        let number = |text: &str| text.parse::<u16>().expect("a slot");
        let slots = words[8..]
            .iter()
            // In brackets: a slot that is on the move.
            .filter(|word| !word.starts_with('['))
            .map(|word| match word.split_once('-') {
                Some((first, last)) => number(first)..=number(last),
                None => number(word)..=number(word),
            });
        Self {
            myself: has("myself"),
            master: has("master"),
            handshake: has("handshake"),
            port: port.unwrap_or_else(|| panic!("no port in {line}")),
            master_id: words[3].to_owned(),
            epoch: words[6].parse().expect("an epoch"),
            slots: slots.collect(),
        }
    }

    fn give_slots(&self, owners: &mut [Option<usize>], node: usize) {
        for slot in self.slots.iter().cloned().flatten() {
            owners[usize::from(slot)] = Some(node);
        }
    }
}

/// The checksum that a key's slot is made of (CRC-16/XMODEM).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}
