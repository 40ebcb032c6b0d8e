//! Runs beside one another, and beside an application that works on the very keys.

use std::collections::BTreeMap;
use std::process::Child;

use super::legacy::{legacy, migrated, new_form, project};
use crate::cluster::RedisCluster;
use crate::support::project::Ended;

#[test]
fn u13_of_many_runs_of_one_plan_on_a_cluster_one_applies_and_the_others_wait() {
    let cluster = RedisCluster::start();
    cluster.load(legacy(150));
    let project = project(&cluster);
    project.migrate("plan -out plan.bin").ok();
    let runs: Vec<Child> = (0..6)
        .map(|_| project.background("apply plan.bin --lock-wait 60s"))
        .collect();
    let ended: Vec<Ended> = runs.into_iter().map(|run| project.wait(run).ok()).collect();
    let applied = ended
        .iter()
        .filter(|run| run.stdout.contains("3 steps done"));
    assert_eq!(applied.count(), 1, "{ended:#?}");
    assert_eq!(new_form(&cluster), migrated(150));
    project.migrate("verify").ok();
    project.migrate("unlock").ok().says("not locked");
}

/// An application that writes both forms, the old one first: as one does while it is moved from one to the
/// other. What it wrote last of each tenant is what must be there in the end.
struct Application {
    nodes: Vec<redis::Connection>,
    /// The node of each slot.
    owners: Vec<usize>,
    tenants: BTreeMap<usize, Option<Tenant>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Tenant {
    metadata: String,
    expires: Option<i64>,
}

/// Sets a field of a key that is there.
const UPDATE: &str = "return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HSET', KEYS[1], 'metadata', ARGV[1])";
/// Far away, and told apart to the last digit.
const UNTIL: i64 = 33_000_000_000_123;

impl Application {
    fn new(cluster: &RedisCluster, tenants: usize) -> Self {
        let connect = |node: &outpost::sandbox::RedisServer| {
            redis::Client::open(node.url())
                .and_then(|client| client.get_connection())
                .unwrap()
        };
        let as_seeded = |n: usize| {
            let tenant = Tenant {
                metadata: "{}".to_owned(),
                expires: None,
            };
            (n, Some(tenant))
        };
        Self {
            nodes: cluster.nodes().iter().map(connect).collect(),
            owners: (0..crate::cluster::SLOTS)
                .map(|slot| {
                    usize::from(slot) * cluster.nodes().len() / usize::from(crate::cluster::SLOTS)
                })
                .collect(),
            tenants: (0..tenants).map(as_seeded).collect(),
        }
    }

    fn send(&mut self, key: &str, command: &redis::Cmd) {
        let node = self.owners[usize::from(RedisCluster::slot(key))];
        let () = command.query(&mut self.nodes[node]).unwrap();
    }

    /// The `n`th thing that it does, in an order that is not SCAN's.
    fn work(&mut self, n: usize) {
        let tenant = n.wrapping_mul(2_654_435_761) % self.tenants.len();
        let keys = [
            format!("tenant:t{tenant}"),
            format!("tenant:{{t{tenant}}}:tenant"),
        ];
        let known = self.tenants[&tenant].clone();
        let now = match (n % 7, known) {
            (0, _) => {
                for key in &keys {
                    self.send(key, redis::cmd("UNLINK").arg(key));
                }
                None
            }
            (1, Some(tenant)) => {
                let expires = UNTIL + n as i64;
                for key in &keys {
                    self.send(key, redis::cmd("PEXPIREAT").arg(key).arg(expires));
                }
                let expires = Some(expires);
                Some(Tenant { expires, ..tenant })
            }
            (2, None) => {
                let metadata = format!("{{\"again\":{n}}}");
                let times = [["2024-01-02T03:04:05.678Z"; 2], ["1704164645678"; 2]];
                for (key, times) in keys.iter().zip(times) {
                    let mut command = redis::cmd("HSET");
                    command.arg(key).arg("id").arg(format!("t{tenant}"));
                    command.arg("metadata").arg(&metadata);
                    command.arg("created_at").arg(times[0]);
                    command.arg("updated_at").arg(times[1]);
                    command.arg("entity").arg("tenant");
                    self.send(key, &command);
                }
                let expires = None;
                Some(Tenant { metadata, expires })
            }
            (_, Some(tenant)) => {
                let metadata = format!("{{\"written\":{n}}}");
                for key in &keys {
                    let mut command = redis::cmd("EVAL");
                    command.arg(UPDATE).arg(1).arg(key).arg(&metadata);
                    self.send(key, &command);
                }
                Some(Tenant { metadata, ..tenant })
            }
            (_, None) => None,
        };
        self.tenants.insert(tenant, now);
    }
}

#[test]
fn u30_an_application_that_works_on_a_cluster_meanwhile_loses_nothing_and_gets_nothing_back() {
    const TENANTS: usize = 1200;
    let cluster = RedisCluster::start();
    cluster.load(legacy(TENANTS).into_iter().filter(|command| {
        // Tenants alone: what the application does to them is all that is to be seen.
        command[1].matches(':').count() == 1
    }));
    let project = project(&cluster);
    project.migrate("plan -out plan.bin").ok();
    let mut apply = project.background("apply plan.bin --max-keys-per-second 2500");
    let mut application = Application::new(&cluster, TENANTS);
    let mut done = 0;
    while apply.try_wait().unwrap().is_none() {
        application.work(done);
        done += 1;
    }
    project.wait(apply).ok();
    assert!(done > TENANTS, "only {done} writes met the migration");

    let found = cluster.keyspace();
    for (n, expected) in &application.tenants {
        let key = format!("tenant:{{t{n}}}:tenant");
        let (Some(entry), Some(expected)) = (found.get(&key), expected) else {
            let came_back = found.get(&key);
            assert!(
                expected.is_none() && came_back.is_none(),
                "{key}: {expected:?}, {came_back:?}"
            );
            continue;
        };
        let metadata = format!(
            "\"metadata\": {:?}",
            expected.metadata.escape_default().to_string()
        );
        for part in [
            metadata.as_str(),
            "\"entity\": \"tenant\"",
            "\"created_at\": \"1704164",
        ] {
            assert!(
                entry.value.contains(part),
                "{key}: no {part} in {}",
                entry.value
            );
        }
        if entry.expires.is_none_or(|at| at > 1) {
            assert_eq!(entry.expires, expected.expires, "{key}");
        }
    }
    project.migrate("verify").ok();
}
