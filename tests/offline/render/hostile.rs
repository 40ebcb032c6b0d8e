//! Names and texts that try to break out.

use std::collections::BTreeMap;

use outpost::model::drift::{Deviation, KeyDrift, ObjectDifference, PinnedDrift};
use outpost::model::graph::Graph;
use outpost::model::id::StoreKind;
use outpost::model::lint::{Finding, Level};
use outpost::model::plan::{Action, Plan, Purpose, StepContent, StepEvidence, WarningKind};
use outpost::model::state::GolangMigrate;
use outpost::model::status::Status;
use outpost::render::{
    Detail, GraphView, ListView, PlanView, error, graph_dot, graph_mermaid, graph_svg, graph_tree,
    list, list_json, plan, plan_html, plan_json, plan_markdown, question,
};

use super::golden::{COLOUR, NARROW, WIDE, golden, shown};
use super::values::{id, plan_of, postgres_identity, sql, state, statement, status, step, warning};

const NASTY: &str = "<script>alert(1)</script> ``` | \"x\" 'y' \u{202e}evil\x1b[2J\x07\n\n# head\r@all #1 [a](http://b) </details> -->";

/// What tries to break out of a block.
const BLOCK: &str =
    "';\n````\n</pre></svg><img src=x onerror=alert(1)>\n```\n~~~\n\"] -->\n日本語 é";

/// The same, with nothing in it that means anything to any format.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '\n' || c == ' ' {
                c
            } else {
                'x'
            }
        })
        .collect()
}

pub fn nasty_plan() -> Plan {
    plan_saying(NASTY, BLOCK)
}

/// The plan that says harmless things where the other one says nasty ones.
pub fn harmless_plan() -> Plan {
    plan_saying(&harmless(NASTY), &harmless(BLOCK))
}

fn plan_saying(text: &str, block: &str) -> Plan {
    let mut apply = step(
        "sql/0001_a",
        Action::Apply,
        StepContent::Sql(sql(
            &format!("sql/{text}.up.sql"),
            true,
            vec![statement(1, text, &format!("SELECT {text}{block}"))],
        )),
    );
    apply.description = Some(text.to_owned());
    let mut skip = step(
        "sql/0002_b",
        Action::Skip {
            reason: text.to_owned(),
        },
        StepContent::Record,
    );
    skip.after.insert(id("sql/0001_a"));
    let evidence = BTreeMap::from([(
        id("sql/0001_a"),
        StepEvidence {
            warnings: vec![warning(WarningKind::Other, text, Some(1))],
            ..StepEvidence::default()
        },
    )]);
    let mut value = plan_of(Purpose::Migrate, vec![apply, skip], evidence);
    value.decision.version = text.to_owned();
    // At a step, and of no step.
    value.evidence.lint = ["sql/0001_a", "sql/0009_z"]
        .map(|name| Finding {
            rule: text.to_owned(),
            level: Level::Error,
            id: Some(id(name)),
            file: text.to_owned(),
            line: Some(1),
            message: text.to_owned(),
            advice: Some(text.to_owned()),
        })
        .into();
    value.evidence.drift = Some(PinnedDrift {
        after: id("sql/0001_a"),
        expected_server: None,
        server: None,
        objects: vec![ObjectDifference {
            object: text.to_owned(),
            deviation: Deviation::Unexpected,
        }],
    });
    value.evidence.redis_drift = Some(vec![KeyDrift {
        id: id("redis/0001_a"),
        check: text.to_owned(),
        examined: 1,
        unit: text.to_owned(),
        found: 1,
        findings: vec![text.to_owned()],
    }]);
    if let Some(store) = value.decision.recorded.get_mut(&StoreKind::Sql) {
        store.legacy.golang_migrate = Some(GolangMigrate {
            table: text.to_owned(),
            row: None,
        });
    }
    value
}

/// Nothing but line ends acts on a terminal, once colours are taken out.
fn assert_tame(text: &str) {
    let plain = console::strip_ansi_codes(text);
    let bad: Vec<char> = plain
        .chars()
        .filter(|c| {
            (c.is_control() && *c != '\n')
                || matches!(u32::from(*c), 0x200b..=0x200f | 0x202a..=0x202e)
        })
        .collect();
    assert!(bad.is_empty(), "{bad:?} in {text:?}");
}

#[test]
fn c16_no_screen_lets_foreign_text_act_on_the_terminal() {
    let value = nasty_plan();
    let view = PlanView {
        plan: &value,
        file: Some("a b\x1b[1m.bin"),
        signature: None,
    };
    for style in [WIDE, NARROW, COLOUR] {
        for detail in [Detail::Brief, Detail::Full] {
            let text = shown(|out| plan(out, style, &view, detail));
            assert_tame(&text);
            assert!(
                !text.contains("\x1b[2J") && !text.contains("\x1b[1m.bin"),
                "{text}"
            );
        }
        let text = shown(|out| error(out, style, NASTY, Some(NASTY)));
        assert_tame(&text);
        assert!(!text.contains("\x1b[2J"));
        assert_tame(&shown(|out| question(out, style, NASTY)));
    }
    assert_tame(&shown(|out| plan_json(out, &view)));
    golden("hostile-plan-100.txt", |out| {
        plan(out, WIDE, &view, Detail::Full)
    });
}

#[test]
fn nothing_gets_out_of_the_page() {
    let value = nasty_plan();
    let view = PlanView {
        plan: &value,
        file: Some("plan.bin"),
        signature: None,
    };
    let page = shown(|out| plan_html(out, &view));
    assert_tame(&page);
    // `page.rs` reads it as a browser does.
    for tag in ["<script", "<img", "</pre></svg>"] {
        assert!(!page.contains(tag), "{tag} in {page}");
    }
    for place in [
        "id=\"step-sql-0001_a\"",
        "href=\"#step-sql-0001_a\"",
        "default-src 'none'",
    ] {
        assert!(page.contains(place), "{place} is not in {page}");
    }
    golden("hostile-plan.html", |out| plan_html(out, &view));
}

/// What a reader of Markdown makes of it, without its texts: GitHub's dialect, as far as the parser has it.
fn shape_of_markdown(text: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Options, Parser};
    let mut shape: Vec<String> = Vec::new();
    for event in Parser::new_ext(text, Options::all()) {
        let part = match event {
            Event::Text(_) => "text".to_owned(),
            Event::Start(tag) => format!("{tag:?}"),
            Event::End(tag) => format!("end of {tag:?}"),
            other => format!("{other:?}"),
        };
        // A text may come in several pieces.
        if part != "text" || shape.last().is_none_or(|last| last != "text") {
            shape.push(part);
        }
    }
    shape
}

#[test]
fn nothing_gets_out_of_the_comment() {
    let [nasty, harmless] = [nasty_plan(), harmless_plan()].map(|mut plan| {
        // Both say the same digest, which is text of ours.
        plan.digest = nasty_plan().digest;
        let view = PlanView {
            plan: &plan,
            file: Some("plan.bin"),
            signature: None,
        };
        shown(|out| plan_markdown(out, &view))
    });
    assert_tame(&nasty);
    assert_eq!(shape_of_markdown(&nasty), shape_of_markdown(&harmless));
    for row in nasty.lines().filter(|l| l.starts_with("| `")) {
        assert_eq!(row.matches('|').count(), 6, "{row}");
    }
    // What no parser of Markdown knows: GitHub finds mentions, issues and addresses in the text itself.
    let mut fence: Option<String> = None;
    let mut outside = String::new();
    for line in nasty.lines() {
        match &fence {
            None if line.starts_with("```") => {
                fence = Some(line.chars().take_while(|c| *c == '`').collect());
            }
            None => outside.push_str(&format!("{line}\n")),
            Some(open) if line == open => fence = None,
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "{nasty}");
    for mark in ["<script", "@all", "](http", "://", " #1"] {
        assert!(!outside.contains(mark), "{mark} in {outside}");
    }
    let value = nasty_plan();
    let view = PlanView {
        plan: &value,
        file: Some("plan.bin"),
        signature: None,
    };
    golden("hostile-plan.md", |out| plan_markdown(out, &view));
}

/// DOT or Mermaid without what is quoted; in DOT a backslash takes the next character along.
fn outside_of_quotes(text: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted => {
                characters.next();
            }
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            _ if quoted => {}
            c => out.push(c),
        }
    }
    assert!(!quoted, "{text}");
    out
}

/// The elements of a picture with the names of their attributes, in order.
fn shape_of_svg(text: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(text).unwrap();
    document
        .descendants()
        .filter(|node| node.is_element() || node.is_comment() || node.is_pi())
        .map(|node| {
            let attributes: Vec<&str> = node.attributes().map(|a| a.name()).collect();
            format!(
                "{:?} {:?} {attributes:?}",
                node.node_type(),
                node.tag_name()
            )
        })
        .collect()
}

#[test]
fn nothing_gets_out_of_a_graph() {
    let [nasty, tame] = [NASTY.to_owned(), harmless(NASTY)].map(|text| {
        let mut migration = status("sql/0001_a", Status::Pending);
        migration.description = Some(text);
        let requires = BTreeMap::from([(id("sql/0001_a"), Default::default())]);
        let graph = Graph::from_requirements(&requires, |_, _| String::new()).unwrap();
        GraphView::of_catalog(&graph, &[migration])
    });
    let [of_nasty, of_tame] = [&nasty, &tame].map(|view| {
        let outside = |text: String| outside_of_quotes(&text);
        (
            outside(shown(|out| graph_dot(out, view))),
            outside(shown(|out| graph_mermaid(out, view))),
            shape_of_svg(&shown(|out| graph_svg(out, view))),
            shown(|out| graph_tree(out, WIDE, view)).lines().count(),
        )
    });
    assert_eq!(of_nasty, of_tame);
    golden("hostile-graph.dot", |out| graph_dot(out, &nasty));
    golden("hostile-graph.mmd", |out| graph_mermaid(out, &nasty));
    golden("hostile-graph.svg", |out| graph_svg(out, &nasty));
    golden("hostile-graph.txt", |out| graph_tree(out, WIDE, &nasty));
}

#[test]
fn unicode_names_keep_their_columns() {
    let mut wide = status("sql/0001_a", Status::Applied { cleaned: false });
    wide.by = Some("安娜@建物".to_owned());
    wide.description = Some(
        "日本語の説明がここにあります, é and more of it until it has to be cut somewhere"
            .to_owned(),
    );
    let mut nasty = status(
        "sql/0002_b",
        Status::Skipped {
            reason: NASTY.to_owned(),
        },
    );
    nasty.by = Some(NASTY.to_owned());
    nasty.at = Some("not a time\x1b[2J".to_owned());
    let store = state(postgres_identity(true));
    let migrations = [wide, nasty];
    let view = ListView {
        version: NASTY,
        stores: vec![(NASTY.to_owned(), &store)],
        migrations: &migrations,
    };
    golden("hostile-list-100.txt", |out| list(out, WIDE, &view));
    golden("hostile-list-40.txt", |out| list(out, NARROW, &view));
    for style in [WIDE, NARROW, COLOUR] {
        assert_tame(&shown(|out| list(out, style, &view)));
    }
    assert_tame(&shown(|out| list_json(out, &view)));
}
