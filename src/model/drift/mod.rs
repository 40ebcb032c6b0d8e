//! Drift: what differs between the real schema and the one that the ledger implies, object by object.

mod pinned;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pinned::{PinnedDrift, from_pin};

use crate::model::catalog::Catalog;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lock::LockedMigration;
use crate::model::state::{LedgerStatus, ObservedState, SchemaObjects};
use crate::model::verification::Check;

/// How an object differs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// The migrations made it, and it is not there.
    Missing,
    /// It stands among what the migrations made, and they did not make it.
    Unexpected,
    /// It is there, and defined differently.
    Different,
}

impl Deviation {
    /// The word used on screens and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Different => "different",
        }
    }
}

/// One object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectDifference {
    /// Its kind and qualified name, such as `index public.events_time`.
    pub object: String,
    /// How it differs.
    pub deviation: Deviation,
}

impl std::fmt::Display for ObjectDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.deviation {
            Deviation::Missing => "is missing",
            Deviation::Unexpected => "is unexpected",
            Deviation::Different => "is defined differently",
        };
        write!(f, "{} {what}", self.object)
    }
}

/// What the schema should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// What the recorded migrations made of an empty database.
    Replayed(SchemaObjects),
    /// What the lock file pins: digests of the definitions, not the definitions.
    Locked {
        /// The pinned state is the one after this migration.
        pin: LockedMigration,
        /// Major version of the Postgres that the lock file was made with.
        server_major: Option<u32>,
    },
}

impl Expected {
    fn digests(&self) -> BTreeMap<String, String> {
        match self {
            Self::Replayed(schema) => schema.digests(),
            Self::Locked { pin, .. } => pin.objects.clone(),
        }
    }

    /// How an object is defined, where that is known.
    fn definition(&self, object: &str) -> Option<&str> {
        match self {
            Self::Replayed(schema) => schema.definitions.get(object).map(String::as_str),
            Self::Locked { .. } => None,
        }
    }

    /// Major version of the Postgres that worded the definitions.
    pub fn server_major(&self) -> Option<u32> {
        match self {
            Self::Replayed(schema) => schema.server_major,
            Self::Locked { server_major, .. } => *server_major,
        }
    }
}

/// An object that has drifted, with what is known of its definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDrift {
    /// Which object, and how it differs.
    pub difference: ObjectDifference,
    /// As the recorded migrations define it; `None` where they do not, and where only its digest is known.
    pub recorded: Option<String>,
    /// As it is; `None` where it is missing.
    pub real: Option<String>,
}

/// Drift of a Postgres schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDrift {
    /// What it was compared with.
    pub expected: Expected,
    /// Major version of the server that was looked at.
    pub server_major: Option<u32>,
    /// Objects that the recorded migrations made.
    pub examined: u64,
    /// Those that differ, and those that nobody expected; by kind and name.
    pub objects: Vec<ObjectDrift>,
}

impl SchemaDrift {
    /// Compares a real schema with what is expected of it.
    pub fn new(expected: Expected, real: &SchemaObjects) -> Self {
        let digests = expected.digests();
        let objects = drifted(&digests, real)
            .into_iter()
            .map(|difference| ObjectDrift {
                recorded: expected
                    .definition(&difference.object)
                    .map(ToOwned::to_owned),
                real: real.definitions.get(&difference.object).cloned(),
                difference,
            })
            .collect();
        Self {
            examined: digests.len() as u64,
            server_major: real.server_major,
            expected,
            objects,
        }
    }
}

/// What differs between what is recorded and what is there, in both stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Of Postgres; `None` where it was not looked at, or nothing is recorded there.
    pub schema: Option<SchemaDrift>,
    /// The verification of each applied Redis migration; `None` where Redis was not looked at.
    pub redis: Option<Vec<Check>>,
    /// Checks that failed and make the answer uncertain: something is half done, or the files are not those
    /// that were applied.
    pub caveats: Vec<Check>,
}

impl Drift {
    /// Whether anything has drifted.
    pub fn found(&self) -> bool {
        let schema = self.schema.as_ref();
        schema.is_some_and(|schema| !schema.objects.is_empty())
            || self.redis.iter().flatten().any(Check::failed)
    }
}

/// The SQL migrations that are in place by the ledger, or by the record of an earlier tool.
pub fn in_place(catalog: &Catalog, observed: &ObservedState) -> BTreeSet<MigrationId> {
    let mut ids = observed.applied();
    ids.extend(observed.claimed(catalog));
    ids.retain(|id| id.store() == StoreKind::Sql);
    ids
}

/// The SQL migrations whose cleanup has been run, and that have one that changes the schema.
pub fn cleaned(catalog: &Catalog, observed: &ObservedState) -> BTreeSet<MigrationId> {
    let ledger = observed.stores.get(&StoreKind::Sql).map(|s| &s.ledger);
    ledger
        .into_iter()
        .flatten()
        .filter(|(_, entry)| matches!(entry.status, LedgerStatus::Applied { cleaned: true, .. }))
        .filter(|(id, _)| catalog.get(id).is_some_and(|m| m.has_cleanup()))
        .map(|(id, _)| id.clone())
        .collect()
}

/// The pinned state that the recorded SQL migrations imply. There is none without a lock file, for a set of
/// migrations that was never replayed, and after the cleanup of one: the lock file knows the schema before it.
pub fn pin<'a>(catalog: &'a Catalog, observed: &ObservedState) -> Option<&'a LockedMigration> {
    if !cleaned(catalog, observed).is_empty() {
        return None;
    }
    catalog.lock()?.pin_for(&in_place(catalog, observed))
}

/// How the objects of `expected`, with their digests, differ from the real ones: those that are missing and
/// those that are defined differently.
pub fn differences(
    expected: &BTreeMap<String, String>,
    real: &SchemaObjects,
) -> Vec<ObjectDifference> {
    expected
        .iter()
        .filter_map(|(object, digest)| {
            let deviation = match real.digest(object) {
                None => Deviation::Missing,
                Some(found) if found != *digest => Deviation::Different,
                Some(_) => return None,
            };
            Some(ObjectDifference {
                object: object.clone(),
                deviation,
            })
        })
        .collect()
}

/// The same, with what nobody expected.
fn drifted(expected: &BTreeMap<String, String>, real: &SchemaObjects) -> Vec<ObjectDifference> {
    let mut found = differences(expected, real);
    found.extend(unexpected(expected, real).map(|object| ObjectDifference {
        object: object.clone(),
        deviation: Deviation::Unexpected,
    }));
    found.sort();
    found
}

/// Objects that nobody expected on a relation, or in a schema, of the migrations. What stands elsewhere belongs
/// to somebody else, and partitions to the operators.
fn unexpected<'a>(
    expected: &BTreeMap<String, String>,
    real: &'a SchemaObjects,
) -> impl Iterator<Item = &'a String> {
    const RELATIONS: [&str; 4] = ["table", "foreign table", "view", "materialized view"];
    let schemas: BTreeSet<&str> = expected.keys().filter_map(|o| schema_of(o)).collect();
    let made = move |object: &&String| match real.attached.get(*object) {
        Some(relation) => {
            let made = |kind: &&str| expected.contains_key(&format!("{kind} {relation}"));
            RELATIONS.iter().any(made)
        }
        None => schema_of(object).is_some_and(|schema| schemas.contains(schema)),
    };
    let made: Vec<&String> = real
        .definitions
        .keys()
        .filter(|object| !expected.contains_key(*object))
        .filter(|object| !real.partitions.contains(*object))
        .filter(made)
        .collect();
    made.into_iter()
}

/// The schema in which an object stands, as SQL writes it; `None` for one that stands in none, such as an
/// extension. Kinds of objects have no dot and no quote in their names.
fn schema_of(object: &str) -> Option<&str> {
    let (start, quoted) = match object.find('"') {
        // A quote further on is part of a later name.
        Some(at) if !object[..at].contains('.') => (at, true),
        _ => (object[..object.find('.')?].rfind(' ')? + 1, false),
    };
    let name = &object[start..];
    let end = match quoted {
        false => name.find('.')?,
        true => {
            let mut inside = false;
            name.char_indices().find_map(|(at, c)| {
                inside ^= c == '"';
                (c == '.' && !inside).then_some(at)
            })?
        }
    };
    Some(&name[..end])
}

#[cfg(test)]
mod tests;
