//! A store that is watched: which steps run beside each other, and how often its lease is renewed. Its
//! lease runs out by the runtime's clock, which tests may pause.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use outpost::model::config::PlanConfig;
use outpost::model::event::{Event, Events};
use outpost::model::history::HistoryEntry;
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lease::{Holder, LEASE_TTL, LeaseInfo};
use outpost::model::migration::Migration;
use outpost::model::plan::{Step, StepEvidence};
use outpost::model::report::Done;
use outpost::model::state::StoreState;
use outpost::model::verification::Verification;
use outpost::store::memory::MemoryStore;
use outpost::store::{Lease, Observe, Run, Store, StoreError};
use tokio::time::Instant;

/// What both stores of a project share.
#[derive(Default)]
pub struct Watch {
    /// `begin ID` and `end ID`, over all stores.
    pub log: Mutex<Vec<String>>,
    running: AtomicUsize,
    /// The most steps that were seen running at once.
    pub most: AtomicUsize,
}

pub struct Watched {
    pub inner: MemoryStore,
    pub watch: Arc<Watch>,
    /// How long each step takes before it reaches the store.
    pub takes: Duration,
    /// How long a step takes after it was recorded.
    pub lingers: Mutex<BTreeMap<MigrationId, Duration>>,
    pub renewals: AtomicUsize,
    renewed: Mutex<Option<Instant>>,
}

impl Watched {
    pub fn new(kind: StoreKind, watch: &Arc<Watch>) -> Self {
        Self {
            inner: MemoryStore::new(kind),
            watch: watch.clone(),
            takes: Duration::from_millis(10),
            lingers: Mutex::default(),
            renewals: AtomicUsize::new(0),
            renewed: Mutex::new(None),
        }
    }

    /// Lets the lease run out, if it was not renewed in time.
    fn tick(&self) {
        let renewed = *self.renewed.lock().unwrap();
        if renewed.is_some_and(|at| at.elapsed() >= LEASE_TTL) {
            self.inner.expire_lease();
        }
    }

    fn touch(&self) {
        *self.renewed.lock().unwrap() = Some(Instant::now());
    }

    fn note(&self, words: String) {
        self.watch.log.lock().unwrap().push(words);
    }
}

#[async_trait]
impl Store for Watched {
    fn kind(&self) -> StoreKind {
        self.inner.kind()
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    async fn observe(&self, what: &Observe) -> Result<StoreState, StoreError> {
        self.inner.observe(what).await
    }

    async fn verify(
        &self,
        migration: &Migration,
        later: &[&Migration],
        events: &dyn Events,
    ) -> Result<Verification, StoreError> {
        self.inner.verify(migration, later, events).await
    }

    async fn estimate(
        &self,
        steps: &[&Step],
        plan: &PlanConfig,
    ) -> Result<Vec<StepEvidence>, StoreError> {
        self.inner.estimate(steps, plan).await
    }

    async fn acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        self.tick();
        let lease = self.inner.acquire(id, holder).await?;
        self.touch();
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.tick();
        self.inner.renew(lease).await?;
        self.touch();
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.inner.release(lease).await
    }

    async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
        self.tick();
        self.inner.lease().await
    }

    async fn break_lease(&self, id: &str) -> Result<(), StoreError> {
        self.inner.break_lease(id).await
    }

    async fn run(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        self.note(format!("begin {}", step.id));
        let running = self.watch.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.watch.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.tick();
        let result = self.inner.run(step, run).await;
        let lingers = self.lingers.lock().unwrap().get(&step.id).copied();
        if let Some(time) = lingers {
            tokio::time::sleep(time).await;
        }
        self.watch.running.fetch_sub(1, Ordering::SeqCst);
        self.note(format!("end {}", step.id));
        result
    }

    async fn record_failure(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        self.inner.record_failure(step, run, error).await
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        self.inner.history().await
    }
}

/// Keeps every event.
#[derive(Default)]
pub struct Kept(pub Mutex<Vec<Event>>);

impl Events for Kept {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}
