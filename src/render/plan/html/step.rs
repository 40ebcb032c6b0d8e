//! One step of the page.

use std::fmt::Write as _;

use super::code::{Language, source};
use super::{advised, tone_of};
use crate::model::plan::{PlannedStatement, StepContent};
use crate::render::graph::{GraphView, anchor};
use crate::render::plan::step::{StepView, key_words, table_words};
use crate::render::text::html;

/// Waits that are named; a wait for more is rare, and the picture has them all.
const WAITS: usize = 20;

/// Writes a step as a card. `at` is its place in the plan and in the graph.
pub(super) fn card(page: &mut String, view: &StepView<'_>, graph: &GraphView, at: usize) {
    let step = view.step;
    let name = html(&anchor(&step.id));
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<article class=\"{}\" id=\"{name}\">\n<h3><b>{}</b> <a href=\"#{name}\"><code>{}</code></a> <span>{}</span></h3>",
        tone_of(view),
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
        let class = if note.is_loss { "bad" } else { "caution" };
        let _ = writeln!(
            page,
            "<p class=\"{class}\">{}</p>",
            advised(&note, &note.words)
        );
    }
    facts(page, view, graph, at);
    for statement in view.verify() {
        figure(page, statement, "first checked, line", &[]);
    }
    for (at, statement) in view.statements().iter().enumerate() {
        figure(page, statement, "line", &view.facts(at));
    }
    if let Some(text) = view.declaration() {
        page.push_str(&source(text, 1, Language::Toml));
    }
    way_back(page, view);
    page.push_str("</article>\n");
}

fn facts(page: &mut String, view: &StepView<'_>, graph: &GraphView, at: usize) {
    page.push_str("<dl class=\"facts\">\n");
    let _ = writeln!(
        page,
        "<dt>runs</dt><dd>{}</dd>\n<dt>checksum</dt><dd><code>{}</code></dd>",
        html(&view.how()),
        view.checksum()
    );
    let waits: Vec<String> = graph
        .waits(at)
        .map(|id| format!("<a href=\"#{}\"><code>{id}</code></a>", html(&anchor(id))))
        .collect();
    if !waits.is_empty() {
        let more = match waits.len().saturating_sub(WAITS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(
            page,
            "<dt>after</dt><dd>{}{more}</dd>",
            waits[..waits.len().min(WAITS)].join(", ")
        );
    }
    list(page, "data", view.evidence.tables.iter().map(table_words));
    list(page, "keys", view.evidence.keys.iter().map(key_words));
    list(page, "rehearsal", view.rehearsal().into_iter());
    list(page, "does", view.operations().into_iter());
    page.push_str("</dl>\n");
}

/// Some facts of one name; nothing where there are none.
pub(super) fn list(page: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items
        .map(|item| format!("<dd>{}</dd>", html(&item)))
        .collect();
    if !items.is_empty() {
        let _ = writeln!(page, "<dt>{name}</dt>{}", items.join(""));
    }
}

/// A statement below what is known of it.
fn figure(page: &mut String, statement: &PlannedStatement, label: &str, facts: &[String]) {
    let _ = writeln!(
        page,
        "<figure>\n<figcaption>{label} {}: {}</figcaption>",
        statement.line,
        html(&statement.verb)
    );
    if !facts.is_empty() {
        let items: Vec<String> = facts
            .iter()
            .map(|fact| format!("<li>{}</li>", html(fact)))
            .collect();
        let _ = writeln!(page, "<ul>{}</ul>", items.join(""));
    }
    let _ = writeln!(
        page,
        "{}</figure>",
        source(&statement.text, statement.line, Language::Sql)
    );
}

/// The SQL that undoes the step, as the ledger keeps it.
fn way_back(page: &mut String, view: &StepView<'_>) {
    let StepContent::Sql(sql) = &view.step.content else {
        return;
    };
    if let Some(down) = &sql.down {
        let _ = writeln!(
            page,
            "<details><summary>The way back, kept in the ledger</summary>\n{}</details>",
            source(down, 1, Language::Sql)
        );
    }
}
