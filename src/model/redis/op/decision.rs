//! What is known of a key, and what follows from it.

use super::KeyType;
use crate::model::redis::convert::Misfit;
use crate::model::redis::printable::printable;

/// What was read of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyView {
    /// Its type; `None` for a key that is gone by now.
    pub kind: Option<KeyType>,
    /// The values of the step's fields, in their order; empty for a key that is no hash.
    pub fields: Vec<Option<Vec<u8>>>,
    /// Milliseconds to live, where the step needs them; `None` for ever.
    pub ttl_ms: Option<u64>,
    /// Whether the target of a copy or a renaming exists.
    pub target: bool,
    /// What the migration recorded of this source.
    pub recorded: Option<Recorded>,
    /// Whether the check of the step's own script asks for work.
    pub needs_work: bool,
}

/// What a migration recorded of a source that it has dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was copied.
    Copied,
    /// Its target was there already, and was kept. If the application deletes that target, the old
    /// source must not bring it back.
    Kept,
    /// It was given its new name in another slot, and its old one has yet to go.
    Moving,
}

/// What is to be done with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It does not exist any more.
    Gone,
    /// It is as it should be.
    Done,
    /// There is nothing to do, but values were left as they are, as `on_error = "record"` allows.
    Excepted(Vec<Exception>),
    /// This.
    Work(Work),
    /// Nothing: it is not as declared, and the step must fail.
    Refused(Problem),
}

/// What is to be written, on the condition that the key still is as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Copy it to its target.
    Copy,
    /// Give it the name of its target.
    Rename,
    /// Change these fields, all or none, and leave out the excepted ones.
    Convert {
        /// What is to change, and what must not have.
        changes: Vec<Change>,
        /// Values that fit neither form.
        exceptions: Vec<Exception>,
    },
    /// Set the step's fields that are absent or, if they are to be overwritten, different.
    Set,
    /// Rename the step's field.
    RenameField,
    /// Remove the step's field.
    RemoveField,
    /// Set or clear its time to live.
    Expiry,
    /// Delete it.
    Delete,
    /// Run the step's script over it.
    Script,
}

/// What becomes of a field. Where old and new are the same, the field is only held to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field, by its place in the step's list.
    pub field: usize,
    /// What was read, `None` for an absent field: only where it still stands is anything written.
    pub old: Option<Vec<u8>>,
    /// The value to write; `None` removes the field.
    pub new: Option<Vec<u8>>,
    /// Whether converting back would give other bytes.
    pub lossy: bool,
}

/// A value that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The field, by its place in the step's list.
    pub field: usize,
    /// Why.
    pub misfit: Misfit,
}

/// Why a key is not as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is of another type.
    WrongType {
        /// As declared.
        expected: KeyType,
        /// As found.
        found: KeyType,
    },
    /// A guarded field does not say what it should.
    Guard {
        /// The field.
        field: String,
        /// What it should hold.
        expected: Vec<u8>,
        /// What it holds; `None` where it is absent.
        found: Option<Vec<u8>>,
    },
    /// A field says that the key is something else than its pattern takes it for.
    Ambiguous {
        /// The field.
        field: String,
        /// What it holds.
        found: Vec<u8>,
    },
    /// The target exists: of a renaming, or of a copy with `on_conflict = "fail"`.
    Conflict,
    /// The new name would be read back as another key, or as none.
    OneWay {
        /// That key.
        back: Option<Vec<u8>>,
    },
    /// A value fits neither form.
    Unreadable {
        /// The field.
        field: String,
        /// Its value.
        value: Vec<u8>,
        /// Why.
        misfit: Misfit,
    },
    /// Both the old and the new field are there.
    BothFields {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
}

/// Sorts of findings, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// No step and no ignore pattern matches the key.
    Unaccounted,
    /// More than one step matches it.
    Ambiguous,
    /// The target of a copy is itself a key that the migration works on, or one of the tool's own.
    BadTarget,
    /// Another type.
    WrongType,
    /// A guard fails.
    Guard,
    /// The target exists and may not.
    Conflict,
    /// A new name from which the old one does not follow.
    OneWay,
    /// A value fits neither form.
    Unreadable,
    /// Larger than can be copied.
    TooLarge,
    /// A conversion that its reverse does not undo.
    Lossy,
    /// Fields with different times to live, of which one field is to be made.
    FieldTimes,
    /// A script of the author's that did not do what it says.
    Script,
}

impl Problem {
    /// Its sort.
    pub fn sort(&self) -> Sort {
        match self {
            Self::WrongType { .. } => Sort::WrongType,
            Self::Guard { .. } | Self::Ambiguous { .. } => Sort::Guard,
            Self::Conflict | Self::BothFields { .. } => Sort::Conflict,
            Self::OneWay { .. } => Sort::OneWay,
            Self::Unreadable { .. } => Sort::Unreadable,
        }
    }
}

/// The detail that goes behind the key, safe to print.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongType { expected, found } => {
                write!(f, "a {}, not a {}", found.name(), expected.name())
            }
            Self::Ambiguous { field, found } => write!(
                f,
                "{} is \"{}\", so it is something else than its name suggests",
                printable(field.as_bytes()),
                printable(found)
            ),
            Self::Guard {
                field,
                expected,
                found,
            } => {
                let field = printable(field.as_bytes());
                match found {
                    Some(found) => write!(
                        f,
                        "{field} is \"{}\", not \"{}\"",
                        printable(found),
                        printable(expected)
                    ),
                    None => write!(
                        f,
                        "it has no {field}, which should be \"{}\"",
                        printable(expected)
                    ),
                }
            }
            Self::Conflict => f.write_str("its target exists"),
            Self::OneWay { back: Some(back) } => {
                write!(f, "its new name would be read back as {}", printable(back))
            }
            Self::OneWay { back: None } => f.write_str("its new name would not be read back"),
            // The value may be a secret that strayed into the field, so only the reason is told.
            Self::Unreadable { field, misfit, .. } => {
                write!(f, "{}: {misfit}", printable(field.as_bytes()))
            }
            Self::BothFields { from, to } => {
                write!(
                    f,
                    "it has both {} and {}",
                    printable(from.as_bytes()),
                    printable(to.as_bytes())
                )
            }
        }
    }
}

impl Sort {
    /// A sentence's beginning for `count` keys of this sort.
    pub fn sentence(self, count: u64) -> String {
        let (keys, are, have, their) = match count {
            1 => ("1 key".to_owned(), "is", "has", "its"),
            n => (format!("{n} keys"), "are", "have", "their"),
        };
        match self {
            Self::Unaccounted => {
                format!("{keys} in scope {are} matched by no step and no ignore pattern")
            }
            Self::Ambiguous => format!("{keys} {are} matched by more than one step"),
            Self::BadTarget => format!(
                "{keys} would be copied onto keys that are sources themselves or the tool's own"
            ),
            Self::WrongType => format!("{keys} {are} of another type than declared"),
            Self::Guard => format!(
                "{keys} {} declared field value",
                if count == 1 {
                    "fails its"
                } else {
                    "fail their"
                }
            ),
            Self::Conflict => format!("{keys} {have} {their} target in place already"),
            Self::OneWay => {
                format!("{keys} {have} a new name from which the old one does not follow")
            }
            Self::Unreadable => format!("{keys} {have} a value in neither form"),
            Self::TooLarge => format!("{keys} {are} too large to be copied"),
            Self::Lossy => format!(
                "{keys} {have} a value that the way back would not restore, which needs --allow-lossy"
            ),
            Self::FieldTimes => format!(
                "{keys} {have} fields with different times to live, which one field cannot keep"
            ),
            Self::Script => {
                format!(
                    "{keys} {are} not as the step's script should have left {}",
                    if count == 1 { "it" } else { "them" }
                )
            }
        }
    }
}
