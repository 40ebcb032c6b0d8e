//! The Postgres store against a real server.

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
