//! `list`: where every migration stands.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::id::StoreKind;
use crate::model::lease::{LEASE_TTL, LeaseInfo};
use crate::model::state::{LedgerStatus, StoreIdentity, StoreState};
use crate::model::status::{MigrationStatus, Status};
use crate::render::graph::{status_tone, symbol};
use crate::render::json;
use crate::render::plan::database;
use crate::render::style::{Style, Tone};
use crate::render::table::{Cell, table};
use crate::render::text::{line, paragraph, wrapped};
use crate::render::units::{count, counted, counted_len, duration_ms, time};

/// What `list` shows.
#[derive(Debug, Clone)]
pub struct ListView<'a> {
    /// The desired version.
    pub version: &'a str,
    /// The configured stores, Postgres first: where each is, without a password, and what it holds.
    pub stores: Vec<(String, &'a StoreState)>,
    /// Where every migration stands, by id.
    pub migrations: &'a [MigrationStatus],
}

/// Writes the stores, the migrations and one line that sums them up.
///
/// # Errors
/// What `out` says.
pub fn list(out: &mut dyn Write, style: Style, view: &ListView<'_>) -> io::Result<()> {
    for (address, state) in &view.stores {
        store(out, style, address, state)?;
    }
    if !view.stores.is_empty() {
        writeln!(out)?;
    }
    if view.migrations.is_empty() {
        return writeln!(out, "No migrations.");
    }
    let rows: Vec<Vec<Cell>> = view.migrations.iter().map(row).collect();
    table(
        out,
        style,
        &[
            "",
            "migration",
            "status",
            "version",
            "when",
            "by",
            "description",
        ],
        3,
        &rows,
    )?;
    failures(out, style, view.migrations)?;
    writeln!(out)?;
    paragraph(out, style, Tone::Strong, &summary(view))
}

/// Writes which of the pending migrations failed before, when, and with which words.
pub(super) fn failures(
    out: &mut dyn Write,
    style: Style,
    migrations: &[MigrationStatus],
) -> io::Result<()> {
    for migration in migrations {
        let Some(failed) = &migration.failed else {
            continue;
        };
        let words = format!(
            "{} failed before, {}: {}",
            migration.id,
            time(&failed.at),
            failed.error
        );
        let mut before = "";
        for text in wrapped(&line(&words), style.room(2)) {
            writeln!(out, "{before}{}", style.paint(Tone::Bad, &text))?;
            before = "  ";
        }
    }
    Ok(())
}

fn row(migration: &MigrationStatus) -> Vec<Cell> {
    let tone = Some(status_tone(&migration.status));
    let mut status = migration.status.label().to_owned();
    if let Status::Interrupted { doing } | Status::Running { doing } = &migration.status {
        let doing = match doing {
            crate::model::state::Doing::Apply => "apply",
            crate::model::state::Doing::Revert => "revert",
            crate::model::state::Doing::Cleanup => "cleanup",
        };
        status = format!("{status} ({doing})");
    }
    if migration.out_of_order {
        status.push_str(" (out of order)");
    }
    if !migration.in_catalog {
        status.push_str(" (no file)");
    }
    let text = |text: Option<&str>| text.map(line).unwrap_or_default();
    let description = match &migration.status {
        Status::Skipped { reason } => format!("skipped: {}", line(reason)),
        _ => text(migration.description.as_deref()),
    };
    vec![
        (symbol(&migration.status).to_string(), tone),
        (migration.id.to_string(), None),
        (status, tone),
        (text(migration.version.as_deref()), None),
        (
            migration.at.as_deref().map(time).unwrap_or_default(),
            Some(Tone::Faint),
        ),
        (text(migration.by.as_deref()), Some(Tone::Faint)),
        (description, None),
    ]
}

fn store(out: &mut dyn Write, style: Style, address: &str, state: &StoreState) -> io::Result<()> {
    let kind = kind(&state.identity);
    let mut identity = database(&state.identity);
    // An address may name the database already.
    if let Some((name, rest)) = identity.split_once(", ")
        && address.ends_with(name)
    {
        identity = rest.to_owned();
    }
    let mut parts = vec![address.to_owned(), identity];
    if let Some(entries) = entries(state) {
        parts.push(entries);
    }
    if state.legacy != crate::model::state::Legacy::default() {
        parts.push(format!("earlier tools: {}", state.legacy));
    }
    let mut before = format!("{kind:<5}");
    for text in wrapped(&line(&parts.join(", ")), style.room(7)) {
        writeln!(out, "{before}  {text}")?;
        before = " ".repeat(5);
    }
    if let Some(lease) = &state.lease {
        for text in wrapped(
            &line(&format!("locked by {}", lease_words(lease))),
            style.room(7),
        ) {
            writeln!(out, "       {}", style.paint(Tone::Caution, &text))?;
        }
    }
    Ok(())
}

fn entries(state: &StoreState) -> Option<String> {
    let recorded = state
        .ledger
        .values()
        .filter(|e| e.status != LedgerStatus::Reverted)
        .count();
    state
        .identity
        .ledger()
        .map(|_| counted(recorded as u64, "entry"))
}

fn kind(identity: &StoreIdentity) -> StoreKind {
    match identity {
        StoreIdentity::Postgres { .. } => StoreKind::Sql,
        StoreIdentity::Redis { .. } => StoreKind::Redis,
    }
}

/// Who holds a lease, since when, when it was last renewed and when it ends. Ages are the store's own:
/// they follow from the time that is left.
pub(super) fn lease_words(lease: &LeaseInfo) -> String {
    let holder = lease
        .holder
        .as_ref()
        .map_or_else(|| "an earlier tool".to_owned(), ToString::to_string);
    let since = if lease.since.is_empty() {
        String::new()
    } else {
        format!(", since {}", time(&lease.since))
    };
    let life = i64::try_from(LEASE_TTL.as_millis()).unwrap_or(i64::MAX);
    let left = u64::try_from(lease.expires_in_ms).unwrap_or(0);
    let end = if lease.expired() {
        format!(
            "expired {} ago",
            duration_ms(lease.expires_in_ms.unsigned_abs())
        )
    } else if lease.expires_in_ms > life {
        format!("expires in {}", duration_ms(left))
    } else {
        let age = u64::try_from(life - lease.expires_in_ms).unwrap_or(0);
        format!(
            "renewed {} ago, expires in {}",
            duration_ms(age),
            duration_ms(left)
        )
    };
    format!("{holder}{since}, {end}, lease {}", lease.id)
}

/// `14 migrations: 9 applied, 5 pending; desired version 1.2`.
fn summary(view: &ListView<'_>) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for migration in view.migrations {
        let label = migration.status.label();
        match counts.iter_mut().find(|(known, _)| *known == label) {
            Some((_, number)) => *number += 1,
            None => counts.push((label, 1)),
        }
    }
    counts.sort_by_key(|(label, _)| ORDER.iter().position(|known| known == label));
    let parts: Vec<String> = counts
        .iter()
        .map(|(label, number)| format!("{} {label}", count(*number)))
        .collect();
    format!(
        "{}: {}; desired version {}",
        counted_len(view.migrations.len(), "migration"),
        parts.join(", "),
        line(view.version)
    )
}

/// The order of the labels in the summary.
const ORDER: [&str; 12] = [
    "applied",
    "cleaned",
    "skipped",
    "unadopted",
    "pending",
    "running",
    "interrupted",
    "dirty",
    "edited",
    "ahead",
    "not desired",
    "no store",
];

/// Writes what to do next, for stderr; nothing where there is nothing to do.
///
/// # Errors
/// What `out` says.
pub fn list_hint(out: &mut dyn Write, style: Style, view: &ListView<'_>) -> io::Result<()> {
    match next(view.migrations) {
        Some(words) => super::hint(out, style, &words),
        None => Ok(()),
    }
}

/// What to do about migrations that stand where they should not.
pub(super) fn next(migrations: &[MigrationStatus]) -> Option<String> {
    let first = |which: fn(&Status) -> bool| migrations.iter().find(|m| which(&m.status));
    if let Some(dirty) = first(|s| *s == Status::Dirty) {
        return Some(format!(
            "{id} failed half way under golang-migrate; look at it and decide: outpost migrate resolve {id} --applied, or --rolled-back",
            id = dirty.id
        ));
    }
    if let Some(edited) = first(|s| *s == Status::Edited) {
        return Some(format!(
            "{} was edited after it was applied; restore the file, or record the edit: outpost migrate plan --accept-edits -out plan.bin",
            edited.id
        ));
    }
    if let Some(running) = first(|s| matches!(s, Status::Running { .. })) {
        return Some(format!(
            "a run is at {}; outpost migrate list shows who",
            running.id
        ));
    }
    // Not a command that saves a plan: it would take the place of the one that goes on.
    if let Some(half) = first(|s| matches!(s, Status::Interrupted { .. })) {
        return Some(format!(
            "{id} was interrupted; run the same plan again: outpost migrate apply FILE, or decide: outpost migrate resolve {id} --applied, or --rolled-back",
            id = half.id
        ));
    }
    first(|s| matches!(s, Status::Pending | Status::Unadopted))
        .map(|_| "to see what would be done: outpost migrate plan -out plan.bin".to_owned())
}

#[derive(Serialize)]
struct ListJson<'a> {
    version: &'a str,
    stores: Vec<StoreJson<'a>>,
    migrations: &'a [MigrationStatus],
}

#[derive(Serialize)]
struct StoreJson<'a> {
    store: StoreKind,
    address: &'a str,
    ledger: Option<&'a str>,
    entries: usize,
    earlier_tools: String,
    lease: Option<&'a LeaseInfo>,
}

/// Writes the list as JSON.
///
/// # Errors
/// What `out` says.
pub fn list_json(out: &mut dyn Write, view: &ListView<'_>) -> io::Result<()> {
    let stores = view
        .stores
        .iter()
        .map(|(address, state)| StoreJson {
            store: kind(&state.identity),
            address,
            ledger: state.identity.ledger(),
            entries: state
                .ledger
                .values()
                .filter(|e| e.status != LedgerStatus::Reverted)
                .count(),
            earlier_tools: state.legacy.to_string(),
            lease: state.lease.as_ref(),
        })
        .collect();
    json::document(
        out,
        &ListJson {
            version: view.version,
            stores,
            migrations: view.migrations,
        },
    )
}
