use std::collections::{BTreeMap, BTreeSet};

use outpost::model::graph::Graph;
use outpost::model::id::MigrationId;
use outpost::model::state::Doing;
use outpost::model::status::{MigrationStatus, Status};
use outpost::render::{
    GraphView, Style, graph_dot, graph_json, graph_mermaid, graph_svg, graph_tree,
};

use super::golden::{COLOUR, NARROW, WIDE, golden, shown};
use super::values::{every_action, id, status};

fn view() -> GraphView {
    let applied = Status::Applied { cleaned: false };
    let rows: [(&str, Status, &[&str]); 9] = [
        ("sql/0001_init", Status::Applied { cleaned: true }, &[]),
        (
            "sql/0002_delivery_response",
            applied.clone(),
            &["sql/0001_init"],
        ),
        (
            "sql/0003_event_delivery_index",
            Status::Edited,
            &["sql/0002_delivery_response"],
        ),
        (
            "sql/0004_manual",
            Status::Interrupted {
                doing: Doing::Apply,
            },
            &["sql/0003_event_delivery_index", "redis/0001_hash_tags"],
        ),
        ("sql/0005_late", Status::Pending, &["sql/0004_manual"]),
        ("redis/0001_hash_tags", Status::Unadopted, &[]),
        (
            "redis/0002_timestamps",
            Status::Skipped {
                reason: "no".to_owned(),
            },
            &["redis/0001_hash_tags"],
        ),
        (
            "redis/0003_entity",
            Status::Ahead,
            &["redis/0001_hash_tags"],
        ),
        ("redis/0004_only_in_the_ledger", Status::Ahead, &[]),
    ];
    let requires: BTreeMap<MigrationId, BTreeSet<MigrationId>> = rows
        .iter()
        .take(8)
        .map(|(name, _, needs)| (id(name), needs.iter().map(|n| id(n)).collect()))
        .collect();
    let graph = Graph::from_requirements(&requires, |_, _| String::new()).unwrap();
    let statuses: Vec<MigrationStatus> = rows
        .into_iter()
        .map(|(name, stands, _)| status(name, stands))
        .collect();
    GraphView::of_catalog(&graph, &statuses)
}

#[test]
fn a_graph_has_one_look_in_every_form() {
    let view = view();
    golden("graph.dot", |out| graph_dot(out, &view));
    golden("graph.mmd", |out| graph_mermaid(out, &view));
    golden("graph.svg", |out| graph_svg(out, &view));
    let requiring = [status("sql/0001_init", Status::Pending)];
    golden("graph.json", |out| graph_json(out, &requiring));
    golden("graph-100.txt", |out| graph_tree(out, WIDE, &view));
    golden("graph-40.txt", |out| graph_tree(out, NARROW, &view));
    golden("graph-colour.txt", |out| graph_tree(out, COLOUR, &view));
}

#[test]
fn every_status_can_be_told_without_colour() {
    let text = shown(|out| graph_tree(out, WIDE, &view()));
    for mark in [
        "✓ sql/0001",
        "! sql/0003",
        "! sql/0004",
        "+ sql/0005",
        "= redis/0001",
        ". redis/0002",
        "> redis/0003",
    ] {
        assert!(text.contains(mark), "{mark} is not in {text}");
    }
}

#[test]
fn waits_that_follow_from_others_are_not_drawn_in_a_plan() {
    let dot = shown(|out| graph_dot(out, &GraphView::of_plan(&every_action())));
    assert!(
        dot.contains("\"sql/0005_denormalize_attempts\" -> \"sql/0006_attempt_index\""),
        "{dot}"
    );
    assert!(
        !dot.contains("\"sql/0012_rejected\" -> \"sql/0006_attempt_index\""),
        "{dot}"
    );
}

/// So many migrations in a chain, all pending but for the last two.
fn chain(length: usize) -> GraphView {
    let ids: Vec<MigrationId> = (1..=length).map(|n| id(&format!("sql/{n:04}_x"))).collect();
    let requires: BTreeMap<MigrationId, BTreeSet<MigrationId>> = ids
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let before = at.checked_sub(1).map(|before| ids[before].clone());
            (name.clone(), before.into_iter().collect())
        })
        .collect();
    let graph = Graph::from_requirements(&requires, |_, _| String::new()).unwrap();
    let statuses: Vec<MigrationStatus> = ids
        .iter()
        .enumerate()
        .map(|(at, i)| {
            let stands = if at + 2 < length {
                Status::Pending
            } else {
                Status::Ahead
            };
            status(&i.to_string(), stands)
        })
        .collect();
    GraphView::of_catalog(&graph, &statuses)
}

#[test]
fn a_long_chain_goes_straight_down() {
    let text = shown(|out| graph_tree(out, NARROW, &chain(500)));
    assert_eq!(text.lines().count(), 500);
    assert!(
        text.lines()
            .all(|line| line.contains(" sql/") && !line.starts_with(' ')),
        "{text}"
    );
}

#[test]
fn mermaid_gets_no_more_than_it_draws() {
    let small = shown(|out| graph_mermaid(out, &chain(400)));
    assert_eq!(small.matches(" --> ").count(), 399);
    assert!(!small.contains('…'), "{small}");
    let large = shown(|out| graph_mermaid(out, &chain(1000)));
    assert!(
        large.contains("+ sql/0001_x … sql/0998_x<br/>998 pending"),
        "{large}"
    );
    assert!(large.contains("sql/0999_x … sql/1000_x<br/>2 "), "{large}");
    assert_eq!(large.matches(" --> ").count(), 1);
    assert!(large.starts_with("%% Mermaid draws 500 edges"), "{large}");
}

#[test]
fn every_migration_and_every_line_is_in_the_picture() {
    let small = shown(|out| graph_svg(out, &view()));
    let large = shown(|out| graph_svg(out, &chain(500)));
    for (text, migrations, required) in [(&small, 9, 5), (&large, 500, 499)] {
        let picture = roxmltree::Document::parse(text).unwrap();
        let named = |name| {
            picture
                .descendants()
                .filter(move |n| n.tag_name().name() == name)
        };
        let root = picture.root_element();
        let side = |name| root.attribute(name).unwrap().parse::<f64>().unwrap();
        assert_eq!(named("title").count(), migrations);
        assert_eq!(
            named("path").count(),
            required,
            "the lines from a migration are one path"
        );
        assert!(
            side("height") < 2.5 * side("width"),
            "{} x {}",
            side("width"),
            side("height")
        );
    }
}

#[test]
fn a_narrow_tree_cuts_neither_a_status_nor_a_name() {
    let name = id("sql/0001_a_name_that_is_longer_than_the_screen_is");
    let graph = Graph::from_requirements(
        &BTreeMap::from([(name.clone(), BTreeSet::new())]),
        |_, _| String::new(),
    )
    .unwrap();
    let mut stands = status(&name.to_string(), Status::Pending);
    stands.description = Some("What it is for, in more words than fit".to_owned());
    let view = GraphView::of_catalog(&graph, &[stands]);
    assert_eq!(
        shown(|out| graph_tree(out, NARROW, &view)),
        "+ sql/0001_a_name_that_is_longer_than_
  the_screen_is
  pending
  What it is for, in more words than fit
"
    );
    let colour = Style {
        width: NARROW.width,
        ..COLOUR
    };
    for text in shown(|out| graph_tree(out, colour, &view)).lines() {
        let begun = text.matches("\x1b[").count();
        assert_eq!(begun, 2 * text.matches("\x1b[0m").count(), "{text:?}");
    }
}
