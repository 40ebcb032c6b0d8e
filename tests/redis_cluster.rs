//! Migrations of a Redis Cluster, with the real command: nothing is lost when keys cross nodes, when a slot
//! moves, and when a master dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/keyspace.rs"]
mod keyspace;
mod support;

use std::collections::BTreeMap;

use cluster::RedisCluster;
use support::project::Project;

/// A legacy deployment: as the earlier versions of the application wrote it.
fn legacy(tenants: usize) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut add = |words: &[&str]| commands.push(words.iter().map(|w| (*w).to_owned()).collect());
    for t in 0..tenants {
        let id = format!("t{t}");
        let key = format!("tenant:{id}");
        let time = format!("2024-01-02T03:04:{:02}.{:03}Z", t % 60, t % 1000);
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
        let ms = 1_704_164_640_000 + (t as i64 % 60) * 1000 + t as i64 % 1000;
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
        .map(|(key, held)| (key, (held.value, held.expires)))
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
