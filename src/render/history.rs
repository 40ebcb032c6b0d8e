//! `history`: what was done to the stores.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::history::HistoryEntry;
use crate::model::id::StoreKind;
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::table::{Cell, table};
use crate::render::text::line;
use crate::render::units::{between_ms, counted_len, duration_ms, time};

/// The history of one store, oldest entry first.
pub type StoreHistory = (StoreKind, Vec<HistoryEntry>);

/// Writes the history of each store.
///
/// # Errors
/// What `out` says.
pub fn history(out: &mut dyn Write, style: Style, stores: &[StoreHistory]) -> io::Result<()> {
    for (at, (kind, entries)) in stores.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        writeln!(
            out,
            "{}",
            style.paint(
                Tone::Strong,
                &format!("{kind}: {}", counted_len(entries.len(), "entry"))
            )
        )?;
        if entries.is_empty() {
            continue;
        }
        let rows: Vec<Vec<Cell>> = entries.iter().map(row).collect();
        table(
            out,
            style,
            &[
                "when",
                "migration",
                "action",
                "outcome",
                "by",
                "signed by",
                "took",
                "plan",
                "detail",
            ],
            4,
            &rows,
        )?;
        let broken: Vec<String> = entries
            .iter()
            .filter(|e| !e.intact)
            .map(|e| line(&e.seq))
            .collect();
        if !broken.is_empty() {
            let words = format!(
                "the chain of hashes is broken at {}: entries were changed or removed",
                broken.join(", ")
            );
            super::warning(out, style, &words)?;
        }
    }
    Ok(())
}

fn row(entry: &HistoryEntry) -> Vec<Cell> {
    let tone = if entry.outcome == "done" {
        Tone::Good
    } else {
        Tone::Bad
    };
    let outcome = if entry.intact {
        line(&entry.outcome)
    } else {
        format!("{}, not intact", line(&entry.outcome))
    };
    let took = between_ms(&entry.started_at, &entry.ended_at)
        .map(duration_ms)
        .unwrap_or_default();
    // The name alone: with its key, which JSON has, it would take the place of what follows.
    let signer = entry.signer.as_deref().unwrap_or_default();
    let signer = signer.rsplit_once(" (").map_or(signer, |(name, _)| name);
    vec![
        (time(&entry.started_at), Some(Tone::Faint)),
        (line(&entry.id), None),
        (line(&entry.action), None),
        (outcome, Some(if entry.intact { tone } else { Tone::Bad })),
        (line(&format!("{}@{}", entry.actor, entry.host)), None),
        (line(signer), None),
        (took, Some(Tone::Faint)),
        (
            line(entry.plan.get(..12).unwrap_or(&entry.plan)),
            Some(Tone::Faint),
        ),
        (entry.detail.as_deref().map(line).unwrap_or_default(), None),
    ]
}

#[derive(Serialize)]
struct HistoryJson<'a> {
    stores: Vec<StoreJson<'a>>,
}

#[derive(Serialize)]
struct StoreJson<'a> {
    store: StoreKind,
    intact: bool,
    entries: &'a [HistoryEntry],
}

/// Writes the history as JSON.
///
/// # Errors
/// What `out` says.
pub fn history_json(out: &mut dyn Write, stores: &[StoreHistory]) -> io::Result<()> {
    let stores = stores
        .iter()
        .map(|(store, entries)| StoreJson {
            store: *store,
            intact: entries.iter().all(|e| e.intact),
            entries,
        })
        .collect();
    json::document(out, &HistoryJson { stores })
}
