//! The Postgres store against a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod fixture;
mod proxy;

mod estimates;
mod fencing;
mod golang;
mod indexes;
mod names;
mod observing;
mod reuse;
mod transactions;
