//! `copy = "…"`, `to = "…"`: a key's value and time to live under another name.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Problem, Work, kind};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
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
    /// What fields must hold, or must not, for a source to be what the pattern takes it for.
    pub guards: Vec<Guard>,
    /// What happens where the target exists.
    pub on_conflict: OnConflict,
}

/// A condition on one field of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The field.
    pub field: String,
    /// The value that it is compared with.
    pub value: Template,
    /// Which of the two it must be.
    pub must: Must,
}

/// How a guarded field relates to its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// The field holds the value (`fields`).
    Be,
    /// The field does not hold the value, or is absent (`unless`).
    NotBe,
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

    /// The word that a declaration uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Replace => "replace",
            Self::Fail => "fail",
        }
    }
}

impl Declared for Copy {
    const NAME: &'static str = "copy";
    const KEYS: &'static [&'static str] = &["to", "type", "fields", "unless", "on_conflict"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let from = step.pattern(Self::NAME)?;
        let (_, to) = step.target("to", &from)?;
        let kind = step.word("type", &KeyType::NAMED)?;
        let mut guards = Vec::new();
        for (key, must) in [("fields", Must::Be), ("unless", Must::NotBe)] {
            let values = step.field_values(key, &from)?.into_iter();
            guards.extend(values.map(|(field, value)| Guard { field, value, must }));
        }
        if !guards.is_empty() && kind != Some(KeyType::Hash) {
            return Err(step.error(step.line(), DeclarationProblem::GuardWithoutHash));
        }
        let on_conflict = step.word("on_conflict", &OnConflict::NAMED)?;
        Ok(Self {
            from,
            to,
            kind,
            guards,
            on_conflict: on_conflict.unwrap_or_default(),
        })
    }
}

impl Operation for Copy {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.from)
    }

    fn key_type(&self) -> Option<KeyType> {
        self.kind
    }

    fn fields(&self) -> Vec<&str> {
        self.guards.iter().map(|guard| &*guard.field).collect()
    }

    fn target(&self) -> Option<&Template> {
        Some(&self.to)
    }

    fn values(&self) -> Vec<&Template> {
        self.guards.iter().map(|guard| &guard.value).collect()
    }

    fn decide(&self, item: &Item<'_>, view: &KeyView) -> Decision {
        for (index, (guard, value)) in self.guards.iter().zip(&item.values).enumerate() {
            let found = view.fields.get(index).cloned().flatten();
            let field = guard.field.clone();
            let holds = found.as_ref() == Some(value);
            match guard.must {
                Must::Be if !holds => {
                    let expected = value.clone();
                    return Decision::Refused(Problem::Guard {
                        field,
                        expected,
                        found,
                    });
                }
                Must::NotBe if holds => {
                    let found = value.clone();
                    return Decision::Refused(Problem::Ambiguous { field, found });
                }
                Must::Be | Must::NotBe => {}
            }
        }
        match (view.recorded, view.target, self.on_conflict) {
            (Some(_), _, _) | (None, true, OnConflict::Keep) => Decision::Done,
            (None, true, OnConflict::Fail) => Decision::Refused(Problem::Conflict),
            (None, true, OnConflict::Replace) | (None, false, _) => Decision::Work(Work::Copy),
        }
    }

    fn irreversible(&self) -> Option<&'static str> {
        (self.on_conflict == OnConflict::Replace).then_some("it replaces existing keys")
    }

    fn has_cleanup(&self) -> bool {
        true
    }
}

impl std::fmt::Display for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = kind::in_brackets(self.kind);
        write!(f, "copy {} -> {}{kind}", self.from, self.to)?;
        match self.on_conflict {
            OnConflict::Keep => Ok(()),
            OnConflict::Replace => f.write_str(", replacing existing ones"),
            OnConflict::Fail => f.write_str(", failing on existing ones"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::model::redis::declaration::Step;
    use crate::model::redis::op::Op;

    #[test]
    fn u33_a_hash_that_says_it_is_another_tenant_is_not_taken_for_a_list() {
        let none: &dyn Fn(&str) -> Option<String> = &|_| None;
        let copy = Copy {
            from: Pattern::parse("tenant:<id>:destinations").unwrap(),
            to: Template::parse_key("tenant:{<id>}:destinations", none).unwrap(),
            kind: Some(KeyType::Hash),
            guards: vec![Guard {
                field: "id".to_owned(),
                value: Template::parse_value("<id>:destinations", none).unwrap(),
                must: Must::NotBe,
            }],
            on_conflict: OnConflict::Keep,
        };
        let view = |id: Option<&str>| KeyView {
            kind: Some(KeyType::Hash),
            fields: vec![id.map(|id| id.as_bytes().to_vec())],
            ..KeyView::default()
        };
        let step = Step {
            number: 1,
            line: 1,
            op: Op::Copy(copy),
        };
        let item = Item {
            step: &step,
            key: b"tenant:a:destinations".to_vec(),
            target: None,
            values: vec![b"a:destinations".to_vec()],
        };
        for (id, taken) in [
            (None, true),
            (Some("another destination's JSON"), true),
            (Some("a:destinations"), false),
        ] {
            let decision = item.decide(&view(id));
            assert_eq!(decision == Decision::Work(Work::Copy), taken, "{id:?}");
        }
    }
}
