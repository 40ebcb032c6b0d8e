//! The forms a value can have, and their names in a declaration.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::is_text;
use super::{ConvertError, Family};

/// The form of a value: a name in the declaration, or a table for the text edits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `rfc3339`: as in `2024-05-01T12:00:00.5+02:00`, `t` and `z` in either case.
    Rfc3339,
    /// `unix_s`: whole seconds since 1970, a plain decimal integer.
    UnixS,
    /// `unix_ms`: whole milliseconds since 1970, a plain decimal integer.
    UnixMs,
    /// `string`: a JSON string, quotes included; numbers in it are converted.
    String,
    /// `int`: a plain decimal integer of 64 bits, as HINCRBY takes it.
    Int,
    /// `float`: a finite decimal number, as HINCRBYFLOAT takes it.
    Float,
    /// `hex`: two hexadecimal digits a byte; written in lower case.
    Hex,
    /// `base64`: the standard alphabet, padded.
    Base64,
    /// `json`: a JSON object, which converts to fields for its members and back.
    Json,
    /// `text`: UTF-8 without control characters other than tab, line feed and carriage return.
    Text,
    /// `{ prefix = "…" }`: text that begins so.
    Prefix(String),
    /// `{ suffix = "…" }`: text that ends so.
    Suffix(String),
    /// `{ replace = "…", with = "…" }`: text without the first, which the second replaces everywhere.
    Replace {
        /// What must not be there.
        replace: String,
        /// What takes its place; may be empty.
        with: String,
    },
}

const NAMED: [(&str, Format); 10] = [
    ("rfc3339", Format::Rfc3339),
    ("unix_s", Format::UnixS),
    ("unix_ms", Format::UnixMs),
    ("string", Format::String),
    ("int", Format::Int),
    ("float", Format::Float),
    ("hex", Format::Hex),
    ("base64", Format::Base64),
    ("json", Format::Json),
    ("text", Format::Text),
];

impl Format {
    /// Errs for an edit that could not be carried out.
    pub(super) fn check(&self) -> Result<(), ConvertError> {
        let (text, with) = match self {
            Self::Prefix(text) | Self::Suffix(text) => (text, None),
            Self::Replace { replace, with } => (replace, Some(with)),
            _ => return Ok(()),
        };
        let edit = self.clone();
        if text.is_empty() {
            return Err(ConvertError::EmptyEdit { edit });
        }
        if !is_text(text.as_bytes()) || with.is_some_and(|with| !is_text(with.as_bytes())) {
            return Err(ConvertError::NotText { edit });
        }
        if with.is_some_and(|with| with.contains(text.as_str())) {
            return Err(ConvertError::Endless { edit });
        }
        Ok(())
    }

    /// What this form converts to, as it is declared.
    pub(super) fn targets(&self) -> Vec<String> {
        let text = || "…".to_owned();
        let edits = [
            Self::Prefix(text()),
            Self::Suffix(text()),
            Self::Replace {
                replace: text(),
                with: text(),
            },
        ];
        let named = NAMED.into_iter().map(|(_, format)| format);
        let mut targets: Vec<String> = named
            .chain(edits)
            .filter(|to| Family::of(self, to).is_some())
            .map(|to| to.to_string())
            .collect();
        if *self == Self::Json {
            targets.push("{ fields = { … } }".to_owned());
        }
        if targets.is_empty() {
            targets.push("nothing".to_owned());
        }
        targets
    }
}

impl FromStr for Format {
    type Err = ConvertError;

    fn from_str(name: &str) -> Result<Self, ConvertError> {
        NAMED
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, format)| format)
            .ok_or_else(|| ConvertError::UnknownFormat {
                name: name.to_owned(),
                known: NAMED.into_iter().map(|(name, _)| name).collect(),
            })
    }
}

/// As it is declared.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(text) => write!(f, "{{ prefix = {text:?} }}"),
            Self::Suffix(text) => write!(f, "{{ suffix = {text:?} }}"),
            Self::Replace { replace, with } => {
                write!(f, "{{ replace = {replace:?}, with = {with:?} }}")
            }
            named => match NAMED.iter().find(|(_, format)| format == named) {
                Some((name, _)) => f.write_str(name),
                None => Err(fmt::Error),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    prefix: Option<String>,
    suffix: Option<String>,
    replace: Option<String>,
    with: Option<String>,
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FormatVisitor)
    }
}

struct FormatVisitor;

impl<'de> Visitor<'de> for FormatVisitor {
    type Value = Format;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a value format, or a text edit such as { prefix = \"…\" }")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Format, E> {
        name.parse().map_err(|error: ConvertError| {
            E::custom(match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            })
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Format, A::Error> {
        let edit = Edit::deserialize(MapAccessDeserializer::new(map))?;
        let format = match (edit.prefix, edit.suffix, edit.replace, edit.with) {
            (Some(text), None, None, None) => Format::Prefix(text),
            (None, Some(text), None, None) => Format::Suffix(text),
            (None, None, Some(replace), Some(with)) => Format::Replace { replace, with },
            _ => return Err(A::Error::custom(ConvertError::MalformedEdit)),
        };
        format.check().map_err(A::Error::custom)?;
        Ok(format)
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries: &[(&str, &str)] = match self {
            Self::Prefix(text) => &[("prefix", text)],
            Self::Suffix(text) => &[("suffix", text)],
            Self::Replace { replace, with } => &[("replace", replace), ("with", with)],
            named => return serializer.collect_str(named),
        };
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (key, text) in entries {
            map.serialize_entry(key, text)?;
        }
        map.end()
    }
}
