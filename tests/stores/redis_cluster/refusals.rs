//! What no cluster carries out is refused before anything is written.

use crate::cluster::RedisCluster;
use crate::support::project::Project;

#[test]
fn u28_a_command_over_several_slots_is_named_by_the_plan_and_nothing_is_written() {
    let cluster = RedisCluster::start();
    cluster.load([vec!["SET".to_owned(), "a:1".to_owned(), "v".to_owned()]]);
    let before = cluster.keyspace();
    let project = |command: &str, check: &str| {
        let text = format!(
            "scope = 'a:<x>'\n[[step]]\nrename = 'a:<x>'\nto = 'b:<x>'\n[[step]]\ncommand = {command}\ncheck = {check}\n"
        );
        Project::empty()
            .redis_cluster(&cluster.urls())
            .file("schema/redis/0001_it.toml", &text)
    };
    let set = "['MSET', 'x', '1', 'y\\u001b', '2']".replace('\'', "\"");
    for (command, check) in [
        (set.as_str(), "['GET', 'x']"),
        ("['SET', 'x', '1']", "['EXISTS', 'x', 'y']"),
    ] {
        let project = project(command, check);
        for arguments in ["plan", "apply --yes"] {
            let ended = project.migrate(arguments).exits(1);
            let ended = ended.says("step 2").says("CROSSSLOT").says("x and y");
            assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
        }
        assert_eq!(cluster.keyspace(), before);
    }
    // One hash tag, and it works.
    let together = project(
        "['MSET', '{i}x', '1', '{i}y', '2']",
        "['EXISTS', '{i}x', '{i}y']",
    );
    together.apply();
    assert!(cluster.keyspace().contains_key("{i}y"));
}
