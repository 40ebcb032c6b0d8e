//! Migrations of a Redis Cluster, with the real command: nothing is lost when keys cross nodes, when a slot
//! moves, when a master dies, and when an application writes meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/keyspace.rs"]
mod keyspace;
#[path = "../support/mod.rs"]
mod support;

mod legacy;
mod migrations;
mod races;
mod refusals;
mod renames;
mod rights;
