//! Redis migrations: key patterns, value conversions and the declaration file.

pub mod printable;
