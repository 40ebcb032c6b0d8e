//! What a verification tells of drift in Redis, for a plan's evidence.

use serde::{Deserialize, Serialize};

use crate::model::id::MigrationId;
use crate::model::verification::Check;

/// A check of an applied Redis migration that failed: keys are not as it left them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDrift {
    /// The migration.
    pub id: MigrationId,
    /// What was checked, in a few words.
    pub check: String,
    /// What was examined, in units of `unit`.
    pub examined: u64,
    /// What `examined` counts, in the singular.
    pub unit: String,
    /// All findings.
    pub found: u64,
    /// The first of them, printable.
    pub findings: Vec<String>,
}

/// The failed ones of these checks. One that belongs to no migration is no drift.
pub fn from_checks(checks: Vec<Check>) -> Vec<KeyDrift> {
    let failed = checks.into_iter().filter(Check::failed);
    failed
        .filter_map(|check| {
            Some(KeyDrift {
                id: check.id?,
                check: check.name,
                examined: check.examined,
                unit: check.unit.to_owned(),
                found: check.found,
                findings: check.findings,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_failed_of_a_migration_is_drift() {
        let id: MigrationId = "redis/0001_a".parse().unwrap();
        let passed = Check::new(Some(id.clone()), "every copy is there", "key");
        let mut of_none = Check::new(None, "ledgers and files agree", "entry");
        of_none.fail("redis/0001_a was edited");
        let mut failed = Check::new(Some(id.clone()), "every key has its fields", "key");
        failed.examined = 3;
        failed.fail("cart:1 has no `state`");
        assert_eq!(
            from_checks(vec![passed, of_none, failed]),
            [KeyDrift {
                id,
                check: "every key has its fields".to_owned(),
                examined: 3,
                unit: "key".to_owned(),
                found: 1,
                findings: vec!["cart:1 has no `state`".to_owned()],
            }]
        );
    }
}
