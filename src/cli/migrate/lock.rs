use std::sync::Arc;

use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::context::{block_on, holder};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine;
use crate::model::catalog::Catalog;
use crate::model::config::PlanConfig;
use crate::model::graph::Graph;
use crate::model::id::StoreKind;
use crate::model::lock::{Lock as LockFile, LockFinding};
use crate::sandbox::PostgresServer;
use crate::store::postgres::PostgresStore;
use crate::{render, source};

/// Pin every file's checksum, and the schema after each SQL migration, in schema/outpost.lock
///
/// Replays the SQL migrations in a throwaway Postgres on this machine to find the objects that the folder
/// owns. Commit the file: `verify` compares databases with it, and databases that another tool migrated
/// are adopted by it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Lock {
    /// Write nothing; exit with 6 when the files are not as locked
    #[arg(long)]
    check: bool,

    /// How to print what --check finds
    #[arg(long, default_value = "text", requires = "check")]
    format: Format,
}

impl Lock {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let schema = source::schema_config(&globals.config)?;
        let folder = source::folder_of(&globals.config).join(&schema.path);
        let config = source::offline_plan_config(&globals.config)?;
        let catalog = source::catalog_without_lock(&folder, &config)?;
        let graph = Graph::new(&catalog)?;
        if self.check {
            let findings = self.findings(&folder, &catalog, &graph)?;
            output.print(|out, style| match self.format {
                Format::Text => render::lock_findings(out, style, &findings),
                Format::Json => render::lock_findings_json(out, &findings),
            })?;
            return Ok(if findings.is_empty() {
                Exit::Done
            } else {
                Exit::Unverified
            });
        }
        let lock = replay(&catalog, &graph, config)?;
        let path = folder.join(source::LOCK_FILE);
        source::write_lock(&path, &lock).map_err(|source| CliError::CannotWrite {
            path: path.clone(),
            source,
        })?;
        output.print(|out, style| render::locked(out, style, &path, &lock))?;
        Ok(Exit::Done)
    }

    fn findings(
        &self,
        folder: &std::path::Path,
        catalog: &Catalog,
        graph: &Graph,
    ) -> Result<Vec<LockFinding>, CliError> {
        let lock = source::lock(folder)?.unwrap_or_else(LockFile::empty);
        Ok(lock.compare(&catalog.files(), &graph.order(&catalog.ids())))
    }
}

/// Replays the SQL migrations, if there are any, and pins everything.
fn replay(catalog: &Catalog, graph: &Graph, config: PlanConfig) -> Result<LockFile, CliError> {
    if catalog.ids_of(StoreKind::Sql).next().is_none() {
        return Ok(engine::unreplayed_lock(catalog, graph));
    }
    let server = PostgresServer::start()?;
    let store = Arc::new(PostgresStore::at(server.url())?);
    block_on(async { Ok(engine::replay(store, catalog, graph, config, holder()).await?) })
}
