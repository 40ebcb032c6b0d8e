//! What a reviewer would object to, found in the files alone: dangerous SQL, missing reverses and checks,
//! files that are not as locked.
//!
//! A finding can be accepted where it arises, with a reason: for a file, for one statement, or in
//! outpost.toml for files that are released and may not change.

mod accept;
mod files;
mod locked;
mod rules;
mod sql;
mod squawk;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rules::{RULES, Rule, nearest_rule, rule};

use crate::model::allow::Allow;
use crate::model::catalog::Catalog;
use crate::model::graph::Graph;
use crate::model::id::MigrationId;
use crate::model::plan::WarningKind;

/// How much a finding matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// A reviewer should look at it.
    Warn,
    /// It must not be released like this.
    Error,
}

impl Level {
    /// The word used in outpost.toml and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// `[lint]` of outpost.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LintConfig {
    /// The file's name, for findings about it.
    pub file: String,
    /// Levels that differ from the default, by rule; `None` is off.
    pub levels: BTreeMap<&'static str, Option<Level>>,
    /// Accepted findings, by migration.
    pub allow: BTreeMap<MigrationId, Vec<Allow>>,
}

impl LintConfig {
    /// The level of a rule; `None` is off.
    pub fn level(&self, rule: &Rule) -> Option<Level> {
        self.levels.get(rule.name).copied().unwrap_or(rule.level)
    }
}

/// One thing that a reviewer would object to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The name of the rule.
    pub rule: String,
    /// How much it matters.
    pub level: Level,
    /// The migration; `None` where it is about none in the folder.
    pub id: Option<MigrationId>,
    /// The file: below the schema folder, or outpost.toml.
    pub file: String,
    /// The 1-based line, where there is one.
    pub line: Option<usize>,
    /// What is wrong, with names from the file.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// The sort of warning by which a plan's evidence says it already, with the sizes of the tables; `None` for
    /// what only the linter says.
    pub fn said_as(&self) -> Option<WarningKind> {
        rule(&self.rule)?.said_as
    }

    /// Whether it is about the lock file, and not about what a file says.
    pub fn is_about_lock(&self) -> bool {
        rules::LOCK.iter().any(|rule| rule.name == self.rule)
    }
}

/// A finding before anybody was asked whether it counts.
#[derive(Debug)]
struct Raw {
    rule: &'static Rule,
    id: Option<MigrationId>,
    file: String,
    line: Option<usize>,
    /// The statement of the file, from 0.
    statement: Option<usize>,
    message: String,
    advice: Option<String>,
}

/// Everything that the rules find in a catalog, sorted by migration, file and line; a lock file that the
/// catalog holds is compared with it.
pub fn lint(catalog: &Catalog, graph: &Graph, config: &LintConfig) -> Vec<Finding> {
    let order = graph.order(&catalog.ids());
    let mut known = sql::Known::default();
    let mut found = Vec::new();
    for migration in order.iter().filter_map(|id| catalog.get(id)) {
        files::migration(migration, &mut known, &mut found);
    }
    locked::compare(catalog, &order, &mut found);
    let found = accept::accept(catalog, config, found);
    let mut findings: Vec<Finding> = found
        .into_iter()
        .filter_map(|raw| {
            Some(Finding {
                level: config.level(raw.rule)?,
                rule: raw.rule.name.to_owned(),
                id: raw.id,
                file: raw.file,
                line: raw.line,
                message: raw.message,
                advice: raw.advice,
            })
        })
        .collect();
    findings.sort_by(|a, b| {
        (&a.id, &a.file, a.line, &a.rule, &a.message)
            .cmp(&(&b.id, &b.file, b.line, &b.rule, &b.message))
    });
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests;
