//! Conversions that do not stand, and values that do not fit.

use super::{Format, MemberType};
use crate::model::nearest::nearest;
use crate::model::redis::printable::printable;

/// A conversion that was declared wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// No form has this name.
    #[error("no value format is called `{}`; there are {}", printable(.name.as_bytes()), known.join(", "))]
    UnknownFormat {
        /// The name as declared.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The two forms do not convert into each other.
    #[error("{from} does not convert to {to}; from {from} there is: {}", supported.join(", "))]
    Unsupported {
        /// The old form.
        from: Format,
        /// The new form.
        to: Format,
        /// What the old form converts to, as declared.
        supported: Vec<String>,
    },
    /// A text edit without exactly one of `prefix`, `suffix` and `replace` with `with`.
    #[error(
        "a text edit is one of {{ prefix = \"…\" }}, {{ suffix = \"…\" }} and {{ replace = \"…\", with = \"…\" }}"
    )]
    MalformedEdit,
    /// A text edit that adds or looks for nothing.
    #[error("the edit {edit} has an empty text, so every value would always be done")]
    EmptyEdit {
        /// The edit.
        edit: Format,
    },
    /// A text edit with a control character, which no value of the text form holds.
    #[error("the edit {edit} holds a control character, which text does not")]
    NotText {
        /// The edit.
        edit: Format,
    },
    /// A replacement that holds what it replaces.
    #[error("the edit {edit} puts in what it replaces, so no value would ever be done")]
    Endless {
        /// The edit.
        edit: Format,
    },
    /// A table of fields with something else than JSON on the other side.
    #[error("{{ fields = {{ … }} }} converts from json and to json alone")]
    FieldsWithoutJson,
}

impl ConvertError {
    /// What to do next, where that can be said.
    pub fn hint(&self) -> Option<String> {
        let Self::UnknownFormat { name, known } = self else {
            return None;
        };
        let nearest = nearest(name, known)?;
        Some(format!("did you mean `{nearest}`?"))
    }
}

/// Why a value is in neither form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Its spelling is of neither form.
    #[error("it is neither {from} nor {to}")]
    Unreadable {
        /// The old form.
        from: Format,
        /// The new form.
        to: Format,
    },
    /// It is spelled like RFC 3339, but names no moment: a 30 February, a 25th hour, a leap second
    /// that is not the last of a month.
    #[error("it is written like RFC 3339, but there is no such date, time or offset")]
    NoSuchTime,
    /// It is a time outside the years 0000 to 9999, or an integer beyond 64 bits.
    #[error("it is outside the range of {form}")]
    OutOfRange {
        /// The form whose range it leaves.
        form: Format,
    },
    /// It is a number with a fraction, and the new form has none.
    #[error("it has a fraction, which {to} cannot hold")]
    Fraction {
        /// The new form.
        to: Format,
    },
    /// What it would become does not read as the new form, but as the old one or as nothing.
    #[error(
        "converted to {to} it could not be told from {from}, so a second pass would change it again"
    )]
    Unstable {
        /// The old form.
        from: Format,
        /// The new form.
        to: Format,
    },
    /// It is no JSON object.
    #[error("it is no JSON object")]
    NoObject,
    /// It is a JSON object without members: no field would be left to say that it was there.
    #[error("it is a JSON object without members, of which nothing would be left")]
    NoMember,
    /// A JSON object with a member that the declaration does not list.
    #[error("it has a member {}, which is not listed", printable(.name.as_bytes()))]
    UnlistedMember {
        /// Its name.
        name: String,
    },
    /// A JSON object with a member twice, of which one would be lost.
    #[error("it has the member {} twice", printable(.name.as_bytes()))]
    MemberTwice {
        /// Its name.
        name: String,
    },
    /// A member, or the field that it would become, of another type.
    #[error("{} is not of the type {}", printable(.name.as_bytes()), .expected.name())]
    MemberType {
        /// Its name.
        name: String,
        /// The declared type.
        expected: MemberType,
    },
    /// A field that would be written holds something else already.
    #[error("it is there already, and holds something else")]
    Taken,
}
