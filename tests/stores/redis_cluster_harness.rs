//! The tests' own clusters and sentinels do what the tests of the tool rely on.

use crate::cluster::RedisCluster;
use crate::sentinel::RedisSentinel;
use crate::support::{redis_cmd, redis_text};

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn keys_lie_on_the_node_of_their_slot_and_move_with_it() {
    let cluster = RedisCluster::start();
    for key in ["foo", "{a}b", "x{tag}y", "{}whole", "{", "ü"] {
        let slot: u16 =
            redis::from_redis_value(cluster.on(0, &["CLUSTER", "KEYSLOT", key])).unwrap();
        assert_eq!(RedisCluster::slot(key), slot, "{key}");
    }
    cluster.load((0..300).map(|n| {
        let (key, value) = (format!("{{t}}:{n}"), n.to_string());
        command(&["HSET", &key, "b", &value, "a", "1"])
    }));
    cluster.load((0..300).map(|n| command(&["SET", &format!("k{n}"), "v", "PX", "600000"])));
    let before = cluster.keyspace();
    assert_eq!(before.len(), 600);
    assert_eq!(before["{t}:7"].value, r#"{"a": "1", "b": "7"}"#);
    assert!(before["k1"].expires.is_some() && before["{t}:1"].expires.is_none());

    let slot = RedisCluster::slot("{t}");
    let from = cluster.node_of_slot(slot);
    let to = (from + 1) % 3;
    let moving = cluster.begin_move(slot, to);
    assert_eq!(cluster.move_keys(moving, 50), 50);
    assert_eq!(cluster.node_of_slot(slot), from, "half moved is not moved");
    assert_eq!(cluster.keyspace(), before);
    assert_eq!(cluster.move_keys(moving, usize::MAX), 250);
    cluster.finish_move(moving);
    assert_eq!(cluster.node_of("{t}:1"), to);
    cluster.move_slot(slot, from);
    assert_eq!(cluster.keyspace(), before);
    assert_eq!(cluster.node_of_slot(slot), from);

    cluster.uncover_slot(slot);
    let error = cluster.try_on(from, &["GET", "{t}:1"]).unwrap_err();
    assert_eq!(error.code(), Some("CLUSTERDOWN"), "{error}");
    cluster.cover_slot(slot, from);
}

#[test]
fn a_replica_takes_over_from_a_killed_master() {
    let mut cluster = RedisCluster::builder().replicas().start();
    cluster.load((0..100).map(|n| command(&["SET", &format!("k{n}"), "v"])));
    let before = cluster.keyspace();
    let new = cluster.failover(0);
    assert_eq!(new, 3);
    assert_eq!(cluster.keyspace(), before);
    cluster.kill_master(1);
    cluster.wait_for_failover();
    assert_eq!(cluster.masters(), [2, 3, 4]);
    cluster.restart(1);
    cluster.wait_until_ok();
    cluster.add_user("reader", "only-reads", "~* +@read");
    let (url, key) = (&cluster.urls_of("reader", "only-reads")[2], {
        let mut keys = before.keys();
        keys.find(|key| cluster.node_of(key) == 2).unwrap()
    });
    crate::support::try_redis_cmd(url, &["GET", key]).unwrap();
    let refused = crate::support::try_redis_cmd(url, &["SET", key, "v"]).unwrap_err();
    assert_eq!(refused.code(), Some("NOPERM"), "{refused}");
}

#[test]
fn sentinels_make_the_replica_master_on_demand_and_after_a_kill() {
    let mut sentinel = RedisSentinel::start();
    assert_eq!(sentinel.master(), 0);
    redis_cmd(sentinel.server(0), &["SET", "k", "v"]);
    sentinel.wait_until_replicated();
    sentinel.failover();
    assert_eq!(sentinel.master(), 1);
    sentinel.kill_master();
    sentinel.wait_for_failover(1);
    assert_eq!(sentinel.master(), 0);
    assert_eq!(redis_text(sentinel.server(0), &["GET", "k"]), "v");
}
