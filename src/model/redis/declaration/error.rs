//! What can be wrong with a Redis migration's file.

use crate::model::document::{ShapeError, ShapeProblem};
use crate::model::id::IdError;
use crate::model::redis::convert::ConvertError;
use crate::model::redis::pattern::PatternError;
use crate::model::redis::printable::printable;

/// A problem in a Redis migration's file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct DeclarationError {
    /// The file, as given to the parser.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub problem: Box<DeclarationProblem>,
}

/// The kinds of [`DeclarationError`]. Steps are counted from 1; keys are examples, the shortest there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationProblem {
    /// Malformed TOML, unknown keys, wrong types, missing keys.
    #[error(transparent)]
    Shape(ShapeProblem),
    /// A pattern or template that does not stand.
    #[error("`{key}`: {problem}")]
    Pattern {
        /// The key of the file.
        key: String,
        /// What is wrong with its value.
        problem: PatternError,
    },
    /// A pattern of `[redis] ignore` in outpost.toml that does not stand.
    #[error("[redis] ignore in outpost.toml: {0}")]
    ConfiguredIgnore(PatternError),
    /// A conversion that does not stand.
    #[error(transparent)]
    Convert(ConvertError),
    /// An entry of `requires` that is no id.
    #[error("`requires`: {0}")]
    Requires(IdError),
    /// A word that is not one of those expected.
    #[error("`{key}` cannot be \"{}\"", printable(.written.as_bytes()))]
    Word {
        /// The key of the file.
        key: String,
        /// As written.
        written: String,
        /// The words there are.
        known: Vec<&'static str>,
        /// The one that it resembles.
        nearest: Option<String>,
    },
    /// A time that cannot be read.
    #[error("`{key}` is not a time: \"{}\"", printable(.written.as_bytes()))]
    Time {
        /// The key of the file.
        key: String,
        /// As written.
        written: String,
    },
    /// A marker name that could reach other keys.
    #[error("`compat_name` may hold letters, digits, `_`, `.` and `-` only")]
    CompatName,
    /// No `[[step]]` at all.
    #[error("there is no [[step]]")]
    NoStep,
    /// Steps over keys, and no `scope`.
    #[error("`scope` is missing: it says which keys must all be accounted for")]
    NoScope,
    /// A step without an operation that is known.
    #[error("step {step} has no operation{}", .found.as_ref().map(|found| format!(": `{}` is none", printable(found.as_bytes()))).unwrap_or_default())]
    NoOperation {
        /// The step.
        step: usize,
        /// The first key that might have been meant as one.
        found: Option<String>,
        /// The operation that it resembles.
        nearest: Option<String>,
        /// The operations there are.
        known: Vec<&'static str>,
    },
    /// A step with two operations.
    #[error("step {step} has two operations, `{first}` and `{second}`")]
    TwoOperations {
        /// The step.
        step: usize,
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A list or table that must not be empty.
    #[error("`{key}` is empty")]
    Empty {
        /// The key of the file.
        key: String,
    },
    /// Two entries that are the same.
    #[error("`{key}` names {} twice", printable(.name.as_bytes()))]
    Twice {
        /// The key of the file.
        key: String,
        /// The repeated entry.
        name: String,
    },
    /// A guard on keys that are not declared to be hashes.
    #[error("`fields` and `unless` guard fields of a hash, so the step needs `type = \"hash\"`")]
    GuardWithoutHash,
    /// Two steps match the same key.
    #[error("step {first} and step {second} both match keys such as {}", printable(.example))]
    StepsOverlap {
        /// One step.
        first: usize,
        /// The other.
        second: usize,
        /// A key that both match.
        example: Vec<u8>,
    },
    /// A step and an ignore pattern match the same key.
    #[error("step {step} and `ignore` pattern {pattern} both match keys such as {}", printable(.example))]
    IgnoreOverlap {
        /// The step.
        step: usize,
        /// The ignore pattern as declared.
        pattern: String,
        /// A key that both match.
        example: Vec<u8>,
    },
    /// A step that reaches beyond the scope.
    #[error("step {step} matches keys outside of `scope`, such as {}", printable(.example))]
    OutsideScope {
        /// The step.
        step: usize,
        /// A key that the step matches and the scope does not.
        example: Vec<u8>,
    },
    /// A copy or a renaming whose targets are sources again.
    #[error("the targets of step {step} ({operation}) are keys that step {matched} works on, such as {}", printable(.example))]
    TargetIsSource {
        /// What it does.
        operation: &'static str,
        /// The step that has targets.
        step: usize,
        /// The step that matches its targets.
        matched: usize,
        /// Such a target.
        example: Vec<u8>,
    },
    /// Targets that are in scope and accounted for by nothing.
    #[error("the targets of step {step} ({operation}) are keys in `scope` that nothing accounts for, such as {}", printable(.example))]
    TargetUnaccounted {
        /// What it does.
        operation: &'static str,
        /// The step that has targets.
        step: usize,
        /// Such a target.
        example: Vec<u8>,
    },
    /// Two steps that may write the same key.
    #[error("step {first} and step {second} have the same targets, such as {}", printable(.example))]
    TargetsOverlap {
        /// One step.
        first: usize,
        /// The other.
        second: usize,
        /// A key that both may write.
        example: Vec<u8>,
    },
    /// A target that several sources would share.
    #[error("`to` does not use <{capture}>, so several sources would share one target")]
    TargetDropsCapture {
        /// The capture that is left out.
        capture: String,
    },
    /// A new name from which the old one could not be read.
    #[error("`to` cannot be read back, since two captures touch in it or there are too many")]
    TargetNotReadable,
    /// JSON on one side, and several fields on the other that are not its members.
    #[error("`convert` takes one field where it is converted from json or to json")]
    OneFieldOfJson,
    /// A member of the name of the field that it comes from.
    #[error("the member {} would take the place of the field of json itself", printable(.field.as_bytes()))]
    MemberInPlace {
        /// The name.
        field: String,
    },
    /// Lua with a line that only a script of its own may have.
    #[error("`{key}` begins with a shebang line")]
    Shebang {
        /// The key of the file.
        key: String,
    },
}

impl DeclarationProblem {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Shape(problem) => return problem.hint(),
            Self::Pattern { problem, .. } | Self::ConfiguredIgnore(problem) => return problem.hint(),
            Self::Convert(problem) => return problem.hint(),
            Self::Requires(problem) => return problem.hint(),
            Self::Word { nearest: Some(word), .. } => format!("did you mean \"{word}\"?"),
            Self::Word { known, .. } => format!("write one of \"{}\"", known.join("\", \"")),
            Self::Time { .. } => "write a whole number and a unit: 500ms, 30s, 5m, 12h, 7d".to_owned(),
            Self::CompatName => "write the name that earlier tools gave their marker, as in \"001_hash_tags\"".to_owned(),
            Self::NoStep => "declare what must hold in at least one [[step]]".to_owned(),
            Self::NoScope => "add `scope = \"…\"` with a pattern that covers every step".to_owned(),
            Self::NoOperation { nearest: Some(word), .. } => format!("did you mean `{word}`?"),
            Self::NoOperation { known, .. } => format!("the operations are `{}`", known.join("`, `")),
            Self::TwoOperations { .. } => "write one [[step]] for each".to_owned(),
            Self::Empty { .. } | Self::Twice { .. } => return None,
            Self::GuardWithoutHash => "add `type = \"hash\"` to the step".to_owned(),
            Self::StepsOverlap { .. } => "make the patterns exclude one another: <name> takes no `:`, <name..> takes anything".to_owned(),
            Self::IgnoreOverlap { .. } => "narrow one of the two: a key is either migrated or ignored".to_owned(),
            Self::OutsideScope { .. } => "widen `scope`, or narrow the step".to_owned(),
            Self::TargetIsSource { .. } => "let the targets be keys that no step matches".to_owned(),
            Self::TargetUnaccounted { .. } => "add the targets to `ignore`".to_owned(),
            Self::TargetsOverlap { .. } => "let the targets differ in a literal part".to_owned(),
            Self::TargetDropsCapture { capture } => format!("put <{capture}> into `to`"),
            Self::TargetNotReadable => "put a literal between the captures".to_owned(),
            Self::OneFieldOfJson => "write one [[step]] for each field".to_owned(),
            Self::MemberInPlace { .. } => "rename the field first, in a migration before this one".to_owned(),
            Self::Shebang { .. } => "remove it: the text runs as a function within the tool's own script, which has no flags".to_owned(),
        })
    }
}

impl DeclarationError {
    /// An error at a line of a file.
    pub(super) fn new(file: &str, line: u32, problem: DeclarationProblem) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem: Box::new(problem),
        }
    }

    /// An error in the file's shape.
    pub(super) fn shape(file: &str, error: ShapeError) -> Self {
        Self::new(file, error.line, DeclarationProblem::Shape(error.problem))
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}
