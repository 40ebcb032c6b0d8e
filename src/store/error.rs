//! What can go wrong with a store, as data.

use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::LeaseInfo;
use crate::store::tls::TlsProblem;

/// An error of a store: which one, where, and what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", context(.store, .address, .kind))]
pub struct StoreError {
    /// The store.
    pub store: StoreKind,
    /// Where it is; never with a password.
    pub address: String,
    /// What happened.
    pub kind: StoreErrorKind,
}

fn context(store: &StoreKind, address: &str, kind: &StoreErrorKind) -> String {
    let name = match store {
        StoreKind::Sql => "Postgres",
        StoreKind::Redis => "Redis",
    };
    match kind {
        // These name the migration's own file and line; the server's address adds nothing.
        StoreErrorKind::Statement(_)
        | StoreErrorKind::Keys { .. }
        | StoreErrorKind::Script { .. }
        | StoreErrorKind::RequirementFailed { .. } => String::new(),
        _ => format!("{name} at {address}: "),
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreErrorKind {
    /// No connection could be made.
    #[error("cannot connect: {reason}")]
    Unreachable {
        /// The operating system's or the driver's words.
        reason: String,
    },
    /// An established connection broke.
    #[error("the connection broke: {reason}")]
    Disconnected {
        /// The driver's words.
        reason: String,
    },
    /// The server does not take the password or the user.
    #[error("the server refuses the login: {reason}")]
    Authentication {
        /// The server's words.
        reason: String,
    },
    /// The server wants a password, and there is none for it.
    #[error("the server refuses the login: it wants a password, and none is set")]
    NoPassword,
    /// The database does not exist.
    #[error("database {database} does not exist")]
    NoDatabase {
        /// Its name.
        database: String,
    },
    /// The role or user lacks a right.
    #[error("permission denied while {doing}: {reason}")]
    Permission {
        /// What was tried.
        doing: String,
        /// The server's words.
        reason: String,
    },
    /// The server takes no writes now, or is not ready.
    #[error("the server cannot do this now: {reason}")]
    NotReady {
        /// The server's words, such as `LOADING` or `READONLY`.
        reason: String,
    },
    /// A read met a lock that it does not wait for, such as that of ALTER TABLE.
    #[error("the schema is being changed: {reason}")]
    SchemaLocked {
        /// The server's words.
        reason: String,
    },
    /// The certificate or the TLS settings do not fit.
    #[error("TLS: {0}")]
    Tls(TlsProblem),
    /// Somebody else holds the lease.
    #[error("the lease is held by {}", holder(.0))]
    LeaseHeld(Box<LeaseInfo>),
    /// The lease is not ours any more; nothing was written after it was lost.
    #[error("the lease was lost: another run took it over, or it was unlocked")]
    LeaseLost,
    /// golang-migrate works on the database, or wrote its row meanwhile.
    #[error("{reason}")]
    EarlierTool {
        /// What was found.
        reason: String,
    },
    /// A statement failed.
    #[error("{0}")]
    Statement(Box<StatementError>),
    /// Keys that are not as declared, or not accounted for.
    #[error("{id}: {}", .findings.join("; "))]
    Keys {
        /// The migration.
        id: MigrationId,
        /// Sentences with counts and printable samples.
        findings: Vec<String>,
    },
    /// Lua of a migration's author failed, or did not end.
    #[error("{id}: step {step} ({operation}): {reason}")]
    Script {
        /// The migration.
        id: MigrationId,
        /// The step, from 1.
        step: usize,
        /// Its line on screens.
        operation: String,
        /// Which text, and what it or the server said.
        reason: String,
    },
    /// A passing conflict outlasted every retry.
    #[error("{id}: gave up after {attempts} tries: {reason}")]
    Exhausted {
        /// The migration.
        id: MigrationId,
        /// Tries made.
        attempts: u32,
        /// The last try's error.
        reason: String,
    },
    /// What the step would add does not fit into the server's memory.
    #[error("{reason}")]
    NoRoom {
        /// How much is missing.
        reason: String,
        /// Whether the server would evict keys to make room.
        evicts: bool,
    },
    /// A step that shares its passes with one that it requires, and that failed.
    #[error("{id}: stopped, since {required}, which it requires, failed")]
    RequirementFailed {
        /// The migration.
        id: MigrationId,
        /// The one that failed.
        required: MigrationId,
    },
    /// Verification before a cleanup failed, so nothing was removed.
    #[error("{id}: not cleaned up, since its verification failed: {}", .findings.join("; "))]
    Unverified {
        /// The migration.
        id: MigrationId,
        /// What was found.
        findings: Vec<String>,
    },
    /// The user interrupted the run.
    #[error("interrupted")]
    Cancelled,
    /// The ledger holds something that this version does not understand.
    #[error("the ledger cannot be read: {reason}")]
    Ledger {
        /// What is wrong.
        reason: String,
    },
    /// Anything else that the server said.
    #[error("{reason}")]
    Server {
        /// What was tried.
        doing: String,
        /// The server's words.
        reason: String,
    },
}

fn holder(info: &LeaseInfo) -> String {
    match &info.holder {
        Some(holder) => holder.to_string(),
        None => "an earlier tool".to_owned(),
    }
}

/// A failed statement, with everything that the server said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementError {
    /// The migration.
    pub id: MigrationId,
    /// Its file.
    pub file: String,
    /// The line on which the statement begins, or the one that the server points to.
    pub line: u32,
    /// The statement, cut to a readable length.
    pub statement: String,
    /// The server's message.
    pub message: String,
    /// SQLSTATE.
    pub code: String,
    /// The server's detail.
    pub detail: Option<String>,
    /// The server's hint.
    pub hint: Option<String>,
}

impl std::fmt::Display for StatementError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}: {} (SQLSTATE {})",
            self.file, self.line, self.message, self.code
        )?;
        if let Some(detail) = &self.detail {
            write!(f, "; {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        write!(f, "\n  in: {}", self.statement.replace('\n', "\n      "))
    }
}

impl StoreError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let section = match self.store {
            StoreKind::Sql => "[postgres]",
            StoreKind::Redis => "[redis]",
        };
        Some(match &self.kind {
            StoreErrorKind::Unreachable { .. } => format!("check that the server runs and that {section} url in outpost.toml names its host and port"),
            StoreErrorKind::Disconnected { .. } => "run the same plan again: what was recorded is not repeated".to_owned(),
            StoreErrorKind::Authentication { .. } => match self.store {
                StoreKind::Sql => "check user and password in the environment variable that [postgres] url reads, as in postgres://USER:PASSWORD@HOST/DATABASE; where it has no password, PGPASSWORD or ~/.pgpass gave it".to_owned(),
                StoreKind::Redis => "check user and password in the environment variable that [redis] url reads, as in redis://USER:PASSWORD@HOST:PORT; without a user it is redis://:PASSWORD@HOST:PORT".to_owned(),
            },
            StoreErrorKind::NoPassword => match self.store {
                StoreKind::Sql => "put it into the environment variable that [postgres] url reads, as in postgres://USER:PASSWORD@HOST/DATABASE, or set PGPASSWORD, or write it to ~/.pgpass, which nobody else may read".to_owned(),
                StoreKind::Redis => "put it into the environment variable that [redis] url reads, as in redis://:PASSWORD@HOST:PORT, or redis://USER:PASSWORD@HOST:PORT for a user of its own; where a Sentinel asks, into that of [redis] sentinels".to_owned(),
            },
            StoreErrorKind::NoDatabase { database } => match self.store {
                StoreKind::Sql => format!("create it (createdb {database}), or correct [postgres] url"),
                StoreKind::Redis => "correct the number at the end of [redis] url; it counts from 0, and there are as many databases as the server's setting `databases` says, 16 unless it is set".to_owned(),
            },
            StoreErrorKind::Permission { .. } => "grant the right; docs/permissions.md lists what each command needs".to_owned(),
            StoreErrorKind::NotReady { .. } => "wait until the server is ready, or connect to the primary".to_owned(),
            StoreErrorKind::SchemaLocked { .. } => "wait until that is over: outpost migrate list says whether a run holds the lease, and pg_stat_activity what else is under way".to_owned(),
            StoreErrorKind::Tls(problem) => problem.hint(self.store),
            StoreErrorKind::LeaseHeld(info) => format!("wait for it with --lock-wait, or, if that run is dead: outpost migrate unlock {}", info.id),
            StoreErrorKind::LeaseLost => "make sure that no other run is under way, then run the same plan again".to_owned(),
            StoreErrorKind::EarlierTool { .. } => "wait until golang-migrate is done, then plan again".to_owned(),
            StoreErrorKind::Statement(_) => "if the migration is wrong, correct it and plan again; nothing of a transaction stays behind".to_owned(),
            StoreErrorKind::Keys { .. } => "correct these keys, or extend the migration's steps or ignore patterns, then plan again".to_owned(),
            StoreErrorKind::Script { .. } => "correct the script, then plan again; keys that it has dealt with are those for which its check asks for no work".to_owned(),
            StoreErrorKind::Exhausted { .. } => match self.store {
                StoreKind::Sql => "run the same plan again when the database is less busy, or raise lock_timeout".to_owned(),
                StoreKind::Redis => "once the servers can be reached steadily and nobody writes the old form any more, run the same plan again: what is done is not repeated".to_owned(),
            },
            StoreErrorKind::NoRoom { evicts: true, .. } => "raise maxmemory, or set another maxmemory-policy for the time of the migration".to_owned(),
            StoreErrorKind::NoRoom { evicts: false, .. } => "raise maxmemory or free some; with --ignore-memory the step begins all the same, and stops where the server refuses".to_owned(),
            StoreErrorKind::RequirementFailed { .. } => "what it did so far is kept; mend the other, then run the same plan again".to_owned(),
            StoreErrorKind::Unverified { .. } => "outpost migrate verify shows every check".to_owned(),
            StoreErrorKind::Cancelled => "run the same plan again to go on".to_owned(),
            StoreErrorKind::Ledger { .. } => "use the version of outpost that wrote it, or a newer one".to_owned(),
            StoreErrorKind::Server { .. } => return None,
        })
    }
}
