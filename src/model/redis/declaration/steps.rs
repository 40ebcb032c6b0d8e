//! The `[[step]]` tables: one operation each, with its own keys.

use std::collections::BTreeSet;

use super::parse::Parser;
use super::{DeclarationError, DeclarationProblem, Step};
use crate::model::document::{Table, Text};
use crate::model::nearest::nearest;
use crate::model::redis::convert::{Conversion, Format};
use crate::model::redis::op::{
    Command, Convert, Copy, Delete, Expire, Guard, KeyType, Must, OnConflict, OnError, Op, Persist,
    RemoveField, RenameField, Set,
};
use crate::model::redis::pattern::{Pattern, Template};

/// The operations that this version carries out.
const OPERATIONS: [&str; 9] = [
    "copy",
    "convert",
    "set",
    "rename_field",
    "remove_field",
    "expire",
    "persist",
    "delete",
    "command",
];

/// Operations that are named only to be refused: one that does not work must not be accepted.
const UNSUPPORTED: [&str; 2] = ["rename", "script"];

impl Parser<'_> {
    pub(super) fn step(&self, number: usize, table: &Table<'_>) -> Result<Step, DeclarationError> {
        let line = table.line();
        let op = match self.operation(number, table)? {
            "copy" => self.copy(table)?,
            "convert" => self.convert(table)?,
            "set" => self.set(table)?,
            "rename_field" => self.rename_field(table)?,
            "remove_field" => self.remove_field(table)?,
            "expire" => self.expire(table)?,
            "persist" => self.persist(table)?,
            "delete" => self.delete(table)?,
            _ => self.command(table)?,
        };
        Ok(Step { number, line, op })
    }

    /// The one key of the table that names an operation.
    fn operation(&self, step: usize, table: &Table<'_>) -> Result<&'static str, DeclarationError> {
        let mut found: Option<&'static str> = None;
        for (key, line) in table.keys() {
            if let Some(name) = UNSUPPORTED.into_iter().find(|name| *name == key) {
                return Err(self.error(line, DeclarationProblem::Unsupported { name }));
            }
            let Some(name) = OPERATIONS.into_iter().find(|name| *name == key) else {
                continue;
            };
            if let Some(first) = found.replace(name) {
                return Err(self.error(
                    line,
                    DeclarationProblem::TwoOperations {
                        step,
                        first,
                        second: name,
                    },
                ));
            }
        }
        found.ok_or_else(|| {
            let first = table.keys().next();
            let problem = DeclarationProblem::NoOperation {
                step,
                found: first.map(|(key, _)| key.to_owned()),
                nearest: first.and_then(|(key, _)| nearest(key, OPERATIONS)),
                known: OPERATIONS.to_vec(),
            };
            self.error(first.map_or(table.line(), |(_, line)| line), problem)
        })
    }

    fn copy(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(
            table,
            &["copy", "to", "type", "fields", "unless", "on_conflict"],
        )?;
        let from = self.pattern(&self.required(table, "copy")?)?;
        let to_text = self.required(table, "to")?;
        let to = self.key_template(&to_text, &from)?;
        if let Some(capture) = from
            .names()
            .iter()
            .find(|name| !to.names().any(|used| used == name.as_str()))
        {
            let problem = DeclarationProblem::TargetDropsCapture {
                capture: capture.clone(),
            };
            return Err(self.error(to_text.line, problem));
        }
        let kind = self.word(table, "type", &KeyType::NAMED)?;
        let mut guards = Vec::new();
        for (key, must) in [("fields", Must::Be), ("unless", Must::NotBe)] {
            let values = self.field_values(table, key, &from)?;
            guards.extend(
                values
                    .into_iter()
                    .map(|(field, value)| Guard { field, value, must }),
            );
        }
        if !guards.is_empty() && kind != Some(KeyType::Hash) {
            return Err(self.error(table.line(), DeclarationProblem::GuardWithoutHash));
        }
        let on_conflict = self
            .word(table, "on_conflict", &OnConflict::NAMED)?
            .unwrap_or_default();
        Ok(Op::Copy(Copy {
            from,
            to,
            kind,
            guards,
            on_conflict,
        }))
    }

    fn convert(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(
            table,
            &["convert", "in", "from_format", "to_format", "on_error"],
        )?;
        let fields = self.texts(table, "convert")?;
        if fields.is_empty() {
            return Err(self.error(
                table.line(),
                DeclarationProblem::Empty {
                    key: "convert".to_owned(),
                },
            ));
        }
        let mut seen = BTreeSet::new();
        for field in &fields {
            if !seen.insert(field.raw.as_str()) {
                let problem = DeclarationProblem::Twice {
                    key: "convert".to_owned(),
                    name: field.raw.clone(),
                };
                return Err(self.error(field.line, problem));
            }
        }
        let from = self.format(table, "from_format")?;
        let to = self.format(table, "to_format")?;
        let conversion = Conversion::new(from, to)
            .map_err(|e| self.error(table.line(), DeclarationProblem::Convert(e)))?;
        Ok(Op::Convert(Convert {
            fields: fields.into_iter().map(|field| field.raw).collect(),
            within: self.within(table)?,
            conversion,
            on_error: self
                .word(table, "on_error", &OnError::NAMED)?
                .unwrap_or_default(),
        }))
    }

    fn set(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["set", "in", "overwrite"])?;
        let within = self.within(table)?;
        let fields = self.field_values(table, "set", &within)?;
        if fields.is_empty() {
            return Err(self.error(
                table.line(),
                DeclarationProblem::Empty {
                    key: "set".to_owned(),
                },
            ));
        }
        let overwrite = table
            .boolean("overwrite")
            .map_err(|e| self.shape(e))?
            .is_some_and(|(flag, _)| flag);
        Ok(Op::Set(Set {
            fields,
            within,
            overwrite,
        }))
    }

    fn rename_field(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["rename_field", "to", "in"])?;
        let from = self.required(table, "rename_field")?.raw;
        let to = self.required(table, "to")?;
        if from == to.raw {
            let problem = DeclarationProblem::Twice {
                key: "rename_field".to_owned(),
                name: from,
            };
            return Err(self.error(to.line, problem));
        }
        Ok(Op::RenameField(RenameField {
            from,
            to: to.raw,
            within: self.within(table)?,
        }))
    }

    fn remove_field(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["remove_field", "in"])?;
        let field = self.required(table, "remove_field")?.raw;
        Ok(Op::RemoveField(RemoveField {
            field,
            within: self.within(table)?,
        }))
    }

    fn expire(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["expire", "after"])?;
        let keys = self.pattern(&self.required(table, "expire")?)?;
        let after = self.required(table, "after")?;
        let Some(ttl_ms) = milliseconds(&after.raw) else {
            let problem = DeclarationProblem::Time {
                key: after.key.clone(),
                written: after.raw,
            };
            return Err(self.error(after.line, problem));
        };
        Ok(Op::Expire(Expire { keys, ttl_ms }))
    }

    fn persist(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["persist"])?;
        Ok(Op::Persist(Persist {
            keys: self.pattern(&self.required(table, "persist")?)?,
        }))
    }

    fn delete(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["delete", "type"])?;
        let keys = self.pattern(&self.required(table, "delete")?)?;
        Ok(Op::Delete(Delete {
            keys,
            kind: self.word(table, "type", &KeyType::NAMED)?,
        }))
    }

    fn command(&self, table: &Table<'_>) -> Result<Op, DeclarationError> {
        self.only(table, &["command", "check", "undo"])?;
        let words = |key: &str| -> Result<Vec<Vec<u8>>, DeclarationError> {
            self.texts(table, key)?
                .iter()
                .map(|word| self.literal(word))
                .collect()
        };
        let (run, check, undo) = (words("command")?, words("check")?, words("undo")?);
        for (key, list) in [("command", &run), ("check", &check)] {
            if list.is_empty() {
                return Err(self.error(
                    table.line(),
                    DeclarationProblem::Empty {
                        key: key.to_owned(),
                    },
                ));
            }
        }
        Ok(Op::Command(Command {
            run,
            check,
            undo: (!undo.is_empty()).then_some(undo),
        }))
    }

    fn within(&self, table: &Table<'_>) -> Result<Pattern, DeclarationError> {
        self.pattern(&self.required(table, "in")?)
    }

    fn only(&self, table: &Table<'_>, known: &[&str]) -> Result<(), DeclarationError> {
        table.allow_only(known).map_err(|e| self.shape(e))
    }

    /// A table of fields and what they hold, in the file's order.
    fn field_values(
        &self,
        table: &Table<'_>,
        key: &str,
        pattern: &Pattern,
    ) -> Result<Vec<(String, Template)>, DeclarationError> {
        let Some(fields) = table.table(key).map_err(|e| self.shape(e))? else {
            return Ok(Vec::new());
        };
        let values = fields.keys().map(|(field, _)| {
            let text = self.required(&fields, field)?;
            Ok((field.to_owned(), self.value_template(&text, pattern)?))
        });
        values.collect()
    }

    /// A format: a name, or a table that says what is edited.
    fn format(&self, table: &Table<'_>, key: &str) -> Result<Format, DeclarationError> {
        match table.string(key) {
            Ok(Some(text)) => text
                .raw
                .parse()
                .map_err(|e| self.error(text.line, DeclarationProblem::Convert(e))),
            Ok(None) => self.required(table, key).map(|_| Format::Text),
            Err(error) => match table.table(key) {
                Ok(Some(edit)) => self.edit(&edit),
                _ => Err(self.shape(error)),
            },
        }
    }

    fn edit(&self, table: &Table<'_>) -> Result<Format, DeclarationError> {
        use crate::model::redis::convert::ConvertError;
        self.only(table, &["prefix", "suffix", "replace", "with"])?;
        let get = |key: &str| Ok(self.string(table, key)?.map(|text: Text| text.raw));
        match (
            get("prefix")?,
            get("suffix")?,
            get("replace")?,
            get("with")?,
        ) {
            (Some(prefix), None, None, None) => Ok(Format::Prefix(prefix)),
            (None, Some(suffix), None, None) => Ok(Format::Suffix(suffix)),
            (None, None, Some(replace), Some(with)) => Ok(Format::Replace { replace, with }),
            _ => Err(self.error(
                table.line(),
                DeclarationProblem::Convert(ConvertError::MalformedEdit),
            )),
        }
    }

    /// One of a few words.
    fn word<T: Clone>(
        &self,
        table: &Table<'_>,
        key: &str,
        known: &[(&'static str, T)],
    ) -> Result<Option<T>, DeclarationError> {
        let Some(text) = self.string(table, key)? else {
            return Ok(None);
        };
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == text.raw) {
            return Ok(Some(value.clone()));
        }
        let known: Vec<&'static str> = known.iter().map(|(word, _)| *word).collect();
        let nearest = nearest(&text.raw, &known);
        Err(self.error(
            text.line,
            DeclarationProblem::Word {
                key: text.key,
                written: text.raw,
                known,
                nearest,
            },
        ))
    }
}

/// A whole number and a unit, as in `7d`; not zero, which would delete.
fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|ms| *ms > 0)
}
