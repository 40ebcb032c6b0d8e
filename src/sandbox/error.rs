//! What can go wrong with a throwaway server.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A server product that a sandbox runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// `initdb` and `postgres`, of one folder.
    Postgres,
    /// `redis-server`, or its fork `valkey-server`.
    Redis,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "Postgres",
            Self::Redis => "Redis",
        })
    }
}

/// How to install with each system's package manager, and the package of [`Product::Postgres`] and of
/// [`Product::Redis`] there.
const PACKAGES: [(&str, &str, [&str; 2]); 5] = [
    (
        "Debian and Ubuntu",
        "apt-get install",
        ["postgresql", "redis-server"],
    ),
    ("Fedora", "dnf install", ["postgresql-server", "valkey"]),
    ("Alpine", "apk add", ["postgresql", "redis"]),
    ("Arch", "pacman -S", ["postgresql", "valkey"]),
    ("Homebrew", "brew install", ["postgresql@17", "redis"]),
];

/// A throwaway server could not be started, stopped or tidied away.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Servers are not installed, or not where they are looked for.
    #[error("{} not found on PATH or in the usual folders", were(.products))]
    Missing {
        /// Those that were asked for and not found.
        products: Vec<Product>,
    },
    /// We run as root, and there is no account to run the servers as.
    #[error(
        "servers must not run as root, and there is neither a `postgres` nor a `nobody` account to run them as"
    )]
    NoAccount,
    /// A temporary folder or a file in it could not be made.
    #[error("{} could not be made: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no free port, or it could not be asked for.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(#[source] io::Error),
    /// A program could not be run, or not be waited for.
    #[error("{} could not be run: {source}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program ended instead of serving (or of setting up the data folder).
    #[error("{} ended early ({status}); its last words:\n{log}", program.display())]
    Ended {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A program was still not done, or not answering, after a generous wait.
    #[error("{} was not ready after {} s; its last words:\n{log}", program.display(), waited.as_secs())]
    Late {
        /// The program.
        program: PathBuf,
        /// How long it was given.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// The process that tidies up after a crash is gone, so no server is started without it.
    #[error("the watchdog of a throwaway server is gone: {0}")]
    Watchdog(#[source] io::Error),
}

impl SandboxError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { products } => {
                let commands = PACKAGES.map(|(system, install, packages)| {
                    let wanted: Vec<&str> =
                        products.iter().map(|p| packages[*p as usize]).collect();
                    format!("{system}: `{install} {}`", wanted.join(" "))
                });
                Some(format!("Install with {}.", commands.join("; ")))
            }
            Self::NoAccount => Some("Run as an ordinary user.".into()),
            _ => None,
        }
    }

    /// Joins two [`SandboxError::Missing`], so that both are installed in one go.
    pub(super) fn also_missing(&mut self, other: Self) {
        if let (Self::Missing { products }, Self::Missing { products: more }) = (self, other) {
            products.extend(more);
        }
    }

    /// Whether the server met somebody else on its port, or what is left of its killed predecessor.
    pub(super) fn is_collision(&self) -> bool {
        // "Address already in use"; "pre-existing shared memory block … is still in use".
        matches!(self, Self::Ended { log, .. } if log.contains("in use"))
    }
}

fn were(products: &[Product]) -> String {
    let names: Vec<String> = products.iter().map(Product::to_string).collect();
    let verb = if names.len() == 1 { "was" } else { "were" };
    format!("{} {verb}", names.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_servers_are_named_with_the_packages_of_each_system() {
        let cases = [
            (
                vec![Product::Postgres],
                "Postgres was not found",
                "apt-get install postgresql`",
            ),
            (
                vec![Product::Redis],
                "Redis was not found",
                "apk add redis`",
            ),
            (
                vec![Product::Postgres, Product::Redis],
                "Postgres and Redis were not found",
                "dnf install postgresql-server valkey`",
            ),
        ];
        for (products, says, advises) in cases {
            let error = SandboxError::Missing { products };
            assert!(error.to_string().starts_with(says), "{error}");
            assert!(
                error.hint().is_some_and(|h| h.contains(advises)),
                "{:?}",
                error.hint()
            );
        }
    }
}
