//! A store in memory. It keeps the promises of [`Store`](crate::store::Store), so that the engine's tests
//! need no server, and it can be told to fail, stall or lose its lease at a named step.
//!
//! Client and server are apart, as with the real stores: [`MemoryStore`] sends requests over a [`Wire`] to a
//! [`Server`], so a test can put itself between them. Statements that a server runs alone, such as CREATE
//! INDEX CONCURRENTLY, are not modelled.

mod client;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::model::id::{MigrationId, StoreKind};
use crate::model::state::{LedgerEntry, Legacy, SchemaObjects};

pub use server::{Flaw, Server};
pub use wire::{Answer, Fence, Part, Reply, Request, Wire, Write};

/// What a [`MemoryStore`] does when a step reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Fails before anything is written.
    Fail(String),
    /// Does the work, records it, and then reports a broken connection.
    LoseAnswer,
    /// Waits until the run is cancelled.
    Stall,
    /// Records that the step was begun, and fails: what a step outside a transaction leaves.
    HalfWay,
}

/// A store in memory: a client of its server.
#[derive(Debug)]
pub struct MemoryStore {
    server: Arc<Server>,
    wire: Arc<dyn Wire>,
    faults: Mutex<BTreeMap<MigrationId, Vec<Fault>>>,
    keys: u64,
}

impl MemoryStore {
    /// An empty store without a ledger.
    pub fn new(kind: StoreKind) -> Self {
        Self::over(Arc::new(Server::new(kind, None)), Arc::new(wire::Direct))
    }

    /// An empty store that was built with a mistake.
    pub fn flawed(kind: StoreKind, flaw: Flaw) -> Self {
        Self::over(
            Arc::new(Server::new(kind, Some(flaw))),
            Arc::new(wire::Direct),
        )
    }

    /// Another client of the same server.
    pub fn client(&self, wire: Arc<dyn Wire>) -> Self {
        Self {
            keys: self.keys,
            ..Self::over(self.server.clone(), wire)
        }
    }

    fn over(server: Arc<Server>, wire: Arc<dyn Wire>) -> Self {
        Self {
            server,
            wire,
            faults: Mutex::default(),
            keys: 1,
        }
    }

    /// The same store, in which each Redis step meets so many keys; 1 unless it is said.
    pub fn with_keys(self, keys: u64) -> Self {
        Self { keys, ..self }
    }

    /// Makes the next run of a step fail in this way; several faults are met one after the other.
    pub fn inject(&self, id: &MigrationId, fault: Fault) {
        self.faults().entry(id.clone()).or_default().push(fault);
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// What the steps did, in order: `apply sql/0001_a` and the like.
    pub fn effects(&self) -> Vec<String> {
        self.server.state().effects.clone()
    }

    /// What the parts of steps did, in order: `apply redis/0001_x, key 0` and the like.
    pub fn part_effects(&self) -> Vec<String> {
        self.server.state().part_effects.clone()
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> BTreeMap<MigrationId, LedgerEntry> {
        self.server.state().ledger.clone()
    }

    /// Puts an entry into the ledger, as another run would have.
    pub fn put(&self, id: MigrationId, entry: LedgerEntry) {
        let mut state = self.server.state();
        state.uuid.get_or_insert_with(|| "other".to_owned());
        state.ledger.insert(id, entry);
    }

    /// Sets what an earlier tool recorded.
    pub fn set_legacy(&self, legacy: Legacy) {
        self.server.state().legacy = legacy;
    }

    /// Sets the real schema.
    pub fn set_schema(&self, schema: SchemaObjects) {
        self.server.state().schema = Some(schema);
    }

    /// Lets the lease run out, as if its holder had been frozen.
    pub fn expire_lease(&self) {
        self.server.state().expired = true;
    }

    /// How often anything was written.
    pub fn writes(&self) -> usize {
        self.server.state().writes
    }

    /// Everything that the server keeps, in words: equal where two servers are, however they came to it.
    pub fn snapshot(&self) -> String {
        let mut state = self.server.state().clone();
        state.writes = 0;
        format!("{state:?}")
    }
}
