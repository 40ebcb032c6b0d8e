//! What can be wrong with a key pattern or a template.

use crate::model::redis::printable::printable;

/// A pattern or template that does not stand, with the place in its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}`, column {column}: {kind}", printable(.text.as_bytes()))]
pub struct PatternError {
    /// The text as it was declared.
    pub text: String,
    /// Where, counted in characters from 1.
    pub column: usize,
    /// What.
    pub kind: PatternErrorKind,
}

/// The ways in which a pattern or template can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternErrorKind {
    /// The text is empty, or only empty variables are left of it.
    #[error("it is empty, so it names no key")]
    Empty,
    /// `<` without its `>`.
    #[error("the capture that `<` opens is never closed")]
    UnclosedCapture,
    /// `>` without a `<` before it.
    #[error("`>` closes no capture")]
    StrayClose,
    /// `<>`, `<..>` or a name that is not a word.
    #[error(
        "`<{}>` is not a capture: a name is letters, digits and `_`, and does not begin with a digit",
        printable(.name.as_bytes())
    )]
    InvalidName {
        /// What stands between the angle brackets.
        name: String,
    },
    /// Two captures side by side: where one ends and the other begins would be a guess.
    #[error("`<{first}>` and `<{second}>` touch, so nothing says where one ends")]
    AdjacentCaptures {
        /// The capture on the left.
        first: String,
        /// The capture on the right, at `column`.
        second: String,
    },
    /// `{` without its `}`: a hash tag that never closes.
    #[error("the brace that opens here is never closed")]
    UnclosedBrace,
    /// `}` without a `{` before it.
    #[error("`}}` closes no brace")]
    StrayBrace,
    /// `${` without its `}`.
    #[error("the variable that `${{` opens is never closed")]
    UnclosedVariable,
    /// `${}` or a name that is not a word.
    #[error("`${{{}}}` is not a variable", printable(.name.as_bytes()))]
    InvalidVariable {
        /// What stands between the braces.
        name: String,
    },
    /// A variable that nothing defines.
    #[error("no variable is called `{name}`")]
    UnknownVariable {
        /// The name.
        name: String,
    },
    /// More captures than a key pattern may have.
    #[error("more than {limit} captures")]
    TooManyCaptures {
        /// The most that are allowed.
        limit: usize,
    },
    /// Longer than a pattern may be, variables filled in.
    #[error("{bytes} bytes with its variables filled in, more than the {limit} allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A template uses a capture that the pattern does not have.
    #[error("the key pattern captures no `{name}`, only: {}", list(.known))]
    UnknownCapture {
        /// The name that the template uses.
        name: String,
        /// The names that the pattern has, in order.
        known: Vec<String>,
    },
}

impl PatternError {
    /// What to do next, where that can be said.
    pub fn hint(&self) -> Option<String> {
        Some(match &self.kind {
            PatternErrorKind::AdjacentCaptures { .. } => {
                "put a literal between them, or capture both as one".to_owned()
            }
            PatternErrorKind::UnknownCapture { name, known } => {
                match crate::model::nearest::nearest(name, known) {
                    Some(nearest) => format!("did you mean `<{nearest}>`?"),
                    None => {
                        format!("capture it in the step's pattern as `<{name}>`, or leave it out")
                    }
                }
            }
            PatternErrorKind::UnknownVariable { name } => {
                format!("define `{name}` under [vars] in outpost.toml")
            }
            PatternErrorKind::UnclosedCapture | PatternErrorKind::StrayClose => {
                "a literal `<` or `>` can come in through a variable, whose text is never a capture"
                    .to_owned()
            }
            PatternErrorKind::UnclosedBrace | PatternErrorKind::StrayBrace => {
                "a hash tag is `{...}`; a lone literal brace can come in through a variable"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        return "nothing".to_owned();
    }
    known
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
