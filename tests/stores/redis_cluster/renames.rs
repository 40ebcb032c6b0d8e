//! Renamings whose old and new names lie in different slots.

use std::collections::BTreeMap;

use crate::cluster::RedisCluster;
use crate::keyspace::Entry;
use crate::support::project::Project;

/// A moment to live until, milliseconds.
const UNTIL: &str = "33000000000123";

fn project(cluster: &RedisCluster) -> Project {
    Project::empty()
        .redis_cluster(&cluster.urls())
        .file(
            "schema/redis/0001_it.toml",
            "scope = \"a:<x..>\"\n[[step]]\nrename = \"a:{<x>}\"\nto = \"b:<x>\"\n",
        )
        .file(
            "schema/versions.toml",
            "[[version]]\nname = \"none\"\nadd = []\n",
        )
}

/// The keys of one form, by what both forms have in common.
fn held(cluster: &RedisCluster, form: char) -> BTreeMap<String, Entry> {
    let keys = cluster.keyspace().into_iter();
    keys.filter_map(|(key, entry)| {
        let name = key.strip_prefix(form)?.strip_prefix(':')?;
        Some((name.trim_matches(['{', '}']).to_owned(), entry))
    })
    .collect()
}

/// The tool's keys that must not outlive a renaming.
fn left_behind(cluster: &RedisCluster) -> Vec<String> {
    let keys = cluster.keyspace().into_keys();
    keys.filter(|key| {
        ["outpost:mov", "outpost:part:", "{outpost}:moves:"]
            .iter()
            .any(|own| key.starts_with(own))
    })
    .collect()
}

/// Commands that make a hash of so many fields.
fn hash(name: &str, fields: usize) -> Vec<Vec<String>> {
    let fields: Vec<usize> = (0..fields).collect();
    let part = |fields: &[usize]| {
        let pairs = fields.iter().map(|n| [format!("f{n}"), "old".to_owned()]);
        ["HSET".to_owned(), format!("a:{{{name}}}")]
            .into_iter()
            .chain(pairs.flatten())
            .collect()
    };
    fields.chunks(1000).map(part).collect()
}

/// More elements and bytes than are moved in one go, of every type, and less.
fn values() -> Vec<Vec<String>> {
    let mut commands = hash("large-hash", 2500);
    let mut add = |word: &str, name: &str, rest: Vec<String>| {
        let head = [word.to_owned(), format!("a:{{{name}}}")];
        commands.push(head.into_iter().chain(rest).collect());
    };
    let many = || (0..2500).map(|n| format!("m{n}"));
    add("RPUSH", "large-list", many().collect());
    add("SADD", "large-set", many().collect());
    let scored = many()
        .enumerate()
        .flat_map(|(n, member)| [format!("{}.25", n % 100), member]);
    add("ZADD", "large-zset", scored.collect());
    add("SET", "large-string", vec!["text".repeat(300_000)]);
    add("RPUSH", "list", vec!["y".to_owned(), "x".to_owned()]);
    add("SADD", "set", vec!["y".to_owned(), "x".to_owned()]);
    add("SET", "string", vec!["\u{1b}\n\0 ü".to_owned()]);
    let entry = ["1-1", "f", "v"].map(str::to_owned);
    add("XADD", "stream", entry.to_vec());
    for n in 0..150 {
        add(
            "HSET",
            &format!("h{n}"),
            vec!["f".to_owned(), n.to_string()],
        );
        if n % 3 == 0 {
            add("PEXPIREAT", &format!("h{n}"), vec![UNTIL.to_owned()]);
        }
    }
    for name in ["large-hash", "large-string", "stream"] {
        add("PEXPIREAT", name, vec![UNTIL.to_owned()]);
    }
    commands
}

#[test]
fn u24_u25_u28_keys_of_every_type_and_size_are_renamed_into_other_slots_and_back() {
    let cluster = RedisCluster::start();
    cluster.load(values());
    let before = held(&cluster, 'a');
    let project = project(&cluster);
    // A name that is taken is never overwritten, in whatever slot.
    cluster.cmd(&["SET", "b:h7", "taken"]);
    for command in ["plan", "apply --yes"] {
        let taken = "1 key has its target in place already: a:{h7}";
        project.migrate(command).refuses(1, &[taken]);
    }
    assert_eq!(held(&cluster, 'a')["h7"], before["h7"]);
    cluster.cmd(&["DEL", "b:h7"]);

    project.apply();
    assert_eq!(held(&cluster, 'b'), before);
    assert_eq!(held(&cluster, 'a'), BTreeMap::new());
    assert_eq!(left_behind(&cluster), Vec::<String>::new());
    project.migrate("verify").ok();

    project.migrate("apply --yes --to none").ok();
    assert_eq!(held(&cluster, 'a'), before);
    assert_eq!(held(&cluster, 'b'), BTreeMap::new());
    assert_eq!(left_behind(&cluster), Vec::<String>::new());
}

/// Names whose old form is on the first node, and whose new one is not.
fn across(cluster: &RedisCluster, count: usize) -> Vec<String> {
    (0..)
        .map(|n| format!("k{n}"))
        .filter(|name| {
            cluster.node_of(&format!("a:{{{name}}}")) == 0
                && cluster.node_of(&format!("b:{name}")) != 0
        })
        .take(count)
        .collect()
}

/// Stops an apply between the new name, which is on another node, and the end of the old one, which needs a right
/// that the first node does not give.
fn stopped_between(cluster: &RedisCluster, project: &Project) {
    cluster.on(0, &["ACL", "SETUSER", "default", "-unlink"]);
    project
        .migrate("apply --yes")
        .exits(1)
        .says("no permissions to run the 'unlink' command");
    cluster.on(0, &["ACL", "SETUSER", "default", "+unlink"]);
}

#[test]
fn c15_u30_what_was_renamed_half_way_is_settled_by_what_became_of_both_names_meanwhile() {
    let cluster = RedisCluster::start();
    let names = across(&cluster, 5);
    let [same, source, target, deleted, both] = names.as_slice() else {
        panic!("five names");
    };
    let old = |name: &str| format!("a:{{{name}}}");
    let new = |name: &str| format!("b:{name}");
    let set = |key: String, value: &str| {
        cluster.cmd(&["HSET", &key, "f0", value]);
    };
    let value = |key: String| -> String {
        let value = cluster.cmd(&["HGET", &key, "f0"]);
        redis::from_redis_value(value).unwrap_or_default()
    };
    // Values that move in one go are all half way at once; of those that move in parts, only one at a time.
    let groups: [(usize, Vec<&[String]>); 2] =
        [(1, vec![&names]), (2500, names.chunks(1).collect())];
    for (fields, groups) in groups {
        for group in groups {
            for node in cluster.masters() {
                cluster.on(node, &["FLUSHALL"]);
            }
            cluster.load(group.iter().flat_map(|name| hash(name, fields)));
            let project = project(&cluster);
            stopped_between(&cluster, &project);
            assert_eq!(held(&cluster, 'a').len(), group.len(), "{fields}");
            assert_eq!(held(&cluster, 'b').len(), group.len(), "{fields}");

            let is_half = |name: &String| group.contains(name);
            if is_half(source) {
                set(old(source), "newer");
            }
            if is_half(target) {
                set(new(target), "newer");
            }
            if is_half(deleted) {
                cluster.cmd(&["DEL", &old(deleted)]);
            }
            if is_half(both) {
                set(old(both), "newer");
                set(new(both), "newest");
            }
            // Nobody watched a large value since, so where the two differ somebody has to say which it is.
            let unclear: Vec<&String> = group
                .iter()
                .filter(|name| {
                    *name == both || (fields > 1 && (*name == source || *name == target))
                })
                .collect();
            for name in unclear {
                let taken = format!("1 key has its target in place already: {}", old(name));
                project.migrate("apply --yes").exits(1).says(&taken);
                let obsolete = if name == target { old(name) } else { new(name) };
                cluster.cmd(&["DEL", &obsolete]);
            }
            project.apply();
            assert_eq!(held(&cluster, 'a'), BTreeMap::new(), "{fields}");
            for (name, expected) in [
                (same, "old"),
                (source, "newer"),
                (target, "newer"),
                (both, "newer"),
            ] {
                if is_half(name) {
                    assert_eq!(value(new(name)), expected, "{fields} {name}");
                }
            }
            if is_half(deleted) && fields == 1 {
                assert_eq!(value(new(deleted)), "", "a deleted key came back");
            }
            assert_eq!(left_behind(&cluster), Vec::<String>::new(), "{fields}");
            project.migrate("verify").ok();
        }
    }
}
