//! The gate: why the application does not start, or what it starts on.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::status::{Gate, MigrationStatus};
use crate::render::graph::{status_tone, symbol};
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::table::{Cell, table};
use crate::render::text::line;
use crate::render::units::counted_len;

/// Writes why the application does not start, and the command to run.
///
/// # Errors
/// What `out` says.
pub fn gate(out: &mut dyn Write, style: Style, gate: &Gate) -> io::Result<()> {
    let version = line(&gate.version);
    let dirty = gate.unknown.is_some_and(|row| row.dirty);
    if !gate.blocking.is_empty() {
        let message = format!(
            "not started: {} between the databases and version {version}",
            standing(gate.blocking.len())
        );
        super::error(out, style, &message, None)?;
        rows(out, style, &gate.blocking)?;
    }
    if dirty || (gate.blocking.is_empty() && gate.is_ahead()) {
        let message = format!("not started: {}", ahead_words(gate));
        super::error(out, style, &message, None)?;
        rows(out, style, &gate.ahead)?;
    }
    if dirty {
        return super::hint(
            out,
            style,
            "mend the database with the tool that knows this migration, then set its row right",
        );
    }
    let hint = super::list::next(&gate.blocking).unwrap_or_else(|| {
        "start a release that knows these migrations, or allow it with [serve] ahead = \"warn\" in outpost.toml"
            .to_owned()
    });
    super::hint(out, style, &hint)
}

fn standing(number: usize) -> String {
    let verb = if number == 1 { "stands" } else { "stand" };
    format!("{} {verb}", counted_len(number, "migration"))
}

/// Writes what a waiting gate waits for, on one line.
///
/// # Errors
/// What `out` says.
pub fn gate_waiting(out: &mut dyn Write, style: Style, gate: &Gate) -> io::Result<()> {
    let words = if gate.blocking.is_empty() {
        ahead_words(gate)
    } else {
        let version = &gate.version;
        format!(
            "{} between the databases and version {version}",
            standing(gate.blocking.len())
        )
    };
    super::remark(out, style, &format!("waiting: {words}"))
}

/// Writes the warning that the database is ahead of the desired version, on one line.
///
/// # Errors
/// What `out` says.
pub fn gate_ahead(out: &mut dyn Write, style: Style, gate: &Gate) -> io::Result<()> {
    super::warning(out, style, &ahead_words(gate))
}

fn ahead_words(gate: &Gate) -> String {
    let mut parts: Vec<String> = gate.ahead.iter().map(|m| m.id.to_string()).collect();
    if let Some(row) = gate.unknown {
        let dirty = if row.dirty { ", dirty" } else { "" };
        parts.push(format!(
            "golang-migrate's version {}{dirty}, which the schema folder does not define",
            row.version
        ));
    }
    format!(
        "the database is ahead of version {}: it has {}",
        gate.version,
        parts.join(", ")
    )
}

fn rows(out: &mut dyn Write, style: Style, migrations: &[MigrationStatus]) -> io::Result<()> {
    if migrations.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = migrations
        .iter()
        .map(|m| {
            let tone = Some(status_tone(&m.status));
            vec![
                (format!("  {}", symbol(&m.status)), tone),
                (m.id.to_string(), None),
                (m.status.label().to_owned(), tone),
                (
                    m.description.as_deref().map(line).unwrap_or_default(),
                    Some(Tone::Faint),
                ),
            ]
        })
        .collect();
    table(
        out,
        style,
        &["", "migration", "status", "description"],
        3,
        &rows,
    )?;
    super::list::failures(out, style, migrations)
}

#[derive(Serialize)]
struct GateJson<'a> {
    open: bool,
    #[serde(flatten)]
    gate: &'a Gate,
}

/// Writes the gate as JSON.
///
/// # Errors
/// What `out` says.
pub fn gate_json(out: &mut dyn Write, gate: &Gate) -> io::Result<()> {
    json::document(
        out,
        &GateJson {
            open: gate.open(),
            gate,
        },
    )
}
