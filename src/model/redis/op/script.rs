//! `script = """lua"""`: Lua of the author's over keys, for what no other operation says.

use super::operation::{Declared, Operation};
use super::{Decision, Item, KeyType, KeyView, Work, kind};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::pattern::{Pattern, Template};

/// Runs Lua over keys of a pattern, a batch at a time, in one atomic unit with its own check and with that
/// of the lease. The texts see `KEYS`, the batch, and `ARGV`, the arguments of its first key, then those of
/// the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Deals with the keys for which the check asks for work.
    pub run: String,
    /// Reads, and answers a list: for each key whether it needs work.
    pub check: String,
    /// Takes back what was done with the keys for which the check asks for none.
    pub undo: Option<String>,
    /// Removes what `run` left behind, and answers a list: for each key whether there was something.
    pub cleanup: Option<String>,
    /// The keys.
    pub within: Pattern,
    /// The type that they must have; `None` for any.
    pub kind: Option<KeyType>,
    /// Each key's arguments.
    pub args: Vec<Template>,
}

impl Script {
    /// Each text with the key that declares it.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let optional = [("undo", &self.undo), ("cleanup", &self.cleanup)];
        [(Self::NAME, &*self.run), ("check", &*self.check)]
            .into_iter()
            .chain(
                optional
                    .into_iter()
                    .filter_map(|(key, text)| Some((key, text.as_deref()?))),
            )
    }
}

impl Declared for Script {
    const NAME: &'static str = "script";
    const KEYS: &'static [&'static str] = &["in", "type", "args", "check", "undo", "cleanup"];

    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError> {
        let within = step.pattern("in")?;
        step.required(Self::NAME)?;
        step.required("check")?;
        let args = step.texts("args")?;
        Ok(Self {
            run: lua(step, Self::NAME)?.unwrap_or_default(),
            check: lua(step, "check")?.unwrap_or_default(),
            undo: lua(step, "undo")?,
            cleanup: lua(step, "cleanup")?,
            kind: step.word("type", &KeyType::NAMED)?,
            args: args
                .iter()
                .map(|text| step.value_template(text, &within))
                .collect::<Result<_, _>>()?,
            within,
        })
    }
}

/// A text of Lua. It becomes a function, so it cannot be empty of meaning or ask for flags of its own.
fn lua(step: &StepTable<'_>, key: &str) -> Result<Option<String>, DeclarationError> {
    let Some(text) = step.string(key)? else {
        return Ok(None);
    };
    let key = key.to_owned();
    if text.raw.trim().is_empty() {
        return Err(step.error(text.line, DeclarationProblem::Empty { key }));
    }
    if text.raw.trim_start().starts_with("#!") {
        return Err(step.error(text.line, DeclarationProblem::Shebang { key }));
    }
    Ok(Some(text.raw))
}

impl Operation for Script {
    fn pattern(&self) -> Option<&Pattern> {
        Some(&self.within)
    }

    fn key_type(&self) -> Option<KeyType> {
        self.kind
    }

    fn values(&self) -> Vec<&Template> {
        self.args.iter().collect()
    }

    fn decide(&self, _: &Item<'_>, view: &KeyView) -> Decision {
        if view.needs_work {
            Decision::Work(Work::Script)
        } else {
            Decision::Done
        }
    }

    fn irreversible(&self) -> Option<&'static str> {
        self.undo.is_none().then_some("it has no `undo`")
    }

    fn has_cleanup(&self) -> bool {
        self.cleanup.is_some()
    }
}

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "script over {}{}",
            self.within,
            kind::in_brackets(self.kind)
        )
    }
}
