//! `outpost migrate drift` against real servers: what somebody changed by hand is found, object by object.

use serde_json::{Value, json};

use crate::support::project::{Project, database_content};
use crate::support::{fresh_database, fresh_redis, redis_cmd, sql};

const EVENTS: &str = "create type mood as enum ('low', 'high');
create table events (id bigint not null, at timestamptz not null default now(), name text not null)
  partition by range (at);
create index events_name on events (name);
create table notes (event bigint, body text constraint body_is_short check (length(body) < 100));
create function shout(text) returns text language sql immutable as $$ select upper($1) $$;
create view loud as select shout(name) as name from events;
";

const VERSIONS: &str = "[[version]]\nname = \"1\"\nadd = [\"sql/0001_events\"]\n
[[version]]\nname = \"2\"\nextends = \"1\"\nadd = [\"sql/0002_mood\"]\n";

fn project() -> Project {
    Project::empty()
        .file("schema/versions.toml", VERSIONS)
        .file("schema/sql/0001_events.up.sql", EVENTS)
        .file(
            "schema/sql/0002_mood.up.sql",
            "alter table events add mood mood;",
        )
        .version("2")
}

/// The object of each finding with its deviation.
fn objects(drift: &Value) -> Vec<(String, String)> {
    let objects = drift["postgres"]["objects"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    objects
        .map(|o| (text(&o["object"]), text(&o["deviation"])))
        .collect()
}

#[test]
fn u17_what_was_changed_by_hand_is_named_with_both_definitions_to_who_may_only_read() {
    let database = fresh_database();
    let owner = project().postgres(&database);
    owner.migrate("drift").ok().says("nothing is recorded yet");
    owner.migrate("apply --yes --to 1").ok();
    let role = format!("watcher_{}", database.name);
    sql(
        &database,
        &format!(
            "create role {role} login password 'only-reads'; alter role {role} set default_transaction_read_only = on;
             grant usage on schema outpost to {role}; grant select on all tables in schema outpost to {role};
             create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
             create schema elsewhere; create table elsewhere.theirs (id bigint primary key)"
        ),
    );
    let (_, rest) = database.url.rsplit_once('@').unwrap();
    let project = project().postgres_url(&format!("postgres://{role}:only-reads@{rest}"));
    // Migrations that are pending, partitions and what stands elsewhere are no drift.
    project
        .migrate("drift")
        .ok()
        .says("No drift: Postgres as recorded (");

    sql(
        &database,
        "alter table events alter column name drop not null, add column by_hand int default 7;
         drop index events_name; create index at_by_hand on events (at);
         alter table notes drop constraint body_is_short;
         create or replace function shout(text) returns text language sql immutable as $$ select $1 $$;
         alter type mood add value 'highest'; create table scratch (id int);
         create function tick() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger ticks before insert on notes for each row execute function tick();",
    );
    let before = database_content(&database);
    let drift = project.migrate("drift --format json").exits(6).json();
    assert_eq!(database_content(&database), before);
    assert_eq!(drift["drifted"], true);
    assert_eq!(drift["postgres"]["against"], "replay");
    assert_eq!(drift["redis"], Value::Null);
    let found: Vec<(String, String)> = [
        ("constraint public.notes.body_is_short", "missing"),
        ("function public.shout(text)", "different"),
        ("function public.tick()", "unexpected"),
        ("index public.at_by_hand", "unexpected"),
        ("index public.events_name", "missing"),
        ("table public.events", "different"),
        ("table public.scratch", "unexpected"),
        ("trigger public.notes.ticks", "unexpected"),
        ("type public.mood", "different"),
    ]
    .map(|(object, deviation)| (object.to_owned(), deviation.to_owned()))
    .into();
    assert_eq!(objects(&drift), found);
    let events = &drift["postgres"]["objects"][5];
    for (side, has, lacks) in [
        ("recorded", "column name: text, not null", "by_hand"),
        (
            "real",
            "column by_hand: integer, default 7",
            "text, not null",
        ),
    ] {
        let definition = events[side].as_str().unwrap();
        assert!(definition.contains(has), "{definition}");
        assert!(!definition.contains(lacks), "{definition}");
    }
    let unexpected = &drift["postgres"]["objects"][3];
    assert_eq!(unexpected["recorded"], Value::Null);
    assert!(unexpected["real"].as_str().unwrap().contains("(at)"));

    // The lock file tells which, without the definitions; a plan says so as well, and decides nothing by it.
    let locked = owner.migrate("drift --against lock").exits(1);
    locked.says("outpost migrate lock");
    owner.migrate("lock").ok();
    let json = owner.migrate("drift --against lock --format json").exits(6);
    let by_lock = json.json();
    assert_eq!(objects(&by_lock), found);
    assert_eq!(by_lock["postgres"]["objects"][5]["recorded"], Value::Null);
    assert_eq!(by_lock["postgres"]["objects"][5]["real"], events["real"]);
    let planned = owner.migrate("plan --format json").ok().json();
    assert_eq!(planned["drift"]["after"], "sql/0001_events");
    assert_eq!(objects(&json!({ "postgres": planned["drift"] })), found);
    let said = owner.migrate("plan").ok();
    let said = said.says("! drift: 9 objects in Postgres not as recorded");
    said.says("index public.events_name is missing");

    // Drift and findings are evidence: without them it is the same plan, of which JSON and Markdown say the same.
    owner.write("schema/sql/0001_events.down.sql", "drop table events;");
    let edited = owner
        .migrate("plan --format json -out plan.bin")
        .ok()
        .json();
    assert_eq!(edited["digest"], planned["digest"]);
    let rules = |plan: &Value| -> Vec<String> {
        let findings = plan["lint"].as_array().unwrap().iter();
        let of = |key: &str, f: &Value| f[key].as_str().unwrap_or_default().to_owned();
        findings
            .map(|f| format!("{} {}", of("rule", f), of("id", f)))
            .collect()
    };
    let added = "lock-added-without-lock sql/0001_events".to_owned();
    assert!(rules(&edited).contains(&added), "{edited}");
    assert!(!rules(&planned).contains(&added));
    owner
        .migrate("show plan.bin --format markdown")
        .ok()
        .says("was added without a new lock → ");
}

#[test]
fn what_another_tool_keeps_in_the_schema_is_ignored_where_outpost_toml_says_so() {
    let database = fresh_database();
    let project = |drift: &str| {
        Project::empty()
            .file("schema/sql/0001_a.up.sql", "create table a (id int);")
            .postgres(&database)
            .more(drift)
    };
    project("").migrate("apply --yes").ok();
    sql(
        &database,
        "create table other_tool_state (id serial primary key, at timestamptz)",
    );
    project("").migrate("drift").exits(6).says("2 unexpected");

    let ignoring = project(
        "[drift]\nignore = [\"table public.other_*\", \"sequence other_tool_state_id_seq\", \"view v\"]\n",
    );
    let said = ignoring.migrate("drift").ok();
    let said = said.says("ignored by [drift] of outpost.toml: 2 objects");
    said.says("Nothing unexpected is there for `view v`");
    let json = ignoring.migrate("drift --format json").ok().json();
    assert_eq!(json["drifted"], false);
    assert_eq!(
        json["postgres"]["ignored"],
        json!([
            "sequence public.other_tool_state_id_seq",
            "table public.other_tool_state"
        ])
    );
    assert_eq!(json["postgres"]["unused_ignores"], json!(["view v"]));
    ignoring.migrate("lock").ok();
    let planned = ignoring.migrate("plan --format json").ok().json();
    assert_eq!(planned["drift"]["objects"], json!([]));
    // What a migration made is compared all the same.
    sql(&database, "alter table a add column by_hand int");
    let everything = project("[drift]\nignore = [\"* *\"]\n");
    let drift = everything.migrate("drift --format json").exits(6).json();
    let different = ("table public.a".to_owned(), "different".to_owned());
    assert_eq!(objects(&drift), [different]);

    project("[drift]\nignore = [\"tabel x\"]\n")
        .migrate("drift")
        .refuses(
            1,
            &[
                "`drift.ignore[0]`: `tabel x` does not begin",
                "did you mean `table`?",
            ],
        );
}

#[test]
fn u07_what_is_half_done_is_said_and_redis_is_verified() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::empty()
        .file(
            "schema/sql/0001_t.up.sql",
            "-- outpost: transaction = false\ncreate table t (id int);\nselect 1 / 0;\n",
        )
        .file(
            "schema/redis/0001_state.toml",
            "scope = \"cart:<id>\"\n\n[[step]]\nset = { state = \"open\" }\nin = \"cart:<id>\"\n",
        )
        .postgres(&database)
        .redis(&redis);
    redis_cmd(&redis, &["HSET", "cart:1", "n", "1"]);
    project.migrate("apply --yes --only redis").ok();
    project.migrate("apply --yes --only sql").exits(1);

    let said = project.migrate("drift").ok();
    let said = said.says("sql/0001_t: an apply was begun and not finished");
    said.says("No drift: Redis as recorded (2 checks).");

    let planned = project.migrate("plan --only redis --redis-drift").ok();
    planned.says("every key in Redis is as the applied migrations left it");

    redis_cmd(&redis, &["HDEL", "cart:1", "state"]);
    let drift = project.migrate("drift --format json").exits(6).json();
    assert_eq!(drift["postgres"], Value::Null);
    let checks = drift["redis"]["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|c| c["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["id"], "redis/0001_state");
    assert_eq!(failed[0]["found"], 1);
    assert_eq!(drift["caveats"][0]["found"], 1);
    project
        .migrate("drift --only redis")
        .exits(6)
        .says("Drift: 1 of 2 checks failed in Redis.");
    // A plan says it where it was asked for, and is the same plan with and without.
    let plain = project
        .migrate("plan --only redis --format json")
        .ok()
        .json();
    assert_eq!(plain["redis_drift"], json!(null));
    let asked = project
        .migrate("plan --only redis --redis-drift --format json")
        .ok();
    let asked = asked.json();
    assert_eq!(asked["digest"], plain["digest"]);
    assert_eq!(asked["redis_drift"].as_array().unwrap().len(), 1);
    assert_eq!(asked["redis_drift"][0]["id"], "redis/0001_state");
    assert_eq!(asked["redis_drift"][0]["found"], 1);
    assert_eq!(asked["redis_drift"][0]["findings"], failed[0]["findings"]);
    let said = project.migrate("plan --only redis --redis-drift").ok();
    said.says("! drift: 1 finding in Redis among ");
    Project::empty()
        .postgres(&database)
        .migrate("plan --redis-drift")
        .exits(64)
        .says("outpost.toml names no Redis");
    let sql = project.migrate("drift --only sql --format json").ok();
    assert_eq!(sql.json()["redis"], json!(null));
}

#[test]
fn what_a_cleanup_removed_is_replayed_and_no_drift() {
    let database = fresh_database();
    let project = Project::empty()
        .file(
            "schema/sql/0001_a.up.sql",
            "create table a (id int); create table old_a (id int);",
        )
        .file("schema/sql/0001_a.verify.sql", "select true;")
        .file("schema/sql/0001_a.cleanup.sql", "drop table old_a;")
        .postgres(&database);
    project.apply();
    project.migrate("lock").ok();
    project.migrate("drift --against lock").ok();
    project.migrate("cleanup --yes").ok();
    // The lock file knows the schema before it, so nothing there may be called missing.
    project
        .migrate("verify")
        .ok()
        .says("before the cleanup of sql/0001_a");
    project.migrate("drift --against lock").exits(1);
    project.migrate("drift").ok().says("(1 object)");
    sql(&database, "drop table a");
    project
        .migrate("drift")
        .exits(6)
        .says("table public.a: missing");
}
