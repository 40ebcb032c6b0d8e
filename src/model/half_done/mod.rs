//! What is in place of a migration that is half done, statement by statement, as far as the catalog can tell.
//!
//! A catalog shows what is there, not what was run: what was there before looks as if it had been made, and rows
//! leave no trace. So nothing is called in place or missing that the catalog does not show, and what follows from
//! the order of the statements is said apart.

mod live;

use crate::model::catalog::Catalog;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::migration::{Content, Migration, SqlFile};
use crate::model::plan::KeyCounts;
use crate::model::sql::{Aspect, Effect, Object, ObjectKind, Statement};
use crate::model::state::{Doing, LedgerStatus, SchemaObjects, StoreState};
use live::{Live, Now};

/// What is in place of one migration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HalfDone {
    /// The files of SQL that may have been run in part.
    pub files: Vec<FileEvidence>,
    /// The keys, for a Redis migration.
    pub keys: Option<KeyEvidence>,
}

/// The keys that a Redis migration would meet now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyEvidence {
    /// How many need work, in the direction that is half done.
    Counted(Doing, KeyCounts),
    /// Keys that the migration cannot deal with, in sentences: nothing is counted past them.
    Refused(Doing, Vec<String>),
}

/// The statements of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEvidence {
    /// The migration that it belongs to.
    pub id: MigrationId,
    /// The file, below the schema folder.
    pub path: String,
    /// What it does.
    pub doing: Doing,
    /// Its statements, in their order.
    pub statements: Vec<StatementEvidence>,
}

/// What is found of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementEvidence {
    /// The line of the file on which it begins, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// Whether the ledger says that it was carried out.
    pub recorded: bool,
    /// What it leaves in the catalog; empty where the catalog shows nothing of it.
    pub traces: Vec<Trace>,
    /// What the order of the statements says of it, where the catalog does not tell.
    pub order: Option<Order>,
}

/// One thing that a statement leaves in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What it is, by its whole name.
    pub object: Object,
    /// What of it.
    pub aspect: Aspect,
    /// Whether it holds once the statement was carried out.
    pub holds: bool,
    /// What is found.
    pub found: Found,
}

/// What is found of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is as after the statement.
    InPlace,
    /// It is as before.
    Missing,
    /// It is as before: the object, or its table, is not there at all.
    Absent,
    /// The index is there, and INVALID.
    Invalid,
    /// It is there, but may be the one of before. With the column as it is now, where it is one.
    Unclear(Option<String>),
    /// Another statement of the file, by its number, makes it as it was before this one.
    Undone(usize),
}

/// What follows from the order in which statements run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// This one, which comes after it, is in place.
    LaterInPlace(usize),
    /// This one, which comes before it, is missing.
    EarlierMissing(usize),
}

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What it leaves is there, as far as it can be told, or the ledger has it.
    InPlace,
    /// What it leaves is not there.
    Missing,
    /// Some of it is there, and some is not.
    Partly,
    /// The catalog does not tell.
    Unknown,
}

impl StatementEvidence {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        if self.recorded {
            return Standing::InPlace;
        }
        let count = |wanted: &[Found]| {
            let is = |trace: &&Trace| wanted.contains(&trace.found);
            self.traces.iter().filter(is).count()
        };
        let in_place = count(&[Found::InPlace]);
        let missing = count(&[Found::Missing, Found::Absent, Found::Invalid]);
        match (in_place, missing) {
            (0, 0) => Standing::Unknown,
            // A statement is carried out as a whole, so one thing that is certain is enough.
            (_, 0) => Standing::InPlace,
            (0, _) => Standing::Missing,
            _ => Standing::Partly,
        }
    }
}

impl FileEvidence {
    /// How many statements stand so.
    pub fn count(&self, standing: Standing) -> usize {
        let is = |statement: &&StatementEvidence| statement.standing() == standing;
        self.statements.iter().filter(is).count()
    }
}

/// The files of a migration of SQL that may have been run in part, and what the real schema shows of them.
///
/// golang-migrate's row is dirty at a migration's number while that is applied, and also while the next one is
/// reverted; so where something of the next one is in place, its way back is looked at as well.
pub fn statements(catalog: &Catalog, id: &MigrationId, state: &StoreState) -> Vec<FileEvidence> {
    let (Some(migration), Some(schema)) = (catalog.get(id), &state.schema) else {
        return Vec::new();
    };
    let doing = doing(id, state);
    let recorded = recorded(migration, state);
    let mut files = Vec::new();
    files.extend(file_of(migration, doing).map(|file| evidence(id, file, doing, schema, recorded)));
    if state.legacy.dirty_at() == Some(id.number()) && !state.ledger.contains_key(id) {
        files.extend(way_back_of_the_next(catalog, id, schema));
    }
    files
}

/// The direction of what is half done; an apply, where only an earlier tool's record says so.
pub fn doing(id: &MigrationId, state: &StoreState) -> Doing {
    match state.ledger.get(id).map(|entry| &entry.status) {
        Some(LedgerStatus::Partial { doing }) => *doing,
        _ => Doing::Apply,
    }
}

fn file_of(migration: &Migration, doing: Doing) -> Option<&SqlFile> {
    let Content::Sql(sql) = &migration.content else {
        return None;
    };
    match doing {
        Doing::Apply => Some(&sql.up),
        Doing::Revert => sql.down.as_ref(),
        Doing::Cleanup => sql.cleanup.as_ref(),
    }
}

/// How many statements the ledger has as done. It counts those of the file as it was, so only where the file is
/// known to be the same.
fn recorded(migration: &Migration, state: &StoreState) -> usize {
    let applying = LedgerStatus::Partial {
        doing: Doing::Apply,
    };
    state
        .ledger
        .get(&migration.id)
        .filter(|entry| entry.status == applying && entry.checksum == *migration.checksum())
        .and_then(|entry| entry.checkpoint.as_ref())
        .map_or(0, |checkpoint| checkpoint.statements_done)
}

fn way_back_of_the_next(
    catalog: &Catalog,
    id: &MigrationId,
    schema: &SchemaObjects,
) -> Option<FileEvidence> {
    let next = catalog
        .ids_of(StoreKind::Sql)
        .filter(|other| other.number() > id.number())
        .min_by_key(|other| other.number())?;
    let migration = catalog.get(next)?;
    let up = file_of(migration, Doing::Apply)?;
    let there = evidence(next, up, Doing::Apply, schema, 0);
    let proves = |(statement, parsed): (&StatementEvidence, &Statement)| {
        let certain = parsed
            .class
            .effects
            .iter()
            .all(|effect| !effect.conditional);
        certain && matches!(statement.standing(), Standing::InPlace | Standing::Partly)
    };
    if !there
        .statements
        .iter()
        .zip(&up.script.statements)
        .any(proves)
    {
        return None;
    }
    let down = file_of(migration, Doing::Revert)?;
    Some(evidence(next, down, Doing::Revert, schema, 0))
}

fn evidence(
    id: &MigrationId,
    file: &SqlFile,
    doing: Doing,
    schema: &SchemaObjects,
    recorded: usize,
) -> FileEvidence {
    let live = Live::new(schema);
    let statements = &file.script.statements;
    let resolved: Vec<Vec<Effect>> = statements
        .iter()
        .map(|statement| {
            let effects = statement.class.effects.iter().cloned();
            effects
                .map(|effect| Effect {
                    object: live.resolve(&effect.object),
                    ..effect
                })
                .collect()
        })
        .collect();
    let mut found: Vec<StatementEvidence> = statements
        .iter()
        .enumerate()
        .map(|(index, statement)| StatementEvidence {
            line: statement.line,
            text: statement.text.clone(),
            recorded: index < recorded,
            traces: resolved[index]
                .iter()
                .map(|effect| trace(&live, &resolved, index, effect))
                .collect(),
            order: None,
        })
        .collect();
    let standings: Vec<Standing> = found.iter().map(StatementEvidence::standing).collect();
    for (index, statement) in found.iter_mut().enumerate() {
        if standings[index] == Standing::Unknown {
            statement.order = order(&standings, &resolved, index);
        }
    }
    FileEvidence {
        id: id.clone(),
        path: file.path.clone(),
        doing,
        statements: found,
    }
}

fn trace(live: &Live<'_>, all: &[Vec<Effect>], index: usize, effect: &Effect) -> Trace {
    let now = live.look(&effect.object, &effect.aspect);
    let presence = effect.aspect == Aspect::Presence;
    let found = match (now, effect.holds) {
        (Now::Unclear(words), _) => Found::Unclear(words),
        (Now::Invalid, true) => Found::Invalid,
        (Now::Holds, true) | (Now::Fails, false) => Found::InPlace,
        (Now::Absent, false) if presence => Found::InPlace,
        (Now::Absent, _) => Found::Absent,
        // An INVALID index is still there, so it was not dropped.
        _ => Found::Missing,
    };
    let settled = matches!(found, Found::InPlace | Found::Missing | Found::Absent);
    let as_after = found == Found::InPlace;
    let other = settled
        .then(|| contrary(live, all, index, effect, as_after))
        .flatten();
    Trace {
        object: effect.object.clone(),
        aspect: effect.aspect.clone(),
        holds: effect.holds,
        found: other.map_or(found, Found::Undone),
    }
}

/// The number of another statement of the file because of which the state tells nothing of this one: before the
/// first of the two and after the second the object is the same. In between it is not, so that state tells both.
fn contrary(
    live: &Live<'_>,
    all: &[Vec<Effect>],
    index: usize,
    effect: &Effect,
    as_after: bool,
) -> Option<usize> {
    let undoes = |other: &Effect, later: bool| {
        let same = other.object == effect.object
            && other.aspect == effect.aspect
            && other.holds != effect.holds;
        // With its table goes all that belongs to it.
        let with_table = later
            && other.aspect == Aspect::Presence
            && !other.holds
            && effect.holds
            && other.object.kind == ObjectKind::Table
            && effect.object.table.as_ref() == Some(&other.object.name)
            && live.look(&other.object, &other.aspect) == Now::Absent;
        same || with_table
    };
    let mut others = all.iter().enumerate().filter(|(at, _)| *at != index);
    others
        .find(|(at, effects)| {
            let later = *at > index;
            // As after the first and before the second: this is the first and in place, or the second and missing.
            let between = later == as_after;
            !between && effects.iter().any(|other| undoes(other, later))
        })
        .map(|(at, _)| at + 1)
}

/// What the statements around one tell of it. One that says IF EXISTS or IF NOT EXISTS proves nothing: what it
/// leaves may have been so before.
fn order(standings: &[Standing], effects: &[Vec<Effect>], index: usize) -> Option<Order> {
    let proves = |at: &usize| {
        standings[*at] == Standing::InPlace && effects[*at].iter().all(|effect| !effect.conditional)
    };
    let later = (index + 1..standings.len()).find(proves);
    let earlier = (0..index).find(|at| standings[*at] == Standing::Missing);
    match (later, earlier) {
        (Some(at), None) => Some(Order::LaterInPlace(at + 1)),
        (None, Some(at)) => Some(Order::EarlierMissing(at + 1)),
        // They contradict each other: somebody was at work by hand.
        _ => None,
    }
}

#[cfg(test)]
mod tests;
