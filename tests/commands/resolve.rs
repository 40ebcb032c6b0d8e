//! c01: before anybody decides about a migration that is half done, `resolve` shows what is in place, statement by
//! statement, for every way to be half done; then it records the decision.

use std::process::Stdio;

use crate::proxy::{At, Fault, Protocol, Wire};
use outpost::sandbox::RedisServer;
use serde_json::Value;

use crate::support::project::{Project, application_keys, database_content, redis_content};
use crate::support::{Database, fresh_database, fresh_redis, redis_cmd, redis_text, sql};

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

/// The line of JSON that comes before the events.
fn half_done(project: &Project, arguments: &str) -> Value {
    // Nobody can be asked, so nothing is recorded.
    let ended = project
        .migrate(&format!("resolve {arguments} --format json"))
        .exits(1);
    let line: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["event"], "half_done", "{line}");
    line
}

/// File and standings of the statements.
fn standings(project: &Project, arguments: &str) -> Vec<(String, Vec<String>)> {
    let line = half_done(project, arguments);
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
    let line = half_done(&project, &format!("{id} --applied"));
    assert_eq!(line["keys"]["to_do"], 1, "{line}");
    assert_eq!(redis_content(&redis), before, "it only looked");
    project
        .migrate(&format!("resolve {id} --rolled-back --yes"))
        .ok();
    project.apply();
    project.migrate("verify").ok();
}

/// The other decision than the one that is usual: a revert that was not finished counts as undone, and a cleanup says
/// that nothing is in place.
#[test]
fn c01_c15_a_half_done_way_back_or_cleanup_can_be_decided_either_way() {
    let database = fresh_database();
    const OUTSIDE: &str = "-- outpost: transaction = false\n";
    let project = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_accounts.up.sql", ONE)
        .file("schema/sql/0002_seats.up.sql", "create table seats (n int);\n")
        .file(
            "schema/sql/0002_seats.cleanup.sql",
            &format!("{OUTSIDE}drop table if exists old_seats;\nselect 1 / (select count(*) from accounts);\n"),
        )
        .file(
            "schema/sql/0002_seats.down.sql",
            &format!("{OUTSIDE}drop table seats;\nselect 1 / (select count(*) from accounts);\n"),
        )
        .file("schema/versions.toml", VERSIONS_OF_SQL);
    let id = "sql/0002_seats";
    project.apply();
    project
        .migrate("apply --to 1 --yes")
        .exits(1)
        .says("division by zero");
    assert_eq!(
        standings(&project, &format!("{id} --applied")),
        one_file("sql/0002_seats.down.sql", &["in_place", "unknown"])
    );
    // The version wants it, so nothing goes on by itself.
    project
        .migrate("plan")
        .refuses(1, &["half reverted", "outpost migrate resolve"]);
    sql(&database, "create table seats (n int)");
    project
        .migrate(&format!("resolve {id} --applied --yes"))
        .ok();
    assert_eq!(project.statuses()[id], "applied");
    assert!(project.planned("").is_empty());

    project
        .migrate("cleanup --yes")
        .exits(1)
        .says("division by zero");
    let shown = project
        .migrate(&format!("resolve {id} --rolled-back"))
        .exits(1);
    shown
        .says("a cleanup of it that was not finished")
        .says("the next plan applies it from its beginning");
    sql(&database, "drop table seats");
    project
        .migrate(&format!("resolve {id} --rolled-back --yes"))
        .ok();
    assert_eq!(project.statuses()[id], "pending");
    project.apply();
    project.migrate("verify").ok();
    project
        .migrate("history")
        .ok()
        .says("resolve as rolled back");
}

const VERSIONS_OF_SQL: &str = "[[version]]\nname = \"1\"\nadd = [\"sql/0001_accounts\"]\n\n[[version]]\nname = \"2\"\nextends = \"1\"\nadd = [\"sql/0002_seats\"]\n";
const VERSIONS_OF_REDIS: &str = "[[version]]\nname = \"1\"\nadd = [\"redis/0001_first\"]\n\n[[version]]\nname = \"2\"\nextends = \"1\"\nadd = [\"redis/0002_carts\"]\n";
const CARTS: &str = "redis/0002_carts";

/// Five carts that are copied, and what else the migration does.
fn carts(redis: &RedisServer, more: &str) -> Project {
    for cart in 1..=5 {
        redis_cmd(redis, &["HSET", &format!("cart:{cart}"), "owner", "x"]);
    }
    let text = format!(
        "compat_name = \"002_carts\"\nscope = [\"cart:<rest..>\", \"user:<id>\"]\n\
         ignore = \"cart:{{<id>}}:<rest..>\"\n\n{more}\n[[step]]\ncopy = \"cart:<id>\"\nto = \"cart:{{<id>}}:head\"\n\
         type = \"hash\"\n\n[[step]]\nconvert = \"seen\"\nin = \"user:<id>\"\nfrom_format = \"rfc3339\"\n\
         to_format = \"unix_ms\"\n"
    );
    Project::empty()
        .redis(redis)
        .more("[compat]\noutpost_redis = true\n")
        .version("2")
        .file(
            "schema/redis/0001_first.toml",
            "[[step]]\ncommand = [\"SET\", \"first\", \"1\"]\ncheck = [\"GET\", \"first\"]\n",
        )
        .file("schema/redis/0002_carts.toml", &text)
        .file("schema/versions.toml", VERSIONS_OF_REDIS)
}

/// Carts in their old form.
fn sources(redis: &RedisServer) -> usize {
    carts_that(redis, |key| !key.starts_with("cart:{"))
}

/// Carts in their new form.
fn targets(redis: &RedisServer) -> usize {
    carts_that(redis, |key| key.starts_with("cart:{"))
}

fn carts_that(redis: &RedisServer, are: impl Fn(&str) -> bool) -> usize {
    let keys = application_keys(redis).into_keys();
    keys.filter(|key| key.starts_with("cart:") && are(key))
        .count()
}

/// Runs a command until the server has carried out its first batch of carts, of one key; then the process is killed, and
/// its lease is broken.
fn killed_after_one_key(project: &Project, redis: &RedisServer, arguments: &str) {
    let first = At::First(&["EVAL script", "{outpost}:fence", "cart:"]);
    let wire = Wire::with(first, Fault::KillAfter);
    let arguments = format!("migrate {arguments} --yes --max-keys-per-second 10");
    let mut command = project.command(&arguments.split(' ').collect::<Vec<_>>());
    command
        .env("REDIS_URL", wire.proxy(Protocol::Redis, redis.url()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wire.watch(child.id());
    child.wait().unwrap();
    assert!(wire.fired(), "{:?}", wire.messages());
    assert_eq!(project.statuses()[CARTS], "running");
    let leases = project.migrate("unlock --format json").ok().json();
    let id = leases["stores"][0]["lease"]["id"].as_str().unwrap();
    project.migrate(&format!("unlock {id} --force --yes")).ok();
    assert_eq!(project.statuses()[CARTS], "interrupted");
}

fn marker(redis: &RedisServer) -> Value {
    let text = "return redis.call('HGET', 'outpost:migration:002_carts', 'status') or 'none'";
    redis_text(redis, &["EVAL", text, "0"]).into()
}

#[test]
fn c01_c15_a_revert_of_keys_that_was_killed_can_be_decided_either_way() {
    for resolution in ["rolled-back", "applied"] {
        let redis = fresh_redis();
        let project = carts(&redis, "");
        project.apply();
        let applied = application_keys(&redis);
        killed_after_one_key(&project, &redis, "apply --to 1");
        assert_eq!(targets(&redis), 4);
        project
            .migrate("plan")
            .refuses(1, &["half reverted", "outpost migrate resolve"]);

        let before = redis_content(&redis);
        let line = half_done(&project, &format!("{CARTS} --{resolution}"));
        assert_eq!(line["keys"]["doing"], "revert", "{line}");
        assert_eq!(line["keys"]["to_do"], 4, "{line}");
        project
            .migrate(&format!("resolve {CARTS} --{resolution}"))
            .exits(1)
            .says("a revert of it that was not finished")
            .says("4 still need work for a revert");
        assert_eq!(redis_content(&redis), before, "it only looked");
        project
            .migrate(&format!("resolve {CARTS} --{resolution} --yes"))
            .ok();

        if resolution == "applied" {
            assert_eq!(project.statuses()[CARTS], "applied");
            assert_eq!(marker(&redis), "applied");
            // It is not true, and verify says so.
            project
                .migrate("verify")
                .exits(6)
                .says("1 source")
                .says("missing: cart:");
            project.migrate("apply --to 1 --yes").ok();
        }
        assert_eq!(project.statuses()[CARTS], "pending");
        assert_eq!(marker(&redis), "none");
        project.apply();
        assert_eq!(application_keys(&redis), applied, "{resolution}");
        project.migrate("verify").ok();
        project.migrate("history").ok();
    }
}

/// The copy was taken back by the revert, not by the application: nothing else holds what its source holds.
#[test]
fn u22_a_cleanup_keeps_the_sources_whose_copies_a_half_done_revert_took_back() {
    let redis = fresh_redis();
    let project = carts(&redis, "");
    project.apply();
    killed_after_one_key(&project, &redis, "apply --to 1");
    project
        .migrate(&format!("resolve {CARTS} --applied --yes"))
        .ok();
    project.migrate("cleanup --yes").ok().says("kept 1 key");
    assert_eq!(sources(&redis), 1);
    assert_eq!(targets(&redis), 4);
    project.migrate("verify").exits(6).says("missing: cart:");
}

#[test]
fn c01_c15_a_cleanup_of_keys_that_was_killed_can_be_decided_either_way() {
    for resolution in ["applied", "rolled-back"] {
        let redis = fresh_redis();
        let project = carts(&redis, "");
        project.apply();
        killed_after_one_key(&project, &redis, "cleanup");
        assert_eq!(sources(&redis), 4);
        let line = half_done(&project, &format!("{CARTS} --{resolution}"));
        assert_eq!(line["keys"]["doing"], "cleanup", "{line}");
        project
            .migrate(&format!("resolve {CARTS} --{resolution}"))
            .exits(1)
            .says("a cleanup of it that was not finished")
            .says("4 still need work for a cleanup");
        project
            .migrate(&format!("resolve {CARTS} --{resolution} --yes"))
            .ok();

        if resolution == "rolled-back" {
            assert_eq!(project.statuses()[CARTS], "pending");
            project.apply();
        }
        assert_eq!(project.statuses()[CARTS], "applied");
        assert_eq!(marker(&redis), "applied");
        project.migrate("verify").ok();
        assert_eq!(project.planned(""), []);
        project.migrate("cleanup --yes").ok();
        let list = project.migrate("list --format json").ok().json();
        let cleaned = |m: &Value| m["id"] == CARTS && m["cleaned"] == true;
        assert!(
            list["migrations"].as_array().unwrap().iter().any(cleaned),
            "{list}"
        );
        assert_eq!(sources(&redis), 0);
        assert_eq!(targets(&redis), 5, "{resolution}");
        project.migrate("verify").ok();
    }
}

/// What an apply copied once it does not copy again: that the application deleted it stands. A person who says that
/// nothing is in place says otherwise.
#[test]
fn c01_a_half_done_apply_that_was_rolled_back_by_hand_is_applied_from_its_beginning() {
    let redis = fresh_redis();
    let project = carts(&redis, "");
    killed_after_one_key(&project, &redis, "apply");
    assert_eq!(targets(&redis), 1);
    let copies: Vec<String> = application_keys(&redis)
        .into_keys()
        .filter(|key| key.ends_with(":head"))
        .collect();
    redis_cmd(&redis, &["DEL", &copies[0]]);
    let line = half_done(&project, &format!("{CARTS} --rolled-back"));
    assert_eq!(line["keys"]["doing"], "apply", "{line}");
    assert_eq!(line["keys"]["to_do"], 4, "{line}");
    project
        .migrate(&format!("resolve {CARTS} --rolled-back --yes"))
        .ok();
    project.apply();
    assert_eq!(targets(&redis), 5);
    project.migrate("verify").ok();
}

#[test]
fn c01_a_revert_of_keys_that_failed_names_the_key_and_counts_the_command_that_is_left() {
    let redis = fresh_redis();
    let project = carts(
        &redis,
        "[[step]]\ncommand = [\"SET\", \"generation\", \"2\"]\ncheck = [\"GET\", \"generation\"]\nundo = [\"DEL\", \"generation\"]\n",
    );
    let seen = |value: &str| redis_cmd(&redis, &["HSET", "user:1", "seen", value]);
    seen("2024-01-01T00:00:00Z");
    project.apply();
    project.migrate("plan --to 1 -out back.bin").ok();
    seen("yesterday");
    project.migrate("apply back.bin").exits(1).says("user:1");
    assert_eq!(project.statuses()[CARTS], "interrupted");
    assert_eq!(targets(&redis), 0);
    project
        .migrate(&format!("resolve {CARTS} --rolled-back"))
        .exits(1)
        .says("how many keys still need work for a revert cannot be told")
        .says("user:1");
    seen("2024-01-01T00:00:00Z");
    // What the command made is all that is left.
    assert_eq!(redis_text(&redis, &["GET", "generation"]), "2");
    let line = half_done(&project, &format!("{CARTS} --rolled-back"));
    assert_eq!(line["keys"]["to_do"], 1, "{line}");
    redis_cmd(&redis, &["DEL", "generation"]);
    let line = half_done(&project, &format!("{CARTS} --rolled-back"));
    assert_eq!(line["keys"]["to_do"], 0, "{line}");
    project
        .migrate(&format!("resolve {CARTS} --rolled-back --yes"))
        .ok();
    project.apply();
    assert_eq!(targets(&redis), 5);
    project.migrate("verify").ok();
}

/// Neither "applied" nor "not applicable": some tool began, and did not come to its end.
#[test]
fn c01_a_marker_that_says_neither_yes_nor_no_can_be_decided_or_worked_off() {
    for decision in ["applied", "rolled-back", "none"] {
        let redis = fresh_redis();
        let project = carts(&redis, "");
        redis_cmd(
            &redis,
            &[
                "HSET",
                "outpost:migration:002_carts",
                "status",
                "running",
                "applied_at",
                "1714557600",
            ],
        );
        for cart in 1..=2 {
            redis_cmd(
                &redis,
                &[
                    "COPY",
                    &format!("cart:{cart}"),
                    &format!("cart:{{{cart}}}:head"),
                ],
            );
        }
        // It proves nothing: what is to be done is found by looking at the keys.
        assert_eq!(project.statuses()[CARTS], "pending");
        assert!(
            project
                .planned("")
                .contains(&(CARTS.to_owned(), "apply".to_owned()))
        );
        project.run(&["serve", "--", "true"]).exits(3);

        if decision != "none" {
            let before = redis_content(&redis);
            let line = half_done(&project, &format!("{CARTS} --{decision}"));
            assert_eq!(line["keys"]["to_do"], 3, "{line}");
            assert_eq!(line["keys"]["done"], 2, "{line}");
            project
                .migrate(&format!("resolve {CARTS} --{decision}"))
                .exits(1)
                .says("the ledger has no record of it")
                .says("marker 002_carts running");
            assert_eq!(redis_content(&redis), before, "it only looked");
            project
                .migrate(&format!("resolve {CARTS} --{decision} --yes"))
                .ok();
        }
        match decision {
            "applied" => {
                assert_eq!(marker(&redis), "applied");
                assert_eq!(project.statuses()[CARTS], "applied");
                project.migrate("verify").exits(6).says("missing: cart:");
            }
            _ => {
                assert_eq!(
                    marker(&redis),
                    if decision == "none" {
                        "running"
                    } else {
                        "none"
                    }
                );
                assert_eq!(project.statuses()[CARTS], "pending");
                project.apply();
                assert_eq!(targets(&redis), 5);
                assert_eq!(marker(&redis), "applied");
                project.migrate("verify").ok();
            }
        }
        // Decided is decided.
        project
            .migrate(&format!("resolve {CARTS} --applied --yes"))
            .exits(1)
            .says("needs no decision: it is applied");
    }
}
