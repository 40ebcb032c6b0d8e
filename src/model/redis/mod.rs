//! Redis migrations: key patterns, value conversions and the declaration file.

pub mod convert;
pub mod declaration;
pub mod findings;
pub mod later;
pub mod op;
pub mod pattern;
pub mod printable;
