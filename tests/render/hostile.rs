//! Names and texts that try to break out.

use std::collections::BTreeMap;

use outpost::model::graph::Graph;
use outpost::model::id::StoreKind;
use outpost::model::plan::{Action, Plan, Purpose, StepContent, StepEvidence, WarningKind};
use outpost::model::state::GolangMigrate;
use outpost::model::status::Status;
use outpost::render::{
    Detail, GraphView, ListView, PlanView, error, graph_dot, graph_mermaid, graph_svg, graph_tree,
    list, list_json, plan, plan_html, plan_json, plan_markdown, question,
};

use crate::golden::{COLOUR, NARROW, WIDE, golden, shown};
use crate::values::{id, plan_of, postgres_identity, sql, state, statement, status, step, warning};

const NASTY: &str = "<script>alert(1)</script> ``` | \"x\" 'y' \u{202e}evil\x1b[2J\x07\n\n# head\r@all #1 [a](http://b) </details> -->";

fn nasty_plan() -> Plan {
    let mut apply = step(
        "sql/0001_a",
        Action::Apply,
        StepContent::Sql(sql(
            &format!("sql/{NASTY}.up.sql"),
            true,
            vec![statement(
                1,
                NASTY,
                &format!("SELECT '{NASTY}';\n````\n</pre></svg><img src=x>\n日本語 é"),
            )],
        )),
    );
    apply.description = Some(NASTY.to_owned());
    let mut skip = step(
        "sql/0002_b",
        Action::Skip {
            reason: NASTY.to_owned(),
        },
        StepContent::Record,
    );
    skip.after.insert(id("sql/0001_a"));
    let evidence = BTreeMap::from([(
        id("sql/0001_a"),
        StepEvidence {
            warnings: vec![warning(WarningKind::Other, NASTY, Some(1))],
            ..StepEvidence::default()
        },
    )]);
    let mut value = plan_of(Purpose::Migrate, vec![apply, skip], evidence);
    value.decision.version = NASTY.to_owned();
    if let Some(store) = value.decision.recorded.get_mut(&StoreKind::Sql) {
        store.legacy.golang_migrate = Some(GolangMigrate {
            table: NASTY.to_owned(),
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

#[test]
fn nothing_gets_out_of_the_comment() {
    let value = nasty_plan();
    let view = PlanView {
        plan: &value,
        file: Some("plan.bin"),
        signature: None,
    };
    let comment = shown(|out| plan_markdown(out, &view));
    assert_tame(&comment);
    // The fence around the SQL is longer than the longest run of backticks in it, so it ends only there.
    let mut fence: Option<String> = None;
    let mut outside = String::new();
    for line in comment.lines() {
        match &fence {
            None if line.starts_with("```") => {
                fence = Some(line.chars().take_while(|c| *c == '`').collect());
            }
            None => outside.push_str(&format!("{line}\n")),
            Some(open) if line == open => fence = None,
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "{comment}");
    for mark in ["<script", "@all", "[a]", "](http", "```", "-->", "# head\n"] {
        assert!(!outside.contains(mark), "{mark} in {outside}");
    }
    assert_eq!(outside.matches("<details").count(), 2);
    assert_eq!(outside.matches("</details>").count(), 2);
    for row in outside.lines().filter(|l| l.starts_with("| `")) {
        assert_eq!(row.matches('|').count(), 6, "{row}");
    }
    golden("hostile-plan.md", |out| plan_markdown(out, &view));
}

#[test]
fn nothing_gets_out_of_a_graph() {
    let mut nasty = status("sql/0001_a", Status::Pending);
    nasty.description = Some(NASTY.to_owned());
    let requires = BTreeMap::from([(id("sql/0001_a"), Default::default())]);
    let graph = Graph::from_requirements(&requires, |_, _| String::new()).unwrap();
    let view = GraphView::of_catalog(&graph, &[nasty]);
    golden("hostile-graph.dot", |out| graph_dot(out, &view));
    golden("hostile-graph.mmd", |out| graph_mermaid(out, &view));
    golden("hostile-graph.svg", |out| graph_svg(out, &view));
    golden("hostile-graph.txt", |out| graph_tree(out, WIDE, &view));
    assert!(!shown(|out| graph_svg(out, &view)).contains("<script"));
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
