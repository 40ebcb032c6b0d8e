//! The operations of a Redis migration, and the one definition of "needs work" that plan, apply and
//! verify share.
//!
//! [`Item::decide`] is pure: it takes what was read of a key and says what is to be done. A store reads,
//! asks, and writes on the condition that nothing changed in between.
//!
//! An operation is one file: its keys in a declaration, what it reads, decides and undoes, and its line
//! on screens. The table in this file registers it.

mod command;
mod convert;
mod copy;
mod decision;
mod delete;
mod expire;
mod item;
mod kind;
mod operation;
mod persist;
mod remove_field;
mod rename;
mod rename_field;
mod script;
mod set;

pub use command::Command;
pub use convert::{Conversions, Convert, MembersForm, OnError, ValuesForm, Way};
pub use copy::{Copy, Guard, Must, OnConflict};
pub use decision::{Change, Decision, Exception, KeyView, Problem, Recorded, Sort, Work};
pub use delete::Delete;
pub use expire::Expire;
pub use item::Item;
pub use kind::KeyType;
pub use persist::Persist;
pub use remove_field::RemoveField;
pub use rename::{Names, Rename};
pub use rename_field::RenameField;
pub use script::Script;
pub use set::Set;

use operation::{Declared, Operation};

use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::{Pattern, Template};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What a step does.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Op {
            $($(#[$doc])* $name($name),)+
        }

        impl Op {
            /// The keys of a `[[step]]` that name an operation.
            pub(in crate::model::redis) const NAMES: &[&str] = &[$($name::NAME),+];

            /// Reads the step of the operation that `name` names; `None` where it names none.
            pub(in crate::model::redis) fn parse(
                name: &str,
                step: &StepTable<'_>,
            ) -> Result<Option<Self>, DeclarationError> {
                $(if name == $name::NAME {
                    step.allow_only(name, $name::KEYS)?;
                    return $name::parse(step).map(|op| Some(Self::$name(op)));
                })+
                Ok(None)
            }

            /// The key that names it in a declaration.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $name::NAME,)+
                }
            }

            fn operation(&self) -> &dyn Operation {
                match self {
                    $(Self::$name(op) => op,)+
                }
            }
        }
    };
}

operations! {
    /// Copies keys.
    Copy,
    /// Renames keys.
    Rename,
    /// Converts values of hash fields.
    Convert,
    /// Sets hash fields.
    Set,
    /// Renames a hash field.
    RenameField,
    /// Removes a hash field.
    RemoveField,
    /// Gives keys a time to live.
    Expire,
    /// Takes keys' time to live away.
    Persist,
    /// Deletes keys.
    Delete,
    /// Runs one raw command.
    Command,
    /// Runs Lua of the author's over keys.
    Script,
}

impl Op {
    /// The pattern of the keys it works on; a command has none.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.operation().pattern()
    }

    /// The type that its keys must have; `None` for any.
    pub fn key_type(&self) -> Option<KeyType> {
        self.operation().key_type()
    }

    /// The hash fields that have to be read to decide, in the order in which [`KeyView::fields`] has them.
    pub fn fields(&self) -> Vec<&str> {
        self.operation().fields()
    }

    /// Whether the time to live has to be read to decide.
    pub fn reads_ttl(&self) -> bool {
        self.operation().reads_ttl()
    }

    /// Where its keys go, for one that gives keys another name.
    pub fn target(&self) -> Option<&Template> {
        self.operation().target()
    }

    /// The keys that it writes, where they have another name, as a pattern: each capture as wide as its
    /// source has it. `None` also where that is no pattern; then real keys are checked alone.
    pub fn targets(&self) -> Option<Pattern> {
        self.target()?.as_pattern(self.pattern()?)
    }

    /// Whether values may be lost in it that no reverse brings back; `None` where it has a reverse.
    pub fn irreversible(&self) -> Option<&'static str> {
        self.operation().irreversible()
    }

    /// What a revert carries out in its place: the reverse conversion or renaming. A copy and a set stay
    /// what they are, and the revert takes back what they wrote.
    pub fn reversed(&self) -> Self {
        self.operation().reversed().unwrap_or_else(|| self.clone())
    }

    /// Whether it leaves something behind that a cleanup removes.
    pub fn has_cleanup(&self) -> bool {
        self.operation().has_cleanup()
    }
}

/// One readable line, as screens show it.
impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.operation().fmt(f)
    }
}

#[cfg(test)]
mod tests;
