//! What is in place of a migration as one line of JSON, before the events of the run that records the decision.

use std::io::{self, Write};

use serde::Serialize;

use super::evidence::{kind_word, object_words, statement_words, trace_words};
use super::{ResolveView, ledger, proof};
use crate::model::half_done::{FileEvidence, Found, KeyEvidence, Order, Standing, Trace};
use crate::model::plan::Resolution;
use crate::model::sql::Aspect;
use crate::model::state::Doing;
use crate::render::json;

#[derive(Serialize)]
struct HalfDoneJson<'a> {
    event: &'static str,
    id: String,
    resolution: Resolution,
    /// What the ledger says, in words.
    ledger: String,
    /// What earlier tools recorded, in words.
    earlier_tools: String,
    /// What their record was compared with, and what came of it.
    findings: Vec<String>,
    files: Vec<FileJson<'a>>,
    keys: Option<KeysJson<'a>>,
}

#[derive(Serialize)]
struct FileJson<'a> {
    id: String,
    file: &'a str,
    doing: Doing,
    statements: Vec<StatementJson<'a>>,
}

#[derive(Serialize)]
struct StatementJson<'a> {
    number: usize,
    line: usize,
    sql: &'a str,
    standing: &'static str,
    /// Whether the ledger has it as done.
    recorded: bool,
    objects: Vec<ObjectJson>,
    /// The number of a later statement that is in place, where only that tells.
    later_in_place: Option<usize>,
    /// The number of an earlier statement that is missing, where only that tells.
    earlier_missing: Option<usize>,
    /// The same in words.
    words: Vec<String>,
}

#[derive(Serialize)]
struct ObjectJson {
    kind: &'static str,
    object: String,
    aspect: &'static str,
    /// Whether it holds once the statement was carried out.
    holds: bool,
    found: &'static str,
    words: String,
}

#[derive(Serialize)]
struct KeysJson<'a> {
    doing: Doing,
    in_scope: Option<u64>,
    to_do: Option<u64>,
    done: Option<u64>,
    /// What keeps the keys from being counted.
    refused: &'a [String],
}

/// Writes what is in place of a migration, on one line.
///
/// # Errors
/// What `out` says.
pub fn resolve_json(out: &mut dyn Write, view: &ResolveView<'_>) -> io::Result<()> {
    let keys = view.found.keys.as_ref().map(|keys| match keys {
        KeyEvidence::Counted(doing, counts) => KeysJson {
            doing: *doing,
            in_scope: Some(counts.in_scope),
            to_do: Some(counts.to_do),
            done: Some(counts.done),
            refused: &[],
        },
        KeyEvidence::Refused(doing, findings) => KeysJson {
            doing: *doing,
            in_scope: None,
            to_do: None,
            done: None,
            refused: findings,
        },
    });
    json::line(
        out,
        &HalfDoneJson {
            event: "half_done",
            id: view.id.to_string(),
            resolution: view.resolution,
            ledger: ledger(view.id, view.state),
            earlier_tools: view.state.legacy.to_string(),
            findings: proof(view.state.proofs.get(view.id)),
            files: view.found.files.iter().map(file).collect(),
            keys,
        },
    )
}

fn file(file: &FileEvidence) -> FileJson<'_> {
    let statements = file.statements.iter().enumerate();
    FileJson {
        id: file.id.to_string(),
        file: &file.path,
        doing: file.doing,
        statements: statements
            .map(|(index, statement)| StatementJson {
                number: index + 1,
                line: statement.line,
                sql: &statement.text,
                standing: match statement.standing() {
                    Standing::InPlace => "in_place",
                    Standing::Missing => "missing",
                    Standing::Partly => "partly",
                    Standing::Unknown => "unknown",
                },
                recorded: statement.recorded,
                objects: statement
                    .traces
                    .iter()
                    .map(|trace| object(index + 1, trace))
                    .collect(),
                later_in_place: match statement.order {
                    Some(Order::LaterInPlace(number)) => Some(number),
                    _ => None,
                },
                earlier_missing: match statement.order {
                    Some(Order::EarlierMissing(number)) => Some(number),
                    _ => None,
                },
                words: statement_words(index, statement),
            })
            .collect(),
    }
}

fn object(number: usize, trace: &Trace) -> ObjectJson {
    ObjectJson {
        kind: kind_word(trace.object.kind),
        object: object_words(&trace.object),
        aspect: match trace.aspect {
            Aspect::Presence => "presence",
            Aspect::NotNull => "not_null",
            Aspect::Default => "default",
            Aspect::Validated => "validated",
            Aspect::Label(_) => "label",
            Aspect::Definition => "definition",
        },
        holds: trace.holds,
        found: match trace.found {
            Found::InPlace => "in_place",
            Found::Missing => "missing",
            Found::Absent => "absent",
            Found::Invalid => "invalid",
            Found::Unclear(_) => "unclear",
            Found::Undone(_) => "undone",
        },
        words: trace_words(number, trace),
    }
}
