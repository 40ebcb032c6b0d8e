//! TLS for both stores: what the configured files hold, and what a failed handshake means.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::model::id::StoreKind;

/// Why a connection with TLS, or for want of TLS, did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// A file cannot be read, or holds something else.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The client's certificate and key do not belong together.
    #[error("the key in {} is not the key of the certificate in {}", key.display(), cert.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A client's certificate without its key, or the other way round.
    #[error("a client's certificate and its key are given together or not at all")]
    HalfAPair,
    /// `sslmode` has a value that it does not have.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    Mode,
    /// The server's certificate leads to no authority that is trusted.
    #[error("the server's certificate is signed by an authority that is not trusted here")]
    UnknownAuthority,
    /// The server's certificate is another server's.
    #[error("the server's certificate is not for {expected}{}", for_names(.names))]
    OtherName {
        /// The name that was connected to.
        expected: String,
        /// The names in the certificate; empty when the library does not tell.
        names: Vec<String>,
    },
    /// The server's certificate has expired.
    #[error("the server's certificate expired on {at}")]
    Expired {
        /// The day, in UTC.
        at: String,
    },
    /// The server's certificate is not valid yet.
    #[error("the server's certificate is not valid before {at}")]
    NotYetValid {
        /// The day, in UTC.
        at: String,
    },
    /// The server offers no TLS, and it was asked for.
    #[error("the server does not offer TLS")]
    NotOffered,
    /// There is no name to check the server's certificate against.
    #[error("the address has no host to check the server's certificate against, only hostaddr")]
    NoName,
    /// The server takes the login over TLS alone.
    #[error("the server does not take this login without TLS: {reason}")]
    Demanded {
        /// The server's words.
        reason: String,
    },
    /// The server demands a client's certificate, and there is none.
    #[error("the server demands a client's certificate")]
    ClientWanted,
    /// The server does not take the client's certificate.
    #[error("the server does not take the client's certificate: {reason}")]
    ClientRefused {
        /// The server's words.
        reason: String,
    },
    /// The certificates that the system trusts cannot be read.
    #[error("the system's certificates cannot be read: {reason}")]
    System {
        /// Which, and why.
        reason: String,
    },
    /// Anything else.
    #[error("{reason}")]
    Other {
        /// The library's words.
        reason: String,
    },
}

fn for_names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(", but for {}", names.join(", ")),
    }
}

impl TlsProblem {
    /// What to do next, with the names that the settings of this store have.
    pub fn hint(&self, store: StoreKind) -> String {
        let (section, ca, cert, key) = match store {
            StoreKind::Sql => ("[postgres]", "sslrootcert", "sslcert", "sslkey"),
            StoreKind::Redis => ("[redis]", "ca", "cert", "key"),
        };
        match self {
            Self::File { .. } => format!("{ca}, {cert} and {key} of {section} name PEM files that this user can read; paths are relative to outpost.toml"),
            Self::Pair { .. } => format!("correct {cert} and {key} of {section}"),
            Self::HalfAPair => format!("set both {cert} and {key}, or neither"),
            Self::Mode => "correct sslmode in the address; docs/configuration.md says what each means".to_owned(),
            Self::UnknownAuthority => format!("set {ca} of {section} to a PEM file with the certificate of the authority that signed the server's"),
            Self::OtherName { .. } => {
                let mut hint = format!("use a name in {section} url that the certificate has, or give the server a certificate for this one");
                if store == StoreKind::Sql {
                    hint.push_str("; sslmode=verify-ca does not compare names");
                }
                hint
            }
            Self::Expired { .. } | Self::NotYetValid { .. } => "give the server a certificate that is valid now, and check this machine's clock".to_owned(),
            Self::NotOffered => "switch TLS on in the server; where the network is trusted, sslmode=disable does without it".to_owned(),
            Self::NoName => format!("add host, the name in the server's certificate, to {section} url"),
            Self::Demanded { .. } => "set sslmode=require in the address, or allow this login without TLS in the server's pg_hba.conf".to_owned(),
            Self::ClientWanted => format!("set {cert} and {key} of {section}"),
            Self::ClientRefused { .. } => format!("{cert} of {section} must be valid, signed by an authority that the server trusts, and, where the server compares it, name the user"),
            Self::System { .. } => "correct SSL_CERT_FILE and SSL_CERT_DIR, or the system's own certificates".to_owned(),
            Self::Other { .. } => format!("see TLS in docs/configuration.md, and check what the server at {section} url speaks"),
        }
    }

    /// What an error of a driver means, if TLS is its cause.
    pub(super) fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of(tls));
            }
            if let Some(system) = error.downcast_ref::<rustls_native_certs::Error>() {
                return Some(Self::System {
                    reason: system.to_string(),
                });
            }
            // Neither of these has as its source what it wraps, but the source of that.
            let io = error.downcast_ref::<std::io::Error>();
            let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>();
            next = match (io.and_then(std::io::Error::get_ref), shared) {
                (Some(wrapped), _) => Some(wrapped),
                (None, Some(shared)) => Some(shared.as_ref()),
                (None, None) => error.source(),
            };
        }
        None
    }

    fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(certificate) => Self::of_certificate(certificate)
                .unwrap_or_else(|| Self::Other {
                    reason: error.to_string(),
                }),
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::ClientWanted
            }
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied),
            ) => Self::ClientRefused {
                reason: format!("TLS alert {alert:?}"),
            },
            other => Self::Other {
                reason: other.to_string(),
            },
        }
    }

    fn of_certificate(error: &CertificateError) -> Option<Self> {
        Some(match error {
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::OtherName {
                expected: server_name(expected),
                names: presented.iter().map(|name| bare_name(name)).collect(),
            },
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired {
                at: day(*not_after),
            },
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid {
                at: day(*not_before),
            },
            _ => return None,
        })
    }
}

fn server_name(name: &ServerName<'_>) -> String {
    match name {
        ServerName::DnsName(name) => name.as_ref().to_owned(),
        ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
        other => format!("{other:?}"),
    }
}

/// `DnsName("db.internal")`, as the library has it, without its wrapping.
fn bare_name(text: &str) -> String {
    let inner = text
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(text).trim_matches('"').to_owned()
}

fn day(time: UnixTime) -> String {
    let stamp = i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    match stamp {
        Some(stamp) => stamp.strftime("%Y-%m-%d").to_string(),
        None => format!("second {} since 1970", time.as_secs()),
    }
}

/// The authorities in a file; at least one.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsProblem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|_| in_file(file, "what it holds is no certificate".to_owned()))?;
    }
    Ok(roots)
}

/// A client's certificate, with those between it and its authority, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The client's certificate and key in two files, once it is known that they belong together.
pub(super) fn identity(cert: &Path, key: &Path) -> Result<Identity, TlsProblem> {
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| match e {
        rustls_pki_types::pem::Error::NoItemsFound => {
            in_file(key, "it holds no private key in the PEM format".to_owned())
        }
        e => in_file(key, reading(e)),
    })?;
    let provider = rustls::crypto::ring::default_provider();
    rustls::sign::CertifiedKey::from_der(chain.clone(), secret.clone_key(), &provider).map_err(
        |e| match e {
            rustls::Error::InconsistentKeys(_) => TlsProblem::Pair {
                cert: shown(cert),
                key: shown(key),
            },
            e => in_file(cert, format!("of no use with its key: {e}")),
        },
    )?;
    Ok((chain, secret))
}

/// The certificates in a file; at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| in_file(file, reading(e)))?;
    if found.is_empty() {
        let reason = "it holds no certificate in the PEM format".to_owned();
        return Err(in_file(file, reason));
    }
    Ok(found)
}

fn reading(error: rustls_pki_types::pem::Error) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn in_file(file: &Path, reason: String) -> TlsProblem {
    TlsProblem::File {
        path: shown(file),
        reason,
    }
}

/// The path as outpost.toml has it, when the commands run beside it.
fn shown(file: &Path) -> PathBuf {
    file.strip_prefix(".").unwrap_or(file).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_cause_is_found_below_any_wrapping() {
        let alert = |alert| rustls::Error::AlertReceived(alert);
        let cases = [
            (
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer),
                TlsProblem::UnknownAuthority,
            ),
            (
                alert(AlertDescription::CertificateRequired),
                TlsProblem::ClientWanted,
            ),
            (
                alert(AlertDescription::UnknownCA),
                TlsProblem::ClientRefused {
                    reason: "TLS alert UnknownCA".to_owned(),
                },
            ),
            (
                alert(AlertDescription::HandshakeFailure),
                TlsProblem::Other {
                    reason: "received fatal alert: HandshakeFailure".to_owned(),
                },
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(TlsProblem::cause_of(&error).as_ref(), Some(&expected));
            let twice = io::Error::other(io::Error::other(error.clone()));
            let wrapped = io::Error::other(error);
            assert_eq!(TlsProblem::cause_of(&wrapped), Some(expected.clone()));
            let shared: Arc<dyn Error + Send + Sync> = Arc::new(wrapped);
            assert_eq!(TlsProblem::cause_of(&shared), Some(expected.clone()));
            assert_eq!(TlsProblem::cause_of(&twice), Some(expected), "twice");
        }
        assert_eq!(TlsProblem::cause_of(&io::Error::other("cut off")), None);
    }

    #[test]
    fn names_and_days_are_shown_plainly() {
        let expired = CertificateError::ExpiredContext {
            time: UnixTime::since_unix_epoch(std::time::Duration::from_secs(2_000_000_000)),
            not_after: UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_577_836_800)),
        };
        let problem = TlsProblem::of(&rustls::Error::InvalidCertificate(expired));
        assert_eq!(
            problem.to_string(),
            "the server's certificate expired on 2020-01-01"
        );
        for (text, name) in [
            (r#"DnsName("a.b")"#, "a.b"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("odd", "odd"),
        ] {
            assert_eq!(bare_name(text), name);
        }
    }
}
