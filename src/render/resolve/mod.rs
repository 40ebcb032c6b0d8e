//! `resolve`: what was found of a migration that is half done, before a person decides.

mod evidence;
mod json;

use std::io::{self, Write};

pub use json::resolve_json;

use crate::model::half_done::HalfDone;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::plan::Resolution;
use crate::model::state::{Doing, LedgerStatus, Legacy, Proof, StoreState};
use crate::render::style::{Style, Tone};
use crate::render::text::{line, wrapped};
use crate::render::units::{count, counted, counted_len, time};

/// A migration that somebody is about to decide on.
#[derive(Debug, Clone, Copy)]
pub struct ResolveView<'a> {
    /// The migration.
    pub id: &'a MigrationId,
    /// Its store.
    pub state: &'a StoreState,
    /// What is in place of it.
    pub found: &'a HalfDone,
    /// What is to be recorded.
    pub resolution: Resolution,
}

/// Writes what the ledger, earlier tools, the schema and the keys say of a migration, and what the decision means.
///
/// # Errors
/// What `out` says.
pub fn resolve(out: &mut dyn Write, style: Style, view: &ResolveView<'_>) -> io::Result<()> {
    let ResolveView { id, state, .. } = *view;
    writeln!(out, "{}", style.paint(Tone::Strong, &id.to_string()))?;
    let mut say = |text: &str| {
        let mut mark = "-";
        wrapped(&line(text), style.room(4))
            .into_iter()
            .try_for_each(|text| {
                let written = writeln!(out, "  {mark} {text}");
                mark = " ";
                written
            })
    };
    say(&ledger(id, state))?;
    if state.legacy != Legacy::default() {
        say(&format!("earlier tools recorded: {}", state.legacy))?;
    }
    for words in proof(state.proofs.get(id)) {
        say(&words)?;
    }
    evidence::write(out, style, view)?;
    wrapped(meaning(view.resolution), style.room(0))
        .into_iter()
        .try_for_each(|text| writeln!(out, "{text}"))
}

fn meaning(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Applied => "It will be recorded as applied; nothing is run.",
        Resolution::RolledBack => {
            "It will be recorded as not applied; nothing is run, and the next plan applies it from its beginning."
        }
    }
}

fn ledger(id: &MigrationId, state: &StoreState) -> String {
    let Some(entry) = state.ledger.get(id) else {
        return "the ledger has no record of it".to_owned();
    };
    let mut words = match &entry.status {
        LedgerStatus::Applied { .. } => "the ledger has it as applied".to_owned(),
        LedgerStatus::Skipped { reason } => format!("the ledger has it as skipped: {reason}"),
        LedgerStatus::Reverted => "the ledger has it as reverted".to_owned(),
        LedgerStatus::Partial { doing } => {
            format!("the ledger has {} of it that was not finished", run(*doing))
        }
    };
    if let Some(checkpoint) = &entry.checkpoint {
        let done = if id.store() == StoreKind::Redis {
            format!("{} examined", counted(checkpoint.keys_done, "key"))
        } else {
            format!(
                "{} done",
                counted_len(checkpoint.statements_done, "statement")
            )
        };
        words.push_str(&format!(", {done}"));
    }
    format!("{words}, written {} by {}", time(&entry.at), entry.actor)
}

fn run(doing: Doing) -> &'static str {
    match doing {
        Doing::Apply => "an apply",
        Doing::Revert => "a revert",
        Doing::Cleanup => "a cleanup",
    }
}

/// What the record of an earlier tool was compared with; nothing where there is none.
fn proof(proof: Option<&Proof>) -> Vec<String> {
    match proof {
        None => Vec::new(),
        Some(Proof::Nothing) => {
            vec!["nothing proves it: no pinned fingerprint and no verification".to_owned()]
        }
        Some(Proof::Proven(proof)) => vec![format!("it is in place: {proof}")],
        Some(Proof::Disproven(findings)) => findings.clone(),
        Some(Proof::SourcesLeft {
            count: number,
            samples,
        }) => {
            vec![format!(
                "{} sources have no counterpart, such as {}",
                count(*number),
                samples.join(", ")
            )]
        }
    }
}
