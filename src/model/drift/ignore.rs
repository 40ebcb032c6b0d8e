//! `[drift] ignore`: objects that others keep where the migrations have theirs.

use std::fmt;

use super::name::Name;
use crate::model::nearest::nearest;
use crate::model::wildcard;

/// Kinds of objects that can stand unexpected among those of the migrations, as drift names them.
const KINDS: [&str; 14] = [
    "aggregate",
    "constraint",
    "foreign table",
    "function",
    "index",
    "materialized view",
    "policy",
    "procedure",
    "rule",
    "sequence",
    "table",
    "trigger",
    "type",
    "view",
];

/// Stands for every kind, and in a name for any characters.
const ANY: &str = "*";

/// `[drift]` of outpost.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftConfig {
    /// Objects that count for nothing where no migration made them.
    pub ignore: Vec<ObjectPattern>,
}

/// Objects of a kind by their name, such as `table public.other_*`. The name is one as drift shows it, with or
/// without its schema; `*` stands for any characters and `?` for one, `*` as the kind for every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPattern {
    /// `None` for every kind.
    kind: Option<&'static str>,
    name: String,
}

/// Why a text is no [`ObjectPattern`]; a clause that follows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectPatternError {
    /// It begins with no kind.
    #[error("does not begin with a kind of object")]
    NoKind {
        /// The kind that its first word resembles.
        nearest: Option<String>,
    },
    /// Nothing stands behind the kind.
    #[error("names no object behind the kind")]
    NoName,
}

impl ObjectPatternError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NoKind {
                nearest: Some(kind),
                ..
            } => format!("did you mean `{kind}`?"),
            Self::NoKind { nearest: None, .. } => format!(
                "write a kind and a name, such as `table public.other_*`; kinds are {}, and * for all",
                KINDS.join(", ")
            ),
            Self::NoName => {
                "write the name as `outpost migrate drift` shows it; * stands for any characters"
                    .to_owned()
            }
        }
    }
}

impl ObjectPattern {
    /// Reads a kind and a name.
    ///
    /// # Errors
    /// [`ObjectPatternError`] where one of them is missing.
    pub fn parse(text: &str) -> Result<Self, ObjectPatternError> {
        let text = text.trim();
        // Behind a kind of two words there is a kind of one word, never the other way round.
        let of_kind = |kind: &'static str| {
            let name = text.strip_prefix(kind)?;
            (name.is_empty() || name.starts_with(' ')).then_some((kind, name.trim_start()))
        };
        let Some((kind, name)) = KINDS.into_iter().chain([ANY]).find_map(of_kind) else {
            let word = text.split(' ').next().unwrap_or_default();
            return Err(ObjectPatternError::NoKind {
                nearest: nearest(word, KINDS),
            });
        };
        if name.is_empty() {
            return Err(ObjectPatternError::NoName);
        }
        Ok(Self {
            kind: (kind != ANY).then_some(kind),
            name: name.to_owned(),
        })
    }

    /// Whether it stands for an object, which is named by kind and qualified name.
    pub fn takes(&self, object: &str) -> bool {
        Name::of(object).is_some_and(|name| {
            let fits = |text: &str| wildcard::fits(text.as_bytes(), self.name.as_bytes());
            self.kind.is_none_or(|kind| kind == name.kind)
                && (fits(name.qualified) || fits(name.in_schema))
        })
    }
}

impl fmt::Display for ObjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.unwrap_or(ANY), self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_pattern_takes_objects_of_its_kind_with_and_without_their_schema() {
        for (pattern, takes, leaves) in [
            (
                "table public.other_*",
                &["table public.other_state", "table public.other_"][..],
                &[
                    "table public.others",
                    "foreign table public.other_state",
                    "table app.other_state",
                ][..],
            ),
            (
                "table other_state",
                &["table public.other_state", "table \"a.b\".other_state"],
                &["table public.my_other_state", "index public.other_state"],
            ),
            (
                "materialized view *.totals",
                &["materialized view s.totals"],
                &["view s.totals"],
            ),
            (
                "  *   other_*",
                &["sequence public.other_id_seq", "function s.other_f(text)"],
                &["extension other_x", "table public.mother_x"],
            ),
            (
                "trigger events.audit",
                &["trigger public.events.audit"],
                &["trigger public.notes.audit", "trigger events.audit.x"],
            ),
            (
                "function tick()",
                &["function public.tick()"],
                &["function public.tick(integer)"],
            ),
            (
                "index public.\"Weird Name\"",
                &["index public.\"Weird Name\""],
                &["index public.weird"],
            ),
        ] {
            let parsed = ObjectPattern::parse(pattern).unwrap();
            for object in takes {
                assert!(parsed.takes(object), "{pattern} does not take {object}");
            }
            for object in leaves {
                assert!(!parsed.takes(object), "{pattern} takes {object}");
            }
            let again = ObjectPattern::parse(&parsed.to_string());
            assert_eq!(again, Ok(parsed));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_what_is_missing() {
        for (text, error, hint) in [
            (
                "tabel public.x",
                "does not begin with a kind",
                "did you mean `table`?",
            ),
            ("public.other", "does not begin", "write a kind"),
            ("tables x", "does not begin", "did you mean `table`?"),
            ("extension x", "does not begin", "write a kind"),
            ("table ", "names no object", "write the name"),
            ("*", "names no object", "write the name"),
        ] {
            let found = ObjectPattern::parse(text).unwrap_err();
            assert!(found.to_string().starts_with(error), "{found}");
            assert!(found.hint().starts_with(hint), "{text}: {}", found.hint());
        }
    }
}
