//! The stores against real servers of every kind, and what those servers can do to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/contract.rs"]
mod contract;
#[path = "../support/folder.rs"]
mod folder;
#[path = "../support/keyspace.rs"]
mod keyspace;
#[path = "../support/sentinel.rs"]
mod sentinel;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls_servers.rs"]
mod tls_servers;

mod postgres_store;
mod redis_bad_input;
mod redis_cluster;
mod redis_cluster_harness;
mod redis_operations;
mod redis_sentinel;
mod redis_store;
mod store_contract;
mod tls;
