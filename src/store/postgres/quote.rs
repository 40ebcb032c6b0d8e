//! The one place where values become parts of SQL text.
//!
//! Simple queries carry no parameters, and one-shot messages are simple queries: see the part on poolers
//! in docs/design.md. So every value goes through these functions.

use crate::store::{StoreErrorKind, error::StoreError};

/// A text cannot be a Postgres literal: it holds a NUL character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text holds a NUL character, which Postgres cannot store")]
pub(super) struct HoldsNul;

impl HoldsNul {
    pub(super) fn at(self, address: &str) -> StoreError {
        let kind = StoreErrorKind::Server {
            doing: "writing a value".to_owned(),
            reason: self.to_string(),
        };
        super::errors::at(address, kind)
    }
}

/// A string literal. The `E''` form means the same whatever `standard_conforming_strings` says, and quotes
/// are doubled, so `backslash_quote` does not matter either.
pub(super) fn literal(text: &str) -> Result<String, HoldsNul> {
    if text.contains('\0') {
        return Err(HoldsNul);
    }
    Ok(format!(
        "E'{}'",
        text.replace('\\', "\\\\").replace('\'', "''")
    ))
}

/// A string literal, or `null`.
pub(super) fn nullable(text: Option<&str>) -> Result<String, HoldsNul> {
    text.map_or_else(|| Ok("null".to_owned()), literal)
}

/// A quoted identifier.
pub(super) fn identifier(name: &str) -> Result<String, HoldsNul> {
    if name.contains('\0') {
        return Err(HoldsNul);
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A `DO` statement that runs PL/pgSQL.
pub(super) fn do_block(body: &str) -> Result<String, HoldsNul> {
    Ok(format!("do {}", literal(body)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    /// Reads an `E''` literal by the server's rules; `None` when it ends early or holds an odd escape.
    fn read_back(literal: &str) -> Option<String> {
        let mut chars = literal.strip_prefix("E'")?.chars();
        let mut out = String::new();
        loop {
            match chars.next()? {
                '\\' => match chars.next()? {
                    '\\' => out.push('\\'),
                    _ => return None,
                },
                '\'' => match chars.next() {
                    Some('\'') => out.push('\''),
                    None => return Some(out),
                    Some(_) => return None,
                },
                c => out.push(c),
            }
        }
    }

    proptest! {
        #[test]
        fn a_literal_is_read_back_as_it_was_and_never_ends_early(text in r#"(\\|'|"|\$|;|--|/\*|\n|é|[a-z])*"#) {
            prop_assert_eq!(read_back(&literal(&text).unwrap()), Some(text));
        }

        #[test]
        fn any_text_without_nul_is_read_back(text in "[^\0]*") {
            prop_assert_eq!(read_back(&literal(&text).unwrap()), Some(text));
        }

        #[test]
        fn an_identifier_is_read_back(name in "[^\0]*") {
            let quoted = identifier(&name).unwrap();
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert_eq!(inner.replace("\"\"", "\u{0}").contains('"'), false);
            prop_assert_eq!(inner.replace("\"\"", "\""), name);
        }
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(literal("a\0b"), Err(HoldsNul));
        assert_eq!(identifier("a\0b"), Err(HoldsNul));
        assert_eq!(nullable(Some("\0")), Err(HoldsNul));
        assert_eq!(nullable(None).unwrap(), "null");
    }
}
