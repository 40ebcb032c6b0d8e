//! `convert = ["…"]`: values of hash fields from one form to another.

mod members;
mod values;

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Op};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::pattern::Pattern;
use crate::model::redis::printable::printable;

pub use members::{MembersForm, Way};
pub use values::ValuesForm;

/// Converts fields of every hash of a pattern. An absent field stays absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convert {
    /// The hashes.
    pub within: Pattern,
    /// What becomes of which fields.
    pub what: Conversions,
    /// What a value in neither form means.
    pub on_error: OnError,
}

/// What is converted, and into what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversions {
    /// The value of each field by itself.
    Values(ValuesForm),
    /// One field of JSON and fields for its members, one from the other.
    Members(MembersForm),
}

/// What a value in neither form means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// The step fails.
    #[default]
    Fail,
    /// It is left as it is and recorded as an exception, which verify keeps naming.
    Record,
}

impl OnError {
    /// The words that a declaration may use.
    pub const NAMED: [(&'static str, Self); 2] = [("fail", Self::Fail), ("record", Self::Record)];
}

impl Declared for Convert {
    const NAME: &'static str = "convert";
    const KEYS: &'static [&'static str] = &["in", "from_format", "to_format", "on_error"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let fields = step.some(Self::NAME, step.texts(Self::NAME)?)?;
        for (index, field) in fields.iter().enumerate() {
            if fields[..index].iter().any(|other| other.raw == field.raw) {
                let problem = DeclarationProblem::Twice {
                    key: Self::NAME.to_owned(),
                    name: field.raw.clone(),
                };
                return Err(step.error(field.line, problem));
            }
        }
        let what = match members::parse(step, &fields)? {
            Some(members) => Conversions::Members(members),
            None => Conversions::Values(values::parse(step, &fields)?),
        };
        Ok(Self {
            within: step.pattern("in")?,
            what,
            on_error: step.word("on_error", &OnError::NAMED)?.unwrap_or_default(),
        })
    }
}

impl Operation for Convert {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.within)
    }

    fn key_type(&self) -> Option<KeyType> {
        Some(KeyType::Hash)
    }

    fn fields(&self) -> Vec<&str> {
        match &self.what {
            Conversions::Values(values) => values.fields.iter().map(String::as_str).collect(),
            Conversions::Members(members) => members.fields().collect(),
        }
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        match &self.what {
            Conversions::Values(values) => values.decide(self.on_error, view),
            Conversions::Members(members) => members.decide(self.on_error, view),
        }
    }

    fn irreversible(&self) -> Option<&'static str> {
        match &self.what {
            Conversions::Values(values) if values.conversion.reverse().is_none() => {
                Some("its conversion forgets what was there")
            }
            _ => None,
        }
    }

    fn reversed(&self) -> Option<Op> {
        let what = match &self.what {
            Conversions::Values(values) => Conversions::Values(ValuesForm {
                fields: values.fields.clone(),
                conversion: values.conversion.reverse()?,
            }),
            Conversions::Members(members) => Conversions::Members(members.reversed()),
        };
        Some(Op::Convert(Self {
            what,
            ..self.clone()
        }))
    }
}

impl std::fmt::Display for Convert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (fields, from, to) = match &self.what {
            Conversions::Values(values) => {
                let fields = values
                    .fields
                    .iter()
                    .map(|field| printable(field.as_bytes()));
                let fields: Vec<String> = fields.collect();
                let (from, to) = (values.conversion.from(), values.conversion.to());
                (fields.join(", "), from.to_string(), to.to_string())
            }
            Conversions::Members(members) => {
                let (json, fields) = ("json".to_owned(), members.members.to_string());
                let (from, to) = match members.way {
                    Way::Split => (json, fields),
                    Way::Join => (fields, json),
                };
                (printable(members.field.as_bytes()), from, to)
            }
        };
        write!(f, "convert {fields} in {} from {from} to {to}", self.within)
    }
}
