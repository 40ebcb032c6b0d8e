//! What docs/permissions.md says of the rights on a cluster.

use crate::cluster::RedisCluster;
use crate::support::project::{Ended, Project};

const PERMISSIONS: &str = include_str!("../../../docs/permissions.md");

/// The documented rules of the user that applies, without its keys.
fn documented() -> Vec<String> {
    let line = PERMISSIONS
        .lines()
        .find(|line| line.starts_with("ACL SETUSER outpost_writer"))
        .unwrap();
    let rules = line.split(' ').filter(|word| word.starts_with('+'));
    rules.map(str::to_owned).collect()
}

/// The rights in the paragraph or list entry that begins with these words.
fn documented_beside(words: &str) -> Vec<String> {
    let (_, rest) = PERMISSIONS.split_once(words).unwrap();
    let entry = rest
        .split("\n- ")
        .next()
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let code = entry.split('`').skip(1).step_by(2);
    code.filter(|code| code.starts_with(['+', '~']))
        .map(str::to_owned)
        .collect()
}

/// A copy and a renaming, small and large, and a command; all to other slots.
fn project(cluster: &RedisCluster, user: &str) -> Project {
    Project::empty()
        .redis_cluster(&cluster.urls_of(user, "w0rd-of-few-rights"))
        .file(
            "schema/redis/0001_copy.toml",
            "scope = 'c:<id>'\n[[step]]\ncopy = 'c:<id>'\nto = 'd:<id>'\n[[step]]\ncommand = ['SET', 'd:index', '1']\ncheck = ['GET', 'd:index']\n",
        )
        .file(
            "schema/redis/0002_rename.toml",
            "scope = 'e:<id>'\n[[step]]\nrename = 'e:<id>'\nto = 'f:<id>'\n",
        )
}

const COMMANDS: [&str; 4] = ["plan", "apply --yes", "verify", "cleanup --yes"];

fn all_of(project: &Project) -> Result<(), Ended> {
    for command in COMMANDS {
        let ended = project.migrate(command);
        if ended.code != Some(0) {
            return Err(ended);
        }
    }
    Ok(())
}

#[test]
fn a_user_of_a_cluster_applies_with_the_documented_rights_and_no_fewer() {
    let cluster = RedisCluster::start();
    let fields: Vec<String> = (0..2500)
        .flat_map(|n| [format!("f{n}"), "v".to_owned()])
        .collect();
    cluster.load(["c", "e"].into_iter().flat_map(|form| {
        let large = ["HSET".to_owned(), format!("{form}:large")];
        let small = [
            "HSET".to_owned(),
            format!("{form}:small"),
            "f".to_owned(),
            "v".to_owned(),
        ];
        [
            large.into_iter().chain(fields.clone()).collect(),
            small.to_vec(),
        ]
    }));
    let mut rights = documented();
    let (of_clusters, own): (Vec<String>, Vec<String>) =
        documented_beside("- On a cluster both users need")
            .into_iter()
            .partition(|rule| rule.starts_with('+'));
    assert_eq!(
        (of_clusters.len(), own.len()),
        (3, 1),
        "{of_clusters:?} {own:?}"
    );
    rights.extend(of_clusters.clone());
    let keys = ["~c:*", "~d:*", "~e:*", "~f:*"].map(str::to_owned);
    let own = [own, documented_beside("To narrow `~*`")].concat();
    let rules = |rights: &[String]| {
        let own = own.iter().map(|pattern| pattern.replace("${prefix}", ""));
        let rules: Vec<String> = own.chain(keys.clone()).chain(rights.to_vec()).collect();
        rules.join(" ")
    };
    // With fewer it stops and says what is missing. Nothing is lost by that: the last one goes on.
    for missing in &of_clusters {
        let fewer: Vec<String> = rights
            .iter()
            .filter(|right| *right != missing)
            .cloned()
            .collect();
        cluster.add_user("fewer", "w0rd-of-few-rights", &rules(&fewer));
        let ended = all_of(&project(&cluster, "fewer")).expect_err(missing);
        ended.exits(1).says("permission denied");
    }
    cluster.add_user("few", "w0rd-of-few-rights", &rules(&rights));
    all_of(&project(&cluster, "few")).unwrap();
    let keys = cluster.keyspace();
    let left: Vec<&String> = keys
        .keys()
        .filter(|key| key.starts_with(['c', 'e']))
        .collect();
    assert_eq!(left, Vec::<&String>::new());
    for key in ["d:small", "d:large", "f:small", "f:large", "d:index"] {
        assert!(keys.contains_key(key), "{key}");
    }
}
