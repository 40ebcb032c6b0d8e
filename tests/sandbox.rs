//! Throwaway servers start, serve, die and come back, and leave nothing behind however we end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use outpost::sandbox::{PostgresServer, Product, RedisServer, Sandbox, SandboxError};
use support::{
    fresh_database, fresh_redis, fresh_redis_with, query_one_text, query_rows, redis_cmd,
    redis_info, redis_text, servers, sql, started, try_redis_cmd, try_sql, wait_until,
};
use tempfile::TempDir;

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_sandbox_serves_both_and_names_them_in_the_environment() {
    let sandbox = started(Sandbox::start());
    let env = sandbox.env();
    assert_eq!(
        env.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["DATABASE_URL", "REDIS_URL"]
    );
    assert_eq!(query_one_text(env[0].1, "SHOW server_encoding"), "UTF8");
    assert!(try_redis_cmd(env[1].1, &["PING"]).is_ok());
}

#[test]
fn a_second_sandbox_runs_beside_the_first() {
    let first = servers().postgres();
    let second = started(PostgresServer::start());
    assert_ne!(first.port(), second.port());
    sql(&second, "CREATE TABLE only_here ()");
    assert!(try_sql(first, "SELECT FROM only_here").is_err());
}

#[test]
fn fresh_databases_and_servers_share_nothing() {
    let (one, other) = (fresh_database(), fresh_database());
    sql(
        &one,
        "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (NULL)",
    );
    assert!(try_sql(&other, "SELECT FROM t").is_err());
    assert_eq!(
        query_rows(&one, "SELECT n FROM t ORDER BY n"),
        [[Some("1".to_owned())], [None]]
    );
    assert_eq!(
        query_one_text(&other, "SELECT current_database()"),
        other.name
    );

    let (one, other) = (fresh_redis(), fresh_redis());
    redis_cmd(&one, &["SET", "k", "v"]);
    assert_eq!(redis_text(&one, &["GET", "k"]), "v");
    assert_eq!(redis_cmd(&other, &["EXISTS", "k"]), redis::Value::Int(0));
}

#[tokio::test]
async fn the_helpers_work_inside_of_a_runtime() {
    assert_eq!(query_one_text(&fresh_database(), "SELECT 1"), "1");
    redis_cmd(&fresh_redis(), &["PING"]);
}

#[test]
fn postgres_asks_for_its_password() {
    let server = servers().postgres();
    let (head, tail) = (
        server.url().find("//postgres:").unwrap(),
        server.url().find('@').unwrap(),
    );
    let guessed = format!(
        "{}//postgres:guess{}",
        &server.url()[..head],
        &server.url()[tail..]
    );
    let error = try_sql(guessed.as_str(), "SELECT 1").unwrap_err();
    assert_eq!(
        error.code(),
        Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD)
    );
}

#[test]
fn redis_asks_for_its_password() {
    let server = fresh_redis();
    let plain = format!("redis://127.0.0.1:{}/", server.port());
    assert!(try_redis_cmd(&plain, &["PING"]).is_err());
}

#[test]
fn a_setting_of_the_caller_wins_over_ours() {
    let server = started(
        PostgresServer::builder()
            .setting("max_connections", "17")
            .start(),
    );
    assert_eq!(query_one_text(&server, "SHOW max_connections"), "17");
}

#[test]
fn redis_takes_directives_and_users() {
    let server = fresh_redis_with(|redis| {
        redis
            .directive("maxmemory 4mb")
            .directive("user default off")
            .directive("user app on >p@ss:w/rd ~a:* +@all")
            .user("app", "p@ss:w/rd")
    });
    assert_eq!(redis_text(&server, &["ACL", "WHOAMI"]), "app");
    assert_eq!(redis_info(&server, "maxmemory"), "4194304");
    assert!(try_redis_cmd(server.url(), &["SET", "b:1", "v"]).is_err());
}

#[test]
fn redis_is_ready_when_the_user_of_its_url_may_not_ping() {
    let server = fresh_redis_with(|redis| {
        redis
            .directive("user app on >secret ~* -@all +get")
            .user("app", "secret")
    });
    let error = try_redis_cmd(server.url(), &["SET", "k", "v"]).unwrap_err();
    assert_eq!(error.code(), Some("NOPERM"));
}

#[test]
fn redis_can_do_without_a_password_or_with_a_chosen_one() {
    let open = fresh_redis_with(outpost::sandbox::RedisBuilder::no_password);
    assert_eq!(open.url(), format!("redis://127.0.0.1:{}/0", open.port()));
    redis_cmd(&open, &["PING"]);

    let chosen = fresh_redis_with(|redis| redis.user("default", r#"quo"ted \ "#));
    redis_cmd(&chosen, &["PING"]);
}

#[test]
fn a_restart_keeps_port_url_and_data() {
    let mut postgres = started(PostgresServer::start());
    sql(&postgres, "CREATE TABLE t AS SELECT 7 AS n");
    let (port, url, pid) = (postgres.port(), postgres.url().to_owned(), postgres.pid());
    started(postgres.stop());
    assert_eq!(postgres.pid(), None);
    assert!(!is_listening(port));
    started(postgres.stop());
    started(postgres.restart());
    assert_eq!((postgres.port(), postgres.url()), (port, url.as_str()));
    assert_ne!(postgres.pid(), pid);
    assert_eq!(query_one_text(&postgres, "SELECT n FROM t"), "7");

    let mut redis = fresh_redis_with(|redis| redis.directive("appendonly yes"));
    redis_cmd(&redis, &["SET", "k", "v"]);
    started(redis.restart());
    assert_eq!(redis_text(&redis, &["GET", "k"]), "v");
}

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let mut postgres = started(PostgresServer::start());
    sql(&postgres, "CREATE TABLE t AS SELECT 7 AS n");
    started(postgres.kill());
    assert!(!is_listening(postgres.port()));
    started(postgres.restart());
    assert_eq!(query_one_text(&postgres, "SELECT n FROM t"), "7");
    assert!(
        postgres.log().contains("not properly shut down"),
        "{}",
        postgres.log()
    );

    let mut redis = fresh_redis_with(|redis| {
        redis
            .directive("appendonly yes")
            .directive("appendfsync always")
    });
    redis_cmd(&redis, &["SET", "k", "v"]);
    started(redis.kill());
    assert!(!is_listening(redis.port()));
    started(redis.restart());
    assert_eq!(redis_text(&redis, &["GET", "k"]), "v");
}

#[test]
fn a_restart_waits_for_its_port_to_be_free_again() {
    let mut redis = fresh_redis();
    started(redis.stop());
    let squatter = std::net::TcpListener::bind(("127.0.0.1", redis.port())).unwrap();
    std::thread::scope(|scope| {
        let log_length = redis.log().len();
        let folder = redis.folder().to_owned();
        let restarted = scope.spawn(|| redis.restart());
        wait_until("the server meets the squatter", || {
            fs::read_to_string(folder.join("log")).unwrap()[log_length..].contains("already in use")
        });
        drop(squatter);
        started(restarted.join().unwrap());
    });
    redis_cmd(&redis, &["PING"]);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let error = PostgresServer::builder()
        .setting("no_such_setting", "1")
        .start()
        .unwrap_err();
    assert!(
        matches!(&error, SandboxError::Ended { log, .. } if log.contains("no_such_setting")),
        "{error}"
    );

    let error = RedisServer::builder()
        .directive("no-such-directive 1")
        .start()
        .unwrap_err();
    assert!(
        matches!(&error, SandboxError::Ended { log, .. } if log.contains("no-such-directive")),
        "{error}"
    );

    let error = RedisServer::builder()
        .program("/does/not/exist")
        .start()
        .unwrap_err();
    assert!(
        matches!(&error, SandboxError::Run { program, .. } if program.ends_with("exist")),
        "{error}"
    );
}

#[test]
fn the_folder_is_private_to_an_account_other_than_root() {
    for (folder, pid) in [
        (servers().postgres().folder(), servers().postgres().pid()),
        (servers().redis().folder(), servers().redis().pid()),
    ] {
        let metadata = fs::metadata(folder).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o700);
        assert_ne!(metadata.uid(), 0);
        // What we write ourselves is private by itself, too: a password may be in it.
        for name in ["log", "redis.conf"] {
            if let Ok(file) = fs::metadata(folder.join(name)) {
                assert_eq!(file.mode() & 0o777, 0o600, "{name}");
            }
        }
        let ps = Command::new("ps")
            .args(["-o", "uid=", "-p", &pid.unwrap().to_string()])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(ps.stdout).unwrap().trim(),
            metadata.uid().to_string()
        );
    }
}

#[test]
fn passwords_are_on_no_command_line() {
    let ps = Command::new("ps")
        .args(["-A", "-ww", "-o", "args="])
        .output()
        .unwrap();
    let processes = String::from_utf8_lossy(&ps.stdout).into_owned();
    for (server, marker) in [
        (servers().postgres().url(), servers().postgres().folder()),
        (servers().redis().url(), servers().redis().folder()),
    ] {
        let password = server.split([':', '@']).nth(2).unwrap();
        assert_eq!(password.len(), 32);
        assert!(
            processes.contains(marker.to_str().unwrap()),
            "the list shows our servers"
        );
        assert!(!processes.contains(password));
    }
}

#[test]
fn dropping_a_server_leaves_nothing() {
    let sandbox = started(Sandbox::start());
    let (postgres, redis) = (sandbox.postgres().unwrap(), sandbox.redis().unwrap());
    let left = [
        (postgres.port(), postgres.folder().to_owned()),
        (redis.port(), redis.folder().to_owned()),
    ];
    let segment = shared_memory_segment(postgres);
    assert!(shared_memory_segments().contains(&segment));
    drop(sandbox);
    for (port, folder) in left {
        assert!(!is_listening(port));
        assert!(!folder.exists());
    }
    assert!(!shared_memory_segments().contains(&segment));
}

#[test]
fn dropping_a_killed_postgres_leaves_no_shared_memory() {
    let mut postgres = started(PostgresServer::start());
    let segment = shared_memory_segment(&postgres);
    started(postgres.kill());
    assert!(shared_memory_segments().contains(&segment));
    let folder = postgres.folder().to_owned();
    drop(postgres);
    assert!(!shared_memory_segments().contains(&segment));
    assert!(!folder.exists());
}

fn shared_memory_segment(postgres: &PostgresServer) -> String {
    segment_of(postgres.folder()).expect("a running Postgres holds a segment")
}

/// The seventh line of the lock file: key and id of the segment.
fn segment_of(home: &Path) -> Option<String> {
    let lock = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
    lock.lines()
        .nth(6)?
        .split_whitespace()
        .nth(1)
        .map(str::to_owned)
}

fn shared_memory_segments() -> Vec<String> {
    let ipcs = Command::new("ipcs").arg("-m").output().unwrap();
    assert!(ipcs.status.success());
    String::from_utf8(ipcs.stdout)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// How the process that holds a sandbox ends.
#[derive(Debug, Clone, Copy)]
enum End {
    By(Signal),
    Exit,
}

const HOLD: &str = "OUTPOST_TEST_HOLD";
const HELD: &str = "held on ports ";

/// This test runs itself once more, as the process that ends without dropping its sandbox.
#[test]
fn a_process_that_ends_without_a_drop_leaves_nothing() {
    if let Ok(end) = env::var(HOLD) {
        return hold(&end);
    }
    for end in [
        End::By(Signal::SIGKILL),
        End::By(Signal::SIGINT),
        End::By(Signal::SIGTERM),
        End::Exit,
    ] {
        let folder = open_folder();
        let mut holder = spawn_holder(
            "a_process_that_ends_without_a_drop_leaves_nothing",
            end,
            &folder,
        );
        let output = BufReader::new(holder.stdout.take().unwrap());
        let ports = output.lines().map(Result::unwrap).find_map(|line| {
            let (_, ports) = line.split_once(HELD)?;
            Some(
                ports
                    .split(' ')
                    .map(|port| port.parse().unwrap())
                    .collect::<Vec<u16>>(),
            )
        });
        let ports = ports.expect("the holder has started its servers");
        assert_eq!(ports.len(), 2);
        finish(holder, end);
        wait_until(
            &format!("servers gone and folders removed after {end:?}"),
            || is_empty(folder.path()) && !ports.iter().any(|port| is_listening(*port)),
        );
    }
}

#[test]
fn a_process_that_dies_while_it_sets_up_leaves_nothing() {
    if let Ok(end) = env::var(HOLD) {
        return hold(&end);
    }
    // How deep below the temporary folder something must exist before the kill: a server's folder, its
    // log, a file of its data.
    for depth in 1..=3 {
        let folder = open_folder();
        let end = End::By(Signal::SIGKILL);
        let holder = spawn_holder(
            "a_process_that_dies_while_it_sets_up_leaves_nothing",
            end,
            &folder,
        );
        wait_until("the set-up has come so far", || {
            count(folder.path(), depth) > 0
        });
        finish(holder, end);
        wait_until("folders removed", || is_empty(folder.path()));
    }
}

#[test]
fn a_process_that_dies_while_initdb_runs_leaves_no_shared_memory() {
    if let Ok(end) = env::var(HOLD) {
        return hold(&end);
    }
    let folder = open_folder();
    let end = End::By(Signal::SIGKILL);
    let holder = spawn_holder(
        "a_process_that_dies_while_initdb_runs_leaves_no_shared_memory",
        end,
        &folder,
    );
    let mut segment = None;
    wait_until("a postgres holds shared memory", || {
        let homes = fs::read_dir(folder.path()).unwrap().flatten();
        segment = homes.filter_map(|home| segment_of(&home.path())).next();
        segment.is_some()
    });
    finish(holder, end);
    wait_until("folders removed", || is_empty(folder.path()));
    assert!(!shared_memory_segments().contains(&segment.unwrap()));
}

/// How many entries are that deep below the folder. It may change underneath.
fn count(folder: &Path, depth: usize) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    match depth {
        1 => entries.count(),
        _ => entries.map(|entry| count(&entry.path(), depth - 1)).sum(),
    }
}

fn hold(end: &str) {
    let sandbox = started(Sandbox::start());
    let ports = [
        sandbox.postgres().unwrap().port(),
        sandbox.redis().unwrap().port(),
    ];
    println!("\n{HELD}{} {}", ports[0], ports[1]);
    if end == "exit" {
        std::process::exit(0);
    }
    loop {
        std::thread::park();
    }
}

fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    folder
}

fn spawn_holder(test: &str, end: End, folder: &TempDir) -> Child {
    let word = if matches!(end, End::Exit) {
        "exit"
    } else {
        "wait"
    };
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(HOLD, word)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(mut holder: Child, end: End) {
    if let End::By(signal) = end {
        kill(Pid::from_raw(holder.id().cast_signed()), signal).unwrap();
    }
    holder.wait().unwrap();
}

#[test]
fn missing_servers_fail_with_all_that_is_to_be_installed() {
    let error = SandboxError::Missing {
        products: vec![Product::Postgres, Product::Redis],
    };
    let message = std::thread::spawn(|| started::<()>(Err(error)))
        .join()
        .unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("apt-get install postgresql redis-server"),
        "{message}"
    );
}
