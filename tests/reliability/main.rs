//! No interruption loses or repeats a change: the real binary against real servers, killed, frozen, cut
//! off, raced and pooled. docs/reliability.md says what each part proves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/keyspace.rs"]
mod keyspace;
#[path = "../support/mod.rs"]
mod support;

#[path = "../support/cuts.rs"]
mod cuts;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/storm.rs"]
mod storm;

mod crash;
mod fencing;
mod on_cluster;
mod phase;
mod pooler;
mod races;
mod server_faults;
mod state;
mod world;

/// Whether a campaign takes all of what CI takes a part of.
fn all() -> bool {
    std::env::var_os("OUTPOST_CRASH_ALL").is_some()
}
