//! Keeps the leases of a run alive, and stops the run when one is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::model::lease::{LEASE_RENEWAL, LEASE_TTL};
use crate::store::{Lease, Store, StoreError, StoreErrorKind};

/// The leases of a run and the tasks that renew them. Dropped, it stops renewing.
pub(super) struct Heartbeat {
    leases: Vec<(Arc<dyn Store>, Lease)>,
    run: CancellationToken,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    lost: Arc<OnceCell<StoreError>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Heartbeat {
    /// No lease yet. Cancels `run` when one is lost.
    pub(super) fn new(run: &CancellationToken) -> Self {
        let stop = CancellationToken::new();
        Self {
            leases: Vec::new(),
            run: run.clone(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            lost: Arc::new(OnceCell::new()),
            tasks: Vec::new(),
        }
    }

    /// Begins to renew a lease.
    pub(super) fn renew(&mut self, store: Arc<dyn Store>, lease: Lease) {
        let beat = beat(
            store.clone(),
            lease.clone(),
            self.run.clone(),
            self.lost.clone(),
        );
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(async move {
            // What `beat` has to say is in `lost`.
            let _ = stop.run_until_cancelled(beat).await;
        }));
        self.leases.push((store, lease));
    }

    /// The lease of a store.
    pub(super) fn lease(&self, store: crate::model::id::StoreKind) -> Option<&Lease> {
        self.leases
            .iter()
            .find(|(s, _)| s.kind() == store)
            .map(|(_, lease)| lease)
    }

    /// Why a lease was lost, if one was.
    pub(super) fn lost(&self) -> Option<StoreError> {
        self.lost.get().cloned()
    }

    /// Asks the stores whether the leases are still held: a run that was stopped learns of a takeover only when it
    /// renews them.
    ///
    /// # Errors
    /// A lease that is not ours any more. What keeps a store from answering is left to whatever comes next.
    pub(super) async fn still_held(&self) -> Result<(), StoreError> {
        for (store, lease) in &self.leases {
            match store.renew(lease).await {
                Err(error) if matches!(error.kind, StoreErrorKind::LeaseLost) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The error that a run ends with: a lost lease cancels what runs, and then the loss is the reason.
    pub(super) fn reason(&self, error: StoreError) -> StoreError {
        match (&error.kind, self.lost()) {
            (StoreErrorKind::Cancelled, Some(lost)) => lost,
            _ => error,
        }
    }

    /// Stops renewing and gives the leases back. A lease that cannot be given back expires by itself, so
    /// an error here takes nothing away from what the run did.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
        for (store, lease) in self.leases.iter().rev() {
            let _ = store.release(lease).await;
        }
    }
}

async fn beat(
    store: Arc<dyn Store>,
    lease: Lease,
    run: CancellationToken,
    lost: Arc<OnceCell<StoreError>>,
) {
    let mut renewed = Instant::now();
    let mut pause = LEASE_RENEWAL;
    loop {
        tokio::time::sleep(pause).await;
        // A server that does not answer must not hold the heartbeat longer than the lease lives.
        let left = LEASE_TTL.saturating_sub(renewed.elapsed());
        let asked = Instant::now();
        let outcome = tokio::time::timeout(left, store.renew(&lease)).await;
        match outcome {
            Ok(Ok(())) => {
                // The server counts from some moment after this one, never from an earlier one.
                renewed = asked;
                pause = LEASE_RENEWAL;
            }
            Ok(Err(error)) if matches!(error.kind, StoreErrorKind::LeaseLost) => {
                let _ = lost.set(error);
                run.cancel();
                return;
            }
            Ok(Err(_)) | Err(_) if renewed.elapsed() < LEASE_TTL => pause = Duration::from_secs(1),
            Ok(Err(_)) | Err(_) => {
                let _ = lost.set(StoreError {
                    store: store.kind(),
                    address: store.address(),
                    kind: StoreErrorKind::LeaseLost,
                });
                run.cancel();
                return;
            }
        }
    }
}
