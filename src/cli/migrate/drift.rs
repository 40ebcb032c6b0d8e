use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::cli::args::{Format, Globals, OnlyStore};
use crate::cli::context::{Project, block_on, holder};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine::{self, Depth};
use crate::model::drift::{self, Expected};
use crate::model::event::NoEvents;
use crate::model::id::StoreKind;
use crate::model::state::ObservedState;
use crate::render;
use crate::sandbox::{PostgresServer, SandboxError};
use crate::store::postgres::PostgresStore;

/// Show what differs between the recorded and the real schema, object by object
///
/// Replays the recorded SQL migrations in a throwaway Postgres on this machine and compares the definition of
/// every object with the real one; runs the verification of each applied Redis migration. Changes nothing.
/// Migrations that are pending are no drift, and neither is what stands outside of the migrations' tables and
/// schemas. Exits with 6 when anything has drifted.
#[derive(Debug, Args)]
pub(in crate::cli) struct Drift {
    /// Look at one store only
    #[arg(long, value_name = "STORE")]
    only: Option<OnlyStore>,

    /// What the schema is compared with; `replay` where Postgres is installed on this machine, or else `lock`
    #[arg(long, value_name = "WHAT")]
    against: Option<Against>,

    /// How to print
    #[arg(long, default_value = "text")]
    format: Format,
}

/// What the real schema is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Against {
    /// The recorded migrations, replayed in a throwaway Postgres: shows both definitions
    Replay,
    /// Digests in schema/outpost.lock: needs no Postgres on this machine
    Lock,
}

impl Drift {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let only = self.only.map(Into::into);
        let found = block_on(async {
            let observed = project.observe(Depth::Full).await?;
            let expected = match only {
                Some(StoreKind::Redis) => None,
                _ => self.expected(&project, &observed).await?,
            };
            Ok(engine::drift(
                &project.stores,
                &project.catalog,
                &project.graph,
                &observed,
                expected,
                only,
                &NoEvents,
            )
            .await?)
        })?;
        output.print(|out, style| match self.format {
            Format::Text => render::drift(out, style, &found),
            Format::Json => render::drift_json(out, &found),
        })?;
        if !found.found() {
            return Ok(Exit::Done);
        }
        if self.format == Format::Text {
            output.tell(render::drift_hint);
        }
        Ok(Exit::Unverified)
    }

    /// What the schema should be; `None` where no SQL migration is recorded.
    async fn expected(
        &self,
        project: &Project,
        observed: &ObservedState,
    ) -> Result<Option<Expected>, CliError> {
        let ids = drift::in_place(&project.catalog, observed);
        if ids.is_empty() {
            return Ok(None);
        }
        let locked = || {
            let pin = drift::pin(&project.catalog, observed)?.clone();
            let server_major = project.catalog.lock().and_then(|lock| lock.postgres);
            Some(Expected::Locked { pin, server_major })
        };
        if self.against == Some(Against::Lock) {
            return locked().map(Some).ok_or(CliError::Unpinned);
        }
        // Blocks, and nothing else is to do meanwhile.
        let server = match PostgresServer::start() {
            Ok(server) => server,
            Err(error) => {
                let missing = matches!(error, SandboxError::Missing { .. });
                return match locked() {
                    Some(pinned) if missing && self.against.is_none() => Ok(Some(pinned)),
                    _ => Err(error.into()),
                };
            }
        };
        let schema = engine::replay_recorded(
            Arc::new(PostgresStore::at(server.url())?),
            &project.catalog,
            &ids,
            &drift::cleaned(&project.catalog, observed),
            project.config.plan_relevant(),
            holder(),
        )
        .await?;
        Ok(Some(Expected::Replayed(schema)))
    }
}
