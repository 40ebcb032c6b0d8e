//! Runs on a Redis Cluster that are killed, cut off or frozen in the middle of what no single script can do: copies
//! and renamings to other slots, and the markers of earlier tools, which do not lie beside the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::RedisCluster;
use crate::keyspace::Entry;
use crate::proxy::{At, Fault, Protocol, Wire};
use crate::support::project::Project;
use crate::support::wait_until;
use crate::world::Running;

const APPLY: [&str; 3] = ["migrate", "apply", "plan.bin"];

struct Clustered {
    cluster: RedisCluster,
    project: Project,
    /// What an undisturbed run makes of it.
    expected: BTreeMap<String, Entry>,
}

impl Clustered {
    /// Outpost's own three migrations and a renaming, planned, and carried out once without a disturbance.
    fn new() -> Self {
        let cluster = RedisCluster::start();
        let project = Project::outpost_schema()
            .version("latest")
            .unlocked()
            .file(
                "schema/redis/0004_names.toml",
                "scope = \"old:<x>\"\n[[step]]\nrename = \"old:<x>\"\nto = \"new:{<x>}\"\n",
            )
            .redis_cluster(&cluster.urls())
            .more("[compat]\noutpost_redis = true\n");
        let mut world = Self {
            cluster,
            project,
            expected: BTreeMap::new(),
        };
        world.seed();
        world.project.migrate("plan -out plan.bin").ok();
        world.project.run(&APPLY).ok();
        world.expected = world.found();
        let of = |start: &str| {
            let keys = world.expected.keys();
            keys.filter(|key| key.starts_with(start)).count()
        };
        assert_eq!(of("tenant:t"), 12 * 2);
        assert_eq!(of("tenant:{t"), 12 * 2);
        assert_eq!(of("new:{"), 60);
        assert_eq!(of("outpost:migration:"), 3);
        world
    }

    /// Puts all back to where the plan was made.
    fn seed(&self) {
        for node in self.cluster.masters() {
            self.cluster.on(node, &["FLUSHALL"]);
        }
        let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let tenants = (0..12).flat_map(|t| {
            let key = format!("tenant:t{t}");
            let times = "created_at 2024-01-02T03:04:05.678Z updated_at 2024-01-02T03:04:05.678Z";
            [
                format!("HSET {key} id t{t} {times}"),
                format!("HSET {key}:destinations d {{}}"),
                format!("PEXPIREAT {key}:destinations 4102444800123"),
            ]
        });
        let names = (0..60).map(|n| format!("SET old:{n} {n} PXAT 4102444800123"));
        self.cluster.load(tenants.chain(names).map(words));
    }

    /// All keys, old forms and what the tool keeps for itself among them; of markers, ledger and history without what
    /// differs between runs. Fences of a run that is gone go with its lease.
    fn found(&self) -> BTreeMap<String, Entry> {
        let keys = self.cluster.keyspace().into_iter();
        keys.filter(|(key, _)| !key.starts_with("outpost:fence:"))
            .map(|(key, mut entry)| {
                if let Some((before, _)) = entry.value.split_once("\"applied_at\"") {
                    entry.value = before.to_owned();
                }
                if key.starts_with("{outpost}:") {
                    entry.value.clear();
                }
                (key, entry)
            })
            .collect()
    }

    /// How often the history says of each step that it is done.
    fn done(&self) -> BTreeMap<String, usize> {
        let history = self.project.migrate("history --format json").ok().json();
        let mut done = BTreeMap::new();
        let stores = history["stores"].as_array().unwrap();
        for entry in stores.iter().flat_map(|s| s["entries"].as_array().unwrap()) {
            if entry["outcome"] == "done" {
                let id = entry["id"].as_str().unwrap().to_owned();
                *done.entry(id).or_default() += 1;
            }
        }
        done
    }

    /// Starts a run with every node behind a wire.
    fn start_on(&self, wire: &Arc<Wire>) -> Running {
        let nodes = self.cluster.nodes().iter();
        let urls: Vec<String> = nodes
            .map(|node| wire.proxy(Protocol::Redis, node.url()))
            .collect();
        let ports: Vec<u16> = urls.iter().map(|url| port(url)).collect();
        self.cluster.announce(&ports);
        let mut command = self.project.command(&APPLY);
        for (number, url) in urls.iter().enumerate() {
            command.env(format!("REDIS_URL_{number}"), url);
        }
        let running = Running::start(&self.project.path(""), command);
        wire.watch(running.pid());
        running
    }

    /// The nodes are where they are again.
    fn unwire(&self) {
        let ports: Vec<u16> = self
            .cluster
            .nodes()
            .iter()
            .map(|node| node.port())
            .collect();
        self.cluster.announce(&ports);
    }

    /// Ends the lease of a process that is gone or frozen, as it would end by itself within 30 seconds.
    fn expire_lease(&self, pid: u32) {
        for lock in [
            ".outpost:migration_lock",
            ".outpost:migration:lock",
            "{outpost}:lease",
        ] {
            let held: Option<String> =
                redis::from_redis_value(self.cluster.cmd(&["GET", lock])).unwrap();
            if held.is_some_and(|held| held.contains(&format!("\"pid\":{pid},"))) {
                self.cluster.cmd(&["DEL", lock]);
            }
        }
    }

    #[track_caller]
    fn is_done(&self, what: &str) {
        let found = self.found();
        for (key, entry) in &self.expected {
            assert_eq!(found.get(key), Some(entry), "{what}: {key}");
        }
        let more: Vec<&String> = found
            .keys()
            .filter(|key| !self.expected.contains_key(*key))
            .collect();
        assert!(more.is_empty(), "{what}: {more:?}");
        let done = self.done();
        assert_eq!(done.len(), 4, "{what}: {done:?}");
        assert!(done.values().all(|n| *n == 1), "{what}: {done:?}");
        self.project.migrate("verify").ok();
        self.project.migrate("history").ok();
        self.project.migrate("plan -detailed-exitcode").ok();
    }
}

fn port(url: &str) -> u16 {
    let (_, address) = url.rsplit_once(':').unwrap();
    address.split('/').next().unwrap().parse().unwrap()
}

/// What no script can do in one unit with the rest, by the first message that does it.
const POINTS: [(&str, &[&str]); 6] = [
    (
        "a target gets its value",
        &["EVALSHA", "outpost:fence:", "tenant:{t", "outpost:copied:"],
    ),
    (
        "a new name gets its value",
        &["EVALSHA", "new:{", "outpost:moving:"],
    ),
    ("an old name goes", &["EVALSHA", "old:", "outpost:moved:"]),
    (
        "the record of a renaming goes",
        &["EVALSHA", "{outpost}:moves:"],
    ),
    (
        "an old marker is written",
        &["EVALSHA", "outpost:migration:001"],
    ),
    ("a step is recorded", &["redis/0001_hash_tags EVALSHA"]),
];

#[test]
fn c15_u12_a_run_on_a_cluster_that_dies_or_is_cut_off_is_ended_by_the_same_plan() {
    let world = Clustered::new();
    for (what, words) in POINTS {
        for fault in [Fault::KillAfter, Fault::CutAnswer(0)] {
            let what = format!("{fault:?} where {what}");
            world.seed();
            let wire = Wire::with(At::First(words), fault);
            let running = world.start_on(&wire);
            let pid = running.pid();
            let ended = running.wait();
            wait_until("the fault has struck", || wire.fired());
            world.unwire();
            if fault == Fault::KillAfter {
                assert!(ended.killed(), "{what}\n{}", ended.output);
                world.expire_lease(pid);
                world.project.run(&APPLY).ok();
            } else {
                // An answer that is lost is asked for again, and nothing happens twice.
                ended.expect(0);
            }
            world.is_done(&what);
        }
    }
}

#[test]
fn u13_c06_a_runner_on_a_cluster_that_wakes_without_its_lease_writes_nothing_and_says_so() {
    let world = Clustered::new();
    let fence: (&str, &[&str]) = ("a slot is fenced", &["EVALSHA", " 1 outpost:fence:"]);
    for (what, words) in POINTS.into_iter().chain([fence]) {
        let what = format!("frozen where {what}");
        world.seed();
        let wire = Wire::with(At::First(words), Fault::Freeze);
        let frozen = world.start_on(&wire);
        frozen.wait_for(&wire);
        world.unwire();
        world.expire_lease(frozen.pid());
        world.project.run(&APPLY).ok();
        world.is_done(&what);
        // The message that was on its way arrives, and then the process goes on.
        wire.release();
        frozen.wake();
        let ended = frozen.wait();
        assert_eq!(ended.status.code(), Some(1), "{what}\n{}", ended.output);
        let said = ended
            .output
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            said.contains("the lease was lost"),
            "{what}\n{}",
            ended.output
        );
        world.is_done(&what);
    }
}

/// What an application does to a key of two forms while it is moved from one to the other: it changes the first, and
/// those of copies in both.
fn change(world: &Clustered, old: &str, new: &str, both: bool, command: &str, rest: &[&str]) {
    const IF_THERE: &str = "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2)) return 1";
    for key in [old, new] {
        let node = world.cluster.node_of(key);
        let mut words = vec!["EVAL", IF_THERE, "1", key, command];
        words.extend(rest);
        let done = world.cluster.on(node, &words);
        if done == redis::Value::Int(1) && !both {
            return;
        }
    }
}

#[test]
fn u30_what_an_application_does_between_the_messages_of_a_run_on_a_cluster_stands() {
    const LATER: &str = "4102444800999";
    let world = Clustered::new();
    for (what, words) in &POINTS[..3] {
        world.seed();
        let wire = Wire::with(At::First(words), Fault::Stall);
        let running = world.start_on(&wire);
        running.wait_for(&wire);
        // The message is on its way, and what it rests on changes before it arrives, on every node.
        for n in 0..12 {
            let (old, new) = (format!("tenant:t{n}"), format!("tenant:{{t{n}}}:tenant"));
            match n % 3 {
                0 => change(&world, &old, &new, true, "HSET", &["metadata", "newer"]),
                1 => change(&world, &old, &new, true, "UNLINK", &[]),
                _ => change(&world, &old, &new, true, "PEXPIREAT", &[LATER]),
            }
        }
        for n in 0..60 {
            let (old, new) = (format!("old:{n}"), format!("new:{{{n}}}"));
            match n % 3 {
                0 => change(&world, &old, &new, false, "APPEND", &[" newer"]),
                1 => change(&world, &old, &new, true, "UNLINK", &[]),
                _ => change(&world, &old, &new, false, "PEXPIREAT", &[LATER]),
            }
        }
        wire.release();
        running.wait().expect(0);
        world.unwire();
        let found = world.found();
        let forms = (0..12).map(|n| (n, format!("tenant:{{t{n}}}:tenant")));
        let forms = forms.chain((0..60).map(|n| (n, format!("new:{{{n}}}"))));
        for (n, key) in forms {
            let (entry, before) = (found.get(&key), &world.expected[&key]);
            let name = format!("where {what}: {key}");
            match n % 3 {
                0 => {
                    let entry = entry.unwrap_or_else(|| panic!("{name} is gone"));
                    assert!(entry.value.contains("newer"), "{name}: {}", entry.value);
                    assert_eq!(entry.expires, before.expires, "{name}");
                }
                1 => assert_eq!(entry, None, "{name} came back"),
                _ => {
                    let entry = entry.unwrap_or_else(|| panic!("{name} is gone"));
                    assert_eq!(entry.value, before.value, "{name}");
                    assert_eq!(entry.expires, Some(LATER.parse().unwrap()), "{name}");
                }
            }
        }
        let old: Vec<String> = world
            .cluster
            .keyspace()
            .into_keys()
            .filter(|key| key.starts_with("old:"))
            .collect();
        assert_eq!(old, Vec::<String>::new(), "where {what}");
        world.project.migrate("verify").ok();
    }
}
