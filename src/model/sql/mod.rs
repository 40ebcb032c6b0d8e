//! SQL migration scripts: directives, statements and what can be told of them.
//!
//! [`Script::parse`] does it all: it reads the [`Directives`], fills in variables, splits the text into
//! [`Statement`]s, unwraps a BEGIN/COMMIT around them, refuses what cannot work, and classifies each one.

mod altered;
mod classify;
mod control;
mod depth;
mod directive;
mod effect;
mod error;
mod lines;
mod lock_mode;
mod name;
mod reader;
mod risk;
mod script;
mod shape;
mod substitute;
mod tables;
mod toll;
mod tree;

pub(crate) use depth::with_stack_for;

pub use classify::{Class, ConcurrentIndex, IndexAction};
pub use directive::{DirectiveError, Directives};
pub use effect::{Aspect, Effect, Object, ObjectKind};
pub use error::{Note, NoteKind, ScriptError, SyntaxProblem};
pub use lock_mode::LockMode;
pub use name::QualifiedName;
pub use risk::{Risk, RiskKind};
pub use script::{AllowComment, Script, Statement};
pub use shape::Shape;
pub use substitute::{SubstituteError, substitute};
pub use toll::{ForeignKeys, Subject, TableWork, Toll, Unless, stored_alike};
