//! From TOML to a declaration, key by key.

use super::{Declaration, DeclarationError, DeclarationProblem};
use crate::model::allow::Allow;
use crate::model::config::PlanConfig;
use crate::model::document::{Document, ShapeError, Table, Text};
use crate::model::redis::pattern::{Pattern, PatternError, Template};

const TOP: [&str; 9] = [
    "allow",
    "description",
    "compat_name",
    "only_if",
    "scope",
    "ignore",
    "root",
    "requires",
    "step",
];

/// Reads one file.
pub(in crate::model::redis) struct Parser<'c> {
    pub(super) file: &'c str,
    config: &'c PlanConfig,
    prefix: String,
}

impl<'c> Parser<'c> {
    pub(super) fn new(file: &'c str, config: &'c PlanConfig) -> Self {
        Self {
            file,
            config,
            prefix: config.prefix(),
        }
    }

    pub(super) fn declaration(&self, text: &str) -> Result<Declaration, DeclarationError> {
        let document = Document::parse(text).map_err(|e| self.shape(e))?;
        let root = document.root();
        root.allow_only(&TOP).map_err(|e| self.shape(e))?;
        let tables = root.tables("step").map_err(|e| self.shape(e))?;
        if tables.is_empty() {
            return Err(self.error(1, DeclarationProblem::NoStep));
        }
        let steps = tables
            .iter()
            .enumerate()
            .map(|(index, table)| self.step(index + 1, table))
            .collect::<Result<Vec<_>, _>>()?;
        let scope = self.patterns(&root, "scope")?;
        if scope.is_empty() && steps.iter().any(|step| step.op.pattern().is_some()) {
            return Err(self.error(1, DeclarationProblem::NoScope));
        }
        let mut ignore = self.patterns(&root, "ignore")?;
        ignore.extend(self.configured_ignore()?);
        Ok(Declaration {
            description: self.string(&root, "description")?.map(|text| text.raw),
            compat_name: self.compat_name(&root)?,
            only_deployment: self.only_if(&root)?,
            scope,
            ignore,
            root: root
                .boolean("root")
                .map_err(|e| self.shape(e))?
                .is_some_and(|(root, _)| root),
            requires: self
                .texts(&root, "requires")?
                .into_iter()
                .map(|id| {
                    let required = id
                        .raw
                        .parse()
                        .map_err(|e| self.error(id.line, DeclarationProblem::Requires(e)))?;
                    Ok((required, id.line))
                })
                .collect::<Result<_, _>>()?,
            steps,
            allow: self.allow(&root)?,
        })
    }

    fn allow(&self, root: &Table<'_>) -> Result<Vec<Allow>, DeclarationError> {
        let Some(table) = root.table("allow").map_err(|e| self.shape(e))? else {
            return Ok(Vec::new());
        };
        table
            .keys()
            .map(|(rule, line)| {
                Ok(Allow {
                    rule: rule.to_owned(),
                    reason: self.required(&table, rule)?.raw,
                    line: usize::try_from(line).unwrap_or(usize::MAX),
                })
            })
            .collect()
    }

    fn only_if(&self, root: &Table<'_>) -> Result<Option<String>, DeclarationError> {
        let Some(table) = root.table("only_if").map_err(|e| self.shape(e))? else {
            return Ok(None);
        };
        table
            .allow_only(&["deployment_id"])
            .map_err(|e| self.shape(e))?;
        Ok(Some(
            table
                .required_string("deployment_id")
                .map_err(|e| self.shape(e))?
                .raw,
        ))
    }

    /// The marker's name becomes a part of a key, where a colon would make it another marker's log.
    fn compat_name(&self, root: &Table<'_>) -> Result<Option<String>, DeclarationError> {
        let Some(text) = self.string(root, "compat_name")? else {
            return Ok(None);
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if text.raw.is_empty() || !text.raw.chars().all(plain) {
            return Err(self.error(text.line, DeclarationProblem::CompatName));
        }
        Ok(Some(text.raw))
    }

    /// The patterns that outpost.toml lets every migration ignore.
    fn configured_ignore(&self) -> Result<Vec<Pattern>, DeclarationError> {
        let Some(redis) = &self.config.redis else {
            return Ok(Vec::new());
        };
        redis
            .ignore
            .iter()
            .map(|text| {
                Pattern::parse_with(text, &|name| self.variable(name))
                    .map_err(|e| self.error(1, DeclarationProblem::ConfiguredIgnore(e)))
            })
            .collect()
    }

    /// One pattern, or a list of them.
    fn patterns(&self, table: &Table<'_>, key: &str) -> Result<Vec<Pattern>, DeclarationError> {
        self.texts(table, key)?
            .iter()
            .map(|text| self.pattern(text))
            .collect()
    }

    pub(super) fn pattern(&self, text: &Text) -> Result<Pattern, DeclarationError> {
        Pattern::parse_with(&text.raw, &|name| self.variable(name))
            .map_err(|e| self.misformed(text, e))
    }

    /// A template of a key, whose captures `pattern` must have.
    pub(super) fn key_template(
        &self,
        text: &Text,
        pattern: &Pattern,
    ) -> Result<Template, DeclarationError> {
        let template = Template::parse_key(&text.raw, &|name| self.variable(name))
            .map_err(|e| self.misformed(text, e))?;
        template
            .check_against(pattern)
            .map_err(|e| self.misformed(text, e))?;
        Ok(template)
    }

    /// A template of a value, whose captures `pattern` must have.
    pub(super) fn value_template(
        &self,
        text: &Text,
        pattern: &Pattern,
    ) -> Result<Template, DeclarationError> {
        let template = Template::parse_value(&text.raw, &|name| self.variable(name))
            .map_err(|e| self.misformed(text, e))?;
        template
            .check_against(pattern)
            .map_err(|e| self.misformed(text, e))?;
        Ok(template)
    }

    /// A text with its variables filled in, and no captures.
    pub(super) fn literal(&self, text: &Text) -> Result<Vec<u8>, DeclarationError> {
        let nothing = Pattern::parse("-").map_err(|e| self.misformed(text, e))?;
        let template = self.value_template(text, &nothing)?;
        match nothing.captures(b"-") {
            Some(captures) => template
                .expand(&captures)
                .map_err(|e| self.misformed(text, e)),
            None => Ok(Vec::new()),
        }
    }

    /// A string, or a list of strings; none for an absent key.
    pub(super) fn texts(
        &self,
        table: &Table<'_>,
        key: &str,
    ) -> Result<Vec<Text>, DeclarationError> {
        if table.is_array(key) {
            return Ok(table
                .strings(key)
                .map_err(|e| self.shape(e))?
                .unwrap_or_default());
        }
        Ok(self.string(table, key)?.into_iter().collect())
    }

    pub(super) fn string(
        &self,
        table: &Table<'_>,
        key: &str,
    ) -> Result<Option<Text>, DeclarationError> {
        table.string(key).map_err(|e| self.shape(e))
    }

    pub(super) fn required(&self, table: &Table<'_>, key: &str) -> Result<Text, DeclarationError> {
        table.required_string(key).map_err(|e| self.shape(e))
    }

    pub(super) fn only(&self, table: &Table<'_>, known: &[&str]) -> Result<(), DeclarationError> {
        table.allow_only(known).map_err(|e| self.shape(e))
    }

    pub(super) fn shape(&self, error: ShapeError) -> DeclarationError {
        DeclarationError::shape(self.file, error)
    }

    pub(super) fn error(&self, line: u32, problem: DeclarationProblem) -> DeclarationError {
        DeclarationError::new(self.file, line, problem)
    }

    fn misformed(&self, text: &Text, problem: PatternError) -> DeclarationError {
        self.error(
            text.line,
            DeclarationProblem::Pattern {
                key: text.key.clone(),
                problem,
            },
        )
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "prefix" => Some(self.prefix.clone()),
            name => self.config.vars.get(name).cloned(),
        }
    }
}
