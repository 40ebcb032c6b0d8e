//! Errors, hints and questions.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::plan::Difference;
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::text::{block, line, padded, wrapped};

/// Writes an error and what to do next. Both may quote servers and files.
///
/// # Errors
/// What `out` says.
pub fn error(
    out: &mut dyn Write,
    style: Style,
    message: &str,
    hint: Option<&str>,
) -> io::Result<()> {
    let label = if style.colour {
        style.paint(Tone::Bad, &style.paint(Tone::Strong, "error:"))
    } else {
        "error:".to_owned()
    };
    labelled(out, style, &label, "error:".len(), message)?;
    hint.map_or(Ok(()), |text| self::hint(out, style, text))
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    message: &'a str,
    /// Of a stale plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
    hint: Option<&'a str>,
    exit_code: u8,
}

/// Writes the same for programs, on one line: progress and questions may stand on other lines of the stream.
///
/// # Errors
/// What `out` says.
pub fn error_json(
    out: &mut dyn Write,
    message: &str,
    hint: Option<&str>,
    exit_code: u8,
) -> io::Result<()> {
    let error = Told {
        message,
        differences: Vec::new(),
        hint,
        exit_code,
    };
    json::line(out, &ErrorJson { error })
}

const STALE: &str = "the plan is stale: the databases are not where it was made from";

/// Writes that a plan is stale, what differs from what it was made from, and what to do next.
///
/// # Errors
/// What `out` says.
pub fn stale(
    out: &mut dyn Write,
    style: Style,
    differences: &[Difference],
    hint: Option<&str>,
) -> io::Result<()> {
    error(out, style, STALE, None)?;
    for difference in differences {
        let mut mark = style.paint(Tone::Bad, "!");
        for text in wrapped(&line(&difference.to_string()), style.room(4)) {
            writeln!(out, "  {} {text}", padded(&mark, 1))?;
            mark = String::new();
        }
    }
    hint.map_or(Ok(()), |text| self::hint(out, style, text))
}

/// Writes the same for programs, on one line.
///
/// # Errors
/// What `out` says.
pub fn stale_json(
    out: &mut dyn Write,
    differences: &[Difference],
    hint: Option<&str>,
    exit_code: u8,
) -> io::Result<()> {
    let error = Told {
        message: STALE,
        differences: differences.iter().map(ToString::to_string).collect(),
        hint,
        exit_code,
    };
    json::line(out, &ErrorJson { error })
}

/// Writes what to do next.
///
/// # Errors
/// What `out` says.
pub fn hint(out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
    labelled(
        out,
        style,
        &style.paint(Tone::Note, "hint:"),
        "hint:".len(),
        text,
    )
}

/// Writes a warning.
///
/// # Errors
/// What `out` says.
pub fn warning(out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
    labelled(
        out,
        style,
        &style.paint(Tone::Caution, "warning:"),
        "warning:".len(),
        text,
    )
}

/// Writes a plain remark.
///
/// # Errors
/// What `out` says.
pub fn remark(out: &mut dyn Write, _style: Style, text: &str) -> io::Result<()> {
    writeln!(out, "{}", block(text))
}

/// Writes a question and stays on its line.
///
/// # Errors
/// What `out` says.
pub fn question(out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
    write!(
        out,
        "{} Only \"yes\" is a yes: ",
        style.paint(Tone::Strong, &line(text))
    )
}

/// Breaks the first line of the text at the width and keeps the others, which quote SQL, as they are.
fn labelled(
    out: &mut dyn Write,
    style: Style,
    label: &str,
    indent: usize,
    text: &str,
) -> io::Result<()> {
    let text = block(text);
    let mut lines = text.split('\n');
    let mut before = label.to_owned();
    for text in wrapped(lines.next().unwrap_or_default(), style.room(indent + 1)) {
        writeln!(out, "{before} {text}")?;
        before = " ".repeat(indent);
    }
    lines.try_for_each(|text| writeln!(out, "{text}"))
}
