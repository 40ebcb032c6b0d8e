//! Postgres: the only place that names its driver.
//!
//! Everything goes through poolers: no session state, no named prepared statement, only simple queries.
//! A step is one message, which holds its checks, its statements and its record, and commits or fails as
//! a whole; see `transaction.rs`. Statements that refuse a transaction are in `concurrent.rs`.

mod address;
mod checkpoint;
mod concurrent;
mod errors;
mod estimate;
mod failure;
mod golang;
mod history;
mod impact;
mod index;
mod lease;
mod ledger;
mod observe;
mod orphan;
mod paired;
mod password;
mod quote;
mod rehearse;
mod relations;
mod reuse;
mod scratch;
mod script;
mod session;
mod tls;
mod transaction;
mod verify;

pub use rehearse::Tried;
pub use scratch::{Scratch, ServerFacts};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use self::address::Target;
use self::reuse::Reusable;
use self::session::Session;
use super::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};
use crate::model::config::{Endpoint, PlanConfig, PostgresConfig, StoreAddress, TlsFiles};
use crate::model::event::Events;
use crate::model::history::{Failure, HistoryEntry};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::{Holder, LeaseInfo};
use crate::model::migration::Migration;
use crate::model::plan::{Step, StepContent, StepEvidence};
use crate::model::report::Done;
use crate::model::secret::Secret;
use crate::model::state::StoreState;
use crate::model::verification::Verification;

/// How often a transaction is tried in all, by default.
const ATTEMPTS: u32 = 10;

/// The pause after the first failed try, by default.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long a read waits for a lock. `ALTER TABLE` holds some that reads of the schema need.
const READ_LOCK_TIMEOUT: &str = "set local lock_timeout = '2s'";

/// A Postgres database. Connects when it is used.
pub struct PostgresStore {
    target: Target,
    direct: Option<Target>,
    shown: String,
    golang_table: Option<String>,
    attempts: u32,
    first_pause: Duration,
    raising: tokio::sync::Mutex<()>,
    idle: std::sync::Mutex<Vec<Reusable>>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The targets hold passwords.
        f.debug_struct("PostgresStore")
            .field("address", &self.shown)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// The database of the configuration. `golang_table` is golang-migrate's, where it is kept up; files
    /// for TLS are relative to `folder`, that of outpost.toml.
    ///
    /// A password that is not in the address comes from `PGPASSWORD`, `PGPASSFILE` or `~/.pgpass`. Nothing
    /// connects yet.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unreachable`] or [`StoreErrorKind::Tls`] where the address makes no sense. No
    /// error of this store ever holds the address's password.
    pub fn new(
        config: &PostgresConfig,
        golang_table: Option<String>,
        folder: &Path,
    ) -> Result<Self, StoreError> {
        let below = |file: &Option<PathBuf>| file.as_ref().map(|file| folder.join(file));
        let files = TlsFiles {
            ca: below(&config.tls.ca),
            cert: below(&config.tls.cert),
            key: below(&config.tls.key),
        };
        let target = read(&config.endpoint, &files)?;
        let direct = config
            .direct
            .as_ref()
            .map(|direct| read(direct, &files))
            .transpose()?;
        Ok(Self::from_targets(target, direct, golang_table))
    }

    /// The database of an address alone, such as a throwaway server's; golang-migrate is not looked at.
    ///
    /// # Errors
    /// As [`PostgresStore::new`].
    pub fn at(url: &str) -> Result<Self, StoreError> {
        let address = StoreAddress {
            store: StoreKind::Sql,
            hosts: address::hosts(url),
            database: None,
            user: None,
        };
        let endpoint = Endpoint {
            url: Secret::new(url),
            address,
        };
        Ok(Self::from_targets(
            read(&endpoint, &TlsFiles::default())?,
            None,
            None,
        ))
    }

    fn from_targets(target: Target, direct: Option<Target>, golang_table: Option<String>) -> Self {
        Self {
            shown: target.shown.clone(),
            target,
            direct,
            golang_table,
            attempts: ATTEMPTS,
            first_pause: FIRST_PAUSE,
            raising: tokio::sync::Mutex::new(()),
            idle: std::sync::Mutex::default(),
        }
    }

    /// Sets how often a transaction that meets a passing conflict is tried in all (at least once), and
    /// the pause after the first try; each further pause is up to twice as long.
    #[must_use]
    pub fn with_retries(mut self, attempts: u32, first_pause: Duration) -> Self {
        self.attempts = attempts.max(1);
        self.first_pause = first_pause;
        self
    }

    async fn connect(&self) -> Result<Session, StoreError> {
        Session::open(&self.target).await
    }

    /// Past the pooler, where the configuration knows a way.
    async fn connect_directly(&self) -> Result<Session, StoreError> {
        Session::open(self.direct.as_ref().unwrap_or(&self.target)).await
    }

    /// An error of this store.
    fn fail(&self, kind: StoreErrorKind) -> StoreError {
        errors::at(&self.shown, kind)
    }

    /// A connection in a read-only transaction that sees one moment.
    async fn reading(&self, doing: &str) -> Result<Session, StoreError> {
        let session = self.connect().await?;
        let begin = format!("begin isolation level repeatable read read only; {READ_LOCK_TIMEOUT}");
        session
            .rows(&begin)
            .await
            .map_err(|e| session.error(doing, &e))?;
        Ok(session)
    }
}

fn read(endpoint: &Endpoint, files: &TlsFiles) -> Result<Target, StoreError> {
    let env = |name: &str| std::env::var(name).ok();
    address::target(endpoint, files, &env)
        .map_err(|kind| errors::at(&endpoint.address.hosts.join(", "), kind))
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Sql
    }

    fn address(&self) -> String {
        self.shown.clone()
    }

    async fn observe(&self, what: &Observe) -> Result<StoreState, StoreError> {
        self.observe_all(what).await
    }

    async fn verify(
        &self,
        migration: &Migration,
        _later: &[&Migration],
        _: &dyn Events,
    ) -> Result<Verification, StoreError> {
        self.verify_migration(migration).await
    }

    async fn estimate(
        &self,
        steps: &[&Step],
        _: &PlanConfig,
    ) -> Result<Vec<StepEvidence>, StoreError> {
        self.estimate_steps(steps).await
    }

    async fn acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        self.acquire_lease(id, holder).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.renew_lease(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.release_lease(lease).await
    }

    async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
        let session = self.reading("reading the lease").await?;
        let info = match ledger::identity(&session).await? {
            Some(_) => lease::read(&session).await?,
            None => None,
        };
        session.roll_back().await;
        Ok(info)
    }

    async fn break_lease(&self, id: &str) -> Result<(), StoreError> {
        self.break_lease_of(id).await
    }

    async fn run(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        match &step.content {
            StepContent::Sql(content) if !content.transaction => {
                self.run_by_statement(step, content, run).await
            }
            _ => self.run_in_transaction(step, run).await,
        }
    }

    async fn record_failure(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        self.write_failure(step, run, error).await
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let session = self.reading("reading the history").await?;
        let entries = history::read(&session).await?;
        session.roll_back().await;
        Ok(entries)
    }

    async fn failures(
        &self,
        of: &BTreeSet<MigrationId>,
    ) -> Result<BTreeMap<MigrationId, Failure>, StoreError> {
        let session = self.reading("reading the history").await?;
        let found = history::failures(&session, of).await?;
        session.roll_back().await;
        Ok(found)
    }
}
