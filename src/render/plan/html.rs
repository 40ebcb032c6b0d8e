//! A plan as one page of HTML: nothing is loaded, nothing runs, and it reads on a telephone.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::model::plan::PlannedStatement;
use crate::render::Tone;
use crate::render::graph::{GraphView, anchor, svg};
use crate::render::plan::PlanView;
use crate::render::plan::step::{StepView, key_words, table_words};
use crate::render::text::{html, html_block};

/// The page allows itself nothing but its own style sheet.
const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
";

const CSS: &str = "
:root { color-scheme: light dark; --ink: #1b1b1b; --page: #fff; --faint: #666; --line: #d8d8d8; --code: #f6f6f6;
  --good: #2e7d32; --bad: #c62828; --caution: #8f5600; --note: #00738a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --page: #161616; --faint: #9a9a9a; --line: #3a3a3a; --code: #222;
    --good: #7bc47f; --bad: #ff8a80; --caution: #ffc266; --note: #6fd3e3; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { margin: .5rem 0; padding: .6rem; overflow-x: auto; background: var(--code); border-radius: 4px; overflow-wrap: normal; }
section { border-top: 1px solid var(--line); padding: .5rem 0 1rem; }
section:target { outline: 2px solid var(--note); outline-offset: 6px; }
table { border-collapse: collapse; } td { padding: .1rem .8rem .1rem 0; vertical-align: top; }
.scroll { overflow-x: auto; } .faint { color: var(--faint); }
.good { color: var(--good); } .bad { color: var(--bad); } .caution { color: var(--caution); } .note { color: var(--note); }
.warning { border-left: 3px solid var(--caution); padding-left: .6rem; margin: .3rem 0; }
.loss { border-left: 3px solid var(--bad); padding-left: .6rem; margin: .3rem 0; }
.no { color: var(--faint); user-select: none; }
a { color: inherit; } p { margin: .3rem 0; }
";

/// Writes a plan as an HTML page.
///
/// # Errors
/// What `out` says.
pub fn plan_html(out: &mut dyn Write, view: &PlanView<'_>) -> io::Result<()> {
    let mut page = String::from(HEAD);
    let title = html(&view.title());
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<h1>{title}</h1>"
    );
    if view.plan.decision.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", html(&view.nothing()));
    } else {
        let _ = writeln!(
            page,
            "<p><strong>{}</strong></p>",
            html(&view.summary_line())
        );
    }
    if let Some(words) = view.left_out() {
        let _ = writeln!(page, "<p class=\"warning\">{}</p>", html(&words));
    }
    page.push_str("<table>\n");
    for (kind, database) in view.databases() {
        let _ = writeln!(page, "<tr><td>{kind}</td><td>{}</td></tr>", html(&database));
    }
    let _ = writeln!(
        page,
        "<tr><td>digest</td><td><code>{}</code></td></tr>",
        view.plan.digest
    );
    if let Some((words, tone)) = view.signature() {
        let _ = writeln!(
            page,
            "<tr><td>signature</td><td class=\"{}\">{}</td></tr>",
            class(tone),
            html(&words)
        );
    }
    let _ = writeln!(
        page,
        "<tr><td>made by</td><td>outpost {}</td></tr>\n</table>",
        html(&view.plan.evidence.tool)
    );
    if !view.plan.decision.is_empty() {
        steps(&mut page, view);
    }
    page.push_str("</body>\n</html>\n");
    out.write_all(page.as_bytes())
}

fn steps(page: &mut String, view: &PlanView<'_>) {
    let commands = view.commands().join("\n");
    let _ = writeln!(
        page,
        "<h2>To apply exactly this</h2>\n<pre>{}</pre>",
        html_block(&commands)
    );
    let graph = svg(&GraphView::of_plan(view.plan), true);
    let _ = writeln!(
        page,
        "<h2>Order</h2>\n<div class=\"scroll\">\n{graph}</div>\n<h2>Steps</h2>"
    );
    for step in view.steps() {
        section(page, &step);
    }
}

fn section(page: &mut String, view: &StepView<'_>) {
    let step = view.step;
    let tone = class(super::tone(&step.action));
    let _ = writeln!(
        page,
        "<section id=\"{}\">\n<h2><code class=\"{tone}\">{} {}</code> {}</h2>",
        html(&anchor(&step.id)),
        step.action.symbol(),
        step.id,
        html(&view.action())
    );
    if let Some(description) = &step.description {
        let _ = writeln!(page, "<p>{}</p>", html(description));
    }
    if let Some(reason) = view.reason() {
        let _ = writeln!(page, "<p>{}</p>", html(&reason));
    }
    for note in view.warnings() {
        let class = if note.is_loss { "loss" } else { "warning" };
        let _ = writeln!(page, "<p class=\"{class}\">{}</p>", html(&note.words));
    }
    let _ = writeln!(
        page,
        "<p class=\"faint\">{}<br><code>{}</code></p>",
        html(&view.how()),
        view.checksum()
    );
    if !step.after.is_empty() {
        let links: Vec<String> = step
            .after
            .iter()
            .map(|id| format!("<a href=\"#{}\"><code>{id}</code></a>", html(&anchor(id))))
            .collect();
        let _ = writeln!(page, "<p class=\"faint\">after {}</p>", links.join(", "));
    }
    list(page, view.evidence.tables.iter().map(table_words));
    list(page, view.evidence.keys.iter().map(key_words));
    list(page, view.operations().into_iter());
    if !view.verify().is_empty() {
        page.push_str("<p>First checked:</p>\n");
        code(page, view.verify());
    }
    code(page, view.statements());
    if let Some(text) = view.declaration() {
        let _ = writeln!(page, "<pre>{}</pre>", numbered(text, 1));
    }
    page.push_str("</section>\n");
}

/// The style sheet's name of a colour.
fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Caution => "caution",
        Tone::Note => "note",
        Tone::Strong | Tone::Faint => "faint",
    }
}

fn list(page: &mut String, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items
        .map(|item| format!("<li>{}</li>", html(&item)))
        .collect();
    if !items.is_empty() {
        let _ = writeln!(page, "<ul>{}</ul>", items.join(""));
    }
}

fn code(page: &mut String, statements: &[PlannedStatement]) {
    for statement in statements {
        let _ = writeln!(
            page,
            "<p class=\"faint\">line {}: {}</p>\n<pre>{}</pre>",
            statement.line,
            html(&statement.verb),
            numbered(&statement.text, statement.line)
        );
    }
}

fn numbered(text: &str, first: u32) -> String {
    let text = html_block(text);
    let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
    let width = (u64::from(first) + lines.len() as u64).to_string().len();
    (u64::from(first)..)
        .zip(lines)
        .map(|(number, line)| format!("<span class=\"no\">{number:>width$} </span>{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
