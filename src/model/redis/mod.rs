//! Redis migrations: key patterns, value conversions and the declaration file.

pub mod convert;
pub mod pattern;
pub mod printable;
