//! Key patterns with captures.
//!
//! A pattern describes whole keys, as bytes:
//!
//! | written | matches |
//! | --- | --- |
//! | `<name>` | one or more bytes other than `:`, `{` and `}` |
//! | `{<name>}` | the same in a hash tag, where only `{` and `}` are excluded |
//! | `<name..>` | anything, also nothing |
//! | `${name}` | the variable's value, literally, whatever it holds |
//! | all else | itself; `*`, `?`, `[` and braces included |
//!
//! A capture used twice must be equal both times. A match is the one whose captures, from left to
//! right, are the shortest that let the whole key match.

mod error;
mod glob;
mod matching;
mod relate;
mod template;
mod token;

use std::fmt;

pub use error::{PatternError, PatternErrorKind};
pub use matching::Captures;
pub use relate::{Inclusion, contains, inclusion, outside, overlaps};
pub use template::Template;
pub use token::{MAX_BYTES, Variables};

use token::{Token, Tokens};

/// The most captures, repeated ones included, that a pattern may have.
pub const MAX_CAPTURES: usize = 12;

/// A pattern of whole keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    source: String,
    parts: Vec<Part>,
    /// Names by slot, in the order of their first use.
    names: Vec<String>,
    repeats: bool,
    shortest: usize,
}

/// Literals and captures; two of a kind never touch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Capture { slot: usize, class: Class },
}

/// Which bytes a capture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// All but `:`, `{` and `}`; at least one.
    Plain,
    /// All but `{` and `}`; at least one.
    Braced,
    /// All; also none.
    Any,
}

impl Class {
    fn admits(self, byte: u8) -> bool {
        match self {
            Self::Plain => !matches!(byte, b':' | b'{' | b'}'),
            Self::Braced => !matches!(byte, b'{' | b'}'),
            Self::Any => true,
        }
    }

    fn shortest(self) -> usize {
        usize::from(self != Self::Any)
    }
}

impl Pattern {
    /// Reads a pattern without variables; a `${name}` in it is an error.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::parse_with(text, &|_| None)
    }

    /// Reads a pattern, with each `${name}` replaced by a literal. Errors say the column in `text`.
    pub fn parse_with(text: &str, variables: Variables<'_>) -> Result<Self, PatternError> {
        let tokens = Tokens::read(text, variables)?;
        tokens.check_braces()?;
        if tokens.list.is_empty() {
            return Err(tokens.error(1, PatternErrorKind::Empty));
        }
        let mut parts = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut captures = 0;
        for (index, (column, token)) in tokens.list.iter().enumerate() {
            match token {
                Token::Written(byte) | Token::Given(byte) => match parts.last_mut() {
                    Some(Part::Literal(bytes)) => bytes.push(*byte),
                    _ => parts.push(Part::Literal(vec![*byte])),
                },
                Token::Capture { name, rest } => {
                    if let Some(Part::Capture { slot, .. }) = parts.last() {
                        let (first, second) = (names[*slot].clone(), name.clone());
                        return Err(tokens.error(
                            *column,
                            PatternErrorKind::AdjacentCaptures { first, second },
                        ));
                    }
                    captures += 1;
                    if captures > MAX_CAPTURES {
                        let limit = MAX_CAPTURES;
                        return Err(
                            tokens.error(*column, PatternErrorKind::TooManyCaptures { limit })
                        );
                    }
                    let slot = names
                        .iter()
                        .position(|known| known == name)
                        .unwrap_or_else(|| {
                            names.push(name.clone());
                            names.len() - 1
                        });
                    let class = if *rest {
                        Class::Any
                    } else {
                        class_at(&tokens.list, index)
                    };
                    parts.push(Part::Capture { slot, class });
                }
            }
        }
        let shortest = parts
            .iter()
            .map(|part| match part {
                Part::Literal(bytes) => bytes.len(),
                Part::Capture { class, .. } => class.shortest(),
            })
            .sum();
        let repeats = captures > names.len();
        Ok(Self {
            source: text.to_owned(),
            parts,
            names,
            repeats,
            shortest,
        })
    }

    /// The text as declared, variables not filled in.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names of the captures, in the order of their first use.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a capture is used twice. What the relations say of such a pattern is a "may".
    pub fn repeats_a_capture(&self) -> bool {
        self.repeats
    }
}

/// A capture between two written braces is a hash tag's content.
fn class_at(tokens: &[(usize, Token)], index: usize) -> Class {
    let is = |at: Option<usize>, byte| {
        at.and_then(|at| tokens.get(at))
            .is_some_and(|(_, token)| *token == Token::Written(byte))
    };
    if is(index.checked_sub(1), b'{') && is(Some(index + 1), b'}') {
        Class::Braced
    } else {
        Class::Plain
    }
}

/// The text as declared, safe to print.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::model::redis::printable::printable(
            self.source.as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests;
