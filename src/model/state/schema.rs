//! The objects of a real Postgres schema, and their fingerprint.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The objects of a real schema, each with its definition in one canonical text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaObjects {
    /// By kind and qualified name, such as `table public.events`.
    pub definitions: BTreeMap<String, String>,
    /// Those of `definitions` that belong to partitions attached to a partitioned table.
    pub partitions: BTreeSet<String>,
    /// The relation that an index, a constraint, a trigger, a policy or a rule is on, by its qualified name.
    pub attached: BTreeMap<String, String>,
    /// The server's major version, which has a say in how definitions are worded.
    pub server_major: Option<u32>,
    /// The schemas in which a name without one is looked up, in their order.
    pub search_path: Vec<String>,
}

impl SchemaObjects {
    /// The digest of one object's definition.
    pub fn digest(&self, object: &str) -> Option<String> {
        self.definitions.get(object).map(|text| object_digest(text))
    }

    /// Every object with its digest.
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.definitions
            .iter()
            .map(|(object, text)| (object.clone(), object_digest(text)))
            .collect()
    }

    /// The fingerprint of the objects in `owned`, or, where nothing says what the folder owns, of
    /// everything but partitions, which operators add and drop while the application runs.
    pub fn fingerprint(&self, owned: Option<&BTreeSet<String>>) -> Fingerprint {
        let digests = self.digests();
        Fingerprint::of(
            digests
                .iter()
                .filter(|(object, _)| match owned {
                    Some(owned) => owned.contains(*object),
                    None => !self.partitions.contains(*object),
                })
                .map(|(object, digest)| (object.as_str(), digest.as_str())),
        )
    }
}

/// The first 32 hex digits of the SHA-256 of a definition: it tells two definitions apart, it guards
/// nothing.
fn object_digest(definition: &str) -> String {
    hex::encode(&Sha256::digest(definition.as_bytes())[..16])
}

/// A digest of a store's real schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Of objects and their digests, in the order given.
    pub fn of<'a>(objects: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = Sha256::new();
        for (object, digest) in objects {
            hash.update(object.as_bytes());
            hash.update([0]);
            hash.update(digest.as_bytes());
            hash.update([0]);
        }
        Self(format!("sha256:{}", hex::encode(hash.finalize())))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
