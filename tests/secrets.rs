//! c08, c16: passwords come from the environment and go nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::process::Stdio;

use support::project::{Project, database_content, legacy_tenants, redis_content};
use support::{fresh_database, fresh_redis, query_one_text, redis_cmd, sql, wait_until};

const READS: [&str; 9] = [
    "list --format json",
    "plan --format json",
    "verify --format json",
    "history --format json",
    "graph --format json",
    "unlock",
    "plan -out plan.bin",
    "cleanup -out cleanup.bin",
    "list",
];

/// `Project::run` looks for the passwords in both streams of every command of every test; here they are
/// looked for everywhere else.
#[test]
fn c08_no_password_in_plans_ledgers_histories_or_files() {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 3);
    let project = Project::outpost(&database, &redis).more(
        "[compat]\ngolang_migrate = \"schema_migrations\"\noutpost_redis = true\n[serve]\ncommand = [\"echo\", \"${DATABASE_URL}\"]\n",
    );
    let passwords = project.passwords();
    assert_eq!(passwords.len(), 2);
    project.migrate("plan -out plan.bin").ok();
    for format in ["text", "json", "markdown", "html"] {
        project
            .migrate(&format!("show plan.bin --format {format}"))
            .ok();
    }
    project.migrate("apply plan.bin --format json").ok();
    project.migrate("apply --yes --to 0.12").ok();
    for arguments in READS {
        project.migrate(arguments).ok();
    }
    let stored = format!(
        "{:?}{:?}",
        database_content(&database),
        redis_content(&redis)
    );
    for password in &passwords {
        assert!(!stored.contains(password));
        for plan in ["plan.bin", "cleanup.bin"] {
            let bytes = fs::read(project.path(plan)).unwrap();
            let found = bytes
                .windows(password.len())
                .any(|w| w == password.as_bytes());
            assert!(!found, "{plan}");
        }
    }
    // What the pattern "user:password@" would give away.
    let bytes = fs::read(project.path("plan.bin")).unwrap();
    assert!(!bytes.windows(3).any(|w| w == b"://"), "no address at all");
}

#[test]
fn c16_no_password_in_errors() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.apply();
    sql(
        &database,
        "insert into outpost.lease (token, id, holder, since, expires_at) values
           (99, 'other', '{\"user\": \"u\", \"host\": \"h\", \"pid\": 1, \"plan\": \"p\"}', now(), now() + interval '20 seconds')",
    );
    project.migrate("apply --yes --to 0.12").exits(5);
    let secret = "s3cr3t-%2F-w0rd";
    let (_, at) = database.url.rsplit_once('@').unwrap();
    let (_, redis_at) = redis.url().rsplit_once('@').unwrap();
    for (postgres, redis_url) in [
        (
            format!("postgres://postgres:{secret}@{at}"),
            redis.url().to_owned(),
        ),
        (
            database.url.clone(),
            format!("redis://:{secret}@{redis_at}"),
        ),
        (
            format!("postgres://u:{secret}@127.0.0.1:1/x"),
            redis.url().to_owned(),
        ),
        (
            database.url.clone(),
            format!("redis://u:{secret}@127.0.0.1:1/0"),
        ),
        (
            format!("postgres://u:{secret}@no-such-host.invalid/x"),
            redis.url().to_owned(),
        ),
        (
            format!("postgres://u:{secret}@127.0.0.1:notaport/x"),
            redis.url().to_owned(),
        ),
        (
            format!("postgres://u:{secret}@{at}?sslmode=nonsense"),
            redis.url().to_owned(),
        ),
        (
            format!("postgres://u:{secret}@{at}?unknown_option=1"),
            redis.url().to_owned(),
        ),
        (
            format!("mysql://u:{secret}@127.0.0.1/x"),
            redis.url().to_owned(),
        ),
        (
            database.url.clone(),
            format!("http://u:{secret}@127.0.0.1/0"),
        ),
        (
            database.url.clone(),
            format!("redis://u:{secret}@127.0.0.1:notaport/0"),
        ),
        (
            database.url.clone(),
            format!("redis://u:{secret}@127.0.0.1/notadb"),
        ),
        (
            database.url.clone(),
            format!("rediss://u:{secret}@{redis_at}"),
        ),
        (
            format!("postgres://u:{secret}@{at}?sslmode=require"),
            redis.url().to_owned(),
        ),
        (
            format!("host=127.0.0.1 port=1 user=u password={secret} dbname=x"),
            redis.url().to_owned(),
        ),
    ] {
        let project = Project::outpost_schema()
            .postgres_url(&postgres)
            .redis_url(&redis_url);
        for arguments in ["list", "plan --format json", "apply --yes", "unlock"] {
            let ended = project.migrate(arguments).exits(1);
            for text in [&ended.stdout, &ended.stderr] {
                for form in [secret, "s3cr3t-/-w0rd", "s3cr3t"] {
                    assert!(!text.contains(form), "{postgres} {redis_url}\n{text}");
                }
            }
        }
    }
}

#[test]
fn c16_no_password_in_the_process_list_or_the_servers_activity() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis)
        .version("latest")
        .file("schema/sql/0011_slow.up.sql", "select pg_sleep(60);");
    let mut child = project.background("apply --yes");
    let running = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()";
    wait_until("the slow step runs", || {
        query_one_text(&database, running) != "0"
    });
    let arguments = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    let clients = format!(
        "{:?}{}",
        redis_cmd(&redis, &["CLIENT", "LIST"]),
        query_one_text(
            &database,
            "select string_agg(query || coalesce(application_name, ''), '') from pg_stat_activity"
        )
    );
    for password in project.passwords() {
        assert!(!String::from_utf8_lossy(&arguments).contains(&password));
        assert!(!clients.contains(&password));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_application_that_serve_starts_keeps_its_environment() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    project.apply();
    let mut command = project.command(&[
        "serve",
        "--",
        "sh",
        "-c",
        "test \"$DATABASE_URL\" = \"$EXPECTED\" && test -n \"$REDIS_URL\"",
    ]);
    command
        .env("EXPECTED", &database.url)
        .stdout(Stdio::piped());
    project.end(command).ok();
}
