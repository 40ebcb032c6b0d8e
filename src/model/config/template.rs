//! `${NAME}` and `${NAME:-default}` in the strings of outpost.toml.

use thiserror::Error;

/// A string cut into literal text and references to the environment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Reference {
        name: String,
        default: Option<String>,
    },
}

/// Why a string with `${` cannot be read. Holds no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TemplateProblem {
    /// `${` without its `}`.
    #[error("`${{` without its `}}`")]
    Unterminated,
    /// What stands between the braces is no variable name.
    #[error("what stands in `${{...}}` is no variable name")]
    BadName,
    /// A reference inside a default.
    #[error("a default cannot hold another `${{...}}`")]
    Nested,
}

impl Template {
    /// Cuts `raw`; `$${` stands for a literal `${`. A name for which `keep` holds stays as it is written.
    pub(super) fn parse(raw: &str, keep: &dyn Fn(&str) -> bool) -> Result<Self, TemplateProblem> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = raw;
        while let Some(dollar) = rest.find('$') {
            literal.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            if let Some(after) = rest.strip_prefix("$${") {
                literal.push_str("${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let (inner, after) = after.split_once('}').ok_or(TemplateProblem::Unterminated)?;
                let (name, default) = match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default)),
                    None => (inner, None),
                };
                if default.is_some_and(|default| default.contains("${")) {
                    return Err(TemplateProblem::Nested);
                }
                if !is_name(name) {
                    return Err(TemplateProblem::BadName);
                }
                if default.is_none() && keep(name) {
                    literal.push_str("${");
                    literal.push_str(name);
                    literal.push('}');
                } else {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                    parts.push(Part::Reference {
                        name: name.to_owned(),
                        default: default.map(str::to_owned),
                    });
                }
                rest = after;
            } else {
                literal.push('$');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        Ok(Self { parts })
    }

    /// The names of the variables that are referred to, in order.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Reference { name, .. } => Some(name.as_str()),
        })
    }

    /// The text with each reference replaced. As in a shell, the default also stands in for an empty value.
    ///
    /// # Errors
    /// The name of the first variable that has neither a value nor a default.
    pub(super) fn fill(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Reference { name, default } => {
                    let value = match (lookup(name), default) {
                        (Some(value), None) => value,
                        (Some(value), Some(_)) if !value.is_empty() => value,
                        (_, Some(default)) => default.clone(),
                        (None, None) => return Err(name.clone()),
                    };
                    out.push_str(&value);
                }
            }
        }
        Ok(out)
    }
}

impl Template {
    /// As [`Self::fill`], but every default is used, whatever the environment says.
    pub(super) fn fill_defaults(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        let without_defaulted = |name: &str| {
            let defaulted = self.parts.iter().any(
                |part| matches!(part, Part::Reference { name: n, default: Some(_) } if n == name),
            );
            if defaulted {
                Some(String::new())
            } else {
                lookup(name)
            }
        };
        self.fill(&without_defaulted)
    }
}

/// Whether `name` can name a variable: a letter or underscore, then letters, digits and underscores.
pub(super) fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn filled(raw: &str) -> Result<Result<String, String>, TemplateProblem> {
        let env = |name: &str| match name {
            "SET" => Some("v}\"\n${X}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        Template::parse(raw, &|name| name == "prefix").map(|template| template.fill(&env))
    }

    #[test]
    fn references_are_filled_once_and_literally() {
        for (raw, expected) in [
            ("", ""),
            ("plain $ text $", "plain $ text $"),
            ("a${SET}b", "av}\"\n${X}b"),
            ("${SET:-d}", "v}\"\n${X}"),
            ("${NONE:-d:-e}", "d:-e"),
            ("${NONE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("$${SET}", "${SET}"),
            ("$$${SET}", "$${SET}"),
            ("$$x", "$$x"),
            ("${prefix}a", "${prefix}a"),
            ("${prefix:-d}", "d"),
        ] {
            assert_eq!(filled(raw).unwrap().unwrap(), expected, "{raw}");
        }
    }

    #[test]
    fn broken_references_are_refused() {
        for (raw, problem) in [
            ("${", TemplateProblem::Unterminated),
            ("a ${SET", TemplateProblem::Unterminated),
            ("${}", TemplateProblem::BadName),
            ("${:-x}", TemplateProblem::BadName),
            ("${1A}", TemplateProblem::BadName),
            ("${A-b}", TemplateProblem::BadName),
            ("${A:-${B}}", TemplateProblem::Nested),
        ] {
            assert_eq!(filled(raw), Err(problem), "{raw}");
        }
        assert_eq!(filled("${NONE}").unwrap(), Err("NONE".to_owned()));
    }

    proptest! {
        #[test]
        fn text_without_a_reference_stays_as_it_is(raw in "[^{]*") {
            prop_assert_eq!(filled(&raw).unwrap().unwrap(), raw);
        }

        #[test]
        fn no_text_panics(raw in r"(\$|\{|\}|:-|A|é)*") {
            let _ = filled(&raw);
        }
    }
}
