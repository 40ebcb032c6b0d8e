//! Throwaway servers that begin with a saved state, and what a server says about itself.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use outpost::sandbox::RedisServer;
use tempfile::TempDir;

use super::Outcome;

/// A state of the data that measurements begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The keys as loaded.
    Legacy,
    /// 0001 applied, and the legacy keys cleaned up: the new keys alone, timestamps still RFC 3339.
    Tagged,
    /// Nothing yet, for redis-benchmark.
    Ceiling,
}

impl State {
    fn file(self) -> &'static str {
        match self {
            Self::Legacy => "legacy.rdb",
            Self::Tagged => "tagged.rdb",
            Self::Ceiling => "ceiling.rdb",
        }
    }
}

/// The dumps of the states, in a folder that servers of another account can write to.
pub struct Snapshots {
    folder: TempDir,
}

impl Snapshots {
    /// No dumps yet.
    pub fn create() -> Outcome<Self> {
        let folder = TempDir::with_prefix("outpost-bench-")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
        Ok(Self { folder })
    }

    /// A new server with a state's data; empty where it has no dump yet. [`save`] writes that dump.
    pub fn server(&self, state: State) -> Outcome<RedisServer> {
        Ok(RedisServer::builder()
            .no_password()
            .directive(format!("dir {}", self.folder.path().display()))
            .directive(format!("dbfilename {}", state.file()))
            .directive("rdbcompression no")
            .directive("rdbchecksum no")
            .start()?)
    }

    /// Forgets the dumps.
    pub fn remove(&self) -> Outcome<()> {
        for entry in fs::read_dir(self.folder.path())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// Makes a dump the beginning of another one.
    pub fn copy(&self, from: State, to: State) -> Outcome<()> {
        let path = |state: State| self.folder.path().join(state.file());
        fs::copy(path(from), path(to))?;
        fs::set_permissions(path(to), Permissions::from_mode(0o644))?;
        Ok(())
    }
}

/// Writes the dump of the state that the server was started for.
pub fn save(server: &RedisServer) -> Outcome<()> {
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    redis::cmd("SAVE").query::<()>(&mut connection)?;
    Ok(())
}

/// What a server has spent so far.
#[derive(Debug, Clone, Default)]
pub struct Spent {
    /// CPU time, seconds.
    pub cpu: f64,
    /// By command: calls, and microseconds in them.
    pub commands: BTreeMap<String, (u64, u64)>,
}

impl Spent {
    /// Asks the server.
    pub fn of(server: &RedisServer) -> Outcome<Self> {
        let cpu = info(server.url(), "cpu")?;
        let seconds = |name: &str| cpu.get(name).and_then(|value| value.parse::<f64>().ok());
        let commands = info(server.url(), "commandstats")?
            .iter()
            .filter_map(|(name, value)| {
                let part = |part: &str| {
                    let found = value.split(',').find_map(|v| v.strip_prefix(part))?;
                    found.parse().ok()
                };
                let name = name.strip_prefix("cmdstat_")?.to_uppercase();
                Some((name, (part("calls=")?, part("usec=")?)))
            })
            .collect();
        Ok(Self {
            cpu: seconds("used_cpu_user").unwrap_or_default()
                + seconds("used_cpu_sys").unwrap_or_default(),
            commands,
        })
    }

    /// What was spent since.
    pub fn since(&self, before: &Self) -> Self {
        let commands = self.commands.iter().filter_map(|(name, (calls, usec))| {
            let (calls_before, usec_before) =
                before.commands.get(name).copied().unwrap_or_default();
            let calls = calls - calls_before;
            (calls > 0).then(|| (name.clone(), (calls, usec - usec_before)))
        });
        Self {
            cpu: self.cpu - before.cpu,
            commands: commands.collect(),
        }
    }
}

/// A section of INFO.
pub fn info(url: &str, section: &str) -> Outcome<BTreeMap<String, String>> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let text: String = redis::cmd("INFO").arg(section).query(&mut connection)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}
