//! c08, c16: passwords come from the environment and go nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use outpost::sandbox::{PostgresServer, RedisServer};

use crate::support::project::{Project, database_content, legacy_tenants, redis_content};
use crate::support::{
    Database, fresh_database, fresh_redis, fresh_redis_with, query_one_text, redis_cmd, redis_text,
    sql, started, wait_until,
};

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

/// A server that says back whatever it hears, as one does that knows no HELLO. Returns its port.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut heard = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut heard) {
                let words = String::from_utf8_lossy(&heard[..n]).replace("\r\n", " ");
                let answer = format!("-ERR unknown: {words}\r\n").repeat(8);
                if stream.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn c16_no_password_in_what_a_redis_says_back_of_a_login() {
    let secret = "s3cr3t-w0rd";
    let redis = fresh_redis_with(|redis| redis.directive("rename-command HELLO \"\""));
    for (port, said) in [(redis.port(), "unknown command"), (echo(), "unknown: ")] {
        let url = format!("redis://u:{secret}@127.0.0.1:{port}/0?protocol=resp3");
        let project = Project::empty().redis_url(&url);
        for arguments in ["list", "plan --format json", "apply --yes", "unlock"] {
            let ended = project.migrate(arguments).exits(1);
            for text in [&ended.stdout, &ended.stderr] {
                assert!(!text.contains(secret), "{text}");
            }
            ended.says(said);
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
    let running = "select count(*) from pg_stat_activity where datname = current_database() \
                   and query like '%pg_sleep(60)%' and pid <> pg_backend_pid()";
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

/// A process and all that come from it, each with its command line.
fn family(of: u32) -> BTreeMap<u32, String> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that has just ended has nothing to read.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if let Some(parent) = parent {
            parents.insert(pid, parent);
        }
    }
    let descends = |mut pid: u32| {
        while pid != of {
            match parents.get(&pid) {
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        true
    };
    let line = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    parents
        .keys()
        .filter(|pid| descends(**pid))
        .map(|pid| (*pid, String::from_utf8_lossy(&line(*pid)).into_owned()))
        .collect()
}

#[test]
fn c16_no_password_in_the_arguments_of_anything_that_is_started() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    // `lock` replays the migrations in a Postgres of its own.
    let mut child = project.background("lock");
    let mut seen = BTreeMap::new();
    while child.try_wait().unwrap().is_none() {
        for (pid, line) in family(child.id()) {
            if !line.contains("outpost\0migrate") {
                // Nor in the environment of what is not told to have it.
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                seen.insert(format!("environment of {pid}"), environment);
            }
            seen.insert(format!("{pid} {line}"), line.into_bytes());
        }
    }
    project.wait(child).ok();
    let started: Vec<&String> = seen.keys().collect();
    assert!(
        started.iter().any(|line| line.contains("/postgres\0")),
        "{started:?}"
    );
    for password in project.passwords() {
        for (process, bytes) in &seen {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(&password), "{process}");
        }
    }
}

#[test]
fn c16_no_password_in_the_arguments_of_a_sandboxs_servers() {
    let project = Project::empty();
    let script = "cat /proc/[0-9]*/cmdline > lines 2>/dev/null; printf '%s %s' \"$DATABASE_URL\" \"$REDIS_URL\" > urls";
    project.run(&["sandbox", "--", "sh", "-c", script]).ok();
    let lines = fs::read(project.path("lines")).unwrap();
    let lines = String::from_utf8_lossy(&lines);
    assert!(lines.contains("redis-server") || lines.contains("valkey-server"));
    let urls = fs::read_to_string(project.path("urls")).unwrap();
    let passwords: Vec<&str> = urls
        .split(' ')
        .filter_map(|url| {
            url.rsplit_once('@')?
                .0
                .rsplit_once(':')
                .map(|(_, word)| word)
        })
        .collect();
    assert_eq!(passwords.len(), 2, "{urls}");
    for password in passwords {
        assert!(password.len() >= 16 && !lines.contains(password));
    }
}

/// Everything that a Redis executes from now on, as MONITOR shows it.
struct Monitor {
    lines: BufReader<TcpStream>,
}

impl Monitor {
    fn start(redis: &RedisServer, password: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        write!(stream, "AUTH {password}\r\nMONITOR\r\n").unwrap();
        let mut monitor = Self {
            lines: BufReader::new(stream),
        };
        for _ in 0..2 {
            assert_eq!(monitor.line(), "+OK");
        }
        monitor
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    fn until(mut self, marker: &str) -> String {
        let mut all = String::new();
        while !all.contains(marker) {
            let line = self.line();
            assert_ne!(line, "", "the connection ended");
            all.push_str(&line);
            all.push('\n');
        }
        all
    }
}

#[test]
fn c16_no_password_in_what_the_servers_log_and_show_of_every_command() {
    let postgres = started(
        PostgresServer::builder()
            .setting("log_statement", "all")
            .setting("log_connections", "on")
            .setting("log_line_prefix", "app=%a user=%u: ")
            .start(),
    );
    let database = Database {
        url: postgres.url().to_owned(),
        name: "postgres".to_owned(),
    };
    let redis = fresh_redis_with(|redis| {
        redis
            .directive("slowlog-log-slower-than 0")
            .directive("slowlog-max-len 100000")
            .directive("loglevel debug")
    });
    legacy_tenants(&redis, 3);
    let project = Project::outpost(&database, &redis)
        .more("[compat]\ngolang_migrate = \"schema_migrations\"\noutpost_redis = true\n");
    let passwords = project.passwords();
    assert_eq!(passwords.len(), 2);
    let of_redis = passwords
        .iter()
        .find(|password| redis.url().contains(*password))
        .unwrap();
    let monitor = Monitor::start(&redis, of_redis);
    project.migrate("apply --yes").ok();
    for arguments in READS {
        project.migrate(arguments).ok();
    }
    project.migrate("cleanup --yes").ok();
    redis_text(&redis, &["ECHO", "that-is-all"]);

    let monitored = monitor.until("that-is-all");
    let slow = format!("{:?}", redis_cmd(&redis, &["SLOWLOG", "GET", "-1"]));
    let log = postgres.log();
    for (what, text, sign) in [
        ("MONITOR", &monitored, "\"EVALSHA\""),
        ("SLOWLOG", &slow, "EVALSHA"),
        ("log of Redis", &redis.log(), "Accepted"),
        (
            "log of Postgres",
            &log,
            "app=outpost user=postgres: LOG:  statement: ",
        ),
    ] {
        assert!(text.contains(sign), "{what} shows nothing");
        for password in &passwords {
            assert!(!text.contains(password), "{what}");
        }
    }
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
