//! A plan as one page of HTML: nothing is loaded, nothing runs, and it reads on a telephone and on paper.

mod code;
mod step;

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::render::Tone;
use crate::render::graph::{GraphView, anchor, svg};
use crate::render::plan::PlanView;
use crate::render::plan::note::ReviewNote;
use crate::render::plan::step::StepView;
use crate::render::text::{html, html_block};
use crate::render::units::counted_len;

/// The page allows itself nothing but its own style sheet.
const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
";

const CSS: &str = include_str!("page.css");

/// Warnings of one sort that are listed without being asked for.
const LISTED: usize = 6;

/// Writes a plan as an HTML page.
///
/// # Errors
/// What `out` says.
pub fn plan_html(out: &mut dyn Write, view: &PlanView<'_>) -> io::Result<()> {
    let mut page = String::from(HEAD);
    let title = html(&view.title());
    let empty = view.plan.decision.is_empty();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>"
    );
    if empty {
        let _ = writeln!(page, "<p>{}</p>", html(&view.nothing()));
    } else {
        counts(&mut page, view);
    }
    page.push_str("</header>\n<main>\n");
    remarks(&mut page, view);
    if let Some(words) = view.left_out() {
        let _ = writeln!(page, "<p class=\"remark\">{}</p>", html(&words));
    }
    about(&mut page, view);
    if !empty {
        warnings(&mut page, view);
        let graph = GraphView::of_plan(view.plan);
        order(&mut page, &graph);
        page.push_str("<section id=\"steps\">\n<h2>Steps</h2>\n");
        index(&mut page, view);
        for (at, step) in view.steps().enumerate() {
            step::card(&mut page, &step, &graph, at);
        }
        page.push_str("</section>\n");
    }
    let _ = writeln!(
        page,
        "</main>\n<footer>Made by outpost {}. This page loads nothing and runs nothing.</footer>\n</body>\n</html>",
        html(&view.plan.evidence.tool)
    );
    out.write_all(page.as_bytes())
}

/// A class for the colour of something.
fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Caution => "caution",
        Tone::Note => "note",
        Tone::Strong | Tone::Faint => "faint",
    }
}

/// How many steps do what, and how many warnings there are; the words of the summary's line.
fn counts(page: &mut String, view: &PlanView<'_>) {
    page.push_str("<ul class=\"counts\">\n");
    for (number, words, tone) in view.counts() {
        let words = html(words);
        // The colour is that of what happens: nothing has none.
        let tone = if number == 0 { Tone::Faint } else { tone };
        let _ = writeln!(
            page,
            "<li class=\"{}\"><b>{}</b> {words}</li>",
            class(tone),
            crate::render::units::count(number as u64)
        );
    }
    page.push_str("</ul>\n");
}

/// What the plan is about, and how to be sure that exactly it is what runs.
fn about(page: &mut String, view: &PlanView<'_>) {
    page.push_str("<section id=\"about\">\n<dl class=\"facts\">\n");
    for (kind, database) in view.databases() {
        let _ = writeln!(page, "<dt>{kind}</dt><dd>{}</dd>", html(&database));
    }
    if let Some(data) = view.data() {
        let _ = writeln!(page, "<dt>data</dt><dd>{}</dd>", html(&data));
    }
    if let Some(waits) = view.waits() {
        let _ = writeln!(page, "<dt>locks</dt><dd>{}</dd>", html(&waits));
    }
    if let Some(words) = view.undrifted() {
        let _ = writeln!(page, "<dt>drift</dt><dd>{}</dd>", html(words));
    }
    step::list(page, "rehearsal", view.rehearsal().into_iter());
    let digest = view.plan.digest;
    let _ = writeln!(
        page,
        "<dt>digest</dt><dd><code class=\"whole\">{digest}</code></dd>"
    );
    if let Some((words, tone)) = view.signature() {
        let _ = writeln!(
            page,
            "<dt>signature</dt><dd class=\"{}\">{}</dd>",
            class(tone),
            html(&words)
        );
    }
    page.push_str("</dl>\n");
    if !view.plan.decision.is_empty() {
        let _ = writeln!(
            page,
            "<h2>To apply exactly this</h2>\n<pre class=\"command whole\">{}</pre>\n\
             <p class=\"faint\">One click selects the whole command. It runs the steps below, in this order, or nothing: \
             another plan has another digest, and is refused.</p>",
            html_block(&view.pinned_commands().join("\n"))
        );
    }
    page.push_str("</section>\n");
}

/// What belongs to no step.
fn remarks(page: &mut String, view: &PlanView<'_>) {
    for remark in view.remarks() {
        let _ = writeln!(
            page,
            "<div class=\"remark\"><p>{}</p>",
            advised(&remark, &remark.words)
        );
        if !remark.items.is_empty() {
            let items = remark
                .items
                .iter()
                .map(|item| format!("<li>{}</li>", html(item)));
            let _ = writeln!(page, "<ul>{}</ul>", items.collect::<String>());
        }
        page.push_str("</div>\n");
    }
}

/// The words of a note and what to do about it.
fn advised(note: &ReviewNote, words: &str) -> String {
    let advice = note.advice.as_ref();
    let advice = advice.map_or_else(String::new, |words| {
        format!(" <small>\u{2192} {}</small>", html(words))
    });
    format!("{}{advice}", html(words))
}

/// All warnings, by what sort they are, the gravest first, each with its step.
fn warnings(page: &mut String, view: &PlanView<'_>) {
    let groups = view.warnings_by_kind();
    if groups.is_empty() {
        return;
    }
    page.push_str("<section id=\"warnings\">\n<h2>Look at this first</h2>\n");
    for (label, notes) in groups {
        let loss = notes.iter().any(|(_, note)| note.is_loss);
        let _ = writeln!(
            page,
            "<details class=\"{}\"{}><summary><b>{}</b> {}</summary>\n<ul>",
            if loss { "bad" } else { "caution" },
            if notes.len() <= LISTED { " open" } else { "" },
            html(label),
            counted_len(notes.len(), "warning")
        );
        for (id, note) in notes {
            let _ = writeln!(
                page,
                "<li><a href=\"#{}\"><code>{id}</code></a> {}</li>",
                html(&anchor(id)),
                advised(&note, &note.message)
            );
        }
        page.push_str("</ul>\n</details>\n");
    }
    page.push_str("</section>\n");
}

/// The picture. A checkbox, and no script, makes it fit the page.
fn order(page: &mut String, graph: &GraphView) {
    let _ = writeln!(
        page,
        "<section id=\"order\">\n<h2>Order</h2>\n\
         <p class=\"faint\">A step starts when those above it are done. Each leads to its details.</p>\n\
         <input type=\"checkbox\" id=\"fit\"><label for=\"fit\">Fit to the page</label>\n\
         <div class=\"scroll\" tabindex=\"0\">\n{}</div>\n</section>",
        svg(graph, true)
    );
}

/// One line a step.
fn index(page: &mut String, view: &PlanView<'_>) {
    page.push_str("<ol class=\"index\">\n");
    for step in view.steps() {
        let warnings = match step.warnings().len() {
            0 => String::new(),
            number => format!(" <em>{}</em>", counted_len(number, "warning")),
        };
        let size = step.size().unwrap_or_default();
        let _ = writeln!(
            page,
            "<li class=\"{}\"><a href=\"#{}\"><b>{}</b> <code>{}</code></a> <span>{}</span>{warnings} <small>{}</small></li>",
            tone_of(&step),
            html(&anchor(&step.step.id)),
            step.step.action.symbol(),
            step.step.id,
            html(&step.action()),
            html(&size)
        );
    }
    page.push_str("</ol>\n");
}

fn tone_of(step: &StepView<'_>) -> &'static str {
    class(super::tone(&step.step.action))
}
