//! The SQL linter's view of a script.

use squawk_linter::{Linter, Violation};
use squawk_syntax::SourceFile;

use super::{RULES, Rule};
use crate::model::sql::{Script, with_stack_for};

/// What a rule of the SQL linter found.
pub(super) struct Hit {
    pub(super) rule: &'static Rule,
    /// The statement of the script, from 0.
    pub(super) statement: usize,
    /// The 1-based line of the file.
    pub(super) line: usize,
    pub(super) message: String,
    pub(super) advice: Option<String>,
    /// Bytes of the linted text.
    range: (usize, usize),
}

/// Rules that say more of a new constraint than that it was not added as NOT VALID, which a key never can.
const MORE_PRECISE: [&str; 3] = [
    "adding-foreign-key-constraint",
    "adding-serial-primary-key-field",
    "disallowed-unique-constraint",
];

/// What the rules find, in the order of the text; `None` when the linter fails on the script.
pub(super) fn hits(script: &Script, wanted: impl Fn(&Rule) -> bool) -> Option<Vec<Hit>> {
    let (text, starts) = joined(script);
    let rules: Vec<squawk_linter::Rule> = RULES
        .iter()
        .filter(|rule| wanted(rule))
        .filter_map(|rule| rule.squawk)
        .collect();
    let transaction = script.directives.transaction;
    let violations = with_stack_for(&text, || {
        let mut linter = Linter::from(rules);
        linter.settings.assume_in_transaction = transaction;
        linter.lint(&SourceFile::parse(&text), &text)
    })
    .ok()?;
    let mut hits: Vec<Hit> = violations
        .into_iter()
        .filter_map(|violation| hit(script, &starts, violation))
        .collect();
    let precise: Vec<(usize, usize)> = hits
        .iter()
        .filter(|hit| MORE_PRECISE.contains(&hit.rule.name))
        .map(|hit| hit.range)
        .collect();
    hits.retain(|hit| {
        hit.rule.name != "constraint-missing-not-valid"
            || !precise
                .iter()
                .any(|(from, to)| *from < hit.range.1 && hit.range.0 < *to)
    });
    Some(hits)
}

/// The statements alone, one after another, and where each begins: the variables are filled in, and BEGIN and
/// COMMIT are gone. The linter's own comments take effect nowhere, for they give no reason.
fn joined(script: &Script) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut starts = Vec::new();
    for statement in &script.statements {
        starts.push(text.len());
        text.push_str(&statement.text.replace("squawk-", "squawk_"));
        text.push_str(";\n");
    }
    (text, starts)
}

fn hit(script: &Script, starts: &[usize], violation: Violation) -> Option<Hit> {
    let rule = RULES
        .iter()
        .find(|rule| rule.squawk == Some(violation.code))?;
    let range = violation.text_range;
    let (from, to) = (usize::from(range.start()), usize::from(range.end()));
    let index = starts
        .partition_point(|start| *start <= from)
        .checked_sub(1)?;
    let statement = script.statements.get(index)?;
    let before = statement.text.get(..from - starts[index])?;
    Some(Hit {
        rule,
        statement: index,
        line: statement.line_at(before.chars().count() + 1),
        message: violation.message,
        advice: violation.help,
        range: (from, to),
    })
}
