//! `[drift]`: what counts for nothing.

use super::Validator;
use crate::model::config::error::{ConfigError, ConfigProblem};
use crate::model::config::raw::RawDrift;
use crate::model::document::{Text, printable};
use crate::model::drift::{DriftConfig, ObjectPattern};

impl Validator<'_> {
    pub(super) fn drift(&self, raw: &RawDrift) -> Result<DriftConfig, ConfigError> {
        let patterns = raw.ignore.iter().map(|text| self.object_pattern(text));
        Ok(DriftConfig {
            ignore: patterns.collect::<Result<_, _>>()?,
        })
    }

    fn object_pattern(&self, text: &Text) -> Result<ObjectPattern, ConfigError> {
        let value = self.not_empty(text, self.public(text)?)?;
        ObjectPattern::parse(&value).map_err(|error| {
            let problem = ConfigProblem::ObjectPattern {
                key: text.key.clone(),
                written: printable(&text.raw),
                error,
            };
            self.at(text, problem)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use crate::model::config::Config;

    const START: &str = "[schema]\nversion = \"1\"\n[postgres]\nurl = \"host=h\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let env = |name: &str| (name == "NAME").then(|| "hunter2".to_owned());
        Config::parse("o.toml", &format!("{START}{text}\n"), &env)
            .map_err(|error| format!("{error} | {}", error.hint().unwrap_or_default()))
    }

    #[test]
    fn ignored_objects_are_read_and_what_is_none_is_refused_with_its_line() {
        let config = read("[drift]\nignore = [\"table x\", \"* public.${NAME}_*\"]").unwrap();
        let patterns: Vec<String> = config
            .drift
            .ignore
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(patterns, ["table x", "* public.hunter2_*"]);
        assert_eq!(read("").unwrap().drift.ignore, []);
        for (text, error) in [
            (
                "[drift]\nignore = [\"table x\",\n  \"tabel y\"]",
                "o.toml:7: `drift.ignore[1]`: `tabel y` does not begin with a kind of object | did you mean `table`?",
            ),
            (
                "[drift]\nignore = [\"${NAME}\"]",
                "o.toml:6: `drift.ignore[0]`: `${NAME}` does not begin with a kind of object | write a kind and a name",
            ),
            (
                "[drift]\nignore = [\"index\"]",
                "o.toml:6: `drift.ignore[0]`: `index` names no object behind the kind | write the name",
            ),
            (
                "[drift]\nignore = [\"\"]",
                "o.toml:6: `drift.ignore[0]` is empty",
            ),
            (
                "[drift]\nignore = \"table x\"",
                "o.toml:6: `drift.ignore` must be an array of strings",
            ),
            (
                "[drift]\nignored = []",
                "o.toml:6: there is no key `ignored` in [drift] | did you mean `ignore`?",
            ),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
