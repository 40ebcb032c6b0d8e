//! The names of the tool's own keys: formed here and nowhere else.

use sha2::{Digest as _, Sha256};

use super::link::{SLOTS, slot, tag};
use crate::model::id::MigrationId;

/// Where the tool keeps what in one deployment's keyspace. All that is read and written together shares the
/// slot of `{outpost}`; the locks and markers have the names that earlier tools gave them.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    cluster: bool,
}

/// The lock of tools before 0.16, which never had a prefix.
const OLD_LOCK: &str = ".outpost:migration:lock";

impl Keys {
    pub(super) fn new(prefix: String, cluster: bool) -> Self {
        Self { prefix, cluster }
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

    /// What a script that writes beside the ledger checks besides the token. On a cluster the locks lie in
    /// slots of their own, so a key beside the ledger stands for both.
    pub(super) fn guards(&self) -> [String; 2] {
        if self.cluster {
            [self.own("lease"), self.own("lease")]
        } else {
            self.locks()
        }
    }

    /// All keys that hold a lease, in the order in which they are taken.
    pub(super) fn leases(&self) -> Vec<String> {
        let mut leases = self.locks().to_vec();
        if self.cluster {
            leases.push(self.own("lease"));
        }
        leases
    }

    /// On a cluster: the token again, in the slot of the keys that a script writes.
    pub(super) fn slot_fence(&self, slot: u16) -> String {
        format!("{}outpost:fence:{{{}}}", self.prefix, tag(slot))
    }

    /// Where a value that is copied in parts grows, in the slot of its target.
    pub(super) fn part(&self, target: &[u8]) -> Vec<u8> {
        let digest = SourceDigest::of(target).member();
        let name = format!(
            "{}outpost:part:{{{}}}:{digest}",
            self.prefix,
            tag(slot(target))
        );
        name.into_bytes()
    }

    /// A hash: old and new names of a migration's renamings to other slots that are under way.
    pub(super) fn moves(&self, id: &MigrationId) -> String {
        self.own(&format!("moves:{}", id.name()))
    }

    /// A string that expires by itself: that a key of another slot has its new name, and may still have its
    /// old one. It lies in the slot of the new name.
    pub(super) fn moving(&self, source: &[u8], target: &[u8]) -> String {
        self.of_move("moving", source, slot(target))
    }

    /// A string that expires by itself: that the old name of a key which moved to another slot was removed.
    pub(super) fn moved(&self, source: &[u8]) -> String {
        self.of_move("moved", source, slot(source))
    }

    fn of_move(&self, word: &str, source: &[u8], slot: u16) -> String {
        let (prefix, digest) = (&self.prefix, SourceDigest::of(source).member());
        format!("{prefix}outpost:{word}:{{{}}}:{digest}", tag(slot))
    }

    /// The marker of an earlier tool.
    pub(super) fn marker(&self, compat_name: &str) -> String {
        format!("{}outpost:migration:{compat_name}", self.prefix)
    }

    /// How many buckets the record of a migration's copies has.
    pub(super) fn copied(&self, id: &MigrationId) -> String {
        self.own(&format!("copied:{}", id.name()))
    }

    /// A bucket of the record of a migration's copies: a set of numbers that stand for sources. On a cluster each slot
    /// has buckets of its own, for the targets in it: they are written in one atomic unit with those.
    pub(super) fn bucket(&self, id: &MigrationId, number: u64, target: &[u8]) -> String {
        if self.cluster {
            self.slot_bucket(id, number, slot(target))
        } else {
            self.own(&format!("copied:{}:{number}", id.name()))
        }
    }

    /// A bucket of a slot.
    pub(super) fn slot_bucket(&self, id: &MigrationId, number: u64, slot: u16) -> String {
        let (prefix, name) = (&self.prefix, id.name());
        format!("{prefix}outpost:copied:{name}:{{{}}}:{number}", tag(slot))
    }

    /// All buckets of a migration, given how many there are for each place.
    pub(super) fn buckets(&self, id: &MigrationId, count: u64) -> Vec<String> {
        let slots = if self.cluster { SLOTS } else { 1 };
        (0..slots)
            .flat_map(|slot| (0..count).map(move |number| (slot, number)))
            .map(|(slot, number)| {
                if self.cluster {
                    self.slot_bucket(id, number, slot)
                } else {
                    self.bucket(id, number, b"")
                }
            })
            .collect()
    }

    /// A hash: values that a migration left as they are, and why.
    pub(super) fn exceptions(&self, id: &MigrationId) -> String {
        self.own(&format!("exceptions:{}", id.name()))
    }

    /// A string that expires by itself: that a raw command ran, whose answer may have been lost. On a
    /// cluster it lies in the slot of the command's keys.
    pub(super) fn ran(&self, request: &str, slot: Option<u16>) -> String {
        match slot {
            Some(slot) => format!("{}outpost:ran:{{{}}}:{request}", self.prefix, tag(slot)),
            None => self.own(&format!("ran:{request}")),
        }
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
                    || rest.starts_with(b"outpost:fence:{")
                    || rest.starts_with(b"outpost:copied:")
                    || rest.starts_with(b"outpost:part:{")
                    || rest.starts_with(b"outpost:moving:{")
                    || rest.starts_with(b"outpost:moved:{")
                    || rest.starts_with(b"outpost:ran:{")
                    || rest == b".outpost:migration_lock"
            })
    }

    fn own(&self, name: &str) -> String {
        format!("{}{{outpost}}:{name}", self.prefix)
    }
}

/// The compact name of a source in the record of copies: 63 bits, and the bucket that it is in, so that even
/// among a thousand million keys two are not mistaken for one another.
pub(super) struct SourceDigest {
    member: u64,
    number: u32,
}

impl SourceDigest {
    pub(super) fn of(key: &[u8]) -> Self {
        let hash = Sha256::digest(key);
        let mut member = [0; 8];
        member.copy_from_slice(&hash[..8]);
        let mut number = [0; 4];
        number.copy_from_slice(&hash[12..16]);
        Self {
            // A positive number: its negative has a meaning of its own.
            member: (u64::from_be_bytes(member) >> 1).max(1),
            number: u32::from_be_bytes(number),
        }
    }

    /// The number that stands for the source in its bucket.
    pub(super) fn member(&self) -> String {
        self.member.to_string()
    }

    pub(super) fn bucket(&self, buckets: u64) -> u64 {
        u64::from(self.number) % buckets.max(1)
    }
}

/// Sources a bucket holds on average: far enough below 512 that Redis keeps every bucket as a sorted array
/// of numbers, at [`BYTES_PER_SOURCE`] each.
pub(super) const SOURCES_PER_BUCKET: u64 = 64;

/// Memory that the record of one copied source takes, its share of the bucket included.
pub(super) const BYTES_PER_SOURCE: u64 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_keys_are_told_from_the_application_s() {
        let keys = Keys::new("dp:".to_owned(), false);
        for (key, own) in [
            ("dp:{outpost}:ledger", true),
            ("dp:outpost:migration:001_hash_tags", true),
            ("dp:outpost:migration:001_hash_tags:run:17", true),
            ("dp:.outpost:migration_lock", true),
            ("dp:outpost:fence:{a}", true),
            ("dp:outpost:copied:0001_hash_tags:{a}:0", true),
            ("dp:outpost:part:{a}:7", true),
            ("dp:outpost:moving:{a}:7", true),
            ("dp:outpost:moved:{a}:7", true),
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
        assert_ne!(a.member(), b.member());
        assert_eq!(a.bucket(7), SourceDigest::of(b"tenant:a").bucket(7));
        assert!(a.bucket(7) < 7);
        assert_eq!(a.bucket(0), 0);
    }
}
