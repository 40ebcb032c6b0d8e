//! Directives: TOML in the leading comments of an SQL file, `-- outpost: key = value`.

use std::{collections::BTreeMap, time::Duration};

use thiserror::Error;
use toml::Value;

use super::lines::Lines;
use crate::model::allow::Allow;
use crate::model::duration::{DurationError, parse_duration};
use crate::model::nearest::nearest;

const KEYS: [&str; 10] = [
    "allow",
    "data_loss",
    "description",
    "lock_timeout",
    "parse",
    "requires",
    "root",
    "statement_timeout",
    "transaction",
    "vars",
];

/// What an SQL file says about itself before its first statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// Ids of migrations that must be applied before, on top of the predecessor.
    pub requires: Vec<String>,
    /// The migration does not require its predecessor.
    pub root: bool,
    /// The file runs in one transaction together with its ledger row; otherwise statement by statement.
    pub transaction: bool,
    /// `lock_timeout` for this file instead of the configured one.
    pub lock_timeout: Option<Duration>,
    /// `statement_timeout` for this file instead of the configured one.
    pub statement_timeout: Option<Duration>,
    /// `${name}` is filled in from `[vars]`.
    pub vars: bool,
    /// In a down file: what a revert loses, in words for the reviewer.
    pub data_loss: Option<String>,
    /// A line for screens.
    pub description: Option<String>,
    /// Our parser must understand the file; otherwise it is sent to the server as one piece.
    pub parse: bool,
    /// Findings on the file that its author accepts; the one directive that may be repeated.
    pub allow: Vec<Allow>,
    /// The 1-based line of each directive that was written.
    pub lines: BTreeMap<String, usize>,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            requires: Vec::new(),
            root: false,
            transaction: true,
            lock_timeout: None,
            statement_timeout: None,
            vars: false,
            data_loss: None,
            description: None,
            parse: true,
            allow: Vec::new(),
            lines: BTreeMap::new(),
        }
    }
}

/// A directive that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectiveError {
    /// No such directive.
    #[error("{file}:{line}: there is no directive `{key}`{}", nearest.as_ref().map(|key| format!("; did you mean `{key}`?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// What was written.
        key: String,
        /// The most similar directive.
        nearest: Option<String>,
    },
    /// The same directive twice.
    #[error("{file}:{line}: directive `{key}` was already given on line {first_line}")]
    Duplicate {
        /// The file.
        file: String,
        /// The 1-based line of the second one.
        line: usize,
        /// The directive.
        key: String,
        /// The 1-based line of the first one.
        first_line: usize,
    },
    /// Not one `key = value` of TOML.
    #[error("{file}:{line}: a directive is one `key = value` in TOML: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The TOML reader's words.
        message: String,
    },
    /// A value of another type than the directive takes.
    #[error("{file}:{line}: directive `{key}` takes {expected}, found {found}")]
    WrongType {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The directive.
        key: String,
        /// The type that it takes.
        expected: &'static str,
        /// The type that was written.
        found: &'static str,
    },
    /// A timeout that is no span of time.
    #[error("{file}:{line}: directive `{key}`: {source}")]
    Duration {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
        /// The directive.
        key: String,
        /// What is wrong with it.
        source: DurationError,
    },
    /// A directive behind the first statement, where it would have no effect.
    #[error(
        "{file}:{line}: this directive stands behind the first statement, where it has no effect"
    )]
    Late {
        /// The file.
        file: String,
        /// The 1-based line.
        line: usize,
    },
}

impl DirectiveError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { .. } => Some(format!("the directives are {}", KEYS.join(", "))),
            Self::Late { .. } => Some("move it above the first statement".to_owned()),
            Self::Syntax { .. } => Some(
                "write it like `-- outpost: transaction = false`; a comment in plain words must not start with `outpost:`"
                    .to_owned(),
            ),
            Self::Duplicate { .. } | Self::WrongType { .. } | Self::Duration { .. } => None,
        }
    }
}

impl Directives {
    /// Reads the directives before the first statement; `file` is only used to word errors.
    ///
    /// Blank lines and other comments may stand between them. A directive behind the first statement is
    /// found by [`Script::parse`](super::Script::parse), which knows where the statements are.
    ///
    /// # Errors
    /// [`DirectiveError`] for the first directive that cannot be followed.
    pub fn parse(file: &str, text: &str) -> Result<Self, DirectiveError> {
        let lines = Lines::new(text);
        let mut directives = Self::default();
        for (offset, toml) in leading_directives(text) {
            directives.add(file, lines.line(offset), toml)?;
        }
        Ok(directives)
    }

    fn add(&mut self, file: &str, line: usize, toml: &str) -> Result<(), DirectiveError> {
        let syntax = |message: &str| DirectiveError::Syntax {
            file: file.to_owned(),
            line,
            message: message.to_owned(),
        };
        let table: toml::Table = toml::from_str(toml).map_err(|error| syntax(error.message()))?;
        let mut entries = table.into_iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else {
            return Err(syntax("there is no `key = value`"));
        };
        let at = At {
            file,
            line,
            key: &key,
        };
        match key.as_str() {
            "allow" => {
                self.allow.extend(at.allow(value)?);
                self.lines.entry(key).or_insert(line);
                return Ok(());
            }
            "requires" => self.requires = at.strings(value)?,
            "root" => self.root = at.bool(&value)?,
            "transaction" => self.transaction = at.bool(&value)?,
            "lock_timeout" => self.lock_timeout = Some(at.duration(value)?),
            "statement_timeout" => self.statement_timeout = Some(at.duration(value)?),
            "vars" => self.vars = at.bool(&value)?,
            "data_loss" => self.data_loss = Some(at.string(value)?),
            "description" => self.description = Some(at.string(value)?),
            "parse" => self.parse = at.bool(&value)?,
            _ => {
                return Err(DirectiveError::UnknownKey {
                    file: file.to_owned(),
                    line,
                    nearest: nearest(&key, KEYS),
                    key,
                });
            }
        }
        match self.lines.insert(key.clone(), line) {
            None => Ok(()),
            Some(first_line) => Err(DirectiveError::Duplicate {
                file: file.to_owned(),
                line,
                key,
                first_line,
            }),
        }
    }
}

struct At<'a> {
    file: &'a str,
    line: usize,
    key: &'a str,
}

impl At<'_> {
    fn wrong(&self, expected: &'static str, value: &Value) -> DirectiveError {
        DirectiveError::WrongType {
            file: self.file.to_owned(),
            line: self.line,
            key: self.key.to_owned(),
            expected,
            found: value.type_str(),
        }
    }

    fn bool(&self, value: &Value) -> Result<bool, DirectiveError> {
        value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false", value))
    }

    fn string(&self, value: Value) -> Result<String, DirectiveError> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(self.wrong("a string", &other)),
        }
    }

    fn strings(&self, value: Value) -> Result<Vec<String>, DirectiveError> {
        const EXPECTED: &str = "an array of strings";
        match value {
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(self.wrong(EXPECTED, &other)),
                })
                .collect(),
            other => Err(self.wrong(EXPECTED, &other)),
        }
    }

    fn allow(&self, value: Value) -> Result<Vec<Allow>, DirectiveError> {
        const EXPECTED: &str = "a table of rules and reasons, such as { \"rule\" = \"why\" }";
        let Value::Table(rules) = value else {
            return Err(self.wrong(EXPECTED, &value));
        };
        rules
            .into_iter()
            .map(|(rule, reason)| match reason {
                Value::String(reason) => Ok(Allow {
                    rule,
                    reason,
                    line: self.line,
                }),
                other => Err(self.wrong(EXPECTED, &other)),
            })
            .collect()
    }

    fn duration(&self, value: Value) -> Result<Duration, DirectiveError> {
        let Value::String(text) = value else {
            return Err(self.wrong("a string such as \"2s\"", &value));
        };
        parse_duration(&text).map_err(|source| DirectiveError::Duration {
            file: self.file.to_owned(),
            line: self.line,
            key: self.key.to_owned(),
            source,
        })
    }
}

/// The TOML in a comment, when the comment is a directive. The word is matched in lower case only, so that
/// prose about Outpost the product stays prose.
pub(super) fn directive_in(comment: &str) -> Option<&str> {
    let body = comment.strip_prefix("--")?.trim_start();
    Some(
        body.strip_prefix("outpost")?
            .trim_start()
            .strip_prefix(':')?
            .trim(),
    )
}

/// Offset and TOML of each directive in the comments before the first statement.
fn leading_directives(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    loop {
        let rest = &text[at..];
        let skipped = rest.len()
            - rest
                .trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c', ';'])
                .len();
        at += skipped;
        let rest = &text[at..];
        if rest.starts_with("--") {
            let comment = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
            if let Some(toml) = directive_in(comment) {
                found.push((at, toml));
            }
            at += comment.len();
        } else if rest.starts_with("/*") {
            at = super::depth::end_of_comment(text.as_bytes(), at);
        } else {
            return found;
        }
    }
}

#[cfg(test)]
mod tests;
