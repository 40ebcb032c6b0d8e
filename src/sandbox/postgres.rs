//! A throwaway Postgres server.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::home::Home;
use super::server::{Kind, Server, random_password, run_to_end};
use super::{SandboxError, find};
use crate::model::secret::Secret;

const SUPERUSER: &str = "postgres";
const PASSWORD_FILE: &str = "password";
const DATA: &str = "data";

/// What every server gets; the caller's settings come after these and win.
const SETTINGS: [(&str, &str); 8] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "200"),
    // Nothing here outlives a power cut. `synchronous_commit` stays on, so that whatever was committed
    // is there again after a kill.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    // Shared memory as files in the data folder, which go with it even after a kill.
    ("dynamic_shared_memory_type", "mmap"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// A throwaway Postgres: superuser `postgres` with a random password (SCRAM), locale C, UTF-8, UTC.
pub type PostgresServer = Server<Postgres>;

/// How a [`PostgresServer`] is run.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    settings: Vec<(String, String)>,
    password: Secret,
}

impl PostgresServer {
    /// A server with default settings.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`].
    pub fn start() -> Result<Self, SandboxError> {
        Self::builder().start()
    }

    /// A server with settings of your own.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }
}

/// Settings of a [`PostgresServer`].
#[derive(Debug, Clone, Default)]
pub struct PostgresBuilder {
    programs: Option<PathBuf>,
    preferred: Option<u32>,
    settings: Vec<(String, String)>,
}

impl PostgresBuilder {
    /// Sets a parameter as in `postgresql.conf`. It shows in the process list: no place for secrets.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Uses `initdb` and `postgres` of this folder instead of looking for them.
    #[must_use]
    pub fn programs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.programs = Some(folder.into());
        self
    }

    /// Takes this major version where it is installed, and else the newest that is.
    #[must_use]
    pub fn prefer(mut self, major: Option<u32>) -> Self {
        self.preferred = major;
        self
    }

    /// Looks for the programs now, so that missing ones are known before anything is started.
    pub(super) fn locate(self) -> Result<Self, SandboxError> {
        let programs = match self.programs {
            Some(folder) => folder,
            None => find::postgres_folder(self.preferred)?,
        };
        Ok(Self {
            programs: Some(programs),
            ..self
        })
    }

    /// Sets up a cluster, starts its server and waits until it takes connections. Takes about a second.
    ///
    /// # Errors
    /// [`SandboxError::Missing`] when Postgres is not installed; otherwise what kept it from starting,
    /// with the last lines of its log.
    pub fn start(self) -> Result<PostgresServer, SandboxError> {
        let Self {
            programs, settings, ..
        } = self.locate()?;
        let programs = programs.unwrap_or_default();
        let kind = Postgres {
            programs,
            settings,
            password: Secret::new(random_password()),
        };
        let mut home = Home::create()?;
        kind.init_cluster(&mut home)?;
        Server::boot(kind, home)
    }
}

impl Postgres {
    fn init_cluster(&self, home: &mut Home) -> Result<(), SandboxError> {
        home.create_file(PASSWORD_FILE, self.password.expose())?;
        let password_file = home.path().join(PASSWORD_FILE);
        let args = [
            "--pgdata".into(),
            home.path().join(DATA).into(),
            "--pwfile".into(),
            password_file.clone().into(),
            format!("--username={SUPERUSER}").into(),
            "--auth=scram-sha-256".into(),
            "--encoding=UTF8".into(),
            "--locale=C".into(),
            "--no-sync".into(),
        ];
        run_to_end(home, &self.programs.join("initdb"), &args)?;
        fs::remove_file(&password_file).map_err(|source| SandboxError::Folder {
            path: password_file,
            source,
        })
    }
}

impl Kind for Postgres {
    /// "Fast" shutdown: ends sessions, writes a checkpoint.
    const STOP: Signal = Signal::SIGINT;
    /// "Immediate" shutdown: no checkpoint, but the shared memory segment is given back.
    const PARTING: Signal = Signal::SIGQUIT;

    fn program(&self) -> PathBuf {
        self.programs.join("postgres")
    }

    fn args(&self, home: &Home, port: u16) -> Vec<OsString> {
        let ours = SETTINGS
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let theirs = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let settings = ours.chain([format!("port={port}")]).chain(theirs);
        ["-D".into(), home.path().join(DATA).into()]
            .into_iter()
            .chain(settings.flat_map(|setting| ["-c".into(), setting.into()]))
            .collect()
    }

    /// The postmaster writes its state into its lock file: the first line is its process id, the eighth
    /// its status. Nobody else's server can be mistaken for ours that way.
    fn is_ready(&self, home: &Home, _port: u16, pid: u32) -> bool {
        let lock =
            fs::read_to_string(home.path().join(DATA).join("postmaster.pid")).unwrap_or_default();
        let line = |index| lock.lines().nth(index).map(str::trim);
        line(0) == Some(pid.to_string().as_str()) && line(7) == Some("ready")
    }

    fn url(&self, port: u16) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{port}/postgres",
            self.password.expose()
        )
    }
}
