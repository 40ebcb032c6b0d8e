//! The lease: two lock keys with an expiry, and a token that only grows.

use std::time::Instant;

use redis::Value;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::RedisStore;
use super::link::Session;
use super::scripts::{self, Call, lock_beginning, lock_value};
use crate::model::lease::{Holder, LEASE_TTL, LeaseInfo};
use crate::store::{Lease, StoreError, StoreErrorKind};

const TAKING: &str = "taking the lease";

/// What our lock keys hold.
#[derive(Deserialize)]
struct LockValue {
    id: String,
    holder: Holder,
    since: String,
}

impl RedisStore {
    pub(super) async fn take_lease(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        let session = self.link.session();
        self.refuse_other_layout(session).await?;
        let since = self.now(session).await?;
        let value = lock_value(id, holder, &since);
        let asked = Instant::now();
        if self.link.is_cluster() {
            // Each lies in a slot of its own, so they are taken one by one, always in this order.
            for (index, lock) in self.keys.locks().iter().enumerate() {
                let answer = Call::new(&scripts::LOCK)
                    .key(lock.as_str())
                    .arg(value.as_str())
                    .arg(lock_beginning(id))
                    .arg(LEASE_TTL.as_millis().to_string())
                    .run(session, TAKING)
                    .await?;
                if let Err(error) = self.taken(session, &answer).await {
                    self.give_back(session, id, index).await?;
                    return Err(error);
                }
            }
        }
        let [lock, old_lock] = self.keys.guards();
        let answer = Call::new(&scripts::ACQUIRE)
            .key(self.keys.fence())
            .key(lock)
            .key(old_lock)
            .key(self.keys.ledger())
            .arg(value)
            .arg(lock_beginning(id))
            .arg(LEASE_TTL.as_millis().to_string())
            .arg(uuid::Uuid::new_v4().to_string())
            .run(session, TAKING)
            .await?;
        match self.taken(session, &answer).await {
            Ok(Some(token)) => {
                self.fences.begin(asked);
                Ok(Lease::new(id.to_owned(), holder.clone(), token))
            }
            Ok(None) => Err(session.unexpected(TAKING, &"no token")),
            Err(error) => {
                if self.link.is_cluster() {
                    self.give_back(session, id, self.keys.locks().len()).await?;
                }
                Err(error)
            }
        }
    }

    /// Reads the answer to an attempt to take a lock: the token, where it comes with one.
    async fn taken(&self, session: Session<'_>, answer: &Value) -> Result<Option<u64>, StoreError> {
        let Value::Array(parts) = answer else {
            return Err(session.unexpected(TAKING, &"no list"));
        };
        match parts.as_slice() {
            [Value::Int(1)] => Ok(None),
            [Value::Int(1), Value::Int(token)] => Ok(u64::try_from(*token).ok()),
            [Value::Int(0), _, Value::BulkString(value), Value::Int(left)] => {
                let token = self.token(session).await?;
                Err(session.error(StoreErrorKind::LeaseHeld(Box::new(describe(
                    value, *left, token,
                )))))
            }
            _ => Err(session.unexpected(TAKING, &"a list of another form")),
        }
    }

    pub(super) async fn renew_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let session = self.link.session();
        let doing = "renewing the lease";
        let asked = Instant::now();
        let life = LEASE_TTL.as_millis().to_string();
        Call::fenced(&scripts::RENEW, &self.keys, lease)
            .counted(&self.ours)
            .arg(life.as_str())
            .confirmed(session, doing)
            .await?;
        if self.link.is_cluster() {
            for lock in self.keys.locks() {
                Call::new(&scripts::EXTEND)
                    .key(lock)
                    .arg(lock_beginning(&lease.id))
                    .arg(life.as_str())
                    .confirmed(session, doing)
                    .await?;
            }
        }
        self.fences.extend(asked);
        self.renew_fences(session, lease).await
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let session = self.link.session();
        self.lower_fences(session, lease).await;
        self.give_back(session, &lease.id, usize::MAX).await
    }

    /// Removes those of the first so many lock keys that are held under this id, the last one first.
    async fn give_back(
        &self,
        session: Session<'_>,
        id: &str,
        count: usize,
    ) -> Result<(), StoreError> {
        let release = || Call::new(&scripts::RELEASE).arg(lock_beginning(id));
        let mut leases = self.keys.leases();
        leases.truncate(count);
        let calls: Vec<Call> = if self.link.is_cluster() {
            let one_by_one = leases.into_iter().rev();
            one_by_one.map(|lock| release().key(lock)).collect()
        } else {
            vec![leases.into_iter().fold(release(), Call::key)]
        };
        for call in calls {
            call.run(session, "releasing the lease").await?;
        }
        Ok(())
    }

    /// The first of the locks that is held.
    pub(super) async fn read_lease(
        &self,
        session: Session<'_>,
    ) -> Result<Option<LeaseInfo>, StoreError> {
        for lock in self.keys.leases() {
            let doing = "reading the lease";
            let value: Option<Vec<u8>> = session.query(doing, redis::cmd("GET").arg(&lock)).await?;
            let Some(value) = value else { continue };
            let left: i64 = session.query(doing, redis::cmd("PTTL").arg(&lock)).await?;
            // -2: it expired between the two questions.
            if left != -2 {
                return Ok(Some(describe(&value, left, self.token(session).await?)));
            }
        }
        Ok(None)
    }

    pub(super) async fn remove_lease(&self, id: &str) -> Result<(), StoreError> {
        let session = self.link.session();
        let mut gone = 0;
        for lock in self.keys.leases() {
            let value: Option<Vec<u8>> = session
                .query("reading the lease", redis::cmd("GET").arg(&lock))
                .await?;
            let Some(value) = value.filter(|value| describe(value, 0, 0).id == id) else {
                continue;
            };
            // The beginning of a value that is the whole value: another one is never removed.
            let answer = Call::new(&scripts::RELEASE)
                .key(lock)
                .arg(value)
                .run(session, "removing the lease")
                .await?;
            gone += i64::from(answer == Value::Int(1));
        }
        match gone {
            0 => Err(session.error(StoreErrorKind::LeaseLost)),
            _ => Ok(()),
        }
    }

    async fn token(&self, session: Session<'_>) -> Result<u64, StoreError> {
        let token: Option<u64> = session
            .query(
                "reading the fencing token",
                redis::cmd("GET").arg(self.keys.fence()),
            )
            .await?;
        Ok(token.unwrap_or_default())
    }
}

/// A lock's value in words. One that is not ours gets an id that stays the same while the value does.
fn describe(value: &[u8], left: i64, token: u64) -> LeaseInfo {
    // -1: a lock without an expiry.
    let expires_in_ms = if left == -1 { i64::MAX } else { left };
    match serde_json::from_slice::<LockValue>(value) {
        Ok(ours) => LeaseInfo {
            id: ours.id,
            token,
            holder: Some(ours.holder),
            since: ours.since,
            expires_in_ms,
        },
        Err(_) => LeaseInfo {
            id: format!("earlier-{}", hex::encode(&Sha256::digest(value)[..6])),
            token,
            holder: None,
            since: "unknown".to_owned(),
            expires_in_ms,
        },
    }
}
