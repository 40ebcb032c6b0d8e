//! `[lint]`: levels of rules, and findings that are accepted.

use super::Validator;
use crate::model::allow::Allow;
use crate::model::config::error::{ConfigError, ConfigProblem};
use crate::model::config::raw::{RawLint, RawVar};
use crate::model::document::printable;
use crate::model::lint::{Level, LintConfig, Rule, nearest_rule, rule};

impl Validator<'_> {
    pub(in crate::model::config) fn lint(&self, raw: &RawLint) -> Result<LintConfig, ConfigError> {
        let mut config = LintConfig {
            file: self.file.to_owned(),
            ..LintConfig::default()
        };
        for level in &raw.rules {
            let rule = self.rule(level)?;
            let word = self.one_of(
                &level.value,
                "off, note, warn or error",
                &[
                    ("off", None),
                    ("note", Some(Level::Note)),
                    ("warn", Some(Level::Warn)),
                    ("error", Some(Level::Error)),
                ],
            )?;
            config.levels.insert(rule.name, word);
        }
        for migration in &raw.allow {
            let id = migration.migration.parse().map_err(|error| {
                let problem = ConfigProblem::Migration(error);
                ConfigError::new(self.file, migration.line, problem)
            })?;
            let allows = migration.rules.iter().map(|allow| self.allow(allow));
            config.allow.insert(id, allows.collect::<Result<_, _>>()?);
        }
        Ok(config)
    }

    fn allow(&self, raw: &RawVar) -> Result<Allow, ConfigError> {
        let rule = self.rule(raw)?;
        if raw.value.raw.trim().is_empty() {
            let key = raw.value.key.clone();
            return Err(self.at(&raw.value, ConfigProblem::NoReason { key }));
        }
        Ok(Allow {
            rule: rule.name.to_owned(),
            reason: raw.value.raw.clone(),
            line: usize::try_from(raw.line).unwrap_or(usize::MAX),
        })
    }

    fn rule(&self, raw: &RawVar) -> Result<&'static Rule, ConfigError> {
        rule(&raw.name).ok_or_else(|| {
            let problem = ConfigProblem::UnknownRule {
                rule: printable(&raw.name),
                nearest: nearest_rule(&raw.name),
            };
            ConfigError::new(self.file, raw.line, problem)
        })
    }
}
