//! Keeps the leases of a run alive, and stops the run when one is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::lease::{LEASE_RENEWAL, LEASE_TTL};
use crate::store::{Lease, Store, StoreError, StoreErrorKind};

/// The leases of a run and the task that renews them.
pub(super) struct Heartbeat {
    leases: Vec<(Arc<dyn Store>, Lease)>,
    stop: CancellationToken,
    lost: Arc<OnceCell<StoreError>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Heartbeat {
    /// Begins to renew `leases`; cancels `run` when one is lost.
    pub(super) fn start(leases: Vec<(Arc<dyn Store>, Lease)>, run: &CancellationToken) -> Self {
        let stop = CancellationToken::new();
        let lost = Arc::new(OnceCell::new());
        let tasks = leases
            .iter()
            .map(|(store, lease)| {
                let beat = beat(store.clone(), lease.clone(), run.clone(), lost.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(beat).map_to_unit())
            })
            .collect();
        Self {
            leases,
            stop,
            lost,
            tasks,
        }
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

trait MapToUnit {
    fn map_to_unit(self) -> impl Future<Output = ()> + Send;
}

impl<T: Send, F: Future<Output = Option<T>> + Send> MapToUnit for F {
    async fn map_to_unit(self) {
        self.await;
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
        let outcome = tokio::time::timeout(left, store.renew(&lease)).await;
        match outcome {
            Ok(Ok(())) => {
                renewed = Instant::now();
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
