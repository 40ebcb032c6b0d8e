//! The pure part: types and decisions. No file system, environment, clock, network, async or printing.

pub mod config;
pub mod document;
pub mod id;
pub mod nearest;
pub mod redis;
pub mod secret;
pub mod sql;
pub mod versions;
