//! From the file as written to the configuration: variables replaced, values judged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, Endpoint};
use super::error::{ConfigError, ConfigProblem};
use super::raw::{RawConfig, RawPostgres, RawRedis, RawSigning, RawTls, RawVar};
use super::template::is_name;
use super::{
    AdoptConfig, AdoptMissing, Ahead, CompatConfig, Config, PlanConfig, PlanRedis, PostgresConfig,
    RedisConfig, SchemaConfig, ServeConfig, SigningConfig, TlsFiles,
};
use crate::model::document::{Text, printable};
use crate::model::duration::parse_duration;
use crate::model::nearest::nearest;
use crate::model::secret::Secret;

mod drift;
mod lint;
mod values;

pub(super) struct Validator<'v> {
    file: &'v str,
    env: &'v dyn Fn(&str) -> Option<String>,
    /// Variables that hold a password, or a part of one, of a store's url.
    secret_variables: BTreeSet<String>,
}

impl<'v> Validator<'v> {
    pub(super) fn new(file: &'v str, env: &'v dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            file,
            env,
            secret_variables: BTreeSet::new(),
        }
    }

    pub(super) fn config(mut self, raw: &RawConfig) -> Result<Config, ConfigError> {
        if raw.postgres.is_none() && raw.redis.is_none() {
            return Err(ConfigError::new(self.file, 1, ConfigProblem::NoStore));
        }
        self.learn_secret_variables(raw);
        Ok(Config {
            schema: self.schema(raw)?,
            postgres: raw
                .postgres
                .as_ref()
                .map(|p| self.postgres(p))
                .transpose()?,
            redis: raw
                .redis
                .as_ref()
                .map(|redis| self.redis(redis, &raw.vars))
                .transpose()?,
            vars: self.vars(&raw.vars)?,
            serve: ServeConfig {
                command: raw
                    .serve
                    .command
                    .iter()
                    .map(|text| self.fill(text).map(Secret::new))
                    .collect::<Result<_, _>>()?,
                ahead: match &raw.serve.ahead {
                    None => Ahead::default(),
                    Some(text) => self.one_of(
                        text,
                        "allow, warn or refuse",
                        &[
                            ("allow", Ahead::Allow),
                            ("warn", Ahead::Warn),
                            ("refuse", Ahead::Refuse),
                        ],
                    )?,
                },
            },
            compat: CompatConfig {
                golang_migrate: raw
                    .compat
                    .golang_migrate
                    .as_ref()
                    .map(|text| self.table_name(text))
                    .transpose()?,
                outpost_redis: raw.compat.outpost_redis,
            },
            adopt: AdoptConfig {
                missing: raw
                    .adopt
                    .missing
                    .as_ref()
                    .map(|text| {
                        self.one_of(
                            text,
                            "keep or copy",
                            &[("keep", AdoptMissing::Keep), ("copy", AdoptMissing::Copy)],
                        )
                    })
                    .transpose()?,
            },
            lint: self.lint(&raw.lint)?,
            drift: self.drift(&raw.drift)?,
            signing: self.signing(&raw.signing)?,
        })
    }

    /// What migrations are read with, without any address.
    pub(super) fn offline(mut self, raw: &RawConfig) -> Result<PlanConfig, ConfigError> {
        self.learn_secret_variables(raw);
        let redis = match &raw.redis {
            None => None,
            Some(redis) => Some(PlanRedis {
                deployment_id: match &redis.deployment_id {
                    Some(text) => self.deployment_id(text)?,
                    None => None,
                },
                database: 0,
                cluster: redis.cluster,
                ignore: self.ignore(redis, &raw.vars)?,
            }),
        };
        Ok(PlanConfig {
            postgres: None,
            redis,
            vars: self.vars(&raw.vars)?,
            golang_migrate: None,
            outpost_redis: false,
            adopt_missing: None,
        })
    }

    pub(super) fn schema(&self, raw: &RawConfig) -> Result<SchemaConfig, ConfigError> {
        let Some(schema) = &raw.schema else {
            let problem = ConfigProblem::MissingSection { section: "schema" };
            return Err(ConfigError::new(self.file, 1, problem));
        };
        Ok(SchemaConfig {
            path: match &schema.path {
                Some(text) => self.not_empty(text, self.public(text)?)?.into(),
                None => PathBuf::from("schema"),
            },
            version: self.not_empty(&schema.version, self.public(&schema.version)?)?,
        })
    }

    pub(super) fn signing(&self, raw: &RawSigning) -> Result<SigningConfig, ConfigError> {
        let allowed_signers = match &raw.allowed_signers {
            Some(text) => Some(self.not_empty(text, self.public(text)?)?.into()),
            None => None,
        };
        match raw.required {
            Some((true, line)) if allowed_signers.is_none() => {
                let problem = ConfigProblem::HalfAPair {
                    key: "signing.required".to_owned(),
                    missing: "signing.allowed_signers".to_owned(),
                };
                Err(ConfigError::new(self.file, line, problem))
            }
            required => Ok(SigningConfig {
                allowed_signers,
                required: required.is_some_and(|(on, _)| on),
            }),
        }
    }

    fn postgres(&self, raw: &RawPostgres) -> Result<PostgresConfig, ConfigError> {
        let url = self.address(&raw.url)?;
        let endpoint = address::postgres(&self.not_empty(&raw.url, url)?)
            .map_err(|problem| self.bad_address(&raw.url, problem))?;
        let direct = match &raw.direct_url {
            None => None,
            Some(text) => match self.address(text)?.as_str() {
                "" => None,
                url => Some(address::postgres(url).map_err(|p| self.bad_address(text, p))?),
            },
        };
        Ok(PostgresConfig {
            endpoint,
            direct,
            lock_timeout: self.timeout(raw.lock_timeout.as_ref(), Duration::from_secs(5))?,
            statement_timeout: self.timeout(raw.statement_timeout.as_ref(), Duration::ZERO)?,
            tls: self.tls(&raw.tls)?,
        })
    }

    fn redis(&self, raw: &RawRedis, vars: &[RawVar]) -> Result<RedisConfig, ConfigError> {
        if raw.listed && !raw.cluster {
            let line = raw.url.first().map_or(raw.line, |text| text.line);
            return Err(ConfigError::new(
                self.file,
                line,
                ConfigProblem::NodesWithoutCluster,
            ));
        }
        let mut nodes: Vec<Endpoint> = Vec::new();
        let (mut database, mut uses_tls) = (0, false);
        for text in &raw.url {
            let key = || text.key.clone();
            let url = self.address(text)?;
            let node = address::redis(&self.not_empty(text, url)?)
                .map_err(|p| self.bad_address(text, p))?;
            if raw.cluster && node.database != 0 {
                let database = node.database;
                return Err(self.at(
                    text,
                    ConfigProblem::ClusterDatabase {
                        key: key(),
                        database,
                    },
                ));
            }
            if raw.cluster && node.socket {
                return Err(self.at(text, ConfigProblem::ClusterSocket { key: key() }));
            }
            if !nodes.is_empty() && node.tls != uses_tls {
                return Err(self.at(text, ConfigProblem::MixedTls { key: key() }));
            }
            (database, uses_tls) = (node.database, node.tls);
            nodes.push(node.endpoint);
        }
        if nodes.is_empty() {
            let problem = ConfigProblem::Empty {
                key: "redis.url".to_owned(),
                variables: Vec::new(),
            };
            return Err(ConfigError::new(self.file, raw.line, problem));
        }
        let tls = self.tls(&raw.tls)?;
        if !uses_tls {
            let files = [
                (&raw.tls.ca, &tls.ca),
                (&raw.tls.cert, &tls.cert),
                (&raw.tls.key, &tls.key),
            ];
            for (text, path) in files {
                if let (Some(text), Some(_)) = (text, path) {
                    let key = text.key.clone();
                    return Err(self.at(text, ConfigProblem::FilesWithoutTls { key }));
                }
            }
        }
        let sentinels = self.sentinels(raw, uses_tls)?;
        let sentinel_master = match (sentinels.is_empty(), nodes.first(), raw.url.first()) {
            (false, Some(node), Some(text)) => Some(self.sentinel_master(text, node)?),
            _ => None,
        };
        Ok(RedisConfig {
            nodes,
            sentinels,
            sentinel_master,
            database,
            cluster: raw.cluster,
            uses_tls,
            deployment_id: raw
                .deployment_id
                .as_ref()
                .map(|text| self.deployment_id(text))
                .transpose()?
                .flatten(),
            ignore: self.ignore(raw, vars)?,
            tls,
        })
    }

    fn sentinels(&self, raw: &RawRedis, uses_tls: bool) -> Result<Vec<Endpoint>, ConfigError> {
        let mut sentinels = Vec::new();
        for text in &raw.sentinels {
            let key = || text.key.clone();
            if raw.cluster {
                return Err(self.at(text, ConfigProblem::ClusterSentinels { key: key() }));
            }
            let url = self.address(text)?;
            let node = address::redis(&self.not_empty(text, url)?)
                .map_err(|p| self.bad_address(text, p))?;
            if node.tls != uses_tls {
                return Err(self.at(text, ConfigProblem::MixedTls { key: key() }));
            }
            sentinels.push(node.endpoint);
        }
        Ok(sentinels)
    }

    /// With Sentinels the host of the url is the name of a master, which has no port.
    fn sentinel_master(&self, text: &Text, node: &Endpoint) -> Result<String, ConfigError> {
        let host = node.address.hosts.first().map_or("", String::as_str);
        match host.strip_suffix(":6379") {
            Some(name) if !host.starts_with('/') => Ok(name.to_owned()),
            _ => Err(self.at(
                text,
                ConfigProblem::SentinelMaster {
                    key: text.key.clone(),
                },
            )),
        }
    }

    fn ignore(&self, raw: &RawRedis, vars: &[RawVar]) -> Result<Vec<String>, ConfigError> {
        let keep = |name: &str| name == "prefix" || vars.iter().any(|var| var.name == name);
        raw.ignore
            .iter()
            .map(|text| self.not_empty(text, self.published(text, &keep)?))
            .collect()
    }

    /// Braces would move the hash tag of every key that starts with the prefix.
    fn deployment_id(&self, text: &Text) -> Result<Option<String>, ConfigError> {
        let id = self.public(text)?;
        if id
            .chars()
            .any(|c| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control())
        {
            return Err(self.bad_value(text, "an id without braces and white space", None));
        }
        Ok((!id.is_empty()).then_some(id))
    }

    fn vars(&self, raw: &[RawVar]) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut vars = BTreeMap::new();
        for var in raw {
            if !is_name(&var.name) {
                let name = printable(&var.name);
                let problem = ConfigProblem::VariableName { name };
                return Err(ConfigError::new(self.file, var.line, problem));
            }
            if var.name == "prefix" {
                return Err(ConfigError::new(
                    self.file,
                    var.line,
                    ConfigProblem::ReservedVariable,
                ));
            }
            vars.insert(var.name.clone(), self.public(&var.value)?);
        }
        Ok(vars)
    }

    /// Postgres keeps time limits as milliseconds in a signed 32-bit integer, and 0 as no limit.
    fn timeout(&self, text: Option<&Text>, default: Duration) -> Result<Duration, ConfigError> {
        const EXPECTED: &str = "a time such as 500ms, 5s or 2m, at most 24 days, or 0 for no limit";
        let Some(text) = text else {
            return Ok(default);
        };
        let limit =
            parse_duration(&self.fill(text)?).map_err(|_| self.bad_value(text, EXPECTED, None))?;
        let rounded_to_none = !limit.is_zero() && limit < Duration::from_millis(1);
        if rounded_to_none || limit > Duration::from_millis(2_147_483_647) {
            return Err(self.bad_value(text, EXPECTED, None));
        }
        Ok(limit)
    }

    fn table_name(&self, text: &Text) -> Result<String, ConfigError> {
        let name = self.not_empty(text, self.public(text)?)?;
        let parts: Vec<&str> = name.split('.').collect();
        // Postgres cuts longer names silently, and the cut one is another table.
        let fits =
            |part: &&str| (1..=63).contains(&part.len()) && !part.chars().any(char::is_control);
        if parts.len() > 2 || !parts.iter().all(fits) {
            return Err(self.bad_value(text, "the name of a table, or schema.table", None));
        }
        Ok(name)
    }

    fn tls(&self, raw: &RawTls) -> Result<TlsFiles, ConfigError> {
        let path = |text: &Option<Text>| -> Result<Option<PathBuf>, ConfigError> {
            let value = text.as_ref().map(|text| self.fill(text)).transpose()?;
            Ok(value.filter(|value| !value.is_empty()).map(PathBuf::from))
        };
        let files = TlsFiles {
            ca: path(&raw.ca)?,
            cert: path(&raw.cert)?,
            key: path(&raw.key)?,
        };
        let half = match (&raw.cert, &files.cert, &raw.key, &files.key) {
            (Some(text), Some(_), _, None) => Some((text, raw.pair[1])),
            (_, None, Some(text), Some(_)) => Some((text, raw.pair[0])),
            _ => None,
        };
        match half {
            Some((text, missing)) => {
                let (key, missing) = (text.key.clone(), missing.to_owned());
                Err(self.at(text, ConfigProblem::HalfAPair { key, missing }))
            }
            None => Ok(files),
        }
    }

    fn one_of<T: Copy>(
        &self,
        text: &Text,
        expected: &'static str,
        words: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let value = self.fill(text)?;
        let found = words.iter().find(|(word, _)| *word == value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let close = nearest(&value, words.iter().map(|(word, _)| *word));
            self.bad_value(text, expected, close)
        })
    }
}
