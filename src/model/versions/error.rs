//! What can be wrong with versions.toml.

use thiserror::Error;

use super::LATEST;
use crate::model::document::ShapeProblem;
use crate::model::id::{IdError, MigrationId};

/// What is wrong with `versions.toml`, or with a version that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{problem}", place(.file.as_deref(), *.line))]
pub struct VersionsError {
    /// The file; `None` when there is none.
    pub file: Option<String>,
    /// The line, from 1; `None` when the problem is not in the file.
    pub line: Option<u32>,
    /// What is wrong.
    pub problem: Box<VersionsProblem>,
}

fn place(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        _ => String::new(),
    }
}

/// The kinds of [`VersionsError`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionsProblem {
    /// Malformed TOML, unknown keys, wrong types.
    #[error(transparent)]
    Shape(ShapeProblem),
    /// A version named `latest`.
    #[error("`latest` cannot be declared: it is always every migration")]
    Reserved,
    /// A name that is empty or holds white space.
    #[error("`{version}` cannot name a version: it is empty or holds white space")]
    BadName {
        /// The name as written.
        version: String,
    },
    /// Text under `add` that is no id.
    #[error(transparent)]
    BadId(IdError),
    /// Two versions of one name.
    #[error("version `{version}` is already declared on line {first_line}")]
    DuplicateVersion {
        /// The name.
        version: String,
        /// Where it is declared first.
        first_line: u32,
    },
    /// An id that a version adds although it, or a base of it, has it already.
    #[error("version `{version}` adds {id} again: `{first_version}` adds it on line {first_line}")]
    DuplicateId {
        /// The id.
        id: MigrationId,
        /// The version that adds it again.
        version: String,
        /// The version that has it.
        first_version: String,
        /// Where that one adds it.
        first_line: u32,
    },
    /// A base that is not declared.
    #[error("version `{version}` extends `{base}`, which is not declared")]
    MissingBase {
        /// The version that extends.
        version: String,
        /// The base as written.
        base: String,
        /// The declared version that it resembles.
        nearest: Option<String>,
    },
    /// Versions that extend one another in a circle.
    #[error("versions extend one another in a circle: {}", cycle.join(" -> "))]
    Cycle {
        /// The names on the circle; the first is repeated at the end.
        cycle: Vec<String>,
    },
    /// A version that was asked for and is not declared.
    #[error("there is no version `{version}`; known are {}", known.join(", "))]
    UnknownVersion {
        /// What was asked for.
        version: String,
        /// The known version that it resembles.
        nearest: Option<String>,
        /// The known ones: those of the file, then `latest`.
        known: Vec<String>,
    },
    /// An id that no migration has.
    #[error("version `{version}` adds {id}, which is not in the catalog")]
    UnknownId {
        /// The id as written.
        id: MigrationId,
        /// The version.
        version: String,
        /// The migration that it resembles.
        nearest: Option<String>,
    },
    /// A version without something that one of its migrations requires.
    #[error(
        "version `{version}` adds {id}, which requires {requirement}: neither this version nor one below has it"
    )]
    MissingRequirement {
        /// The migration that requires.
        id: MigrationId,
        /// The version that adds it.
        version: String,
        /// What it requires.
        requirement: MigrationId,
    },
}

impl VersionsError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self.problem.as_ref() {
            VersionsProblem::Shape(problem) => problem.hint(),
            VersionsProblem::Reserved => {
                Some("name it after a release, such as \"1.2\"".to_owned())
            }
            VersionsProblem::BadName { .. } => Some("use a name such as \"1.2\"".to_owned()),
            VersionsProblem::BadId(error) => error.hint(),
            VersionsProblem::DuplicateVersion { .. } => {
                Some("rename or remove one of the two".to_owned())
            }
            VersionsProblem::DuplicateId { version, .. } => {
                Some(format!("remove it from `{version}`"))
            }
            VersionsProblem::MissingBase { nearest, base, .. } => Some(match nearest {
                Some(name) => format!("did you mean `{name}`?"),
                None if base == LATEST => {
                    "a version cannot extend `latest`; name a declared one".to_owned()
                }
                None => format!("declare `{base}`, or remove `extends`"),
            }),
            VersionsProblem::Cycle { .. } => Some("remove one `extends` of the circle".to_owned()),
            VersionsProblem::UnknownVersion { nearest, .. } => Some(match (nearest, &self.file) {
                (Some(name), _) => format!("did you mean `{name}`?"),
                (None, Some(file)) => format!("declare it in {file}, or choose a known one"),
                (None, None) => "without a versions.toml there is only `latest`".to_owned(),
            }),
            VersionsProblem::UnknownId { nearest, .. } => Some(match nearest {
                Some(name) => format!("did you mean `{name}`?"),
                None => "remove it, or add the migration's file".to_owned(),
            }),
            VersionsProblem::MissingRequirement {
                requirement,
                version,
                ..
            } => Some(format!(
                "add {requirement} to `{version}` or to a version that it extends"
            )),
        }
    }
}
