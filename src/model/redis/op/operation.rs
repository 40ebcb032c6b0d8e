//! What every operation says of itself.

use std::fmt;

use super::{Decision, Item, KeyType, KeyView, Op, Problem};
use crate::model::redis::declaration::{DeclarationError, StepTable};
use crate::model::redis::pattern::{Pattern, Template};

/// The rules of one operation. Plan, apply, verify and revert ask nothing else about it.
pub(super) trait Operation: fmt::Display {
    /// The pattern of the keys it works on; `None` for one without keys.
    fn pattern(&self) -> Option<&Pattern>;

    /// The type that its keys must have; `None` for any.
    fn key_type(&self) -> Option<KeyType> {
        None
    }

    /// The hash fields that have to be read to decide.
    fn fields(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether the time to live has to be read to decide.
    fn reads_ttl(&self) -> bool {
        false
    }

    /// Where its keys go, for one that gives keys another name.
    fn target(&self) -> Option<&Template> {
        None
    }

    /// Values that are filled in for each key.
    fn values(&self) -> Vec<&Template> {
        Vec::new()
    }

    /// Why a key must be left alone, whatever it holds.
    fn strays(&self, _: &Item<'_>) -> Option<Problem> {
        None
    }

    /// What is to be done with a key that exists and is of the right type.
    fn decide(&self, item: &Item<'_>, view: &KeyView) -> Decision;

    /// Why values may be lost in it that no reverse brings back; `None` where it has a reverse.
    fn irreversible(&self) -> Option<&'static str> {
        None
    }

    /// What a revert carries out instead. `None` where it is the same operation, run backwards: a copy
    /// deletes what it wrote, a set removes it.
    fn reversed(&self) -> Option<Op> {
        None
    }

    /// Whether it leaves something behind that a cleanup removes.
    fn has_cleanup(&self) -> bool {
        false
    }
}

/// How an operation is declared.
pub(super) trait Declared: Operation + Sized {
    /// The key that names it, and holds what it is about.
    const NAME: &'static str;
    /// The other keys that its step may have.
    const KEYS: &'static [&'static str];

    /// Reads its keys. No others are there.
    fn parse(step: &StepTable<'_>) -> Result<Self, DeclarationError>;
}
