//! TOML read key by key, so that every complaint names the line and the nearest known key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

mod shape;
mod show;

pub use shape::{ShapeError, ShapeProblem};
pub use show::printable;

use show::masked;

/// A parsed TOML file.
pub struct Document<'a> {
    text: &'a str,
    root: DeTable<'a>,
}

impl<'a> Document<'a> {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// [`ShapeProblem::Malformed`] with line, column and the line itself, credentials masked.
    pub fn parse(text: &'a str) -> Result<Self, ShapeError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self {
                text,
                root: root.into_inner(),
            }),
            Err(error) => Err(malformed(text, error.message(), error.span())),
        }
    }

    /// The top level.
    pub fn root(&self) -> Table<'_> {
        Table {
            text: self.text,
            path: String::new(),
            line: 1,
            entries: &self.root,
        }
    }
}

fn malformed(text: &str, message: &str, span: Option<Range<usize>>) -> ShapeError {
    let offset = text.floor_char_boundary(span.map_or(0, |span| span.start));
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let content = text[start..].lines().next().unwrap_or("");
    ShapeError {
        line: line_at(text, offset),
        problem: ShapeProblem::Malformed {
            column: text[start..offset].chars().count().saturating_add(1),
            excerpt: masked(content),
            message: printable(message),
        },
    }
}

fn line_at(text: &str, offset: usize) -> u32 {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(newlines)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// A string as written in a file, and where.
///
/// `Debug` leaves the text out: a file may hold what it should not.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The full name of its key: `redis.url`, `serve.command[1]`.
    pub key: String,
    /// The line on which the value starts, from 1.
    pub line: u32,
    /// The value, escapes resolved, variables not.
    pub raw: String,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on line {}", self.key, self.line)
    }
}

/// A table in a document, with the path of keys that leads to it.
#[derive(Clone)]
pub struct Table<'d> {
    text: &'d str,
    path: String,
    line: u32,
    entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    /// The line on which the table starts, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Refuses keys that are not in `known`.
    ///
    /// # Errors
    /// [`ShapeProblem::UnknownKey`] or, for a table, [`ShapeProblem::UnknownSection`], for the first one.
    pub fn allow_only(&self, known: &[&str]) -> Result<(), ShapeError> {
        for (key, value) in self.entries {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let found = nearest(name, known);
            let known = known.iter().map(|&k| k.to_owned()).collect();
            let problem = if self.path.is_empty() && value.get_ref().is_table() {
                ShapeProblem::UnknownSection {
                    section: printable(name),
                    nearest: found,
                    known,
                }
            } else {
                ShapeProblem::UnknownKey {
                    key: printable(name),
                    section: self.path.clone(),
                    nearest: found,
                    known,
                }
            };
            return Err(self.error(key.span(), problem));
        }
        Ok(())
    }

    /// The table's keys and the lines they stand on, in file order.
    pub fn keys(&self) -> impl Iterator<Item = (&'d str, u32)> + '_ {
        self.entries
            .iter()
            .map(|(key, _)| (key.get_ref().as_ref(), line_at(self.text, key.span().start)))
    }

    /// The table under `key`.
    ///
    /// # Errors
    /// [`ShapeProblem::WrongType`] when it is something else.
    pub fn table(&self, key: &str) -> Result<Option<Table<'d>>, ShapeError> {
        let Some((name, value)) = self.entry(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Some(Table {
                text: self.text,
                path: self.full(key),
                line: line_at(self.text, name.span().start),
                entries,
            })),
            other => Err(self.wrong(value, self.full(key), "a table", other)),
        }
    }

    /// The tables under `key`, written `[[key]]`; none when the key is absent.
    ///
    /// # Errors
    /// [`ShapeProblem::WrongType`] when it is something else.
    pub fn tables(&self, key: &str) -> Result<Vec<Table<'d>>, ShapeError> {
        const EXPECTED: &str = "an array of tables";
        let Some((_, value)) = self.entry(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(value, self.full(key), EXPECTED, value.get_ref()));
        };
        items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::Table(entries) => Ok(Table {
                    text: self.text,
                    path: self.full(key),
                    line: line_at(self.text, item.span().start),
                    entries,
                }),
                other => Err(self.wrong(item, self.full(key), EXPECTED, other)),
            })
            .collect()
    }

    /// The string under `key`.
    ///
    /// # Errors
    /// [`ShapeProblem::WrongType`] when it is something else.
    pub fn string(&self, key: &str) -> Result<Option<Text>, ShapeError> {
        self.entry(key)
            .map(|(_, value)| self.as_text(value, self.full(key), "a string"))
            .transpose()
    }

    /// The string under `key`, which must be there.
    ///
    /// # Errors
    /// [`ShapeProblem::Missing`] on the table's line, or [`ShapeProblem::WrongType`].
    pub fn required_string(&self, key: &str) -> Result<Text, ShapeError> {
        self.string(key)?.ok_or_else(|| ShapeError {
            line: self.line,
            problem: ShapeProblem::Missing {
                key: key.to_owned(),
                section: self.path.clone(),
            },
        })
    }

    /// The array of strings under `key`.
    ///
    /// # Errors
    /// [`ShapeProblem::WrongType`] when it, or an item of it, is something else.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<Text>>, ShapeError> {
        const EXPECTED: &str = "an array of strings";
        let Some((_, value)) = self.entry(key) else {
            return Ok(None);
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(value, self.full(key), EXPECTED, value.get_ref()));
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                self.as_text(item, format!("{}[{index}]", self.full(key)), "a string")
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Whether the value under `key` is an array.
    pub fn is_array(&self, key: &str) -> bool {
        self.entry(key)
            .is_some_and(|(_, value)| value.get_ref().is_array())
    }

    /// The boolean under `key`, with its line.
    ///
    /// # Errors
    /// [`ShapeProblem::WrongType`] when it is something else.
    pub fn boolean(&self, key: &str) -> Result<Option<(bool, u32)>, ShapeError> {
        let Some((_, value)) = self.entry(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::Boolean(flag) => Ok(Some((*flag, line_at(self.text, value.span().start)))),
            other => Err(self.wrong(value, self.full(key), "true or false", other)),
        }
    }

    fn entry(
        &self,
        key: &str,
    ) -> Option<(
        &'d Spanned<std::borrow::Cow<'d, str>>,
        &'d Spanned<DeValue<'d>>,
    )> {
        self.entries.iter().find(|(name, _)| name.get_ref() == key)
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() {
            printable(key)
        } else {
            format!("{}.{}", self.path, printable(key))
        }
    }

    fn as_text(
        &self,
        value: &Spanned<DeValue<'_>>,
        key: String,
        expected: &'static str,
    ) -> Result<Text, ShapeError> {
        match value.get_ref() {
            DeValue::String(raw) => Ok(Text {
                key,
                line: line_at(self.text, value.span().start),
                raw: raw.clone().into_owned(),
            }),
            other => Err(self.wrong(value, key, expected, other)),
        }
    }

    fn wrong(
        &self,
        at: &Spanned<DeValue<'_>>,
        key: String,
        expected: &'static str,
        found: &DeValue<'_>,
    ) -> ShapeError {
        let problem = ShapeProblem::WrongType {
            key,
            expected,
            found: found.type_str(),
        };
        self.error(at.span(), problem)
    }

    fn error(&self, span: Range<usize>, problem: ShapeProblem) -> ShapeError {
        ShapeError {
            line: line_at(self.text, span.start),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn malformed_of(text: &str) -> (u32, usize, String) {
        let error = Document::parse(text).err().unwrap();
        match error.problem {
            ShapeProblem::Malformed {
                column, excerpt, ..
            } => (error.line, column, excerpt),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn malformed_toml_is_located_to_the_column() {
        assert_eq!(
            malformed_of("[a]\nkey = = 1\n"),
            (2, 7, "key = = 1".to_owned())
        );
    }

    #[test]
    fn c16_an_excerpt_masks_what_may_be_a_secret() {
        for line in [
            "url = \"postgres://u:hunter2@h/d",
            "password = hunter2",
            "url = \"host=h password=hunter2",
            "postgres://u:hunter2@h = 1",
        ] {
            let (_, _, excerpt) = malformed_of(line);
            assert!(!excerpt.contains("hunter2"), "{excerpt}");
        }
    }

    #[test]
    fn a_line_on_a_terminal_holds_no_control_characters() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn values_of_another_type_are_named_with_key_and_line() {
        let document = Document::parse("[a]\nn = 1\nlist = [\n  \"x\",\n  2]\n").unwrap();
        let table = document.root().table("a").unwrap().unwrap();
        let error = table.string("n").unwrap_err();
        assert_eq!(error.line, 2);
        assert_eq!(
            error.problem.to_string(),
            "`a.n` must be a string, not integer"
        );
        let error = table.strings("list").unwrap_err();
        assert_eq!(error.line, 5);
        assert_eq!(
            error.problem.to_string(),
            "`a.list[1]` must be a string, not integer"
        );
        assert_eq!(document.root().tables("a").err().unwrap().line, 1);
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics(text in "(?s).*") {
            let _ = Document::parse(&text);
        }

        #[test]
        fn parsing_near_toml_never_panics(text in r#"([a\[\]="'\n#.{},éß0-9\\-]|\r\n){0,60}"#) {
            let _ = Document::parse(&text);
        }
    }
}
