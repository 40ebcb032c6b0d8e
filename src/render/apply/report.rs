//! What a run came to.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::id::MigrationId;
use crate::model::plan::PlanDigest;
use crate::model::report::{Done, Report, StepOutcome};
use crate::render::apply::words::done_words;
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::text::{beside, block, line, paragraph, wrapped};
use crate::render::units::{count, counted};
use crate::store::{StoreError, StoreErrorKind};

/// Writes what became of each step, one line that sums the run up, and how to resume. `resume` is the
/// command that was run.
///
/// # Errors
/// What `out` says.
pub fn report(
    out: &mut dyn Write,
    style: Style,
    report: &Report<StoreError>,
    resume: &str,
) -> io::Result<()> {
    for step in &report.steps {
        let (mark, tone, words) = match &step.outcome {
            StepOutcome::Done(done) => ('✓', Tone::Good, figures(&step.id, step.action, done)),
            StepOutcome::AlreadyDone => (
                '✓',
                Tone::Faint,
                format!("{} done by an earlier run", step.action),
            ),
            outcome if was_interrupted(outcome) => (
                '✗',
                Tone::Caution,
                format!("{} was interrupted", step.action),
            ),
            StepOutcome::Failed(_) => ('✗', Tone::Bad, format!("{} failed", step.action)),
            StepOutcome::NotStarted => ('.', Tone::Faint, format!("{} not started", step.action)),
        };
        let name = style.paint(tone, &format!("{mark} {}", step.id));
        beside(out, style, &name, &words)?;
        if let StepOutcome::Failed(error) = &step.outcome
            && !was_interrupted(&step.outcome)
        {
            failure(out, style, error)?;
        }
    }
    sum_up(out, style, report)?;
    if report.complete() {
        return Ok(());
    }
    let goes_on = match failures(report) {
        0 => "To go on with the same plan:",
        _ => "Once the cause is gone, this goes on with the same plan:",
    };
    let words = format!("What is applied is recorded and is not repeated. {goes_on}");
    wrapped(&words, style.room(0))
        .iter()
        .try_for_each(|text| writeln!(out, "{text}"))?;
    writeln!(out, "  {}", line(resume))
}

/// Writes the one line that sums a run up, for a reader who has just seen what became of each step.
///
/// # Errors
/// What `out` says.
pub fn sum_up(out: &mut dyn Write, style: Style, report: &Report<StoreError>) -> io::Result<()> {
    writeln!(out)?;
    paragraph(out, style, Tone::Strong, &summary(report))
}

fn figures(id: &MigrationId, action: &str, done: &Done) -> String {
    let mut words = done_words(id, action, done.ms, done.changed);
    if done.examined > 0 {
        words.push_str(&format!(
            " of {} examined in {}",
            count(done.examined),
            match done.passes {
                1 => "1 pass".to_owned(),
                passes => format!("{passes} passes"),
            }
        ));
    }
    words
}

fn failure(out: &mut dyn Write, style: Style, error: &StoreError) -> io::Result<()> {
    let text = block(&error.to_string());
    let mut lines = text.split('\n');
    for text in wrapped(lines.next().unwrap_or_default(), style.room(4)) {
        writeln!(out, "    {text}")?;
    }
    lines.try_for_each(|text| writeln!(out, "    {text}"))?;
    if let Some(hint) = error.hint() {
        let mut label = style.paint(Tone::Note, "hint:");
        for text in wrapped(&line(&hint), style.room(10)) {
            writeln!(out, "    {label} {text}")?;
            label = " ".repeat("hint:".len());
        }
    }
    Ok(())
}

/// An interruption is what somebody asked for: no failure of the step.
fn was_interrupted(outcome: &StepOutcome<StoreError>) -> bool {
    matches!(outcome, StepOutcome::Failed(error) if error.kind == StoreErrorKind::Cancelled)
}

/// How many steps failed by themselves.
fn failures(report: &Report<StoreError>) -> usize {
    let interrupted = report
        .steps
        .iter()
        .filter(|s| was_interrupted(&s.outcome))
        .count();
    report.failed() - interrupted
}

fn summary(report: &Report<StoreError>) -> String {
    let already = report
        .steps
        .iter()
        .filter(|s| matches!(s.outcome, StepOutcome::AlreadyDone))
        .count();
    let mut parts = vec![format!("{} done", counted(report.done() as u64, "step"))];
    if already > 0 {
        parts.push(format!("{already} done before"));
    }
    let failed = failures(report);
    let interrupted = report.failed() - failed;
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if interrupted > 0 {
        parts.push(format!("{interrupted} interrupted"));
    }
    if report.not_started() > 0 {
        parts.push(format!("{} not started", report.not_started()));
    }
    let word = match (report.complete(), failed) {
        (true, _) => "Applied",
        (false, 0) => "Interrupted",
        (false, _) => "Failed",
    };
    format!(
        "{word}: {}. Plan {}.",
        parts.join(", "),
        report.plan.short()
    )
}

/// Writes that the plan was applied before, and that nothing came after it.
///
/// # Errors
/// What `out` says.
pub fn already_applied(out: &mut dyn Write, style: Style, plan: PlanDigest) -> io::Result<()> {
    let plan = plan.short();
    let words =
        format!("Nothing to do: plan {plan} was applied before, and nothing came after it.");
    wrapped(&words, style.room(0))
        .iter()
        .try_for_each(|text| writeln!(out, "{text}"))
}

#[derive(Serialize)]
struct ReportJson<'a> {
    event: &'static str,
    plan: String,
    complete: bool,
    steps: Vec<StepJson<'a>>,
    resume: Option<&'a str>,
}

#[derive(Serialize)]
struct StepJson<'a> {
    id: &'a MigrationId,
    action: &'static str,
    outcome: &'static str,
    #[serde(flatten)]
    figures: Option<Done>,
    error: Option<String>,
    hint: Option<String>,
}

/// Writes the report as one line of JSON, the last one of `apply --format json`: its `event` is `report`.
///
/// # Errors
/// What `out` says.
pub fn report_json(
    out: &mut dyn Write,
    report: &Report<StoreError>,
    resume: &str,
) -> io::Result<()> {
    let steps = report
        .steps
        .iter()
        .map(|step| {
            let (outcome, figures, error) = match &step.outcome {
                StepOutcome::Done(done) => ("done", Some(*done), None),
                StepOutcome::AlreadyDone => ("already_done", None, None),
                StepOutcome::Failed(error) => ("failed", None, Some(error)),
                StepOutcome::NotStarted => ("not_started", None, None),
            };
            StepJson {
                id: &step.id,
                action: step.action,
                outcome,
                figures,
                error: error.map(ToString::to_string),
                hint: error.and_then(StoreError::hint),
            }
        })
        .collect();
    json::line(
        out,
        &ReportJson {
            event: "report",
            plan: report.plan.hex(),
            complete: report.complete(),
            steps,
            resume: (!report.complete()).then_some(resume),
        },
    )
}
