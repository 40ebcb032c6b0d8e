//! c01: before anybody decides about a migration that is half done, `resolve` shows what is in place, statement by
//! statement, for every way to be half done; then it records the decision.

use serde_json::Value;

use crate::support::project::{Project, database_content, redis_content};
use crate::support::{Database, fresh_database, fresh_redis, redis_cmd, sql};

const COMPAT: &str = "[compat]\ngolang_migrate = \"schema_migrations\"\n";
const ONE: &str = "create table accounts (id int primary key);\n";
const TWO: &str = "-- outpost: description = \"Names\"

alter table accounts add column name text;
update accounts set name = 'account ' || id;
create index accounts_name on accounts (name);
create table if not exists notes (id int);
";
const TWO_BACK: &str =
    "drop table notes;\ndrop index accounts_name;\nalter table accounts drop column name;\n";

fn project(database: &Database) -> Project {
    Project::empty()
        .postgres(database)
        .more(COMPAT)
        .file("schema/sql/0001_accounts.up.sql", ONE)
        .file("schema/sql/0002_names.up.sql", TWO)
        .file("schema/sql/0002_names.down.sql", TWO_BACK)
}

fn row(database: &Database, version: u32, dirty: bool) {
    sql(
        database,
        &format!(
            "create table if not exists schema_migrations (version bigint not null primary key, dirty boolean not null);
             truncate schema_migrations; insert into schema_migrations values ({version}, {dirty})"
        ),
    );
}

/// File and standings of the statements, from the line of JSON that comes before the events.
fn standings(project: &Project, arguments: &str) -> Vec<(String, Vec<String>)> {
    // Nobody can be asked, so nothing is recorded.
    let ended = project
        .migrate(&format!("resolve {arguments} --format json"))
        .exits(1);
    let line: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["event"], "half_done", "{line}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let files = line["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            let statements = file["statements"].as_array().unwrap().iter();
            (
                text(&file["file"]),
                statements.map(|s| text(&s["standing"])).collect(),
            )
        })
        .collect()
}

fn one_file(path: &str, standings: &[&str]) -> Vec<(String, Vec<String>)> {
    let standings = standings.iter().map(|&s| s.to_owned()).collect();
    vec![(path.to_owned(), standings)]
}

#[test]
fn c01_a_dirty_import_is_shown_statement_by_statement() {
    let database = fresh_database();
    let project = project(&database);
    sql(&database, ONE);
    row(&database, 2, true);
    let up = "sql/0002_names.up.sql";
    assert_eq!(
        standings(&project, "sql/0002_names --applied"),
        one_file(up, &["missing", "unknown", "missing", "missing"])
    );
    // Somebody began to mend it by hand.
    sql(&database, "alter table accounts add column name text");
    let before = database_content(&database);
    assert_eq!(
        standings(&project, "sql/0002_names --rolled-back"),
        one_file(up, &["in_place", "unknown", "missing", "missing"])
    );
    let shown = project
        .migrate("resolve sql/0002_names --rolled-back")
        .exits(1);
    let words = [
        "dirty at 2",
        "4 statements: 1 in place, 2 missing, 1 unknown",
        "column public.accounts.name is there",
        "the catalog shows nothing of it",
        "index public.accounts_name is missing",
        "table public.notes is missing",
    ];
    words.iter().fold(shown, |shown, words| shown.says(words));
    assert_eq!(database_content(&database), before, "it only looked");

    sql(
        &database,
        "update accounts set name = 'account ' || id; create index accounts_name on accounts (name);
         create table notes (id int)",
    );
    assert_eq!(
        standings(&project, "sql/0002_names --applied"),
        one_file(up, &["in_place", "unknown", "in_place", "in_place"])
    );
    project
        .migrate("resolve sql/0002_names --applied --yes")
        .ok()
        .says("statement 3, which comes after it, is in place");
    project.migrate("history").ok().says("resolve as applied");
}

#[test]
fn c01_a_row_that_is_dirty_while_the_next_one_was_reverted_shows_that_one_too() {
    let database = fresh_database();
    let project = project(&database);
    sql(&database, ONE);
    sql(&database, "alter table accounts add column name text");
    row(&database, 1, true);
    assert_eq!(
        standings(&project, "sql/0001_accounts --applied"),
        [
            one_file("sql/0001_accounts.up.sql", &["in_place"]),
            one_file(
                "sql/0002_names.down.sql",
                &["in_place", "in_place", "missing"]
            ),
        ]
        .concat()
    );
    project
        .migrate("resolve sql/0001_accounts --applied")
        .exits(1)
        .says("the same record while it reverts sql/0002_names")
        .says("column public.accounts.name is still there");
    // Once that one is gone, nothing speaks of it.
    sql(&database, "alter table accounts drop column name");
    assert_eq!(
        standings(&project, "sql/0001_accounts --applied"),
        one_file("sql/0001_accounts.up.sql", &["in_place"])
    );
}

#[test]
fn c01_c15_a_step_of_ours_that_cannot_go_on_is_shown_in_its_direction() {
    let database = fresh_database();
    const OUTSIDE: &str = "-- outpost: transaction = false\n";
    let project = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_accounts.up.sql", ONE)
        .file(
            "schema/sql/0002_unique.up.sql",
            &format!(
                "{OUTSIDE}create table seats (n int);
                 insert into seats values (1), (1);
                 create unique index concurrently seats_n on seats (n);
                 create index concurrently seats_n_too on seats (n);"
            ),
        )
        .file(
            "schema/sql/0002_unique.cleanup.sql",
            &format!("{OUTSIDE}drop table if exists left_over; select 1 / (select count(*) from accounts);"),
        )
        .file(
            "schema/sql/0002_unique.down.sql",
            &format!(
                "{OUTSIDE}drop index concurrently seats_n_too;
                 select 1 / (select count(*) from accounts);
                 drop table seats;"
            ),
        );
    let id = "sql/0002_unique";
    project.migrate("apply --yes").exits(1).says("seats_n");
    assert_eq!(project.statuses()[id], "interrupted");
    assert_eq!(
        standings(&project, &format!("{id} --applied")),
        one_file(
            "sql/0002_unique.up.sql",
            &["in_place", "in_place", "missing", "missing"]
        )
    );
    project
        .migrate(&format!("resolve {id} --applied"))
        .exits(1)
        .says("the ledger has it as done")
        .says("index public.seats_n is there, and INVALID")
        .says("index public.seats_n_too is missing");
    sql(
        &database,
        "drop index seats_n; truncate seats; create unique index seats_n on seats (n);
         create index seats_n_too on seats (n)",
    );
    project
        .migrate(&format!("resolve {id} --applied --yes"))
        .ok()
        .says("4 statements: 4 in place");
    assert_eq!(project.statuses()[id], "applied");

    project
        .migrate("cleanup --yes")
        .exits(1)
        .says("division by zero");
    project
        .migrate(&format!("resolve {id} --applied"))
        .exits(1)
        .says("a cleanup of it that was not finished")
        .says("table public.left_over is gone")
        .says("2 statements: 1 in place, 1 unknown");
    project
        .migrate(&format!("resolve {id} --applied --yes"))
        .ok();

    project.write(
        "schema/versions.toml",
        "[[version]]\nname = \"1\"\nadd = [\"sql/0001_accounts\"]\n\n[[version]]\nname = \"2\"\nextends = \"1\"\nadd = [\"sql/0002_unique\"]\n",
    );
    project
        .migrate("apply --to 1 --yes")
        .exits(1)
        .says("division by zero");
    assert_eq!(
        standings(&project, &format!("{id} --rolled-back")),
        one_file(
            "sql/0002_unique.down.sql",
            &["in_place", "unknown", "missing"]
        )
    );
    project
        .migrate(&format!("resolve {id} --rolled-back"))
        .exits(1)
        .says("a revert of it that was not finished")
        .says("index public.seats_n_too is gone")
        .says("table public.seats is still there");
    sql(&database, "drop table seats");
    project
        .migrate(&format!("resolve {id} --rolled-back --yes"))
        .ok();
    assert_eq!(project.statuses()[id], "pending");
}

#[test]
fn c01_of_keys_it_is_counted_how_many_still_need_work() {
    let redis = fresh_redis();
    let project = Project::empty().redis(&redis).file(
        "schema/redis/0001_times.toml",
        "scope = \"user:<rest..>\"\n\n[[step]]\nconvert = \"seen\"\nin = \"user:<id>\"\nfrom_format = \"rfc3339\"\nto_format = \"unix_ms\"\n",
    );
    let seen =
        |id: &str, value: &str| redis_cmd(&redis, &["HSET", &format!("user:{id}"), "seen", value]);
    seen("1", "2024-01-01T00:00:00Z");
    seen("2", "2024-01-01T00:00:01Z");
    project.migrate("plan -out plan.bin").ok();
    seen("3", "yesterday");
    project.migrate("apply plan.bin").exits(1).says("user:3");
    let id = "redis/0001_times";
    assert_eq!(project.statuses()[id], "interrupted");
    // What it cannot deal with is named, and keeps nobody from deciding.
    project
        .migrate(&format!("resolve {id} --applied"))
        .exits(1)
        .says("cannot be told")
        .says("user:3");
    seen("3", "1704067200000");
    for id in ["1", "2"] {
        seen(id, "1704067200000");
    }
    seen("4", "2024-01-01T00:00:03Z");
    let before = redis_content(&redis);
    project
        .migrate(&format!("resolve {id} --applied"))
        .exits(1)
        .says("of 4 keys in scope 1 still needs work for an apply, and 3 are as they should be");
    let ended = project
        .migrate(&format!("resolve {id} --applied --format json"))
        .exits(1);
    let line: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["keys"]["to_do"], 1, "{line}");
    assert_eq!(redis_content(&redis), before, "it only looked");
    project
        .migrate(&format!("resolve {id} --rolled-back --yes"))
        .ok();
    project.apply();
    project.migrate("verify").ok();
}
