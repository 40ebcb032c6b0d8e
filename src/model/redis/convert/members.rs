//! A JSON object and the texts of its members, one from the other.
//!
//! A member's text is what a hash field holds: a string without its quotes, anything else as it is
//! spelled, byte for byte. Put together again, members stand in the declared order without spaces
//! between them, and strings are escaped as serde_json does; a text of another spelling is lossy.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Misfit;
use crate::model::redis::printable::printable;

/// The members that an object may have, and of which type each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<(String, MemberType)>);

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberType {
    /// A string; its field holds the characters.
    String,
    /// An integer of 64 bits.
    Int,
    /// Any number.
    Float,
    /// `true` or `false`.
    Bool,
    /// Anything.
    Json,
}

impl MemberType {
    /// The words that a declaration may use.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("string", Self::String),
        ("int", Self::Int),
        ("float", Self::Float),
        ("bool", Self::Bool),
        ("json", Self::Json),
    ];

    /// The name in a declaration.
    pub fn name(self) -> &'static str {
        Self::NAMED
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("json", |(name, _)| name)
    }

    /// The text of a member's JSON; `None` where it is of another type.
    fn text(self, raw: &str) -> Option<Vec<u8>> {
        if self == Self::String {
            return serde_json::from_str(raw).ok().map(String::into_bytes);
        }
        self.admits(raw).then(|| raw.as_bytes().to_vec())
    }

    /// The JSON of a member's text; `None` where it is of another type.
    fn json(self, text: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(text).ok()?;
        if self == Self::String {
            return serde_json::to_string(text).ok();
        }
        // Spaces around a value would not come back.
        let bare = serde_json::from_str::<&RawValue>(text).ok()?.get() == text;
        (bare && self.admits(text)).then(|| text.to_owned())
    }

    /// Whether JSON, known to be that, is of this type.
    fn admits(self, raw: &str) -> bool {
        match self {
            Self::String => raw.starts_with('"'),
            Self::Int => raw.parse::<i64>().is_ok_and(|n| n.to_string() == raw),
            Self::Float => serde_json::from_str::<f64>(raw).is_ok_and(f64::is_finite),
            Self::Bool => matches!(raw, "true" | "false"),
            Self::Json => true,
        }
    }
}

impl Members {
    /// `None` for an empty list, which no object could be put together from.
    pub fn new(members: Vec<(String, MemberType)>) -> Option<Self> {
        (!members.is_empty()).then_some(Self(members))
    }

    /// Their names, in the declared order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The text of each member, in the declared order; `None` for one that the object lacks.
    ///
    /// # Errors
    /// Not an object, or one with members twice, not listed, or of another type. One without any member
    /// would leave nothing to put it together from.
    pub fn split(&self, object: &[u8]) -> Result<Vec<Option<Vec<u8>>>, Misfit> {
        let found = entries(object).ok_or(Misfit::NoObject)?;
        if found.is_empty() {
            return Err(Misfit::NoMember);
        }
        let mut texts = vec![None; self.0.len()];
        for (name, raw) in found {
            let Some(index) = self.names().position(|known| known == name) else {
                return Err(Misfit::UnlistedMember { name });
            };
            let kind = self.0[index].1;
            let text = kind.text(raw.get()).ok_or_else(|| Misfit::MemberType {
                name: name.clone(),
                expected: kind,
            })?;
            if texts[index].replace(text).is_some() {
                return Err(Misfit::MemberTwice { name });
            }
        }
        Ok(texts)
    }

    /// The object of these members, which are in the declared order.
    ///
    /// # Errors
    /// The place of a text that is not of its type.
    pub fn join(&self, texts: &[Option<Vec<u8>>]) -> Result<Vec<u8>, (usize, Misfit)> {
        let mut members = Vec::new();
        for (index, ((name, kind), text)) in self.0.iter().zip(texts).enumerate() {
            let Some(text) = text else { continue };
            let json = kind.json(text).ok_or_else(|| {
                let misfit = Misfit::MemberType {
                    name: name.clone(),
                    expected: *kind,
                };
                (index, misfit)
            })?;
            members.push(format!("{}:{json}", serde_json::Value::from(name.as_str())));
        }
        Ok(format!("{{{}}}", members.join(",")).into_bytes())
    }
}

/// As it is declared.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, kind)| format!("{} = \"{}\"", printable(name.as_bytes()), kind.name()))
            .collect();
        write!(f, "{{ fields = {{ {} }} }}", members.join(", "))
    }
}

/// The members of an object as they are spelled, those that are there twice included.
fn entries(object: &[u8]) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(object);
    let entries = json.deserialize_map(Entries).ok()?;
    json.end().ok()?;
    Some(entries)
}
