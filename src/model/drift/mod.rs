//! Drift: what differs between the real schema and the one that the ledger implies, object by object.

mod ignore;
mod keys;
mod name;
mod pinned;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ignore::{DriftConfig, ObjectPattern, ObjectPatternError};
pub use keys::{KeyDrift, from_checks};
pub use pinned::{PinnedDrift, from_pin};

use self::name::Name;
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
    /// Those that nobody expected and that the configuration ignores; by kind and name.
    pub ignored: Vec<String>,
    /// What the configuration ignores and is not there.
    pub unused: Vec<ObjectPattern>,
}

impl SchemaDrift {
    /// Compares a real schema with what is expected of it.
    pub fn new(expected: Expected, real: &SchemaObjects, config: &DriftConfig) -> Self {
        let digests = expected.digests();
        let Compared {
            objects,
            ignored,
            unused,
        } = compared(&digests, real, config);
        let objects = objects
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
            ignored,
            unused,
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

/// What differs, and what does not count.
struct Compared {
    objects: Vec<ObjectDifference>,
    ignored: Vec<String>,
    unused: Vec<ObjectPattern>,
}

/// The same, with what nobody expected. What migrations made is never ignored.
fn compared(
    expected: &BTreeMap<String, String>,
    real: &SchemaObjects,
    config: &DriftConfig,
) -> Compared {
    let mut objects = differences(expected, real);
    let mut ignored = Vec::new();
    let mut used = BTreeSet::new();
    for object in unexpected(expected, real) {
        let patterns = config.ignore.iter().enumerate();
        let takers = patterns.filter(|(_, pattern)| pattern.takes(object));
        let takers: Vec<usize> = takers.map(|(at, _)| at).collect();
        if takers.is_empty() {
            objects.push(ObjectDifference {
                object: object.clone(),
                deviation: Deviation::Unexpected,
            });
        } else {
            used.extend(takers);
            ignored.push(object.clone());
        }
    }
    objects.sort();
    let patterns = config.ignore.iter().enumerate();
    Compared {
        objects,
        ignored,
        unused: patterns
            .filter(|(at, _)| !used.contains(at))
            .map(|(_, pattern)| pattern.clone())
            .collect(),
    }
}

/// Objects that nobody expected on a relation, or in a schema, of the migrations. What stands elsewhere belongs
/// to somebody else, and partitions to the operators.
fn unexpected<'a>(
    expected: &BTreeMap<String, String>,
    real: &'a SchemaObjects,
) -> impl Iterator<Item = &'a String> {
    const RELATIONS: [&str; 4] = ["table", "foreign table", "view", "materialized view"];
    let schemas: BTreeSet<&str> = expected
        .keys()
        .filter_map(|o| Name::of(o))
        .map(|name| name.schema)
        .collect();
    let made = move |object: &&String| match real.attached.get(*object) {
        Some(relation) => {
            let made = |kind: &&str| expected.contains_key(&format!("{kind} {relation}"));
            RELATIONS.iter().any(made)
        }
        None => Name::of(object).is_some_and(|name| schemas.contains(name.schema)),
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

#[cfg(test)]
mod tests;
