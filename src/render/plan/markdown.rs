//! A plan as Markdown, for a comment in a pull request.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::render::graph::{GraphView, graph_mermaid};
use crate::render::plan::PlanView;
use crate::render::plan::note::ReviewNote;
use crate::render::plan::step::StepView;
use crate::render::text::{block, cut, markdown};
use crate::render::units::{count, counted_len};

/// GitHub takes comments of 65,536 characters at most. Counted here in bytes, which are never fewer.
const LONGEST: usize = 65_536;

/// Left free for the notes that say what was left out, the digest and the commands.
const RESERVE: usize = 4096;

/// Warnings that are listed in front; every step has its own again.
const WARNINGS: usize = 20;

/// Columns for what may be long and is no step: a remark, who signed, migrations whose store is not configured.
const LEFT_OUT: usize = 1000;

/// Columns for the name of a drifted object.
const ITEM: usize = 300;

/// Steps of which a diagram can still be read in a comment.
const DRAWN: usize = 40;

/// Writes a plan as Markdown: the warnings, a table of the steps, each step's content folded away, the
/// digest and the commands. What does not fit into a comment is left out, and named; what has the gravest
/// warnings is left out last.
///
/// # Errors
/// What `out` says.
pub fn plan_markdown(out: &mut dyn Write, view: &PlanView<'_>) -> io::Result<()> {
    if view.plan.decision.is_empty() {
        let left_out = view
            .left_out()
            .map_or_else(String::new, |words| format!(" ({})", markdown(&words)));
        let mut remarks: String = view.remarks().iter().map(remarked).collect();
        if !remarks.is_empty() {
            remarks.push('\n');
        }
        let undrifted = view
            .undrifted()
            .map_or_else(String::new, |words| format!(" ({})", markdown(words)));
        let nothing = markdown(&view.nothing());
        return writeln!(out, "{remarks}{nothing}{left_out}{undrifted}");
    }
    let mut text = head(view);
    let end = tail(view);
    let limit = LONGEST - RESERVE - end.len().min(RESERVE);
    warnings(view, &mut text, limit / 4);
    table(view, &mut text, limit / 2);
    diagram(view, &mut text, limit / 2)?;
    let (steps, left_out) = chosen(view, limit.saturating_sub(text.len()));
    text.extend(steps);
    if !left_out.is_empty() {
        text.push_str(&note(view, &left_out));
    }
    text.push_str(&end);
    out.write_all(text.as_bytes())
}

/// What is said of each step in `room` bytes, in the plan's order, and whose content is left out. The room
/// goes to the gravest warnings first.
fn chosen(view: &PlanView<'_>, room: usize) -> (Vec<String>, Vec<String>) {
    let steps: Vec<StepView<'_>> = view.steps().collect();
    let mut by_gravity: Vec<(usize, usize)> = steps
        .iter()
        .enumerate()
        .map(|(at, step)| (step.gravest(), at))
        .collect();
    by_gravity.sort_unstable();
    let mut room = room;
    let mut said = vec![String::new(); steps.len()];
    let mut left_out = vec![false; steps.len()];
    for (_, at) in by_gravity {
        let mut text = details(&steps[at], true);
        if text.len() > room {
            left_out[at] = true;
            text = details(&steps[at], false);
        }
        if text.len() <= room {
            room -= text.len();
            said[at] = text;
        }
    }
    let names = steps
        .iter()
        .zip(left_out)
        .filter(|(_, left_out)| *left_out)
        .map(|(step, _)| step.step.id.to_string())
        .collect();
    (said, names)
}

fn head(view: &PlanView<'_>) -> String {
    let mut text = format!("### {}\n\n", markdown(&view.title()));
    for (kind, database) in view.databases() {
        let _ = writeln!(text, "- {kind}: {}", markdown(&database));
    }
    if let Some(data) = view.data() {
        let _ = writeln!(text, "- data: {}", markdown(&data));
    }
    if let Some(waits) = view.waits() {
        let _ = writeln!(text, "- locks: {}", markdown(&waits));
    }
    if let Some(words) = view.undrifted() {
        let _ = writeln!(text, "- drift: {}", markdown(words));
    }
    for words in view.rehearsal() {
        let _ = writeln!(text, "- {}", cut(&markdown(&words), LEFT_OUT));
    }
    if let Some(words) = view.left_out() {
        let _ = writeln!(text, "- {}", cut(&markdown(&words), LEFT_OUT));
    }
    let _ = writeln!(text, "\n**{}**\n", markdown(&view.summary_line()));
    text
}

/// The first warnings, the gravest first.
fn warnings(view: &PlanView<'_>, text: &mut String, limit: usize) {
    let groups = view.warnings_by_kind();
    let at_steps = groups
        .iter()
        .flat_map(|(_, notes)| notes)
        .map(|(id, note)| format!("- `{id}`: {}\n", markdown(&note.words)));
    let all: Vec<String> = view
        .remarks()
        .iter()
        .map(remarked)
        .chain(at_steps)
        .collect();
    if all.is_empty() {
        return;
    }
    let _ = writeln!(text, "#### {}\n", counted_len(all.len(), "warning"));
    let mut shown = 0;
    for warning in all.iter().take(WARNINGS) {
        if text.len() + warning.len() > limit {
            break;
        }
        text.push_str(warning);
        shown += 1;
    }
    if shown < all.len() {
        let _ = writeln!(
            text,
            "- and {} more, at their steps",
            count((all.len() - shown) as u64)
        );
    }
    text.push('\n');
}

/// What belongs to no step, with what it is about and what to do.
fn remarked(remark: &ReviewNote) -> String {
    let mut text = format!("- {}\n", cut(&advised(remark), LEFT_OUT));
    for item in &remark.items {
        let _ = writeln!(text, "  - {}", cut(&markdown(item), ITEM));
    }
    text
}

/// A note and what to do about it.
fn advised(note: &ReviewNote) -> String {
    let advice = note.advice.as_ref();
    let advice = advice.map_or_else(String::new, |words| format!(" → {}", markdown(words)));
    format!("{}{advice}", markdown(&note.words))
}

/// The order of the steps as a diagram, which GitHub and GitLab draw; of too many steps, none.
fn diagram(view: &PlanView<'_>, text: &mut String, limit: usize) -> io::Result<()> {
    if !(2..=DRAWN).contains(&view.plan.decision.steps.len()) {
        return Ok(());
    }
    let mut mermaid = Vec::new();
    graph_mermaid(&mut mermaid, &GraphView::of_plan(view.plan))?;
    let folded = format!(
        "<details><summary>Order</summary>\n\n{}</details>\n\n",
        fenced("mermaid", &String::from_utf8_lossy(&mermaid))
    );
    if text.len() + folded.len() <= limit {
        text.push_str(&folded);
    }
    Ok(())
}

fn table(view: &PlanView<'_>, text: &mut String, limit: usize) {
    text.push_str(
        "| | step | action | tables and keys | warnings |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut left_out = 0usize;
    for step in view.steps() {
        let row = format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            step.step.action.symbol(),
            step.step.id,
            markdown(&step.action()),
            markdown(&step.size().unwrap_or_default()),
            match step.warnings().len() {
                0 => String::new(),
                number => number.to_string(),
            }
        );
        if text.len() + row.len() <= limit {
            text.push_str(&row);
        } else {
            left_out += 1;
        }
    }
    text.push('\n');
    if left_out > 0 {
        let _ = writeln!(
            text,
            "This table leaves out {}.\n",
            counted_len(left_out, "step")
        );
    }
}

/// A step, folded away; `content` is whether with its SQL or declaration.
fn details(view: &StepView<'_>, content: bool) -> String {
    let step = view.step;
    let mut text = format!(
        "<details id=\"{}\"><summary><code>{} {}</code> {}</summary>\n\n",
        crate::render::graph::anchor(&step.id),
        step.action.symbol(),
        step.id,
        markdown(&view.action())
    );
    let mut paragraph = |words: &str| {
        let _ = writeln!(text, "{}\n", markdown(words));
    };
    if let Some(description) = &step.description {
        paragraph(description);
    }
    if let Some(reason) = view.reason() {
        paragraph(&reason);
    }
    paragraph(&format!("{}, {}", view.how(), view.checksum()));
    if let Some(size) = view.size() {
        paragraph(&size);
    }
    if let Some(words) = view.rehearsal() {
        paragraph(&words);
    }
    let mut met = false;
    for (at, statement) in view.statements().iter().enumerate() {
        for fact in view.facts(at) {
            let _ = writeln!(text, "- line {}: {}", statement.line, markdown(&fact));
            met = true;
        }
    }
    if met {
        text.push('\n');
    }
    let notes = view.warnings();
    for note in &notes {
        let _ = writeln!(text, "- {}", advised(note));
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    if content {
        self::content(&mut text, view);
    } else {
        text.push_str("What it runs is left out here.\n\n");
    }
    text.push_str("</details>\n\n");
    text
}

fn content(text: &mut String, view: &StepView<'_>) {
    for operation in view.operations() {
        let _ = writeln!(text, "- {}", markdown(&operation));
    }
    if let Some(declaration) = view.declaration() {
        text.push('\n');
        text.push_str(&fenced("toml", declaration));
    }
    if !view.verify().is_empty() {
        text.push_str("First checked:\n\n");
        text.push_str(&fenced("sql", &sql(view.verify())));
    }
    if !view.statements().is_empty() {
        text.push_str(&fenced("sql", &sql(view.statements())));
    }
}

fn sql(statements: &[crate::model::plan::PlannedStatement]) -> String {
    statements
        .iter()
        .map(|s| format!("{};\n", s.text))
        .collect()
}

/// Text between fences that are longer than any run of backticks in it, so that nothing in it ends them.
fn fenced(language: &str, text: &str) -> String {
    let text = block(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!(
        "{fence}{language}\n{}\n{fence}\n\n",
        text.trim_end_matches('\n')
    )
}

fn note(view: &PlanView<'_>, left_out: &[String]) -> String {
    const NAMED: usize = 10;
    let names: Vec<String> = left_out
        .iter()
        .take(NAMED)
        .map(|id| format!("`{id}`"))
        .collect();
    let more = match left_out.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {} more", count(more as u64)),
    };
    let file = view
        .file
        .map_or_else(|| "plan.bin".to_owned(), crate::render::text::shell);
    format!(
        "> **Left out, since a comment holds {} characters at most: the content of {}:** {}{more}. \
         All of it: {}\n\n",
        count(LONGEST as u64),
        counted_len(left_out.len(), "step"),
        names.join(", "),
        markdown(&format!("outpost migrate show {file}")),
    )
}

fn tail(view: &PlanView<'_>) -> String {
    let mut text = format!("Digest: `{}`\n\n", view.plan.digest);
    if let Some((words, _)) = view.signature() {
        let _ = writeln!(text, "Signature: {}\n", cut(&markdown(&words), LEFT_OUT));
    }
    text.push_str(&fenced("sh", &view.pinned_commands().join("\n")));
    text
}
