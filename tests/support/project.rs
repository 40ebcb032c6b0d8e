//! A project folder of a test's own, and the real command run in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use outpost::sandbox::RedisServer;
use serde_json::Value;
use tempfile::TempDir;

use super::{Database, query_one_text, query_rows};

/// A folder with `outpost.toml` and `schema/`. It goes with the value.
pub struct Project {
    folder: TempDir,
    env: BTreeMap<String, String>,
    version: String,
    postgres: Option<String>,
    redis: Option<String>,
    /// How `outpost.toml` names the address of Redis.
    redis_address: String,
    more: String,
}

impl Project {
    /// No migrations yet, no store, version `latest`.
    pub fn empty() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::create_dir(folder.path().join("schema")).expect("a schema folder");
        Self {
            folder,
            env: BTreeMap::new(),
            version: "latest".to_owned(),
            postgres: None,
            redis: None,
            redis_address: "\"${REDIS_URL}\"".to_owned(),
            more: String::new(),
        }
    }

    /// Outpost's own schema folder, at its newest version, over both stores.
    pub fn outpost(database: &Database, redis: &RedisServer) -> Self {
        Self::outpost_schema().postgres(database).redis(redis)
    }

    /// Outpost's own schema folder, without a store.
    pub fn outpost_schema() -> Self {
        let project = Self::empty().version("1.2");
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
        copy_folder(&schema, &project.path("schema"));
        project
    }

    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self.save()
    }

    #[must_use]
    pub fn postgres(self, database: &Database) -> Self {
        self.postgres_url(&database.url)
    }

    #[must_use]
    pub fn postgres_url(mut self, url: &str) -> Self {
        self.env.insert("DATABASE_URL".to_owned(), url.to_owned());
        self.postgres = Some(String::new());
        self.save()
    }

    /// More keys of `[postgres]`.
    #[must_use]
    pub fn postgres_keys(mut self, keys: &str) -> Self {
        self.postgres = Some(keys.to_owned());
        self.save()
    }

    #[must_use]
    pub fn redis(self, server: &RedisServer) -> Self {
        self.redis_url(server.url())
    }

    #[must_use]
    pub fn redis_url(mut self, url: &str) -> Self {
        self.env.insert("REDIS_URL".to_owned(), url.to_owned());
        self.redis = Some(String::new());
        self.save()
    }

    /// The nodes of a cluster, as `RedisCluster::urls` has them.
    #[must_use]
    pub fn redis_cluster(mut self, urls: &[String]) -> Self {
        let mut names = Vec::new();
        for (number, url) in urls.iter().enumerate() {
            let name = format!("REDIS_URL_{number}");
            names.push(format!("\"${{{name}}}\""));
            self.env.insert(name, url.clone());
        }
        self.redis_address = format!("[{}]\ncluster = true", names.join(", "));
        self.redis = Some(String::new());
        self.save()
    }

    /// More keys of `[redis]`.
    #[must_use]
    pub fn redis_keys(mut self, keys: &str) -> Self {
        self.redis = Some(keys.to_owned());
        self.save()
    }

    /// More sections of `outpost.toml`.
    #[must_use]
    pub fn more(mut self, sections: &str) -> Self {
        self.more = sections.to_owned();
        self.save()
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without the pinned fingerprints, since migrations that they do not know are added.
    #[must_use]
    pub fn unlocked(self) -> Self {
        fs::remove_file(self.path("schema/outpost.lock")).expect("a lock file");
        self
    }

    /// Writes a file below the folder.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder");
        }
        fs::write(path, text).expect("a file");
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn save(self) -> Self {
        let mut text = format!("[schema]\nversion = \"{}\"\n", self.version);
        if let Some(keys) = &self.postgres {
            text += &format!("\n[postgres]\nurl = \"${{DATABASE_URL}}\"\n{keys}\n");
        }
        if let Some(keys) = &self.redis {
            text += &format!("\n[redis]\nurl = {}\n{keys}\n", self.redis_address);
        }
        self.write("outpost.toml", &format!("{text}\n{}\n", self.more));
        self
    }

    /// The command with its arguments, nothing of the caller's environment but PATH.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(outpost_program());
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Runs any program in the folder as `outpost` would be run.
    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(&self.env)
            .stdin(Stdio::null());
    }

    /// Runs `outpost` to its end; panics when a password shows in what it prints.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        self.end(self.command(arguments))
    }

    /// Runs a prepared command to its end; panics when a password shows in what it prints.
    pub fn end(&self, mut command: Command) -> Ended {
        let shown = format!("{command:?}");
        let output = command.output().expect("the command starts");
        self.ended(shown, output)
    }

    /// Waits for a child that was started with `background`.
    pub fn wait(&self, child: Child) -> Ended {
        let output = child.wait_with_output().expect("the command ends");
        self.ended("in the background".to_owned(), output)
    }

    fn ended(&self, command: String, output: Output) -> Ended {
        let ended = Ended::new(command, output);
        for password in self.passwords() {
            for text in [&ended.stdout, &ended.stderr] {
                assert!(!text.contains(&password), "a password shows:\n{ended:?}");
            }
        }
        ended
    }

    /// `outpost migrate`, its arguments split at spaces.
    pub fn migrate(&self, arguments: &str) -> Ended {
        self.run(&migrate_arguments(arguments))
    }

    /// `outpost migrate` without waiting for its end.
    pub fn background(&self, arguments: &str) -> Child {
        let mut command = self.command(&migrate_arguments(arguments));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    }

    /// Brings the stores to the version of `outpost.toml`.
    pub fn apply(&self) -> Ended {
        self.migrate("apply --yes").ok()
    }

    /// Status by id, as `list` has it.
    pub fn statuses(&self) -> BTreeMap<String, String> {
        let list = self.migrate("list --format json").ok().json();
        let migrations = list["migrations"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        migrations
            .iter()
            .map(|m| (text(&m["id"]), text(&m["status"])))
            .collect()
    }

    /// Action by id, as `plan` has it, in the plan's order.
    pub fn planned(&self, arguments: &str) -> Vec<(String, String)> {
        steps(
            &self
                .migrate(&format!("plan --format json {arguments}"))
                .ok()
                .json(),
        )
    }

    /// The passwords in the environment.
    pub fn passwords(&self) -> Vec<String> {
        let of = |url: &String| {
            let rest = url.split_once("://")?.1;
            let (login, _) = rest.rsplit_once('@')?;
            let (_, password) = login.split_once(':')?;
            (!password.is_empty()).then(|| password.to_owned())
        };
        self.env.values().filter_map(of).collect()
    }
}

/// Id and action of each step of a plan's JSON.
pub fn steps(plan: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    plan["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| (text(&step["id"]), text(&step["action"])))
        .collect()
}

pub fn outpost_program() -> &'static str {
    env!("CARGO_BIN_EXE_outpost")
}

fn migrate_arguments(arguments: &str) -> Vec<&str> {
    ["migrate"]
        .into_iter()
        .chain(arguments.split_whitespace())
        .collect()
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub command: String,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn new(command: String, output: Output) -> Self {
        Self {
            command,
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\nstdout:\n{}\nstderr:\n{}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Both streams hold these words somewhere; lines may be broken anywhere.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        let all = flat(&format!("{} {}", self.stdout, self.stderr));
        assert!(
            all.contains(&flat(words)),
            "not said: {words}\n{}\nstdout:\n{}\nstderr:\n{}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// An error in full: on stderr alone, with what to do next.
    #[track_caller]
    pub fn refuses(self, code: i32, words: &[&str]) -> Self {
        let ended = self.exits(code);
        assert_eq!(ended.stdout, "", "{ended:?}");
        assert!(ended.stderr.starts_with("error:"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("\nhint:"),
            "no hint: {}",
            ended.stderr
        );
        words.iter().fold(ended, |ended, words| ended.says(words))
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.stdout));
        assert!(value["format_version"].is_u64(), "{value}");
        value
    }
}

/// Text with every run of white space as one space, since screens break lines.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Everything that a migration, or a run that should change nothing, can change in a database: how many
/// rows each system catalog has, and every row of every table.
pub fn database_content(database: &Database) -> BTreeMap<String, String> {
    let mut content = BTreeMap::new();
    let catalogs = "select string_agg(format('select %L, count(*)::text from pg_catalog.%I', c, c), ' union all ')
        from unnest(array['pg_class', 'pg_proc', 'pg_namespace', 'pg_attribute', 'pg_constraint',
                          'pg_type', 'pg_trigger', 'pg_depend']) as c";
    for row in query_rows(database, &query_one_text(database, catalogs)) {
        content.insert(
            row[0].clone().unwrap_or_default(),
            row[1].clone().unwrap_or_default(),
        );
    }
    content.extend(rows_of(
        database,
        "n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'",
    ));
    // Roles are the server's. Tests beside this one name theirs after their databases.
    let roles = "select count(*) from pg_authid where rolname !~ '_test_[0-9]+$'";
    content.insert("roles".to_owned(), query_one_text(database, roles));
    let sequences = query_rows(database, "select coalesce(last_value, 0) from pg_sequences");
    content.insert("sequences".to_owned(), format!("{sequences:?}"));
    content
}

/// Every row of every table of schema `public`.
pub fn public_rows(database: &Database) -> BTreeMap<String, String> {
    rows_of(database, "n.nspname = 'public'")
}

fn rows_of(database: &Database, which: &str) -> BTreeMap<String, String> {
    // One statement that reads every table: a connection for each would take longer than the test.
    let rows = query_rows(
        database,
        &format!(
            "select format('%I.%I', n.nspname, c.relname),
                    query_to_xml(format('select t::text as r from %I.%I as t order by 1', n.nspname, c.relname),
                                 false, false, '')::text
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind = 'r' and {which}"
        ),
    );
    rows.into_iter()
        .map(|row| {
            (
                row[0].clone().unwrap_or_default(),
                row[1].clone().unwrap_or_default(),
            )
        })
        .collect()
}

/// Every key of a Redis with its type, content and whether it expires.
pub fn redis_content(server: &RedisServer) -> BTreeMap<String, String> {
    let mut connection = redis::Client::open(server.url())
        .and_then(|client| client.get_connection())
        .expect("a connection");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut connection)
        .expect("keys");
    let mut content = BTreeMap::new();
    for keys in keys.chunks(1000) {
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.cmd("TYPE").arg(key).cmd("TTL").arg(key);
        }
        let facts: Vec<(String, i64)> = pipe.query(&mut connection).expect("types");
        let mut pipe = redis::pipe();
        for (key, (kind, _)) in keys.iter().zip(&facts) {
            match kind.as_str() {
                "hash" => pipe.cmd("HGETALL").arg(key),
                "string" => pipe.cmd("GET").arg(key),
                "stream" => pipe.cmd("XRANGE").arg(key).arg("-").arg("+"),
                _ => pipe.cmd("DUMP").arg(key),
            };
        }
        let values: Vec<redis::Value> = pipe.query(&mut connection).expect("values");
        for ((key, (kind, ttl)), value) in keys.iter().zip(facts).zip(values) {
            let shown = match (kind.as_str(), &value) {
                ("hash", _) => {
                    let fields: BTreeMap<Vec<u8>, Vec<u8>> =
                        redis::from_redis_value(value).expect("a hash");
                    let show = |b: &Vec<u8>| String::from_utf8_lossy(b).into_owned();
                    let fields: Vec<_> = fields.iter().map(|(f, v)| (show(f), show(v))).collect();
                    format!("{fields:?}")
                }
                _ => format!("{value:?}"),
            };
            let expires = if ttl < 0 { "" } else { " expires" };
            content.insert(
                String::from_utf8_lossy(key).into_owned(),
                format!("{kind}{expires} {shown}"),
            );
        }
    }
    content
}

/// The application's keys: all but the tool's own.
pub fn application_keys(server: &RedisServer) -> BTreeMap<String, String> {
    let mut content = redis_content(server);
    content.retain(|key, _| !key.contains("{outpost}:") && !key.contains("outpost:migration"));
    content
}

/// Puts Outpost's legacy keys there for tenants `t0`, `t1`, …: four keys each, timestamps in RFC 3339.
pub fn legacy_tenants(server: &RedisServer, tenants: usize) {
    let mut connection = redis::Client::open(server.url())
        .and_then(|client| client.get_connection())
        .expect("a connection");
    let numbers: Vec<usize> = (0..tenants).collect();
    for numbers in numbers.chunks(1000) {
        let mut pipe = redis::pipe();
        for n in numbers {
            let created = format!("2024-05-01T10:{:02}:{:02}Z", n / 60 % 60, n % 60);
            pipe.cmd("HSET").arg(format!("tenant:t{n}")).arg(&[
                "id",
                &format!("t{n}"),
                "created_at",
                &created,
                "updated_at",
                "2024-06-01T00:00:00Z",
                "metadata",
                "{\"plan\":\"free\"}",
            ]);
            pipe.cmd("HSET")
                .arg(format!("tenant:t{n}:destinations"))
                .arg(&["d1", "{\"type\":\"webhook\"}", "d2", "{\"type\":\"sqs\"}"]);
            for destination in ["d1", "d2"] {
                pipe.cmd("HSET")
                    .arg(format!("tenant:t{n}:destination:{destination}"))
                    .arg(&[
                        "id",
                        destination,
                        "type",
                        "webhook",
                        "created_at",
                        &created,
                        "updated_at",
                        "2024-06-01T00:00:00Z",
                        "credentials",
                        "sealed",
                    ]);
            }
        }
        let () = pipe.query(&mut connection).expect("keys");
    }
}
