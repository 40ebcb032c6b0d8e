//! The connections: made once, made anew when they break, and asked through one place that finds the node
//! that answers for a key, follows redirections, and retries.

mod dialer;
mod session;
mod slot;
mod topology;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};
use tokio::sync::Mutex;

use self::dialer::Dialer;
pub(super) use self::session::Session;
pub(super) use self::slot::{SLOTS, slot, tag};
pub(super) use self::topology::{Node, Topology};
use super::errors::classify;
use crate::model::config::RedisConfig;
use crate::model::event::Events;
use crate::model::id::{MigrationId, StoreKind};
use crate::store::{StoreError, StoreErrorKind};

/// How the servers are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    Single,
    /// A master of this name, which the seeds know.
    Sentinel(String),
    Cluster,
}

/// The connections to the servers of one deployment.
pub(super) struct Link {
    dialer: Dialer,
    /// The Sentinels, where there are any.
    sentinels: Option<Dialer>,
    layout: Layout,
    address: String,
    live: Mutex<BTreeMap<Node, Live>>,
    topology: Mutex<Option<Arc<Topology>>>,
    /// Connections made and topologies learned so far.
    generation: AtomicU64,
    /// Requests without an answer, since their connection broke.
    unanswered: AtomicU64,
    /// Whether a server ever answered.
    met: AtomicBool,
}

/// A connection, and which one: a node may have had others before.
#[derive(Clone)]
struct Live {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    /// A link that connects when it is first asked for something.
    ///
    /// # Errors
    /// As [`Dialer::new`].
    pub(super) fn new(config: &RedisConfig, folder: &Path) -> Result<Self, StoreError> {
        let seeds = if config.sentinels.is_empty() {
            &config.nodes
        } else {
            &config.sentinels
        };
        let hosts: Vec<String> = seeds
            .iter()
            .flat_map(|node| node.address.hosts.clone())
            .collect();
        let address = hosts.join(", ");
        let error = |kind| StoreError {
            store: StoreKind::Redis,
            address: address.clone(),
            kind,
        };
        let dialer = Dialer::new(&config.nodes, config, folder).map_err(error)?;
        let sentinels = match config.sentinels.as_slice() {
            [] => None,
            sentinels => Some(Dialer::new(sentinels, config, folder).map_err(error)?),
        };
        let layout = match &config.sentinel_master {
            Some(name) => Layout::Sentinel(name.clone()),
            None if config.cluster => Layout::Cluster,
            None => Layout::Single,
        };
        Ok(Self {
            dialer,
            sentinels,
            layout,
            address,
            live: Mutex::default(),
            topology: Mutex::default(),
            generation: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            met: AtomicBool::new(false),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.layout == Layout::Cluster
    }

    /// Whether no other node can ever take over.
    pub(super) fn is_single(&self) -> bool {
        self.layout == Layout::Single
    }

    /// A number that grows when a connection is made or a topology learned: the same number as before means
    /// that the servers are the same.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// How many requests so far got no answer, since their connection broke. Whether the server carried them out
    /// is not known: it may say of such a request that is sent again that there is nothing to do.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// Whether a server ever answered.
    fn has_met(&self) -> bool {
        self.met.load(Ordering::SeqCst)
    }

    /// For requests outside of a step.
    pub(super) fn session(&self) -> Session<'_> {
        Session {
            link: self,
            notify: None,
            node: None,
        }
    }

    /// For the requests of a step.
    pub(super) fn session_of<'a>(
        &'a self,
        events: &'a dyn Events,
        id: &'a MigrationId,
    ) -> Session<'a> {
        Session {
            notify: Some((events, id)),
            ..self.session()
        }
    }

    pub(super) fn error(&self, kind: StoreErrorKind) -> StoreError {
        StoreError {
            store: StoreKind::Redis,
            address: self.address.clone(),
            kind,
        }
    }

    /// The connection to a node.
    async fn connection(&self, node: &Node) -> Result<Live, StoreErrorKind> {
        // Held while connecting, so that requests side by side share one connection.
        let mut live = self.live.lock().await;
        if let Some(known) = live.get(node) {
            return Ok(known.clone());
        }
        let connection = self.dialer.dial(node).await?;
        self.met.store(true, Ordering::SeqCst);
        let number = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        let made = Live { number, connection };
        live.insert(node.clone(), made.clone());
        Ok(made)
    }

    /// A connection to the master of a key that nobody else uses, for WATCH.
    pub(super) async fn private_connection(
        &self,
        key: &[u8],
    ) -> Result<MultiplexedConnection, StoreErrorKind> {
        let topology = self.topology().await?;
        self.dialer.dial(self.master_of(&topology, key)?).await
    }

    /// Sends one command to the master of a key over a connection of its own, while the others may be held
    /// up; `None` where no connection is to be had. The next request makes the other connection anew.
    pub(super) async fn aside(&self, key: &[u8], command: &Cmd) -> Option<RedisResult<Value>> {
        let topology = self.topology().await.ok()?;
        let node = self.master_of(&topology, key).ok()?;
        self.live.lock().await.remove(node);
        let mut connection = self.dialer.dial_server(node).await.ok()?;
        Some(command.query_async(&mut connection).await)
    }

    fn master_of<'t>(
        &self,
        topology: &'t Topology,
        key: &[u8],
    ) -> Result<&'t Node, StoreErrorKind> {
        let slot = if self.is_cluster() { slot(key) } else { 0 };
        topology
            .master(slot)
            .ok_or_else(|| StoreErrorKind::NotReady {
                reason: format!("CLUSTERDOWN slot {slot} is served by no node"),
            })
    }

    /// Forgets a connection that broke under a request, so that the next one makes a new one. Of requests side by
    /// side that met the same broken connection, only the first may do so.
    async fn hang_up(&self, node: &Node, number: u64) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        let mut live = self.live.lock().await;
        if live.get(node).is_some_and(|known| known.number == number) {
            live.remove(node);
            drop(live);
            self.forget_topology().await;
        }
    }

    /// Who answers for what, as last learned.
    async fn topology(&self) -> Result<Arc<Topology>, StoreErrorKind> {
        let mut known = self.topology.lock().await;
        if let Some(topology) = &*known {
            return Ok(topology.clone());
        }
        let topology = Arc::new(match &self.layout {
            Layout::Single => {
                Topology::single(self.dialer.seeds().next().cloned().ok_or_else(|| {
                    StoreErrorKind::Unreachable {
                        reason: "no address".to_owned(),
                    }
                })?)
            }
            Layout::Sentinel(name) => Topology::single(self.ask_sentinels(name).await?),
            Layout::Cluster => self.ask_cluster().await?,
        });
        self.generation.fetch_add(1, Ordering::SeqCst);
        *known = Some(topology.clone());
        Ok(topology)
    }

    /// Who answers for what, as far as it is known.
    pub(super) async fn known_topology(&self) -> Option<Arc<Topology>> {
        self.topology.lock().await.clone()
    }

    /// Forgets who answers for what, so that it is asked for again.
    pub(super) async fn forget_topology(&self) {
        *self.topology.lock().await = None;
    }

    /// Asks one node after the other until one tells the topology.
    async fn ask_cluster(&self) -> Result<Topology, StoreErrorKind> {
        let mut nodes: Vec<Node> = self.live.lock().await.keys().cloned().collect();
        nodes.extend(self.dialer.seeds().cloned());
        let mut last = None;
        for node in nodes {
            match self.slots_told_by(&node).await {
                Ok(topology) => return Ok(topology),
                Err(kind) => {
                    self.live.lock().await.remove(&node);
                    last = Some(kind);
                }
            }
        }
        Err(last.unwrap_or_else(|| StoreErrorKind::Unreachable {
            reason: "no node of the cluster is known".to_owned(),
        }))
    }

    async fn slots_told_by(&self, node: &Node) -> Result<Topology, StoreErrorKind> {
        let doing = "asking for the cluster's slots";
        let mut connection = self.connection(node).await?.connection;
        let mut command = redis::cmd("CLUSTER");
        let answer: Value = command
            .arg("SLOTS")
            .query_async(&mut connection)
            .await
            .map_err(|e| match e.detail() {
                Some(detail) if detail.contains("cluster support disabled") => {
                    StoreErrorKind::Server {
                        doing: doing.to_owned(),
                        reason: format!(
                            "{node} is no node of a cluster, and outpost.toml says `cluster = true`"
                        ),
                    }
                }
                _ => classify(&e, doing),
            })?;
        Topology::parse(answer, node).map_err(|e| unexpected(doing, &e))
    }

    /// Asks one Sentinel after the other for the address of the master.
    async fn ask_sentinels(&self, name: &str) -> Result<Node, StoreErrorKind> {
        let doing = "asking the Sentinels for the master";
        let mut last = StoreErrorKind::Unreachable {
            reason: "no Sentinel is known".to_owned(),
        };
        let Some(sentinels) = &self.sentinels else {
            return Err(last);
        };
        for sentinel in sentinels.seeds() {
            let mut connection = match sentinels.dial(sentinel).await {
                Ok(connection) => connection,
                Err(kind) => {
                    last = kind;
                    continue;
                }
            };
            let mut command = redis::cmd("SENTINEL");
            command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
            let answer: RedisResult<Value> = command.query_async(&mut connection).await;
            let address = match answer {
                Ok(answer) => redis::from_redis_value(answer).map_err(|e| unexpected(doing, &e)),
                Err(error) => Err(classify(&error, doing)),
            };
            last = match address {
                Ok(Some((host, port))) => {
                    let (host, port): (String, u16) = (host, port);
                    return Ok(match host.contains(':') {
                        true => format!("[{host}]:{port}").into(),
                        false => format!("{host}:{port}").into(),
                    });
                }
                Ok(None) => StoreErrorKind::Server {
                    doing: doing.to_owned(),
                    reason: format!("{sentinel} knows no master \"{name}\""),
                },
                Err(kind) => kind,
            };
        }
        Err(last)
    }
}

/// A whole answer that is of another form than the server is known to give: asking again gives the same.
fn unexpected(doing: &str, what: &dyn std::fmt::Display) -> StoreErrorKind {
    StoreErrorKind::Server {
        doing: doing.to_owned(),
        reason: format!("unexpected answer while {doing}: {what}"),
    }
}
