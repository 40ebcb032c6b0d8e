//! `${name}` in SQL files that ask for it with `vars = true`.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::model::nearest::nearest;

/// Why the variables of a file could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubstituteError {
    /// `[vars]` has no such name.
    #[error("line {line}: there is no variable `{name}` in [vars]{}", nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    Unknown {
        /// The 1-based line of the reference.
        line: usize,
        /// The name that was asked for.
        name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// `${` without a name and a closing brace.
    #[error("line {line}: `${{` is not followed by a variable's name and `}}`")]
    Malformed {
        /// The 1-based line of the reference.
        line: usize,
    },
}

impl SubstituteError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { name, .. } => format!(
                "set `{name}` under [vars] in outpost.toml, or write `$${{{name}}}` for the text itself"
            ),
            Self::Malformed { .. } => {
                "write `${name}`, or drop `vars = true` if the file has no variables".to_owned()
            }
        })
    }
}

/// Replaces each `${name}` by its value.
///
/// `$${name}` stands for the text `${name}`. Dollar quotes stay as they are: `$$` and `$tag$` are never read
/// as the start of a reference, so `$$${name}$$` and `$tag$${name}$tag$` are quoted values. Values are not
/// looked through again.
///
/// # Errors
/// The first reference to an unknown name, or a `${` that is no reference, with its line.
pub fn substitute(text: &str, vars: &BTreeMap<String, String>) -> Result<String, SubstituteError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let (before, dollars) = rest.split_at(start);
        out.push_str(before);
        let run = dollars.len() - dollars.trim_start_matches('$').len();
        let after = &dollars[run..];
        let word_before = out.ends_with(is_name_char);
        if let Some(tag) = (run == 1 && !word_before)
            .then(|| quote_tag(dollars))
            .flatten()
        {
            out.push_str(tag);
            rest = &dollars[tag.len()..];
            continue;
        }
        rest = after;
        let reference = after.starts_with('{').then(|| name_in_braces(after));
        match (reference, run % 2) {
            (None, _) | (Some(None), 0) => out.push_str(&dollars[..run]),
            (Some(None), _) => {
                let line = line_at(text, rest);
                return Err(SubstituteError::Malformed { line });
            }
            (Some(Some(_)), 0) => out.push_str(&dollars[..run - 1]),
            (Some(Some(name)), _) => {
                let value = vars.get(name).ok_or_else(|| SubstituteError::Unknown {
                    line: line_at(text, rest),
                    name: name.to_owned(),
                    nearest: nearest(name, vars.keys().map(String::as_str)),
                })?;
                out.push_str(&dollars[..run - 1]);
                out.push_str(value);
                rest = &after[name.len() + 2..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn line_at(text: &str, rest: &str) -> usize {
    super::lines::Lines::new(text).line(text.len() - rest.len())
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `$tag$` at the start of the text.
fn quote_tag(text: &str) -> Option<&str> {
    let inner = &text[1..];
    let length = inner.find(|c| !is_name_char(c)).filter(|n| *n > 0)?;
    let starts_well = !inner.starts_with(|c: char| c.is_ascii_digit());
    (starts_well && inner[length..].starts_with('$')).then(|| &text[..length + 2])
}

/// The name in `{name}` at the start of the text.
fn name_in_braces(text: &str) -> Option<&str> {
    let name = &text[1..text.find('}')?];
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    (starts_well && is_name).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn vars() -> BTreeMap<String, String> {
        [("schema", "app"), ("x", "${schema}"), ("a-b", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn references_escapes_and_dollar_quotes() {
        for (text, expected) in [
            ("create table ${schema}.t ()", "create table app.t ()"),
            ("${schema}${schema}${a-b}", "appapp1"),
            ("${x}", "${schema}"),
            ("$${schema}", "${schema}"),
            ("$$$${schema}", "$$${schema}"),
            ("$$${schema}$$", "$$app$$"),
            ("$f$${schema}$f$", "$f$app$f$"),
            ("$f$ ${schema} $f$", "$f$ app $f$"),
            ("$$ body $$", "$$ body $$"),
            ("'$${\"json\": 1}$$'", "'$${\"json\": 1}$$'"),
            ("$json${\"a\": 1}$json$", "$json${\"a\": 1}$json$"),
            ("$1 = ${schema}", "$1 = app"),
            ("é$é${schema}", "é$éapp"),
            ("a$b$c", "a$b$c"),
            ("$", "$"),
            ("", ""),
        ] {
            assert_eq!(substitute(text, &vars()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_with_its_line_and_the_nearest_name() {
        let error = substitute("a\r\nb ${schem}", &vars()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: there is no variable `schem` in [vars]; did you mean `schema`?"
        );
        assert!(error.hint().unwrap().contains("$${schem}"));
    }

    #[test]
    fn an_unfinished_reference_is_an_error() {
        for text in ["${", "${}", "${a b}", "${1a}", "\n${schema", "$$${\"a\"}"] {
            assert!(
                matches!(
                    substitute(text, &vars()),
                    Err(SubstituteError::Malformed { .. })
                ),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}a-cé_ \n]{0,30}") {
            let _ = substitute(&text, &vars());
        }

        #[test]
        fn text_without_a_reference_is_untouched(text in "[$a-cé_ \n]{0,30}") {
            prop_assert_eq!(substitute(&text, &vars()), Ok(text));
        }
    }
}
