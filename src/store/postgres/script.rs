//! A whole transaction as one message, and the way back from an error to the statement that caused it.

use super::session::{Row, Said};
use crate::model::plan::PlannedStatement;

/// How much of a statement an error shows.
const EXCERPT: usize = 400;

/// A message under construction: commands of ours, the migration's statements, commands of ours.
///
/// Before, between and after the statements stand markers that only this message can answer, so how far
/// the server came does not depend on what the statements answer, nor on how many commands a statement's
/// text holds.
pub(super) struct Script<'a> {
    text: String,
    /// Length of `text` in characters: the server counts those.
    chars: usize,
    nonce: String,
    markers: usize,
    /// Commands of ours behind the last marker.
    closing: usize,
    statements: Vec<Placed<'a>>,
}

struct Placed<'a> {
    statement: &'a PlannedStatement,
    start: usize,
    end: usize,
}

/// Counts the markers in the server's answer, and what is done behind the last one.
pub(super) struct Progress {
    nonce: String,
    passed: usize,
    markers: usize,
    /// Commands that are done since the last marker passed, its own included.
    completed: usize,
    /// How many those are when all is done.
    closing: usize,
}

impl Progress {
    /// Looks at a part of the answer.
    pub(super) fn see(&mut self, said: &Said) {
        match said {
            Said::Row(row) => self.see_row(row),
            Said::Completed => self.completed += usize::from(self.passed == self.markers),
        }
    }

    fn see_row(&mut self, row: &Row) {
        let marker = format!("{}:{}", self.nonce, self.passed);
        if row
            .first()
            .is_some_and(|value| value.as_deref() == Some(marker.as_str()))
        {
            self.passed += 1;
        }
    }

    /// Markers that the server has answered.
    pub(super) fn passed(&self) -> usize {
        self.passed
    }

    /// Whether the server has said of every command, the last one included, that it is done. An answer without an error
    /// that lacks some of it confirms nothing.
    pub(super) fn is_whole(&self) -> bool {
        self.passed == self.markers && self.completed >= self.closing
    }
}

impl<'a> Script<'a> {
    /// A message that begins with commands of ours.
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            chars: 0,
            nonce: uuid::Uuid::new_v4().simple().to_string(),
            markers: 0,
            closing: 0,
            statements: Vec::new(),
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.chars += text.chars().count();
    }

    fn mark(&mut self) {
        let marker = format!("select '{}:{}';\n", self.nonce, self.markers);
        self.push(&marker);
        self.markers += 1;
        self.closing = 1;
    }

    /// Adds a command of ours.
    pub(super) fn command(&mut self, sql: &str) {
        self.push(sql);
        self.push(";\n");
        self.closing += 1;
    }

    /// Adds the migration's statements, their text unchanged. The line end keeps a comment at the end of
    /// one from taking the semicolon with it. Deferred constraints are checked before our own commands
    /// follow, so that what they find is an error of the migration.
    pub(super) fn statements(&mut self, statements: &'a [PlannedStatement]) {
        self.mark();
        for statement in statements {
            let start = self.chars;
            self.push(&statement.text);
            // What ends too early is an error at the semicolon.
            self.push("\n;");
            let end = self.chars;
            self.push("\n");
            self.statements.push(Placed {
                statement,
                start,
                end,
            });
            self.mark();
        }
        self.push("set constraints all immediate;\n");
        self.mark();
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            nonce: self.nonce.clone(),
            passed: 0,
            markers: self.markers,
            completed: 0,
            closing: self.closing,
        }
    }

    /// The statement and line of an error: by the position that the server names (in characters, from 1),
    /// else by how far it came. `None` for a command of ours.
    pub(super) fn locate(
        &self,
        position: Option<u32>,
        passed: usize,
    ) -> Option<(&'a PlannedStatement, u32)> {
        if let Some(at) = position.and_then(|p| usize::try_from(p).ok()?.checked_sub(1)) {
            let placed = self
                .statements
                .iter()
                .find(|s| (s.start..=s.end).contains(&at))?;
            return Some((
                placed.statement,
                line_at(placed.statement, at - placed.start),
            ));
        }
        // The first marker answers for our own commands, the one after the last statement for deferred
        // constraints, which no statement can be named for.
        let index = passed.checked_sub(1).filter(|_| passed < self.markers)?;
        let placed = self.statements.get(index).or(self.statements.last())?;
        Some((placed.statement, placed.statement.line))
    }
}

/// The line of the file on which the character `offset` (from 0) of a statement stands.
pub(super) fn line_at(statement: &PlannedStatement, offset: usize) -> u32 {
    let lines = statement
        .text
        .chars()
        .take(offset)
        .filter(|c| *c == '\n')
        .count();
    statement.line + u32::try_from(lines).unwrap_or(0)
}

/// The beginning of a statement, for an error.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn statement(text: &str, line: u32) -> PlannedStatement {
        PlannedStatement {
            text: text.to_owned(),
            line,
            verb: "select".to_owned(),
            tables: Vec::new(),
            creates: Vec::new(),
            risks: Vec::new(),
            concurrent_index: None,
        }
    }

    #[test]
    fn an_error_is_located_by_its_position_in_characters() {
        let statements = [
            statement("select 'é'", 3),
            statement("select 1,\n  nope", 7),
        ];
        let mut script = Script::new();
        script.command("begin");
        script.statements(&statements);
        script.command("commit");
        let byte = script.text().find("nope").unwrap();
        let position = u32::try_from(script.text()[..byte].chars().count() + 1).unwrap();
        let (found, line) = script.locate(Some(position), 0).unwrap();
        assert_eq!((found.text.as_str(), line), ("select 1,\n  nope", 8));
        let end = u32::try_from(script.text().chars().count()).unwrap();
        let semicolon = u32::try_from(script.text()[..byte].chars().count() + 6).unwrap();
        assert_eq!(script.locate(Some(semicolon), 0).unwrap().1, 8);
        assert!(script.locate(Some(end), 2).is_none());
        assert!(script.locate(Some(1), 0).is_none());
    }

    #[test]
    fn without_a_position_the_markers_tell_how_far_the_server_came() {
        let statements = [statement("select 1 -- done", 1), statement("select 2", 2)];
        let mut script = Script::new();
        script.command("begin");
        script.statements(&statements);
        assert!(script.text().contains("-- done\n;\n"));
        let mut progress = script.progress();
        let answer = |n: usize| Said::Row(vec![Some(format!("{}:{n}", script.nonce))]);
        let lines = (0..4).map(|n| {
            let line = script.locate(None, progress.passed()).map(|(_, line)| line);
            progress.see(&answer(n + 1));
            progress.see(&Said::Row(vec![Some("1".to_owned())]));
            progress.see(&answer(n));
            line
        });
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines, [None, Some(1), Some(2), Some(2)]);
        assert_eq!(script.locate(None, 4), None);
    }

    #[test]
    fn an_answer_is_whole_when_each_marker_and_each_command_behind_them_is_there() {
        let statements = [statement("select 1", 1)];
        let mut script = Script::new();
        script.command("begin");
        script.statements(&statements);
        script.command("insert");
        script.command("commit");
        let answers = (0..3).map(|n| Said::Row(vec![Some(format!("{}:{n}", script.nonce))]));
        let mut whole: Vec<Said> = answers.collect();
        whole.extend([Said::Completed, Said::Completed, Said::Completed]);
        let is_whole = |without: Option<usize>| {
            let mut progress = script.progress();
            let said = whole.iter().enumerate();
            said.filter(|(at, _)| Some(*at) != without)
                .for_each(|(_, said)| progress.see(said));
            progress.is_whole()
        };
        assert!(is_whole(None));
        for missing in 0..whole.len() {
            assert!(!is_whole(Some(missing)), "{missing}");
        }
    }

    proptest! {
        #[test]
        fn no_statement_can_answer_for_a_marker(answers in proptest::collection::vec(".*", 0..8)) {
            let statements = [statement("select 1", 1)];
            let mut script = Script::new();
            script.statements(&statements);
            let mut progress = script.progress();
            for answer in answers {
                progress.see(&Said::Row(vec![Some(answer)]));
            }
            prop_assert_eq!(progress.passed(), 0);
        }
    }
}
