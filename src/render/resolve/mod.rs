//! `resolve`: what was found of a migration that is half done, before a person decides.

use std::io::{self, Write};

use crate::model::id::MigrationId;
use crate::model::plan::Resolution;
use crate::model::state::{Doing, LedgerStatus, Proof, StoreState};
use crate::render::style::{Style, Tone};
use crate::render::text::{line, wrapped};
use crate::render::units::{count, counted, counted_len, time};

/// Writes what the ledger, earlier tools and the schema say of a migration, and what the decision means.
///
/// # Errors
/// What `out` says.
pub fn resolve(
    out: &mut dyn Write,
    style: Style,
    id: &MigrationId,
    state: &StoreState,
    resolution: Resolution,
) -> io::Result<()> {
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
    if state.legacy != crate::model::state::Legacy::default() {
        say(&format!("earlier tools recorded: {}", state.legacy))?;
    }
    for words in found(state.proofs.get(id)) {
        say(&words)?;
    }
    let meaning = match resolution {
        Resolution::Applied => "It will be recorded as applied; nothing is run.",
        Resolution::RolledBack => {
            "It will be recorded as not applied; nothing is run, and the next plan applies it from its beginning."
        }
    };
    wrapped(meaning, style.room(0))
        .into_iter()
        .try_for_each(|text| writeln!(out, "{text}"))
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
            let doing = match doing {
                Doing::Apply => "an apply",
                Doing::Revert => "a revert",
                Doing::Cleanup => "a cleanup",
            };
            format!("the ledger has {doing} of it that was not finished")
        }
    };
    if let Some(checkpoint) = &entry.checkpoint {
        let done = if checkpoint.keys_done > 0 {
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

fn found(proof: Option<&Proof>) -> Vec<String> {
    match proof {
        None => vec!["nothing was found that shows whether it is in place".to_owned()],
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
