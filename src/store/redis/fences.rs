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
            answer.map_err(|e| session.refused(DOING, &e))?;
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
