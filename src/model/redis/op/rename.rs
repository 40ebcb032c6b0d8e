//! `rename = "…"`, `to = "…"`: another name for keys.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Op, Problem, Work, kind};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::pattern::{Pattern, Template};

/// Gives every key of a pattern another name, with its value and time to live. An existing key of that
/// name is never overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The names before.
    pub from: Names,
    /// The names after.
    pub to: Names,
    /// The type that the keys must have; `None` for any.
    pub kind: Option<KeyType>,
}

/// One side of a renaming, to be read and to be written: the way back needs both of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Which keys these are.
    pub pattern: Pattern,
    /// How such a name is put together.
    pub template: Template,
}

impl Declared for Rename {
    const NAME: &'static str = "rename";
    const KEYS: &'static [&'static str] = &["to", "type"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let pattern = step.pattern(Self::NAME)?;
        let (line, to) = step.target("to", &pattern)?;
        let Some(targets) = to.as_pattern(&pattern) else {
            return Err(step.error(line, DeclarationProblem::TargetNotReadable));
        };
        Ok(Self {
            from: Names {
                template: pattern.as_template(),
                pattern,
            },
            to: Names {
                pattern: targets,
                template: to,
            },
            kind: step.word("type", &KeyType::NAMED)?,
        })
    }
}

impl Operation for Rename {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.from.pattern)
    }

    fn key_type(&self) -> Option<KeyType> {
        self.kind
    }

    fn target(&self) -> Option<&Template> {
        Some(&self.to.template)
    }

    /// A key whose new name would be read back as another: the way back would not find home, or two keys
    /// would share one name.
    fn strays(&self, item: &Item<'_>) -> Option<Problem> {
        let target = item.target.as_deref()?;
        let captures = self.to.pattern.captures(target);
        let back = captures.and_then(|captures| self.from.template.expand(&captures).ok());
        (back.as_ref() != Some(&item.key)).then_some(Problem::OneWay { back })
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        if view.target && view.recorded.is_none() {
            Decision::Refused(Problem::Conflict)
        } else {
            Decision::Work(Work::Rename)
        }
    }

    fn reversed(&self) -> Option<Op> {
        Some(Op::Rename(Self {
            from: self.to.clone(),
            to: self.from.clone(),
            kind: self.kind,
        }))
    }
}

impl std::fmt::Display for Rename {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (&self.from.pattern, &self.to.template);
        write!(f, "rename {from} -> {to}{}", kind::in_brackets(self.kind))
    }
}
