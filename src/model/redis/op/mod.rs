//! The operations of a Redis migration, and the one definition of "needs work" that plan, apply and
//! verify share.
//!
//! [`Item::decide`] is pure: it takes what was read of a key and says what is to be done. A store reads,
//! asks, and writes on the condition that nothing changed in between.

mod command;
mod convert;
mod copy;
mod decision;
mod delete;
mod expiry;
mod fields;
mod item;
mod set;

pub use command::Command;
pub use convert::{Convert, OnError};
pub use copy::{Copy, Guard, Must, OnConflict};
pub use decision::{Change, Decision, Exception, KeyView, Problem, Recorded, Sort, Work};
pub use delete::Delete;
pub use expiry::{Expire, Persist};
pub use fields::{RemoveField, RenameField};
pub use item::Item;
pub use set::Set;

use crate::model::redis::pattern::Pattern;

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

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Copies keys.
    Copy(Copy),
    /// Converts values of hash fields.
    Convert(Convert),
    /// Sets hash fields.
    Set(Set),
    /// Renames a hash field.
    RenameField(RenameField),
    /// Removes a hash field.
    RemoveField(RemoveField),
    /// Gives keys a time to live.
    Expire(Expire),
    /// Takes keys' time to live away.
    Persist(Persist),
    /// Deletes keys.
    Delete(Delete),
    /// Runs one raw command.
    Command(Command),
}

impl Op {
    /// The pattern of the keys it works on; a command has none.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Copy(op) => Some(&op.from),
            Self::Convert(op) => Some(&op.within),
            Self::Set(op) => Some(&op.within),
            Self::RenameField(op) => Some(&op.within),
            Self::RemoveField(op) => Some(&op.within),
            Self::Expire(op) => Some(&op.keys),
            Self::Persist(op) => Some(&op.keys),
            Self::Delete(op) => Some(&op.keys),
            Self::Command(_) => None,
        }
    }

    /// The type that its keys must have; `None` for any.
    pub fn key_type(&self) -> Option<KeyType> {
        match self {
            Self::Copy(op) => op.kind,
            Self::Delete(op) => op.kind,
            Self::Convert(_) | Self::Set(_) | Self::RenameField(_) | Self::RemoveField(_) => {
                Some(KeyType::Hash)
            }
            Self::Expire(_) | Self::Persist(_) | Self::Command(_) => None,
        }
    }

    /// The hash fields that have to be read to decide, in the order in which [`KeyView::fields`] has them.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Copy(op) => op.guards.iter().map(|guard| guard.field.as_str()).collect(),
            Self::Convert(op) => op.fields.iter().map(String::as_str).collect(),
            Self::Set(op) => op.fields.iter().map(|(field, _)| field.as_str()).collect(),
            Self::RenameField(op) => vec![&op.from, &op.to],
            Self::RemoveField(op) => vec![&op.field],
            Self::Expire(_) | Self::Persist(_) | Self::Delete(_) | Self::Command(_) => Vec::new(),
        }
    }

    /// Whether the time to live has to be read to decide.
    pub fn reads_ttl(&self) -> bool {
        matches!(self, Self::Expire(_) | Self::Persist(_))
    }

    /// Whether values may be lost in it that no reverse brings back; `None` where it has a reverse.
    pub fn irreversible(&self) -> Option<&'static str> {
        match self {
            Self::Copy(op) if op.on_conflict == OnConflict::Replace => {
                Some("it replaces existing keys")
            }
            Self::Convert(op) if op.conversion.reverse().is_none() => {
                Some("its conversion forgets what was there")
            }
            Self::Set(op) if op.overwrite => Some("it overwrites values"),
            Self::RemoveField(_) => Some("it removes values"),
            Self::Expire(_) | Self::Persist(_) => Some("the times to live before it are not kept"),
            Self::Delete(_) => Some("it deletes keys"),
            Self::Command(op) if op.undo.is_none() => Some("it has no `undo`"),
            _ => None,
        }
    }
}

/// One readable line, as screens show it.
impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Copy(op) => op.fmt(f),
            Self::Convert(op) => op.fmt(f),
            Self::Set(op) => op.fmt(f),
            Self::RenameField(op) => op.fmt(f),
            Self::RemoveField(op) => op.fmt(f),
            Self::Expire(op) => op.fmt(f),
            Self::Persist(op) => op.fmt(f),
            Self::Delete(op) => op.fmt(f),
            Self::Command(op) => op.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
