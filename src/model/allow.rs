//! Findings that an author accepts, with the reason.

/// One accepted finding, as it was written; whether the rule exists is the linter's business, so that a
/// released file stays readable when a rule goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The name of the rule.
    pub rule: String,
    /// Why its finding is accepted.
    pub reason: String,
    /// The 1-based line on which it is written.
    pub line: usize,
}
