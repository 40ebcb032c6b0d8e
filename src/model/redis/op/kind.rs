//! The types of keys.

/// The type of a key, as `TYPE` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// `string`
    String,
    /// `hash`
    Hash,
    /// `list`
    List,
    /// `set`
    Set,
    /// `zset`
    SortedSet,
    /// `stream`
    Stream,
    /// A module's own type.
    Other,
}

impl KeyType {
    /// The types that a declaration may name.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("hash", Self::Hash),
        ("list", Self::List),
        ("set", Self::Set),
        ("zset", Self::SortedSet),
        ("stream", Self::Stream),
    ];

    /// From the answer to `TYPE`; `None` for a key that does not exist.
    pub fn from_reply(name: &str) -> Option<Self> {
        if name == "none" {
            return None;
        }
        Some(
            Self::NAMED
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(Self::Other, |(_, kind)| *kind),
        )
    }

    /// The name that `TYPE` gives; a module's type has one that is not kept.
    pub fn name(self) -> &'static str {
        Self::NAMED
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("a module's type", |(name, _)| name)
    }
}

/// ` (hash)` behind a pattern, or nothing where any type will do.
pub(super) fn in_brackets(kind: Option<KeyType>) -> String {
    kind.map_or_else(String::new, |kind| format!(" ({})", kind.name()))
}
