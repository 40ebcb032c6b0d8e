//! The main path through pgbouncer in transaction mode, with so few connections to the server that every
//! one is shared.

use std::env;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::unistd::{User, chown, geteuid};
use tempfile::TempDir;

use crate::all;
use crate::phase::phases;
use crate::proxy::{At, Fault, Protocol, Wire};
use crate::support::{query_rows, servers, wait_until};
use crate::world::{Ended, Holders, Running, World};

/// Where packages put it, besides the search path. The same folders as in scripts/install-servers.
const FOLDERS: [&str; 4] = [
    "/usr/sbin",
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
];

/// A pgbouncer in front of the shared Postgres.
struct Pooler {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    fn start() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path)
            .chain(FOLDERS.map(PathBuf::from))
            .map(|folder| folder.join("pgbouncer"))
            .find(|program| program.is_file())
            .expect("pgbouncer is not installed; scripts/install-servers --tests installs it");
        let server = servers().postgres();
        let (_, login) = server.url().split_once("://").unwrap();
        let (user, rest) = login.split_once(':').unwrap();
        let (password, _) = rest.split_once('@').unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let users = file("users", &format!("\"{user}\" \"{password}\"\n"));
        // Two connections for all: what one run leaves in a session, another one meets.
        let config = file(
            "pgbouncer.ini",
            &format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
                 pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\nstats_users = {user}\n\
                 logfile = {}\n",
                server.port(),
                users.display(),
                folder.path().join("log").display(),
            ),
        );
        let mut command = Command::new(program);
        command
            .arg("-q")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It refuses to run as root, as the servers do.
        if geteuid().is_root() {
            let account = ["postgres", "nobody"]
                .into_iter()
                .find_map(|name| User::from_name(name).unwrap())
                .unwrap();
            for path in [folder.path().to_owned(), users] {
                chown(&path, Some(account.uid), Some(account.gid)).unwrap();
            }
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        let child = command.spawn().unwrap();
        wait_until("pgbouncer answers", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    /// Transactions that it has carried so far.
    fn transactions(&self) -> u64 {
        let (login, _) = servers().postgres().url().rsplit_once('@').unwrap();
        let url = format!("{login}@127.0.0.1:{}/pgbouncer", self.port);
        let totals = query_rows(&url[..], "show totals");
        let of = |name: &str| {
            let is_it = |row: &&Vec<Option<String>>| row[0].as_deref() == Some(name);
            let row = totals.iter().find(is_it).unwrap();
            row[1].as_ref().unwrap().parse::<u64>().unwrap()
        };
        of("total_xact_count")
    }

    fn url(&self, direct: &str) -> String {
        let (head, tail) = direct.split_once("127.0.0.1:").unwrap();
        let (_, database) = tail.split_once('/').unwrap();
        format!("{head}127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pooled(world: &World, pooler: &Pooler, arguments: &[&str]) -> Ended {
    let url = pooler.url(&world.database.url);
    let mut command = world.command_at(&url, world.redis.url(), arguments);
    command.env("DIRECT_URL", &world.database.url);
    world.start(command).wait()
}

/// The same with the way to the pooler, to Postgres itself and to Redis on one wire.
fn pooled_on(world: &World, pooler: &Pooler, wire: &Arc<Wire>, arguments: &[&str]) -> Running {
    let pooled = wire.proxy(Protocol::Postgres, &pooler.url(&world.database.url));
    let direct = wire.proxy(Protocol::Postgres, &world.database.url);
    let redis = wire.proxy(Protocol::Redis, world.redis.url());
    let mut command = world.command_at(&pooled, &redis, arguments);
    command.env("DIRECT_URL", direct);
    let running = world.start(command);
    wire.watch(running.pid());
    running
}

#[test]
fn c05_every_plan_goes_through_a_pooler_in_transaction_mode_and_ends_the_same() {
    let world = World::new();
    let phases = phases(&world);
    let pooler = Pooler::start();
    for phase in &phases {
        world.restore(&phase.start);
        let before = pooler.transactions();
        let arguments = ["migrate", "apply", phase.plan, "--parallelism", "4"];
        pooled(&world, &pooler, &arguments).expect(0);
        phase.expect_left(&world.state(), "through a pooler");
        let carried = pooler.transactions() - before;
        let records = phase.messages.iter();
        let records = records.filter(|m| m.contains("carries its record")).count();
        assert!(carried > records as u64, "{}: {carried}", phase.name);
        pooled(&world, &pooler, &["migrate", "list"]).expect(0);
        pooled(&world, &pooler, &["migrate", "history"]).expect(0);
    }
}

#[test]
fn c05_c15_kills_and_lost_commits_on_the_way_to_a_pooler_are_made_good_by_the_same_plan() {
    let world = World::new();
    let pooler = Pooler::start();
    for phase in &phases(&world) {
        let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
        world.restore(&phase.start);
        let wire = Wire::quiet();
        pooled_on(&world, &pooler, &wire, &arguments)
            .wait()
            .expect(0);
        let messages = wire.messages();
        let commits = [
            "carries its record",
            "writes a checkpoint",
            "takes the lease",
        ];
        let is_commit = |number: &usize| {
            let message = &messages[number - 1];
            commits.iter().any(|commit| message.contains(commit))
        };
        let points: Vec<usize> = (1..=messages.len()).filter(is_commit).collect();
        assert!(points.len() > 1, "{}: {points:?}", phase.name);
        const FAULTS: [Fault; 3] = [Fault::KillAfter, Fault::CutAnswer(0), Fault::CutBefore];
        for (at, number) in points.into_iter().enumerate() {
            // CI does one thing to each, in turn.
            let faults = FAULTS.iter().enumerate();
            let faults = faults.filter(|(n, _)| all() || at % FAULTS.len() == *n);
            for fault in faults.map(|(_, fault)| *fault) {
                let what = format!("{fault:?} at {}", messages[number - 1]);
                world.restore(&phase.start);
                let wire = Wire::with(At::Message(number), fault);
                let ended = pooled_on(&world, &pooler, &wire, &arguments).wait();
                wait_until("the fault has struck", || wire.fired());
                if fault == Fault::KillAfter {
                    assert!(ended.killed(), "{what}\n{}", ended.output);
                    world.expire_leases(Holders::Process(ended.pid));
                    let patient = [&arguments[..], &["--lock-wait", "60s"]].concat();
                    let pid = ended.pid;
                    pooled_on(&world, &pooler, &Wire::quiet(), &patient)
                        .wait_doing(|| world.expire_leases(Holders::Process(pid)))
                        .expect(0);
                } else {
                    ended.expect(0);
                }
                phase.expect_left(&world.state(), &what);
            }
        }
    }
}

#[test]
fn c05_planning_adopting_verifying_and_reverting_work_through_a_pooler() {
    let world = World::new();
    let pooler = Pooler::start();
    for (code, arguments) in [
        (3, &["serve", "--", "true"][..]),
        (
            2,
            &["migrate", "plan", "-detailed-exitcode", "-out", "plan.bin"],
        ),
        (0, &["migrate", "apply", "plan.bin"]),
        (0, &["migrate", "apply", "plan.bin"]),
        (0, &["migrate", "verify"]),
        (0, &["serve", "--", "true"]),
        (0, &["migrate", "apply", "--to", "back", "--yes"]),
        (0, &["migrate", "apply", "--yes"]),
        (0, &["migrate", "cleanup", "--yes"]),
        (0, &["migrate", "verify"]),
        (0, &["migrate", "list"]),
        (64, &["migrate", "unlock", "--nonsense"]),
    ] {
        pooled(&world, &pooler, arguments).expect(code);
    }
}
