//! What goes between a client and a server in memory.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::server::Server;
use crate::model::history::HistoryEntry;
use crate::model::id::MigrationId;
use crate::model::lease::{Holder, LeaseInfo};
use crate::model::plan::Step;
use crate::model::state::{LedgerEntry, StoreState};
use crate::store::{Observe, StoreErrorKind};

/// Carries requests. A test may hold one up, lose it, or lose its answer.
#[async_trait]
pub trait Wire: fmt::Debug + Send + Sync {
    /// Brings a request to its server, and the answer back.
    ///
    /// # Errors
    /// Why the connection broke; the request may have arrived, or may yet arrive.
    async fn carry(&self, server: &Arc<Server>, request: Request) -> Result<Answer, String>;
}

/// A wire that is never cut.
#[derive(Debug)]
pub(super) struct Direct;

#[async_trait]
impl Wire for Direct {
    async fn carry(&self, server: &Arc<Server>, request: Request) -> Result<Answer, String> {
        Ok(server.handle(&request))
    }
}

/// A request. It is complete: it can arrive when nobody waits for its answer any more.
#[derive(Debug, Clone)]
pub enum Request {
    /// Reads the state.
    Observe(Observe),
    /// Reads who holds the lease.
    Lease,
    /// Reads the history.
    History,
    /// Reads whether a migration is in place.
    InPlace(MigrationId),
    /// Reads one ledger entry.
    Entry(MigrationId),
    /// Takes the lease.
    Acquire {
        /// Its id.
        id: String,
        /// Who wants it.
        holder: Holder,
    },
    /// Makes the lease live on.
    Renew(Fence),
    /// Gives the lease with this id back.
    Release(String),
    /// Removes the lease with this id.
    Break(String),
    /// Raises the token of the lease with this id, so that no older request is obeyed any more.
    Raise(String),
    /// Writes, if the lease is held.
    Write(Box<Write>),
}

/// What proves that a lease is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lease's id.
    pub id: String,
    /// Its token.
    pub token: u64,
}

/// One atomic write of a step.
#[derive(Debug, Clone)]
pub struct Write {
    /// The lease that it is done under.
    pub fence: Fence,
    /// Hex digest of the plan.
    pub plan: String,
    /// Who applies.
    pub holder: Holder,
    /// The step.
    pub step: Step,
    /// What of the step is written.
    pub part: Part,
}

/// What an atomic write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The whole step and its record: a transaction.
    Whole,
    /// The whole step without its record, as a flawed client does it.
    Effect,
    /// The record alone, as a flawed client writes it.
    Record,
    /// The record that the step is begun.
    Begin,
    /// One statement and the checkpoint after it.
    Statement(usize),
    /// One key, if it still needs work.
    Key(u64),
    /// The checkpoint after so many keys.
    Checkpoint(u64),
    /// The record that the step is done, its parts being done.
    Finish,
    /// The record that the step failed, and why.
    Failed(String),
}

/// An answer, or the server's refusal.
pub type Answer = Result<Reply, StoreErrorKind>;

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It is done; how much of it was still to do.
    Done(u64),
    /// The state.
    State(Box<StoreState>),
    /// The token of a lease that was taken or raised.
    Token(u64),
    /// Who holds the lease.
    Lease(Option<LeaseInfo>),
    /// Whether it is in place.
    InPlace(bool),
    /// A ledger entry.
    Entry(Option<Box<LedgerEntry>>),
    /// The history.
    History(Vec<HistoryEntry>),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observe(_) => f.write_str("observe"),
            Self::Lease => f.write_str("read the lease"),
            Self::History => f.write_str("read the history"),
            Self::InPlace(id) => write!(f, "look for {id}"),
            Self::Entry(id) => write!(f, "read the entry of {id}"),
            Self::Acquire { id, .. } => write!(f, "acquire as {id}"),
            Self::Renew(fence) => write!(f, "renew {} with token {}", fence.id, fence.token),
            Self::Release(id) => write!(f, "release {id}"),
            Self::Break(id) => write!(f, "break {id}"),
            Self::Raise(id) => write!(f, "raise the token of {id}"),
            Self::Write(write) => write!(f, "{write}"),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, id) = (self.step.action.name(), &self.step.id);
        match &self.part {
            Part::Whole => write!(f, "{action} and record {id}")?,
            Part::Effect => write!(f, "{action} {id} without its record")?,
            Part::Begin => write!(f, "begin to {action} {id}")?,
            Part::Statement(n) => write!(f, "{action} {id}, statement {n}")?,
            Part::Key(n) => write!(f, "{action} {id}, key {n}")?,
            Part::Checkpoint(n) => write!(f, "checkpoint {n} of {id}")?,
            Part::Record | Part::Finish => write!(f, "record {id}")?,
            Part::Failed(_) => write!(f, "record that {id} failed")?,
        }
        write!(f, " with token {}", self.fence.token)
    }
}
