//! `outpost.toml`: as written, then as validated.
