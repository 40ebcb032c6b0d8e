//! The parts of an object's name.

/// An object that stands in a schema, as it is named: by kind and qualified name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// Such as `materialized view`.
    pub(super) kind: &'a str,
    /// With the schema.
    pub(super) qualified: &'a str,
    /// The schema, as SQL writes it.
    pub(super) schema: &'a str,
    /// Without the schema.
    pub(super) in_schema: &'a str,
}

impl<'a> Name<'a> {
    /// Takes a name apart; `None` for an object that stands in no schema, such as an extension. Kinds of objects
    /// have no dot and no quote in their names.
    pub(super) fn of(object: &'a str) -> Option<Self> {
        let (start, quoted) = match object.find('"') {
            // A quote further on is part of a later name.
            Some(at) if !object[..at].contains('.') => (at, true),
            _ => (object[..object.find('.')?].rfind(' ')? + 1, false),
        };
        let qualified = &object[start..];
        let end = match quoted {
            false => qualified.find('.')?,
            true => {
                let mut inside = false;
                qualified.char_indices().find_map(|(at, c)| {
                    inside ^= c == '"';
                    (c == '.' && !inside).then_some(at)
                })?
            }
        };
        Some(Self {
            kind: object[..start].trim_end(),
            qualified,
            schema: &qualified[..end],
            in_schema: &qualified[end + 1..],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_schema_of_an_object_is_found_in_its_name() {
        for (object, parts) in [
            ("table public.a", Some(("table", "public", "a"))),
            (
                "materialized view s.a",
                Some(("materialized view", "s", "a")),
            ),
            (
                "function s.f(public.t, text)",
                Some(("function", "s", "f(public.t, text)")),
            ),
            (
                "constraint s.\"a.b\".c",
                Some(("constraint", "s", "\"a.b\".c")),
            ),
            ("table \"s.x y\".a", Some(("table", "\"s.x y\"", "a"))),
            ("table \"s\"\".\".a", Some(("table", "\"s\"\".\"", "a"))),
            ("extension pgcrypto", None),
            ("extension \"uuid-ossp\"", None),
            ("schema s", None),
        ] {
            let found = Name::of(object).map(|name| (name.kind, name.schema, name.in_schema));
            assert_eq!(found, parts, "{object}");
        }
    }
}
