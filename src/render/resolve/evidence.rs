//! What is in place of a migration, statement by statement, or key by key in numbers.

use std::io::{self, Write};

use crate::model::half_done::{
    FileEvidence, Found, KeyEvidence, Order, Standing, StatementEvidence, Trace,
};
use crate::model::sql::{Aspect, Object, ObjectKind};
use crate::model::state::Doing;
use crate::render::resolve::{ResolveView, run};
use crate::render::style::{Style, Tone};
use crate::render::text::{cut, line, squeezed, wrapped};
use crate::render::units::{count, counted};

/// Columns of the words that say where a statement stands.
const LABEL: usize = 8;
/// How far the words below a statement are indented.
const INDENT: usize = LABEL + 4;

pub(super) fn write(out: &mut dyn Write, style: Style, view: &ResolveView<'_>) -> io::Result<()> {
    for file in &view.found.files {
        if file.id != *view.id {
            let words = format!(
                "golang-migrate writes the same record while it reverts {}, of which something is in place:",
                file.id
            );
            list(out, style, 0, &words)?;
        }
        one_file(out, style, file)?;
    }
    match &view.found.keys {
        Some(keys) => key_words(keys)
            .iter()
            .try_for_each(|words| bullet(out, style, words)),
        None => Ok(()),
    }
}

fn bullet(out: &mut dyn Write, style: Style, words: &str) -> io::Result<()> {
    let mut mark = "-";
    wrapped(words, style.room(4))
        .into_iter()
        .try_for_each(|text| {
            let written = writeln!(out, "  {mark} {text}");
            mark = " ";
            written
        })
}

fn list(out: &mut dyn Write, style: Style, indent: usize, words: &str) -> io::Result<()> {
    wrapped(words, style.room(indent))
        .into_iter()
        .try_for_each(|text| writeln!(out, "{:indent$}{text}", ""))
}

fn one_file(out: &mut dyn Write, style: Style, file: &FileEvidence) -> io::Result<()> {
    let path = line(&file.path);
    writeln!(
        out,
        "{}",
        style.paint(Tone::Strong, &cut(&path, style.room(0)))
    )?;
    list(out, style, 2, &sum(file))?;
    for (index, statement) in file.statements.iter().enumerate() {
        let (label, tone) = match statement.standing() {
            Standing::InPlace => ("in place", Tone::Good),
            Standing::Missing => ("missing", Tone::Bad),
            Standing::Partly => ("partly", Tone::Bad),
            Standing::Unknown => ("unknown", Tone::Caution),
        };
        let label = style.paint(tone, &format!("{label:LABEL$}"));
        let head = format!("{}  {}", index + 1, squeezed(&statement.text));
        writeln!(out, "  {label}  {}", cut(&head, style.room(INDENT)))?;
        let mut place = format!("line {}: ", statement.line);
        for words in statement_words(index, statement) {
            list(out, style, INDENT, &format!("{place}{words}"))?;
            place.clear();
        }
    }
    Ok(())
}

/// How many statements stand how.
fn sum(file: &FileEvidence) -> String {
    let standings = [
        (Standing::InPlace, "in place"),
        (Standing::Missing, "missing"),
        (Standing::Partly, "in place in part"),
        (Standing::Unknown, "unknown"),
    ];
    let counts: Vec<String> = standings
        .iter()
        .map(|(standing, words)| (file.count(*standing), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let of = counted(file.statements.len() as u64, "statement");
    if counts.is_empty() {
        return of;
    }
    format!("{of}: {}", counts.join(", "))
}

/// What is found of a statement, a sentence each.
pub(super) fn statement_words(index: usize, statement: &StatementEvidence) -> Vec<String> {
    if statement.recorded {
        return vec!["the ledger has it as done".to_owned()];
    }
    let mut words = Vec::new();
    if statement.traces.is_empty() {
        words.push("the catalog shows nothing of it".to_owned());
    }
    words.extend(
        statement
            .traces
            .iter()
            .map(|trace| trace_words(index + 1, trace)),
    );
    words.extend(statement.order.map(|order| match order {
        Order::LaterInPlace(number) => {
            format!("statement {number}, which comes after it, is in place")
        }
        Order::EarlierMissing(number) => {
            format!("statement {number}, which comes before it, is missing")
        }
    }));
    words
}

/// What is found of one thing that the statement with this number leaves.
pub(super) fn trace_words(number: usize, trace: &Trace) -> String {
    let object = object_words(&trace.object);
    let is = |yes: &str, no: &str, holds: bool| {
        let words = if holds { yes } else { no };
        format!("{object} {words}")
    };
    match (&trace.found, &trace.aspect) {
        (Found::Absent, _) => format!("{object} is missing"),
        (Found::Invalid, _) => format!("{object} is there, and INVALID"),
        (Found::Unclear(Some(now)), _) => format!("{object} is {}", line(now)),
        (Found::Unclear(None), _) => {
            format!("{object} is there; whether it is the new one, its name does not tell")
        }
        (Found::Undone(other), _) => {
            let (first, last) = (number.min(*other), number.max(*other));
            format!("{object} is the same before statement {first} and after statement {last}")
        }
        (found, aspect) => {
            let holds = (*found == Found::InPlace) == trace.holds;
            match aspect {
                Aspect::Presence if trace.holds => is("is there", "is missing", holds),
                Aspect::Presence => is("is still there", "is gone", holds),
                Aspect::NotNull => is("refuses nulls", "takes nulls", holds),
                Aspect::Default => is("has a default", "has no default", holds),
                Aspect::Validated => is("is validated", "is not validated", holds),
                Aspect::Label(label) => {
                    let label = line(label);
                    let (yes, no) = (
                        format!("has the label '{label}'"),
                        format!("lacks the label '{label}'"),
                    );
                    is(&yes, &no, holds)
                }
                Aspect::Definition => is("is there", "is missing", holds),
            }
        }
    }
}

/// An object with its kind and whole name.
pub(super) fn object_words(object: &Object) -> String {
    let name = match &object.table {
        Some(table) => format!("{table}.{}", object.name),
        None => object.name.to_string(),
    };
    format!("{} {}", kind_word(object.kind), line(&name))
}

pub(super) fn kind_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Column => "column",
        ObjectKind::Constraint => "constraint",
        ObjectKind::Index => "index",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView => "materialized view",
        ObjectKind::Sequence => "sequence",
        ObjectKind::Type => "type",
        ObjectKind::Function => "function",
        ObjectKind::Procedure => "procedure",
        ObjectKind::Trigger => "trigger",
        ObjectKind::Policy => "policy",
        ObjectKind::Extension => "extension",
        ObjectKind::Schema => "schema",
    }
}

fn key_words(keys: &KeyEvidence) -> Vec<String> {
    match keys {
        KeyEvidence::Counted(doing, counts) => {
            let mut words = format!(
                "of {} in scope {} work for {}",
                counted(counts.in_scope, "key"),
                if counts.to_do == 1 {
                    "1 still needs".to_owned()
                } else {
                    format!("{} still need", count(counts.to_do))
                },
                run(*doing)
            );
            if *doing == Doing::Apply {
                words.push_str(&format!(", and {} as they should be", are(counts.done)));
            }
            vec![words]
        }
        KeyEvidence::Refused(doing, findings) => {
            let mut words = vec![format!(
                "how many keys still need work for {} cannot be told:",
                run(*doing)
            )];
            words.extend(findings.iter().map(|finding| line(finding)));
            words
        }
    }
}

fn are(number: u64) -> String {
    if number == 1 {
        "1 is".to_owned()
    } else {
        format!("{} are", count(number))
    }
}
