use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::args::Globals;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::model::id::{MigrationId, StoreKind};
use crate::{render, source};

/// Write the skeleton of a new migration, with the next number
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// Which store it changes
    store: NewStore,

    /// What it is called: letters, digits, `_`, `.` and `-`
    name: String,
}

/// The store of a new migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NewStore {
    /// SQL files for Postgres
    Sql,
    /// A declaration for Redis
    Redis,
}

const UP: &str = "\
-- outpost: description = \"Say in one line what this is for\"
--
-- All statements run in one transaction, together with the record that they did. Statements that cannot,
-- such as CREATE INDEX CONCURRENTLY, go into a migration of their own that begins with:
--   -- outpost: transaction = false
-- To wait for a migration of the other store as well:
--   -- outpost: requires = [\"redis/0001_name\"]

";

const DOWN: &str = "\
-- The way back. Remove this file if there is none: then no plan will try.
-- Where data cannot come back, say so; the plan shows it before anything runs:
--   -- outpost: data_loss = \"what is lost\"

";

const VERIFY: &str = "\
-- Queries that return no row, or only true, once the migration is in place; anything else is a finding.
-- They run read-only, now and after every later migration.

";

const REDIS: &str = "\
# Say why this is needed, for those who will review the plan.
description = \"Say in one line what this is for\"

# Every key that matches the scope must be matched by exactly one step, or by `ignore`: a key that is
# accounted for by nothing stops the plan. <id> captures one part of a key, <rest..> anything.
scope  = \"${prefix}example:<rest..>\"
ignore = []

# [[step]]
# convert     = [\"created_at\"]
# in          = \"${prefix}example:<id>\"
# from_format = \"rfc3339\"
# to_format   = \"unix_ms\"
";

impl New {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let folder =
            source::folder_of(&globals.config).join(source::schema_config(&globals.config)?.path);
        let (kind, below, files): (_, _, &[(&str, &str)]) = match self.store {
            NewStore::Sql => (
                StoreKind::Sql,
                "sql",
                &[
                    (".up.sql", UP),
                    (".down.sql", DOWN),
                    (".verify.sql", VERIFY),
                ],
            ),
            NewStore::Redis => (StoreKind::Redis, "redis", &[(".toml", REDIS)]),
        };
        let folder = folder.join(below);
        let number = source::next_number(&folder)?;
        let id = MigrationId::new(kind, &format!("{number}_{}", self.name))?;
        std::fs::create_dir_all(&folder).map_err(|source| CliError::CannotWrite {
            path: folder.clone(),
            source,
        })?;
        let mut written = Vec::new();
        for (ending, text) in files {
            let path = folder.join(format!("{}{ending}", id.name()));
            create(&path, text)?;
            written.push(path);
        }
        output.print(|out, style| render::created(out, style, &id, &written))?;
        Ok(Exit::Done)
    }
}

fn create(path: &Path, text: &str) -> Result<(), CliError> {
    let cannot = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::Exists(path.to_owned()),
        _ => CliError::CannotWrite {
            path: PathBuf::from(path),
            source,
        },
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)
}
