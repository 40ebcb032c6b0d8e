//! Every screen against its golden file. `UPDATE_GOLDEN=1` writes the files anew; the diff is then
//! reviewed like any other change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod apply;
mod browser;
mod drift;
mod foreign;
mod golden;
mod graph;
mod hostile;
mod page;
mod plan;
#[path = "../support/plans.rs"]
mod plans;
mod schema;
mod screens;
mod values;
