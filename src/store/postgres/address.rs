//! A Postgres address as written, with the parts that the driver does not know taken out of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::password;
use crate::model::config::{Endpoint, TlsFiles};
use crate::store::StoreErrorKind;
use crate::store::tls::TlsProblem;

/// How long a connection may take to come about, unless the address says otherwise.
pub(super) const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How far TLS is used and the server's certificate checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS, checked in full, where the server offers it.
    Prefer,
    /// TLS, checked in full.
    Full,
    /// TLS; the certificate's chain is checked, its name is not.
    ChainOnly,
}

/// An address, ready for the driver. `Debug` is left out on purpose: it holds the password.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: TlsMode,
    pub(super) files: TlsFiles,
    /// Host, port, database and user.
    pub(super) shown: String,
    pub(super) database: String,
}

/// Parameters of libpq that mean nothing to this client and do no harm.
const WITHOUT_MEANING: [&str; 5] = [
    "gssencmode",
    "sslcompression",
    "sslsni",
    "fallback_application_name",
    "client_encoding",
];

/// Takes an address apart. `env` reads the environment, for `PGPASSWORD`, `PGPASSFILE` and `HOME`.
pub(super) fn target(
    endpoint: &Endpoint,
    files: &TlsFiles,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Target, StoreErrorKind> {
    let (rest, mut taken) = take_out(endpoint.url.expose());
    let not_understood = || StoreErrorKind::Unreachable {
        // The driver's complaint may quote a part of the address, and any part may be a password.
        reason: "its address is not understood".to_owned(),
    };
    let mut config: Config = rest.parse().map_err(|_| not_understood())?;
    let tls = match taken.remove("sslmode").as_deref() {
        Some("disable") => TlsMode::Disable,
        // Nobody stands between two ends of one machine, and a server there seldom has a certificate
        // that any authority signed.
        None if is_this_machine(&config) => TlsMode::Disable,
        None | Some("allow" | "prefer") => TlsMode::Prefer,
        Some("require" | "verify-full") => TlsMode::Full,
        Some("verify-ca") => TlsMode::ChainOnly,
        Some(_) => return Err(StoreErrorKind::Tls(TlsProblem::Mode)),
    };
    let path = |taken: &mut BTreeMap<&str, String>, key: &str, configured: &Option<PathBuf>| {
        configured.clone().or_else(|| {
            taken
                .remove(key)
                .filter(|v| v != "system")
                .map(PathBuf::from)
        })
    };
    let files = TlsFiles {
        ca: path(&mut taken, "sslrootcert", &files.ca),
        cert: path(&mut taken, "sslcert", &files.cert),
        key: path(&mut taken, "sslkey", &files.key),
    };
    let on_sockets = config
        .get_hosts()
        .iter()
        .all(|host| !matches!(host, Host::Tcp(_)))
        && config.get_hostaddrs().is_empty();
    let tls = if on_sockets { TlsMode::Disable } else { tls };
    config.ssl_mode(match tls {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Full | TlsMode::ChainOnly => SslMode::Require,
    });
    if config.get_application_name().is_none() {
        config.application_name("outpost");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_password().is_none()
        && let Some(found) = password::find(&config, taken.remove("passfile"), env)
    {
        config.password(found);
    }
    let database = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or_default()
        .to_owned();
    let address = &endpoint.address;
    let mut shown = address.hosts.join(", ");
    if let Some(database) = &address.database {
        shown.push_str(&format!(", database {database}"));
    }
    Ok(Target {
        config,
        tls,
        files,
        shown,
        database,
    })
}

/// The hosts of an address, each with its port; none where the driver does not understand it.
pub(super) fn hosts(url: &str) -> Vec<String> {
    let Ok(config) = take_out(url).0.parse::<Config>() else {
        return Vec::new();
    };
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let shown = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(index)),
            Host::Unix(path) => format!("{}:{}", path.display(), port(index)),
        });
    shown.collect()
}

/// Whether every host is a Unix socket or a loopback address, and so is what `hostaddr` puts in its place.
fn is_this_machine(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

const TAKEN: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "passfile"];

/// The address without the parameters that the driver refuses, and those that matter to us.
fn take_out(address: &str) -> (String, BTreeMap<&'static str, String>) {
    let mut taken = BTreeMap::new();
    let mut keep = |key: &str, value: &str| {
        if let Some(known) = TAKEN.iter().find(|known| **known == key) {
            taken.insert(*known, value.to_owned());
            return false;
        }
        !WITHOUT_MEANING.contains(&key)
    };
    let rest = if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        let (before, query) = address.split_once('?').unwrap_or((address, ""));
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .filter(|pair| {
                let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
                decoded.is_none_or(|(key, value)| keep(&key, &value))
            })
            .collect();
        if kept.is_empty() {
            before.to_owned()
        } else {
            format!("{before}?{}", kept.join("&"))
        }
    } else {
        keywords(address)
            .into_iter()
            .filter(|(key, value)| keep(key, value))
            .map(|(key, value)| {
                format!(
                    "{key}='{}'",
                    value.replace('\\', "\\\\").replace('\'', "\\'")
                )
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    (rest, taken)
}

/// `host=db user='my app'`, by the rules of libpq. What is no such list was refused with the configuration.
fn keywords(text: &str) -> Vec<(String, String)> {
    let mut chars = text.chars().peekable();
    let mut pairs = Vec::new();
    loop {
        let key: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=')).collect();
        if chars.next().is_none() {
            return pairs;
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => value.extend(chars.next()),
                '\'' if quoted => break,
                c if !quoted && c.is_whitespace() => break,
                c => value.push(c),
            }
        }
        pairs.push((key.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::model::config::StoreAddress;
    use crate::model::id::StoreKind;
    use crate::model::secret::Secret;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint {
            url: Secret::new(url),
            address: StoreAddress {
                store: StoreKind::Sql,
                hosts: vec!["db:5432".to_owned()],
                database: Some("app".to_owned()),
                user: None,
            },
        }
    }

    fn read(url: &str) -> Result<Target, StoreErrorKind> {
        target(&endpoint(url), &TlsFiles::default(), &|_| None)
    }

    #[test]
    fn u16_sslmode_decides_how_far_the_certificate_is_checked() {
        for (query, mode, driver) in [
            ("", TlsMode::Prefer, SslMode::Prefer),
            ("?sslmode=prefer", TlsMode::Prefer, SslMode::Prefer),
            ("?sslmode=disable", TlsMode::Disable, SslMode::Disable),
            ("?sslmode=require", TlsMode::Full, SslMode::Require),
            (
                "?connect_timeout=3&sslmode=verify-full",
                TlsMode::Full,
                SslMode::Require,
            ),
            (
                "?sslmode=verify-ca&sslrootcert=%2Fca.pem",
                TlsMode::ChainOnly,
                SslMode::Require,
            ),
        ] {
            let target = read(&format!("postgres://u:p@db/app{query}")).unwrap();
            assert_eq!(
                (target.tls, target.config.get_ssl_mode()),
                (mode, driver),
                "{query}"
            );
        }
        for host in ["localhost", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql"] {
            let target = read(&format!("postgres://u:p@{host}/app")).unwrap();
            assert_eq!(target.tls, TlsMode::Disable, "{host}");
            if host.starts_with('%') {
                continue;
            }
            let target = read(&format!("postgres://u:p@{host}/app?sslmode=require")).unwrap();
            assert_eq!(target.tls, TlsMode::Full, "{host}");
        }
        for (query, mode) in [
            ("host=localhost hostaddr=127.0.0.1", TlsMode::Disable),
            ("hostaddr=127.0.0.1", TlsMode::Disable),
            ("hostaddr=10.0.0.1", TlsMode::Prefer),
            ("host=localhost hostaddr=10.0.0.1", TlsMode::Prefer),
            ("host=db hostaddr=127.0.0.1", TlsMode::Prefer),
        ] {
            let target = read(&format!("{query} user=u dbname=app")).unwrap();
            assert_eq!(target.tls, mode, "{query}");
        }
        assert!(matches!(
            read("postgres://u@db/app?sslmode=loose"),
            Err(StoreErrorKind::Tls(TlsProblem::Mode))
        ));
    }

    #[test]
    fn files_for_tls_are_taken_from_the_address_unless_configured() {
        let url = "postgres://u@db/app?sslrootcert=%2Fa%20b.pem&sslcert=c.pem&sslkey=k.pem&gssencmode=disable";
        let target = read(url).unwrap();
        assert_eq!(target.files.ca, Some(PathBuf::from("/a b.pem")));
        assert_eq!(target.files.cert, Some(PathBuf::from("c.pem")));
        assert_eq!(target.files.key, Some(PathBuf::from("k.pem")));
        let configured = TlsFiles {
            ca: Some("mine.pem".into()),
            ..TlsFiles::default()
        };
        let target = super::target(&endpoint(url), &configured, &|_| None).unwrap();
        assert_eq!(target.files.ca, Some(PathBuf::from("mine.pem")));
    }

    #[test]
    fn lists_of_keywords_are_read_too() {
        let target = read(r"host=db user=u password='it\'s' dbname=app sslmode=disable").unwrap();
        assert_eq!(target.tls, TlsMode::Disable);
        assert_eq!(target.config.get_password(), Some(&b"it's"[..]));
        assert_eq!(target.database, "app");
    }

    #[test]
    fn u16_a_unix_socket_needs_no_tls() {
        let target = read("postgres:///app?host=/run/postgresql&user=u").unwrap();
        assert_eq!(target.tls, TlsMode::Disable);
    }

    #[test]
    fn c16_a_refused_address_shows_nothing_of_itself() {
        let Err(error) = read("postgres://u:hunter2@db/app?no_such_thing=hunter2") else {
            panic!("accepted");
        };
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
