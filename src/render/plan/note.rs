//! What a reviewer should look at: warnings, what the linter found, and drift.

use std::collections::BTreeSet;

use crate::model::drift::{KeyDrift, PinnedDrift};
use crate::model::id::MigrationId;
use crate::model::lint::{Finding, Level};
use crate::model::plan::{Action, Evidence, Plan, StepContent, Warning, WarningKind};
use crate::render::drift::other_server;
use crate::render::lint::place;
use crate::render::plan::PlanView;
use crate::render::plan::step::StepView;
use crate::render::units::{count, counted, counted_len};

/// Drifted objects, and findings that belong to no step, that are named; JSON has all.
const NAMED: usize = 10;

/// Something to look at before a plan is applied.
#[derive(Debug, Clone)]
pub(super) struct ReviewNote {
    /// All of it, with its sort in front.
    pub(super) words: String,
    pub(super) kind: NoteKind,
    /// Without its sort.
    pub(super) message: String,
    /// Whether data is lost.
    pub(super) is_loss: bool,
    /// What it is about, one each, where the message only counts them.
    pub(super) items: Vec<String>,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

/// Sorts of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoteKind {
    /// The schema or the keys are not as recorded.
    Drift,
    /// A warning of the evidence.
    Warning(WarningKind),
    /// A rule of the linter found it.
    Lint(Level),
}

impl NoteKind {
    /// Its place among all sorts, the gravest first.
    pub(super) fn gravity(self) -> usize {
        match self {
            Self::Drift => 0,
            Self::Warning(WarningKind::DataLoss) => 1,
            Self::Warning(WarningKind::Rehearsal) => 2,
            Self::Lint(Level::Error) => 3,
            Self::Warning(WarningKind::Unaccounted) => 4,
            Self::Warning(WarningKind::Memory) => 5,
            Self::Warning(WarningKind::Rewrite) => 6,
            Self::Warning(WarningKind::Blocking) => 7,
            Self::Warning(WarningKind::Irreversible) => 8,
            Self::Lint(Level::Warn | Level::Note) => 9,
            Self::Warning(WarningKind::Other) => 10,
            Self::Warning(WarningKind::NoVerification) => 11,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Lint(Level::Error) => "lint error",
            Self::Lint(Level::Warn | Level::Note) => "lint",
            Self::Warning(kind) => match kind {
                WarningKind::DataLoss => "data loss",
                WarningKind::Blocking => "blocking",
                WarningKind::Rewrite => "rewrite",
                WarningKind::Irreversible => "irreversible",
                WarningKind::NoVerification => "unverified",
                WarningKind::Memory => "memory",
                WarningKind::Unaccounted => "unaccounted keys",
                WarningKind::Rehearsal => "rehearsal",
                WarningKind::Other => "warning",
            },
        }
    }
}

impl ReviewNote {
    fn new(kind: NoteKind, message: String, advice: Option<String>) -> Self {
        Self {
            words: format!("{}: {message}", kind.label()),
            kind,
            message,
            is_loss: kind == NoteKind::Warning(WarningKind::DataLoss),
            items: Vec::new(),
            advice,
        }
    }

    fn of_finding(finding: &Finding) -> Self {
        Self::found(finding, Some(place(finding)))
    }

    /// A finding in the file of which the reader sees the step: its line is enough.
    fn of_own_finding(finding: &Finding) -> Self {
        Self::found(finding, finding.line.map(|line| format!("line {line}")))
    }

    fn found(finding: &Finding, place: Option<String>) -> Self {
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        Self::new(
            NoteKind::Lint(finding.level),
            format!("{place}{}: {}", finding.rule, finding.message),
            finding.advice.clone(),
        )
    }

    fn of_drift(drift: &PinnedDrift) -> Self {
        let mut message = format!(
            "{} in Postgres not as recorded, by outpost.lock after {}",
            counted_len(drift.objects.len(), "object"),
            drift.after
        );
        if let Some(words) = other_server(drift.server, drift.expected_server) {
            message.push_str(&format!(". {words}"));
        }
        let named = drift.objects.iter().take(NAMED).map(ToString::to_string);
        let mut items: Vec<String> = named.collect();
        items.extend(more(drift.objects.len()));
        Self {
            items,
            ..Self::new(
                NoteKind::Drift,
                message,
                Some("outpost migrate drift shows what differs".to_owned()),
            )
        }
    }

    fn of_key_drift(drift: &KeyDrift) -> Self {
        let message = format!(
            "{} in Redis among {} of {}: {}",
            counted(drift.found, "finding"),
            counted(drift.examined, &drift.unit),
            drift.id,
            drift.check
        );
        let mut items = drift.findings.clone();
        items.extend(beside(drift.found, items.len()));
        Self {
            items,
            ..Self::new(
                NoteKind::Drift,
                message,
                Some("outpost migrate drift --only redis shows where it stands now".to_owned()),
            )
        }
    }
}

/// How many there are beside those that are named.
fn more(number: usize) -> Option<String> {
    beside(number as u64, NAMED)
}

fn beside(number: u64, named: usize) -> Option<String> {
    let more = number.checked_sub(named as u64).filter(|more| *more > 0)?;
    Some(format!("and {} more", count(more)))
}

/// Whether a screen shows a finding by itself: it is more than a note, and the evidence does not say it already.
/// An error is always shown.
fn stands_alone(finding: &Finding) -> bool {
    match finding.level {
        Level::Error => true,
        Level::Warn => finding.said_as().is_none(),
        Level::Note => false,
    }
}

impl<'a> StepView<'a> {
    /// What a reviewer should look at; what is lost for good comes first.
    pub(super) fn warnings(&self) -> Vec<ReviewNote> {
        let loss = match &self.step.action {
            Action::Revert {
                data_loss: Some(loss),
            } => Some(loss),
            _ => None,
        };
        let said = loss.map(|loss| {
            let kind = NoteKind::Warning(WarningKind::DataLoss);
            ReviewNote::new(kind, loss.clone(), None)
        });
        let warned = self
            .evidence
            .warnings
            .iter()
            // What the decision says of a loss needs no saying again.
            .filter(|w| loss.is_none() || w.kind != WarningKind::DataLoss)
            .map(|w| ReviewNote::new(NoteKind::Warning(w.kind), placed(w), self.advice(w)));
        let found = self.findings.iter().filter(|f| stands_alone(f));
        let own = self.path();
        let found = found.map(|f| match own == Some(f.file.as_str()) {
            true => ReviewNote::of_own_finding(f),
            false => ReviewNote::of_finding(f),
        });
        said.into_iter().chain(warned).chain(found).collect()
    }

    /// The place of its gravest warning among all sorts of them; what has no warning comes last.
    pub(super) fn gravest(&self) -> usize {
        let warnings = self.warnings();
        let places = warnings.iter().map(|note| note.kind.gravity());
        places.min().unwrap_or(usize::MAX)
    }

    /// The linter's advice on what a warning says with the sizes of the tables.
    fn advice(&self, warning: &Warning) -> Option<String> {
        let finding = self.findings.iter().find(|finding| {
            finding.said_as() == Some(warning.kind)
                && !stands_alone(finding)
                && (warning.line.is_none() || self.statement_line(finding) == warning.line)
        })?;
        finding.advice.clone()
    }

    /// The line on which the statement begins that a finding is about.
    fn statement_line(&self, finding: &Finding) -> Option<u32> {
        match &self.step.content {
            StepContent::Sql(sql) if sql.path == finding.file => {
                let line = u32::try_from(finding.line?).ok()?;
                let before = sql.statements.iter().map(|s| s.line);
                before.filter(|begins| *begins <= line).max()
            }
            _ => None,
        }
    }
}

impl PlanView<'_> {
    /// What a reviewer should look at and what belongs to no step: drift, and files of other migrations that are
    /// not as locked. Of many, the first ones and how many there are.
    pub(super) fn remarks(&self) -> Vec<ReviewNote> {
        let evidence = &self.plan.evidence;
        let mut notes: Vec<ReviewNote> = drifted(evidence).map(ReviewNote::of_drift).collect();
        notes.extend(drifted_keys(evidence).map(ReviewNote::of_key_drift));
        let findings = self.findings_of_no_step();
        notes.extend(
            findings
                .iter()
                .take(NAMED)
                .map(|f| ReviewNote::of_finding(f)),
        );
        notes.extend(more(findings.len()).map(|words| {
            let gravest = findings[NAMED..].iter().map(|f| f.level).max();
            ReviewNote::new(
                NoteKind::Lint(gravest.unwrap_or(Level::Warn)),
                words,
                Some("outpost migrate lint lists them all".to_owned()),
            )
        }));
        notes
    }

    /// How many remarks there are, those included that are only counted.
    pub(super) fn remark_count(&self) -> usize {
        let evidence = &self.plan.evidence;
        drifted(evidence).count()
            + drifted_keys(evidence).count()
            + self.findings_of_no_step().len()
    }

    fn findings_of_no_step(&self) -> Vec<&Finding> {
        let steps = self.plan.decision.steps.iter();
        let steps: BTreeSet<&MigrationId> = steps.map(|step| &step.id).collect();
        let of_step = |id: &MigrationId| steps.contains(id);
        let findings = self.plan.evidence.lint.iter();
        findings
            .filter(|f| !f.id.as_ref().is_some_and(of_step) && stands_alone(f))
            .collect()
    }
}

/// How many warnings each step has, in the plan's order.
pub(in crate::render) fn warning_counts(plan: &Plan) -> Vec<usize> {
    let view = PlanView {
        plan,
        file: None,
        signature: None,
    };
    view.steps().map(|step| step.warnings().len()).collect()
}

fn drifted(evidence: &Evidence) -> impl Iterator<Item = &PinnedDrift> {
    let drift = evidence.drift.iter();
    drift.filter(|drift| !drift.objects.is_empty())
}

fn drifted_keys(evidence: &Evidence) -> impl Iterator<Item = &KeyDrift> {
    evidence.redis_drift.iter().flatten()
}

/// A warning with its line.
fn placed(warning: &Warning) -> String {
    match warning.line {
        Some(line) => format!("line {line}: {}", warning.message),
        None => warning.message.clone(),
    }
}
