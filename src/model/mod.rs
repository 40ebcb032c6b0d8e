//! The pure part: types and decisions. No file system, environment, clock, network, async or printing.

pub mod allow;
pub mod catalog;
pub mod checksum;
pub mod codec;
pub mod config;
pub mod document;
pub mod duration;
pub mod event;
pub mod graph;
pub mod half_done;
pub mod history;
pub mod id;
pub mod lease;
pub mod lint;
pub mod lock;
pub mod migration;
pub mod nearest;
pub mod plan;
pub mod redis;
pub mod report;
pub mod secret;
pub mod sql;
pub mod state;
pub mod status;
pub mod verification;
pub mod versions;
