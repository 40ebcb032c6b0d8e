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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const START: &str = "[schema]\nversion = \"1\"\n";

    #[test]
    fn levels_and_accepted_findings_are_read_with_their_lines() {
        let text = "[lint.rules]\nlock-edited = \"off\"\nmissing-verify = \"error\"\n\
            [lint.allow.\"sql/0001_a\"]\nban-drop-table = \"${not} a variable\"\n";
        let read = |text: &str| LintConfig::parse("o.toml", text, &|_| None).unwrap();
        let config = read(&format!("{START}{text}"));
        assert_eq!(config.levels["lock-edited"], None);
        assert_eq!(config.levels["missing-verify"], Some(Level::Error));
        let allow = &config.allow[&"sql/0001_a".parse().unwrap()];
        assert_eq!(allow[0].rule, "ban-drop-table");
        assert_eq!(allow[0].reason, "${not} a variable");
        assert_eq!(allow[0].line, 7);
        let nothing = read(START);
        assert!(nothing.levels.is_empty() && nothing.allow.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_line_and_hint() {
        for (text, message, hint) in [
            (
                "[lint.rules]\nban-drop-tabel = \"off\"",
                "o.toml:4: the linter has no rule `ban-drop-tabel`",
                "did you mean `ban-drop-table`?",
            ),
            (
                "[lint.rules]\nzzz = \"off\"",
                "o.toml:4: the linter has no rule `zzz`",
                "docs/lint.md lists the rules",
            ),
            (
                "[lint.rules]\nban-drop-table = \"warm\"",
                "o.toml:4: `lint.rules.ban-drop-table = \"warm\"`: expected off, note, warn or error",
                "did you mean \"warn\"?",
            ),
            (
                "[lint.rules]\nban-drop-table = true",
                "o.toml:4: `lint.rules.ban-drop-table` must be a string, not boolean",
                "write a string",
            ),
            (
                "[lint]\nrule = {}",
                "o.toml:4: there is no key `rule` in [lint]",
                "did you mean `rules`?",
            ),
            (
                "[lint.allow.\"sql/0001_a\"]\nban-drop-table = \" \"",
                "o.toml:4: `lint.allow.sql/0001_a.ban-drop-table` gives no reason",
                "say why, for the next one who reads it",
            ),
            (
                "[lint.allow.\"sql/0001_a\"]\nzzz = \"x\"",
                "o.toml:4: the linter has no rule `zzz`",
                "docs/lint.md lists the rules",
            ),
            (
                "[lint.allow.0001_a]\nban-drop-table = \"x\"",
                "o.toml:3: `lint.allow`: `0001_a` is not a migration id",
                "an id is a store and a name",
            ),
        ] {
            let text = format!("{START}{text}\n");
            let error = LintConfig::parse("o.toml", &text, &|_| None).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(error.hint().unwrap().starts_with(hint), "{text}");
        }
    }
}
