//! Single values: variables replaced, secrets kept where they belong.

use super::Validator;
use crate::model::config::address::AddressProblem;
use crate::model::config::credentials::{holds_credentials, password_in};
use crate::model::config::error::{ConfigError, ConfigProblem};
use crate::model::config::raw::RawConfig;
use crate::model::config::template::Template;
use crate::model::document::{Text, printable};

/// Stands where a reference stood, to tell what the file says from what the environment says.
const MARK: char = '\u{f8ff}';

impl Validator<'_> {
    /// A store's address, which may hold a password only where the environment put it.
    pub(super) fn address(&self, text: &Text) -> Result<String, ConfigError> {
        let template = self.template(text, &|_| false)?;
        let mark = |_: &str| Some(MARK.to_string());
        for written in [template.fill(&mark), template.fill_defaults(&mark)] {
            // `mark` knows every variable, so that neither can fail.
            let written = written.unwrap_or_default();
            if password_in(&written).is_some_and(|password| password.chars().any(|c| c != MARK)) {
                let key = text.key.clone();
                return Err(self.at(text, ConfigProblem::LiteralPassword { key }));
            }
        }
        self.fill(text)
    }

    /// A variable of a url is secret when putting something else in its place changes the password.
    pub(super) fn learn_secret_variables(&mut self, raw: &RawConfig) {
        let postgres = raw
            .postgres
            .iter()
            .flat_map(|p| std::iter::once(&p.url).chain(&p.direct_url));
        let redis = raw.redis.iter();
        let redis = redis.flat_map(|r| r.url.iter().chain(&r.sentinels));
        // What an address without a password is completed with.
        if raw.postgres.is_some() {
            self.secret_variables.insert("PGPASSWORD".to_owned());
        }
        for text in postgres.chain(redis) {
            // A broken template is reported when the url itself is read.
            let Ok(template) = Template::parse(&text.raw, &|_| false) else {
                continue;
            };
            for variable in template.variables() {
                let marked = template.fill(&|name| {
                    if name == variable {
                        Some(MARK.to_string())
                    } else {
                        Some((self.env)(name).unwrap_or_default())
                    }
                });
                if marked.is_ok_and(|url| password_in(&url).is_some_and(|p| p.contains(MARK))) {
                    self.secret_variables.insert(variable.to_owned());
                }
            }
        }
    }

    /// A value that may be shown and stored: without credentials.
    pub(super) fn public(&self, text: &Text) -> Result<String, ConfigError> {
        self.published(text, &|_| false)
    }

    pub(super) fn published(
        &self,
        text: &Text,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<String, ConfigError> {
        let template = self.template(text, keep)?;
        let key = || text.key.clone();
        if let Some(variable) = template
            .variables()
            .find(|name| self.secret_variables.contains(*name))
        {
            let variable = variable.to_owned();
            return Err(self.at(
                text,
                ConfigProblem::SecretVariable {
                    key: key(),
                    variable,
                },
            ));
        }
        let value = self.fill_template(text, &template)?;
        if holds_credentials(&value) {
            return Err(self.at(text, ConfigProblem::Credentials { key: key() }));
        }
        Ok(value)
    }

    pub(super) fn not_empty(&self, text: &Text, value: String) -> Result<String, ConfigError> {
        if !value.is_empty() {
            return Ok(value);
        }
        let template = self.template(text, &|_| false)?;
        let problem = ConfigProblem::Empty {
            key: text.key.clone(),
            variables: template.variables().map(str::to_owned).collect(),
        };
        Err(self.at(text, problem))
    }

    pub(super) fn fill(&self, text: &Text) -> Result<String, ConfigError> {
        self.fill_template(text, &self.template(text, &|_| false)?)
    }

    fn fill_template(&self, text: &Text, template: &Template) -> Result<String, ConfigError> {
        template.fill(self.env).map_err(|variable| {
            let key = text.key.clone();
            self.at(text, ConfigProblem::Unset { variable, key })
        })
    }

    fn template(&self, text: &Text, keep: &dyn Fn(&str) -> bool) -> Result<Template, ConfigError> {
        Template::parse(&text.raw, keep).map_err(|problem| {
            let key = text.key.clone();
            self.at(text, ConfigProblem::Template { key, problem })
        })
    }

    pub(super) fn bad_address(&self, text: &Text, problem: AddressProblem) -> ConfigError {
        let key = text.key.clone();
        self.at(text, ConfigProblem::Address { key, problem })
    }

    pub(super) fn bad_value(
        &self,
        text: &Text,
        expected: &'static str,
        nearest: Option<String>,
    ) -> ConfigError {
        let problem = ConfigProblem::Value {
            key: text.key.clone(),
            written: printable(&text.raw),
            expected,
            nearest,
        };
        self.at(text, problem)
    }

    pub(super) fn at(&self, text: &Text, problem: ConfigProblem) -> ConfigError {
        ConfigError::new(self.file, text.line, problem)
    }
}
