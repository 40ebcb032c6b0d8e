//! JSON: every document has a `format_version`, and is as safe on a terminal as any other screen.

use std::io::{self, Write};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::model::redis::printable::hides;

/// The version of all JSON documents. A new member does not change it; readers ignore what they do not
/// know.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Serialize, JsonSchema)]
struct Document<'a, T> {
    /// Grows when a field goes or changes its meaning. New fields may appear at any time.
    format_version: u32,
    #[serde(flatten)]
    content: &'a T,
}

/// Writes a document over several lines. `content` must be a struct or a map.
pub(super) fn document<T: Serialize>(out: &mut dyn Write, content: &T) -> io::Result<()> {
    let text = serde_json::to_string_pretty(&Document {
        format_version: FORMAT_VERSION,
        content,
    })?;
    writeln!(out, "{}", visible(&text))
}

/// Writes a document on one line.
pub(super) fn line<T: Serialize>(out: &mut dyn Write, content: &T) -> io::Result<()> {
    let text = serde_json::to_string(&Document {
        format_version: FORMAT_VERSION,
        content,
    })?;
    writeln!(out, "{}", visible(&text))
}

/// The JSON Schema of the documents with this content, as one document with this title.
pub(super) fn schema<T: JsonSchema>(title: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Document<'_, T>>();
    schema.insert("title".to_owned(), title.into());
    schema.insert("description".to_owned(), "One document a plan.".into());
    schema
}

/// Escapes what acts on a terminal or hides. Such characters stand only inside of strings, where
/// `\uNNNN` means the same.
fn visible(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if hides(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_and_none_is_raw(text in any::<String>()) {
            let mut out = Vec::new();
            document(&mut out, &BTreeMap::from([("text", &text)])).unwrap();
            let json = String::from_utf8(out).unwrap();
            prop_assert!(!json.chars().any(|c| hides(c) && c != '\n'));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read["text"].as_str(), Some(text.as_str()));
            prop_assert_eq!(&read["format_version"], 1);
        }
    }
}
