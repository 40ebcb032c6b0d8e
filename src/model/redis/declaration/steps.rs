//! The `[[step]]` tables: one operation each, which reads its own keys through a [`StepTable`].

use super::parse::Parser;
use super::{DeclarationError, DeclarationProblem, Step};
use crate::model::document::{Table, Text};
use crate::model::nearest::nearest;
use crate::model::redis::convert::{ConvertError, Format};
use crate::model::redis::op::Op;
use crate::model::redis::pattern::{Pattern, Template};

/// The table of one step, or one within it: typed values by key, with errors that name the line.
pub(in crate::model::redis) struct StepTable<'p> {
    parser: &'p Parser<'p>,
    table: Table<'p>,
}

impl Parser<'_> {
    pub(super) fn step(&self, number: usize, table: &Table<'_>) -> Result<Step, DeclarationError> {
        let name = self.operation(number, table)?;
        let step = StepTable {
            parser: self,
            table: table.clone(),
        };
        match Op::parse(name, &step)? {
            Some(op) => Ok(Step {
                number,
                line: table.line(),
                op,
            }),
            None => Err(self.no_operation(number, table)),
        }
    }

    /// The one key of the table that names an operation.
    fn operation(&self, step: usize, table: &Table<'_>) -> Result<&'static str, DeclarationError> {
        let mut found: Option<&'static str> = None;
        for (key, line) in table.keys() {
            let Some(name) = Op::NAMES.iter().find(|name| **name == key) else {
                continue;
            };
            if let Some(first) = found.replace(name) {
                let second = name;
                let problem = DeclarationProblem::TwoOperations {
                    step,
                    first,
                    second,
                };
                return Err(self.error(line, problem));
            }
        }
        found.ok_or_else(|| self.no_operation(step, table))
    }

    fn no_operation(&self, step: usize, table: &Table<'_>) -> DeclarationError {
        let first = table.keys().next();
        let problem = DeclarationProblem::NoOperation {
            step,
            found: first.map(|(key, _)| key.to_owned()),
            nearest: first.and_then(|(key, _)| nearest(key, Op::NAMES)),
            known: Op::NAMES.to_vec(),
        };
        self.error(first.map_or(table.line(), |(_, line)| line), problem)
    }
}

impl StepTable<'_> {
    /// The line on which it begins, from 1.
    pub(in crate::model::redis) fn line(&self) -> u32 {
        self.table.line()
    }

    /// An error at a line of the file.
    pub(in crate::model::redis) fn error(
        &self,
        line: u32,
        problem: DeclarationProblem,
    ) -> DeclarationError {
        self.parser.error(line, problem)
    }

    /// Refuses keys other than the operation's own.
    pub(in crate::model::redis) fn allow_only(
        &self,
        name: &str,
        keys: &[&str],
    ) -> Result<(), DeclarationError> {
        self.parser.only(&self.table, &[&[name], keys].concat())
    }

    /// Its keys, in the file's order.
    pub(in crate::model::redis) fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|(key, _)| key)
    }

    /// A string that must be there.
    pub(in crate::model::redis) fn required(&self, key: &str) -> Result<Text, DeclarationError> {
        self.parser.required(&self.table, key)
    }

    /// A string.
    pub(in crate::model::redis) fn string(
        &self,
        key: &str,
    ) -> Result<Option<Text>, DeclarationError> {
        self.parser.string(&self.table, key)
    }

    /// A string or a list of strings; none for an absent key.
    pub(in crate::model::redis) fn texts(&self, key: &str) -> Result<Vec<Text>, DeclarationError> {
        self.parser.texts(&self.table, key)
    }

    /// The same with variables filled in, and no captures.
    pub(in crate::model::redis) fn literals(
        &self,
        key: &str,
    ) -> Result<Vec<Vec<u8>>, DeclarationError> {
        let texts = self.texts(key)?;
        texts.iter().map(|text| self.parser.literal(text)).collect()
    }

    /// A list that must not be empty.
    pub(in crate::model::redis) fn some<T>(
        &self,
        key: &str,
        list: Vec<T>,
    ) -> Result<Vec<T>, DeclarationError> {
        if list.is_empty() {
            let key = key.to_owned();
            return Err(self.error(self.line(), DeclarationProblem::Empty { key }));
        }
        Ok(list)
    }

    /// `true` or `false`, which is also said by leaving it out.
    pub(in crate::model::redis) fn flag(&self, key: &str) -> Result<bool, DeclarationError> {
        let flag = self.table.boolean(key).map_err(|e| self.parser.shape(e))?;
        Ok(flag.is_some_and(|(flag, _)| flag))
    }

    /// A pattern of keys, which must be there.
    pub(in crate::model::redis) fn pattern(&self, key: &str) -> Result<Pattern, DeclarationError> {
        self.parser.pattern(&self.required(key)?)
    }

    /// Where the keys of `from` go, and its line. It uses all their captures, so that no two sources share
    /// one target.
    pub(in crate::model::redis) fn target(
        &self,
        key: &str,
        from: &Pattern,
    ) -> Result<(u32, Template), DeclarationError> {
        let text = self.required(key)?;
        let target = self.parser.key_template(&text, from)?;
        let unused = from
            .names()
            .iter()
            .find(|name| !target.names().any(|used| used == name.as_str()));
        match unused {
            Some(capture) => {
                let capture = capture.clone();
                Err(self.error(
                    text.line,
                    DeclarationProblem::TargetDropsCapture { capture },
                ))
            }
            None => Ok((text.line, target)),
        }
    }

    /// A value that captures of `pattern` are put into.
    pub(in crate::model::redis) fn value_template(
        &self,
        text: &Text,
        pattern: &Pattern,
    ) -> Result<Template, DeclarationError> {
        self.parser.value_template(text, pattern)
    }

    /// A table of fields and what they hold, in the file's order.
    pub(in crate::model::redis) fn field_values(
        &self,
        key: &str,
        pattern: &Pattern,
    ) -> Result<Vec<(String, Template)>, DeclarationError> {
        let Some(fields) = self.table(key)? else {
            return Ok(Vec::new());
        };
        let values = fields.names().map(|field| {
            let text = fields.required(field)?;
            Ok((field.to_owned(), self.value_template(&text, pattern)?))
        });
        values.collect()
    }

    /// One of a few words.
    pub(in crate::model::redis) fn word<T: Clone>(
        &self,
        key: &str,
        known: &[(&'static str, T)],
    ) -> Result<Option<T>, DeclarationError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == text.raw) {
            return Ok(Some(value.clone()));
        }
        let known: Vec<&'static str> = known.iter().map(|(word, _)| *word).collect();
        let problem = DeclarationProblem::Word {
            key: text.key,
            nearest: nearest(&text.raw, &known),
            written: text.raw,
            known,
        };
        Err(self.error(text.line, problem))
    }

    /// The form of a value: a name, or a table that says what is edited.
    pub(in crate::model::redis) fn format(&self, key: &str) -> Result<Format, DeclarationError> {
        if let Some(edit) = self.table_if_any(key) {
            return edit.edit();
        }
        let text = self.required(key)?;
        text.raw
            .parse()
            .map_err(|e| self.error(text.line, DeclarationProblem::Convert(e)))
    }

    /// The table of fields under `key`, where that is what a format is: `{ fields = { … } }`.
    pub(in crate::model::redis) fn fields_of(
        &self,
        key: &str,
    ) -> Result<Option<Self>, DeclarationError> {
        let Some(format) = self.table_if_any(key) else {
            return Ok(None);
        };
        let fields = format.table("fields")?;
        if fields.is_some() {
            format.allow_only("fields", &[])?;
        }
        Ok(fields)
    }

    fn edit(&self) -> Result<Format, DeclarationError> {
        self.allow_only("prefix", &["suffix", "replace", "with"])?;
        let get = |key: &str| Ok(self.string(key)?.map(|text| text.raw));
        match (
            get("prefix")?,
            get("suffix")?,
            get("replace")?,
            get("with")?,
        ) {
            (Some(prefix), None, None, None) => Ok(Format::Prefix(prefix)),
            (None, Some(suffix), None, None) => Ok(Format::Suffix(suffix)),
            (None, None, Some(replace), Some(with)) => Ok(Format::Replace { replace, with }),
            _ => {
                let problem = DeclarationProblem::Convert(ConvertError::MalformedEdit);
                Err(self.error(self.line(), problem))
            }
        }
    }

    fn table(&self, key: &str) -> Result<Option<Self>, DeclarationError> {
        let table = self.table.table(key).map_err(|e| self.parser.shape(e))?;
        Ok(table.map(|table| self.within(table)))
    }

    /// The table under `key`; `None` where something else is there, or nothing.
    fn table_if_any(&self, key: &str) -> Option<Self> {
        let table = self.table.table(key).ok().flatten()?;
        Some(self.within(table))
    }
}

impl<'p> StepTable<'p> {
    fn within(&self, table: Table<'p>) -> Self {
        Self {
            parser: self.parser,
            table,
        }
    }
}
