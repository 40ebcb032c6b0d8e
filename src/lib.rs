//! outpost migrates Postgres and Redis together, by reviewed plans.
//!
//! The pipeline, left to right:
//!
//! ```text
//! outpost.toml, schema/ ─> source ─> Config, Catalog ─> Graph ──┐
//! Postgres, Redis ───────> engine::observe ─> ObservedState ────┴─> Plan ─> plan file
//! plan file ─> Plan ─> engine::apply ─> events, Report ─> render ─> terminal, JSON
//! ```
//!
//! - [`model`] holds every type and every decision; it is pure.
//! - [`source`] and [`plan_file`] touch the disk.
//! - [`store`] touches the databases; [`engine`] drives them and emits events.
//! - [`render`] words all output; [`cli`] owns the streams, prompts and exit codes.
//! - [`sandbox`] runs throwaway servers for demos, tests and lock files.
//!
//! Imports run one way: `cli -> render, engine -> store -> model`. `tests/offline/layering.rs` holds us to it.
#![forbid(unsafe_code)]

pub mod cli;
pub mod engine;
pub mod model;
pub mod plan_file;
pub mod render;
pub mod sandbox;
pub mod source;
pub mod store;
