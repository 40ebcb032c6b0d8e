//! Migrations as found on disk, parsed and checked, before anything is asked of a database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::checksum::Checksum;
use crate::model::config::PlanConfig;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::redis::declaration::{Declaration, DeclarationError};
use crate::model::sql::{Script, ScriptError, SyntaxProblem};

/// One unit of change to one store.
#[derive(Debug, Clone)]
pub struct Migration {
    /// Its id, from its store's folder and its file name.
    pub id: MigrationId,
    /// What it is for, where its author said so.
    pub description: Option<String>,
    /// The ids that must be in place first: the predecessor, unless it is a root, and the declared ones.
    pub requires: BTreeSet<MigrationId>,
    /// What it does.
    pub content: Content,
}

/// What a migration does, by store.
#[derive(Debug, Clone)]
pub enum Content {
    /// Statements for Postgres.
    Sql(Box<SqlMigration>),
    /// Declared steps over Redis keys.
    Redis(Box<RedisMigration>),
}

/// The files of one SQL migration.
#[derive(Debug, Clone)]
pub struct SqlMigration {
    /// `.up.sql`
    pub up: SqlFile,
    /// `.down.sql`
    pub down: Option<SqlFile>,
    /// `.verify.sql`
    pub verify: Option<SqlFile>,
    /// `.cleanup.sql`
    pub cleanup: Option<SqlFile>,
}

/// One SQL file: its text as it will be run, and what was parsed of it.
#[derive(Debug, Clone)]
pub struct SqlFile {
    /// Path below the schema folder, with `/` between its parts.
    pub path: String,
    /// Of the file as it is on disk, before `${name}` is substituted.
    pub checksum: Checksum,
    /// The text as it is on disk: the ledger keeps a down's, so that it can be reverted without the folder.
    pub text: String,
    /// Directives and statements.
    pub script: Script,
}

impl SqlFile {
    /// Reads one file; `path` is its place below the schema folder.
    ///
    /// # Errors
    /// What [`Script::parse_with_vars`] refuses.
    pub fn parse(
        path: &str,
        text: &str,
        vars: &BTreeMap<String, String>,
    ) -> Result<Self, ScriptError> {
        Ok(Self {
            path: path.to_owned(),
            checksum: Checksum::of_content(text),
            text: text.to_owned(),
            script: Script::parse_with_vars(path, text, vars)?,
        })
    }

    /// What the parser could not read, unless the file says `parse = false`.
    pub fn syntax_problem(&self) -> Option<&SyntaxProblem> {
        self.script
            .directives
            .parse
            .then(|| self.script.problems.first())
            .flatten()
    }

    /// `lock_timeout` of the file, or the configured one.
    pub fn lock_timeout(&self, configured: Duration) -> Duration {
        self.script.directives.lock_timeout.unwrap_or(configured)
    }

    /// `statement_timeout` of the file, or the configured one.
    pub fn statement_timeout(&self, configured: Duration) -> Duration {
        self.script
            .directives
            .statement_timeout
            .unwrap_or(configured)
    }
}

/// One Redis migration file.
#[derive(Debug, Clone)]
pub struct RedisMigration {
    /// Path below the schema folder.
    pub path: String,
    /// Of the file as it is on disk.
    pub checksum: Checksum,
    /// The text as it is on disk: a plan carries it, and parses it again with its own variables.
    pub text: String,
    /// The declaration with `${prefix}` and `${name}` filled in.
    pub declaration: Declaration,
}

impl RedisMigration {
    /// Reads one file; `path` is its place below the schema folder.
    ///
    /// # Errors
    /// What [`Declaration::parse`] refuses.
    pub fn parse(path: &str, text: &str, config: &PlanConfig) -> Result<Self, DeclarationError> {
        Ok(Self {
            path: path.to_owned(),
            checksum: Checksum::of_content(text),
            text: text.to_owned(),
            declaration: Declaration::parse(path, text, config)?,
        })
    }
}

impl Migration {
    /// The store that it changes.
    pub fn store(&self) -> StoreKind {
        self.id.store()
    }

    /// The checksum that the ledger records: of the `.up.sql` or the `.toml` alone, so that mending a
    /// verification or a cleanup is no edit of history.
    pub fn checksum(&self) -> &Checksum {
        match &self.content {
            Content::Sql(sql) => &sql.up.checksum,
            Content::Redis(redis) => &redis.checksum,
        }
    }

    /// The file that the checksum is of, below the schema folder.
    pub fn path(&self) -> &str {
        match &self.content {
            Content::Sql(sql) => &sql.up.path,
            Content::Redis(redis) => &redis.path,
        }
    }

    /// The line of its file that declares a requirement, from 1; `None` for the edge to its predecessor.
    pub fn line_that_requires(&self, id: &MigrationId) -> Option<u32> {
        match &self.content {
            Content::Sql(sql) => {
                let directives = &sql.up.script.directives;
                let declared = directives
                    .requires
                    .iter()
                    .any(|text| *text == id.to_string());
                let line = directives.lines.get("requires").filter(|_| declared)?;
                u32::try_from(*line).ok()
            }
            Content::Redis(redis) => redis.declaration.requires.get(id).copied(),
        }
    }

    /// Every file of it with its checksum, by path below the schema folder.
    pub fn files(&self) -> BTreeMap<String, Checksum> {
        match &self.content {
            Content::Redis(redis) => [(redis.path.clone(), redis.checksum)].into(),
            Content::Sql(sql) => [
                Some(&sql.up),
                sql.down.as_ref(),
                sql.verify.as_ref(),
                sql.cleanup.as_ref(),
            ]
            .into_iter()
            .flatten()
            .map(|file| (file.path.clone(), file.checksum))
            .collect(),
        }
    }

    /// The marker name of earlier tools, for a Redis migration that has one.
    pub fn compat_name(&self) -> Option<&str> {
        match &self.content {
            Content::Sql(_) => None,
            Content::Redis(redis) => redis.declaration.compat_name.as_deref(),
        }
    }

    /// Why this migration has no reverse, or `None` if it has one.
    pub fn irreversible(&self) -> Option<String> {
        match &self.content {
            Content::Sql(sql) if sql.down.is_none() => {
                Some(format!("{} has no .down.sql", self.id))
            }
            Content::Sql(_) => None,
            Content::Redis(redis) => redis.declaration.irreversible(),
        }
    }

    /// Whether a cleanup step would have anything to do for it, as far as its files tell.
    pub fn has_cleanup(&self) -> bool {
        match &self.content {
            Content::Sql(sql) => sql.cleanup.is_some(),
            Content::Redis(redis) => redis.declaration.has_cleanup(),
        }
    }
}
