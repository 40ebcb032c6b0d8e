//! What a verification found.

use serde::Serialize;

use crate::model::id::MigrationId;

/// How many findings a check keeps in words; the rest is counted.
pub const SAMPLES: usize = 10;

/// One thing that was verified, exhaustively.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The migration that it belongs to; `None` for a check of the whole store.
    pub id: Option<MigrationId>,
    /// What was checked, in a few words.
    pub name: String,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// Keys, queries, objects or files examined.
    pub examined: u64,
    /// What `examined` counts, in the singular.
    pub unit: &'static str,
    /// Up to [`SAMPLES`] findings, printable.
    pub findings: Vec<String>,
    /// All findings.
    pub found: u64,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Everything is as it should be.
    Passed,
    /// Something is not.
    Failed,
    /// There is nothing to check it with; said, so that silence is never taken for a proof.
    Unchecked,
}

impl Check {
    /// A check without findings yet.
    pub fn new(id: Option<MigrationId>, name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            id,
            name: name.into(),
            outcome: CheckOutcome::Passed,
            examined: 0,
            unit,
            findings: Vec::new(),
            found: 0,
        }
    }

    /// Adds a finding, which fails the check.
    pub fn fail(&mut self, finding: impl Into<String>) {
        self.outcome = CheckOutcome::Failed;
        self.found += 1;
        if self.findings.len() < SAMPLES {
            self.findings.push(finding.into());
        }
    }

    /// Whether it failed.
    pub fn failed(&self) -> bool {
        self.outcome == CheckOutcome::Failed
    }
}

/// What a store's verification of one migration found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// The checks. Sources without a counterpart are no finding of theirs.
    pub checks: Vec<Check>,
    /// Sources of a copy that have no counterpart and that this tool did not copy before.
    pub sources_left: u64,
    /// A few of those, printable.
    pub samples: Vec<String>,
}

impl Verification {
    /// Whether any check failed.
    pub fn failed(&self) -> bool {
        self.checks.iter().any(Check::failed)
    }
}
