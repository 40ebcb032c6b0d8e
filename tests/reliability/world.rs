//! A project with databases of its own, which can be put back to where it was.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, spawn};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use outpost::sandbox::{PostgresServer, RedisServer};
use redis::ConnectionLike as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::proxy::{Protocol, Wire};
use crate::state;
use crate::support::project::{copy_folder, legacy_tenants};
use crate::support::{Database, fresh_redis, servers, sql};

/// No run of this project takes longer, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(120);

/// Where both databases were at one moment.
pub struct Snapshot {
    template: String,
    keys: Vec<(Vec<u8>, i64, Vec<u8>)>,
}

pub struct World {
    /// The server's own database, from which others are made.
    admin: String,
    pub folder: TempDir,
    /// The version that its revert goes back to.
    pub back: &'static str,
    pub database: Database,
    pub redis: RedisServer,
    kept: Mutex<Option<Kept>>,
}

/// A connection that is used again and again, as long as its database is there.
struct Kept {
    runtime: Runtime,
    client: Client,
}

impl Kept {
    fn open(url: &str) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls)).ok()?;
        runtime.spawn(connection);
        Some(Self { runtime, client })
    }
}

/// Whose leases end.
#[derive(Debug, Clone, Copy)]
pub enum Holders {
    /// A process that is gone or frozen.
    Process(u32),
    OthersThan(u32),
    Everybody,
}

/// How a run ended, and what it said.
pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
    pub pid: u32,
}

impl Ended {
    /// Whether a run gave up as it should: with an error, and how to go on. One that never reached its
    /// server says what to look at.
    pub fn gave_up(&self) -> bool {
        let hints = ["run the same plan again", "check that the server runs"];
        let said = self.words();
        self.status.code() == Some(1) && hints.iter().any(|hint| said.contains(hint))
    }

    /// What it said, however its lines are broken.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.output.split_whitespace().collect();
        words.join(" ")
    }

    pub fn killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Panics unless the run ended with this exit code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{:?}\n{}",
            self.status,
            self.output
        );
        self
    }
}

/// A run that goes on.
pub struct Running {
    pub child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a command, whose output goes into a file of this folder.
    pub fn start(folder: &Path, mut command: Command) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("log-{number}"));
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self {
            child: command.spawn().unwrap(),
            log,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process; its id.
    pub fn kill(mut self) -> u32 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.pid()
    }

    /// Lets a frozen process go on.
    pub fn wake(&self) {
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGCONT).unwrap();
    }

    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap()?;
        Some(Ended {
            status,
            output: self.output(),
            pid: self.pid(),
        })
    }

    /// Waits until the fault of its wire has struck.
    pub fn wait_for(&self, wire: &Wire) {
        let begun = Instant::now();
        while !wire.fired() {
            assert!(begun.elapsed() < LIMIT, "no fault\n{}", self.output());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end, doing something now and then.
    pub fn wait_doing(mut self, mut now_and_then: impl FnMut()) -> Ended {
        let begun = Instant::now();
        let mut again = Duration::from_millis(200);
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            if begun.elapsed() > again {
                // Each time costs the servers something, and what is late comes soon or not at all.
                again *= 2;
                now_and_then();
            }
            if begun.elapsed() > LIMIT {
                self.child.kill().unwrap();
                panic!("still running after {LIMIT:?}:\n{}", self.output());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn wait(self) -> Ended {
        self.wait_doing(|| {})
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that fails leaves nothing running, frozen or not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl World {
    /// The crash project, as the earlier tools left it.
    pub fn new() -> Self {
        Self::on(servers().postgres(), fresh_redis())
    }

    /// The same on servers of the test's own.
    pub fn on(postgres: &PostgresServer, redis: RedisServer) -> Self {
        let world = Self::of("crash-project", "back", postgres, redis);
        let source = fixture("crash-project");
        sql(
            &world.database,
            &fs::read_to_string(source.join("seed.sql")).unwrap(),
        );
        let seed = fs::read_to_string(source.join("seed.redis")).unwrap();
        let mut pipe = redis::pipe();
        for line in seed.lines() {
            add(&mut pipe, &line.split(' ').collect::<Vec<_>>());
        }
        pipe.exec(&mut world.connection()).unwrap();
        world
    }

    /// Values of each type that are moved in parts, and keys for more than one checkpoint.
    pub fn large() -> Self {
        let world = Self::of("large-project", "back", servers().postgres(), fresh_redis());
        let mut pipe = redis::pipe();
        let names: Vec<String> = (0..1200).map(|n| format!("element {n}")).collect();
        let mut large = |command: &str, key: &str, numbered: bool| {
            pipe.cmd(command).arg(key);
            for (n, name) in names.iter().enumerate() {
                if numbered {
                    pipe.arg(n);
                }
                pipe.arg(name);
            }
        };
        large("HSET", "big:1:hash", true);
        large("SADD", "big:1:set", false);
        large("ZADD", "big:1:zset", true);
        large("RPUSH", "big:1:list", false);
        add(&mut pipe, &["SET", "big:1:text", &"text".repeat(600_000)]);
        add(&mut pipe, &["PEXPIREAT", "big:1:list", "4102444800123"]);
        for n in 0..6000 {
            let at = (1_700_000_000 + n).to_string();
            add(&mut pipe, &["HSET", &format!("row:{n}"), "at", &at]);
        }
        pipe.exec(&mut world.connection()).unwrap();
        world
    }

    /// Outpost's own schema: a deployment of an old release, as golang-migrate and the runner of its Redis
    /// migrations left it, with data.
    pub fn outpost() -> Self {
        let world = Self::of(
            "outpost-project",
            "0.13",
            servers().postgres(),
            fresh_redis(),
        );
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
        copy_folder(&schema, &world.folder.path().join("schema"));
        for name in [
            "0001_init",
            "0002_delivery_response",
            "0003_event_delivery_index",
            "0004_delivery_manual_attempt",
            "0005_denormalize_attempts",
        ] {
            let path = schema.join(format!("sql/{name}.up.sql"));
            sql(&world.database, &fs::read_to_string(path).unwrap());
        }
        let seed = fixture("outpost-project").join("seed.sql");
        sql(&world.database, &fs::read_to_string(seed).unwrap());
        legacy_tenants(&world.redis, 3);
        world
    }

    fn of(
        project: &str,
        back: &'static str,
        postgres: &PostgresServer,
        redis: RedisServer,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        copy_folder(&fixture(project), folder.path());
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("world_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        sql(postgres, &format!("create database {name}"));
        let (server, _) = postgres.url().rsplit_once('/').unwrap();
        Self {
            admin: postgres.url().to_owned(),
            folder,
            back,
            database: Database {
                url: format!("{server}/{name}"),
                name,
            },
            redis,
            kept: Mutex::default(),
        }
    }

    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(self.redis.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }

    /// `outpost` with these arguments, straight to the servers.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.database.url, self.redis.url(), arguments)
    }

    pub fn command_at(&self, postgres: &str, redis: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outpost"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", postgres)
            .env("REDIS_URL", redis)
            .env_remove("DIRECT_URL")
            .env_remove("OUTPOST_CONFIG")
            .stdin(Stdio::null());
        command
    }

    pub fn start(&self, command: Command) -> Running {
        Running::start(self.folder.path(), command)
    }

    /// Runs `outpost` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(self.command(arguments)).wait()
    }

    /// Starts `outpost` with both servers behind a wire.
    pub fn start_on(&self, wire: &Arc<Wire>, arguments: &[&str]) -> Running {
        let postgres = wire.proxy(Protocol::Postgres, &self.database.url);
        let redis = wire.proxy(Protocol::Redis, self.redis.url());
        let running = self.start(self.command_at(&postgres, &redis, arguments));
        wire.watch(running.pid());
        running
    }

    /// Ends leases, as the servers' clocks would within 30 seconds: too long to wait for hundreds of times.
    pub fn expire_leases(&self, of: Holders) {
        let (is, pid) = match of {
            Holders::Process(pid) => ("=", pid),
            // No process has this number.
            Holders::Everybody => ("<>", 0),
            Holders::OthersThan(pid) => ("<>", pid),
        };
        self.on_kept_connection(&format!(
            "update outpost.lease set expires_at = clock_timestamp() - interval '1 second' \
             where holder->>'pid' {is} '{pid}'"
        ));
        const EXPIRE: &str = "for _, key in ipairs(KEYS) do local value = redis.call('GET', key) \
             local its = value and string.find(value, '\"pid\":' .. ARGV[2] .. ',', 1, true) ~= nil \
             if value and its == (ARGV[1] == '=') then redis.call('DEL', key) end end";
        let mut command = redis::cmd("EVAL");
        command
            .arg(EXPIRE)
            .arg(2)
            .arg(".outpost:migration_lock")
            .arg(".outpost:migration:lock")
            .arg(is)
            .arg(pid);
        command.exec(&mut self.connection()).unwrap();
    }

    /// Runs a statement that may fail: before the first acquire there is no table, and a server may be down. A
    /// connection for each of thousands would take most of a campaign's time.
    fn on_kept_connection(&self, statement: &str) {
        let mut kept = self.kept.lock().unwrap();
        for _ in 0..2 {
            let open = kept.take().or_else(|| Kept::open(&self.database.url));
            let Some(open) = open else { return };
            let done = open.runtime.block_on(open.client.batch_execute(statement));
            // A connection to a database that was put back since is only now known to be closed.
            let is_closed = done.is_err_and(|error| error.as_db_error().is_none());
            if !is_closed {
                *kept = Some(open);
                return;
            }
        }
    }

    /// Makes Redis forget all scripts, as a restart does.
    pub fn forget_scripts(&self) {
        let mut flush = redis::cmd("SCRIPT");
        flush.arg("FLUSH").exec(&mut self.connection()).unwrap();
    }

    /// Runs `outpost` to its end after a run that is gone, whose leases end meanwhile: what that run sent
    /// last may still be on its way, and take the lease only now.
    pub fn run_after(&self, gone: u32, arguments: &[&str]) -> Ended {
        self.expire_leases(Holders::Process(gone));
        self.start(self.command(arguments))
            .wait_doing(|| self.expire_leases(Holders::Process(gone)))
    }

    pub fn save(&self, name: &str) -> Snapshot {
        let template = format!("{}_{name}", self.database.name);
        self.clone_database(&self.database.name, &template);
        let mut connection = self.connection();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let keys = keys.into_iter().map(|key| {
            let at: i64 = redis::cmd("PEXPIRETIME")
                .arg(&key)
                .query(&mut connection)
                .unwrap();
            let value: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
            (key, at, value)
        });
        Snapshot {
            template,
            keys: keys.collect(),
        }
    }

    /// Puts both databases back; whoever is still connected is gone. The database keeps its name, so that
    /// a plan that was made for it can be used again.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.clone_database(&snapshot.template, &self.database.name);
        let mut pipe = redis::pipe();
        pipe.cmd("FLUSHALL").ignore();
        // A server that knows a script already is asked once less: message numbers would differ.
        pipe.cmd("SCRIPT").arg("FLUSH").ignore();
        for (key, at, value) in &snapshot.keys {
            pipe.cmd("RESTORE")
                .arg(key)
                .arg((*at).max(0))
                .arg(value)
                .arg("ABSTTL")
                .ignore();
        }
        let mut connection = self.connection();
        connection
            .req_command(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal"))
            .unwrap();
        pipe.exec(&mut connection).unwrap();
    }

    fn clone_database(&self, from: &str, to: &str) {
        let server = self.admin.as_str();
        sql(
            server,
            &format!("drop database if exists {to} with (force)"),
        );
        // Whoever has just left the template may still be on its way out.
        let end = format!(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{from}'"
        );
        sql(server, &end);
        sql(server, &format!("create database {to} template {from}"));
    }

    /// Everything that a run leaves behind, as comparable lines; times, hashes and tokens left out.
    pub fn state(&self) -> Vec<String> {
        let mut lines = state::postgres(&self.database);
        lines.extend(state::redis(&mut self.connection()));
        lines
    }
}

fn fixture(project: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(project)
}

fn add(pipe: &mut redis::Pipeline, words: &[&str]) {
    let mut command = redis::Cmd::new();
    command.arg(words);
    pipe.add_command(command);
}

/// Holds a lock on a table until it is told to let go.
pub struct Blocker(Sender<()>);

impl Blocker {
    pub fn release(self) {
        self.0.send(()).unwrap();
    }
}

pub fn in_use(world: &World, table: &'static str) -> (Blocker, JoinHandle<()>) {
    let (let_go, told) = channel();
    let (locked, is_locked) = channel();
    let url = world.database.url.clone();
    let holder = spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(connection);
            let lock = format!("begin; lock table {table} in exclusive mode");
            client.batch_execute(&lock).await.unwrap();
            locked.send(()).unwrap();
            // An error is a test that has failed, and let go as well.
            let _ = told.recv();
            client.batch_execute("rollback").await.unwrap();
        });
    });
    is_locked.recv().unwrap();
    (Blocker(let_go), holder)
}
