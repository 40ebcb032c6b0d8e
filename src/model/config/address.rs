//! The addresses of stores: kept whole as a secret, and in parts that are safe to show.

use std::fmt;

use url::Url;

mod problem;

pub use problem::AddressProblem;

use super::dsn;
use crate::model::document::printable;
use crate::model::id::StoreKind;
use crate::model::secret::Secret;

/// Where a store is, without anything secret; made for messages.
///
/// `Display`: `postgres at db.internal:5432, database app, user outpost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// The kind of store.
    pub store: StoreKind,
    /// Each host with its port, or the path of a Unix socket; at least one.
    pub hosts: Vec<String>,
    /// The database's name, or the number of the logical database; `None` when the server decides.
    pub database: Option<String>,
    /// The user; `None` when the driver decides.
    pub user: Option<String>,
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.store {
            StoreKind::Sql => "postgres",
            StoreKind::Redis => "redis",
        };
        write!(f, "{name} at {}", self.hosts.join(", "))?;
        if let Some(database) = &self.database {
            write!(f, ", database {database}")?;
        }
        if let Some(user) = &self.user {
            write!(f, ", user {user}")?;
        }
        Ok(())
    }
}

/// A store's address for the driver, with the parts of it that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The whole URL, or a list of keywords for Postgres.
    pub url: Secret,
    /// What may be shown of it.
    pub address: StoreAddress,
}

/// The parts of a URL, percent-encoded as written.
struct Parts<'u> {
    scheme: &'u str,
    user: &'u str,
    password: bool,
    hosts: &'u str,
    path: &'u str,
    query: &'u str,
}

/// Splits a URL so strictly that no driver can disagree on which part is the password.
fn split(url: &str) -> Result<Parts<'_>, AddressProblem> {
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(AddressProblem::WhiteSpace);
    }
    let (scheme, rest) = url.split_once("://").ok_or(AddressProblem::Url)?;
    let (userinfo, tail) = match rest.split_once('@') {
        Some((userinfo, tail)) => {
            if tail.contains('@') || userinfo.contains(['/', '?', '#']) {
                return Err(AddressProblem::Ambiguous);
            }
            (userinfo, tail)
        }
        None => ("", rest),
    };
    if tail.contains('#') {
        return Err(AddressProblem::Fragment);
    }
    let (before_query, query) = tail.split_once('?').unwrap_or((tail, ""));
    let (hosts, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    Ok(Parts {
        scheme,
        user,
        password: !password.is_empty(),
        hosts,
        path,
        query,
    })
}

/// Reads a Postgres address.
pub(super) fn postgres(text: &str) -> Result<Endpoint, AddressProblem> {
    let address =
        if text.contains("://") && !text.split("://").next().is_some_and(|s| s.contains('=')) {
            postgres_url(text)?
        } else {
            let pairs = dsn::pairs(text).ok_or(AddressProblem::Keywords)?;
            postgres_address(
                Vec::new(),
                pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())),
                None,
                None,
            )?
        };
    Ok(Endpoint {
        url: Secret::new(text),
        address,
    })
}

fn postgres_url(url: &str) -> Result<StoreAddress, AddressProblem> {
    let parts = split(url)?;
    if !matches!(parts.scheme, "postgres" | "postgresql") {
        return Err(AddressProblem::Scheme("postgres:// or postgresql://"));
    }
    let hosts = parts
        .hosts
        .split(',')
        .filter(|host| !host.is_empty())
        .map(|host| host_and_port(host, 5432))
        .collect::<Result<Vec<_>, _>>()?;
    let query: Vec<_> = url::form_urlencoded::parse(parts.query.as_bytes()).collect();
    postgres_address(
        hosts,
        query.iter().map(|(k, v)| (k.as_ref(), v.as_ref())),
        non_empty(&decoded(parts.path)),
        non_empty(&decoded(parts.user)),
    )
}

/// An address from keywords; of unknown ones nothing is kept.
fn postgres_address<'p>(
    mut hosts: Vec<String>,
    pairs: impl Iterator<Item = (&'p str, &'p str)>,
    mut database: Option<String>,
    mut user: Option<String>,
) -> Result<StoreAddress, AddressProblem> {
    let (mut names, mut addresses, mut ports) = (Vec::new(), Vec::new(), vec!["5432"]);
    for (key, value) in pairs {
        match key {
            "host" => names = value.split(',').collect(),
            "hostaddr" => addresses = value.split(',').collect(),
            "port" => ports = value.split(',').collect(),
            "dbname" => database = non_empty(value),
            "user" => user = non_empty(value),
            _ => {}
        }
    }
    // Where there are names, `hostaddr` says only how they are reached.
    if hosts.is_empty() && names.iter().all(|name| name.is_empty()) {
        names = addresses;
    }
    if !ports.iter().all(|port| is_port(port)) {
        return Err(AddressProblem::Port);
    }
    for (index, name) in names
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
    {
        let port = ports.get(index).or(ports.last()).unwrap_or(&"5432");
        hosts.push(printable(&format!("{name}:{port}")));
    }
    if hosts.is_empty() {
        return Err(AddressProblem::NoHost);
    }
    Ok(StoreAddress {
        store: StoreKind::Sql,
        hosts,
        database,
        user,
    })
}

/// A Redis node: its endpoint, its logical database, and whether it is reached over TLS.
pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    pub(super) database: u32,
    pub(super) tls: bool,
    pub(super) socket: bool,
}

/// Reads the URL of a Redis server.
pub(super) fn redis(text: &str) -> Result<Node, AddressProblem> {
    const SCHEMES: AddressProblem =
        AddressProblem::Scheme("redis://, rediss://, redis+unix:// or unix://");
    if !text.contains("://") {
        return Err(SCHEMES);
    }
    let parts = split(text)?;
    let query: Vec<_> = url::form_urlencoded::parse(parts.query.as_bytes()).collect();
    let socket = matches!(parts.scheme, "redis+unix" | "unix");
    let mut shown_user = if parts.password {
        decoded(parts.user)
    } else {
        String::new()
    };
    let (host, database) = match parts.scheme {
        "redis" | "rediss" => {
            if query.iter().any(|(key, _)| key != "protocol") {
                return Err(AddressProblem::Parameter);
            }
            if parts.hosts.is_empty() {
                return Err(AddressProblem::NoHost);
            }
            (
                host_and_port(parts.hosts, 6379)?,
                parts.path.trim_matches('/').to_owned(),
            )
        }
        "redis+unix" | "unix" => {
            let mut database = String::new();
            let mut has_password = false;
            for (key, value) in &query {
                match key.as_ref() {
                    "db" => database = value.clone().into_owned(),
                    "user" => shown_user = value.clone().into_owned(),
                    "pass" => has_password = !value.is_empty(),
                    "protocol" => {}
                    _ => return Err(AddressProblem::Parameter),
                }
            }
            if !has_password {
                shown_user.clear();
            }
            if !parts.hosts.is_empty() || !parts.user.is_empty() || parts.path.is_empty() {
                return Err(AddressProblem::NoHost);
            }
            (printable(&format!("/{}", decoded(parts.path))), database)
        }
        _ => return Err(SCHEMES),
    };
    // What the driver parses with; it must agree that this is a URL.
    Url::parse(text).map_err(|_| AddressProblem::Url)?;
    let database = match database.as_str() {
        "" => 0,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| AddressProblem::Database)?
        }
        _ => return Err(AddressProblem::Database),
    };
    Ok(Node {
        endpoint: Endpoint {
            url: Secret::new(text),
            address: StoreAddress {
                store: StoreKind::Redis,
                hosts: vec![host],
                database: Some(database.to_string()),
                // A name without a password is often a password in the wrong place.
                user: non_empty(&shown_user),
            },
        },
        database,
        tls: parts.scheme == "rediss",
        socket,
    })
}

fn host_and_port(text: &str, default: u16) -> Result<String, AddressProblem> {
    let (host, port) = match text.rfind(']') {
        Some(bracket) => (&text[..=bracket], text[bracket + 1..].strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || text.contains(']') != text.starts_with('[') {
        return Err(AddressProblem::NoHost);
    }
    match port {
        None if host.len() == text.len() => Ok(printable(&format!("{}:{default}", decoded(host)))),
        Some(port) if is_port(port) => Ok(printable(&format!("{}:{port}", decoded(host)))),
        _ => Err(AddressProblem::Port),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| printable(text))
}

/// Percent-decodes for display; a sequence that is not one stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|pair| {
                let mut byte = [0];
                hex::decode_to_slice(pair, &mut byte).ok().map(|()| byte[0])
            });
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
