//! `outpost.toml`: as written, then as validated.
//!
//! The file is read in three steps: its shape (known keys, right types), its references to the environment,
//! its meaning. References are replaced in parsed values, so that no value can break the TOML around it.

mod address;
mod credentials;
mod dsn;
mod error;
mod plan;
mod raw;
mod template;
mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use address::{AddressProblem, Endpoint, StoreAddress};
pub use error::{ConfigError, ConfigProblem};
pub use plan::{PlanConfig, PlanPostgres, PlanRedis};
pub use template::TemplateProblem;

use super::drift::DriftConfig;
use super::lint::LintConfig;
use super::secret::Secret;

/// A valid configuration. `Debug` shows no password and no value that might be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[schema]`.
    pub schema: SchemaConfig,
    /// `[postgres]`; `None` when that store is left out. At least one store is there.
    pub postgres: Option<PostgresConfig>,
    /// `[redis]`; `None` when that store is left out.
    pub redis: Option<RedisConfig>,
    /// `[vars]`: values for `${name}` in migrations. Part of every plan, so none holds credentials.
    pub vars: BTreeMap<String, String>,
    /// `[serve]`.
    pub serve: ServeConfig,
    /// `[compat]`.
    pub compat: CompatConfig,
    /// `[adopt]`.
    pub adopt: AdoptConfig,
    /// `[lint]`; no part of a plan's decision.
    pub lint: LintConfig,
    /// `[drift]`; no part of a plan's decision.
    pub drift: DriftConfig,
    /// `[signing]`; no part of a plan, which has no say in who may sign it.
    pub signing: SigningConfig,
}

impl Config {
    /// Reads and validates the text of outpost.toml. `env` looks up an environment variable, and is asked
    /// only for variables that the file names; `file` is the file's name in errors.
    ///
    /// # Errors
    /// [`ConfigError`] for the first problem found; its text holds no value from the environment.
    pub fn parse(
        file: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = raw::RawConfig::read(text).map_err(|error| ConfigError::shape(file, error))?;
        validate::Validator::new(file, env).config(&raw)
    }
}

impl PlanConfig {
    /// Reads what migrations are read with, for commands that connect to nothing: the variables that an
    /// address names need not be set. The shape of the whole file is still checked.
    ///
    /// # Errors
    /// As for [`Config::parse`].
    pub fn parse_offline(
        file: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = raw::RawConfig::read(text).map_err(|error| ConfigError::shape(file, error))?;
        validate::Validator::new(file, env).offline(&raw)
    }
}

impl LintConfig {
    /// Reads only `[lint]`, for a command that connects to nothing. The shape of the whole file is still
    /// checked.
    ///
    /// # Errors
    /// As for [`Config::parse`].
    pub fn parse(
        file: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = raw::RawConfig::read(text).map_err(|error| ConfigError::shape(file, error))?;
        validate::Validator::new(file, env).lint(&raw.lint)
    }
}

impl SigningConfig {
    /// Reads only `[signing]`, for a command that connects to nothing. The shape of the whole file is still
    /// checked.
    ///
    /// # Errors
    /// As for [`Config::parse`].
    pub fn parse(
        file: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = raw::RawConfig::read(text).map_err(|error| ConfigError::shape(file, error))?;
        validate::Validator::new(file, env).signing(&raw.signing)
    }
}

impl SchemaConfig {
    /// Reads only `[schema]`, for commands that connect to nothing: variables of other sections need not
    /// be set. The shape of the whole file is still checked.
    ///
    /// # Errors
    /// As for [`Config::parse`].
    pub fn parse(
        file: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = raw::RawConfig::read(text).map_err(|error| ConfigError::shape(file, error))?;
        validate::Validator::new(file, env).schema(&raw)
    }
}

/// Which migrations, in which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaConfig {
    /// The folder of the migrations, relative to the file unless absolute; `schema` by default.
    pub path: PathBuf,
    /// The desired version's name, or `latest`.
    pub version: String,
}

/// How to reach and treat Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// The database, perhaps through a pooler.
    pub endpoint: Endpoint,
    /// The way past the pooler, for statements that cannot run in a transaction.
    pub direct: Option<Endpoint>,
    /// How long a statement in a transaction may wait for a lock; zero is no limit. 5 s by default.
    pub lock_timeout: Duration,
    /// How long a statement in a transaction may run; zero, the default, is no limit.
    pub statement_timeout: Duration,
    /// `sslrootcert`, `sslcert`, `sslkey`.
    pub tls: TlsFiles,
}

/// How to reach and treat Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// The server, or some nodes of the cluster; at least one. With Sentinels its host is not an address but
    /// the name of the master that they are asked for.
    pub nodes: Vec<Endpoint>,
    /// The Sentinels that know where the master is; empty without.
    pub sentinels: Vec<Endpoint>,
    /// The name of the master that the Sentinels are asked for.
    pub sentinel_master: Option<String>,
    /// The logical database; 0 on a cluster.
    pub database: u32,
    /// Whether it is a cluster.
    pub cluster: bool,
    /// Whether the connection uses TLS (`rediss://`).
    pub uses_tls: bool,
    /// The id that keeps deployments apart in one Redis; `None` without one.
    pub deployment_id: Option<String>,
    /// Patterns of keys that no migration has to account for. `${prefix}` and the names of `[vars]` stand
    /// in them as in a Redis migration, not yet replaced.
    pub ignore: Vec<String>,
    /// `ca`, `cert`, `key`.
    pub tls: TlsFiles,
}

impl RedisConfig {
    /// What `${prefix}` stands for: the deployment id and a colon, or nothing.
    pub fn prefix(&self) -> String {
        plan::prefix(self.deployment_id.as_deref())
    }
}

/// Files for TLS, relative to outpost.toml unless absolute. A certificate never comes without its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate.
    pub cert: Option<PathBuf>,
    /// The key of the client's certificate.
    pub key: Option<PathBuf>,
}

/// What `outpost serve` does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeConfig {
    /// The program and its arguments; empty when it is given on the command line. Arguments may hold
    /// secrets from the environment.
    pub command: Vec<Secret>,
    /// What to do when the database is ahead of the desired version.
    pub ahead: Ahead,
}

/// What the gate does with a database that is ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ahead {
    /// Start the command.
    Allow,
    /// Warn and start the command.
    #[default]
    Warn,
    /// Do not start the command.
    Refuse,
}

/// Whose signatures count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningConfig {
    /// The list of allowed signers, relative to outpost.toml unless absolute.
    pub allowed_signers: Option<PathBuf>,
    /// Whether a plan is applied only when an allowed signer signed it. Never without a list.
    pub required: bool,
}

/// Which earlier tools are kept working.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompatConfig {
    /// The table of golang-migrate, perhaps with its schema before a dot; `None` is off.
    pub golang_migrate: Option<String>,
    /// Whether the Redis markers of earlier releases are kept up.
    pub outpost_redis: bool,
}

/// How state left by earlier tools is taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdoptConfig {
    /// What to do with sources that have no counterpart; `None` when that is undecided.
    pub missing: Option<AdoptMissing>,
}

/// What adoption does with a source key that has no counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdoptMissing {
    /// Leave it as it is.
    Keep,
    /// Make the counterpart from it.
    Copy,
}

#[cfg(test)]
mod tests;
