//! Migrations that cross the slots of a cluster, while slots move and masters die.

use std::collections::BTreeSet;

use super::legacy::{ended, legacy, migrated, new_form, project, slowly_applied};
use crate::cluster::RedisCluster;
use crate::support;
use crate::support::project::Project;

#[test]
fn u28_the_three_migrations_cross_the_slots_of_a_cluster_and_are_cleaned_up() {
    let cluster = RedisCluster::start();
    cluster.load(legacy(200));
    let project = project(&cluster);
    // A sample of all masters runs through the same steps on a single server.
    let plan = project.migrate("plan -out plan.bin --rehearse --format json");
    let plan = plan.ok().json();
    assert_eq!(plan["rehearsal"][0]["origin"], "sampled", "{plan}");
    for step in plan["steps"].as_array().unwrap() {
        let seen = &step["rehearsal"];
        assert_eq!(
            (&seen["outcome"], &seen["way_back"]["kind"]),
            (&"done".into(), &"exact".into()),
            "{step}"
        );
        assert!(seen["keys"].as_u64() > Some(0), "{step}");
    }
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

/// A copy that is gone since a revert took it back is not one that the application deleted: its source stays.
#[test]
fn u22_c15_a_revert_that_stopped_half_way_forgets_the_copies_that_it_took_back_from_other_slots() {
    let cluster = RedisCluster::start();
    let names: Vec<String> = (0..30).map(|n| format!("k{n}")).collect();
    let set = |name: &String| ["SET".to_owned(), format!("a:{{{name}}}"), "v".to_owned()];
    cluster.load(names.iter().map(|name| set(name).to_vec()));
    let id = "redis/0001_it";
    let project = Project::empty()
        .redis_cluster(&cluster.urls())
        .file(
            "schema/redis/0001_it.toml",
            "scope = \"a:<x..>\"\n[[step]]\ncopy = \"a:{<x>}\"\nto = \"b:<x>\"\n",
        )
        .file(
            "schema/versions.toml",
            "[[version]]\nname = \"none\"\nadd = []\n",
        );
    project.apply();
    cluster.on(0, &["ACL", "SETUSER", "default", "-unlink"]);
    project
        .migrate("apply --yes --to none")
        .exits(1)
        .says("no permissions to run the 'unlink' command");
    cluster.on(0, &["ACL", "SETUSER", "default", "+unlink"]);
    let held = |form: &str| -> BTreeSet<String> {
        let keys = cluster.keyspace().into_keys();
        keys.filter_map(|key| Some(key.strip_prefix(form)?.trim_matches(['{', '}']).to_owned()))
            .collect()
    };
    let copies = held("b:");
    assert!((1..30).contains(&copies.len()), "{copies:?}");

    project
        .migrate(&format!("resolve {id} --applied --yes"))
        .ok();
    project.migrate("verify").exits(6).says("missing: a:{k");
    project.migrate("cleanup --yes").ok();
    assert_eq!(held("b:"), copies);
    let kept: BTreeSet<String> = names.into_iter().filter(|n| !copies.contains(n)).collect();
    assert_eq!(held("a:"), kept);
}
