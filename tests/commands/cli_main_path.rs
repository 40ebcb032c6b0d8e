//! The whole story on Outpost's own schema, by the real command against real servers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;

use nix::pty::Winsize;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::project::{
    Project, application_keys, database_content, legacy_tenants, outpost_program, redis_content,
    steps,
};
use crate::support::{
    fresh_database, fresh_redis, query_one_text, redis_cmd, redis_text, sql, wait_until,
};
use crate::terminal::terminal;

const MIGRATIONS: usize = 13;

fn all_are(project: &Project, status: &str) {
    let statuses = project.statuses();
    assert_eq!(statuses.len(), MIGRATIONS);
    assert!(statuses.values().all(|s| s == status), "{statuses:?}");
}

#[test]
fn from_nothing_to_serving_by_a_saved_plan() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 20);
    let project = Project::outpost(&database, &redis);
    let (before_sql, before_redis) = (database_content(&database), redis_content(&redis));

    all_are(&project, "pending");
    project.migrate("list").ok().says("13 pending");
    project.migrate("list --exit-code").exits(3);
    let plan = project
        .migrate("plan -out plan.bin")
        .ok()
        .says("+ sql/0001_init")
        .says("outpost migrate apply plan.bin");
    assert_eq!(plan.stderr, "");
    let digest = steps_and_digest(&project).1;
    let mode = fs::metadata(project.path("plan.bin"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    project
        .run(&["serve", "--", "true"])
        .exits(3)
        .says("not started")
        .says("outpost migrate plan");
    assert_eq!(
        database_content(&database),
        before_sql,
        "u03: reads leave no trace"
    );
    assert_eq!(
        redis_content(&redis),
        before_redis,
        "u03: reads leave no trace"
    );

    for format in ["text", "json", "markdown", "html"] {
        let shown = project
            .migrate(&format!("show plan.bin --format {format}"))
            .ok();
        assert!(
            shown.stdout.contains("sql/0005_denormalize_attempts"),
            "{format}"
        );
        assert!(shown.stdout.contains(&digest), "{format}");
    }

    let applied = project
        .migrate("apply plan.bin")
        .ok()
        .says("Applied: 13 steps done");
    assert!(
        applied.stderr.contains("redis/0001_hash_tags"),
        "{applied:?}"
    );
    all_are(&project, "applied");
    let (after_sql, after_redis) = (database_content(&database), redis_content(&redis));

    // c07: the same plan once more is a no-op, and a spent plan can still be shown.
    project.migrate("apply plan.bin").ok().says("Nothing to do");
    project.migrate("show plan.bin").ok();
    project.migrate("plan").ok();
    project.migrate("plan -detailed-exitcode").exits(0);
    project.migrate("list --exit-code").ok();
    let verified = project.migrate("verify --format json").ok().json();
    assert_eq!(
        verified["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["outcome"] == "failed")
            .count(),
        0
    );
    project.migrate("verify").ok();
    project.migrate("history").ok();
    assert_eq!(database_content(&database), after_sql);
    assert_eq!(redis_content(&redis), after_redis);

    assert_eq!(
        redis_text(&redis, &["HGET", "tenant:{t3}:tenant", "created_at"]),
        "1714557603000"
    );
    assert_eq!(
        redis_text(&redis, &["HGET", "tenant:{t3}:destination:d1", "entity"]),
        "destination"
    );
    assert_eq!(
        redis_text(&redis, &["HGET", "tenant:t3", "created_at"]),
        "2024-05-01T10:00:03Z"
    );
    sql(
        &database,
        "insert into attempts (id, event_id, destination_id, status, time, tenant_id, topic,
        event_time, eligible_for_retry, event_data, event_metadata)
        values ('a', 'e', 'd', 's', now(), 't', 'x', now(), true, 'as it came', '{}')",
    );
}

fn steps_and_digest(project: &Project) -> (Vec<(String, String)>, String) {
    let plan = project.migrate("show plan.bin --format json").ok().json();
    let digest = plan["digest"].as_str().unwrap();
    (
        steps(&plan),
        digest.strip_prefix("sha256:").unwrap_or(digest).to_owned(),
    )
}

#[test]
fn a_long_option_takes_one_dash_or_two() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    for arguments in [
        "plan -out a.bin",
        "plan --out b.bin",
        "plan -out=c.bin",
        "plan --out=d.bin",
    ] {
        project.migrate(arguments).ok();
    }
    let plans: BTreeSet<Vec<u8>> = ["a.bin", "b.bin", "c.bin", "d.bin"]
        .iter()
        .map(|name| fs::read(project.path(name)).unwrap())
        .collect();
    assert_eq!(plans.len(), 1, "u09: the same bytes from run to run");
}

#[test]
fn u09_the_exit_code_tells_changes_from_none() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.migrate("plan").ok();
    project.migrate("plan -detailed-exitcode").exits(2);
    project.migrate("plan --detailed-exitcode").exits(2);
    project.apply();
    project.migrate("plan -detailed-exitcode").exits(0);
    assert_eq!(project.planned(""), []);
}

#[test]
fn u06_a_plan_is_applied_as_it_was_saved_and_never_made_anew() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis).version("0.14");
    project.migrate("plan -out plan.bin").ok();
    // Neither another version nor new files change what was reviewed.
    let project = project
        .version("1.2")
        .file("schema/sql/0011_later.up.sql", "create table later ();");
    project.migrate("apply plan.bin").ok();
    assert_eq!(project.statuses()["sql/0006_event_data_text"], "applied");
    assert_eq!(
        project.statuses()["sql/0007_matched_destination_ids"],
        "pending"
    );
}

#[test]
fn u06_a_plan_needs_no_schema_folder_and_neither_does_unlock() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.migrate("plan -out plan.bin").ok();
    fs::rename(project.path("schema"), project.path("elsewhere")).unwrap();
    project
        .migrate("apply nowhere.bin")
        .exits(1)
        .says("nowhere.bin")
        .says("outpost migrate plan -out FILE");
    project.migrate("unlock").ok();
    project.migrate("apply plan.bin").ok();
    fs::rename(project.path("elsewhere"), project.path("schema")).unwrap();
    all_are(&project, "applied");
}

#[test]
fn cleanup_asks_and_removes_what_is_proven() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 5);
    let project = Project::outpost(&database, &redis);
    project.apply();
    let before = redis_content(&redis);
    // u14: nobody to ask.
    project.migrate("cleanup").exits(1).says("--yes");
    assert_eq!(redis_content(&redis), before);

    project
        .migrate("cleanup -out cleanup.bin")
        .ok()
        .says("~ redis/0001_hash_tags");
    assert_eq!(redis_content(&redis), before);
    assert_eq!(
        steps(
            &project
                .migrate("show cleanup.bin --format json")
                .ok()
                .json()
        ),
        [("redis/0001_hash_tags".to_owned(), "cleanup".to_owned())]
    );

    project.migrate("cleanup --yes").ok();
    let legacy = |key: &String| key.starts_with("tenant:t");
    assert!(!application_keys(&redis).keys().any(legacy));
    let mut expected = before;
    expected.retain(|key, _| key.starts_with("tenant:{"));
    let mut found = application_keys(&redis);
    found.retain(|key, _| key.starts_with("tenant:"));
    assert_eq!(found, expected);
    project.migrate("list").ok().says("cleaned");
    project.migrate("cleanup --yes").ok();
    // The same decision has the same digest, so the saved plan is a spent one.
    project
        .migrate("apply cleanup.bin")
        .ok()
        .says("Nothing to do");
    project.migrate("verify").ok();
    project.run(&["serve", "--", "true"]).ok();
    project.migrate("plan -detailed-exitcode").exits(0);
    // What a revert would restore is gone.
    project.version("1.2").migrate("plan --to 0.12").ok();
}

#[test]
fn serve_becomes_the_command() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    let marker = project.path("started");
    let touch = ["serve", "--", "touch", marker.to_str().unwrap()];
    project
        .run(&touch)
        .refuses(3, &["not started", "13 migrations", "outpost migrate plan"]);
    assert!(!marker.exists());
    project.apply();

    project.run(&touch).ok();
    assert!(marker.exists());
    project.run(&["serve", "--", "sh", "-c", "exit 7"]).exits(7);
    let ended = project.run(&["serve", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!((ended.code, ended.signal), (None, Some(15)));
    project
        .run(&["serve", "--", "no-such-program"])
        .refuses(1, &["no-such-program"]);
    project.run(&["serve"]).exits(64).says("[serve] command");

    let mut command = project.command(&["serve", "--", "sh", "-c", "echo $$; exec sleep 60"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    assert_eq!(line.trim(), child.id().to_string(), "same pid");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(!child.wait().unwrap().success());

    let project = project.more("[serve]\ncommand = [\"sh\", \"-c\", \"exit 9\"]");
    project.run(&["serve"]).exits(9);
}

#[test]
fn serve_waits_for_the_apply_of_somebody_else() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    let mut waiting = project.command(&["serve", "--wait", "60s", "--", "echo", "started"]);
    let mut child = waiting
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
    assert!(said.contains("wait"), "{said}");
    project.apply();
    project.wait(child).ok().says("started");
    project.run(&["serve", "--wait", "1s", "--", "true"]).ok();
}

#[test]
fn c13_a_database_that_is_ahead_is_allowed_warned_of_or_refused() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.apply();
    let project = project.version("0.14");
    for (policy, code, words) in [
        ("", 0, "warning: the database is ahead of version 0.14"),
        (
            "[serve]\nahead = \"warn\"",
            0,
            "warning: the database is ahead of version 0.14",
        ),
        ("[serve]\nahead = \"allow\"", 0, ""),
        (
            "[serve]\nahead = \"refuse\"",
            3,
            "the database is ahead of version 0.14",
        ),
    ] {
        let old = Project::outpost(&database, &redis)
            .version("0.14")
            .more(policy);
        let ended = old.run(&["serve", "--", "true"]).exits(code).says(words);
        assert_eq!(ended.stderr.is_empty(), words.is_empty(), "{ended:?}");
    }
    // u02: ahead is a status of its own, and nothing is miscounted as pending.
    let statuses = project.statuses();
    assert_eq!(statuses["sql/0010_rename_attempts_pkey"], "ahead");
    assert_eq!(statuses["sql/0006_event_data_text"], "applied");
    project.migrate("list --exit-code").ok();
}

#[test]
fn u19_a_revert_is_planned_with_what_it_loses() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 3);
    let project = Project::outpost(&database, &redis);
    project.apply();
    project
        .migrate("plan --to 0.14 -out down.bin")
        .ok()
        .says("- sql/0008_destination_type")
        .says("attempts.destination_type: the type of destination of each attempt");
    let plan = project.migrate("show down.bin --format json").ok().json();
    let reverts: Vec<(String, String)> = [
        "sql/0010_rename_attempts_pkey",
        "sql/0009_response_data_text",
        "sql/0008_destination_type",
        "sql/0007_matched_destination_ids",
    ]
    .map(|id| (id.to_owned(), "revert".to_owned()))
    .into();
    assert_eq!(steps(&plan), reverts);
    project.migrate("apply down.bin").ok();
    project.migrate("apply down.bin").ok().says("Nothing to do");
    project.migrate("list --to 0.14 --exit-code").ok();
    project.migrate("verify").ok();
    project.apply();
    all_are(&project, "applied");

    // Everything, Redis too, back to nothing.
    let project = project.file(
        "schema/versions.toml",
        &format!(
            "{}\n[[version]]\nname = \"none\"\nadd = []\n",
            fs::read_to_string("schema/versions.toml").unwrap()
        ),
    );
    project.migrate("apply --yes --to none").ok();
    assert_eq!(
        query_one_text(
            &database,
            "select count(*) from pg_tables where schemaname = 'public'"
        ),
        "0"
    );
    let keys = application_keys(&redis);
    assert!(
        keys.keys().all(|key| key.starts_with("tenant:t")),
        "{keys:?}"
    );
    assert_eq!(keys.len(), 12);
    project.apply();
    all_are(&project, "applied");
    project.migrate("verify").ok();
}

#[test]
fn u12_the_graph_orders_the_stores() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    let plan = project.migrate("plan --format json").ok().json();
    let position: BTreeMap<String, usize> = steps(&plan)
        .into_iter()
        .enumerate()
        .map(|(at, (id, _))| (id, at))
        .collect();
    assert!(position["redis/0001_hash_tags"] < position["sql/0008_destination_type"]);
    let step = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["id"] == "sql/0008_destination_type")
        .unwrap();
    assert_eq!(
        step["after"],
        serde_json::json!(["redis/0001_hash_tags", "sql/0007_matched_destination_ids"])
    );
}

#[test]
fn u07_a_filter_is_part_of_the_plan() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.migrate("plan --only sql").refuses(
        1,
        &[
            "--only sql leaves out redis/0001_hash_tags",
            "sql/0008_destination_type",
        ],
    );
    project.migrate("plan --only redis -out plan.bin").ok();
    project.migrate("plan --only sql --only redis").exits(64);
    project.migrate("apply plan.bin --only sql").exits(64);
    project.migrate("apply plan.bin").ok();
    let statuses = project.statuses();
    assert_eq!(statuses["redis/0003_entity"], "applied");
    assert_eq!(statuses["sql/0001_init"], "pending");
    assert_eq!(
        query_one_text(
            &database,
            "select count(*) from pg_namespace where nspname = 'outpost'"
        ),
        "0"
    );
    project.migrate("apply --yes --only sql").ok();
    all_are(&project, "applied");
}

#[test]
fn u04_one_configured_store_works_and_says_what_it_leaves_out() {
    let database = fresh_database();
    let project = Project::outpost_schema().postgres(&database);
    project.migrate("plan").ok().says("redis/0001_hash_tags");
    project.apply();
    let statuses = project.statuses();
    assert_eq!(statuses["sql/0010_rename_attempts_pkey"], "applied");
    assert_eq!(statuses["redis/0001_hash_tags"], "unconfigured");
    project.run(&["serve", "--", "true"]).ok();
    project.migrate("verify").ok();
    project.migrate("history").ok();

    let redis = fresh_redis();
    legacy_tenants(&redis, 2);
    let project = Project::outpost_schema().redis(&redis);
    project.apply();
    let statuses = project.statuses();
    assert_eq!(statuses["redis/0003_entity"], "applied");
    assert_eq!(statuses["sql/0001_init"], "unconfigured");
    project.run(&["serve", "--", "true"]).ok();
    project.migrate("verify").ok();
    project.migrate("cleanup --yes").ok();

    Project::outpost_schema()
        .migrate("list")
        .refuses(1, &["no store is configured"]);
}

#[test]
fn c12_every_json_document_parses_and_has_a_version() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 2);
    let project = Project::outpost(&database, &redis);
    for round in 0..2 {
        project.migrate("plan -out plan.bin").ok();
        for arguments in [
            "list --format json",
            "plan --format json",
            "show plan.bin --format json",
            "verify --format json",
            "history --format json",
            "graph --format json",
        ] {
            project.migrate(arguments).ok().json();
        }
        if round == 0 {
            let applied = project.migrate("apply plan.bin --format json").ok();
            let events: Vec<Value> = applied
                .stdout
                .lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect();
            assert!(
                events
                    .iter()
                    .all(|e| e["format_version"] == 1 && e["event"].is_string())
            );
            let finished = events
                .iter()
                .filter(|e| e["event"] == "step_finished")
                .count();
            assert_eq!(finished, MIGRATIONS);
            let names: BTreeSet<&str> = events
                .iter()
                .map(|e| e["event"].as_str().unwrap())
                .collect();
            for name in ["lease_taken", "run_started", "step_started", "run_finished"] {
                assert!(names.contains(name), "{names:?}");
            }
        }
    }
    // Nothing to do is an answer, too.
    for arguments in ["apply --yes --format json", "apply plan.bin --format json"] {
        let report = project.migrate(arguments).ok().json();
        assert_eq!(report["event"], "report", "{report}");
        assert_eq!(report["complete"], true, "{report}");
        assert_eq!(report["steps"], Value::Array(Vec::new()), "{report}");
    }
}

#[test]
fn the_history_is_intact_and_an_edit_of_it_shows() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.apply();
    let history = project.migrate("history --format json").ok().json();
    let text = history.to_string();
    for id in ["sql/0001_init", "redis/0003_entity"] {
        assert!(text.contains(id), "{text}");
    }
    assert!(!text.contains("\"intact\":false"));
    sql(
        &database,
        "alter table outpost.history disable trigger append_only;
         update outpost.history set actor = 'nobody' where seq = 3",
    );
    project.migrate("history").exits(6).says("chain");
}

#[test]
fn c06_the_holder_of_the_lease_is_shown() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.migrate("unlock").ok().says("not locked");
    project
        .migrate("unlock 0000 --yes")
        .exits(1)
        .says("nothing to unlock");
    project
        .migrate("unlock redis")
        .exits(64)
        .says("unlock takes the id of a lease");
    project.apply();
    let project = project
        .file("schema/sql/0011_slow.up.sql", "select pg_sleep(60)")
        .version("latest");
    let mut child = project.background("apply --yes");
    let lease = "select id from outpost.lease";
    wait_until("the slow step runs", || {
        query_one_text(
            &database,
            "select count(*) from pg_stat_activity where datname = current_database() \
             and query like '%pg_sleep(60)%' and pid <> pg_backend_pid()",
        ) != "0"
    });
    let id = query_one_text(&database, lease);
    let shown = project.migrate("unlock --format json").ok();
    assert_eq!(shown.json()["stores"][0]["lease"]["id"], id.as_str());
    assert_eq!(shown.stderr, "");
    project
        .migrate("unlock sql --yes --force")
        .exits(64)
        .says("unlock takes the id of a lease")
        .says(&format!("its id is {id}"));
    let pid = child.id().to_string();
    project
        .migrate("unlock")
        .ok()
        .says(&format!("pid {pid}"))
        .says(&id);
    project.migrate("list").ok().says(&format!("pid {pid}"));
    // u13: a live lease is not broken by accident.
    project
        .migrate(&format!("unlock {id} --yes"))
        .exits(1)
        .says("is alive")
        .says("--force");
    project
        .migrate("unlock other --yes")
        .exits(1)
        .says("no store's lease has the id other");
    let broken = project
        .migrate(&format!("unlock {id} --yes --force --format json"))
        .ok();
    assert_eq!(broken.json()["stores"][0]["lease"]["id"], id.as_str());
    assert_eq!(broken.stderr, "");
    project.migrate("unlock").ok().says("not locked");
    // The run that lost it stops, and commits nothing.
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    assert_eq!(project.statuses()["sql/0011_slow"], "pending");
}

#[test]
fn the_graph_prints_in_every_format() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    for (format, start) in [
        ("text", ""),
        ("dot", "digraph"),
        ("mermaid", "flowchart"),
        ("svg", "<?xml"),
        ("json", "{"),
    ] {
        let graph = project.migrate(&format!("graph --format {format}")).ok();
        assert!(graph.stdout.contains("0008_destination_type"), "{format}");
        assert!(
            graph.stdout.starts_with(start),
            "{format}: {}",
            graph.stdout
        );
    }
}

#[test]
fn new_takes_the_next_number_and_its_files_are_used() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis).version("latest");
    project
        .migrate("new sql add_note")
        .ok()
        .says("0011_add_note.up.sql");
    project
        .migrate("new redis tidy")
        .ok()
        .says("0004_tidy.toml");
    for file in [
        "sql/0011_add_note.up.sql",
        "sql/0011_add_note.down.sql",
        "sql/0011_add_note.verify.sql",
        "redis/0004_tidy.toml",
    ] {
        assert!(project.path("schema").join(file).exists(), "{file}");
    }
    project.migrate("new sql ../escape").exits(1);
    let left: Vec<String> = fs::read_dir(project.path("schema"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("escape"))
        .collect();
    assert_eq!(left, [""; 0]);
    // A Redis migration says nothing until a step is declared.
    project
        .migrate("list")
        .refuses(1, &["redis/0004_tidy.toml:1", "there is no [[step]]"]);
    fs::remove_file(project.path("schema/redis/0004_tidy.toml")).unwrap();
    assert_eq!(project.statuses()["sql/0011_add_note"], "pending");

    let empty = Project::empty().postgres(&database);
    empty
        .migrate("new sql first")
        .ok()
        .says("0001_first.up.sql");
}

#[test]
fn a_new_migration_without_a_change_can_be_applied_and_verified() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::empty().postgres(&database).redis(&redis);
    project.migrate("new sql first").ok();
    project.apply();
    project.migrate("verify").ok();
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let project = Project::empty();
        let ended = project.run(&["completions", shell]).ok();
        assert!(ended.stdout.contains("outpost"), "{shell}");
    }
}

#[test]
fn help_and_wrong_usage() {
    let project = Project::empty();
    for arguments in [
        &["--help"][..],
        &["-help"],
        &["migrate", "--help"],
        &["migrate", "plan", "--help"],
        &["--version"],
    ] {
        let ended = project.run(arguments).ok();
        assert_eq!(ended.stderr, "");
    }
    project.run(&["--help"]).says("4    the plan is stale");
    // Neither decision is put before the other.
    project
        .run(&["migrate", "resolve", "sql/0001_a"])
        .exits(64)
        .says("<--applied|--rolled-back>");
    for (given, meant) in [
        ("plan -outt plan.bin", "'--out'"),
        ("plan --ou=plan.bin", "'--out'"),
        ("apply --wait 5s", "'--lock-wait'"),
        ("apply -wait=5s", "'--lock-wait'"),
        ("apply --keys 5", "'--max-keys-per-second'"),
        ("apply --zzzzz", ""),
        ("list --colour never", "'--color'"),
        ("list --frmat json", "'--format'"),
    ] {
        let ended = project.migrate(given).exits(64).says("unexpected argument");
        assert_eq!(
            ended.stderr.contains("a similar argument exists"),
            !meant.is_empty(),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(meant), "{ended:?}");
        assert!(!ended.stderr.contains("as a value"), "{ended:?}");
    }
    project
        .run(&["serve", "--listen"])
        .exits(64)
        .says("'-- --listen'");
    // A decision runs no migration.
    let help = project.run(&["migrate", "resolve", "--help"]).ok();
    for (option, there) in [
        ("--yes", true),
        ("--max-keys-per-second", true),
        ("--parallelism", false),
        ("--ignore-memory", false),
    ] {
        assert_eq!(help.stdout.contains(option), there, "{option}: {help:?}");
    }
    project
        .run(&["list"])
        .exits(64)
        .says("outpost migrate list");
    for arguments in [
        &["migrate"][..],
        &["migrate", "plan", "--no-such"],
        &["frobnicate"],
        &["migrate", "apply", "--parallelism", "0"],
    ] {
        let ended = project.run(arguments).exits(64);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "\"$0\" migrate plan; echo $? >code",
        outpost_program(),
    ]);
    project.prepare(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    assert_eq!(
        fs::read_to_string(project.path("code")).unwrap().trim(),
        "0"
    );
}

#[test]
fn c02_a_migration_merged_late_with_a_lower_number_is_applied() {
    let database = fresh_database();
    let project = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_one.up.sql", "create table one ();")
        .file("schema/sql/0003_three.up.sql", "create table three ();");
    project.apply();
    let project = project.file("schema/sql/0002_two.up.sql", "create table two ();");
    project.migrate("list").ok().says("out of order");
    project.migrate("plan").ok().says("out of order");
    project.apply();
    assert_eq!(query_one_text(&database, "select count(*) from two"), "0");
    assert_eq!(
        project
            .statuses()
            .values()
            .filter(|s| *s == "applied")
            .count(),
        3
    );
}

#[test]
fn c10_line_ends_do_not_change_a_checksum() {
    let database = fresh_database();
    let project = Project::empty().postgres(&database).file(
        "schema/sql/0001_one.up.sql",
        "create table one (\n  n int\n);\n",
    );
    project.apply();
    let project = project.file(
        "schema/sql/0001_one.up.sql",
        "create table one (\r\n  n int\r\n);\r\n\r\n",
    );
    assert_eq!(project.planned(""), []);
    project.migrate("verify").ok();
}

#[test]
fn a_database_of_a_newer_checkout_is_reverted_by_the_down_sql_in_its_ledger() {
    let database = fresh_database();
    let newer = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_one.up.sql", "create table one ();")
        .file("schema/sql/0002_two.up.sql", "create table two ();")
        .file("schema/sql/0002_two.down.sql", "drop table two;");
    newer.apply();
    let older = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_one.up.sql", "create table one ();");
    older.migrate("plan").refuses(
        1,
        &["the database is ahead", "sql/0002_two", "--revert-unknown"],
    );
    older.migrate("apply --yes --revert-unknown").ok();
    assert_eq!(
        query_one_text(&database, "select to_regclass('two') is null"),
        "t"
    );
    older.migrate("plan -detailed-exitcode").ok();
}

#[test]
fn the_sandbox_runs_a_command_and_leaves_nothing() {
    let project = Project::empty();
    let temporary = project.path("tmp");
    fs::create_dir(&temporary).unwrap();
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777)).unwrap();
    // Servers run as another account when the tests run as root.
    fs::set_permissions(project.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command(&[
        "sandbox",
        "--",
        "sh",
        "-c",
        "test -n \"$DATABASE_URL\" && test -n \"$REDIS_URL\" && ls $TMPDIR | wc -l && exit 11",
    ]);
    command.env("TMPDIR", &temporary);
    let ended = project.end(command).exits(11);
    assert_ne!(ended.stdout.trim(), "0");
    wait_until("the sandbox's folders are gone", || {
        fs::read_dir(&temporary).unwrap().next().is_none()
    });
    project
        .run(&["sandbox", "--", "no-such-program"])
        .refuses(1, &["no-such-program"]);
}

#[test]
fn a_step_that_fails_is_named_with_file_line_and_the_servers_words_and_can_be_mended() {
    let database = fresh_database();
    let project = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_one.up.sql", "create table one ();")
        .file(
            "schema/sql/0002_two.up.sql",
            "-- why\ncreate table two ();\n\ninsert into missing\nvalues (1);\n",
        )
        .file("schema/sql/0003_three.up.sql", "create table three ();");
    project.migrate("plan -out plan.bin").ok();
    project
        .migrate("apply plan.bin")
        .exits(1)
        .says("sql/0002_two.up.sql:4: relation \"missing\" does not exist (SQLSTATE 42P01)")
        .says("not started")
        .says("outpost migrate apply plan.bin");
    assert_eq!(
        query_one_text(&database, "select to_regclass('two') is null"),
        "t"
    );
    assert_eq!(
        project.statuses(),
        BTreeMap::from([
            ("sql/0001_one".to_owned(), "applied".to_owned()),
            ("sql/0002_two".to_owned(), "pending".to_owned()),
            ("sql/0003_three".to_owned(), "pending".to_owned()),
        ])
    );
    let history = project
        .migrate("history --format json")
        .ok()
        .json()
        .to_string();
    assert!(history.contains("failed"), "{history}");
    // Whoever looks next learns of it, too, until it succeeds.
    let before = "sql/0002_two failed before, 20";
    let words = "sql/0002_two.up.sql:4: relation \"missing\" does not exist";
    project.migrate("list").ok().says(before).says(words);
    project
        .run(&["serve", "--", "true"])
        .exits(3)
        .says(before)
        .says(words);
    let listed = project.migrate("list --format json").ok().json();
    let failed = &listed["migrations"][1]["failed"];
    assert_eq!(failed["action"], "apply", "{listed}");
    assert!(
        failed["error"].as_str().unwrap().contains(words),
        "{listed}"
    );
    assert!(listed["migrations"][2]["failed"].is_null(), "{listed}");
    // The cause may lie outside: then the same plan goes on.
    sql(&database, "create table missing (n int)");
    project.migrate("apply plan.bin").ok();
    assert_eq!(
        project
            .statuses()
            .values()
            .filter(|s| *s == "applied")
            .count(),
        3
    );
    let listed = project.migrate("list").ok();
    assert!(!listed.stdout.contains("failed before"), "{listed:?}");
}

#[test]
fn parallel_branches_run_side_by_side() {
    let database = fresh_database();
    let wait = |mine: &str, other: &str| {
        // Each branch ends only once the other has begun, which it shows outside of its transaction.
        format!(
            "-- outpost: root = true\nselect pg_advisory_lock_shared({mine});\n\
                 do $$ begin while not exists (select from pg_locks where locktype = 'advisory' and objid = {other}) loop\n\
                 perform pg_sleep(0.01); end loop; end $$;\nselect pg_sleep(0.1);\nselect pg_advisory_unlock_shared({mine});"
        )
    };
    let project = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_left.up.sql", &wait("1", "2"))
        .file("schema/sql/0002_right.up.sql", &wait("2", "1"));
    let child = project.background("apply --yes --parallelism 2");
    let watch = thread::spawn(move || child.wait_with_output().unwrap());
    assert!(watch.join().unwrap().status.success());
}

#[test]
fn the_expected_digest_is_checked() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.migrate("plan -out plan.bin").ok();
    let digest = steps_and_digest(&project).1;
    let bare = digest.trim_start_matches("sha256:");
    let last = if bare.ends_with('0') { '1' } else { '0' };
    for other in ["0".repeat(64), format!("{}{last}", &bare[..63])] {
        for given in [other.clone(), format!("sha256:{other}")] {
            project
                .migrate(&format!("apply plan.bin --expect={given}"))
                .refuses(1, &["the plan has digest", &format!("not sha256:{other}")]);
        }
    }
    // What screens show of it is not enough, and what is none is not compared.
    for none in [
        "abc".to_owned(),
        bare[..12].to_owned(),
        bare[..63].to_owned(),
        format!("{bare}0"),
        format!("sha512:{bare}"),
        String::new(),
    ] {
        for given in [none.clone(), format!("sha256:{none}")] {
            let ended = project
                .migrate(&format!("apply plan.bin --expect={given}"))
                .exits(64);
            assert_eq!(ended.stdout, "");
            if !given.is_empty() {
                ended
                    .says("\"sha256:\" and 64 hex digits")
                    .says("outpost migrate plan");
            }
        }
    }
    all_are(&project, "pending");
    project
        .migrate(&format!("apply plan.bin --expect {digest}"))
        .ok();
    all_are(&project, "applied");
    redis_cmd(&redis, &["PING"]);
}

/// Runs a command with all its streams on one terminal; what that shows, without what moves its cursor.
fn on_a_terminal(project: &Project, arguments: &[&str]) -> String {
    let size = Winsize {
        ws_row: 40,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let (mut terminal, side) = terminal(Some(&size));
    let mut command = project.command(arguments);
    command
        .stdin(Stdio::from(side.try_clone().unwrap()))
        .stdout(Stdio::from(side.try_clone().unwrap()))
        .stderr(Stdio::from(side))
        .env("TERM", "xterm")
        .env("NO_COLOR", "1");
    let child = command.spawn().unwrap();
    // Its side of the terminal is closed when the child ends, and not before.
    drop(command);
    let (mut shown, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = terminal.read(&mut some) {
        shown.extend_from_slice(&some[..read]);
    }
    project.wait(child);
    console::strip_ansi_codes(&String::from_utf8_lossy(&shown)).into_owned()
}

#[test]
fn on_a_terminal_a_step_is_told_once_unless_the_run_comes_short() {
    let database = fresh_database();
    let project = Project::empty()
        .postgres(&database)
        .file("schema/sql/0001_a.up.sql", "create table a ();")
        .file("schema/sql/0002_b.up.sql", "create table b ();");
    let plan = |file: &str| project.migrate(&format!("plan -out {file}")).ok();
    plan("plan.bin");
    let shown = on_a_terminal(&project, &["migrate", "apply", "plan.bin"]);
    for name in ["sql/0001_a", "sql/0002_b"] {
        assert_eq!(shown.matches(&format!("✓ {name}")).count(), 1, "{shown}");
    }
    assert!(shown.contains("Applied: 2 steps done."), "{shown}");

    // What became of each step, and how to go on, is then in one place.
    project.write("schema/sql/0003_c.up.sql", "create table c ();");
    project.write("schema/sql/0004_d.up.sql", "select 1 / 0;");
    plan("plan.bin");
    let shown = on_a_terminal(&project, &["migrate", "apply", "plan.bin"]);
    assert_eq!(shown.matches("✓ sql/0003_c").count(), 2, "{shown}");
    assert_eq!(shown.matches("✗ sql/0004_d").count(), 2, "{shown}");
    assert!(shown.contains("Failed: 1 step done, 1 failed."), "{shown}");
}
