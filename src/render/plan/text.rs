//! A plan on a terminal.

use std::io::{self, Write};

use crate::model::plan::{Action, PlannedStatement, Purpose};
use crate::render::plan::PlanView;
use crate::render::plan::note::ReviewNote;
use crate::render::plan::step::{StepView, key_words, table_words};
use crate::render::style::{Style, Tone};
use crate::render::text::{beside, block, cut, line, paragraph, squeezed, wrapped};

/// How much of each step is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line a statement, cut to the width.
    Brief,
    /// All of the SQL and the declarations, with line numbers.
    Full,
}

const INDENT: usize = 4;

/// Writes a plan: databases, steps, one summary line, the digest and the commands to run.
///
/// # Errors
/// What `out` says.
pub fn plan(
    out: &mut dyn Write,
    style: Style,
    view: &PlanView<'_>,
    detail: Detail,
) -> io::Result<()> {
    if view.plan.decision.is_empty() {
        remarks(out, style, view)?;
        writeln!(out, "{}", line(&view.nothing()))?;
        undrifted(out, style, view)?;
        return left_out(out, style, view);
    }
    paragraph(out, style, Tone::Strong, &line(&view.title()))?;
    for (kind, database) in view.databases() {
        let mut before = format!("  {kind:<5}");
        for text in wrapped(&line(&database), style.room(9)) {
            writeln!(out, "{before}  {text}")?;
            before = " ".repeat(7);
        }
    }
    remarks(out, style, view)?;
    undrifted(out, style, view)?;
    left_out(out, style, view)?;
    for words in view.rehearsal() {
        for text in wrapped(&line(&words), style.room(2)) {
            writeln!(out, "  {}", style.paint(Tone::Note, &text))?;
        }
    }
    for step in view.steps() {
        writeln!(out)?;
        heading(out, style, &step)?;
        body(out, style, &step, detail)?;
    }
    writeln!(out)?;
    paragraph(out, style, Tone::Strong, &view.summary_line())?;
    writeln!(out, "Digest: {}", view.plan.digest)?;
    if let Some((words, tone)) = view.signature() {
        let label = "Signature:";
        let mut before = label.to_owned();
        for text in wrapped(&line(&words), style.room(label.len() + 1)) {
            writeln!(out, "{before} {}", style.paint(tone, &text))?;
            before = " ".repeat(label.len());
        }
    }
    match view.file {
        Some(_) => writeln!(out, "To apply exactly this:")?,
        // The question comes next; there is nothing to save.
        None if view.plan.decision.purpose == Purpose::Resolve => return Ok(()),
        None => wrapped(
            "It is not saved. To save it, review it and apply exactly what was reviewed:",
            style.room(0),
        )
        .iter()
        .try_for_each(|text| writeln!(out, "{text}"))?,
    }
    for command in view.commands() {
        writeln!(out, "  {}", line(&command))?;
    }
    Ok(())
}

fn left_out(out: &mut dyn Write, style: Style, view: &PlanView<'_>) -> io::Result<()> {
    let Some(words) = view.left_out() else {
        return Ok(());
    };
    wrapped(&line(&words), style.room(2))
        .into_iter()
        .try_for_each(|text| writeln!(out, "  {}", style.paint(Tone::Caution, &text)))
}

fn remarks(out: &mut dyn Write, style: Style, view: &PlanView<'_>) -> io::Result<()> {
    let remarks = view.remarks();
    remarks
        .iter()
        .try_for_each(|remark| note(out, style, 2, remark))
}

/// A note, what it is about, and what to do about it.
fn note(out: &mut dyn Write, style: Style, indent: usize, note: &ReviewNote) -> io::Result<()> {
    let tone = match note.is_loss {
        true => Tone::Bad,
        false => Tone::Caution,
    };
    hanging(out, style, tone, indent, &[format!("! {}", note.words)])?;
    hanging(out, style, tone, indent + 4, &note.items)?;
    let advice: Vec<String> = note
        .advice
        .iter()
        .map(|words| format!("-> {words}"))
        .collect();
    hanging(out, style, Tone::Faint, indent + 2, &advice)
}

/// The colour of an action.
pub(in crate::render) fn tone(action: &Action) -> Tone {
    match action {
        Action::Apply => Tone::Good,
        Action::Revert { .. } => Tone::Bad,
        Action::Cleanup | Action::AcceptEdit { .. } | Action::Resolve(_) => Tone::Caution,
        Action::Adopt { .. } => Tone::Note,
        Action::Skip { .. } => Tone::Faint,
    }
}

fn heading(out: &mut dyn Write, style: Style, view: &StepView<'_>) -> io::Result<()> {
    let step = view.step;
    let mark = format!("{} {}", step.action.symbol(), step.id);
    let mark = style.paint(tone(&step.action), &mark);
    beside(out, style, &mark, &view.action())
}

fn body(out: &mut dyn Write, style: Style, view: &StepView<'_>, detail: Detail) -> io::Result<()> {
    let mut say = |tone: Option<Tone>, text: &str| {
        wrapped(&line(text), style.room(INDENT))
            .into_iter()
            .try_for_each(|text| {
                let text = tone.map_or(text.clone(), |tone| style.paint(tone, &text));
                writeln!(out, "{}{text}", " ".repeat(INDENT))
            })
    };
    if let Some(description) = &view.step.description {
        say(None, description)?;
    }
    if let Some(reason) = view.reason() {
        say(None, &reason)?;
    }
    say(Some(Tone::Faint), &view.how())?;
    for operation in view.operations() {
        say(None, &operation)?;
    }
    match detail {
        Detail::Brief => {
            brief(out, style, view.verify(), "first checked: ", |_| Vec::new())?;
            brief(out, style, view.statements(), "", |at| view.facts(at))?;
        }
        Detail::Full => {
            full(out, style, view.verify(), "first checked, line", |_| {
                Vec::new()
            })?;
            full(out, style, view.statements(), "line", |at| view.facts(at))?;
            if let Some(text) = view.declaration() {
                numbered(out, style, &block(text), 1)?;
            }
        }
    }
    let tables = view.evidence.tables.iter().map(table_words);
    let keys = view.evidence.keys.iter().map(key_words);
    let facts: Vec<String> = tables.chain(keys).chain(view.rehearsal()).collect();
    hanging(out, style, Tone::Note, INDENT, &facts)?;
    let notes = view.warnings();
    notes
        .iter()
        .try_for_each(|found| note(out, style, INDENT, found))
}

fn brief(
    out: &mut dyn Write,
    style: Style,
    statements: &[PlannedStatement],
    label: &str,
    facts: impl Fn(usize) -> Vec<String>,
) -> io::Result<()> {
    let width = number_width(statements);
    for (at, statement) in statements.iter().enumerate() {
        let text = format!("{:>width$}  {label}{}", statement.line, summary(statement));
        writeln!(
            out,
            "{}{}",
            " ".repeat(INDENT),
            cut(&text, style.room(INDENT))
        )?;
        hanging(out, style, Tone::Note, INDENT + width + 2, &facts(at))?;
    }
    Ok(())
}

/// A paragraph each; what does not fit on a line goes on further in.
fn hanging(
    out: &mut dyn Write,
    style: Style,
    tone: Tone,
    indent: usize,
    paragraphs: &[String],
) -> io::Result<()> {
    for words in paragraphs {
        let mut margin = indent;
        for text in wrapped(&line(words), style.room(indent + 2)) {
            let text = style.paint(tone, &text);
            writeln!(out, "{}{text}", " ".repeat(margin))?;
            margin = indent + 2;
        }
    }
    Ok(())
}

/// What a statement is and how it begins: its verb is not said twice.
pub(super) fn summary(statement: &PlannedStatement) -> String {
    let text = squeezed(&statement.text);
    let verb = line(&statement.verb);
    let begins = text
        .get(..verb.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(&verb));
    if begins || verb.is_empty() {
        text
    } else {
        format!("{verb}: {text}")
    }
}

fn full(
    out: &mut dyn Write,
    style: Style,
    statements: &[PlannedStatement],
    label: &str,
    facts: impl Fn(usize) -> Vec<String>,
) -> io::Result<()> {
    for (at, statement) in statements.iter().enumerate() {
        let heading = format!("{label} {}: {}", statement.line, line(&statement.verb));
        writeln!(
            out,
            "{}{}",
            " ".repeat(INDENT),
            style.paint(Tone::Faint, &heading)
        )?;
        numbered(out, style, &block(&statement.text), statement.line)?;
        hanging(out, style, Tone::Note, INDENT, &facts(at))?;
    }
    Ok(())
}

fn numbered(out: &mut dyn Write, style: Style, text: &str, first: u32) -> io::Result<()> {
    let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
    let last = u64::from(first) + lines.len() as u64;
    let width = last.to_string().len();
    for (number, text) in (u64::from(first)..).zip(lines) {
        let margin = style.paint(Tone::Faint, &format!("{number:>width$} |"));
        let text = if text.is_empty() {
            String::new()
        } else {
            format!(" {text}")
        };
        writeln!(out, "{}{margin}{text}", " ".repeat(INDENT))?;
    }
    Ok(())
}

fn number_width(statements: &[PlannedStatement]) -> usize {
    statements
        .iter()
        .map(|s| s.line.to_string().len())
        .max()
        .unwrap_or(1)
}

fn undrifted(out: &mut dyn Write, style: Style, view: &PlanView<'_>) -> io::Result<()> {
    let words = view.undrifted().into_iter();
    let mut lines = words.flat_map(|words| wrapped(words, style.room(2)));
    lines.try_for_each(|text| writeln!(out, "  {}", style.paint(Tone::Note, &text)))
}
