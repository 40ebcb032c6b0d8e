//! The nodes of a cluster, and Sentinels, that name what no node is and send to where nothing is.

use std::sync::LazyLock;
use std::time::Duration;

use outpost::store::StoreError;

use crate::campaign::Target;
use crate::servers::{Fake, IMPATIENT, Protocol, case, config, read, redis_store, shown};

static NODES: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Redis));

/// Some tries come with pauses, which are hurried through but where all is as recorded.
fn read_nodes(
    bytes: &[u8],
    patience: Option<Duration>,
    address: fn(u16) -> String,
) -> Vec<StoreError> {
    read(bytes, patience, patience.is_some(), &NODES, |port| {
        Box::new(redis_store(&config(port, &address(port))))
    })
}

fn read_cluster(bytes: &[u8], patience: Option<Duration>) -> Vec<StoreError> {
    read_nodes(bytes, patience, |port| {
        format!("url = [\"redis://127.0.0.1:{port}/0\"]\ncluster = true")
    })
}

fn read_sentinel(bytes: &[u8], patience: Option<Duration>) -> Vec<StoreError> {
    read_nodes(bytes, patience, |port| {
        format!("url = \"redis://orders/0\"\nsentinels = [\"redis://127.0.0.1:{port}\"]")
    })
}

const WORDS: &[&str] = &[
    "\n--8<--\n",
    "\r\n",
    "*2\r\n",
    "*4\r\n:0\r\n:16383\r\n",
    "$0\r\n\r\n",
    ":61616\r\n",
    ":65536\r\n",
    ":-1\r\n",
    "*-1\r\n",
    "-MOVED 3999 :61616\r\n",
    "-MOVED 99999 ?:0\r\n",
    "-ASK 3999 :61616\r\n",
    "-ASK\r\n",
    "-TRYAGAIN x\r\n",
    "-CLUSTERDOWN x\r\n",
    "-READONLY x\r\n",
];

const CLUSTER_REPLIES: Target = Target {
    name: "cluster_replies",
    longest: 200_000,
    costs: 100,
    endings: &[],
    words: WORDS,
    read: |bytes| shown(&read_cluster(bytes, Some(IMPATIENT))),
};

const SENTINEL_REPLIES: Target = Target {
    name: "sentinel_replies",
    longest: 200_000,
    costs: 100,
    endings: &[],
    words: WORDS,
    read: |bytes| shown(&read_sentinel(bytes, Some(IMPATIENT))),
};

#[test]
fn no_answer_of_a_node_of_a_cluster_breaks_its_reader() {
    let recorded = case(CLUSTER_REPLIES.name, "observe_and_history");
    assert_eq!(read_cluster(&recorded, None), []);
    crate::run(&CLUSTER_REPLIES, &crate::seeds(&CLUSTER_REPLIES));
}

#[test]
fn no_answer_of_a_sentinel_breaks_its_reader() {
    let recorded = case(SENTINEL_REPLIES.name, "observe_and_history");
    assert_eq!(read_sentinel(&recorded, None), []);
    crate::run(&SENTINEL_REPLIES, &crate::seeds(&SENTINEL_REPLIES));
}

/// What is wrong is said, however often a server sends on.
#[test]
fn nodes_that_make_no_sense_are_named() {
    type Read = fn(&[u8], Option<Duration>) -> Vec<StoreError>;
    let cluster: (Read, &str) = (read_cluster, CLUSTER_REPLIES.name);
    let sentinel: (Read, &str) = (read_sentinel, SENTINEL_REPLIES.name);
    let mut wrong = Vec::new();
    for ((read, folder), file, words) in [
        (cluster, "moved_to_itself_for_ever", "Moved: 3999"),
        (cluster, "moved_to_no_address", "Moved: 99999"),
        (cluster, "asked_at_no_address", "ASK -1"),
        (cluster, "slots_beyond_the_last", "CLUSTERDOWN"),
        (cluster, "slots_from_last_to_first", "CLUSTERDOWN"),
        (cluster, "slots_of_nobody", "CLUSTERDOWN"),
        (
            cluster,
            "slots_that_are_text",
            "unexpected answer while asking for the cluster's slots",
        ),
        (sentinel, "no_such_master", "knows no master \"orders\""),
        (
            sentinel,
            "port_beyond_the_last",
            "unexpected answer while asking the Sentinels",
        ),
        (
            sentinel,
            "three_words",
            "unexpected answer while asking the Sentinels",
        ),
        (
            sentinel,
            "number",
            "unexpected answer while asking the Sentinels",
        ),
    ] {
        let errors = read(&case(folder, file), Some(IMPATIENT));
        let said = errors.first().map(ToString::to_string).unwrap_or_default();
        if !said.contains(words) {
            wrong.push(format!("{folder}/{file}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
