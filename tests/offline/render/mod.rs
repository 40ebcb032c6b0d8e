//! Every screen against its golden file. `UPDATE_GOLDEN=1` writes the files anew; the diff is then
//! reviewed like any other change.

mod apply;
mod browser;
mod drift;
mod foreign;
mod golden;
mod graph;
mod hostile;
mod page;
mod plan;
mod schema;
mod screens;
mod values;
