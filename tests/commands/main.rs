//! The real command against real servers: what it does, what it refuses, and which rights it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/keyspace.rs"]
mod keyspace;
#[allow(dead_code)]
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/terminal.rs"]
mod terminal;

mod adoption;
mod audit;
mod bad_input;
mod cli_main_path;
mod concurrency;
mod documented_rights;
mod drift;
mod examples;
mod least_rights;
mod outpost_schema;
mod rehearsal;
mod resolve;
mod secrets;
mod signatures;
