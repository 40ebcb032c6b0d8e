//! Deployments that ran the earlier tools are adopted without running anything twice, and go on serving
//! those tools.

use std::fs;
use std::path::PathBuf;

use outpost::sandbox::RedisServer;

use crate::support::project::{
    Project, application_keys, database_content, legacy_tenants, public_rows, redis_content,
};
use crate::support::{
    Database, fresh_database, fresh_redis, query_one_text, query_rows, redis_cmd, redis_text, sql,
};

const COMPAT: &str = "[compat]\ngolang_migrate = \"schema_migrations\"\noutpost_redis = true\n";
const MARKERS: [&str; 3] = ["001_hash_tags", "002_timestamps", "003_entity"];

fn names() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/sql");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".up.sql").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn up(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/sql");
    fs::read_to_string(folder.join(format!("{name}.up.sql"))).unwrap()
}

/// What golang-migrate leaves after migrations 1 to `version`: the schema, and its own row.
fn golang(database: &Database, version: usize, dirty: bool) {
    for name in names().iter().take(version) {
        sql(database, &format!("begin; {}; commit", up(name)));
    }
    row(database, version, dirty);
}

fn row(database: &Database, version: usize, dirty: bool) {
    sql(
        database,
        &format!(
            "create table if not exists schema_migrations (version bigint not null primary key, dirty boolean not null);
             truncate schema_migrations; insert into schema_migrations values ({version}, {dirty})"
        ),
    );
}

/// The row as an old binary's gate reads it.
fn golang_row(database: &Database) -> String {
    let rows = query_rows(database, "select version, dirty from schema_migrations");
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0]
        .iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(" ")
}

fn project(database: &Database, redis: &RedisServer) -> Project {
    Project::outpost(database, redis).more(COMPAT)
}

fn over_postgres(database: &Database) -> Project {
    Project::outpost_schema().postgres(database).more(COMPAT)
}

#[test]
fn every_version_of_golang_migrate_is_adopted_and_nothing_runs_twice() {
    for version in 1..=10 {
        let database = fresh_database();
        golang(&database, version, false);
        // A row that a second run of any migration would change or refuse.
        let deliveries = if version < 5 {
            "deliveries"
        } else {
            "attempts"
        };
        let columns = query_one_text(
            &database,
            &format!(
                "select string_agg(attname, ',' order by attnum) from pg_attribute
                 where attrelid = '{deliveries}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''
                   and attname in ('id','event_id','destination_id','status','time','tenant_id','topic',
                                   'event_time','eligible_for_retry','event_data','event_metadata')"
            ),
        );
        let values: Vec<&str> = columns
            .split(',')
            .map(|column| match column {
                "time" | "event_time" => "'2025-01-01'",
                "eligible_for_retry" => "true",
                "event_data" | "event_metadata" => "'{}'",
                _ => "'x'",
            })
            .collect();
        let destination = if version < 7 {
            "destination_id"
        } else {
            "matched_destination_ids"
        };
        let destinations = if version < 7 { "'x'" } else { "'{x}'" };
        sql(
            &database,
            &format!(
                "insert into events (id, tenant_id, {destination}, time, topic, eligible_for_retry, data, metadata)
                   values ('x', 'x', {destinations}, '2025-01-01', 'x', true, '{{}}', '{{}}');
                 insert into {deliveries} ({columns}) values ({})",
                values.join(",")
            ),
        );
        let project = over_postgres(&database);
        let rows = public_rows(&database);

        let expected: Vec<(String, String)> = names()
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let action = if index < version { "adopt" } else { "apply" };
                (format!("sql/{name}"), action.to_owned())
            })
            .collect();
        assert_eq!(project.planned(""), expected, "at {version}");
        let statuses = project.statuses();
        for (index, name) in names().iter().enumerate() {
            let status = if index < version {
                "unadopted"
            } else {
                "pending"
            };
            assert_eq!(statuses[&format!("sql/{name}")], status, "at {version}");
        }
        project
            .run(&["serve", "--", "true"])
            .exits(3)
            .says("not started");
        assert_eq!(public_rows(&database), rows);

        project
            .migrate("plan -out plan.bin")
            .ok()
            .says("= sql/0001_init");
        project.migrate("apply plan.bin").ok();
        project.migrate("apply plan.bin").ok().says("Nothing to do");
        assert_eq!(golang_row(&database), "10 f", "an old binary's gate opens");
        assert_eq!(
            query_one_text(&database, "select count(*) from events"),
            "1"
        );
        assert_eq!(
            query_one_text(&database, "select count(*) from attempts"),
            "1"
        );
        if version == 10 {
            assert_eq!(public_rows(&database), rows);
        }
        project.migrate("verify").ok();
        project.run(&["serve", "--", "true"]).ok();
    }
}

#[test]
fn a_schema_that_is_not_the_pinned_one_is_refused_by_name() {
    let database = fresh_database();
    golang(&database, 6, false);
    sql(
        &database,
        "alter table events alter column topic drop not null; drop index idx_attempts_id",
    );
    let project = over_postgres(&database);
    let before = database_content(&database);
    for arguments in ["plan", "apply --yes"] {
        project.migrate(arguments).refuses(
            1,
            &[
                "not proven to be in place",
                "events",
                "idx_attempts_id is missing",
            ],
        );
    }
    project.run(&["serve", "--", "true"]).exits(3);
    assert_eq!(database_content(&database), before);
}

#[test]
fn a_claim_of_more_than_is_there_is_refused() {
    let database = fresh_database();
    golang(&database, 6, false);
    row(&database, 9, false);
    over_postgres(&database)
        .migrate("plan")
        .refuses(1, &["not proven to be in place", "events"]);
}

#[test]
fn what_an_operator_added_is_no_difference() {
    let database = fresh_database();
    golang(&database, 6, false);
    sql(
        &database,
        "create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
         create table of_the_operator (n int);
         create schema other; create table other.thing (n int)",
    );
    let project = over_postgres(&database);
    project.apply();
    project.migrate("verify").ok();
    assert_eq!(golang_row(&database), "10 f");
}

#[test]
fn without_a_pin_the_verify_files_prove_it() {
    let database = fresh_database();
    golang(&database, 6, false);
    let project = over_postgres(&database);
    let _ = fs::remove_file(project.path("schema/outpost.lock"));
    let actions = project.planned("");
    assert_eq!(actions[5].1, "adopt");
    assert_eq!(actions[6].1, "apply");

    let project = over_postgres(&database);
    let _ = fs::remove_file(project.path("schema/outpost.lock"));
    fs::remove_file(project.path("schema/sql/0004_delivery_manual_attempt.verify.sql")).unwrap();
    project.migrate("plan").refuses(
        1,
        &[
            "sql/0004_delivery_manual_attempt",
            "nothing proves it",
            "resolve",
        ],
    );
    // A decision is the way on, and it is recorded.
    project
        .migrate("resolve sql/0004_delivery_manual_attempt --applied --yes")
        .ok();
    project.apply();
    assert_eq!(golang_row(&database), "10 f");
    project.migrate("history").ok().says("resolve as applied");
}

#[test]
fn u01_c11_dirty_is_refused_everywhere_until_somebody_decides() {
    for decision in ["--applied", "--rolled-back"] {
        let database = fresh_database();
        let done = if decision == "--applied" { 8 } else { 7 };
        golang(&database, done, false);
        row(&database, 8, true);
        let project = over_postgres(&database);
        let before = database_content(&database);

        assert_eq!(project.statuses()["sql/0008_destination_type"], "dirty");
        project.migrate("list").ok().says("dirty");
        for arguments in ["plan", "apply --yes"] {
            project.migrate(arguments).refuses(
                1,
                &[
                    "schema_migrations is dirty at version 8",
                    "sql/0008_destination_type",
                    "outpost migrate resolve sql/0008_destination_type",
                ],
            );
        }
        project
            .run(&["serve", "--", "true"])
            .refuses(3, &["not started", "sql/0008_destination_type", "dirty"]);
        project.migrate("verify").exits(6);
        // c01: what is in place is shown before anybody decides; nobody to ask is no decision.
        project
            .migrate(&format!("resolve sql/0008_destination_type {decision}"))
            .exits(1)
            .says("dirty at 8");
        assert_eq!(database_content(&database), before);

        project
            .migrate(&format!(
                "resolve sql/0008_destination_type {decision} --yes"
            ))
            .ok();
        let row = if decision == "--applied" {
            "8 f"
        } else {
            "7 f"
        };
        assert_eq!(golang_row(&database), row, "{decision}");
        project.apply();
        assert_eq!(golang_row(&database), "10 f");
        project.migrate("verify").ok();
        project.run(&["serve", "--", "true"]).ok();
    }
}

#[test]
fn u02_a_version_that_the_folder_does_not_know_is_ahead() {
    let database = fresh_database();
    golang(&database, 10, false);
    row(&database, 12, false);
    let project = over_postgres(&database);
    project.migrate("plan").refuses(
        1,
        &[
            "the database is ahead",
            "schema_migrations is at version 12",
        ],
    );
    row(&database, 12, true);
    project.migrate("plan").refuses(1, &["dirty at version 12"]);
    project.run(&["serve", "--", "true"]).exits(3);
}

#[test]
fn an_adopted_database_can_be_reverted_and_the_row_follows() {
    let database = fresh_database();
    golang(&database, 9, false);
    let project = over_postgres(&database);
    project.apply();
    project.migrate("apply --yes --to 0.13").ok();
    assert_eq!(golang_row(&database), "5 f");
    project.migrate("apply --yes --to 1.1").ok();
    assert_eq!(golang_row(&database), "9 f");
}

#[test]
fn a_virgin_database_gets_the_row_and_the_markers_too() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 2);
    project(&database, &redis).apply();
    assert_eq!(golang_row(&database), "10 f");
    for marker in MARKERS {
        assert_eq!(marker_status(&redis, marker), "applied");
    }
}

#[test]
fn an_old_tool_that_runs_meanwhile_makes_the_plan_stale() {
    let database = fresh_database();
    golang(&database, 6, false);
    let project = over_postgres(&database);
    project.migrate("plan -out plan.bin").ok();
    sql(&database, &up("0007_matched_destination_ids"));
    row(&database, 7, false);
    project.migrate("apply plan.bin").refuses(
        4,
        &[
            "an earlier tool's record changed",
            "schema_migrations at 6",
            "schema_migrations at 7",
        ],
    );
}

fn marker_status(redis: &RedisServer, name: &str) -> String {
    redis_text(
        redis,
        &["HGET", &format!("outpost:migration:{name}"), "status"],
    )
}

/// Legacy keys and what the earlier migrator made of them, without its markers.
fn migrated(redis: &RedisServer) {
    legacy_tenants(redis, 10);
    Project::outpost_schema().redis(redis).apply();
    for key in redis_content(redis).keys() {
        if key.contains("{outpost}:") || key.contains("outpost:migration") {
            redis_cmd(redis, &["DEL", key]);
        }
    }
}

fn mark(redis: &RedisServer, fields: &[&str]) {
    for name in MARKERS {
        let key = format!("outpost:migration:{name}");
        let command: Vec<&str> = ["HSET", &key]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        redis_cmd(redis, &command);
    }
}

#[test]
fn redis_markers_are_adopted_where_their_migrations_prove_to_be_in_place() {
    for applied_at in [
        "2024-05-01T10:00:00Z",
        "2024-05-01T10:00:00.123456789+02:00",
        "1714557600",
    ] {
        let redis = fresh_redis();
        migrated(&redis);
        mark(&redis, &["status", "applied", "applied_at", applied_at]);
        let keys = application_keys(&redis);
        let project = Project::outpost_schema().redis(&redis).more(COMPAT);
        assert_eq!(project.statuses()["redis/0001_hash_tags"], "unadopted");
        assert!(
            project
                .planned("")
                .iter()
                .all(|(_, action)| action == "adopt")
        );
        project.apply();
        assert_eq!(application_keys(&redis), keys, "nothing ran twice");
        for marker in MARKERS {
            assert_eq!(marker_status(&redis, marker), "applied");
        }
        project.migrate("verify").ok();
        project.run(&["serve", "--", "true"]).ok();
        // Copies that the earlier tool made are proven by what it converted in them afterwards.
        project.migrate("cleanup --yes").ok();
        let keys = application_keys(&redis);
        assert!(!keys.contains_key("tenant:t1:destinations"));
        assert!(!keys.contains_key("tenant:t1"));
        assert!(keys.contains_key("tenant:{t1}:tenant"));
    }
}

#[test]
fn u11_a_marker_that_lies_is_not_believed() {
    let redis = fresh_redis();
    migrated(&redis);
    redis_cmd(
        &redis,
        &[
            "HSET",
            "tenant:{t4}:tenant",
            "created_at",
            "2024-05-01T10:00:00Z",
        ],
    );
    mark(&redis, &["status", "applied", "applied_at", "1714557600"]);
    let before = redis_content(&redis);
    let project = Project::outpost_schema().redis(&redis).more(COMPAT);
    for arguments in ["plan", "apply --yes"] {
        project.migrate(arguments).refuses(
            1,
            &["redis/0002_timestamps", "not proven", "tenant:{t4}:tenant"],
        );
    }
    assert_eq!(redis_content(&redis), before);
}

#[test]
fn u26_sources_that_were_never_copied_need_a_decision() {
    for (decision, action, copied) in [("keep", "adopt", false), ("copy", "apply", true)] {
        let redis = fresh_redis();
        migrated(&redis);
        // An orphan, which the earlier migrator's index did not know.
        redis_cmd(
            &redis,
            &[
                "HSET",
                "tenant:lost:destination:d9",
                "id",
                "d9",
                "created_at",
                "2024-05-01T10:00:00Z",
                "updated_at",
                "2024-05-01T10:00:00Z",
            ],
        );
        mark(&redis, &["status", "applied", "applied_at", "1714557600"]);
        let before = redis_content(&redis);
        let project = Project::outpost_schema().redis(&redis).more(COMPAT);
        project.migrate("plan").refuses(
            1,
            &[
                "redis/0001_hash_tags",
                "1 sources have no counterpart",
                "tenant:lost:destination:d9",
                "[adopt] missing",
            ],
        );
        assert_eq!(redis_content(&redis), before);

        let project = project.more(&format!("{COMPAT}[adopt]\nmissing = \"{decision}\"\n"));
        let planned = project.planned("");
        assert_eq!(
            planned[0],
            ("redis/0001_hash_tags".to_owned(), action.to_owned())
        );
        project.apply();
        let keys = redis_content(&redis);
        assert_eq!(keys.contains_key("tenant:{lost}:destination:d9"), copied);
        assert!(keys.contains_key("tenant:lost:destination:d9"));
        if copied {
            let field = |name| redis_text(&redis, &["HGET", "tenant:{lost}:destination:d9", name]);
            assert_eq!(field("created_at"), "1714557600000");
            assert_eq!(field("entity"), "destination");
        }
        // Kept as a decision, it is still said.
        let said = match copied {
            true => "targets equal sources",
            false => "missing: tenant:lost:destination:d9: its target",
        };
        project.migrate("verify").ok().says(said);
        project.run(&["serve", "--", "true"]).ok();
        // What was never copied is no left-over: cleanup lists it and keeps it.
        project.migrate("cleanup --yes");
        assert_eq!(
            redis_content(&redis).contains_key("tenant:lost:destination:d9"),
            !copied
        );
    }
}

#[test]
fn a_deployment_with_an_id_skips_what_never_applied_to_it() {
    let redis = fresh_redis();
    redis_cmd(
        &redis,
        &[
            "HSET",
            "dp:tenant:{a}:tenant",
            "id",
            "a",
            "created_at",
            "2024-05-01T10:00:00Z",
        ],
    );
    redis_cmd(&redis, &["HSET", "tenant:foreign", "id", "foreign"]);
    redis_cmd(
        &redis,
        &[
            "HSET",
            "dp:outpost:migration:001_hash_tags",
            "status",
            "not_applicable",
            "checked_at",
            "1714557600",
            "reason",
            "deployment id",
        ],
    );
    let project = Project::outpost_schema()
        .redis(&redis)
        .redis_keys("deployment_id = \"dp\"")
        .more(COMPAT);
    project.migrate("plan").ok().says("deployment");
    let planned = project.planned("");
    assert_eq!(
        planned[0],
        ("redis/0001_hash_tags".to_owned(), "skip".to_owned())
    );
    project.apply();
    assert_eq!(project.statuses()["redis/0001_hash_tags"], "skipped");
    assert_eq!(
        redis_text(&redis, &["HGET", "dp:tenant:{a}:tenant", "created_at"]),
        "1714557600000"
    );
    assert_eq!(
        redis_text(
            &redis,
            &["HGET", "dp:outpost:migration:001_hash_tags", "status"]
        ),
        "not_applicable"
    );
    assert_eq!(
        redis_text(
            &redis,
            &["HGET", "dp:outpost:migration:002_timestamps", "status"]
        ),
        "applied"
    );
    assert_eq!(
        redis_text(&redis, &["HGET", "tenant:foreign", "id"]),
        "foreign"
    );
    project.migrate("verify").ok();
    project.run(&["serve", "--", "true"]).ok();
}

#[test]
fn u35_both_stores_of_a_live_deployment_are_adopted_in_one_plan() {
    let (database, redis) = (fresh_database(), fresh_redis());
    golang(&database, 6, false);
    migrated(&redis);
    mark(&redis, &["status", "applied", "applied_at", "1714557600"]);
    let project = project(&database, &redis);
    let planned = project.planned("");
    let count = |action: &str| planned.iter().filter(|(_, a)| a == action).count();
    assert_eq!((count("adopt"), count("apply")), (9, 4));
    project.apply();
    assert!(project.statuses().values().all(|s| s == "applied"));
    project.migrate("verify").ok();
    project.migrate("plan -detailed-exitcode").ok();
}
