//! From text to tokens: literals, captures and filled-in variables, for patterns and templates alike.

use super::error::{PatternError, PatternErrorKind};

/// Gives a variable's value by its name, or nothing where it is not defined.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The longest pattern or template, in bytes with its variables filled in. Keeps the relations between
/// patterns, which take time with the product of two lengths, quick on any input.
pub const MAX_BYTES: usize = 1024;

/// One unit of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A literal byte as written; only these make a hash tag.
    Written(u8),
    /// A byte of a variable's value: literal whatever it is.
    Given(u8),
    /// `<name>`, or with `rest` `<name..>`.
    Capture { name: String, rest: bool },
}

/// Tokens with the column, from 1, where each begins.
pub(super) struct Tokens<'t> {
    text: &'t str,
    pub(super) list: Vec<(usize, Token)>,
}

impl<'t> Tokens<'t> {
    /// Reads `text`. Errors: unclosed or misnamed captures and variables, unknown variables, too long.
    pub(super) fn read(text: &'t str, variables: Variables<'_>) -> Result<Self, PatternError> {
        let mut tokens = Self {
            text,
            list: Vec::new(),
        };
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let column = tokens.column(rest);
            let used = if rest.starts_with("${") {
                tokens.variable(rest, column, variables)?
            } else {
                match character {
                    '<' => tokens.capture(rest, column)?,
                    '>' => return Err(tokens.error(column, PatternErrorKind::StrayClose)),
                    _ => {
                        let bytes = rest.bytes().take(character.len_utf8());
                        tokens
                            .list
                            .extend(bytes.map(|byte| (column, Token::Written(byte))));
                        character.len_utf8()
                    }
                }
            };
            rest = &rest[used..];
        }
        let bytes = tokens.list.len();
        if bytes > MAX_BYTES {
            return Err(tokens.error(
                1,
                PatternErrorKind::TooLong {
                    bytes,
                    limit: MAX_BYTES,
                },
            ));
        }
        Ok(tokens)
    }

    /// Holds every written brace to a partner.
    pub(super) fn check_braces(&self) -> Result<(), PatternError> {
        let mut open = Vec::new();
        for (column, token) in &self.list {
            match token {
                Token::Written(b'{') => open.push(*column),
                Token::Written(b'}') if open.pop().is_none() => {
                    return Err(self.error(*column, PatternErrorKind::StrayBrace));
                }
                _ => {}
            }
        }
        match open.first() {
            Some(column) => Err(self.error(*column, PatternErrorKind::UnclosedBrace)),
            None => Ok(()),
        }
    }

    pub(super) fn error(&self, column: usize, kind: PatternErrorKind) -> PatternError {
        PatternError {
            text: self.text.to_owned(),
            column,
            kind,
        }
    }

    fn column(&self, rest: &str) -> usize {
        self.text[..self.text.len() - rest.len()].chars().count() + 1
    }

    fn variable(
        &mut self,
        rest: &str,
        column: usize,
        variables: Variables<'_>,
    ) -> Result<usize, PatternError> {
        let Some(end) = rest.find('}') else {
            return Err(self.error(column, PatternErrorKind::UnclosedVariable));
        };
        let name = &rest[2..end];
        if !is_name(name) {
            return Err(self.error(
                column,
                PatternErrorKind::InvalidVariable {
                    name: name.to_owned(),
                },
            ));
        }
        let Some(value) = variables(name) else {
            return Err(self.error(
                column,
                PatternErrorKind::UnknownVariable {
                    name: name.to_owned(),
                },
            ));
        };
        self.list
            .extend(value.bytes().map(|byte| (column, Token::Given(byte))));
        Ok(end + 1)
    }

    fn capture(&mut self, rest: &str, column: usize) -> Result<usize, PatternError> {
        let inner = &rest[1..];
        let end = match inner.find(['<', '>']) {
            Some(end) if inner.as_bytes()[end] == b'>' => end,
            _ => return Err(self.error(column, PatternErrorKind::UnclosedCapture)),
        };
        let (name, any) = match inner[..end].strip_suffix("..") {
            Some(name) => (name, true),
            None => (&inner[..end], false),
        };
        if !is_name(name) {
            let name = inner[..end].to_owned();
            return Err(self.error(column, PatternErrorKind::InvalidName { name }));
        }
        self.list.push((
            column,
            Token::Capture {
                name: name.to_owned(),
                rest: any,
            },
        ));
        Ok(end + 2)
    }
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit())
}
