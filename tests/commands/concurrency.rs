//! Runs beside one another, interrupted runs and killed runs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use outpost::sandbox::RedisServer;

use crate::support::project::{
    Ended, Project, application_keys, legacy_tenants, public_rows, redis_content,
};
use crate::support::{
    Database, fresh_database, fresh_redis, query_one_text, redis_cmd, sql, wait_until,
};

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// Waits until the server runs a statement with these words.
fn wait_for_statement(database: &Database, words: &str) {
    let running = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and state = 'active'
         and query like '%{words}%' and pid <> pg_backend_pid()"
    );
    wait_until(words, || query_one_text(database, &running) != "0");
}

/// A run that died keeps its lease until it expires; nobody waits for that here.
fn expire_leases(database: &Database, redis: &RedisServer) {
    sql(
        database,
        "do $$ begin if to_regclass('outpost.lease') is not null then
           update outpost.lease set expires_at = now() - interval '1 second'; end if; end $$",
    );
    for lock in [".outpost:migration_lock", ".outpost:migration:lock"] {
        redis_cmd(redis, &["DEL", lock]);
    }
}

#[test]
fn u03_reads_answer_while_an_apply_holds_its_locks() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.apply();
    let project = project.version("latest").unlocked().file(
        "schema/sql/0011_slow.up.sql",
        "alter table events add column note text;\nselect pg_sleep(60);",
    );
    let mut child = project.background("apply --yes");
    wait_for_statement(&database, "pg_sleep(60)");
    project
        .migrate("list")
        .ok()
        .says("sql/0011_slow")
        .says("locked by");
    project.migrate("list --exit-code").exits(3);
    project.migrate("graph").ok();
    project.migrate("history").ok();
    project.migrate("unlock").ok();
    project.run(&["serve", "--", "true"]).exits(3);
    // These read the schema that is being changed: they answer, or say why not; they never hang.
    for arguments in ["plan", "verify"] {
        let ended = project.migrate(arguments);
        assert!(
            ended.code == Some(0) || ended.stderr.contains("the schema is being changed"),
            "{ended:?}"
        );
    }
    let older = Project::outpost(&database, &redis);
    older.run(&["serve", "--", "true"]).ok();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn u13_of_many_runs_of_one_plan_one_applies() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 200);
    let project = Project::outpost(&database, &redis);
    project.migrate("plan -out plan.bin").ok();
    let children: Vec<Child> = (0..6)
        .map(|_| project.background("apply plan.bin"))
        .collect();
    let ended: Vec<Ended> = children
        .into_iter()
        .map(|child| project.wait(child))
        .collect();
    let applied = ended
        .iter()
        .filter(|e| e.stdout.contains("Applied: 13 steps done"));
    assert_eq!(applied.count(), 1, "{ended:#?}");
    for run in &ended {
        let no_op = run.code == Some(0);
        let held = run.code == Some(5) && run.stderr.contains("the lease is held by");
        assert!(no_op || held, "{run:?}");
    }
    assert!(project.statuses().values().all(|s| s == "applied"));
    project.migrate("verify").ok();
    project.migrate("history").ok();
    project.migrate("unlock").ok().says("not locked");
}

#[test]
fn u13_runs_that_wait_for_the_lease_all_end_well() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.migrate("plan -out plan.bin").ok();
    let children: Vec<Child> = (0..5)
        .map(|_| project.background("apply plan.bin --lock-wait 120s"))
        .collect();
    for child in children {
        project.wait(child).ok();
    }
    project.migrate("history").ok();
}

#[test]
fn an_interrupted_run_says_how_to_resume_and_does() {
    for (number, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (database, redis) = (fresh_database(), fresh_redis());
        // The wait ends by itself in a second run, which finds the table filled.
        sql(
            &database,
            "create table gate (open bool); insert into gate values (false)",
        );
        let project = Project::empty()
            .postgres(&database)
            .redis(&redis)
            .file("schema/sql/0001_one.up.sql", "create table one ();")
            .file(
                "schema/sql/0002_two.up.sql",
                "create table two ();\nselect case when open then 0 else pg_sleep(60)::text::int end from gate;",
            )
            .file("schema/sql/0003_three.up.sql", "create table three ();");
        project.migrate("plan -out plan.bin").ok();
        let child = project.background("apply plan.bin");
        wait_for_statement(&database, "pg_sleep(60)");
        signal(&child, number);
        project
            .wait(child)
            .exits(code)
            .says("Interrupted")
            .says("outpost migrate apply plan.bin");
        let statuses = project.statuses();
        assert_eq!(statuses["sql/0001_one"], "applied");
        assert_eq!(statuses["sql/0003_three"], "pending");
        project.migrate("unlock").ok().says("not locked");
        assert_eq!(
            query_one_text(&database, "select to_regclass('two') is null"),
            "t"
        );
        sql(&database, "update gate set open = true");
        project.migrate("apply plan.bin").ok();
        assert!(project.statuses().values().all(|s| s == "applied"));
    }
}

#[test]
fn an_interrupted_redis_run_finishes_its_batch_and_resumes() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 5_000);
    let project = Project::outpost(&database, &redis);
    project.migrate("plan -out plan.bin").ok();
    let child = project.background("apply plan.bin");
    wait_until("the copies are under way", || {
        redis::from_redis_value::<i64>(redis_cmd(&redis, &["DBSIZE"])).unwrap() > 21_000
    });
    signal(&child, Signal::SIGINT);
    let ended = project.wait(child);
    if ended.code == Some(130) {
        ended.says("outpost migrate apply plan.bin");
        project.migrate("unlock").ok().says("not locked");
    } else {
        // The signal came too late.
        ended.ok();
    }
    project.migrate("apply plan.bin").ok();
    assert!(project.statuses().values().all(|s| s == "applied"));
    project.migrate("verify").ok();
}

const TENANTS: usize = 5_000;

/// A project whose apply takes a while at every kind of step: a rewrite of tables, CREATE INDEX
/// CONCURRENTLY, copies and conversions of 20,000 Redis keys.
fn long_project(database: &Database, redis: &RedisServer) -> Project {
    legacy_tenants(redis, TENANTS);
    sql(
        database,
        "create table things (n int, t text);
         insert into things select n, md5(n::text) from generate_series(1, 60000) n",
    );
    Project::outpost(database, redis)
        .version("latest")
        .unlocked()
        .file(
            "schema/sql/0011_concurrent.up.sql",
            "-- outpost: transaction = false\n-- outpost: root = true\n\
             create index concurrently things_n on things (n);\n\
             create index concurrently things_t on things (t);\n\
             create index concurrently things_nt on things (n, t);\n",
        )
        .file(
            "schema/sql/0012_fill.up.sql",
            "-- outpost: root = true\ncreate table filled as select n, md5(n::text) as t from generate_series(1, 100000) n;\n\
             alter table filled add primary key (n);\n",
        )
        .file(
            "schema/sql/0013_vacuum.up.sql",
            "-- outpost: transaction = false\nvacuum things;\n",
        )
}

type Outcome = (BTreeMap<String, String>, BTreeMap<String, String>, String);

/// All that a run leaves, but for times and names in the ledgers.
fn outcome(project: &Project, database: &Database, redis: &RedisServer) -> Outcome {
    project.migrate("verify").ok();
    project.migrate("history").ok();
    project.migrate("plan -detailed-exitcode").exits(0);
    assert!(project.statuses().values().all(|s| s == "applied"));
    let indexes = query_one_text(
        database,
        "select string_agg(format('%s %s', indexrelid::regclass, indisvalid), ', ' order by indexrelid::regclass::text)
         from pg_index where indrelid in ('things'::regclass, 'filled'::regclass)",
    );
    (public_rows(database), application_keys(redis), indexes)
}

#[test]
fn c15_c04_a_killed_run_is_finished_by_the_same_plan_and_ends_like_an_undisturbed_one() {
    let expected = {
        let (database, redis) = (fresh_database(), fresh_redis());
        let project = long_project(&database, &redis);
        project.migrate("plan -out plan.bin").ok();
        project.migrate("apply plan.bin").ok();
        outcome(&project, &database, &redis)
    };
    assert!(!expected.2.contains(" f"), "{}", expected.2);
    // At moments that are named by what is there, and at others that are as random as the machine is.
    let moments = ["random", "index", "copied", "converted"];
    for moment in moments {
        let (database, redis) = (fresh_database(), fresh_redis());
        let project = long_project(&database, &redis);
        project.migrate("plan -out plan.bin").ok();
        let mut kills = 0;
        loop {
            let mut child = project.background("apply plan.bin");
            let reached = || match moment {
                "index" => {
                    count(
                        &database,
                        "select count(*) from pg_stat_progress_create_index",
                    ) > 0
                }
                "copied" => has_more_keys(&redis, TENANTS * 4 + 2_000),
                "converted" => !redis::from_redis_value::<Option<String>>(redis_cmd(
                    &redis,
                    &["HGET", "tenant:{t7}:tenant", "entity"],
                ))
                .unwrap_or_default()
                .unwrap_or_default()
                .is_empty(),
                _ => {
                    thread::sleep(Duration::from_millis(rand::random_range(1..700)));
                    true
                }
            };
            while kills < 2 && child.try_wait().unwrap().is_none() && !reached() {}
            if kills >= 2 || child.try_wait().unwrap().is_some() {
                let ended = project.wait(child).ok();
                assert_eq!(ended.signal, None);
                break;
            }
            signal(&child, Signal::SIGKILL);
            child.wait().unwrap();
            kills += 1;
            // The dead run's statements end when the server notices, or run to their end.
            wait_until("the dead run's sessions end", || {
                count(
                    &database,
                    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
                ) == 0
            });
            expire_leases(&database, &redis);
        }
        let found = outcome(&project, &database, &redis);
        assert_eq!(found.2, expected.2, "{moment}");
        assert!(found.0 == expected.0, "{moment}: rows differ");
        assert!(found.1 == expected.1, "{moment}: keys differ");
    }
}

fn count(database: &Database, query: &str) -> i64 {
    query_one_text(database, query).parse().unwrap()
}

fn has_more_keys(redis: &RedisServer, than: usize) -> bool {
    redis::from_redis_value::<usize>(redis_cmd(redis, &["DBSIZE"])).unwrap() > than
}

#[test]
fn u12_u13_a_dead_runs_lease_is_waited_for_and_then_taken() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis)
        .version("latest")
        .file("schema/sql/0011_slow.up.sql", "-- outpost: root = true\nselect pg_sleep(case when exists (select from gate) then 0 else 60 end);");
    sql(&database, "create table gate (n int)");
    project.migrate("plan -out plan.bin").ok();
    let mut child = project.background("apply plan.bin");
    wait_for_statement(&database, "pg_sleep");
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    sql(&database, "insert into gate values (1)");
    project
        .migrate("apply plan.bin")
        .exits(5)
        .says("the lease is held by")
        .says("unlock");
    let waiting = project.background("apply plan.bin --lock-wait 90s");
    sql(
        &database,
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
         and query like '%pg_sleep%' and pid <> pg_backend_pid()",
    );
    expire_leases(&database, &redis);
    project.wait(waiting).ok();
}

#[test]
fn c14_a_lock_that_is_not_to_be_had_is_tried_again_visibly() {
    let (database, redis) = (fresh_database(), fresh_redis());
    sql(&database, "create table busy (n int)");
    let project = Project::empty()
        .postgres(&database)
        .redis(&redis)
        .postgres_keys("lock_timeout = \"50ms\"")
        .file(
            "schema/sql/0001_one.up.sql",
            "alter table busy add column m int;",
        );
    let url = database.url.clone();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (locked, is_locked) = std::sync::mpsc::channel::<()>();
    let holder = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client
                .batch_execute("begin; lock table busy in access share mode")
                .await
                .unwrap();
            locked.send(()).unwrap();
            tokio::task::spawn_blocking(move || wait.recv().unwrap())
                .await
                .unwrap();
            client.batch_execute("commit").await.unwrap();
        });
    });
    is_locked.recv().unwrap();
    let mut child = project.background("apply --yes");
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("failed:") {
        let read = std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
        assert_ne!(read, 0, "{said}");
    }
    assert!(said.contains("try 1 of "), "{said}");
    go.send(()).unwrap();
    holder.join().unwrap();
    let drain = thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    project.wait(child).ok();
    drain.join().unwrap().unwrap();
    assert_eq!(project.statuses()["sql/0001_one"], "applied");
}

#[test]
fn c04_an_invalid_index_of_a_failed_build_is_dropped_and_built_again() {
    let database = fresh_database();
    sql(
        &database,
        "create table things (n int); insert into things values (1), (1)",
    );
    let project = Project::empty().postgres(&database).file(
        "schema/sql/0001_one.up.sql",
        "-- outpost: transaction = false\ncreate unique index concurrently if not exists things_n on things (n);\n",
    );
    project.migrate("plan -out plan.bin").ok();
    project
        .migrate("apply plan.bin")
        .exits(1)
        .says("sql/0001_one.up.sql:2")
        .says("could not create unique index");
    assert_eq!(project.statuses()["sql/0001_one"], "interrupted");
    project
        .run(&["serve", "--", "true"])
        .exits(3)
        .says("interrupted");
    sql(&database, "delete from things where ctid = '(0,1)'");
    project.migrate("apply plan.bin").ok();
    assert_eq!(
        query_one_text(
            &database,
            "select indisvalid from pg_index where indexrelid = 'things_n'::regclass"
        ),
        "t"
    );
}

#[test]
fn c03_a_concurrent_index_is_built_while_other_runs_wait_and_read() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = long_project(&database, &redis);
    project.migrate("plan -out plan.bin").ok();
    let children: Vec<Child> = (0..3)
        .map(|_| project.background("apply plan.bin --lock-wait 200s"))
        .collect();
    project.migrate("list").ok();
    for child in children {
        project.wait(child).ok();
    }
    outcome(&project, &database, &redis);
}

#[test]
fn u27_verification_looks_at_every_key() {
    let redis = fresh_redis();
    legacy_tenants(&redis, 500);
    let project = Project::outpost_schema().redis(&redis);
    project.apply();
    redis_cmd(
        &redis,
        &[
            "HSET",
            "tenant:{t437}:destination:d2",
            "created_at",
            "2024-05-01T10:00:00Z",
        ],
    );
    let before = redis_content(&redis);
    project
        .migrate("verify")
        .exits(6)
        .says("redis/0002_timestamps")
        .says("tenant:{t437}:destination:d2");
    assert!(redis_content(&redis) == before, "a read leaves no trace");
}

/// What an application does to tenants until it is told to stop: `written` gets a new time, in the new
/// form, and a field of its own; `gone` is deleted.
fn application(url: String, stop: Arc<AtomicBool>) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_connection().unwrap();
    let (mut written, mut gone) = (BTreeMap::new(), BTreeSet::new());
    let mut time = 1_800_000_000_000_u64;
    while !stop.load(Ordering::Relaxed) || written.is_empty() || gone.is_empty() {
        let key = format!("tenant:{{t{}}}:tenant", rand::random_range(0..4_000));
        time += 1;
        if time.is_multiple_of(5) {
            let () = redis::cmd("DEL").arg(&key).query(&mut connection).unwrap();
            written.remove(&key);
            gone.insert(key);
        } else if !gone.contains(&key) {
            let command = ["updated_at", &time.to_string(), "seen", "yes"];
            let () = redis::cmd("HSET")
                .arg(&key)
                .arg(&command)
                .query(&mut connection)
                .unwrap();
            written.insert(key, time.to_string());
        }
    }
    (written, gone)
}

#[test]
fn u30_an_application_that_writes_meanwhile_loses_nothing() {
    let redis = fresh_redis();
    let mut pipe = redis::pipe();
    for n in 0..4_000 {
        pipe.cmd("HSET")
            .arg(format!("tenant:{{t{n}}}:tenant"))
            .arg(&["created_at", "2024-05-01T10:00:00Z"])
            .arg(&["updated_at", "2024-05-01T10:00:00Z"]);
    }
    let mut connection = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let () = pipe.query(&mut connection).unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let (url, stopped) = (redis.url().to_owned(), stop.clone());
    let writer = thread::spawn(move || application(url, stopped));
    let project = Project::outpost_schema().redis(&redis);
    let ended = project.migrate("apply --yes");
    stop.store(true, Ordering::Relaxed);
    let (written, gone) = writer.join().unwrap();
    ended.ok();

    let content = application_keys(&redis);
    assert!(
        gone.iter().all(|key| !content.contains_key(key)),
        "a deleted key came back"
    );
    for (key, time) in &written {
        let fields = &content[key];
        assert!(
            fields.contains(&format!("(\"updated_at\", \"{time}\")")),
            "{key} {fields}"
        );
        assert!(fields.contains("(\"seen\", \"yes\")"), "{key} {fields}");
    }
    assert!(
        content
            .values()
            .all(|fields| !fields.contains("2024-05-01"))
    );
}

#[test]
fn u09_the_decision_is_the_same_while_rows_and_keys_are_written() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 50);
    let project = Project::outpost(&database, &redis);
    project.migrate("apply --yes --only sql --to 0.12").ok();
    let digest = || {
        let plan = project.migrate("plan --format json").ok().json();
        plan["digest"].as_str().unwrap().to_owned()
    };
    project.migrate("plan -out plan.bin").ok();
    let first = digest();
    for round in 0..3 {
        legacy_tenants(&redis, 100 * (round + 1));
        redis_cmd(&redis, &["DEL", &format!("tenant:t{round}")]);
        sql(
            &database,
            "insert into events (id, tenant_id, destination_id, time, topic, eligible_for_retry, data, metadata)
             select gen_random_uuid(), 't', 'd', now(), 'x', true, '{}', '{}' from generate_series(1, 100);
             analyze events;
             create table if not exists events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01')",
        );
        assert_eq!(digest(), first, "round {round}");
    }
    // So the plan that was reviewed before all this still holds.
    project.migrate("apply plan.bin").ok();
}
