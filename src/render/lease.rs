//! `unlock`: who holds the leases.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::id::StoreKind;
use crate::model::lease::LeaseInfo;
use crate::render::json;
use crate::render::list::lease_words;
use crate::render::style::{Style, Tone};
use crate::render::text::{line, wrapped};

/// A store and its lease, if anybody holds it.
pub type StoreLease = (StoreKind, Option<LeaseInfo>);

/// Writes who holds the lease of each store.
///
/// # Errors
/// What `out` says.
pub fn leases(out: &mut dyn Write, style: Style, stores: &[StoreLease]) -> io::Result<()> {
    for (kind, lease) in stores {
        let (words, tone) = match lease {
            None => ("not locked".to_owned(), Tone::Faint),
            Some(lease) => {
                let state = match (lease.expired(), lease.being_renewed()) {
                    (true, _) => "expired, the next run takes it over",
                    (_, true) => "alive",
                    (_, false) => "not renewed lately",
                };
                (format!("{} ({state})", lease_words(lease)), Tone::Caution)
            }
        };
        let mut before = format!("{kind:<5}");
        for text in wrapped(&line(&words), style.room(7)) {
            writeln!(out, "{before}  {}", style.paint(tone, &text))?;
            before = " ".repeat(5);
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct LeasesJson<'a> {
    stores: Vec<StoreJson<'a>>,
}

#[derive(Serialize)]
struct StoreJson<'a> {
    store: StoreKind,
    lease: Option<&'a LeaseInfo>,
}

/// Writes the leases as JSON.
///
/// # Errors
/// What `out` says.
pub fn leases_json(out: &mut dyn Write, stores: &[StoreLease]) -> io::Result<()> {
    let stores = stores
        .iter()
        .map(|(store, lease)| StoreJson {
            store: *store,
            lease: lease.as_ref(),
        })
        .collect();
    json::document(out, &LeasesJson { stores })
}
