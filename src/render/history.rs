//! `history`: what was done to the stores.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::history::HistoryEntry;
use crate::model::id::{MigrationId, StoreKind};
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::table::{Cell, table};
use crate::render::text::line;
use crate::render::units::{between_ms, counted_len, duration_ms, time};

/// The history of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHistory {
    /// The store.
    pub store: StoreKind,
    /// Its entries, the oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Migrations in the ledger that no entry explains.
    pub unexplained: Vec<MigrationId>,
}

impl StoreHistory {
    /// Whether nobody changed or removed anything.
    pub fn is_intact(&self) -> bool {
        self.unexplained.is_empty() && self.entries.iter().all(|entry| entry.intact)
    }
}

/// Writes the history of each store.
///
/// # Errors
/// What `out` says.
pub fn history(out: &mut dyn Write, style: Style, stores: &[StoreHistory]) -> io::Result<()> {
    for (at, history) in stores.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let entries = &history.entries;
        writeln!(
            out,
            "{}",
            style.paint(
                Tone::Strong,
                &format!("{}: {}", history.store, counted_len(entries.len(), "entry"))
            )
        )?;
        if !entries.is_empty() {
            let rows: Vec<Vec<Cell>> = entries.iter().map(row).collect();
            const HEADS: [&str; 9] = [
                "when",
                "migration",
                "action",
                "outcome",
                "by",
                "signed by",
                "took",
                "plan",
                "detail",
            ];
            table(out, style, &HEADS, 4, &rows)?;
        }
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
        let unexplained: Vec<String> = history
            .unexplained
            .iter()
            .map(ToString::to_string)
            .collect();
        if !unexplained.is_empty() {
            let words = format!(
                "no entry explains what the ledger has of {}: entries were removed",
                unexplained.join(", ")
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
    /// Migrations in the ledger that no entry explains.
    unexplained: Vec<String>,
    entries: &'a [HistoryEntry],
}

/// Writes the history as JSON.
///
/// # Errors
/// What `out` says.
pub fn history_json(out: &mut dyn Write, stores: &[StoreHistory]) -> io::Result<()> {
    let stores = stores
        .iter()
        .map(|history| StoreJson {
            store: history.store,
            intact: history.is_intact(),
            unexplained: history
                .unexplained
                .iter()
                .map(ToString::to_string)
                .collect(),
            entries: &history.entries,
        })
        .collect();
    json::document(out, &HistoryJson { stores })
}
