//! The fences of a cluster: one key in each slot that is written to, holding the token for as long as the
//! lease lives. A script checks the fence in the slot of its keys; it cannot see the lease itself, which
//! lies in another slot.
//!
//! Why a runner that lost its lease writes nothing: a fence that it raised before it was held up has expired
//! with the lease, or holds its successor's token. One that it raises afterwards, out of a message that was
//! on its way, is of no use to it, since it looks at its own clock again before each batch of writes.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::RedisStore;
use super::errors::code;
use super::link::Session;
use super::scripts::{self, Call};
use crate::model::lease::LEASE_TTL;
use crate::store::{Lease, StoreError, StoreErrorKind};

/// Tries of a batch whose fences were gone: each raises them anew.
const TRIES: u32 = 5;
const DOING: &str = "fencing slots";

/// Until when the lease is held, and which slots are fenced.
#[derive(Debug, Default)]
pub(super) struct Fences {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    slots: BTreeSet<u16>,
}

impl Fences {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new lease: nothing is fenced yet. `asked` is when it was asked for.
    pub(super) fn begin(&self, asked: Instant) {
        *self.lock() = State {
            until: Some(asked + LEASE_TTL),
            slots: BTreeSet::new(),
        };
    }

    /// The lease was renewed; `asked` is when that was asked for.
    pub(super) fn extend(&self, asked: Instant) {
        self.lock().until = Some(asked + LEASE_TTL);
    }

    /// The slots moved: each is fenced again when it is next written to.
    pub(super) fn forget(&self) {
        self.lock().slots.clear();
    }

    /// What is left of the lease by our own clock.
    fn left(&self) -> Duration {
        self.lock().until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }
}

impl RedisStore {
    /// Runs calls that write keys. On a cluster the fences of their slots are raised first; elsewhere each
    /// call checks the lease itself.
    ///
    /// # Errors
    /// The first error of any of them; those before it may have been carried out.
    pub(super) async fn run_calls(
        &self,
        session: Session<'_>,
        lease: &Lease,
        calls: &[Call],
        doing: &str,
    ) -> Result<Vec<redis::Value>, StoreError> {
        let slots: BTreeSet<u16> = calls.iter().filter_map(Call::slot).collect();
        let mut attempt = 1;
        loop {
            self.raise(session, lease, &slots).await?;
            let answers = Call::run_all(calls, session, doing).await?;
            let unfenced: Vec<u16> = calls
                .iter()
                .zip(&answers)
                .filter(
                    |(_, answer)| matches!(answer, Err(e) if code(e).as_deref() == Some("NOFENCE")),
                )
                .filter_map(|(call, _)| call.slot())
                .collect();
            if unfenced.is_empty() {
                return calls
                    .iter()
                    .zip(answers)
                    .map(|(call, answer)| answer.map_err(|e| call.refused(session, doing, &e)))
                    .collect();
            }
            if attempt == TRIES {
                return Err(session.error(StoreErrorKind::NotReady {
                    reason: format!("the fence of slot {} does not stay", unfenced[0]),
                }));
            }
            // A failover may have lost them, or the lease may be gone: the lease itself says which.
            self.renew_lease(lease).await?;
            let mut state = self.fences.lock();
            for slot in unfenced {
                state.slots.remove(&slot);
            }
            drop(state);
            attempt += 1;
        }
    }

    /// Raises the fences of slots that have none of ours yet.
    pub(super) async fn raise(
        &self,
        session: Session<'_>,
        lease: &Lease,
        slots: &BTreeSet<u16>,
    ) -> Result<(), StoreError> {
        if slots.is_empty() {
            return Ok(());
        }
        let missing: Vec<u16> = {
            let state = self.fences.lock();
            slots.difference(&state.slots).copied().collect()
        };
        self.raise_now(session, lease, &missing).await?;
        self.fences.lock().slots.extend(missing);
        match self.fences.left().is_zero() {
            true => Err(session.error(StoreErrorKind::LeaseLost)),
            false => Ok(()),
        }
    }

    async fn raise_now(
        &self,
        session: Session<'_>,
        lease: &Lease,
        slots: &[u16],
    ) -> Result<(), StoreError> {
        let left = self.fences.left();
        if left.is_zero() {
            return Err(session.error(StoreErrorKind::LeaseLost));
        }
        let calls: Vec<Call> = slots
            .iter()
            .map(|slot| {
                Call::new(&scripts::RAISE_FENCE)
                    .key(self.keys.slot_fence(*slot))
                    .arg(lease.token().to_string())
                    .arg(left.as_millis().max(1).to_string())
            })
            .collect();
        for answer in Call::run_all(&calls, session, DOING).await? {
            let answer = answer.map_err(|e| session.refused(DOING, &e))?;
            scripts::confirm(session, DOING, &answer)?;
        }
        Ok(())
    }

    /// Makes the fences live as long as the renewed lease.
    pub(super) async fn renew_fences(
        &self,
        session: Session<'_>,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let slots: Vec<u16> = self.fences.lock().slots.iter().copied().collect();
        self.raise_now(session, lease, &slots).await
    }

    /// Removes the fences; what cannot be removed expires with the lease.
    pub(super) async fn lower_fences(&self, session: Session<'_>, lease: &Lease) {
        let slots = std::mem::take(&mut self.fences.lock().slots);
        let calls: Vec<Call> = slots
            .into_iter()
            .map(|slot| {
                Call::new(&scripts::LOWER_FENCE)
                    .key(self.keys.slot_fence(slot))
                    .arg(lease.token().to_string())
            })
            .collect();
        let _ = Call::run_all(&calls, session, DOING).await;
    }
}

/// On one server: what is proven of a slot's fence does not ask where its slot lies.
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::path::Path;

    use super::*;
    use crate::model::config::Config;
    use crate::model::lease::Holder;
    use crate::sandbox::RedisServer;
    use crate::store::Store as _;

    const SLOT: u16 = 7;
    const KEY: &str = "k";
    const NONE: Option<String> = None;

    struct Fenced {
        // Ends with the test.
        _server: RedisServer,
        store: RedisStore,
        lease: Lease,
    }

    impl Fenced {
        /// A runner whose token is 9, and a key that it may remove.
        async fn new() -> Self {
            let server = RedisServer::start().unwrap();
            let text = "[schema]\nversion = \"1\"\n[redis]\nurl = \"${URL}\"\n";
            let url = |_: &str| Some(server.url().to_owned());
            let config = Config::parse("outpost.toml", text, &url).unwrap();
            let plan = config.plan_relevant();
            let store = RedisStore::new(&config.redis.unwrap(), &plan, Path::new("/")).unwrap();
            let holder = Holder {
                user: "ann".to_owned(),
                host: "box".to_owned(),
                pid: 7,
                plan: "p".repeat(64),
                signer: None,
            };
            command(&store, &["SET", &store.keys.fence(), "8"]).await;
            let lease = store.acquire("old", &holder).await.unwrap();
            assert_eq!(lease.token(), 9);
            command(&store, &["SET", KEY, "v"]).await;
            Self {
                _server: server,
                store,
                lease,
            }
        }

        fn fence(&self) -> String {
            self.store.keys.slot_fence(SLOT)
        }

        async fn say(&self, words: &[&str]) -> Option<String> {
            command(&self.store, words).await
        }

        /// Removes the key, as a step on a cluster would.
        async fn write(&self) -> Result<(), StoreErrorKind> {
            let keys = &self.store.keys;
            let call = Call::on_keys(&scripts::DROP, keys, &self.lease, Some(SLOT)).key(KEY);
            let session = self.store.link.session();
            self.store
                .run_calls(session, &self.lease, &[call], "writing")
                .await
                .map(drop)
                .map_err(|error| error.kind)
        }

        async fn assert_lost(&self, what: &str) {
            assert_eq!(self.write().await, Err(StoreErrorKind::LeaseLost), "{what}");
            assert_eq!(
                self.say(&["GET", KEY]).await.as_deref(),
                Some("v"),
                "{what}"
            );
        }

        /// As if another run had taken the locks over.
        async fn lose_locks(&self) {
            for lock in self.store.keys.locks() {
                self.say(&["SET", &lock, "{\"id\":\"new\","]).await;
            }
        }
    }

    async fn command(store: &RedisStore, words: &[&str]) -> Option<String> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        store
            .link
            .session()
            .query("testing", &command)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn u13_a_fence_that_is_another_runs_or_gone_lets_nothing_be_written() {
        for (what, theirs) in [("another's", Some("10")), ("gone", None)] {
            let it = Fenced::new().await;
            it.write().await.unwrap();
            it.say(&["SET", KEY, "v"]).await;
            it.lose_locks().await;
            match theirs {
                Some(token) => it.say(&["SET", &it.fence(), token]).await,
                None => it.say(&["DEL", &it.fence()]).await,
            };
            it.assert_lost(what).await;
        }
    }

    #[tokio::test]
    async fn u13_a_fence_is_raised_over_a_lesser_token_and_never_over_a_greater_one() {
        let it = Fenced::new().await;
        // As text 10 is less than 9.
        it.say(&["SET", &it.fence(), "10"]).await;
        it.assert_lost("a successor's").await;
        assert_eq!(it.say(&["GET", &it.fence()]).await.as_deref(), Some("10"));
        it.say(&["SET", &it.fence(), "8"]).await;
        it.write().await.unwrap();
        assert_eq!(it.say(&["GET", &it.fence()]).await.as_deref(), Some("9"));
        assert_eq!(it.say(&["GET", KEY]).await, NONE);
    }

    #[tokio::test]
    async fn a_fence_ends_with_its_lease_and_only_its_own_run_lowers_it() {
        let it = Fenced::new().await;
        it.write().await.unwrap();
        let life: Option<i64> = it
            .store
            .link
            .session()
            .query("testing", redis::cmd("PTTL").arg(it.fence()))
            .await
            .unwrap();
        let whole = i64::try_from(LEASE_TTL.as_millis()).unwrap();
        assert!(life.is_some_and(|ms| (1..=whole).contains(&ms)), "{life:?}");
        it.say(&["SET", &it.fence(), "10"]).await;
        it.store.release(&it.lease).await.unwrap();
        assert_eq!(it.say(&["GET", &it.fence()]).await.as_deref(), Some("10"));

        let it = Fenced::new().await;
        it.write().await.unwrap();
        it.store.release(&it.lease).await.unwrap();
        assert_eq!(it.say(&["GET", &it.fence()]).await, NONE);
    }

    #[tokio::test]
    async fn u30_a_key_that_changed_since_it_was_read_is_not_removed() {
        let it = Fenced::new().await;
        let session = it.store.link.session();
        let read: Vec<u8> = session
            .query("testing", redis::cmd("DUMP").arg(KEY))
            .await
            .unwrap();
        for (now, left) in [("newer", Some("newer")), ("v", None)] {
            it.say(&["SET", KEY, now]).await;
            let keys = &it.store.keys;
            let call = Call::on_keys(&scripts::UNLINK_SAME, keys, &it.lease, Some(SLOT))
                .key(KEY)
                .arg(read.as_slice());
            it.store
                .run_calls(session, &it.lease, &[call], "removing")
                .await
                .unwrap();
            assert_eq!(it.say(&["GET", KEY]).await.as_deref(), left);
        }
    }

    /// The fence that a held-up message raises afterwards is of no use to a runner that looks at its clock.
    #[tokio::test]
    async fn u13_a_runner_whose_lease_is_over_by_its_own_clock_fences_and_writes_nothing() {
        let it = Fenced::new().await;
        let over = Instant::now().checked_sub(LEASE_TTL).unwrap();
        it.store.fences.begin(over);
        it.assert_lost("before the fence").await;
        assert_eq!(it.say(&["GET", &it.fence()]).await, NONE);

        // It ends while the server does not answer.
        let nearly = over + Duration::from_millis(400);
        it.store.fences.begin(nearly);
        it.say(&["CLIENT", "PAUSE", "600"]).await;
        it.assert_lost("behind the fence").await;
    }
}
