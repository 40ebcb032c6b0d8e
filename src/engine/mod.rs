//! Drives the stores: observes, estimates, applies, verifies. Prints nothing and asks nothing; what
//! happens comes out as events and reports.

mod apply;
mod drift;
mod estimate;
mod half_done;
mod heartbeat;
mod observe;
mod rehearse;
mod replay;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use apply::{Applied, ApplyError, ApplyOptions, apply};
pub use drift::{Asked, drift, redis_drift};
pub use estimate::estimate;
pub use half_done::half_done;
pub use observe::{Depth, observe};
pub use rehearse::{
    KeyStage, RehearsalError, Stage, has_keys, has_sql, no_keys, refuse_same_server, rehearse,
    rehearse_keys,
};
pub use replay::{ReplayError, replay, replay_recorded, unreplayed_lock};
pub use verify::verify;

use crate::model::id::StoreKind;
use crate::store::Store;

/// The configured stores.
#[derive(Clone, Default)]
pub struct Stores {
    stores: BTreeMap<StoreKind, Arc<dyn Store>>,
}

impl Stores {
    /// No store yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a store; one of the same kind is replaced.
    pub fn with(mut self, store: Arc<dyn Store>) -> Self {
        self.stores.insert(store.kind(), store);
        self
    }

    /// The store of a kind.
    pub fn get(&self, kind: StoreKind) -> Option<&Arc<dyn Store>> {
        self.stores.get(&kind)
    }

    /// All stores, Postgres first.
    pub fn iter(&self) -> impl Iterator<Item = (StoreKind, &Arc<dyn Store>)> {
        self.stores.iter().map(|(kind, store)| (*kind, store))
    }
}
