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
                engine::Asked {
                    expected,
                    config: &project.config.drift,
                    only,
                },
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
        let locked = drift::pin(&project.catalog, observed).map(|pin| Expected::Locked {
            pin: pin.clone(),
            server_major: project.catalog.lock().and_then(|lock| lock.postgres),
        });
        // Starting blocks, and nothing else is to do meanwhile.
        let server = match basis(self.against, PostgresServer::start, locked)? {
            Basis::Replay(server) => server,
            Basis::Lock(expected) => return Ok(Some(expected)),
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

/// What tells how the schema should be.
#[derive(Debug)]
enum Basis<S> {
    /// The migrations, replayed on this server.
    Replay(S),
    /// What the lock file pins.
    Lock(Expected),
}

/// Chooses what was asked for. Where nothing was, the lock file takes the place of a Postgres that is not installed,
/// but not of one that fails: that is an error with a way out.
fn basis<S>(
    against: Option<Against>,
    start: impl FnOnce() -> Result<S, SandboxError>,
    locked: Option<Expected>,
) -> Result<Basis<S>, CliError> {
    if against == Some(Against::Lock) {
        return locked.map(Basis::Lock).ok_or(CliError::Unpinned);
    }
    match (start(), locked) {
        (Ok(server), _) => Ok(Basis::Replay(server)),
        (Err(SandboxError::Missing { .. }), Some(locked)) if against.is_none() => {
            Ok(Basis::Lock(locked))
        }
        (Err(error), _) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::model::lock::LockedMigration;
    use crate::sandbox::Product;

    fn locked() -> Expected {
        Expected::Locked {
            pin: LockedMigration {
                id: "sql/0001_a".parse().unwrap(),
                files: Default::default(),
                objects: Default::default(),
            },
            server_major: Some(17),
        }
    }

    fn missing() -> Result<(), SandboxError> {
        Err(SandboxError::Missing {
            products: vec![Product::Postgres],
        })
    }

    #[test]
    fn the_lock_file_takes_the_place_of_a_postgres_that_is_not_installed_and_of_no_other() {
        use Against::{Lock, Replay};
        let failing = || Err::<(), _>(SandboxError::NoAccount);
        type Start = fn() -> Result<(), SandboxError>;
        let cases: [(Option<Against>, Start, Option<Expected>, &str); 9] = [
            (None, || Ok(()), Some(locked()), "replay"),
            (None, || Ok(()), None, "replay"),
            (None, missing, Some(locked()), "lock"),
            (None, missing, None, "Postgres was not found on PATH"),
            (
                None,
                failing,
                Some(locked()),
                "servers must not run as root",
            ),
            (
                Some(Replay),
                missing,
                Some(locked()),
                "Postgres was not found on PATH",
            ),
            (Some(Replay), || Ok(()), Some(locked()), "replay"),
            (Some(Lock), || panic!("started"), Some(locked()), "lock"),
            (Some(Lock), || panic!("started"), None, "does not pin"),
        ];
        for (at, (against, start, locked, outcome)) in cases.into_iter().enumerate() {
            match basis(against, start, locked) {
                Ok(Basis::Replay(())) => assert_eq!(outcome, "replay", "{at}"),
                Ok(Basis::Lock(_)) => assert_eq!(outcome, "lock", "{at}"),
                Err(error) => {
                    assert!(error.to_string().contains(outcome), "{at}: {error}");
                    assert!(error.hint().is_some(), "{at}: {error}");
                }
            }
        }
    }
}
