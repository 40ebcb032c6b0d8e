//! What needs no server: planning, plan files, screens, the engine over stores in memory, and rules that the
//! sources keep to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/folder.rs"]
mod folder;
#[path = "../support/plans.rs"]
mod plans;
#[path = "../support/watched.rs"]
mod watched;

mod bench_figures;
mod engine;
mod freshness;
mod layering;
mod lint;
mod plan_codec;
mod plan_file;
mod planning;
mod render;
