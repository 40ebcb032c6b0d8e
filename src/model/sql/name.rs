//! Names of tables and indexes.

use std::fmt;

use serde::{Deserialize, Serialize};
use squawk_syntax::{SyntaxKind, SyntaxNode, ast};

/// Postgres cuts longer names (`NAMEDATALEN` - 1).
const MAX_BYTES: usize = 63;

/// A name as Postgres stores it: unquoted parts in lower case, quoted ones as they are, each cut to 63 bytes.
///
/// A name without a schema is looked up in the `search_path`; a database in front of the schema is dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QualifiedName {
    /// The schema, when it was written.
    pub schema: Option<String>,
    /// The name itself.
    pub name: String,
}

impl QualifiedName {
    /// Puts together a name from parts that are already folded.
    pub fn new(schema: Option<&str>, name: &str) -> Self {
        Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// The name with every part quoted, for use in a statement.
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }

    /// Reads the path under a reference such as `TABLE_NAME_REF`; nothing when the parser found no name.
    pub(super) fn from_node(node: &SyntaxNode) -> Option<Self> {
        let mut parts: Vec<String> = node
            .descendants()
            .filter(|part| {
                matches!(
                    part.kind(),
                    SyntaxKind::PATH_SEGMENT | SyntaxKind::PATH_SEGMENT_REF
                )
            })
            .map(|part| identifier(&part))
            .filter(|part| !part.is_empty())
            .collect();
        let name = parts.pop()?;
        Some(Self {
            schema: parts.pop(),
            name,
        })
    }
}

/// The identifier that a node consists of, folded.
pub(super) fn identifier(node: &SyntaxNode) -> String {
    let mut name = ast::normalize_name_node(node);
    if name.len() > MAX_BYTES {
        name.truncate(name.floor_char_boundary(MAX_BYTES));
    }
    name
}

fn quote(part: &str) -> String {
    format!("\"{}\"", part.replace('"', "\"\""))
}

fn is_plain(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && part
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// For reading: quotes stand only where a part is no plain lower-case word.
impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |part: &str| {
            if is_plain(part) {
                part.to_owned()
            } else {
                quote(part)
            }
        };
        if let Some(schema) = &self.schema {
            write!(f, "{}.", show(schema))?;
        }
        f.write_str(&show(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_shown_only_where_needed_and_always_used_in_statements() {
        for (name, shown, quoted) in [
            (QualifiedName::new(None, "a_1"), "a_1", "\"a_1\""),
            (
                QualifiedName::new(Some("Public"), "a\"b"),
                "\"Public\".\"a\"\"b\"",
                "\"Public\".\"a\"\"b\"",
            ),
            (
                QualifiedName::new(Some("app"), "1é"),
                "app.\"1é\"",
                "\"app\".\"1é\"",
            ),
        ] {
            assert_eq!(name.to_string(), shown);
            assert_eq!(name.quoted(), quoted);
        }
    }
}
