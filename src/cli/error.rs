//! Every error that ends a command, what to do about it, and its exit code.

use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::engine::{ApplyError, RehearsalError, ReplayError};
use crate::model::codec::CodecError;
use crate::model::config::ConfigError;
use crate::model::graph::GraphError;
use crate::model::id::{IdError, StoreKind};
use crate::model::plan::{PlanDigest, PlanError};
use crate::model::signing::{NAMESPACE, Refusal};
use crate::model::versions::VersionsError;
use crate::plan_file::PlanFileError;
use crate::plan_file::signature::SignatureFileError;
use crate::sandbox::SandboxError;
use crate::source::SourceError;
use crate::store::{StoreError, StoreErrorKind};

/// Why a command ended without doing what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Versions(#[from] VersionsError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Plan(Box<PlanError>),
    #[error(transparent)]
    PlanFile(#[from] PlanFileError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Replay(Box<ReplayError>),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("there is nobody to ask: standard input is not a terminal")]
    NobodyToAsk,
    #[error("not confirmed; nothing was changed")]
    Declined,
    #[error("cannot read the answer: {0}")]
    Prompt(std::io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
    /// The reader of standard output has gone away.
    #[error("the reader of standard output has gone away")]
    BrokenPipe,
    #[error("cannot run {command}: {source}")]
    Command {
        command: String,
        source: std::io::Error,
    },
    #[error("{0}")]
    Usage(String),
    #[error("{path} cannot be written: {source}", path = path.display())]
    CannotWrite {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("schema/outpost.lock does not pin the schema that is recorded")]
    Unpinned,
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("nobody holds the lease of {store}: there is nothing to unlock")]
    NotLocked { store: String },
    #[error("no store's lease has the id {0}")]
    UnknownLease(String),
    #[error("{store} is the name of a store; unlock takes the id of a lease")]
    StoreForLease {
        store: StoreKind,
        /// The id of the store's lease, if anybody holds it.
        id: Option<String>,
    },
    #[error("the lease {id} is alive: {holder} renewed it within the last 15 seconds")]
    LeaseAlive { id: String, holder: String },
    #[error(transparent)]
    Rehearsal(Box<RehearsalError>),
    #[error("the rehearsal failed {place}: {reason}")]
    RehearsalFailed {
        place: String,
        reason: String,
        file: Option<String>,
    },
    #[error("the plan has digest {found}, not {expected}")]
    OtherDigest {
        expected: PlanDigest,
        found: PlanDigest,
    },
    #[error(transparent)]
    SignatureFile(#[from] SignatureFileError),
    #[error("{} is not applied: {refusal}", plan.display())]
    Signature {
        plan: PathBuf,
        refusal: Box<Refusal>,
    },
    #[error("plans have to be signed here, and one that is made and applied in one go is not")]
    UnsignedByNature { save: &'static str },
    #[error("the key {} has a passphrase, and there is no terminal to ask for it", .0.display())]
    LockedKey(PathBuf),
    #[error("{} is no file that a signature could lie beside", .0.display())]
    NothingBeside(PathBuf),
}

// Boxed, since they are the largest by far and every command returns this type.

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<ReplayError> for CliError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(Box::new(error))
    }
}

impl From<RehearsalError> for CliError {
    fn from(error: RehearsalError) -> Self {
        Self::Rehearsal(Box::new(error))
    }
}

impl CliError {
    /// A failed write to stdout.
    pub(super) fn from_write(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Write(error)
        }
    }

    /// What to do next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Source(e) => e.hint(),
            Self::Config(e) => e.hint(),
            Self::Versions(e) => e.hint(),
            Self::Graph(e) => e.hint(),
            Self::Id(e) => e.hint(),
            Self::Plan(e) => e.hint(),
            Self::PlanFile(e) => e.hint(),
            Self::Codec(e) => e.hint(),
            Self::Store(e) | Self::Apply(ApplyError::Store(e)) => e.hint(),
            Self::Apply(ApplyError::Stale(_)) => {
                Some("nothing was changed; plan again and have the new plan reviewed: outpost migrate plan -out FILE".to_owned())
            }
            Self::Replay(e) => e.hint(),
            Self::Rehearsal(e) => e.hint(),
            Self::RehearsalFailed { file: Some(file), .. } => Some(format!("{file} is written all the same, with what was seen; correct the migration and plan again, or apply it if you know better")),
            Self::RehearsalFailed { file: None, .. } => Some("correct the migration and plan again".to_owned()),
            Self::Sandbox(e) => e.hint(),
            Self::NobodyToAsk => Some("pass --yes to go ahead without a question".to_owned()),
            Self::Command { .. } => Some("check that the program is installed and on PATH".to_owned()),
            Self::Unpinned => Some("where Postgres is installed, `outpost migrate drift` replays the recorded migrations; `outpost migrate lock` pins the states that they reach in their order".to_owned()),
            Self::Exists(_) => Some("choose another name".to_owned()),
            Self::UnknownLease(_) => Some("outpost migrate unlock shows the leases and their ids".to_owned()),
            Self::StoreForLease { id: Some(id), .. } => Some(format!("to break the lease of that store: outpost migrate unlock LEASE_ID, where its id is {id}")),
            Self::StoreForLease { id: None, .. } => Some("outpost migrate unlock shows the leases and their ids; nobody holds one of that store".to_owned()),
            Self::LeaseAlive { .. } => Some("stop that run first; --force breaks its lease all the same, and it will then stop without writing anything more".to_owned()),
            Self::SignatureFile(e) => e.hint(),
            Self::Signature { plan, refusal } => Some(refusal.hint(&plan.display().to_string())),
            Self::UnsignedByNature { save } => Some(format!("save it, have it reviewed and signed, and apply the file: {save}")),
            Self::LockedKey(_) => Some(format!("sign with a key of the job's own that has none, or let ssh-agent do it: ssh-keygen -Y sign -n {NAMESPACE} -f KEY.pub PLAN")),
            Self::NothingBeside(_) => Some("save the plan to a file: -out FILE".to_owned()),
            Self::OtherDigest { .. } => Some("apply the plan that was reviewed, or have this one reviewed".to_owned()),
            _ => None,
        }
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::StoreForLease { .. } => Exit::Usage,
            Self::Apply(ApplyError::Stale(_)) => Exit::Stale,
            Self::Signature { .. } | Self::UnsignedByNature { .. } => Exit::Untrusted,
            Self::Store(e) | Self::Apply(ApplyError::Store(e)) => exit_of(e),
            _ => Exit::Error,
        }
    }
}

/// The exit code of a store's error.
pub(super) fn exit_of(error: &StoreError) -> Exit {
    match error.kind {
        StoreErrorKind::LeaseHeld(_) => Exit::LeaseHeld,
        StoreErrorKind::Unverified { .. } => Exit::Unverified,
        _ => Exit::Error,
    }
}
