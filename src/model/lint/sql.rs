//! Rules about the statements of one SQL file.

use std::collections::BTreeSet;

use super::rules::{
    ENUM_VALUE, FULL_TABLE_WRITE, LOCAL_SETTING, NOT_CHECKED, SESSION_SETTING, SYNTAX_UNREAD,
};
use super::squawk::{Hit, hits};
use super::{Raw, Rule};
use crate::model::id::MigrationId;
use crate::model::migration::SqlFile;
use crate::model::sql::{Class, Note, NoteKind, QualifiedName, RiskKind, Shape};

/// What earlier files leave behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    partitioned: BTreeSet<QualifiedName>,
}

impl Known {
    fn learn(&mut self, shape: &Shape) {
        self.partitioned.extend(shape.partitioned.iter().cloned());
        follow(&mut self.partitioned, shape);
    }
}

/// Everything about one file. `up` files are held to every rule, others to those that hold everywhere.
pub(super) fn file(
    id: &MigrationId,
    file: &SqlFile,
    up: bool,
    known: &mut Known,
    found: &mut Vec<Raw>,
) {
    let script = &file.script;
    let about = |rule: &'static Rule, line, statement, message, advice: Option<String>| Raw {
        rule,
        id: Some(id.clone()),
        file: file.path.clone(),
        line,
        statement,
        message,
        advice,
    };
    if !script.directives.parse {
        let message = "nothing is known of its statements: the file says parse = false".to_owned();
        found.push(about(&NOT_CHECKED, None, None, message, None));
        return;
    }
    for problem in &script.problems {
        let (line, message) = (Some(problem.line), problem.message.clone());
        found.push(about(&SYNTAX_UNREAD, line, None, message, problem.hint()));
    }
    if !script.problems.is_empty() {
        return;
    }
    for note in &script.notes {
        let statement = script.statements.iter().position(|s| s.line == note.line);
        let (rule, message, advice) = noted(note);
        found.push(about(rule, Some(note.line), statement, message, advice));
    }
    let Some(hits) = hits(script, |rule| up || rule.everywhere) else {
        let message = "the SQL linter fails on this file, which is a bug".to_owned();
        found.push(about(&NOT_CHECKED, None, None, message, None));
        return;
    };
    let mut new = NewTables::default();
    for (index, statement) in script.statements.iter().enumerate() {
        let class = &statement.class;
        let harmless = !class.tables.is_empty() && class.tables.iter().all(|table| new.has(table));
        for hit in hits.iter().filter(|hit| hit.statement == index) {
            if !(harmless && hit.rule.harmless_on_new) {
                let advice = advice(hit, class, known);
                let message = hit.message.clone();
                found.push(about(
                    hit.rule,
                    Some(hit.line),
                    Some(index),
                    message,
                    advice,
                ));
            }
        }
        for risk in class.risks.iter().filter(|risk| {
            risk.kind == RiskKind::FullTableWrite
                && !risk.table.as_ref().is_some_and(|table| new.has(table))
        }) {
            let advice = "do it in batches before or after the migration, or accept that the rows stay locked until the commit";
            found.push(about(
                &FULL_TABLE_WRITE,
                Some(statement.line),
                Some(index),
                risk.sentence.clone(),
                Some(advice.to_owned()),
            ));
        }
        new.learn(class);
        known.learn(&class.shape);
    }
}

/// Tables that nobody can miss while the file runs.
#[derive(Debug, Default)]
struct NewTables {
    /// Created in the file: nobody else knows of them.
    created: BTreeSet<QualifiedName>,
    /// Emptied in the file, and not filled again: what is done to them takes no time.
    emptied: BTreeSet<QualifiedName>,
}

impl NewTables {
    fn has(&self, table: &QualifiedName) -> bool {
        self.created.contains(table) || self.emptied.contains(table)
    }

    fn learn(&mut self, class: &Class) {
        match class.verb.as_str() {
            "truncate" => self.emptied.extend(class.tables.iter().cloned()),
            "insert" | "copy" | "merge" => self.emptied.retain(|t| !class.tables.contains(t)),
            _ => {}
        }
        self.created.extend(class.creates.iter().cloned());
        follow(&mut self.created, &class.shape);
        follow(&mut self.emptied, &class.shape);
    }
}

/// A table in the set that gets another name stays in the set.
fn follow(tables: &mut BTreeSet<QualifiedName>, shape: &Shape) {
    if let Some((from, to)) = &shape.renamed
        && tables.remove(from)
    {
        tables.insert(to.clone());
    }
}

fn noted(note: &Note) -> (&'static Rule, String, Option<String>) {
    let (rule, what, advice): (&'static Rule, _, _) = match note.kind {
        NoteKind::SessionState => (
            &SESSION_SETTING,
            "outlives the migration, and reaches other clients through a connection pooler",
            "use `set local`, or a directive such as `-- outpost: lock_timeout = \"2s\"`",
        ),
        NoteKind::LocalWithoutTransaction => (
            &LOCAL_SETTING,
            "has no effect: with transaction = false each statement runs by itself",
            "use a directive such as `-- outpost: statement_timeout = \"10m\"`",
        ),
        NoteKind::NewEnumValue => (
            &ENUM_VALUE,
            "adds a value that nothing can use before the commit",
            "use it in a later migration",
        ),
    };
    let message = format!("`{}` {what}", note.statement);
    (rule, message, Some(advice.to_owned()))
}

/// The linter's own advice, or ours where this tool or the table asks for another way.
fn advice(hit: &Hit, class: &Class, known: &Known) -> Option<String> {
    let partitioned = class.tables.iter().any(|t| known.partitioned.contains(t));
    let ours = match hit.rule.name {
        "require-concurrent-index-creation" if partitioned => {
            "a partitioned table cannot be indexed concurrently: create the index on only the parent, build one concurrently on each partition in a migration with `-- outpost: transaction = false`, and attach them"
        }
        "require-concurrent-index-creation" | "require-concurrent-reindex" => {
            "do it concurrently, in a migration of its own that starts with `-- outpost: transaction = false`"
        }
        "constraint-missing-not-valid" | "adding-foreign-key-constraint" => {
            "add it as NOT VALID, and validate it in the next migration"
        }
        "ban-drop-column" | "ban-drop-table" => {
            "drop it in a later version, once no release that still runs uses it"
        }
        "renaming-column" | "renaming-table" => {
            "stop the releases that use the old name first, or add the new one beside it"
        }
        _ => return hit.advice.clone(),
    };
    Some(ours.to_owned())
}
