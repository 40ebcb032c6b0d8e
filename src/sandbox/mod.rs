//! Throwaway Postgres and Redis servers: real ones, in a temporary folder, on free ports of 127.0.0.1.
//!
//! The demo, `outpost sandbox`, `migrate lock` and the tests all run on these. Every server has a folder
//! and a watchdog of its own, so that nothing stays behind however this process ends; `home`
//! tells how. Started as root, the servers run as an unprivileged account. Everything here blocks, so it is
//! usable from a test, from a command and from `spawn_blocking` alike.

mod account;
mod error;
mod find;
mod home;
mod postgres;
mod redis;
mod server;

pub use error::{Product, SandboxError};
pub use postgres::{Postgres, PostgresBuilder, PostgresServer};
pub use redis::{Redis, RedisBuilder, RedisServer};
pub use server::Server;

/// A Postgres and a Redis, or one of them, that live until this value is dropped or the process ends.
#[derive(Debug)]
pub struct Sandbox {
    postgres: Option<PostgresServer>,
    redis: Option<RedisServer>,
}

impl Sandbox {
    /// Starts a Postgres and a Redis with default settings.
    ///
    /// # Errors
    /// As [`SandboxBuilder::start`].
    pub fn start() -> Result<Self, SandboxError> {
        Self::builder()
            .postgres(PostgresServer::builder())
            .redis(RedisServer::builder())
            .start()
    }

    /// A sandbox of exactly the servers that are then named.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::default()
    }

    /// The Postgres server, when one was asked for.
    pub fn postgres(&self) -> Option<&PostgresServer> {
        self.postgres.as_ref()
    }

    /// The Redis server, when one was asked for.
    pub fn redis(&self) -> Option<&RedisServer> {
        self.redis.as_ref()
    }

    /// What a command in the sandbox needs in its environment: `DATABASE_URL`, `REDIS_URL`.
    pub fn env(&self) -> Vec<(&'static str, &str)> {
        let postgres = self.postgres.iter().map(|s| ("DATABASE_URL", s.url()));
        let redis = self.redis.iter().map(|s| ("REDIS_URL", s.url()));
        postgres.chain(redis).collect()
    }
}

/// Which servers a [`Sandbox`] has.
#[derive(Debug, Clone, Default)]
pub struct SandboxBuilder {
    postgres: Option<PostgresBuilder>,
    redis: Option<RedisBuilder>,
}

impl SandboxBuilder {
    /// Adds a Postgres server.
    #[must_use]
    pub fn postgres(mut self, builder: PostgresBuilder) -> Self {
        self.postgres = Some(builder);
        self
    }

    /// Adds a Redis server.
    #[must_use]
    pub fn redis(mut self, builder: RedisBuilder) -> Self {
        self.redis = Some(builder);
        self
    }

    /// Starts the servers and waits until they answer.
    ///
    /// # Errors
    /// [`SandboxError::Missing`] names every server that is not installed, before any is started. The
    /// other errors are those of [`PostgresBuilder::start`] and [`RedisBuilder::start`]; a server that
    /// had started by then is gone again.
    pub fn start(self) -> Result<Sandbox, SandboxError> {
        let postgres = self.postgres.map(PostgresBuilder::locate);
        let redis = self.redis.map(RedisBuilder::locate);
        let (postgres, redis) = match (postgres, redis) {
            (Some(Err(mut one)), Some(Err(other))) => {
                one.also_missing(other);
                return Err(one);
            }
            (postgres, redis) => (postgres.transpose()?, redis.transpose()?),
        };
        Ok(Sandbox {
            redis: redis.map(RedisBuilder::start).transpose()?,
            postgres: postgres.map(PostgresBuilder::start).transpose()?,
        })
    }
}
