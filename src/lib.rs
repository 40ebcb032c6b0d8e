#![forbid(unsafe_code)]
pub mod engine;
pub mod model;
pub mod plan_file;
pub mod sandbox;
pub mod source;
pub mod store;
