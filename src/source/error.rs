//! What can be wrong with the files of a project.

use std::path::PathBuf;

use crate::model::config::ConfigError;
use crate::model::id::{IdError, MigrationId};
use crate::model::lock::LockError;
use crate::model::redis::declaration::DeclarationError;
use crate::model::sql::ScriptError;
use crate::model::versions::VersionsError;

/// Why a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no configuration file.
    #[error("there is no {}", .0.display())]
    NoConfig(PathBuf),
    /// There is no schema folder.
    #[error("there is no schema folder {}", .0.display())]
    NoSchema(PathBuf),
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// A file is no UTF-8 text.
    #[error("{} is not UTF-8 text: byte {at} cannot be read", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Offset of the first bad byte.
        at: usize,
    },
    /// A file name says nothing.
    #[error("{path}: a file here is named NNNN_name{expected}")]
    FileName {
        /// The file, below the schema folder.
        path: String,
        /// The endings that are known.
        expected: &'static str,
    },
    /// A file's name is no id.
    #[error("{path}: {source}")]
    Id {
        /// The file, below the schema folder.
        path: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// Two migrations of a store have one number.
    #[error("{first} and {second} have the same number")]
    DuplicateNumber {
        /// One of them.
        first: MigrationId,
        /// The other.
        second: MigrationId,
    },
    /// A down, verify or cleanup without its up.
    #[error("{path} has no {id}.up.sql beside it")]
    WithoutUp {
        /// The file, below the schema folder.
        path: String,
        /// The migration that is missing.
        id: String,
    },
    /// A `requires` that is no id.
    #[error("{path}:{line}: requires: {source}")]
    Requires {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// What is wrong with it.
        source: IdError,
    },
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `versions.toml` is not valid.
    #[error(transparent)]
    Versions(#[from] VersionsError),
    /// `outpost.lock` is not valid.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// An SQL file cannot be used.
    #[error(transparent)]
    Sql(#[from] ScriptError),
    /// A Redis file cannot be used.
    #[error(transparent)]
    Redis(#[from] DeclarationError),
}

impl SourceError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoConfig(_) => Some("run outpost in the folder that holds it, or name it with --config FILE; docs/configuration.md shows one".to_owned()),
            Self::NoSchema(_) => Some("set [schema] path, or begin one with: outpost migrate new sql NAME".to_owned()),
            Self::Io { .. } => None,
            Self::NotText { .. } => Some("save it as UTF-8".to_owned()),
            Self::FileName { .. } => Some("rename it, or move it out of the schema folder".to_owned()),
            Self::Id { source, .. } | Self::Requires { source, .. } => source.hint(),
            Self::DuplicateNumber { second, .. } => Some(format!("give {second} the next free number")),
            Self::WithoutUp { .. } => Some("write it, or remove this file".to_owned()),
            Self::Config(e) => e.hint(),
            Self::Versions(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Sql(e) => e.hint(),
            Self::Redis(e) => e.hint(),
        }
    }
}
