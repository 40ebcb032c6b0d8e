//! The graph as JSON.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use crate::model::id::MigrationId;
use crate::model::status::MigrationStatus;
use crate::render::json;

#[derive(Serialize)]
struct GraphJson<'a> {
    migrations: Vec<NodeJson<'a>>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    id: &'a MigrationId,
    status: &'a str,
    requires: &'a BTreeSet<MigrationId>,
}

/// Writes every migration with its status and what it requires, as JSON.
///
/// # Errors
/// What `out` says.
pub fn graph_json(out: &mut dyn Write, statuses: &[MigrationStatus]) -> io::Result<()> {
    let migrations = statuses
        .iter()
        .map(|m| NodeJson {
            id: &m.id,
            status: m.status.label(),
            requires: &m.requires,
        })
        .collect();
    json::document(out, &GraphJson { migrations })
}
