//! `copy = "…"`, `to = "…"`: a key's value and time to live under another name.

use super::{Decision, KeyType, KeyView, Problem, Work};
use crate::model::redis::pattern::{Pattern, Template};

/// Copies every key of a pattern, with its time to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The sources.
    pub from: Pattern,
    /// Where each goes.
    pub to: Template,
    /// The type that sources must have; `None` for any.
    pub kind: Option<KeyType>,
    /// Fields that must hold a value, or the source is not what the pattern takes it for.
    pub guards: Vec<(String, Template)>,
    /// What happens where the target exists.
    pub on_conflict: OnConflict,
}

/// What happens where the target of a copy exists already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It is kept.
    #[default]
    Keep,
    /// It is replaced, once.
    Replace,
    /// The step fails.
    Fail,
}

impl OnConflict {
    /// The words that a declaration may use.
    pub const NAMED: [(&'static str, Self); 3] = [
        ("keep", Self::Keep),
        ("replace", Self::Replace),
        ("fail", Self::Fail),
    ];
}

impl Copy {
    pub(super) fn decide(&self, guards: &[Vec<u8>], view: &KeyView) -> Decision {
        for (index, ((field, _), expected)) in self.guards.iter().zip(guards).enumerate() {
            let found = view.fields.get(index).cloned().flatten();
            if found.as_ref() != Some(expected) {
                return Decision::Refused(Problem::Guard {
                    field: field.clone(),
                    expected: expected.clone(),
                    found,
                });
            }
        }
        match (view.recorded, view.target, self.on_conflict) {
            (Some(_), _, _) | (None, true, OnConflict::Keep) => Decision::Done,
            (None, true, OnConflict::Fail) => Decision::Refused(Problem::Conflict),
            (None, true, OnConflict::Replace) | (None, false, _) => Decision::Work(Work::Copy),
        }
    }
}

impl std::fmt::Display for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "copy {} -> {}", self.from, self.to)?;
        if let Some(kind) = self.kind {
            write!(f, " ({})", kind.name())?;
        }
        match self.on_conflict {
            OnConflict::Keep => Ok(()),
            OnConflict::Replace => f.write_str(", replacing existing ones"),
            OnConflict::Fail => f.write_str(", failing on existing ones"),
        }
    }
}
