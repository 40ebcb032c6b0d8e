//! How a node is reached: the address and the credentials of outpost.toml, or those with another address
//! that a cluster or a Sentinel named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo as _, TlsCertificates,
};

use super::topology::Node;
use crate::model::config::{Endpoint, RedisConfig, TlsFiles};
use crate::store::StoreErrorKind;
use crate::store::redis::errors::connecting;
use crate::store::tls::{self, TlsProblem};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Far beyond any batch, so that only a dead server runs into it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections.
pub(super) struct Dialer {
    /// The nodes of outpost.toml.
    seeds: Vec<(Node, ConnectionInfo)>,
    certificates: Option<TlsCertificates>,
}

impl Dialer {
    /// Reads the files for TLS now, relative to `folder`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Tls`] for files that cannot be read, [`StoreErrorKind::Server`] for an address
    /// that the driver does not take.
    pub(super) fn new(
        nodes: &[Endpoint],
        config: &RedisConfig,
        folder: &Path,
    ) -> Result<Self, StoreErrorKind> {
        let certificates = config
            .uses_tls
            .then(|| certificates(&config.tls, folder).map_err(StoreErrorKind::Tls))
            .transpose()?;
        let seeds = nodes
            .iter()
            .map(|node| {
                let info = node.url.expose().into_connection_info().map_err(refused)?;
                let name = node.address.hosts.first().map_or("", String::as_str);
                Ok((Node::from(name), info))
            })
            .collect::<Result<Vec<_>, StoreErrorKind>>()?;
        let dialer = Self {
            seeds,
            certificates,
        };
        // What the driver does not take is known now, and not in the middle of a run.
        for (node, _) in &dialer.seeds {
            dialer.client(node)?;
        }
        Ok(dialer)
    }

    /// The nodes of outpost.toml.
    pub(super) fn seeds(&self) -> impl Iterator<Item = &Node> {
        self.seeds.iter().map(|(node, _)| node)
    }

    /// A new connection to a node.
    pub(super) async fn dial(&self, node: &Node) -> Result<MultiplexedConnection, StoreErrorKind> {
        self.connect(self.client(node)?).await
    }

    /// A new connection to a node, not to a database of it: a busy server takes no SELECT.
    pub(super) async fn dial_server(
        &self,
        node: &Node,
    ) -> Result<MultiplexedConnection, StoreErrorKind> {
        let info = self.info(node).map(|info| {
            let server = info.redis_settings().clone().set_db(0);
            info.set_redis_settings(server)
        });
        self.connect(self.client_of(node, info)?).await
    }

    async fn connect(&self, client: Client) -> Result<MultiplexedConnection, StoreErrorKind> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| {
                let settings = client.get_connection_info().redis_settings();
                let tls = self.certificates.is_some();
                connecting(&e, tls, settings.password(), settings.db())
            })
    }

    fn client(&self, node: &Node) -> Result<Client, StoreErrorKind> {
        self.client_of(node, self.info(node))
    }

    fn client_of(
        &self,
        node: &Node,
        info: Option<ConnectionInfo>,
    ) -> Result<Client, StoreErrorKind> {
        let info = info.ok_or_else(|| StoreErrorKind::Unreachable {
            reason: format!("{node} is no address"),
        })?;
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()).map_err(|e| {
                StoreErrorKind::Tls(TlsProblem::Other {
                    reason: e.to_string(),
                })
            }),
            None => Client::open(info).map_err(refused),
        }
    }

    /// A node that is not in outpost.toml is reached like the first one that is.
    fn info(&self, node: &Node) -> Option<ConnectionInfo> {
        if let Some((_, info)) = self.seeds.iter().find(|(seed, _)| seed == node) {
            return Some(info.clone());
        }
        let (_, like) = self.seeds.first()?;
        let (host, port) = node.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = port.parse().ok()?;
        let address = match like.addr() {
            ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Some(like.clone().set_addr(address))
    }
}

fn refused(error: redis::RedisError) -> StoreErrorKind {
    StoreErrorKind::Server {
        doing: "setting up the connection".to_owned(),
        reason: error.to_string(),
    }
}

/// The files as the driver takes them, once it is known that they hold what they should: the driver says
/// so later, in fewer words, or not at all.
fn certificates(files: &TlsFiles, folder: &Path) -> Result<TlsCertificates, TlsProblem> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|e| TlsProblem::File {
            path: path.to_owned(),
            reason: e.to_string(),
        })
    };
    let below = |path: &Option<PathBuf>| path.as_ref().map(|path| folder.join(path));
    let root_cert = match below(&files.ca) {
        Some(ca) => {
            tls::authorities(&ca)?;
            Some(read(&ca)?)
        }
        None => None,
    };
    let client_tls = match (below(&files.cert), below(&files.key)) {
        (Some(cert), Some(key)) => {
            tls::identity(&cert, &key)?;
            Some(ClientTlsConfig {
                client_cert: read(&cert)?,
                client_key: read(&key)?,
            })
        }
        (None, None) => None,
        _ => return Err(TlsProblem::HalfAPair),
    };
    Ok(TlsCertificates {
        client_tls,
        root_cert,
    })
}
