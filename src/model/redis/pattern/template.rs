//! Text with captures put in: the key that a copy goes to, a guard's value.

use std::fmt;

use super::error::{PatternError, PatternErrorKind};
use super::token::{Token, Tokens, Variables};
use super::{Captures, Part, Pattern};

/// A text whose `<name>` stand for what a pattern captured. `<name..>` means the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Capture { name: String, column: usize },
}

impl Template {
    /// Reads a template of a key: not empty, and every brace closed, since it makes a hash tag.
    pub fn parse_key(text: &str, variables: Variables<'_>) -> Result<Self, PatternError> {
        let tokens = Tokens::read(text, variables)?;
        tokens.check_braces()?;
        if tokens.list.is_empty() {
            return Err(tokens.error(1, PatternErrorKind::Empty));
        }
        Ok(Self::from_tokens(text, tokens))
    }

    /// Reads a template of a value, where braces mean nothing and the text may be empty.
    pub fn parse_value(text: &str, variables: Variables<'_>) -> Result<Self, PatternError> {
        Ok(Self::from_tokens(text, Tokens::read(text, variables)?))
    }

    fn from_tokens(text: &str, tokens: Tokens<'_>) -> Self {
        let mut pieces = Vec::new();
        for (column, token) in tokens.list {
            match token {
                Token::Written(byte) | Token::Given(byte) => match pieces.last_mut() {
                    Some(Piece::Literal(bytes)) => bytes.push(byte),
                    _ => pieces.push(Piece::Literal(vec![byte])),
                },
                Token::Capture { name, .. } => pieces.push(Piece::Capture { name, column }),
            }
        }
        Self {
            source: text.to_owned(),
            pieces,
        }
    }

    /// The text as declared, variables not filled in.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The captures it uses, in order, each as often as it is used.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Capture { name, .. } => Some(name.as_str()),
        })
    }

    /// Errs, naming the capture, where the template uses one that `pattern` lacks.
    pub fn check_against(&self, pattern: &Pattern) -> Result<(), PatternError> {
        for piece in &self.pieces {
            if let Piece::Capture { name, column } = piece
                && !pattern.names().contains(name)
            {
                return Err(self.lacks(name, *column, pattern.names().to_vec()));
            }
        }
        Ok(())
    }

    /// The text with the captures put in. Never fails for captures of a pattern that
    /// [`Template::check_against`] accepted.
    pub fn expand(&self, captures: &Captures<'_>) -> Result<Vec<u8>, PatternError> {
        let mut expanded = Vec::with_capacity(self.source.len() + captures.key().len());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => expanded.extend(bytes),
                Piece::Capture { name, column } => match captures.get(name) {
                    Some(bytes) => expanded.extend(bytes),
                    None => {
                        let known = captures.iter().map(|(name, _)| name.to_owned()).collect();
                        return Err(self.lacks(name, *column, known));
                    }
                },
            }
        }
        Ok(expanded)
    }

    /// The texts that the template can become, as a pattern: each capture is of the class that it has in
    /// `source`. `None` where two captures touch, which a pattern cannot say, or one is not in `source`.
    pub fn as_pattern(&self, source: &Pattern) -> Option<Pattern> {
        let mut parts = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut shortest = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => {
                    shortest += bytes.len();
                    parts.push(Part::Literal(bytes.clone()));
                }
                Piece::Capture { .. } if matches!(parts.last(), Some(Part::Capture { .. })) => {
                    return None;
                }
                Piece::Capture { name, .. } => {
                    let declared = source.names.iter().position(|known| known == name)?;
                    let class = source.parts.iter().find_map(|part| match part {
                        Part::Capture { slot, class } if *slot == declared => Some(*class),
                        _ => None,
                    })?;
                    shortest += class.shortest();
                    let slot = names
                        .iter()
                        .position(|known| known == name)
                        .unwrap_or_else(|| {
                            names.push(name.clone());
                            names.len() - 1
                        });
                    parts.push(Part::Capture { slot, class });
                }
            }
        }
        let captures = parts
            .iter()
            .filter(|part| matches!(part, Part::Capture { .. }))
            .count();
        if captures > super::MAX_CAPTURES {
            return None;
        }
        let repeats = captures > names.len();
        Some(Pattern {
            source: self.source.clone(),
            parts,
            names,
            repeats,
            shortest,
        })
    }

    fn lacks(&self, name: &str, column: usize, known: Vec<String>) -> PatternError {
        let kind = PatternErrorKind::UnknownCapture {
            name: name.to_owned(),
            known,
        };
        PatternError {
            text: self.source.clone(),
            column,
            kind,
        }
    }
}

impl Pattern {
    /// How the keys of the pattern are put together from their captures.
    pub fn as_template(&self) -> Template {
        let pieces = self.parts.iter().map(|part| match part {
            Part::Literal(bytes) => Piece::Literal(bytes.clone()),
            Part::Capture { slot, .. } => Piece::Capture {
                name: self.names[*slot].clone(),
                column: 1,
            },
        });
        Template {
            source: self.source.clone(),
            pieces: pieces.collect(),
        }
    }
}

/// The text as declared, safe to print.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::model::redis::printable::printable(
            self.source.as_bytes(),
        ))
    }
}
