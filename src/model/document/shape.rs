//! What can be wrong with the shape of a TOML file.

use thiserror::Error;

/// A file whose shape is wrong, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub problem: ShapeProblem,
}

/// What is wrong with the shape of a TOML file. No variant holds a value from the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeProblem {
    /// Not TOML.
    #[error("column {column}: {message}, in `{excerpt}`")]
    Malformed {
        /// The column, in characters, from 1.
        column: usize,
        /// The line's text; what may be a secret is masked.
        excerpt: String,
        /// The parser's message.
        message: String,
    },
    /// A section that does not exist.
    #[error("there is no section [{section}]")]
    UnknownSection {
        /// The section as written.
        section: String,
        /// The known one that it resembles.
        nearest: Option<String>,
        /// All known ones.
        known: Vec<String>,
    },
    /// A key that does not exist.
    #[error("there is no key `{key}`{}", inside(section))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The section it stands in; empty at the top level.
        section: String,
        /// The known one that it resembles.
        nearest: Option<String>,
        /// All known ones of this section.
        known: Vec<String>,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The full name of the key.
        key: String,
        /// What is expected there.
        expected: &'static str,
        /// The TOML type found.
        found: &'static str,
    },
    /// A required key that is absent.
    #[error("`{key}` is missing{}", inside(section))]
    Missing {
        /// The key.
        key: String,
        /// The section that must hold it.
        section: String,
    },
}

fn inside(section: &str) -> String {
    if section.is_empty() {
        String::new()
    } else {
        format!(" in [{section}]")
    }
}

impl ShapeProblem {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownSection {
                nearest: Some(name),
                ..
            } => Some(format!("did you mean [{name}]?")),
            Self::UnknownKey {
                nearest: Some(name),
                ..
            } => Some(format!("did you mean `{name}`?")),
            Self::UnknownSection { known, .. } => {
                Some(format!("the sections are [{}]", known.join("], [")))
            }
            Self::UnknownKey { known, .. } if known.is_empty() => None,
            Self::UnknownKey { known, section, .. } if section.is_empty() => Some(format!(
                "at the top level there are only [{}]",
                known.join("], [")
            )),
            Self::UnknownKey { known, .. } => {
                Some(format!("the keys are `{}`", known.join("`, `")))
            }
            Self::WrongType { expected, .. } => Some(format!("write {expected}")),
            Self::Missing { key, .. } => Some(format!("add `{key} = \"...\"`")),
            Self::Malformed { .. } => {
                Some("mend the TOML there; strings need quotes around them".to_owned())
            }
        }
    }
}
