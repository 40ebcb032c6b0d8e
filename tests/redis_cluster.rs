//! Migrations of a Redis Cluster, with the real command: nothing is lost when keys cross nodes, when a slot
//! moves, and when a master dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/keyspace.rs"]
mod keyspace;
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use cluster::RedisCluster;
use serde_json::Value;
use support::project::Project;

/// Milliseconds that end in no zero, so that the way back spells them alike.
fn millis(t: usize) -> usize {
    t % 100 * 10 + t % 9 + 1
}

/// A legacy deployment: as the earlier versions of the application wrote it.
fn legacy(tenants: usize) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut add = |words: &[&str]| commands.push(words.iter().map(|w| (*w).to_owned()).collect());
    for t in 0..tenants {
        let id = format!("t{t}");
        let key = format!("tenant:{id}");
        let time = format!("2024-01-02T03:04:{:02}.{:03}Z", t % 60, millis(t));
        add(&[
            "HSET",
            &key,
            "id",
            &id,
            "created_at",
            &time,
            "updated_at",
            &time,
            "metadata",
            "{}",
        ]);
        let destinations = format!("{key}:destinations");
        for d in 0..2 {
            let destination = format!("{key}:destination:d{d}");
            add(&["HSET", &destinations, &format!("d{d}"), "{}"]);
            add(&[
                "HSET",
                &destination,
                "id",
                &format!("d{d}"),
                "type",
                "webhook",
            ]);
            add(&[
                "HSET",
                &destination,
                "created_at",
                &time,
                "updated_at",
                &time,
            ]);
            if t % 10 == 0 {
                add(&["PEXPIREAT", &destination, "4102444800123"]);
            }
        }
    }
    commands
}

/// What the three migrations make of [`legacy`].
fn migrated(tenants: usize) -> BTreeMap<String, (String, Option<i64>)> {
    let mut keys = BTreeMap::new();
    for t in 0..tenants {
        let ms = 1_704_164_640_000 + (t as i64 % 60) * 1000 + millis(t) as i64;
        let key = format!("tenant:{{t{t}}}");
        let tenant = format!(
            r#"{{"created_at": "{ms}", "entity": "tenant", "id": "t{t}", "metadata": "{{}}", "updated_at": "{ms}"}}"#
        );
        keys.insert(format!("{key}:tenant"), (tenant, None));
        let list = r#"{"d0": "{}", "d1": "{}"}"#.to_owned();
        keys.insert(format!("{key}:destinations"), (list, None));
        for d in 0..2 {
            let value = format!(
                r#"{{"created_at": "{ms}", "entity": "destination", "id": "d{d}", "type": "webhook", "updated_at": "{ms}"}}"#
            );
            let expires = (t % 10 == 0).then_some(4_102_444_800_123);
            keys.insert(format!("{key}:destination:d{d}"), (value, expires));
        }
    }
    keys
}

/// The application's keys in the new form.
fn new_form(cluster: &RedisCluster) -> BTreeMap<String, (String, Option<i64>)> {
    cluster
        .keyspace()
        .into_iter()
        .filter(|(key, _)| key.starts_with("tenant:{"))
        .map(|(key, held)| {
            // Before Redis 7.0 nobody can ask for the moment itself, only whether there is one.
            let expires = held.expires.map(|at| at.max(4_102_444_800_123));
            (key, (held.value, expires))
        })
        .collect()
}

fn project(cluster: &RedisCluster) -> Project {
    Project::outpost_schema()
        .redis_cluster(&cluster.urls())
        .more("[compat]\noutpost_redis = true\n")
}

#[test]
fn u28_the_three_migrations_cross_the_slots_of_a_cluster_and_are_cleaned_up() {
    let cluster = RedisCluster::start();
    cluster.load(legacy(200));
    let project = project(&cluster);
    project.migrate("plan -out plan.bin").ok();
    project.migrate("apply plan.bin").ok();
    assert_eq!(new_form(&cluster), migrated(200));
    project.migrate("verify").ok();
    // What was applied is not applied again.
    project
        .migrate("apply plan.bin")
        .ok()
        .says("was applied before");
    project.migrate("plan -detailed-exitcode").ok();
    // The markers of earlier tools are there, and no fence outlives its lease.
    let keys = cluster.keyspace();
    for marker in ["001_hash_tags", "002_timestamps", "003_entity"] {
        assert!(
            keys.contains_key(&format!("outpost:migration:{marker}")),
            "{marker}"
        );
    }
    assert!(!keys.keys().any(|key| key.starts_with("outpost:fence:")));

    project.migrate("cleanup --yes").ok();
    let keys = cluster.keyspace();
    assert_eq!(new_form(&cluster), migrated(200));
    let left: Vec<&String> = keys
        .keys()
        .filter(|key| key.starts_with("tenant:t") || key.starts_with("outpost:copied:"))
        .collect();
    assert_eq!(left, Vec::<&String>::new());
}

/// Begins an apply that goes slowly enough to meet it in the middle, and waits until it has changed keys.
fn slowly_applied(project: &Project) -> (Child, BufReader<ChildStdout>) {
    let mut command = project.command(&[
        "migrate",
        "apply",
        "plan.bin",
        "--format",
        "json",
        "--max-keys-per-second",
        "1500",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while events.read_line(&mut line).unwrap() > 0 {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "progress" && event["changed"].as_u64().unwrap() > 0 {
            return (child, events);
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    panic!("it ended before it was met: {status}");
}

/// Waits for the end, and gives the exit code.
fn ended(mut child: Child, mut events: BufReader<ChildStdout>) -> Option<i32> {
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn u29_a_slot_that_moves_during_an_apply_takes_its_keys_along() {
    let cluster = RedisCluster::start();
    cluster.load(legacy(600));
    let project = project(&cluster);
    project.migrate("plan -out plan.bin").ok();
    let (child, events) = slowly_applied(&project);
    // The slots of sources and of targets, some that a pass has been through, and some that it has not. They are
    // those of tenants without a time to live: MIGRATE carries what is left of one, and so shifts its end.
    for t in 1..4 {
        for key in [format!("tenant:t{t}"), format!("tenant:{{t{t}}}:tenant")] {
            let slot = RedisCluster::slot(&key);
            cluster.move_slot(slot, (cluster.node_of_slot(slot) + 1) % 3);
        }
    }
    assert_eq!(ended(child, events), Some(0));
    assert_eq!(new_form(&cluster), migrated(600));
    project.migrate("verify").ok();
}

#[test]
fn a_replica_that_takes_over_during_an_apply_is_gone_on_with() {
    let mut cluster = RedisCluster::builder().replicas().start();
    cluster.load(legacy(600));
    let project = project(&cluster);
    project.migrate("plan -out plan.bin").ok();
    let (child, events) = slowly_applied(&project);
    cluster.kill_master(1);
    cluster.wait_for_failover();
    // What a failover lost of the ledger or the lease ends the run; the same plan goes on.
    if ended(child, events) != Some(0) {
        project.migrate("apply plan.bin --lock-wait 60s").ok();
    }
    assert_eq!(new_form(&cluster), migrated(600));
    project.migrate("verify").ok();
}

#[test]
fn a_slot_that_nobody_serves_is_named_and_nothing_is_written() {
    let cluster = RedisCluster::start();
    cluster.load(legacy(20));
    let project = project(&cluster);
    project.migrate("plan -out plan.bin").ok();
    let before = cluster.keyspace();
    let slot = RedisCluster::slot("nobody's");
    let owner = cluster.node_of_slot(slot);
    cluster.uncover_slot(slot);
    for command in ["plan", "apply plan.bin", "verify", "list"] {
        let ended = project.migrate(command).exits(1);
        ended.says("CLUSTERDOWN").says(&slot.to_string());
    }
    cluster.cover_slot(slot, owner);
    cluster.wait_until_ok();
    assert_eq!(cluster.keyspace(), before);
    project.migrate("apply plan.bin").ok();
}

#[test]
fn a_layout_that_is_not_that_of_outpost_toml_is_refused() {
    let cluster = RedisCluster::start();
    let single = Project::outpost_schema().redis_url(&cluster.urls()[0]);
    single.migrate("list").exits(1).says("cluster = true");
    let server = support::fresh_redis();
    let many = Project::outpost_schema().redis_cluster(&[server.url().to_owned()]);
    many.migrate("list").exits(1).says("no node of a cluster");
}

#[test]
fn a_revert_takes_back_what_was_copied_across_slots_and_nothing_else() {
    let cluster = RedisCluster::start();
    cluster.load(legacy(100));
    let before = cluster.keyspace();
    let project = project(&cluster);
    project.migrate("apply --yes").ok();
    cluster.cmd(&["DEL", "tenant:{t7}:tenant"]);
    cluster.cmd(&["HSET", "tenant:{t8}:tenant", "metadata", "newer"]);
    // What the application deleted stays deleted, in every later pass too.
    project.migrate("plan -detailed-exitcode").ok();
    assert!(!cluster.keyspace().contains_key("tenant:{t7}:tenant"));

    project.migrate("apply --yes --to 0.11").exits(1);
    project
        .file(
            "schema/versions.toml",
            "[[version]]\nname = \"none\"\nadd = []\n[[version]]\nname = \"1.2\"\nadd = [\"redis/0001_hash_tags\", \"redis/0002_timestamps\", \"redis/0003_entity\"]\n",
        )
        .migrate("apply --yes --to none --allow-lossy")
        .ok();
    let mut after = cluster.keyspace();
    after.retain(|key, _| !key.contains("outpost"));
    let changed = after.remove("tenant:{t8}:tenant").unwrap();
    assert!(changed.value.contains("newer"), "{}", changed.value);
    let extra: Vec<_> = after
        .iter()
        .filter(|(k, v)| before.get(*k) != Some(v))
        .take(5)
        .collect();
    let gone: Vec<_> = before
        .keys()
        .filter(|k| !after.contains_key(*k))
        .take(5)
        .collect();
    assert!(extra.is_empty() && gone.is_empty(), "{extra:?} {gone:?}");
}
