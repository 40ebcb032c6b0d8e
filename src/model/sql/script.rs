//! A file of SQL, split into statements and judged.

use std::collections::BTreeMap;

use super::{
    Class, Directives, Note, QualifiedName, Risk, ScriptError, SyntaxProblem,
    depth::with_stack_for, lines::Lines, reader::Reader, substitute, tree,
};

/// The length field of a message to the server is a signed 32-bit number.
const MAX_BYTES: usize = 1 << 30;

/// A file of SQL, split and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The file's name, for messages.
    pub file: String,
    /// What the file says about itself.
    pub directives: Directives,
    /// The statements in the order of the text; none for a file of comments.
    pub statements: Vec<Statement>,
    /// A BEGIN and a COMMIT around the statements were taken off.
    pub unwrapped: bool,
    /// What our parser could not read. While this is not empty, the statements are a guess, transaction
    /// control was not looked for, and the script must not run.
    pub problems: Vec<SyntaxProblem>,
    /// What works but may not be meant.
    pub notes: Vec<Note>,
    /// The comments that accept a finding on one statement.
    pub allows: Vec<AllowComment>,
}

/// A comment `-- outpost-allow: rule: reason`, not yet read further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowComment {
    /// The 1-based line.
    pub line: usize,
    /// What follows `outpost-allow`.
    pub text: String,
    /// The statement, from 0, that it stands before or in; `None` behind the last one, and beside
    /// another statement on its line.
    pub statement: Option<usize>,
}

/// One statement of a [`Script`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The exact text from the first to the last token, without the semicolon.
    pub text: String,
    /// The 1-based line of its first token.
    pub line: usize,
    /// The byte offset of its first token in the text that was parsed.
    pub offset: usize,
    /// What can be told of it.
    pub class: Class,
}

impl Statement {
    /// The 1-based line of the file for a position that the server reports: characters from 1, counted in
    /// [`Statement::text`].
    pub fn line_at(&self, position: usize) -> usize {
        let offset = self
            .text
            .char_indices()
            .nth(position.saturating_sub(1))
            .map_or(self.text.len(), |(offset, _)| offset);
        self.line + Lines::new(&self.text).line(offset) - 1
    }

    /// The start of the statement on one line, for screens and messages.
    pub fn excerpt(&self) -> String {
        tree::excerpt(&self.text)
    }
}

impl Script {
    /// Reads a file that needs no variables; see [`Script::parse_with_vars`].
    ///
    /// # Errors
    /// As [`Script::parse_with_vars`]; a `${name}` under `vars = true` is then unknown.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        Self::parse_with_vars(file, text, &BTreeMap::new())
    }

    /// Reads the directives, fills in variables where they ask for it, splits the text and classifies its
    /// statements. With `parse = false` the whole text is one statement. `file` only words messages; lines
    /// and offsets are those of the text after variables were filled in.
    ///
    /// Comments between statements and empty statements are dropped; a BEGIN and COMMIT around the whole are
    /// taken off. Syntax errors are collected in [`Script::problems`].
    ///
    /// # Errors
    /// [`ScriptError`] for what can never run over our connection or in our transaction.
    pub fn parse_with_vars(
        file: &str,
        text: &str,
        vars: &BTreeMap<String, String>,
    ) -> Result<Self, ScriptError> {
        let directives = Directives::parse(file, text)?;
        let filled;
        let text = if directives.vars {
            filled = substitute(text, vars).map_err(|source| ScriptError::Variable {
                file: file.to_owned(),
                source,
            })?;
            &filled
        } else {
            text
        };
        if text.len() > MAX_BYTES {
            return Err(ScriptError::TooLarge {
                file: file.to_owned(),
                bytes: text.len(),
            });
        }
        let lines = Lines::new(text);
        if let Some(at) = text.find('\0') {
            return Err(ScriptError::Nul {
                file: file.to_owned(),
                line: lines.line(at),
            });
        }
        let reader = Reader { file, text, lines };
        let read = with_stack_for(text, || match directives.parse {
            true => reader.script(&directives),
            false => reader.one_piece(&directives),
        });
        match read {
            Ok(script) => script,
            Err(unparsed) => Ok(reader.unparsed(directives.clone(), &unparsed)),
        }
    }

    /// Reads a statement again that was planned as a part of its file. It is several ones where the file is
    /// not to be split, and none where our parser does not know it.
    pub fn reread(text: &str) -> Vec<Statement> {
        // What the file's directives allowed was judged when it was planned.
        let allowed = format!("-- outpost: transaction = false\n{text}");
        Self::parse("", &allowed).map_or_else(|_| Vec::new(), |script| script.statements)
    }

    /// The risks of each statement, without those on a table that an earlier statement of this script created.
    pub fn risks(&self) -> Vec<(&Statement, &Risk)> {
        let mut created: Vec<&QualifiedName> = Vec::new();
        let mut found = Vec::new();
        for statement in &self.statements {
            let on_new_table = |risk: &Risk| {
                risk.table
                    .as_ref()
                    .is_some_and(|table| created.contains(&table))
            };
            found.extend(
                statement
                    .class
                    .risks
                    .iter()
                    .filter(|risk| !(risk.is_harmless_on_new_table() && on_new_table(risk)))
                    .map(|risk| (statement, risk)),
            );
            created.extend(&statement.class.creates);
        }
        found
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
