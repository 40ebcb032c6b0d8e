//! Redis migrations that make no sense, and servers that refuse in the middle of one: what is said, and that nothing
//! is lost. What is refused of every project is in `bad_input.rs`, what scripts do wrong in `redis_operations.rs`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use outpost::sandbox::RedisServer;
use serde_json::Value;

use crate::support::project::{Ended, Project, application_keys, legacy_tenants, redis_content};
use crate::support::{fresh_redis, fresh_redis_with, redis_cmd};

fn project(redis: &RedisServer, text: &str) -> Project {
    Project::empty()
        .redis(redis)
        .file("schema/redis/0001_it.toml", text)
}

const COPY: &str = "scope = \"a:<x..>\"\n[[step]]\ncopy = \"a:<x>\"\nto = \"b:<x>\"\n";

/// Nothing that a terminal would obey, whatever the keys are called.
#[track_caller]
fn harmless(ended: Ended) -> Ended {
    for text in [&ended.stdout, &ended.stderr] {
        let raw = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(raw, None, "{ended:?}");
    }
    ended
}

#[test]
fn a_declaration_that_makes_no_sense_names_file_and_line_and_nothing_is_touched() {
    let redis = fresh_redis();
    redis_cmd(&redis, &["SET", "a:1", "v"]);
    let before = redis_content(&redis);
    let scope = "scope = \"a:<x..>\"\n[[step]]\n";
    for (steps, line, said) in [
        ("moov = \"a:<x>\"\nto = \"b:<x>\"", 3, "`moov` is none"),
        (
            "renam = \"a:<x>\"\nto = \"b:<x>\"",
            3,
            "did you mean `rename`?",
        ),
        (
            "copy = \"a:{<x>\"\nto = \"b:<x>\"",
            3,
            "the brace that opens here is never closed",
        ),
        ("copy = \"a:<x>\"\nto = \"b:<x>}\"", 4, "closes no brace"),
        ("copy = \"a:<x>\"\nto = \"b:<y>\"", 4, "captures no `y`"),
        (
            "delete = \"a:<x>\"\n[[step]]\npersist = \"a:1<y..>\"",
            4,
            "a:1",
        ),
    ] {
        let project = project(&redis, &format!("{scope}{steps}\n"));
        for command in ["plan", "apply --yes", "verify", "cleanup --yes", "list"] {
            let place = format!("redis/0001_it.toml:{line}");
            project.migrate(command).refuses(1, &[&place, said]);
        }
        assert_eq!(redis_content(&redis), before, "{steps}");
    }
}

#[test]
fn names_that_a_terminal_or_a_glob_would_obey_are_shown_escaped_and_taken_as_they_are() {
    let redis = fresh_redis();
    let names = [
        "a:*",
        "a:[x]?",
        "a:\u{1b}[31m",
        "a:\n\r\u{8}",
        "a:\u{202e}txt",
    ];
    for name in names {
        redis_cmd(&redis, &["SET", name, name]);
    }
    for (name, field) in [("b:\u{1b}]0;t\u{7}", "f\u{1b}[2J"), ("b:\u{9b}2J", "f")] {
        redis_cmd(&redis, &["HSET", name, field, "\u{1b}c"]);
    }
    // Unaccounted for: each is named, so that somebody can find it.
    let blind = project(
        &redis,
        "scope = [\"a:<x..>\", \"b:<x..>\"]\n[[step]]\ndelete = \"a:none:<x>\"\n",
    );
    for command in ["plan", "apply --yes"] {
        let ended = harmless(blind.migrate(command).exits(1));
        ended
            .says("7 keys in scope are matched by no step")
            .says("\\x1b");
    }
    let copy = project(&redis, COPY.replace("b:", "copy:").as_str());
    harmless(copy.migrate("apply --yes").ok());
    for name in names {
        let copied = format!("copy:{}", name.strip_prefix("a:").unwrap());
        let value = crate::support::redis_text(&redis, &["GET", &copied]);
        assert_eq!(value, name);
    }
    redis_cmd(&redis, &["SET", "copy:*", "newer"]);
    harmless(copy.migrate("verify").ok().says("a:*: its target differs"));
    harmless(copy.migrate("cleanup --yes").ok());
}

/// Begins an apply that goes slowly, and waits until it has changed keys.
fn slowly_applied(project: &Project) -> (Child, BufReader<ChildStdout>) {
    let arguments = "migrate apply plan.bin --format json --max-keys-per-second 1000";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut command = project.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while events.read_line(&mut line).unwrap() > 0 {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "progress" && event["changed"].as_u64().unwrap() > 0 {
            return (child, events);
        }
        line.clear();
    }
    panic!("it ended before it was met: {:?}", child.wait_with_output());
}

/// The end of a run that something befell: its exit code, and what it said.
fn ended(mut child: Child, mut events: BufReader<ChildStdout>) -> (Option<i32>, String) {
    let mut said = String::new();
    events.read_to_string(&mut said).unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn u34_a_server_that_refuses_in_the_middle_ends_the_run_with_its_word_and_the_same_plan_goes_on() {
    let expected = {
        let redis = fresh_redis();
        legacy_tenants(&redis, 300);
        Project::outpost_schema().redis(&redis).apply();
        application_keys(&redis)
    };
    type Doing = fn(&RedisServer);
    let refusals: [(&str, &str, Doing, Doing); 3] = [
        (
            "READONLY",
            "READONLY",
            |redis| {
                redis_cmd(redis, &["REPLICAOF", "127.0.0.1", "1"]);
            },
            |redis| {
                redis_cmd(redis, &["REPLICAOF", "NO", "ONE"]);
            },
        ),
        (
            "NOPERM",
            "permission denied",
            |redis| {
                redis_cmd(redis, &["ACL", "SETUSER", "default", "-copy", "-hset"]);
            },
            |redis| {
                redis_cmd(redis, &["ACL", "SETUSER", "default", "+copy", "+hset"]);
            },
        ),
        (
            "OOM",
            "OOM",
            |redis| {
                redis_cmd(redis, &["CONFIG", "SET", "maxmemory", "1"]);
            },
            |redis| {
                redis_cmd(redis, &["CONFIG", "SET", "maxmemory", "0"]);
            },
        ),
    ];
    for (name, said, refuse, relent) in refusals {
        let redis = fresh_redis();
        legacy_tenants(&redis, 300);
        let sources = application_keys(&redis);
        let project = Project::outpost_schema().redis(&redis);
        project.migrate("plan -out plan.bin").ok();
        let (child, events) = slowly_applied(&project);
        refuse(&redis);
        let (code, output) = ended(child, events);
        assert_eq!(code, Some(1), "{name}: {output}");
        assert!(output.contains(said), "{name}: {output}");
        relent(&redis);
        // A lease that could not be given back would end by itself within 30 seconds.
        let locks = [".outpost:migration_lock", ".outpost:migration:lock"];
        redis_cmd(&redis, &["DEL", locks[0], locks[1]]);
        let found = application_keys(&redis);
        for (key, value) in &sources {
            assert_eq!(found.get(key), Some(value), "{name}: {key}");
        }
        project.migrate("apply plan.bin").ok();
        assert_eq!(application_keys(&redis), expected, "{name}");
        project.migrate("verify").ok();
    }
}

#[test]
fn u34_scripts_that_the_server_forgets_all_the_time_are_sent_again() {
    let redis = fresh_redis();
    legacy_tenants(&redis, 300);
    let project = Project::outpost_schema().redis(&redis);
    let mut child = project.background("apply --yes");
    let mut flushed = 0;
    while child.try_wait().unwrap().is_none() {
        redis_cmd(&redis, &["SCRIPT", "FLUSH"]);
        flushed += 1;
    }
    project.wait(child).ok();
    assert!(flushed > 10, "{flushed}");
    let keys = application_keys(&redis);
    for (key, fields) in &keys {
        if key.starts_with("tenant:{") && !key.ends_with(":destinations") {
            assert!(fields.contains("entity"), "{key}: {fields}");
        }
    }
    project.migrate("verify").ok();
    project.migrate("plan -detailed-exitcode").ok();
}

#[test]
fn a_string_too_large_to_travel_is_named_and_neither_copied_nor_touched() {
    let redis = fresh_redis();
    // One byte more than half of what a server takes at once.
    let last = (256_u64 << 20).to_string();
    redis_cmd(&redis, &["SETRANGE", "a:huge", &last, "x"]);
    redis_cmd(&redis, &["SET", "a:small", "v"]);
    let project = project(&redis, COPY);
    project
        .migrate("apply --yes")
        .exits(1)
        .says("1 key is too large to be copied: a:huge (a string of more than 256 MB; make its target by hand, and go on)");
    let length = redis_cmd(&redis, &["STRLEN", "a:huge"]);
    assert_eq!(length, redis::Value::Int((256 << 20) + 1));
    assert_eq!(
        redis_cmd(&redis, &["EXISTS", "b:huge"]),
        redis::Value::Int(0)
    );
    let keys = redis_content_names(&redis);
    assert!(
        !keys.iter().any(|key| key.contains("outpost:part:")),
        "{keys:?}"
    );
    // What the message says helps: a target that is there is kept.
    redis_cmd(&redis, &["COPY", "a:huge", "b:huge"]);
    project.apply();
    assert_eq!(crate::support::redis_text(&redis, &["GET", "b:small"]), "v");
}

fn redis_content_names(redis: &RedisServer) -> Vec<String> {
    redis::from_redis_value(redis_cmd(redis, &["KEYS", "*"])).unwrap()
}

#[test]
fn u30_a_hash_of_a_million_fields_is_copied_whole_while_others_are_served() {
    let redis = fresh_redis();
    const FILL: &str =
        "for i = 1, 1000000 do redis.call('HSET', KEYS[1], 'f' .. i, 'v' .. i) end return 1";
    const DIFFER: &str = "local n = 0 for i = 1, 1000000 do
        if redis.call('HGET', KEYS[1], 'f' .. i) ~= 'v' .. i then n = n + 1 end end return n";
    redis_cmd(&redis, &["EVAL", FILL, "1", "a:1"]);
    redis_cmd(&redis, &["PEXPIREAT", "a:1", "33000000000123"]);
    redis_cmd(&redis, &["CONFIG", "RESETSTAT"]);
    let project = project(&redis, COPY);
    project.apply();
    // No single command of it may hold the server as long as COPY would.
    let calls = crate::support::redis_text(&redis, &["INFO", "commandstats"]);
    for whole in ["cmdstat_copy:", "cmdstat_dump:"] {
        assert!(!calls.contains(whole), "{calls}");
    }
    assert_eq!(
        redis_cmd(&redis, &["HLEN", "b:1"]),
        redis::Value::Int(1_000_000)
    );
    assert_eq!(
        redis_cmd(&redis, &["EVAL", DIFFER, "1", "b:1"]),
        redis::Value::Int(0)
    );
    let pttl =
        |key: &str| -> i64 { redis::from_redis_value(redis_cmd(&redis, &["PTTL", key])).unwrap() };
    assert!((pttl("a:1") - pttl("b:1")).abs() < 1000);
    project.migrate("verify").ok().says("too large to compare");
    project.migrate("cleanup --yes").ok();
    assert_eq!(redis_cmd(&redis, &["EXISTS", "a:1"]), redis::Value::Int(0));
    assert_eq!(
        redis_cmd(&redis, &["HLEN", "b:1"]),
        redis::Value::Int(1_000_000)
    );
}

#[test]
fn u35_a_server_whose_first_pages_hold_nothing_of_ours_is_not_taken_for_empty() {
    let redis = fresh_redis();
    const FILL: &str = "for i = 1, 20000 do redis.call('SET', 'other:' .. i, i) end return 1";
    redis_cmd(&redis, &["EVAL", FILL, "0"]);
    redis_cmd(
        &redis,
        &[
            "HSET",
            "tenant:t",
            "id",
            "t",
            "created_at",
            "2024-01-02T03:04:05Z",
        ],
    );
    let (_, first): (u64, Vec<String>) =
        redis::from_redis_value(redis_cmd(&redis, &["SCAN", "0", "COUNT", "1"])).unwrap();
    assert!(
        !first.contains(&"tenant:t".to_owned()),
        "the test needs another key"
    );
    let project = Project::outpost_schema().redis(&redis);
    let plan = project.migrate("plan --format json").ok().json();
    assert_eq!(plan["steps"][0]["keys"]["to_do"], 1, "{plan}");
    project.apply();
    assert!(application_keys(&redis).contains_key("tenant:{t}:tenant"));
}

#[test]
fn too_little_memory_is_refused_before_the_first_write_unless_told_otherwise() {
    let redis = fresh_redis_with(|redis| redis.directive("maxmemory-policy noeviction"));
    const FILL: &str =
        "for i = 1, 2000 do redis.call('SET', 'a:' .. i, string.rep('x', 2000)) end return 1";
    redis_cmd(&redis, &["EVAL", FILL, "0"]);
    let used: u64 = crate::support::redis_info(&redis, "used_memory")
        .parse()
        .unwrap();
    let limit = (used + (2 << 20)).to_string();
    redis_cmd(&redis, &["CONFIG", "SET", "maxmemory", &limit]);
    let project = project(&redis, COPY);
    project.migrate("plan").ok().says("maxmemory leaves");
    let copies = || -> usize {
        let keys = redis_content_names(&redis);
        keys.iter().filter(|key| key.starts_with("b:")).count()
    };
    let refused = project.migrate("apply --yes").exits(1);
    refused.says("maxmemory leaves").says("--ignore-memory");
    // Under a policy that evicts any key it never begins: that would cost the very sources.
    let policy = |name: &str| {
        redis_cmd(&redis, &["CONFIG", "SET", "maxmemory-policy", name]);
    };
    policy("allkeys-lru");
    let refused = project.migrate("apply --yes --ignore-memory").exits(1);
    refused.says("would evict the very keys");
    assert_eq!(copies(), 0);
    assert_eq!(
        redis_content_names(&redis)
            .iter()
            .filter(|key| key.starts_with("a:"))
            .count(),
        2000
    );
    // Told otherwise, it stops where the server does, and goes on where there is more.
    policy("noeviction");
    let stopped = project.migrate("apply --yes --ignore-memory").exits(1);
    stopped.says("OOM");
    assert!((1..2000).contains(&copies()), "{}", copies());
    redis_cmd(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    project.apply();
    assert_eq!(copies(), 2000);
}
