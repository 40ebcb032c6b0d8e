//! Migrations of a Redis behind Sentinels, with the real command.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::sentinel::{NAME, RedisSentinel};
use crate::support::project::{Project, application_keys, legacy_tenants};

fn project(redis: &RedisSentinel, name: &str) -> Project {
    let (user, password) = redis.login();
    let sentinels: Vec<String> = redis
        .sentinel_addresses()
        .iter()
        .map(|address| format!("\"redis://{address}\""))
        .collect();
    Project::outpost_schema()
        .redis_url(&format!("redis://{user}:{password}@{name}/0"))
        .redis_keys(&format!("sentinels = [{}]", sentinels.join(", ")))
}

#[test]
fn the_master_that_the_sentinels_name_is_migrated_and_followed_through_a_failover() {
    let redis = RedisSentinel::start();
    let old = redis.master();
    legacy_tenants(redis.server(old), 300);
    redis.wait_until_replicated();
    let project = project(&redis, NAME);
    project.migrate("plan -out plan.bin").ok();

    let mut command = project.command(&[
        "migrate",
        "apply",
        "plan.bin",
        "--format",
        "json",
        "--max-keys-per-second",
        "1000",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"progress\"") {
        line.clear();
        assert!(
            events.read_line(&mut line).unwrap() > 0,
            "it ended too early"
        );
    }
    redis.failover();
    let new = redis.master();
    assert_ne!(old, new);
    events.read_to_string(&mut line).unwrap();
    // What the failover lost of the lease ends the run, and of a run that ended just before, its record; the same
    // plan goes on either way.
    child.wait().unwrap();
    project.migrate("apply plan.bin --lock-wait 60s").ok();
    project.migrate("verify").ok();
    let keys = application_keys(redis.server(new));
    let made = keys.keys().filter(|key| key.starts_with("tenant:{"));
    assert_eq!(made.count(), 1200);
}

#[test]
fn a_master_that_no_sentinel_knows_is_named() {
    let redis = RedisSentinel::start();
    project(&redis, "nobody")
        .migrate("list")
        .exits(1)
        .says("knows no master \"nobody\"");
    let (user, password) = redis.login();
    Project::outpost_schema()
        .redis_url(&format!("redis://{user}:{password}@{NAME}/0"))
        .redis_keys("sentinels = [\"redis://127.0.0.1:1\"]")
        .migrate("list")
        .exits(1)
        .says("cannot connect");
}
