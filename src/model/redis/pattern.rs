//! Key patterns with captures.
