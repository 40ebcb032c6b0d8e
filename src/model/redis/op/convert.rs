//! `convert = ["…"]`: values of hash fields from one form to another.

use super::{Change, Decision, Exception, KeyView, Problem, Work};
use crate::model::redis::convert::{Conversion, Outcome};
use crate::model::redis::pattern::Pattern;

/// Converts fields of every hash of a pattern. An absent field stays absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convert {
    /// The fields.
    pub fields: Vec<String>,
    /// The hashes.
    pub within: Pattern,
    /// From which form to which.
    pub conversion: Conversion,
    /// What a value in neither form means.
    pub on_error: OnError,
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

impl Convert {
    pub(super) fn decide(&self, view: &KeyView) -> Decision {
        let mut changes = Vec::new();
        let mut exceptions = Vec::new();
        for (field, value) in view.fields.iter().enumerate() {
            let Some(old) = value else { continue };
            match self.conversion.apply(old) {
                Outcome::Already => {}
                Outcome::Converted(new) => {
                    let lossy = self.conversion.loses(old);
                    changes.push(Change {
                        field,
                        old: old.clone(),
                        new,
                        lossy,
                    });
                }
                Outcome::Neither(misfit) if self.on_error == OnError::Record => {
                    exceptions.push(Exception { field, misfit });
                }
                Outcome::Neither(misfit) => {
                    let field = self.fields.get(field).cloned().unwrap_or_default();
                    return Decision::Refused(Problem::Unreadable {
                        field,
                        value: old.clone(),
                        misfit,
                    });
                }
            }
        }
        match (changes.is_empty(), exceptions.is_empty()) {
            (true, true) => Decision::Done,
            (true, false) => Decision::Excepted(exceptions),
            (false, _) => Decision::Work(Work::Convert {
                changes,
                exceptions,
            }),
        }
    }

    /// The step that undoes this one, where there is one.
    pub fn reverse(&self) -> Option<Self> {
        Some(Self {
            conversion: self.conversion.reverse()?,
            ..self.clone()
        })
    }
}

impl std::fmt::Display for Convert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (self.conversion.from(), self.conversion.to());
        write!(
            f,
            "convert {} in {} from {from} to {to}",
            self.fields.join(", "),
            self.within
        )
    }
}
