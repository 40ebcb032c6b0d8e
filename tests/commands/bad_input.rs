//! What is refused, and how: exit code, empty stdout, what happened and where, what to do next, no
//! password, nothing changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use outpost::sandbox::RedisServer;
use serde_json::Value;

use crate::support::fake_redis::fake_redis;
use crate::support::project::{
    Ended, Project, database_content, flat, legacy_tenants, outpost_program, redis_content,
};
use crate::support::{
    Database, fresh_database, fresh_redis, query_one_text, redis_cmd, sql, wait_until,
};
use crate::terminal::terminal;

/// A database and a Redis of a test's own, and what was in them at first.
struct Stores {
    database: Database,
    redis: RedisServer,
    before: (BTreeMap<String, String>, BTreeMap<String, String>),
}

impl Stores {
    fn new() -> Self {
        let mut stores = Self {
            database: fresh_database(),
            redis: fresh_redis(),
            before: Default::default(),
        };
        stores.settle();
        stores
    }

    /// From here on nothing changes.
    fn settle(&mut self) {
        self.before = self.content();
    }

    fn content(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        (database_content(&self.database), redis_content(&self.redis))
    }

    #[track_caller]
    fn unchanged(&self) {
        assert_eq!(self.content(), self.before);
    }

    fn project(&self) -> Project {
        Project::outpost(&self.database, &self.redis)
    }

    /// A project without migrations.
    fn empty(&self) -> Project {
        Project::empty().postgres(&self.database).redis(&self.redis)
    }
}

/// The commands that read or write the stores, each of which must refuse the same project.
const ALL: [&str; 8] = [
    "list",
    "plan",
    "apply --yes",
    "verify",
    "cleanup --yes",
    "history",
    "unlock",
    "graph",
];

#[test]
fn without_outpost_toml() {
    let stores = Stores::new();
    let project = stores.project();
    fs::remove_file(project.path("outpost.toml")).unwrap();
    for arguments in ALL {
        project
            .migrate(arguments)
            .refuses(1, &["there is no outpost.toml", "--config"]);
    }
    project
        .run(&["serve", "--", "true"])
        .refuses(1, &["there is no outpost.toml"]);
    project
        .migrate("list --config elsewhere/other.toml")
        .refuses(1, &["there is no elsewhere/other.toml"]);
    stores.unchanged();
}

#[test]
fn malformed_outpost_toml() {
    for (text, words) in [
        (
            "[schema]\nversion = \"1.2\"\n\n[postgres]\nurl = oops\n",
            "outpost.toml:5: ",
        ),
        ("[schema\n", "outpost.toml:1: "),
        ("[schema]\nversion = 12\n", "outpost.toml:2: "),
        ("[postgres]\nurl = \"postgres://localhost/x\"\n", "[schema]"),
        ("", "no store is configured"),
    ] {
        let project = Project::empty().file("outpost.toml", text);
        let ended = project.migrate("list").exits(1).says(words);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.starts_with("error:"), "{}", ended.stderr);
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one_and_the_line() {
    let project = Project::empty().file(
        "outpost.toml",
        "[schema]\nversion = \"1.2\"\n\n[postgres]\nurl = \"${DATABASE_URL}\"\nlock_timeuot = \"5s\"\n",
    );
    project
        .migrate("list")
        .refuses(1, &["outpost.toml:6:", "lock_timeuot", "lock_timeout"]);
    let project = Project::empty().file("outpost.toml", "[schema]\nversion = \"1\"\n[postgrs]\n");
    project
        .migrate("list")
        .refuses(1, &["outpost.toml:3:", "postgrs", "postgres"]);
}

#[test]
fn an_unset_variable_is_named_with_its_line() {
    let stores = Stores::new();
    let project = stores.project();
    let mut command = project.command(&["migrate", "list"]);
    command.env_remove("REDIS_URL");
    project.end(command).refuses(
        1,
        &[
            "outpost.toml:9:",
            "redis.url",
            "REDIS_URL, which is not set",
            "${REDIS_URL:-default}",
        ],
    );
    stores.unchanged();
}

#[test]
fn a_password_in_outpost_toml_is_refused_and_not_repeated() {
    let project = Project::empty().file(
        "outpost.toml",
        "[schema]\nversion = \"1\"\n[postgres]\nurl = \"postgres://me:hunter2@localhost/x\"\n",
    );
    let ended = project
        .migrate("list")
        .refuses(1, &["outpost.toml:4:", "password"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let project = Project::empty()
        .postgres_url("postgres://localhost/x")
        .more("[vars]\nmirror = \"postgres://me:hunter2@localhost/x\"");
    let ended = project
        .migrate("list")
        .refuses(1, &["vars.mirror", "credentials"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn an_unknown_version() {
    let stores = Stores::new();
    let project = stores.project().version("1.20");
    for arguments in ["list", "plan", "apply --yes"] {
        project
            .migrate(arguments)
            .refuses(1, &["there is no version `1.20`", "1.2"]);
    }
    project
        .run(&["serve", "--", "true"])
        .refuses(1, &["there is no version `1.20`"]);
    let project = project.version("1.2");
    project
        .migrate("plan --to 9.9")
        .refuses(1, &["there is no version `9.9`", "latest"]);
    stores.unchanged();
}

/// The files of a schema folder that cannot be used, and what is said about them.
fn refused_folder(files: &[(&str, &str)], words: &[&str]) {
    let stores = Stores::new();
    let project = files.iter().fold(stores.empty(), |project, (path, text)| {
        project.file(path, text)
    });
    // A lease can be looked at, and broken, whatever is in the folder.
    project.migrate("unlock").ok();
    for arguments in ALL.iter().filter(|name| **name != "unlock") {
        project.migrate(arguments).refuses(1, words);
    }
    project.run(&["serve", "--", "true"]).refuses(1, words);
    stores.unchanged();
}

#[test]
fn two_migrations_with_one_number() {
    refused_folder(
        &[
            ("schema/sql/0001_one.up.sql", "select 1;"),
            ("schema/sql/001_other.up.sql", "select 1;"),
        ],
        &[
            "sql/0001_one",
            "sql/001_other",
            "the same number",
            "next free number",
        ],
    );
}

#[test]
fn a_version_that_adds_an_id_twice() {
    refused_folder(
        &[
            ("schema/sql/0001_one.up.sql", "select 1;"),
            (
                "schema/versions.toml",
                "[[version]]\nname = \"1\"\nadd = [\"sql/0001_one\"]\n\n[[version]]\nname = \"2\"\nextends = \"1\"\nadd = [\"sql/0001_one\"]\n",
            ),
        ],
        &["schema/versions.toml:8", "adds sql/0001_one again"],
    );
}

#[test]
fn a_version_with_an_unknown_id() {
    refused_folder(
        &[
            ("schema/sql/0001_one.up.sql", "select 1;"),
            (
                "schema/versions.toml",
                "[[version]]\nname = \"1\"\nadd = [\"sql/0001_won\"]\n",
            ),
        ],
        &[
            "schema/versions.toml:3",
            "sql/0001_won, which is not in the catalog",
            "sql/0001_one",
        ],
    );
}

#[test]
fn a_cycle_is_printed() {
    refused_folder(
        &[
            (
                "schema/sql/0001_one.up.sql",
                "-- outpost: requires = [\"redis/0001_two\"]\nselect 1;",
            ),
            (
                "schema/redis/0001_two.toml",
                "scope = \"x:<id>\"\nrequires = [\"sql/0002_three\"]\n[[step]]\ndelete = \"x:<id>\"\n",
            ),
            ("schema/sql/0002_three.up.sql", "select 1;"),
        ],
        &[
            "in a circle: sql/0001_one -> ",
            "redis/0001_two",
            "-> sql/0001_one",
        ],
    );
}

#[test]
fn a_missing_requirement_names_file_and_line() {
    refused_folder(
        &[
            ("schema/sql/0001_one.up.sql", "select 1;"),
            (
                "schema/sql/0002_two.up.sql",
                "-- Two.\n-- outpost: requires = [\"sql/0001_won\"]\nselect 1;",
            ),
        ],
        &[
            "sql/0002_two.up.sql:2",
            "sql/0002_two requires sql/0001_won",
            "sql/0001_one",
        ],
    );
    refused_folder(
        &[(
            "schema/redis/0001_two.toml",
            "scope = \"x:<id>\"\nrequires = [\"sql/0001_one\"]\n[[step]]\ndelete = \"x:<id>\"\n",
        )],
        &[
            "redis/0001_two.toml:2",
            "redis/0001_two requires sql/0001_one",
        ],
    );
}

#[test]
fn a_down_without_an_up() {
    refused_folder(
        &[("schema/sql/0001_one.down.sql", "select 1;")],
        &["sql/0001_one.down.sql has no 0001_one.up.sql beside it"],
    );
}

#[test]
fn an_unreadable_directive() {
    refused_folder(
        &[(
            "schema/sql/0001_one.up.sql",
            "-- One.\n-- outpost: transactoin = false\nselect 1;",
        )],
        &[
            "sql/0001_one.up.sql:2",
            "transactoin",
            "did you mean `transaction`?",
        ],
    );
    refused_folder(
        &[(
            "schema/sql/0001_one.up.sql",
            "-- outpost: this creates a table\nselect 1;",
        )],
        &["sql/0001_one.up.sql:1", "key = value"],
    );
}

#[test]
fn transaction_control_inside_a_migration() {
    refused_folder(
        &[(
            "schema/sql/0001_one.up.sql",
            "create table t ();\n\ncommit;\nselect 1;",
        )],
        &[
            "sql/0001_one.up.sql:3",
            "`commit`",
            "controls the transaction",
        ],
    );
}

#[test]
fn a_statement_that_needs_to_be_outside_a_transaction() {
    refused_folder(
        &[(
            "schema/sql/0001_one.up.sql",
            "create table t (n int);\ncreate index concurrently i on t (n);",
        )],
        &[
            "sql/0001_one.up.sql:2",
            "cannot run in a transaction",
            "transaction = false",
        ],
    );
}

#[test]
fn a_file_that_is_no_sql() {
    let stores = Stores::new();
    let project = stores.empty().file(
        "schema/sql/0001_one.up.sql",
        "create table t ();\nselect (1;\n",
    );
    for arguments in ["plan", "apply --yes"] {
        project
            .migrate(arguments)
            .refuses(1, &["sql/0001_one.up.sql:2"]);
    }
    stores.unchanged();
}

#[test]
fn u17_an_edited_applied_migration() {
    let mut stores = Stores::new();
    let project = stores
        .empty()
        .file("schema/sql/0001_one.up.sql", "create table t ();");
    project.apply();
    stores.settle();
    let project = project.file("schema/sql/0001_one.up.sql", "create table t (n int);");
    for arguments in ["plan", "apply --yes", "cleanup --yes"] {
        project.migrate(arguments).refuses(
            1,
            &[
                "sql/0001_one was edited after it was applied",
                "the ledger has sha256:",
                "--accept-edits",
            ],
        );
    }
    assert_eq!(project.statuses()["sql/0001_one"], "edited");
    project
        .run(&["serve", "--", "true"])
        .refuses(3, &["not started", "edited"]);
    project
        .migrate("verify")
        .exits(6)
        .says("sql/0001_one was edited");
    stores.unchanged();

    project
        .migrate("plan --accept-edits")
        .ok()
        .says("sql/0001_one");
    project.migrate("apply --yes --accept-edits").ok();
    assert_eq!(
        query_one_text(
            &stores.database,
            "select count(*) from pg_attribute where attrelid = 't'::regclass and attnum > 0"
        ),
        "0",
        "only the ledger was rewritten"
    );
    project.run(&["serve", "--", "true"]).ok();
}

/// A port that nobody listens on.
#[test]
fn a_plan_that_could_not_be_saved_is_refused_before_it_is_made() {
    let mut stores = Stores::new();
    let project = stores.project();
    fs::create_dir(project.path("folder")).unwrap();
    stores.settle();
    for (out, words) in [
        (
            "nowhere/plan.bin",
            &["there is no folder nowhere", "mkdir -p nowhere"][..],
        ),
        ("folder", &["folder is a folder, not a plan file"]),
        ("-", &["- is no file", "-out plan.bin"]),
    ] {
        for command in ["plan", "cleanup"] {
            let ended = project.migrate(&format!("{command} -out {out}"));
            ended.refuses(1, words);
        }
    }
    assert!(!project.path("-").exists());
    stores.unchanged();
}

#[test]
fn a_server_that_takes_the_connection_and_never_answers_is_given_up() {
    let stores = Stores::new();
    // Connections wait in its queue; nobody takes them out.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let project = stores.project().postgres_url(&format!(
        "postgres://me:hunter2@{address}/db?connect_timeout=1"
    ));
    project.migrate("list").refuses(
        1,
        &[
            &format!("Postgres at {address}"),
            "it does not answer as Postgres does",
            "[postgres] url",
        ],
    );
    project
        .run(&["serve", "--", "true"])
        .refuses(1, &["it does not answer as Postgres does"]);
    stores.unchanged();
}

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn an_unreachable_server_is_named_with_host_and_port() {
    let stores = Stores::new();
    let port = closed_port();
    let address = format!("127.0.0.1:{port}");
    let postgres = stores
        .project()
        .postgres_url(&format!("postgres://me:hunter2@{address}/db"));
    let redis = stores
        .project()
        .redis_url(&format!("redis://:hunter2@{address}/0"));
    for arguments in ALL {
        postgres.migrate(arguments).refuses(
            1,
            &[
                &format!("Postgres at {address}"),
                "cannot connect",
                "[postgres] url",
            ],
        );
        redis.migrate(arguments).refuses(
            1,
            &[
                &format!("Redis at {address}"),
                "cannot connect",
                "[redis] url",
            ],
        );
    }
    postgres
        .run(&["serve", "--", "true"])
        .refuses(1, &[&address]);
    redis.run(&["serve", "--", "true"]).refuses(1, &[&address]);
    stores.unchanged();
}

#[test]
fn a_wrong_password() {
    let stores = Stores::new();
    let swapped = |url: &str| {
        let (head, tail) = url.split_once("://").unwrap();
        let (login, rest) = tail.rsplit_once('@').unwrap();
        let (user, _) = login.split_once(':').unwrap();
        format!("{head}://{user}:hunter2@{rest}")
    };
    stores
        .project()
        .postgres_url(&swapped(&stores.database.url))
        .migrate("plan")
        .refuses(
            1,
            &[
                "Postgres at 127.0.0.1:",
                "the server refuses the login: password authentication failed",
                "environment variable that [postgres] url reads",
                "postgres://USER:PASSWORD@HOST/DATABASE",
            ],
        );
    stores
        .project()
        .redis_url(&swapped(stores.redis.url()))
        .migrate("plan")
        .refuses(
            1,
            &[
                "Redis at 127.0.0.1:",
                "the server refuses the login: ",
                "environment variable that [redis] url reads",
                "redis://:PASSWORD@HOST:PORT",
            ],
        );
    stores.unchanged();
}

#[test]
fn a_missing_password() {
    let stores = Stores::new();
    let (head, rest) = stores.database.url.rsplit_once('@').unwrap();
    let (user, _) = head.rsplit_once(':').unwrap();
    stores
        .project()
        .postgres_url(&format!("{user}@{rest}"))
        .migrate("plan")
        .refuses(
            1,
            &[
                "the server refuses the login: it wants a password, and none is set",
                "environment variable that [postgres] url reads",
                "PGPASSWORD",
                "~/.pgpass",
            ],
        );
    let (_, rest) = stores.redis.url().rsplit_once('@').unwrap();
    stores
        .project()
        .redis_url(&format!("redis://{rest}"))
        .migrate("plan")
        .refuses(
            1,
            &[
                "Redis at 127.0.0.1:",
                "it wants a password, and none is set",
                "redis://:PASSWORD@HOST:PORT",
            ],
        );
    stores.unchanged();
}

#[test]
fn a_redis_database_beyond_the_last() {
    let stores = Stores::new();
    let url = stores
        .redis
        .url()
        .trim_end_matches("/0")
        .trim_end_matches('/');
    let project = stores.project().redis_url(&format!("{url}/99"));
    project.migrate("plan").refuses(
        1,
        &[
            "Redis at 127.0.0.1:",
            "database 99 does not exist",
            "correct the number at the end of [redis] url",
        ],
    );
    stores.unchanged();
}

#[test]
fn a_database_that_does_not_exist() {
    let stores = Stores::new();
    let (server, _) = stores.database.url.rsplit_once('/').unwrap();
    let project = stores.project().postgres_url(&format!("{server}/nowhere"));
    for arguments in ALL {
        project
            .migrate(arguments)
            .refuses(1, &["database nowhere does not exist", "createdb nowhere"]);
    }
    stores.unchanged();
}

/// A login of a role without rights beyond those that it is given.
fn role(database: &Database, name: &str, grants: &str) -> String {
    let role = format!("{name}_{}", database.name);
    sql(
        database,
        &format!(
            "create role {role} login password 'hunter2'; {}",
            grants.replace("$role", &role)
        ),
    );
    let (_, rest) = database.url.rsplit_once('@').unwrap();
    format!("postgres://{role}:hunter2@{rest}")
}

#[test]
fn a_role_that_may_not_create() {
    let mut stores = Stores::new();
    let url = role(&stores.database, "reader", "");
    stores.settle();
    let project = stores.project().postgres_url(&url);
    project.migrate("plan -out plan.bin").ok();
    project
        .migrate("apply plan.bin")
        .exits(1)
        .says("Postgres at 127.0.0.1:")
        .says("permission denied")
        .says("grant the right");
    project
        .migrate("apply --yes")
        .exits(1)
        .says("permission denied");
    stores.unchanged();
}

#[test]
fn a_role_that_may_keep_a_ledger_and_not_change_the_schema() {
    let stores = Stores::new();
    let url = role(
        &stores.database,
        "ledger",
        &format!("grant create on database {} to $role", stores.database.name),
    );
    let project = Project::empty()
        .postgres_url(&url)
        .file("schema/sql/0001_one.up.sql", "create table public.t ();");
    project
        .migrate("apply --yes")
        .exits(1)
        .says("sql/0001_one.up.sql:1")
        .says("permission denied for schema public");
    assert_eq!(project.statuses()["sql/0001_one"], "pending");
}

#[test]
fn under_format_json_an_error_is_one_line_of_json() {
    let told = |ended: &Ended| -> Value {
        assert_eq!(ended.stdout, "", "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        serde_json::from_str(&ended.stderr).unwrap()
    };
    let project = Project::empty();
    for command in [
        "list",
        "plan",
        "verify",
        "drift",
        "history",
        "graph",
        "apply --yes",
        "show plan.bin",
        "resolve sql/0001_a --applied",
    ] {
        let text = project.migrate(command).exits(1);
        let told = told(
            &project
                .migrate(&format!("{command} --format=json"))
                .exits(1),
        );
        assert_eq!(told["format_version"], 1, "{told}");
        assert_eq!(told["error"]["exit_code"], 1, "{told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(flat(&text.stderr).contains(&flat(message)), "{told}");
        match told["error"]["hint"].as_str() {
            Some(hint) => assert!(flat(&text.stderr).contains(&flat(hint)), "{told}"),
            None => assert!(told["error"]["hint"].is_null(), "{told}"),
        }
    }
    // What a file holds acts on no terminal, whatever reads it.
    project.write("outpost.toml", "\u{1b}[31m = 1");
    let ended = project.migrate("list --format json").exits(1);
    told(&ended);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    // The other formats have an error for people.
    for command in ["list", "list --format text", "graph --format dot"] {
        let ended = project.migrate(command).exits(1);
        assert!(ended.stderr.starts_with("error:"), "{ended:?}");
    }
}

#[test]
fn a_plan_file_that_is_none() {
    let stores = Stores::new();
    let project = stores.project();
    project.migrate("plan -out whole.bin").ok();
    let whole = fs::read(project.path("whole.bin")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(project.path(name), bytes).unwrap();
    write("empty", b"");
    write("text", b"{\"format_version\": 1}");
    write("short", &whole[..whole.len() / 2]);
    write("long", &[&whole[..], b"x"].concat());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    write("flipped", &flipped);
    let mut newer = whole.clone();
    newer[14] = 9;
    write("newer", &newer);
    fs::create_dir(project.path("folder")).unwrap();
    // Nobody can read it, root included.
    symlink("loop", project.path("loop")).unwrap();
    for (name, words) in [
        ("empty", "the file is empty"),
        ("text", "this is not a plan file"),
        ("short", "the plan is cut off"),
        ("long", "1 bytes follow the end of the plan"),
        ("flipped", "the plan is damaged"),
        ("newer", "the plan has format 9"),
        ("folder", "folder is a folder, not a plan file"),
        ("loop", "cannot read loop"),
        ("absent", "cannot read absent"),
        ("/dev/null", "the file is empty"),
    ] {
        for command in ["show", "apply"] {
            project
                .migrate(&format!("{command} {name}"))
                .refuses(1, &[name, words]);
        }
    }
    project
        .migrate("plan -out folder")
        .refuses(1, &["folder is a folder"]);
    project
        .migrate("plan -out nowhere/plan.bin")
        .refuses(1, &["cannot write nowhere/plan.bin"]);
    stores.unchanged();
}

#[test]
fn a_full_disk_leaves_the_old_plan_whole() {
    let stores = Stores::new();
    let project = stores.project().version("0.12");
    project.migrate("plan -out plan.bin").ok();
    let old = fs::read(project.path("plan.bin")).unwrap();
    let names = |project: &Project| {
        let entries = fs::read_dir(project.path("")).unwrap();
        entries
            .map(|e| e.unwrap().file_name())
            .collect::<Vec<_>>()
            .len()
    };
    let files = names(&project);
    let project = project.version("1.2");
    // A limit on file sizes is a disk that fills up on the way, for whoever writes.
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' XFSZ; ulimit -f 2; exec \"$0\" migrate plan -out plan.bin",
        outpost_program(),
    ]);
    project.prepare(&mut command);
    project.end(command).refuses(
        1,
        &[
            "cannot write plan.bin",
            "a file of that name, where there was one, is as it was",
        ],
    );
    assert_eq!(fs::read(project.path("plan.bin")).unwrap(), old);
    assert_eq!(names(&project), files, "no temporary file stays");
    stores.unchanged();
}

#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let stores = Stores::new();
    let project = stores.project();
    let mut command = project.command(&["migrate", "plan"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    let ended = Ended::new("plan >/dev/full".to_owned(), output);
    ended.exits(1).says("cannot write to standard output");
}

#[test]
fn u08_without_a_terminal_and_without_yes() {
    let stores = Stores::new();
    let project = stores.project();
    project
        .migrate("apply")
        .exits(1)
        .says("standard input is not a terminal")
        .says("--yes");
    let mut command = project.command(&["migrate", "apply"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A pipe is not somebody who was asked, whatever it says. It may be closed before it is read.
    let _ = child.stdin.take().unwrap().write_all(b"yes\n");
    project.wait(child).exits(1);
    stores.unchanged();
}

/// Runs a command whose standard input is a terminal at which this is typed.
fn at_terminal(project: &Project, arguments: &[&str], typed: &str) -> Ended {
    let (mut keyboard, side) = terminal(None);
    let mut command = project.command(arguments);
    command.stdin(Stdio::from(side));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    keyboard.write_all(typed.as_bytes()).unwrap();
    project.wait(child)
}

/// What a failing command writes to a stderr that is a terminal.
fn shown_on_a_terminal(project: &Project, arguments: &[&str]) -> String {
    let (mut screen, side) = terminal(None);
    let mut command = project.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::from(side));
    assert_eq!(command.status().unwrap().code(), Some(1));
    // The last slave goes with the command, and reading ends there.
    drop(command);
    let mut text = Vec::new();
    let _ = screen.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn color_ranks_above_no_color() {
    for (color, no_color, terminal, pipe) in [
        (None, None, true, false),
        (None, Some(""), true, false),
        (None, Some("1"), false, false),
        (Some("auto"), Some("0"), false, false),
        (Some("always"), None, true, true),
        (Some("always"), Some("1"), true, true),
        (Some("never"), None, false, false),
        (Some("never"), Some(""), false, false),
    ] {
        let mut project = Project::empty();
        if let Some(value) = no_color {
            project = project.env("NO_COLOR", value);
        }
        let mut arguments = vec!["migrate", "list"];
        arguments.extend(color.iter().flat_map(|when| ["--color", when]));
        let case = format!("{color:?}, {no_color:?}");
        let shown = shown_on_a_terminal(&project, &arguments);
        assert!(shown.contains("error:"), "{case}: {shown:?}");
        assert_eq!(shown.contains('\u{1b}'), terminal, "{case}: {shown:?}");
        let piped = project.run(&arguments).exits(1);
        assert_eq!(piped.stderr.contains('\u{1b}'), pipe, "{case}: {piped:?}");
    }
}

#[test]
fn u08_a_no_or_the_end_of_input_at_the_prompt_exits_1() {
    let stores = Stores::new();
    let project = stores.project();
    let apply = ["migrate", "apply"];
    for typed in ["no\n", "\n", "y\n", "YES\n", "yes please\n"] {
        at_terminal(&project, &apply, typed)
            .exits(1)
            .says("not confirmed; nothing was changed");
    }
    let end_of_input = "\u{4}";
    at_terminal(&project, &apply, end_of_input)
        .exits(1)
        .says("error:");
    stores.unchanged();
    at_terminal(&project, &apply, "yes\n").ok();
    assert!(project.statuses().values().all(|s| s == "applied"));
    let mut stores = stores;
    stores.settle();
    at_terminal(&project, &["migrate", "cleanup"], "no\n").exits(1);
    stores.unchanged();
}

#[test]
fn a_key_of_the_wrong_type() {
    let mut stores = Stores::new();
    legacy_tenants(&stores.redis, 3);
    redis_cmd(&stores.redis, &["SET", "tenant:odd", "text"]);
    stores.settle();
    let project = stores.project();
    let planned = project.migrate("plan -out plan.bin");
    assert!(flat_contains(&planned, "tenant:odd"), "{planned:?}");
    if planned.code == Some(0) {
        project
            .migrate("apply plan.bin")
            .exits(1)
            .says("tenant:odd");
        assert_ne!(project.statuses()["redis/0001_hash_tags"], "applied");
    } else {
        stores.unchanged();
    }
    project
        .migrate("apply --yes")
        .exits(1)
        .says("tenant:odd")
        .says("hint:");
    assert_ne!(project.statuses()["redis/0001_hash_tags"], "applied");
}

fn flat_contains(ended: &Ended, words: &str) -> bool {
    crate::support::project::flat(&format!("{}{}", ended.stdout, ended.stderr)).contains(words)
}

#[test]
fn u31_a_value_that_is_no_time() {
    let stores = Stores::new();
    legacy_tenants(&stores.redis, 3);
    redis_cmd(
        &stores.redis,
        &["HSET", "tenant:t1", "created_at", "yesterday"],
    );
    let project = stores.project();
    project
        .migrate("apply --yes")
        .exits(1)
        .says("tenant:{t1}:tenant")
        .says("created_at")
        .says("hint:");
    assert_ne!(project.statuses()["redis/0002_timestamps"], "applied");
    project.run(&["serve", "--", "true"]).exits(3);
    redis_cmd(
        &stores.redis,
        &[
            "HSET",
            "tenant:{t1}:tenant",
            "created_at",
            "2024-05-01T10:00:00Z",
        ],
    );
    project.apply();
    assert_eq!(project.statuses()["redis/0002_timestamps"], "applied");
    project.migrate("verify").ok();
}

#[test]
fn offsets_and_nanoseconds_are_converted_to_the_millisecond_and_their_source_stays() {
    let stores = Stores::new();
    legacy_tenants(&stores.redis, 2);
    let precise = "2024-05-01T10:00:00.123456789+02:00";
    redis_cmd(&stores.redis, &["HSET", "tenant:t1", "created_at", precise]);
    let project = stores.project();
    project.migrate("apply --yes").ok();
    let field = |key: &str| crate::support::redis_text(&stores.redis, &["HGET", key, "created_at"]);
    assert_eq!(field("tenant:{t1}:tenant"), "1714550400123");
    assert_eq!(
        field("tenant:t1"),
        precise,
        "the source is as it was until a cleanup"
    );
}

#[test]
fn u22_a_tenant_id_with_a_colon_stops_the_plan_and_is_never_deleted() {
    let mut stores = Stores::new();
    legacy_tenants(&stores.redis, 3);
    for key in ["tenant:a:b", "tenant:a:destinations:x"] {
        redis_cmd(&stores.redis, &["HSET", key, "id", "a:b"]);
    }
    stores.settle();
    let project = stores.project();
    let ended = project
        .migrate("apply --yes")
        .exits(1)
        .says("tenant:a:b")
        .says("hint:");
    drop(ended);
    assert_ne!(project.statuses()["redis/0001_hash_tags"], "applied");
    let keys = redis_content(&stores.redis);
    assert!(keys.contains_key("tenant:a:b") && keys.contains_key("tenant:a:destinations:x"));
    // Bringing them to the user is the point: declared as ignored, they stay as they are.
    let project = project.redis_keys("ignore = [\"tenant:a:b\", \"tenant:a:destinations:x\"]");
    project.apply();
    project.migrate("cleanup --yes").ok();
    let keys = redis_content(&stores.redis);
    assert!(keys.contains_key("tenant:a:b") && keys.contains_key("tenant:a:destinations:x"));
    assert!(!keys.contains_key("tenant:t1"));
}

#[test]
fn u10_a_redis_that_is_loading_is_an_error_and_never_an_absence() {
    let stores = Stores::new();
    let url = fake_redis("-LOADING Redis is loading the dataset in memory");
    let project = stores.project().redis_url(&url);
    for arguments in ALL {
        project
            .migrate(arguments)
            .refuses(1, &["Redis at 127.0.0.1:", "LOADING"]);
    }
    project
        .run(&["serve", "--", "true"])
        .refuses(1, &["LOADING"]);
    stores.unchanged();
}

#[test]
fn a_read_only_redis_is_read_and_not_written() {
    let mut stores = Stores::new();
    let replica = fresh_redis();
    let (_, password) = stores.redis.url().split_once("://default:").unwrap();
    let (password, _) = password.split_once('@').unwrap();
    redis_cmd(&replica, &["CONFIG", "SET", "masterauth", password]);
    redis_cmd(
        &replica,
        &["REPLICAOF", "127.0.0.1", &stores.redis.port().to_string()],
    );
    wait_until("the replica has a link", || {
        crate::support::redis_info(&replica, "master_link_status") == "up"
    });
    stores.settle();
    let project = Project::outpost(&stores.database, &replica);
    project.migrate("list").ok();
    project.migrate("plan -out plan.bin").ok();
    project
        .migrate("apply plan.bin")
        .exits(1)
        .says("Redis at 127.0.0.1:")
        .says("primary");
    // Leases are taken before the first step, so nothing of the plan has run; only the ledger of the
    // store whose lease came first may be there.
    assert!(project.statuses().values().all(|s| s == "pending"));
}

#[test]
fn a_stale_plan_lists_the_differences() {
    let mut stores = Stores::new();
    let project = stores.project();
    project.migrate("plan -out plan.bin").ok();
    project.migrate("plan --to 0.12 -out other.bin").ok();
    project.migrate("apply other.bin").ok();
    stores.settle();
    project.migrate("apply plan.bin").refuses(
        4,
        &[
            "the plan is stale",
            "sql/0001_init: planned from no record, found applied",
            "plan again",
        ],
    );
    let ended = project.migrate("apply plan.bin --format json").exits(4);
    let told: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    let differences = told["error"]["differences"].as_array().unwrap();
    assert!(differences.len() > 1, "{told}");
    let first = "sql/0001_init: planned from no record, found applied";
    assert!(
        differences[0].as_str().unwrap().starts_with(first),
        "{told}"
    );
    stores.unchanged();

    // A change of the schema behind the ledger's back.
    project.migrate("plan -out plan.bin").ok();
    sql(&stores.database, "alter table events add column note text");
    stores.settle();
    project
        .migrate("apply plan.bin")
        .refuses(4, &["the schema changed"]);
    stores.unchanged();
}

#[test]
fn a_plan_for_another_database() {
    let stores = Stores::new();
    let others = Stores::new();
    stores.project().migrate("plan -out plan.bin").ok();
    let project = stores.project();
    project.migrate("plan -out plan.bin").ok();
    let elsewhere = project.postgres(&others.database);
    elsewhere.migrate("apply plan.bin").refuses(
        4,
        &[
            "the plan is for another database",
            &stores.database.name,
            &others.database.name,
        ],
    );
    let only_redis = Project::outpost_schema().redis(&stores.redis);
    fs::copy(elsewhere.path("plan.bin"), only_redis.path("plan.bin")).unwrap();
    only_redis
        .migrate("apply plan.bin")
        .refuses(4, &["outpost.toml does not configure"]);
    stores.unchanged();
    others.unchanged();
}

#[test]
fn a_lease_that_is_held_names_its_holder() {
    let mut stores = Stores::new();
    let project = stores.project();
    project.migrate("apply --yes --to 0.12").ok();
    sql(
        &stores.database,
        r#"insert into outpost.lease (token, id, holder, since, expires_at) values
           (4711, 'the-other-run', '{"user": "ann", "host": "ci-3", "pid": 77, "plan": "0123456789abcdef"}',
            now(), now() + interval '25 seconds')"#,
    );
    stores.settle();
    project
        .migrate("apply --yes")
        .exits(5)
        .says("ann@ci-3, pid 77")
        .says("unlock the-other-run");
    project.migrate("plan -out plan.bin").ok();
    project.migrate("apply plan.bin").refuses(
        5,
        &[
            "Postgres at 127.0.0.1:",
            "the lease is held by ann@ci-3, pid 77",
            "--lock-wait",
        ],
    );
    project.migrate("list").ok().says("ann@ci-3");
    stores.unchanged();
    // An expired one is taken over.
    sql(
        &stores.database,
        "update outpost.lease set expires_at = now() - interval '1 second'",
    );
    project.migrate("apply plan.bin").ok();
}

#[test]
fn an_id_that_does_not_exist_names_the_nearest() {
    let mut stores = Stores::new();
    let project = stores.project();
    project.apply();
    stores.settle();
    project
        .migrate("resolve sql/0001_initt --applied --yes")
        .refuses(
            1,
            &[
                "sql/0001_initt is not in the schema folder",
                "sql/0001_init",
            ],
        );
    project
        .migrate("cleanup redis/0001_hashtags")
        .refuses(1, &["redis/0001_hash_tags"]);
    project.migrate("resolve nonsense --applied").exits(64);
    project.migrate("resolve sql/0001_init").exits(64);
    project
        .migrate("resolve sql/0001_init --applied --rolled-back")
        .exits(64);
    project
        .migrate("resolve sql/0001_init --applied --yes")
        .exits(1)
        .says("sql/0001_init needs no decision: it is applied");
    stores.unchanged();
}

#[test]
fn a_ledger_of_a_newer_outpost_is_not_guessed_at() {
    let mut stores = Stores::new();
    let project = stores.project();
    project.apply();
    sql(&stores.database, "update outpost.ledger set format = 99");
    stores.settle();
    for arguments in ["list", "plan", "apply --yes", "verify"] {
        project
            .migrate(arguments)
            .refuses(1, &["the ledger cannot be read", "99"]);
    }
    project.run(&["serve", "--", "true"]).exits(1);
    stores.unchanged();
}
