//! Exit codes, in one place.

use std::process::ExitCode;

/// What the process says to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// An error.
    Error,
    /// `plan -detailed-exitcode` found changes.
    Changes,
    /// Migrations are pending.
    Pending,
    /// The plan is stale.
    Stale,
    /// Somebody else holds the lease.
    LeaseHeld,
    /// Verification failed, or something has drifted.
    Unverified,
    /// Nobody whose signature counts signed the plan.
    Untrusted,
    /// Wrong usage.
    Usage,
    /// Ended by a signal with this number.
    Signal(u8),
    /// A command's own code, passed on.
    Command(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Pending => 3,
            Self::Stale => 4,
            Self::LeaseHeld => 5,
            Self::Unverified => 6,
            Self::Untrusted => 7,
            Self::Usage => 64,
            Self::Signal(number) => 128 + number,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
