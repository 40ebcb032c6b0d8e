//! `plan --rehearse` as a person runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use outpost::sandbox::PostgresServer;
use serde_json::{Value, json};

use support::project::{Project, database_content};
use support::{Database, fresh_database, query_one_text, sql, started};

/// A project whose first migration is applied.
fn project(database: &Database) -> Project {
    let project = Project::empty()
        .postgres(database)
        .file(
            "schema/sql/0001_init.up.sql",
            "create table orders (id int primary key, total int);\n\
             create table lines (order_id int references orders (id), n int);\n",
        )
        .file(
            "schema/sql/0001_init.down.sql",
            "drop table lines; drop table orders;\n",
        );
    project.apply();
    sql(
        database,
        "insert into orders select i, i from generate_series(1, 100) i",
    );
    project
}

fn step<'a>(plan: &'a Value, id: &str) -> &'a Value {
    plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["id"] == id)
        .unwrap_or_else(|| panic!("{id} in {plan}"))
}

/// What the rehearsal saw of a step's statement.
fn seen<'a>(plan: &'a Value, id: &str, statement: usize) -> &'a Value {
    &step(plan, id)["sql"]["statements"][statement]["rehearsal"]
}

#[test]
fn u18_a_rehearsal_shows_locks_rewrites_and_whether_the_way_back_leads_back() {
    let database = fresh_database();
    let project = project(&database)
        .file(
            "schema/sql/0002_token.up.sql",
            "create table fresh (order_id int references orders (id));\n\
             alter table orders add column token float not null default random();\n\
             alter table orders add column note text not null default 'x';\n",
        )
        .file(
            "schema/sql/0002_token.down.sql",
            "alter table orders drop column note, drop column token;\ndrop table fresh;\n",
        )
        .file(
            "schema/sql/0003_index.up.sql",
            "-- outpost: transaction = false\n\
             create index concurrently orders_total on orders (total);\n\
             alter table lines add column price int;\n\
             vacuum lines;\n",
        )
        .file(
            "schema/sql/0003_index.down.sql",
            "-- outpost: transaction = false\n\
             drop index concurrently orders_total;\nalter table lines drop column price;\n",
        )
        .file(
            "schema/sql/0004_halves.up.sql",
            "create table half (i int);\ncreate sequence other_half;\ntruncate lines;\n",
        )
        .file("schema/sql/0004_halves.down.sql", "drop table half;\n")
        .file(
            "schema/sql/0005_rest.up.sql",
            "alter table lines rename to rows;\n",
        );
    sql(&database, "create table by_hand (i int)");
    let before = database_content(&database);
    let plain = project.migrate("plan --format json").ok().json();
    let plan = project
        .migrate("plan --rehearse -out plan.bin --format json")
        .ok()
        .json();
    assert_eq!(before, database_content(&database));

    // Evidence, and nothing else.
    assert_eq!(plan["digest"], plain["digest"]);
    assert_eq!(plain["rehearsal"], json!([]));
    let held = &plan["rehearsal"][0];
    assert_eq!(held["server"], "throwaway", "{held}");
    assert_eq!(held["origin"], "replayed");
    assert_eq!(held["migrations"], json!(["sql/0001_init"]));
    assert_eq!(
        held["differences"],
        json!(["table public.by_hand is missing"])
    );
    assert_eq!(held["failed"], Value::Null);

    let lock = |relation: &str, mode: &str| json!({"relation": relation, "mode": mode});
    assert_eq!(
        seen(&plan, "sql/0002_token", 0)["locks"],
        json!([lock("public.orders", "share_row_exclusive")])
    );
    let token = seen(&plan, "sql/0002_token", 1);
    assert_eq!(token["rewritten"], json!(["public.orders"]), "{token}");
    assert!(
        token["locks"]
            .as_array()
            .unwrap()
            .contains(&lock("public.orders", "access_exclusive")),
        "{token}"
    );
    let note = seen(&plan, "sql/0002_token", 2);
    assert_eq!(
        (&note["rewritten"], &note["locks"]),
        (&json!([]), &json!([])),
        "held already: {note}"
    );
    assert_eq!(
        step(&plan, "sql/0002_token")["rehearsal"]["way_back"]["kind"],
        "exact"
    );

    let index = seen(&plan, "sql/0003_index", 0);
    assert_eq!(
        index["locks"],
        json!([lock("public.orders", "share_update_exclusive")])
    );
    assert_eq!(index["indexes_built"], json!(["public.orders_total"]));
    assert_eq!(
        seen(&plan, "sql/0003_index", 1)["locks"],
        json!([lock("public.lines", "access_exclusive")])
    );
    assert_eq!(
        seen(&plan, "sql/0003_index", 2)["locks"],
        json!([lock("public.lines", "share_update_exclusive")])
    );
    assert_eq!(
        step(&plan, "sql/0003_index")["rehearsal"]["way_back"]["kind"],
        "exact"
    );

    let halves = step(&plan, "sql/0004_halves");
    assert_eq!(halves["rehearsal"]["way_back"]["kind"], "differs");
    assert_eq!(
        halves["rehearsal"]["way_back"]["differences"],
        json!(["sequence public.other_half is there as well"])
    );
    assert_eq!(
        seen(&plan, "sql/0004_halves", 2)["rewritten"],
        json!([]),
        "emptied only"
    );
    let rest = &step(&plan, "sql/0005_rest")["rehearsal"];
    assert_eq!(rest["way_back"]["kind"], "absent", "{rest}");

    // All of it is in the file, and on every screen.
    for format in ["text", "markdown", "html"] {
        project
            .migrate(&format!("show plan.bin --format {format}"))
            .ok()
            .says("its way back does not bring back what was there: sequence public.other")
            .says("wrote public.orders anew")
            .says("its way back brings back exactly what was there");
    }
    project.migrate("apply plan.bin").ok();
}

#[test]
fn u18_a_statement_that_fails_in_the_rehearsal_is_named_and_the_plan_is_kept() {
    let database = fresh_database();
    let elsewhere = started(PostgresServer::start());
    let project = project(&database)
        .file(
            "schema/sql/0002_bad.up.sql",
            "create table good (i int);\nalter table orders add column a int;\n\nalter table missing add column b int;\n",
        )
        .file("schema/sql/0003_later.up.sql", "create table later (i int);\n");
    let url = elsewhere.url();
    project
        .migrate(&format!("plan -out plan.bin --detailed-exitcode --rehearse-url {url}"))
        .exits(1)
        .says("the rehearsal failed at statement 3 of sql/0002_bad: sql/0002_bad.up.sql:4: relation \"missing\" does not exist")
        .says("hint: plan.bin is written all the same");
    let plan = project.migrate("show plan.bin --format json").ok().json();
    assert_eq!(plan["rehearsal"][0]["server"], "given");
    let bad = step(&plan, "sql/0002_bad");
    assert_eq!(bad["rehearsal"]["outcome"], "failed");
    assert_eq!(bad["sql"]["statements"][2]["rehearsal"], Value::Null);
    assert_eq!(
        seen(&plan, "sql/0002_bad", 1)["locks"][0]["relation"],
        "public.orders"
    );
    assert!(
        bad["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|w| w["kind"] == "rehearsal"),
        "{bad}"
    );
    let later = &step(&plan, "sql/0003_later")["rehearsal"];
    assert_eq!(later["outcome"], "not_run");
    assert_eq!(
        later["reason"],
        "sql/0002_bad, which it comes after, was not done"
    );

    sql(elsewhere.url(), "create role guest login password 'guest'");
    let (_, host) = url.rsplit_once('@').unwrap();
    let guest = format!("postgres://guest:guest@{host}");
    project
        .migrate(&format!("plan --rehearse-url {guest}"))
        .refuses(1, &["permission denied", "the role needs CREATEDB"]);
    project
        .migrate(&format!("plan --rehearse-url {}", database.url))
        .refuses(1, &["on the server of the database that is to be migrated"]);
    project
        .migrate("plan --rehearse-url postgres://nobody@127.0.0.1:1/x")
        .refuses(1, &["cannot connect", "--rehearse-url"]);
    let left = "select count(*) from pg_database where datname like 'outpost_rehearsal%'";
    assert_eq!(query_one_text(elsewhere.url(), left), "0");
}
