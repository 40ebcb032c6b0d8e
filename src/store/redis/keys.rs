//! The names of the tool's own keys: formed here and nowhere else.

use sha2::{Digest as _, Sha256};

use crate::model::id::MigrationId;

/// Where the tool keeps what in one deployment's keyspace. All that is read and written together shares the
/// slot of `{outpost}`; the locks and markers have the names that earlier tools gave them.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

/// The lock of tools before 0.16, which never had a prefix.
const OLD_LOCK: &str = ".outpost:migration:lock";

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// A hash: the ledger's uuid and format, and an entry for each migration.
    pub(super) fn ledger(&self) -> String {
        self.own("ledger")
    }

    /// A stream.
    pub(super) fn history(&self) -> String {
        self.own("history")
    }

    /// The fencing token: it only grows, and never expires.
    pub(super) fn fence(&self) -> String {
        self.own("fence")
    }

    /// The two locks, in the order in which they are taken.
    pub(super) fn locks(&self) -> [String; 2] {
        [
            format!("{}.outpost:migration_lock", self.prefix),
            OLD_LOCK.to_owned(),
        ]
    }

    /// The marker of an earlier tool.
    pub(super) fn marker(&self, compat_name: &str) -> String {
        format!("{}outpost:migration:{compat_name}", self.prefix)
    }

    /// How many buckets the record of a migration's copies has.
    pub(super) fn copied(&self, id: &MigrationId) -> String {
        self.own(&format!("copied:{}", id.name()))
    }

    /// A bucket of the record of a migration's copies: a hash of digests of sources.
    pub(super) fn bucket(&self, id: &MigrationId, number: u64) -> String {
        self.own(&format!("copied:{}:{number}", id.name()))
    }

    /// A hash: values that a migration left as they are, and why.
    pub(super) fn exceptions(&self, id: &MigrationId) -> String {
        self.own(&format!("exceptions:{}", id.name()))
    }

    /// Whether a key is one of the tool's, or an earlier tool's record; no migration ever works on those.
    pub(super) fn is_own(&self, key: &[u8]) -> bool {
        if key == OLD_LOCK.as_bytes() {
            return true;
        }
        key.strip_prefix(self.prefix.as_bytes())
            .is_some_and(|rest| {
                rest.starts_with(b"{outpost}:")
                    || rest.starts_with(b"outpost:migration:")
                    || rest.starts_with(b"outpost:fence:")
                    || rest == b".outpost:migration_lock"
            })
    }

    fn own(&self, name: &str) -> String {
        format!("{}{{outpost}}:{name}", self.prefix)
    }
}

/// The compact name of a source in the record of copies: 96 bits, so that even among a thousand million
/// keys two are not mistaken for one another, and the bucket that it is in.
pub(super) struct SourceDigest {
    pub(super) field: [u8; 12],
    number: u32,
}

impl SourceDigest {
    pub(super) fn of(key: &[u8]) -> Self {
        let hash = Sha256::digest(key);
        let mut field = [0; 12];
        field.copy_from_slice(&hash[..12]);
        let mut number = [0; 4];
        number.copy_from_slice(&hash[12..16]);
        Self {
            field,
            number: u32::from_be_bytes(number),
        }
    }

    pub(super) fn bucket(&self, buckets: u64) -> u64 {
        u64::from(self.number) % buckets.max(1)
    }
}

/// Sources a bucket holds on average: far enough below 128 that Redis keeps every bucket in its compact
/// form, at [`BYTES_PER_SOURCE`] each.
pub(super) const SOURCES_PER_BUCKET: u64 = 64;

/// Memory that the record of one copied source takes, its share of the bucket included: 20 to 24 bytes on
/// Redis 7.0, measured with 20,000 and 200,000 sources.
pub(super) const BYTES_PER_SOURCE: u64 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_keys_are_told_from_the_application_s() {
        let keys = Keys::new("dp:".to_owned());
        for (key, own) in [
            ("dp:{outpost}:ledger", true),
            ("dp:outpost:migration:001_hash_tags", true),
            ("dp:outpost:migration:001_hash_tags:run:17", true),
            ("dp:.outpost:migration_lock", true),
            (".outpost:migration:lock", true),
            ("{outpost}:ledger", false),
            ("dp:outpost:installation_id", false),
            ("dp:tenant:{a}:tenant", false),
            ("outpostrc", false),
        ] {
            assert_eq!(keys.is_own(key.as_bytes()), own, "{key}");
        }
    }

    #[test]
    fn a_digest_names_one_source_and_one_bucket() {
        let (a, b) = (SourceDigest::of(b"tenant:a"), SourceDigest::of(b"tenant:b"));
        assert_ne!(a.field, b.field);
        assert_eq!(a.bucket(7), SourceDigest::of(b"tenant:a").bucket(7));
        assert!(a.bucket(7) < 7);
        assert_eq!(a.bucket(0), 0);
    }
}
