//! What a script is refused for, and what is only worth a remark.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DirectiveError, SubstituteError};

/// A place that our parser cannot read. Whether it matters is the caller's decision: it blocks a migration
/// that is to run, but not one that was applied long ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SyntaxProblem {
    /// The file.
    pub file: String,
    /// The 1-based line.
    pub line: usize,
    /// The 1-based column in characters.
    pub column: usize,
    /// The parser's words.
    pub message: String,
    /// The line in question, cut to a readable length.
    pub statement_excerpt: String,
}

impl SyntaxProblem {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(
            "if Postgres accepts the file as it is, add `-- outpost: parse = false`: it is then sent as one piece"
                .to_owned(),
        )
    }
}

/// Something in a script that works, but seldom does what was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The 1-based line of the statement.
    pub line: usize,
    /// What it is about.
    pub kind: NoteKind,
    /// The statement, cut to a readable length.
    pub statement: String,
}

/// The kinds of [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A setting outlives the transaction and leaks through a connection pooler.
    SessionState,
    /// `set local` outside a transaction does nothing.
    LocalWithoutTransaction,
    /// A new enum value cannot be used before the commit.
    NewEnumValue,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remark = match self.kind {
            NoteKind::SessionState => {
                "outlives this migration, and through a connection pooler reaches other clients; use `set local`"
            }
            NoteKind::LocalWithoutTransaction => {
                "has no effect, because each statement of this file runs by itself"
            }
            NoteKind::NewEnumValue => {
                "adds a value that cannot be used before the commit; use it in a later migration"
            }
        };
        write!(f, "line {}: `{}` {remark}", self.line, self.statement)
    }
}

/// Why a script cannot be run as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// A directive cannot be followed.
    #[error(transparent)]
    Directive(#[from] DirectiveError),
    /// A `${name}` cannot be filled in.
    #[error("{file}: {source}")]
    Variable {
        /// The file.
        file: String,
        /// What is wrong.
        source: SubstituteError,
    },
    /// Postgres takes no NUL in a text.
    #[error("{file}:{line}: the file holds a NUL byte, which Postgres does not accept")]
    Nul {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
    },
    /// Larger than one message to the server can be.
    #[error("{file}: {bytes} bytes are more than one message to Postgres can hold")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// A command of psql, which the server does not know.
    #[error("{file}:{line}: `{command}` is a command of psql, not SQL")]
    MetaCommand {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The command with its backslash.
        command: String,
    },
    /// COPY from or to the client.
    #[error("{file}:{line}: `{statement}` needs a client that streams the rows")]
    ClientCopy {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The statement, cut to a readable length.
        statement: String,
    },
    /// BEGIN, COMMIT and their like anywhere but around the whole file.
    #[error("{file}:{line}: `{statement}` controls the transaction, which belongs to the tool")]
    TransactionControl {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The statement, cut to a readable length.
        statement: String,
    },
    /// A BEGIN around the whole file that asks for a special transaction.
    #[error(
        "{file}:{line}: `{statement}` asks for a transaction mode that the tool's own transaction does not have"
    )]
    TransactionModes {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The statement, cut to a readable length.
        statement: String,
    },
    /// `transaction = false` and BEGIN/COMMIT in one file.
    #[error(
        "{file}:{line}: the file is wrapped in `{statement}` although its directive says `transaction = false`"
    )]
    WrappedWithoutTransaction {
        /// The file.
        file: String,
        /// The 1-based line of the BEGIN.
        line: usize,
        /// The statement, cut to a readable length.
        statement: String,
    },
    /// A statement that Postgres refuses inside a transaction.
    #[error("{file}:{line}: {verb} cannot run in a transaction: {reason}")]
    NeedsNoTransaction {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The kind of statement.
        verb: String,
        /// Why it cannot.
        reason: &'static str,
    },
    /// CREATE INDEX CONCURRENTLY without a name.
    #[error("{file}:{line}: an index that is created concurrently needs a name")]
    UnnamedConcurrentIndex {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
    },
}

impl ScriptError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Directive(error) => return error.hint(),
            Self::Variable { source, .. } => return source.hint(),
            Self::Nul { .. } => "save the file as UTF-8 (UTF-16 holds NUL bytes)",
            Self::TooLarge { .. } => "split it into several migrations",
            Self::MetaCommand { .. } => {
                "write the SQL itself; a dump made for psql has to be cleaned first"
            }
            Self::ClientCopy { .. } => "write the rows as INSERT ... VALUES",
            Self::TransactionControl { .. } => {
                "remove it: the whole file runs in one transaction together with its ledger row; split the migration if it needs several"
            }
            Self::TransactionModes { .. } => {
                "remove the BEGIN and COMMIT; the migration then runs in a plain transaction"
            }
            Self::WrappedWithoutTransaction { .. } => {
                "remove the BEGIN and COMMIT, or the directive; only one of them can be meant"
            }
            Self::NeedsNoTransaction { .. } => {
                "put it into a migration of its own that starts with `-- outpost: transaction = false`"
            }
            Self::UnnamedConcurrentIndex { .. } => {
                "name it: a failed attempt leaves an INVALID index, which has to be found and dropped before the retry"
            }
        };
        Some(text.to_owned())
    }

    /// The 1-based line, where the error has one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Directive(
                DirectiveError::UnknownKey { line, .. }
                | DirectiveError::Duplicate { line, .. }
                | DirectiveError::Syntax { line, .. }
                | DirectiveError::WrongType { line, .. }
                | DirectiveError::Duration { line, .. }
                | DirectiveError::Late { line, .. },
            )
            | Self::Variable {
                source: SubstituteError::Unknown { line, .. } | SubstituteError::Malformed { line },
                ..
            }
            | Self::Nul { line, .. }
            | Self::MetaCommand { line, .. }
            | Self::ClientCopy { line, .. }
            | Self::TransactionControl { line, .. }
            | Self::TransactionModes { line, .. }
            | Self::WrappedWithoutTransaction { line, .. }
            | Self::NeedsNoTransaction { line, .. }
            | Self::UnnamedConcurrentIndex { line, .. } => Some(*line),
            Self::TooLarge { .. } => None,
        }
    }
}
