//! `verify`: one line a check.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::verification::{Check, CheckOutcome};
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::text::{line, wrapped};
use crate::render::units::{count, counted, counted_len};

/// Writes the checks, their findings and one line that sums them up.
///
/// # Errors
/// What `out` says.
pub fn verify(out: &mut dyn Write, style: Style, checks: &[Check]) -> io::Result<()> {
    for check in checks {
        one(out, style, check)?;
    }
    if !checks.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}", style.paint(Tone::Strong, &summary(checks)))
}

/// Writes one check and its findings.
pub(super) fn one(out: &mut dyn Write, style: Style, check: &Check) -> io::Result<()> {
    let (label, tone) = match check.outcome {
        CheckOutcome::Passed => ("ok       ", Tone::Good),
        CheckOutcome::Failed => ("FAILED   ", Tone::Bad),
        CheckOutcome::Unchecked => ("unchecked", Tone::Caution),
    };
    let subject = check
        .id
        .as_ref()
        .map_or_else(String::new, |id| format!("{id} "));
    let mut words = format!("{subject}{}", line(&check.name));
    if check.outcome != CheckOutcome::Unchecked {
        words.push_str(&format!(", {}", counted(check.examined, check.unit)));
    }
    match check.outcome {
        CheckOutcome::Failed => words.push_str(&format!(", {} wrong", count(check.found))),
        // Newer and damaged look the same: what was found is shown, and nobody judges it.
        CheckOutcome::Unchecked if check.found > 0 => {
            words.push_str(&format!(", {} not judged", count(check.found)));
        }
        CheckOutcome::Unchecked | CheckOutcome::Passed => {}
    }
    let indent = " ".repeat(label.len());
    let mut before = style.paint(tone, label);
    for text in wrapped(&words, style.room(label.len() + 2)) {
        writeln!(out, "{before}  {text}")?;
        before.clone_from(&indent);
    }
    let mut say = |mark: &str, text: &str| {
        let mut mark = mark;
        wrapped(&line(text), style.room(label.len() + 4))
            .into_iter()
            .try_for_each(|text| {
                let written = writeln!(out, "{indent}  {mark} {text}");
                mark = " ";
                written
            })
    };
    for finding in &check.findings {
        say("-", finding)?;
    }
    match check.found.saturating_sub(check.findings.len() as u64) {
        0 => Ok(()),
        more => say("-", &format!("and {} more", count(more))),
    }
}

fn summary(checks: &[Check]) -> String {
    let number = |outcome| checks.iter().filter(|c| c.outcome == outcome).count();
    let mut words = format!(
        "{}: {} ok, {} failed",
        counted_len(checks.len(), "check"),
        number(CheckOutcome::Passed),
        number(CheckOutcome::Failed)
    );
    match number(CheckOutcome::Unchecked) {
        0 => {}
        unchecked => words.push_str(&format!(", {unchecked} not checked")),
    }
    words
}

#[derive(Serialize)]
struct VerifyJson<'a> {
    passed: bool,
    checks: &'a [Check],
}

/// Writes the checks as JSON; `passed` is true where none failed.
///
/// # Errors
/// What `out` says.
pub fn verify_json(out: &mut dyn Write, checks: &[Check]) -> io::Result<()> {
    json::document(
        out,
        &VerifyJson {
            passed: !checks.iter().any(Check::failed),
            checks,
        },
    )
}
