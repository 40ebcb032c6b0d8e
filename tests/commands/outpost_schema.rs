//! Outpost's own SQL migrations give exactly the catalogs of its releases, in both directions, and keep
//! the data's meaning.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::project::Project;
use crate::support::{Database, fresh_database, query_one_text, query_rows, sql};

const LAST: usize = 10;

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/outpost-catalog");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The catalog after SQL migrations 1 to `number`, as the releases have it.
fn expected(number: usize) -> Value {
    serde_json::from_str(&fixture(&format!("v{number:02}.json"))).unwrap()
}

/// The catalog, without what an operator added: partitions of the year 2024.
fn catalog(database: &Database) -> Value {
    let query: String = fixture("catalog.sql")
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .collect::<Vec<_>>()
        .join("\n");
    let mut catalog: Value = serde_json::from_str(&query_one_text(database, &query)).unwrap();
    for part in ["tables", "indexes"] {
        if let Some(objects) = catalog[part].as_object_mut() {
            objects.retain(|name, _| !name.contains("2024"));
        }
    }
    catalog
}

fn assert_catalog(database: &Database, number: usize, when: &str) {
    let (found, expected) = (catalog(database), expected(number));
    if found != expected {
        let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        let (expected, found) = (text(&expected), text(&found));
        let diff = similar::TextDiff::from_lines(&expected, &found);
        panic!("{when}:\n{}", diff.unified_diff().context_radius(3));
    }
}

/// Names of the SQL migrations, in order, without ending.
fn names() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/sql");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".up.sql").map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(names.len(), LAST);
    names
}

/// Outpost's schema over Postgres alone, with a version for each SQL migration: `v01` to `v10`.
fn step_by_step(database: &Database) -> Project {
    let mut versions = String::new();
    for (index, name) in names().iter().enumerate() {
        let number = index + 1;
        writeln!(versions, "[[version]]\nname = \"v{number:02}\"").unwrap();
        if index > 0 {
            writeln!(versions, "extends = \"v{index:02}\"").unwrap();
        }
        let redis = match index {
            0 => ", \"redis/0001_hash_tags\", \"redis/0002_timestamps\", \"redis/0003_entity\"",
            _ => "",
        };
        writeln!(versions, "add = [\"sql/{name}\"{redis}]\n").unwrap();
    }
    Project::outpost_schema()
        .file("schema/versions.toml", &versions)
        .version("v10")
        .postgres(database)
}

fn go(project: &Project, database: &Database, number: usize) {
    project
        .migrate(&format!("apply --yes --to v{number:02}"))
        .ok();
    assert_catalog(database, number, &format!("at v{number:02}"));
}

#[test]
fn every_version_is_the_catalog_of_its_release_up_down_and_up_again() {
    let database = fresh_database();
    let project = step_by_step(&database);
    for number in (1..=LAST).chain((1..LAST).rev()).chain([4, LAST]) {
        go(&project, &database, number);
    }
}

#[test]
fn each_release_is_reached_in_one_go_from_nothing() {
    for (version, number) in [
        ("0.12", 3),
        ("0.13", 5),
        ("0.14", 6),
        ("0.15", 6),
        ("0.16", 9),
        ("0.17", 9),
        ("1.0", 9),
        ("1.1", 9),
        ("1.2", 10),
    ] {
        let database = fresh_database();
        let project = Project::outpost_schema()
            .version(version)
            .postgres(&database);
        project.apply();
        assert_catalog(&database, number, version);
    }
}

/// The files alone, as golang-migrate or psql would run them.
#[test]
fn the_files_run_one_by_one_without_the_tool() {
    let database = fresh_database();
    let read = |name: &str, ending: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/sql");
        fs::read_to_string(folder.join(format!("{name}.{ending}.sql"))).unwrap()
    };
    let names = names();
    for round in ["first", "second"] {
        for (index, name) in names.iter().enumerate() {
            sql(&database, &format!("begin; {}; commit", read(name, "up")));
            assert_catalog(&database, index + 1, &format!("{round} up {name}"));
        }
        for (index, name) in names.iter().enumerate().skip(1).rev() {
            sql(&database, &format!("begin; {}; commit", read(name, "down")));
            assert_catalog(&database, index, &format!("{round} down {name}"));
        }
        sql(&database, &read(&names[0], "down"));
        assert_eq!(catalog(&database)["tables"], Value::Null);
    }
}

const SEED_V02: &str = r#"
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table deliveries_2024 partition of deliveries for values from ('2024-01-01') to ('2025-01-01');

insert into events (id, tenant_id, destination_id, time, topic, eligible_for_retry, data, metadata) values
  ('e1', 't1', 'd1', '2024-05-01 10:00:00.5+00', 'user.created', true,
   '{"b": 1, "a": [1, 2.50, null], "s": "\u00fc \"q\""}', '{"k": "v"}'),
  ('e2', 't2', '', '2025-02-01 00:00:00+00', 'user.deleted', false, 'null', '{}'),
  ('twice', 't1', 'd1', '2025-01-01 00:00:00+00', 'first', true, '{"n": 1}', '{}'),
  ('twice', 't3', 'd2', '2025-01-02 00:00:00+00', 'second', false, '{"n": 2}', '{}');

insert into deliveries (id, event_id, destination_id, status, time, code, response_data) values
  ('old', 'e1', 'd1', 'failed', '2024-05-01 10:00:01+00', '500', '{"z": 1, "a": "x"}'),
  ('again', 'e1', 'd1', 'success', '2025-05-01 10:00:02+00', '200', null),
  ('again', 'e1', 'd1', 'success', '2025-05-01 10:00:03+00', '200', 'null'),
  ('of-e2', 'e2', 'd9', 'success', '2025-02-01 00:00:01+00', '204', '"text"'),
  ('of-first', 'twice', 'd1', 'success', '2025-01-03 00:00:00+00', '200', null),
  ('of-second', 'twice', 'd2', 'failed', '2025-01-03 00:00:01+00', '503', '[]'),
  ('orphan', 'gone', 'd1', 'failed', '2025-03-01 00:00:00+00', '404', null);
"#;

fn rows(database: &Database, query: &str) -> Vec<String> {
    query_rows(database, query)
        .into_iter()
        .map(|row| {
            let cells: Vec<String> = row
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "-".to_owned()))
                .collect();
            cells.join(" ")
        })
        .collect()
}

const DELIVERIES_FROM_V04: [&str; 7] = [
    "again 2025-05-01 10:00:02 f 0",
    "again 2025-05-01 10:00:03 t 3",
    "of-e2 2025-02-01 00:00:01 f 0",
    "of-first 2025-01-03 00:00:00 f 0",
    "of-second 2025-01-03 00:00:01 f 0",
    "old 2024-05-01 10:00:01 t 7",
    "orphan 2025-03-01 00:00:00 f 0",
];

#[test]
fn data_keeps_its_meaning_through_every_version_up_and_down() {
    let database = fresh_database();
    let project = step_by_step(&database);
    go(&project, &database, 2);
    sql(&database, SEED_V02);
    let time_ids = "select id, time_id from events order by time";
    let first_time_ids = rows(&database, time_ids);

    // The index holds each delivery whose event exists, with the event that went to its destination.
    go(&project, &database, 3);
    let index =
        "select delivery_id, tenant_id, topic, status, destination_id, event_time::timestamp
                 from event_delivery_index order by 1, delivery_time";
    let index_rows = [
        "again t1 user.created success d1 2024-05-01 10:00:00.5",
        "again t1 user.created success d1 2024-05-01 10:00:00.5",
        "of-e2 t2 user.deleted success d9 2025-02-01 00:00:00",
        "of-first t1 first success d1 2025-01-01 00:00:00",
        "of-second t3 second failed d2 2025-01-02 00:00:00",
        "old t1 user.created failed d1 2024-05-01 10:00:00.5",
    ];
    assert_eq!(rows(&database, index), index_rows);

    go(&project, &database, 4);
    sql(
        &database,
        "update deliveries set manual = true, attempt = 7 where id = 'old';
         update event_delivery_index set manual = true, attempt = 7 where delivery_id = 'old';
         update deliveries set manual = true, attempt = 3 where time = '2025-05-01 10:00:03+00';
         update event_delivery_index set manual = true, attempt = 3
           where delivery_time = '2025-05-01 10:00:03+00'",
    );
    let deliveries =
        "select id, time::timestamp, manual, attempt from deliveries order by id, time";
    assert_eq!(rows(&database, deliveries), DELIVERIES_FROM_V04);

    // An attempt carries its event's data, its own flag and number; the orphan goes.
    go(&project, &database, 5);
    let attempts = "select id, time::timestamp, manual, attempt_number, code, tenant_id, topic,
                      event_time::timestamp, eligible_for_retry, event_data::jsonb, event_metadata
                    from attempts order by id, time";
    let e1 = r#"t1 user.created 2024-05-01 10:00:00.5 t {"a": [1, 2.50, null], "b": 1, "s": "ü \"q\""} {"k": "v"}"#;
    let attempt_rows = [
        format!("again 2025-05-01 10:00:02 f 0 200 {e1}"),
        format!("again 2025-05-01 10:00:03 t 3 200 {e1}"),
        "of-e2 2025-02-01 00:00:01 f 0 204 t2 user.deleted 2025-02-01 00:00:00 f null {}"
            .to_owned(),
        r#"of-first 2025-01-03 00:00:00 f 0 200 t1 first 2025-01-01 00:00:00 t {"n": 1} {}"#
            .to_owned(),
        r#"of-second 2025-01-03 00:00:01 f 0 503 t3 second 2025-01-02 00:00:00 f {"n": 2} {}"#
            .to_owned(),
        format!("old 2024-05-01 10:00:01 t 7 500 {e1}"),
    ];
    assert_eq!(rows(&database, attempts), attempt_rows);
    assert_eq!(
        query_one_text(
            &database,
            "select tableoid::regclass from attempts where id = 'old'"
        ),
        "deliveries_2024",
        "a row stays in the partition that an operator added"
    );

    // Payloads become text of the same meaning; a JSON null is the text null.
    go(&project, &database, 6);
    assert_eq!(rows(&database, attempts), attempt_rows);
    let payloads = "select id, data, pg_typeof(data) from events order by time";
    assert_eq!(
        rows(&database, payloads),
        [
            r#"e1 {"a": [1, 2.50, null], "b": 1, "s": "ü \"q\""} text"#,
            r#"twice {"n": 1} text"#,
            r#"twice {"n": 2} text"#,
            "e2 null text",
        ]
    );

    go(&project, &database, 7);
    let matched = "select id, matched_destination_ids from events order by time";
    assert_eq!(
        rows(&database, matched),
        ["e1 {d1}", "twice {d1}", "twice {d2}", "e2 {}"]
    );

    go(&project, &database, 8);
    assert_eq!(
        rows(&database, "select distinct destination_type from attempts"),
        [""]
    );

    // Responses become text of the same meaning; none stays none.
    go(&project, &database, 9);
    let responses = "select id, response_data from attempts order by id, time";
    let response_rows = [
        "again -",
        "again null",
        r#"of-e2 "text""#,
        "of-first -",
        "of-second []",
        r#"old {"a": "x", "z": 1}"#,
    ];
    assert_eq!(rows(&database, responses), response_rows);

    go(&project, &database, 10);
    project.migrate("verify").ok();
    assert_eq!(rows(&database, attempts), attempt_rows);

    for number in (4..LAST).rev() {
        go(&project, &database, number);
    }
    assert_eq!(rows(&database, index), index_rows);
    assert_eq!(rows(&database, deliveries), DELIVERIES_FROM_V04[..6]);
    assert_eq!(rows(&database, time_ids), first_time_ids);
    assert_eq!(
        rows(
            &database,
            "select id, destination_id, data from events order by time"
        ),
        [
            r#"e1 d1 {"a": [1, 2.50, null], "b": 1, "s": "ü \"q\""}"#,
            r#"twice d1 {"n": 1}"#,
            r#"twice d2 {"n": 2}"#,
            "e2  null",
        ]
    );
    assert_eq!(
        rows(
            &database,
            "select id, response_data from deliveries order by id, time"
        ),
        response_rows
    );

    for number in [1, LAST] {
        go(&project, &database, number);
    }
    project.migrate("verify").ok();
    assert_eq!(
        query_one_text(&database, "select count(*) from attempts"),
        "6"
    );
}

#[test]
fn a_payload_that_jsonb_cannot_hold_stops_the_revert_and_changes_nothing() {
    let database = fresh_database();
    let project = step_by_step(&database);
    go(&project, &database, 6);
    sql(
        &database,
        "insert into events (id, tenant_id, destination_id, time, topic, eligible_for_retry, data, metadata)
         values ('e', 't', 'd', now(), 'x', true, 'plainly no JSON', '{}')",
    );
    project
        .migrate("apply --yes --to v05")
        .exits(1)
        .says("sql/0006_event_data_text.down.sql:")
        .says("SQLSTATE 22P02");
    assert_catalog(&database, 6, "after the failed revert");
    assert_eq!(
        project.migrate("list --to v06 --exit-code").ok().code,
        Some(0)
    );
}
