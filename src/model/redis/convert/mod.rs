//! Conversions of field values.
//!
//! A conversion has an old form and a new form, and reads every value as one of three: already new,
//! old, or neither. [`Conversion::apply`] is the only place that decides, so what plan counts, what
//! apply writes and what verify accepts cannot differ. A value is converted only if the result then
//! reads as new; otherwise it is neither, since a second pass would convert it again.
//!
//! | family | forms | told apart by |
//! | --- | --- | --- |
//! | times | `rfc3339`, `unix_s`, `unix_ms` | the spelling; seconds from milliseconds by [`SECONDS_BELOW`] |
//! | numbers | `string`, `int`, `float` | `string` is a JSON string (`"42"`), the others are bare; `int` to `float` by the point or exponent |
//! | bytes | `hex`, `base64`, `text` | hex before base64; encoded text before plain text |
//! | edits | `text`, `{ prefix = "…" }`, `{ suffix = "…" }`, `{ replace = "…", with = "…" }` | whether the value has it |
//!
//! A JSON object and the fields of its members are many values at once, and have rules of their own:
//! [`Members`].

mod bytes;
mod edit;
mod error;
mod format;
mod members;
mod number;
mod time;

pub use error::{ConvertError, Misfit};
pub use format::Format;
pub use members::{MemberType, Members};
pub use time::SECONDS_BELOW;

/// From one form of a value to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    from: Format,
    to: Format,
    family: Family,
}

/// What a conversion makes of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The value is in the new form: nothing to do.
    Already,
    /// The value is in the old form, and this is the new one.
    Converted(Vec<u8>),
    /// The value fits neither form.
    Neither(Misfit),
}

/// A value that was taken as one form and may have been meant as another. Nothing is decided by it;
/// a plan can count such values and show some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// How the value is read.
    pub taken_as: Format,
    /// What it may be instead.
    pub may_be: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Time,
    Number,
    Bytes,
    Edit,
}

impl Family {
    /// The family in which `from` converts to `to`.
    fn of(from: &Format, to: &Format) -> Option<Self> {
        use Format as F;
        Some(match (from, to) {
            _ if from == to => return None,
            (F::Rfc3339 | F::UnixS | F::UnixMs, F::Rfc3339 | F::UnixS | F::UnixMs) => Self::Time,
            (F::String | F::Int | F::Float, F::String | F::Int | F::Float) => Self::Number,
            (F::Hex | F::Base64 | F::Text, F::Hex | F::Base64 | F::Text) => Self::Bytes,
            (F::Text, F::Prefix(_) | F::Suffix(_) | F::Replace { .. })
            | (F::Prefix(_), F::Text | F::Prefix(_))
            | (F::Suffix(_), F::Text | F::Suffix(_)) => Self::Edit,
            _ => return None,
        })
    }
}

impl Conversion {
    /// Errors: the two forms do not convert into each other, or an edit that could never be done.
    pub fn new(from: Format, to: Format) -> Result<Self, ConvertError> {
        from.check()?;
        to.check()?;
        match Family::of(&from, &to) {
            Some(family) => Ok(Self { from, to, family }),
            None => Err(ConvertError::Unsupported {
                supported: from.targets(),
                from,
                to,
            }),
        }
    }

    /// The old form.
    pub fn from(&self) -> &Format {
        &self.from
    }

    /// The new form.
    pub fn to(&self) -> &Format {
        &self.to
    }

    /// Reads `value`, and converts it if it is in the old form. An empty value is neither.
    pub fn apply(&self, value: &[u8]) -> Outcome {
        match self.read(value) {
            Outcome::Converted(converted) if self.read(&converted) != Outcome::Already => {
                Outcome::Neither(Misfit::Unstable {
                    from: self.from.clone(),
                    to: self.to.clone(),
                })
            }
            outcome => outcome,
        }
    }

    fn read(&self, value: &[u8]) -> Outcome {
        if value.is_empty() {
            return Outcome::Neither(Misfit::Empty);
        }
        let read = match self.family {
            Family::Time => time::read,
            Family::Number => number::read,
            Family::Bytes => bytes::read,
            Family::Edit => edit::read,
        };
        read(&self.from, &self.to, value)
    }

    /// The conversion back, or nothing where an edit forgets what was there.
    pub fn reverse(&self) -> Option<Self> {
        let (from, to) = match &self.to {
            Format::Replace { replace, with } => (
                Format::Text,
                Format::Replace {
                    replace: with.clone(),
                    with: replace.clone(),
                },
            ),
            to => (to.clone(), self.from.clone()),
        };
        Self::new(from, to).ok()
    }

    /// Whether converting `value` and then back would give other bytes, or none. A value that is not
    /// converted loses nothing.
    pub fn loses(&self, value: &[u8]) -> bool {
        let Outcome::Converted(converted) = self.apply(value) else {
            return false;
        };
        match self.reverse().map(|reverse| reverse.apply(&converted)) {
            Some(Outcome::Converted(back)) => back != value,
            _ => true,
        }
    }

    /// Whether `value`, though it can be read, may have been meant otherwise: an integer among
    /// milliseconds that is a likelier number of seconds, or hex and base64 that hold no text where
    /// text is the new form.
    pub fn doubt(&self, value: &[u8]) -> Option<Doubt> {
        match self.family {
            Family::Time => time::doubt(&self.from, &self.to, value),
            Family::Bytes => bytes::doubt(&self.from, &self.to, value),
            Family::Number | Family::Edit => None,
        }
    }
}

fn unreadable(from: &Format, to: &Format) -> Outcome {
    Outcome::Neither(Misfit::Unreadable {
        from: from.clone(),
        to: to.clone(),
    })
}

#[cfg(test)]
mod tests;
