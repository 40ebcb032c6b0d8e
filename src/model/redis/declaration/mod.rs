//! The file of a Redis migration: what must hold of which keys.

mod checks;
mod error;
mod parse;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{DeclarationError, DeclarationProblem};
pub(in crate::model::redis) use steps::StepTable;

use crate::model::allow::Allow;
use crate::model::config::PlanConfig;
use crate::model::id::MigrationId;
use crate::model::redis::op::{Copy, Op};
use crate::model::redis::pattern::{Captures, Pattern};

/// A checked declaration, `${prefix}` and `${name}` filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// What the migration is for.
    pub description: Option<String>,
    /// The name of the marker of earlier tools.
    pub compat_name: Option<String>,
    /// The deployment that the migration is only for; an empty id is one without an id.
    pub only_deployment: Option<String>,
    /// The keys that must all be accounted for; empty when the migration has only commands.
    pub scope: Vec<Pattern>,
    /// Keys in scope that it leaves alone: its own patterns, then those of outpost.toml.
    pub ignore: Vec<Pattern>,
    /// Whether the edge to the migration before it is dropped.
    pub root: bool,
    /// The migrations that it requires besides, each with the line that names it, from 1.
    pub requires: BTreeMap<MigrationId, u32>,
    /// What must hold.
    pub steps: Vec<Step>,
    /// Findings of the linter that its author accepts.
    pub allow: Vec<Allow>,
}

/// One `[[step]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub number: usize,
    /// The line on which it begins, from 1.
    pub line: u32,
    /// What it does.
    pub op: Op,
}

/// What a key is to a migration.
// Made and taken apart at once, for every key of a server: a box would cost an allocation each.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Class<'d, 'k> {
    /// No pattern of the scope matches it.
    OutOfScope,
    /// An ignore pattern matches it.
    Ignored,
    /// This step works on it.
    Step(&'d Step, Captures<'k>),
    /// It is in scope, and nothing accounts for it.
    Unaccounted,
    /// It is in scope, and these steps all match it.
    Ambiguous(Vec<usize>),
}

impl Declaration {
    /// Reads and checks the text of a file. `file` is its name in errors; the configuration gives
    /// `${prefix}`, `${name}` and the ignore patterns of outpost.toml.
    ///
    /// # Errors
    /// [`DeclarationError`] for the first problem: of shape, of a pattern or template, and where patterns
    /// alone show that a key would be matched twice or by nothing.
    pub fn parse(file: &str, text: &str, config: &PlanConfig) -> Result<Self, DeclarationError> {
        let declaration = parse::Parser::new(file, config).declaration(text)?;
        checks::check(file, &declaration)?;
        Ok(declaration)
    }

    /// What a key is to this migration.
    pub fn classify<'d, 'k>(&'d self, key: &'k [u8]) -> Class<'d, 'k>
    where
        'd: 'k,
    {
        if !self.scope.iter().any(|scope| scope.matches(key)) {
            return Class::OutOfScope;
        }
        let mut found: Option<(&'d Step, Captures<'k>)> = None;
        let mut numbers = Vec::new();
        for step in &self.steps {
            let Some(captures) = step.op.pattern().and_then(|pattern| pattern.captures(key)) else {
                continue;
            };
            numbers.push(step.number);
            found.get_or_insert((step, captures));
        }
        match found {
            _ if numbers.len() > 1 => Class::Ambiguous(numbers),
            Some((step, captures)) => Class::Step(step, captures),
            None if self.ignore.iter().any(|ignore| ignore.matches(key)) => Class::Ignored,
            None => Class::Unaccounted,
        }
    }

    /// Which step has no reverse, and why; `None` where the migration can be reverted. That a conversion
    /// is lossy is another matter: it depends on the values.
    pub fn irreversible(&self) -> Option<String> {
        self.steps.iter().find_map(|step| {
            let reason = step.op.irreversible()?;
            Some(format!(
                "step {} ({}) cannot be undone: {reason}",
                step.number, step.op
            ))
        })
    }

    /// Whether it leaves something behind that a cleanup removes: the sources of copies, or what a script
    /// says of itself.
    pub fn has_cleanup(&self) -> bool {
        self.steps.iter().any(|step| step.op.has_cleanup())
    }

    /// Why `only_if` rules the migration out, or `None` where it applies.
    pub fn not_applicable(&self, config: &PlanConfig) -> Option<String> {
        let wanted = self.only_deployment.as_deref()?;
        let found = config
            .redis
            .as_ref()
            .and_then(|redis| redis.deployment_id.as_deref())
            .unwrap_or("");
        if wanted == found {
            return None;
        }
        let words = |id: &str| match id {
            "" => "without a deployment id".to_owned(),
            id => format!("with deployment id \"{id}\""),
        };
        Some(format!(
            "it is for a deployment {}, and this is one {}",
            words(wanted),
            words(found)
        ))
    }

    /// One readable line for each step.
    pub fn operations(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.op.to_string()).collect()
    }

    /// What a revert carries out: the reverse conversions and renamings, over the keys that they work on. A
    /// copy and a set stay what they are, and the revert takes back what they wrote.
    pub fn reversed(&self) -> Self {
        let mut reversed = self.clone();
        for step in &mut reversed.steps {
            // What was renamed lies where the target points, which may be outside of the scope.
            let targets = step.op.targets();
            step.op = step.op.reversed();
            if let (Op::Rename(_), Some(targets)) = (&step.op, targets) {
                reversed.scope.push(targets);
            }
        }
        reversed
    }

    /// The copies among its steps.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.steps.iter().filter_map(|step| match &step.op {
            Op::Copy(copy) => Some(copy),
            _ => None,
        })
    }

    /// The one glob that every key in scope matches: what SCAN is asked for.
    pub fn scan_glob(&self) -> Vec<u8> {
        scan_glob(&self.scope)
    }
}

/// The narrowest glob that every key of some patterns matches: that of a single one, or the literal
/// beginning that all share, and anything after it.
pub fn scan_glob<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Vec<u8> {
    let globs: BTreeSet<Vec<u8>> = patterns.into_iter().map(Pattern::glob).collect();
    let globs: Vec<Vec<u8>> = globs.into_iter().collect();
    if let [one] = globs.as_slice() {
        return one.clone();
    }
    let Some(first) = globs.first() else {
        return b"*".to_vec();
    };
    let mut shared = 0;
    let mut at = 0;
    while let Some(byte) = first.get(at) {
        // A unit is a literal byte, or a backslash and the byte that it makes literal.
        let length = match byte {
            b'*' | b'?' | b'[' => break,
            b'\\' => 2,
            _ => 1,
        };
        let unit = first.get(at..at + length);
        if unit.is_none() || !globs.iter().all(|glob| glob.get(at..at + length) == unit) {
            break;
        }
        at += length;
        shared = at;
    }
    let mut glob = first.get(..shared).unwrap_or_default().to_vec();
    glob.push(b'*');
    glob
}

#[cfg(test)]
mod tests;
