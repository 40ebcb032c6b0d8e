//! What a rehearsal needs of Redis: a sample of the target's keys, and a throwaway server that holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redis::{Pipeline, Value};

use super::RedisStore;
use super::compare::{agree, size_command};
use super::link::Session;
use super::read::{info_field, parsed};
use super::scripts::{self, Call};
use super::survey::Survey;
use crate::model::config::{Endpoint, PlanConfig, RedisConfig, StoreAddress, TlsFiles};
use crate::model::id::StoreKind;
use crate::model::plan::Step;
use crate::model::redis::declaration::{self, Declaration};
use crate::model::redis::op::KeyType;
use crate::model::redis::printable::printable;
use crate::model::secret::Secret;
use crate::store::StoreError;

/// Keys that are sampled of each `[[step]]`.
const KEYS: usize = 64;
/// Answers of SCAN that are looked through for them on each master.
const PAGES: usize = 500;
/// Values that are read in one go.
const READ_AT_ONCE: usize = 50;
/// Elements of a value, and bytes of a string, above which it is left out.
const LARGEST: u64 = 2_000;
const LARGEST_STRING: u64 = 1 << 20;

/// Keys of the target with their values. They are held in memory, and nowhere else.
#[derive(Default)]
pub struct SampledKeys {
    keys: Vec<SampledKey>,
    /// Keys that were left out because they are large.
    pub large: u64,
}

struct SampledKey {
    key: Vec<u8>,
    /// As DUMP gives it.
    payload: Vec<u8>,
    /// Milliseconds left; 0 for one that does not expire.
    ttl_ms: u64,
}

impl SampledKeys {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A value of the throwaway server, in two forms: equal values may be written differently.
struct Held {
    kind: KeyType,
    payload: Vec<u8>,
    elements: Value,
    /// Unix ms; 0 for one that does not expire.
    expires: String,
}

/// All keys of a throwaway server at one moment, those of the tool left out.
pub struct KeySnapshot(BTreeMap<Vec<u8>, Held>);

impl RedisStore {
    /// The store of a throwaway server that holds keys of `plan`'s deployment. `database` is the number of its
    /// logical database.
    ///
    /// # Errors
    /// As [`RedisStore::new`].
    pub fn throwaway(url: &str, database: u32, plan: &PlanConfig) -> Result<Self, StoreError> {
        let base = url.rsplit_once('/').map_or(url, |(base, _)| base);
        let host = base.rsplit_once('@').map_or(base, |(_, host)| host);
        let address = StoreAddress {
            store: StoreKind::Redis,
            hosts: vec![host.to_owned()],
            database: Some(database.to_string()),
            user: None,
        };
        let config = RedisConfig {
            nodes: vec![Endpoint {
                url: Secret::new(format!("{base}/{database}")),
                address,
            }],
            sentinels: Vec::new(),
            sentinel_master: None,
            database,
            cluster: false,
            uses_tls: false,
            deployment_id: plan
                .redis
                .as_ref()
                .and_then(|redis| redis.deployment_id.clone()),
            ignore: Vec::new(),
            tls: TlsFiles::default(),
        };
        Self::new(&config, plan, Path::new("."))
    }

    /// The version of the server; `None` where the user may not ask.
    ///
    /// # Errors
    /// A server that cannot be read.
    pub async fn server_version(&self) -> Result<Option<String>, StoreError> {
        let info = self.info(self.link.session(), "server").await?;
        Ok(info.and_then(|info| {
            // Valkey says the version of Redis that it is compatible with as well.
            info_field(&info, "valkey_version").or_else(|| info_field(&info, "redis_version"))
        }))
    }

    /// Keys that some steps would work on, a few of each `[[step]]`, and what lies where they would be copied or
    /// renamed to. Reads only.
    ///
    /// # Errors
    /// A server that cannot be read, or a user without the right to DUMP.
    pub async fn sample(
        &self,
        steps: &[&Step],
        config: &PlanConfig,
    ) -> Result<SampledKeys, StoreError> {
        let session = self.link.session();
        let mut declarations: Vec<Declaration> = Vec::new();
        for step in steps {
            declarations.extend(self.declaration(step, config)?);
        }
        let scopes = || declarations.iter().flat_map(|d| &d.scope);
        if scopes().next().is_none() {
            return Ok(SampledKeys::default());
        }
        let glob = declaration::scan_glob(scopes());
        let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut taken: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        self.first_pages(session, glob, PAGES, |keys| {
            for (at, declaration) in declarations.iter().enumerate() {
                let sorted = self.sort(session, declaration, keys, &mut Survey::default())?;
                for (number, items) in sorted {
                    let taken = taken.entry((at, number)).or_default();
                    for item in items.into_iter().take(KEYS - *taken) {
                        *taken += 1;
                        found.insert(item.key);
                        found.extend(item.target);
                    }
                }
            }
            Ok(())
        })
        .await?;
        let keys: Vec<Vec<u8>> = found.into_iter().collect();
        let mut sampled = SampledKeys::default();
        for keys in keys.chunks(READ_AT_ONCE) {
            self.read_whole(session, keys, &mut sampled).await?;
        }
        Ok(sampled)
    }

    /// Reads the values of some keys; those that are gone by then, and large ones, are left out.
    async fn read_whole(
        &self,
        session: Session<'_>,
        keys: &[Vec<u8>],
        sampled: &mut SampledKeys,
    ) -> Result<(), StoreError> {
        const DOING: &str = "sampling keys";
        let mut kinds = Pipeline::new();
        for key in keys {
            kinds.cmd("TYPE").arg(key);
        }
        let mut there: Vec<(&Vec<u8>, KeyType)> = Vec::new();
        let mut sizes = Pipeline::new();
        for (key, kind) in keys.iter().zip(session.pipeline(DOING, &kinds).await?) {
            let kind: String = parsed(session, kind)?;
            if let Some(kind) = KeyType::from_reply(&kind) {
                sizes.cmd(size_command(kind)).arg(key);
                there.push((key, kind));
            }
        }
        let mut values = Pipeline::new();
        let mut read: Vec<&Vec<u8>> = Vec::new();
        for ((key, kind), size) in there
            .into_iter()
            .zip(session.pipeline(DOING, &sizes).await?)
        {
            let most = match kind {
                KeyType::String => LARGEST_STRING,
                _ => LARGEST,
            };
            if parsed::<u64>(session, size)? > most {
                sampled.large += 1;
                continue;
            }
            values.cmd("DUMP").arg(key).cmd("PTTL").arg(key);
            read.push(key);
        }
        let mut answers = session.pipeline(DOING, &values).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        for key in read {
            let (payload, left) = (next(), next());
            let payload: Option<Vec<u8>> = parsed(session, payload)?;
            let left: i64 = parsed(session, left)?;
            if let (Some(payload), -1..) = (payload, left) {
                sampled.keys.push(SampledKey {
                    key: key.clone(),
                    payload,
                    // One that ends this very moment ends a moment later there.
                    ttl_ms: if left < 0 {
                        0
                    } else {
                        left.unsigned_abs().max(1)
                    },
                });
            }
        }
        Ok(())
    }

    /// Puts sampled keys into this server.
    ///
    /// # Errors
    /// A server that cannot be written, or that does not read values of the target's version.
    pub async fn fill(&self, sampled: &SampledKeys) -> Result<(), StoreError> {
        const DOING: &str = "restoring sampled keys";
        let session = self.link.session();
        for keys in sampled.keys.chunks(READ_AT_ONCE) {
            let mut pipeline = Pipeline::new();
            for SampledKey {
                key,
                payload,
                ttl_ms,
            } in keys
            {
                pipeline.cmd("RESTORE").arg(key).arg(*ttl_ms).arg(payload);
            }
            for answer in session.pipeline(DOING, &pipeline).await? {
                answer.map_err(|error| session.refused(DOING, &error))?;
            }
        }
        Ok(())
    }

    /// Makes another logical database of this server a copy of this one.
    ///
    /// # Errors
    /// A server that cannot be written.
    pub async fn copy_into(&self, other: &Self) -> Result<(), StoreError> {
        const DOING: &str = "copying the rehearsal";
        other
            .link
            .session()
            .query::<Value>(DOING, &redis::cmd("FLUSHDB"))
            .await?;
        let session = self.link.session();
        let mut pipeline = Pipeline::new();
        for key in self.every_key(session).await? {
            pipeline
                .cmd("COPY")
                .arg(&key)
                .arg(&key)
                .arg("DB")
                .arg(other.database);
        }
        for answer in session.pipeline(DOING, &pipeline).await? {
            answer.map_err(|error| session.refused(DOING, &error))?;
        }
        Ok(())
    }

    /// All keys but those of the tool, with what they hold.
    ///
    /// # Errors
    /// A server that cannot be read.
    pub async fn snapshot(&self) -> Result<KeySnapshot, StoreError> {
        const DOING: &str = "reading the rehearsal";
        let session = self.link.session();
        let keys = self.every_key(session).await?.into_iter();
        let keys: Vec<Vec<u8>> = keys.filter(|key| !self.keys.is_own(key)).collect();
        let mut held = BTreeMap::new();
        for keys in keys.chunks(READ_AT_ONCE) {
            let mut calls = Vec::with_capacity(2 * keys.len());
            for key in keys {
                calls.push(Call::new(&scripts::PEEK).key(key.as_slice()).arg(""));
                calls.push(Call::new(&scripts::CONTENTS).key(key.as_slice()));
            }
            let mut answers = Call::run_all(&calls, session, DOING).await?.into_iter();
            for key in keys {
                let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
                let (peek, contents) = (next(), next());
                let (_, payload, expires): (String, Vec<u8>, String) = parsed(session, peek)?;
                let (kind, _, elements): (String, Vec<u8>, Value) = parsed(session, contents)?;
                if let Some(kind) = KeyType::from_reply(&kind) {
                    let value = Held {
                        kind,
                        payload,
                        elements,
                        expires,
                    };
                    held.insert(key.clone(), value);
                }
            }
        }
        Ok(KeySnapshot(held))
    }

    async fn every_key(&self, session: Session<'_>) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut all = BTreeSet::new();
        self.first_pages(session, b"*".to_vec(), usize::MAX, |keys| {
            all.extend(keys.iter().cloned());
            Ok(())
        })
        .await?;
        Ok(all)
    }
}

impl Held {
    fn is_alike(&self, other: &Self) -> bool {
        let same = self.payload == other.payload
            || (!matches!(self.kind, KeyType::Stream | KeyType::Other)
                && agree(
                    self.kind,
                    self.elements.clone(),
                    other.elements.clone(),
                    |_| None,
                ));
        self.kind == other.kind && same
    }
}

impl KeySnapshot {
    /// How keys differ from what they were: each with what became of it.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let keys: BTreeSet<&Vec<u8>> = self.0.keys().chain(now.0.keys()).collect();
        keys.into_iter()
            .filter_map(|key| {
                let what = match (self.0.get(key), now.0.get(key)) {
                    (Some(_), None) => "is gone",
                    (None, Some(_)) => "is there as well",
                    (Some(before), Some(now)) if !before.is_alike(now) => "holds something else",
                    (Some(before), Some(now)) if before.expires != now.expires => {
                        "has another time to live"
                    }
                    _ => return None,
                };
                Some(format!("key {} {what}", printable(key)))
            })
            .collect()
    }
}
