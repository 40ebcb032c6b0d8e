//! What can be wrong with outpost.toml.

use thiserror::Error;

use super::address::AddressProblem;
use super::template::TemplateProblem;
use crate::model::document::{ShapeError, ShapeProblem};
use crate::model::drift::ObjectPatternError;
use crate::model::id::IdError;

/// A problem in outpost.toml, and where. Never holds a value that came from the environment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct ConfigError {
    /// The file's name, as given to the parser.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub problem: Box<ConfigProblem>,
}

/// The kinds of [`ConfigError`]. `key` is the full name, such as `redis.url`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigProblem {
    /// Malformed TOML, unknown keys, wrong types.
    #[error(transparent)]
    Shape(ShapeProblem),
    /// A section that must be there.
    #[error("there is no [{section}] section")]
    MissingSection {
        /// Its name.
        section: &'static str,
    },
    /// Neither store is configured.
    #[error("no store is configured: there is neither a [postgres] nor a [redis] section")]
    NoStore,
    /// `${` that cannot be read.
    #[error("`{key}` has {problem}")]
    Template {
        /// The key.
        key: String,
        /// What is wrong.
        problem: TemplateProblem,
    },
    /// A variable that is not set and has no default.
    #[error("`{key}` needs the environment variable {variable}, which is not set")]
    Unset {
        /// The variable.
        variable: String,
        /// The key.
        key: String,
    },
    /// A value that is empty and may not be.
    #[error("`{key}` is empty{}", because(variables))]
    Empty {
        /// The key.
        key: String,
        /// The variables that it is read from.
        variables: Vec<String>,
    },
    /// A value that is not one of those expected.
    #[error("`{key} = \"{written}\"`: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value as written in the file, variables not replaced.
        written: String,
        /// What is expected.
        expected: &'static str,
        /// The expected word that it resembles.
        nearest: Option<String>,
    },
    /// An address that cannot be used.
    #[error("`{key}` is not a usable address: {problem}")]
    Address {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: AddressProblem,
    },
    /// A password in the file itself.
    #[error("`{key}` has a password written into the file")]
    LiteralPassword {
        /// The key.
        key: String,
    },
    /// Credentials in a value that becomes part of plans.
    #[error("`{key}` holds credentials, and it would become part of every plan")]
    Credentials {
        /// The key.
        key: String,
    },
    /// A value that becomes part of plans, read from a variable that holds a store's password.
    #[error(
        "`{key}` reads {variable}, which holds a store's password, and it would become part of every plan"
    )]
    SecretVariable {
        /// The key.
        key: String,
        /// The variable.
        variable: String,
    },
    /// A name under `[vars]` that cannot stand in `${name}`.
    #[error("`{name}` cannot name a variable")]
    VariableName {
        /// The name as written.
        name: String,
    },
    /// `[vars] prefix`.
    #[error("`vars.prefix` is taken: ${{prefix}} is made from `redis.deployment_id`")]
    ReservedVariable,
    /// A rule of the linter that does not exist.
    #[error("the linter has no rule `{rule}`")]
    UnknownRule {
        /// The rule as written.
        rule: String,
        /// The one that it resembles.
        nearest: Option<String>,
    },
    /// A finding that is accepted without a reason.
    #[error("`{key}` gives no reason")]
    NoReason {
        /// The key.
        key: String,
    },
    /// A key under `[lint.allow]` that names no migration.
    #[error("`lint.allow`: {0}")]
    Migration(IdError),
    /// An entry of `drift.ignore` that stands for no object.
    #[error("`{key}`: `{written}` {error}")]
    ObjectPattern {
        /// The key.
        key: String,
        /// The entry as written in the file, variables not replaced.
        written: String,
        /// What is wrong with it.
        error: ObjectPatternError,
    },
    /// A list of Redis nodes without `cluster = true`.
    #[error("`redis.url` lists nodes, but `redis.cluster` is not true")]
    NodesWithoutCluster,
    /// A cluster with a logical database.
    #[error("`{key}` selects database {database}, but a cluster has only database 0")]
    ClusterDatabase {
        /// The key.
        key: String,
        /// The logical database.
        database: u32,
    },
    /// Sentinels in front of a cluster.
    #[error("`{key}` names Sentinels, but a cluster finds its masters by itself")]
    ClusterSentinels {
        /// The key.
        key: String,
    },
    /// Sentinels, and a url that names no master.
    #[error("with `sentinels`, the host in `{key}` is the name of the master, without a port")]
    SentinelMaster {
        /// The key.
        key: String,
    },
    /// A cluster behind a Unix socket.
    #[error("`{key}` is a Unix socket, but a cluster's nodes are reached over the network")]
    ClusterSocket {
        /// The key.
        key: String,
    },
    /// Nodes of which some use TLS and some do not.
    #[error("`{key}` and the first node do not agree on TLS")]
    MixedTls {
        /// The key of the node that differs.
        key: String,
    },
    /// Certificates for a connection without TLS.
    #[error("`{key}` is set, but `redis.url` does not use TLS")]
    FilesWithoutTls {
        /// The key.
        key: String,
    },
    /// A certificate without its key, or the reverse; signatures that are required without a list.
    #[error("`{key}` is set without `{missing}`")]
    HalfAPair {
        /// The key that is set.
        key: String,
        /// The key that is not.
        missing: String,
    },
}

fn because(variables: &[String]) -> String {
    match variables {
        [] => String::new(),
        [one] => format!(": {one} is not set, or is empty"),
        many => format!(": {} are not set, or are empty", many.join(" and ")),
    }
}

impl ConfigError {
    pub(super) fn new(file: &str, line: u32, problem: ConfigProblem) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem: Box::new(problem),
        }
    }

    pub(super) fn shape(file: &str, error: ShapeError) -> Self {
        Self::new(file, error.line, ConfigProblem::Shape(error.problem))
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

impl ConfigProblem {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Shape(problem) => return problem.hint(),
            Self::MissingSection { section } => format!("add [{section}]"),
            Self::NoStore => "add [postgres] with `url = \"${DATABASE_URL}\"`, or [redis] with `url = \"${REDIS_URL}\"`".to_owned(),
            Self::Template { .. } => "write ${NAME} or ${NAME:-default}; $${ stands for a plain ${".to_owned(),
            Self::Unset { variable, .. } => {
                format!("set {variable}, or give a default: ${{{variable}:-default}}")
            }
            Self::Empty { key, variables } => match variables.as_slice() {
                [] => format!("give `{key}` a value"),
                many => format!("set {}", many.join(" or ")),
            },
            Self::Value { nearest: Some(name), .. } => format!("did you mean \"{name}\"?"),
            Self::Value { expected, .. } => format!("write {expected}"),
            Self::Address { problem, .. } => problem.hint(),
            Self::LiteralPassword { key } => format!(
                "put it into the environment, and write `{} = \"${{NAME}}\"`{}",
                key.rsplit('.').next().unwrap_or(key),
                if key.starts_with("postgres.") { "; PGPASSFILE is read, too" } else { "" }
            ),
            Self::Credentials { .. } | Self::SecretVariable { .. } => {
                "plans are stored and shown: keep secrets out of everything but the stores' urls".to_owned()
            }
            Self::VariableName { .. } => {
                "use letters, digits and underscores, and no digit first".to_owned()
            }
            Self::ReservedVariable => "choose another name".to_owned(),
            Self::UnknownRule { nearest: Some(name), .. } => format!("did you mean `{name}`?"),
            Self::UnknownRule { .. } => "docs/lint.md lists the rules".to_owned(),
            Self::NoReason { .. } => "say why, for the next one who reads it".to_owned(),
            Self::Migration(error) => return error.hint(),
            Self::ObjectPattern { error, .. } => error.hint(),
            Self::NodesWithoutCluster => "set `cluster = true`, or give one url as a string".to_owned(),
            Self::ClusterDatabase { .. } => "remove the database from the url, or set `cluster = false`".to_owned(),
            Self::ClusterSentinels { .. } => "remove `sentinels`, or set `cluster = false`".to_owned(),
            Self::SentinelMaster { .. } => "write it as redis://user:password@mymaster/0, with the name that the Sentinels monitor".to_owned(),
            Self::ClusterSocket { .. } => "give the nodes' hosts and ports, or set `cluster = false`".to_owned(),
            Self::MixedTls { .. } => "use rediss:// for every node, or redis:// for every node".to_owned(),
            Self::FilesWithoutTls { key } => format!("use rediss://, or remove `{key}`"),
            Self::HalfAPair { missing, .. } => format!("set `{missing}` as well"),
        })
    }
}
