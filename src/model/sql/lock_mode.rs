//! The eight locks that Postgres has for tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A lock on a table, the weakest first. They are those of the manual's "Explicit Locking".
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// SELECT.
    AccessShare,
    /// SELECT FOR UPDATE, and what a foreign key looks up.
    RowShare,
    /// INSERT, UPDATE, DELETE.
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY, VALIDATE CONSTRAINT.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// ADD FOREIGN KEY, CREATE TRIGGER.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// Most of ALTER TABLE, DROP TABLE, TRUNCATE.
    AccessExclusive,
}

/// All of them, the weakest first, as `LOCK TABLE` and `pg_locks` write them.
const NAMES: [(LockMode, &str, &str); 8] = [
    (LockMode::AccessShare, "ACCESS SHARE", "AccessShareLock"),
    (LockMode::RowShare, "ROW SHARE", "RowShareLock"),
    (LockMode::RowExclusive, "ROW EXCLUSIVE", "RowExclusiveLock"),
    (
        LockMode::ShareUpdateExclusive,
        "SHARE UPDATE EXCLUSIVE",
        "ShareUpdateExclusiveLock",
    ),
    (LockMode::Share, "SHARE", "ShareLock"),
    (
        LockMode::ShareRowExclusive,
        "SHARE ROW EXCLUSIVE",
        "ShareRowExclusiveLock",
    ),
    (LockMode::Exclusive, "EXCLUSIVE", "ExclusiveLock"),
    (
        LockMode::AccessExclusive,
        "ACCESS EXCLUSIVE",
        "AccessExclusiveLock",
    ),
];

impl LockMode {
    /// As SQL and the manual write it, such as `ACCESS EXCLUSIVE`.
    pub fn sql(self) -> &'static str {
        NAMES
            .iter()
            .find(|(mode, ..)| *mode == self)
            .map_or("", |(_, sql, _)| sql)
    }

    /// The mode that `pg_locks` calls `name`, such as `AccessExclusiveLock`.
    pub fn from_pg_locks(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(.., shown)| *shown == name)
            .map(|(mode, ..)| *mode)
    }

    /// Whether SELECT waits while it is held.
    pub fn blocks_reads(self) -> bool {
        self == Self::AccessExclusive
    }

    /// Whether INSERT, UPDATE and DELETE wait while it is held.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }

    /// Whether other changes of the schema, VACUUM and index builds wait while it is held.
    pub fn blocks_schema_changes(self) -> bool {
        self >= Self::ShareUpdateExclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_one_mode_each_and_stronger_modes_block_more() {
        for (mode, sql, shown) in NAMES {
            assert_eq!(mode.sql(), sql);
            assert_eq!(LockMode::from_pg_locks(shown), Some(mode));
            let says = (
                mode.blocks_reads(),
                mode.blocks_writes(),
                mode.blocks_schema_changes(),
            );
            let expected = match sql {
                "ACCESS EXCLUSIVE" => (true, true, true),
                "SHARE" | "SHARE ROW EXCLUSIVE" | "EXCLUSIVE" => (false, true, true),
                "SHARE UPDATE EXCLUSIVE" => (false, false, true),
                _ => (false, false, false),
            };
            assert_eq!(says, expected, "{sql}");
        }
        assert_eq!(LockMode::from_pg_locks("SIReadLock"), None);
    }
}
