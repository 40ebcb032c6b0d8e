//! What was seen when a plan was run in a throwaway server. It informs the reviewer and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::id::MigrationId;
use crate::model::sql::LockMode;

/// Where a plan was rehearsed, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// The server.
    pub server: RehearsalServer,
    /// Its version, such as `15.8`.
    pub version: String,
    /// The target's version; `None` where it is unknown.
    pub target_version: Option<String>,
    /// What it was filled from before the first step.
    pub origin: Origin,
    /// How it is unlike the target before the first step: an object of the schema each, or keys that are left out.
    pub differences: Vec<String>,
    /// What kept the rehearsal from beginning at all.
    pub failed: Option<String>,
}

impl Rehearsal {
    /// The target's version, where the rehearsal's server has another major version. An unknown version is
    /// no other one.
    pub fn other_major(&self) -> Option<&str> {
        let target = self.target_version.as_deref()?;
        (major(target) != major(&self.version)).then_some(target)
    }
}

fn major(version: &str) -> &str {
    // Releases before the first are called `18beta1`.
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    &version[..digits]
}

/// The server of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalServer {
    /// One that was started for it, and is gone.
    Throwaway,
    /// That of a database which the user named.
    Given,
}

/// What a rehearsal's server was filled from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// The target has no migration, so neither has the rehearsal.
    Empty,
    /// The schema folder's migrations that the target has.
    Replayed {
        /// Those migrations, in the order in which they ran.
        migrations: Vec<MigrationId>,
    },
    /// A few of the target's keys for each `[[step]]`, and what lay where these would be copied or renamed to.
    Sampled {
        /// How many.
        keys: u64,
    },
}

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRehearsal {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, milliseconds. On empty tables and few keys: it says nothing of the target.
    pub ms: u64,
    /// What each statement did, in order, as far as they ran.
    pub statements: Vec<StatementRehearsal>,
    /// For a Redis step: keys that it changed, of the sample and of what earlier steps made of that.
    pub keys: Option<u64>,
    /// Whether undoing the step brings back what was there before; `None` where the step did not end
    /// well.
    pub way_back: Option<WayBack>,
}

/// How a rehearsed step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// It ran.
    Done,
    /// It failed.
    Failed {
        /// Why, with file and line.
        reason: String,
    },
    /// It was not tried.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// What a statement did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementRehearsal {
    /// How long it took, milliseconds, on empty tables.
    pub ms: u64,
    /// The locks that it took on tables and indexes which were there before the step, the strongest of
    /// each, without those that an earlier statement of its transaction held already. Locks on indexes
    /// that keep nobody waiting are left out.
    pub locks: Vec<LockTaken>,
    /// Tables that were there before it and were written anew, by name.
    pub rewritten: Vec<String>,
    /// Indexes that it built or rebuilt on tables which were there before the step, by name.
    pub indexes_built: Vec<String>,
}

/// A lock that was held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockTaken {
    /// The table's or index's qualified name, as it was called before the statement.
    pub relation: String,
    /// The mode.
    pub mode: LockMode,
}

/// Whether undoing a step brings back what was there before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WayBack {
    /// Every object of the catalog, or every key, is as it was.
    Exact,
    /// It runs, and something is not as it was.
    Differs {
        /// An object or key each, by name.
        differences: Vec<String>,
    },
    /// It fails.
    Failed {
        /// Why, with file and line.
        reason: String,
    },
    /// There is none to try.
    Absent {
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u18_another_major_version_is_told_from_another_release_of_the_same() {
        let cases = [
            ("15.8", Some("15"), None),
            ("15.8", Some("15.2"), None),
            ("16.0", Some("15"), Some("15")),
            ("15.8", Some("17"), Some("17")),
            ("15.8", Some("1"), Some("1")),
            ("18beta1", Some("18"), None),
            ("15.8", None, None),
        ];
        for (version, target, expected) in cases {
            let rehearsal = Rehearsal {
                server: RehearsalServer::Throwaway,
                version: version.to_owned(),
                target_version: target.map(str::to_owned),
                origin: Origin::Empty,
                differences: Vec::new(),
                failed: None,
            };
            assert_eq!(
                rehearsal.other_major(),
                expected,
                "{version} for {target:?}"
            );
        }
    }
}
