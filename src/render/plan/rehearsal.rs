//! What a rehearsal saw, in words.

use std::collections::BTreeMap;

use crate::model::id::StoreKind;
use crate::model::plan::{
    Origin, Outcome, Rehearsal, RehearsalServer, StatementRehearsal, StepRehearsal, WayBack,
};
use crate::model::sql::LockMode;
use crate::render::plan::impact::who_waits;
use crate::render::units::{counted, counted_len, duration_ms};

/// Names that are listed; JSON has all.
const NAMED: usize = 5;

/// Where a plan was rehearsed and from what, and what that is not like.
pub(super) fn rehearsal_words(store: StoreKind, rehearsal: &Rehearsal) -> Vec<String> {
    let product = match store {
        StoreKind::Sql => "Postgres",
        StoreKind::Redis => "Redis",
    };
    let server = match rehearsal.server {
        RehearsalServer::Throwaway => "a throwaway",
        RehearsalServer::Given => "a given",
    };
    let origin = match &rehearsal.origin {
        Origin::Empty => "beginning with nothing".to_owned(),
        Origin::Replayed { migrations } => format!(
            "after {} that the target has",
            counted_len(migrations.len(), "migration")
        ),
        Origin::Sampled { keys } => format!("over a sample of {}", counted(*keys, "key")),
    };
    let mut words = vec![format!(
        "rehearsed in {server} {product} {}, {origin}",
        rehearsal.version
    )];
    if let Some(target) = rehearsal.other_major() {
        words.push(match store {
            StoreKind::Sql => format!(
                "the target has version {target}: locks and rewrites may differ there, and the schemas were not compared"
            ),
            StoreKind::Redis => format!("the target has version {target}: commands may differ there"),
        });
    }
    if !rehearsal.differences.is_empty() {
        let named = named(&rehearsal.differences, "; ");
        words.push(match store {
            StoreKind::Sql => format!("unlike the target there: {named}"),
            StoreKind::Redis => named,
        });
    }
    if let Some(reason) = &rehearsal.failed {
        words.push(format!(
            "the rehearsal failed before its first step: {reason}"
        ));
    }
    words
}

/// How a step went.
pub(super) fn step_words(step: &StepRehearsal) -> String {
    match &step.outcome {
        Outcome::Done => {
            let took = duration_ms(step.ms);
            let mut words = match step.keys {
                None => format!("rehearsed in {took} on empty tables"),
                Some(keys) => format!("rehearsed on a sample, changing {}", counted(keys, "key")),
            };
            if let Some(way_back) = &step.way_back {
                words.push_str(&format!("; {}", way_back_words(way_back)));
            }
            words
        }
        // The step's warning says why.
        Outcome::Failed { .. } if step.keys.is_some() => "failed in the rehearsal".to_owned(),
        Outcome::Failed { .. } => format!(
            "failed in the rehearsal, at statement {}",
            step.statements.len() + 1
        ),
        Outcome::NotRun { reason } => format!("not rehearsed: {reason}"),
    }
}

fn way_back_words(way_back: &WayBack) -> String {
    match way_back {
        WayBack::Exact => "its way back brings back exactly what was there".to_owned(),
        // The step's warning says more.
        WayBack::Differs { .. } => "its way back does not bring back what was there".to_owned(),
        WayBack::Failed { .. } => "its way back failed".to_owned(),
        WayBack::Absent { reason } => format!("no way back was tried: {reason}"),
    }
}

/// What a statement did to what was there before it; `None` where that is nothing.
pub(super) fn statement_words(statement: &StatementRehearsal) -> Option<String> {
    let mut by_mode: BTreeMap<LockMode, Vec<String>> = BTreeMap::new();
    for lock in &statement.locks {
        let relations = by_mode.entry(lock.mode).or_default();
        relations.push(lock.relation.clone());
    }
    // The strongest first.
    let mut parts: Vec<String> = by_mode
        .iter()
        .rev()
        .map(|(mode, relations)| {
            let (on, waits) = (named(relations, ", "), who_waits(*mode));
            format!("{} on {on}, {waits}", mode.sql())
        })
        .collect();
    if !statement.rewritten.is_empty() {
        parts.push(format!("wrote {} anew", named(&statement.rewritten, ", ")));
    }
    if !statement.indexes_built.is_empty() {
        parts.push(format!("built {}", named(&statement.indexes_built, ", ")));
    }
    (!parts.is_empty()).then(|| format!("rehearsed: {}", parts.join("; ")))
}

/// The first few of some names.
fn named(names: &[String], between: &str) -> String {
    let (first, rest) = names.split_at(names.len().min(NAMED));
    let mut words = first.join(between);
    if !rest.is_empty() {
        words.push_str(&format!("{between}and {} more", rest.len()));
    }
    words
}
