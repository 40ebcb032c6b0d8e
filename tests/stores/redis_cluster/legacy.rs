//! A deployment of an earlier version of the application on a cluster, and an apply to meet in the middle.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::cluster::RedisCluster;
use crate::support::project::Project;

/// Milliseconds that end in no zero, so that the way back spells them alike.
fn millis(t: usize) -> usize {
    t % 100 * 10 + t % 9 + 1
}

/// A legacy deployment: as the earlier versions of the application wrote it.
pub fn legacy(tenants: usize) -> Vec<Vec<String>> {
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
pub fn migrated(tenants: usize) -> BTreeMap<String, (String, Option<i64>)> {
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
pub fn new_form(cluster: &RedisCluster) -> BTreeMap<String, (String, Option<i64>)> {
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

/// Outpost's own migrations of a cluster, with the markers of earlier tools.
pub fn project(cluster: &RedisCluster) -> Project {
    Project::outpost_schema()
        .redis_cluster(&cluster.urls())
        .more("[compat]\noutpost_redis = true\n")
}

/// Begins an apply that goes slowly enough to meet it in the middle, and waits until it has changed keys.
pub fn slowly_applied(project: &Project) -> (Child, BufReader<ChildStdout>) {
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
pub fn ended(mut child: Child, mut events: BufReader<ChildStdout>) -> Option<i32> {
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    child.wait().unwrap().code()
}
