//! The part of the configuration that a plan's decision holds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AdoptMissing, Config};

/// What of outpost.toml decides how a plan runs, without any secret or address.
///
/// Two equal values let the same plan be applied; a different one makes it stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanConfig {
    /// The Postgres part; `None` when that store is left out.
    pub postgres: Option<PlanPostgres>,
    /// The Redis part; `None` when that store is left out.
    pub redis: Option<PlanRedis>,
    /// `[vars]`, environment variables replaced.
    pub vars: BTreeMap<String, String>,
    /// The table that golang-migrate keeps; `None` when it is not kept up.
    pub golang_migrate: Option<String>,
    /// Whether the old Redis markers are kept up.
    pub outpost_redis: bool,
    /// What adoption does with sources that have no counterpart; `None` when that is undecided.
    pub adopt_missing: Option<AdoptMissing>,
}

impl PlanConfig {
    /// How long a statement in a transaction may wait for a lock; zero is no limit, and so is no Postgres.
    pub fn lock_timeout(&self) -> Duration {
        let limit = self.postgres.as_ref().map_or(0, |p| p.lock_timeout_ms);
        Duration::from_millis(limit)
    }

    /// How long a statement in a transaction may run; zero is no limit, and so is no Postgres.
    pub fn statement_timeout(&self) -> Duration {
        let limit = self.postgres.as_ref().map_or(0, |p| p.statement_timeout_ms);
        Duration::from_millis(limit)
    }

    /// What `${prefix}` stands for in Redis: the deployment id and a colon, or nothing.
    pub fn prefix(&self) -> String {
        prefix(
            self.redis
                .as_ref()
                .and_then(|redis| redis.deployment_id.as_deref()),
        )
    }
}

pub(super) fn prefix(deployment_id: Option<&str>) -> String {
    deployment_id.map_or_else(String::new, |id| format!("{id}:"))
}

/// The Postgres part of [`PlanConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPostgres {
    /// In milliseconds; 0 is no limit.
    pub lock_timeout_ms: u64,
    /// In milliseconds; 0 is no limit.
    pub statement_timeout_ms: u64,
}

/// The Redis part of [`PlanConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRedis {
    /// The deployment id; `None` without one.
    pub deployment_id: Option<String>,
    /// The logical database.
    pub database: u32,
    /// Whether it is a cluster.
    pub cluster: bool,
    /// The patterns of keys that no migration has to account for, as in [`super::RedisConfig::ignore`].
    pub ignore: Vec<String>,
}

impl Config {
    /// The part of the configuration that belongs into a plan's decision.
    pub fn plan_relevant(&self) -> PlanConfig {
        let millis = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        PlanConfig {
            postgres: self.postgres.as_ref().map(|postgres| PlanPostgres {
                lock_timeout_ms: millis(postgres.lock_timeout),
                statement_timeout_ms: millis(postgres.statement_timeout),
            }),
            redis: self.redis.as_ref().map(|redis| PlanRedis {
                deployment_id: redis.deployment_id.clone(),
                database: redis.database,
                cluster: redis.cluster,
                ignore: redis.ignore.clone(),
            }),
            vars: self.vars.clone(),
            golang_migrate: self.compat.golang_migrate.clone(),
            outpost_redis: self.compat.outpost_redis,
            adopt_missing: self.adopt.missing,
        }
    }
}
