//! The pure part: types and decisions. No file system, environment, clock, network, async or printing.

pub mod checksum;
pub mod config;
pub mod duration;
pub mod redis;
pub mod secret;
pub mod sql;
