//! The Redis store against a real server: nothing is lost, nothing is brought back, nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outpost::model::checksum::Checksum;
use outpost::model::config::{Config, PlanConfig};
use outpost::model::event::{Event, Events, NoEvents};
use outpost::model::id::StoreKind;
use outpost::model::lease::Holder;
use outpost::model::migration::{Content, Migration, RedisMigration};
use outpost::model::plan::{
    Action, Decision, Evidence, LaterContent, Plan, PlanDigest, Purpose, RedisContent, Step,
    StepContent, StepEvidence,
};
use outpost::model::redis::convert::{Conversion, Format, Outcome};
use outpost::model::redis::declaration::Declaration;
use outpost::model::report::Done;
use outpost::model::state::{Doing, LedgerStatus, MarkerStatus};
use outpost::model::verification::{CheckOutcome, Verification};
use outpost::sandbox::RedisServer;
use outpost::store::redis::{Limits, RedisStore};
use outpost::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};
use tokio_util::sync::CancellationToken;

use crate::support::fake_redis::{Silence, silent_redis};
use crate::support::{fresh_redis, fresh_redis_with, redis_cmd, redis_text, try_redis_cmd};

const HASH_TAGS: &str = r#"
compat_name = "001_hash_tags"
scope = "tenant:<rest..>"
ignore = ["tenant:{<id>}:<rest..>"]

[[step]]
copy = "tenant:<id>"
to = "tenant:{<id>}:tenant"
type = "hash"
fields = { id = "<id>" }

[[step]]
copy = "tenant:<id>:destinations"
to = "tenant:{<id>}:destinations"
type = "hash"

[[step]]
copy = "tenant:<id>:destination:<dest..>"
to = "tenant:{<id>}:destination:<dest..>"
type = "hash"
"#;

const TIMESTAMPS: &str = r#"
compat_name = "002_timestamps"
scope = "tenant:{<id>}:<rest..>"
ignore = ["tenant:{<id>}:destinations"]

[[step]]
convert = ["created_at", "updated_at"]
in = "tenant:{<id>}:tenant"
from_format = "rfc3339"
to_format = "unix_ms"

[[step]]
convert = ["created_at", "updated_at"]
in = "tenant:{<id>}:destination:<dest..>"
from_format = "rfc3339"
to_format = "unix_ms"
"#;

const ENTITY: &str = r#"
compat_name = "003_entity"
scope = "tenant:{<id>}:<rest..>"
ignore = ["tenant:{<id>}:destinations", "tenant:{<id>}:destination:<dest..>"]

[[step]]
set = { entity = "tenant" }
in = "tenant:{<id>}:tenant"
"#;

/// A deployment on a server, as the tool sees it.
struct Bench {
    server: RedisServer,
    store: RedisStore,
    config: PlanConfig,
}

impl Bench {
    fn new() -> Self {
        Self::on(fresh_redis(), "")
    }

    fn on(server: RedisServer, deployment_id: &str) -> Self {
        let (store, config) = connect(server.url(), deployment_id);
        Self {
            server,
            store,
            config,
        }
    }

    fn cmd(&self, words: &[&str]) -> redis::Value {
        redis_cmd(&self.server, words)
    }

    fn text(&self, words: &[&str]) -> String {
        redis_text(&self.server, words)
    }

    fn hash(&self, key: &str) -> BTreeMap<String, String> {
        redis::from_redis_value(self.cmd(&["HGETALL", key])).unwrap()
    }

    /// The application's keys, without the tool's own.
    fn keys(&self) -> BTreeSet<String> {
        let all: BTreeSet<String> = redis::from_redis_value(self.cmd(&["KEYS", "*"])).unwrap();
        all.into_iter().filter(|k| !k.contains("outpost")).collect()
    }

    fn number(&self, words: &[&str]) -> i64 {
        redis::from_redis_value(self.cmd(words)).unwrap()
    }

    async fn lease(&self) -> Lease {
        self.store.acquire("run-1", &holder()).await.unwrap()
    }

    /// Takes the lease, runs one step of a plan of its own and gives the lease back.
    async fn run(&self, step: Step) -> Result<Done, StoreError> {
        let lease = self.lease().await;
        let result = self
            .run_under(&lease, &step, &NoEvents, &CancellationToken::new())
            .await;
        self.store.release(&lease).await.unwrap();
        result
    }

    async fn run_under(
        &self,
        lease: &Lease,
        step: &Step,
        events: &dyn Events,
        cancel: &CancellationToken,
    ) -> Result<Done, StoreError> {
        let plan = plan(&self.config, step);
        let run = Run {
            lease,
            plan: &plan,
            events,
            cancel,
        };
        self.store.run(step, &run).await
    }

    async fn apply(&self, name: &str, text: &str) -> Result<Done, StoreError> {
        self.run(step(name, text, Action::Apply)).await
    }

    async fn estimate(&self, name: &str, text: &str) -> Result<StepEvidence, StoreError> {
        let step = step(name, text, Action::Apply);
        let evidence = self.store.estimate(&[&step], &self.config).await;
        evidence.map(|mut each| each.remove(0))
    }

    async fn verify(&self, name: &str, text: &str) -> Verification {
        self.verify_before(name, text, &[]).await
    }

    /// Verifies a migration that these came after.
    async fn verify_before(&self, name: &str, text: &str, later: &[(&str, &str)]) -> Verification {
        let later: Vec<Migration> = later
            .iter()
            .map(|(name, text)| migration(name, text, &self.config))
            .collect();
        let later: Vec<&Migration> = later.iter().collect();
        let migration = migration(name, text, &self.config);
        let found = self.store.verify(&migration, &later, &NoEvents).await;
        found.unwrap()
    }

    async fn status(&self, name: &str) -> Option<LedgerStatus> {
        let state = self.store.observe(&Observe::default()).await.unwrap();
        let id = format!("redis/{name}").parse().unwrap();
        state.ledger.get(&id).map(|entry| entry.status.clone())
    }
}

fn connect(url: &str, deployment_id: &str) -> (RedisStore, PlanConfig) {
    let text = format!(
        "[schema]\nversion = \"latest\"\n[redis]\nurl = \"${{REDIS_URL}}\"\ndeployment_id = \"{deployment_id}\"\n\
         [compat]\noutpost_redis = true\n"
    );
    let text = text.replace("deployment_id = \"\"\n", "");
    let env = |name: &str| (name == "REDIS_URL").then(|| url.to_owned());
    let config = Config::parse("outpost.toml", &text, &env).unwrap();
    let plan = config.plan_relevant();
    let store = RedisStore::new(&config.redis.unwrap(), &plan, Path::new("/")).unwrap();
    (store, plan)
}

fn holder() -> Holder {
    Holder {
        user: "u".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        plan: "00".to_owned(),
        signer: None,
    }
}

fn step(name: &str, text: &str, action: Action) -> Step {
    Step {
        id: format!("redis/{name}").parse().unwrap(),
        action,
        description: None,
        checksum: Checksum::of_content(text),
        after: BTreeSet::new(),
        resumes: false,
        out_of_order: false,
        content: StepContent::Redis(RedisContent {
            path: format!("redis/{name}.toml"),
            text: text.to_owned(),
            allow_lossy: true,
            later: Vec::new(),
        }),
    }
}

fn plan(config: &PlanConfig, step: &Step) -> Plan {
    Plan {
        decision: Decision {
            purpose: Purpose::Migrate,
            version: "latest".to_owned(),
            only: None,
            left_out: Default::default(),
            config: config.clone(),
            numbered: Vec::new(),
            markers: Vec::new(),
            recorded: BTreeMap::new(),
            owned: None,
            steps: vec![step.clone()],
        },
        evidence: Evidence::default(),
        digest: PlanDigest([7; 32]),
    }
}

fn migration(name: &str, text: &str, config: &PlanConfig) -> Migration {
    Migration {
        id: format!("redis/{name}").parse().unwrap(),
        description: None,
        requires: BTreeSet::new(),
        content: Content::Redis(Box::new(RedisMigration {
            path: format!("redis/{name}.toml"),
            checksum: Checksum::of_content(text),
            text: text.to_owned(),
            declaration: Declaration::parse(name, text, config).unwrap(),
        })),
    }
}

fn findings(error: StoreError) -> String {
    match error.kind {
        StoreErrorKind::Keys { findings, .. } => findings.join("; "),
        other => panic!("{other}"),
    }
}

fn seed(bench: &Bench) {
    for id in ["a", "b c", "*[x]?"] {
        let tenant = format!("tenant:{id}");
        bench.cmd(&[
            "HSET",
            &tenant,
            "id",
            id,
            "created_at",
            "2024-01-02T03:04:05Z",
        ]);
        bench.cmd(&["HSET", &format!("{tenant}:destinations"), "d1", "{}"]);
        let destination = format!("{tenant}:destination:d:1");
        bench.cmd(&[
            "HSET",
            &destination,
            "id",
            "d:1",
            "updated_at",
            "2024-01-02T03:04:05.678Z",
        ]);
        bench.cmd(&["PEXPIREAT", &destination, "33000000000123"]);
    }
    bench.cmd(&["SET", "idempotency:1", "x"]);
}

#[tokio::test]
async fn u24_u26_keys_found_by_scanning_are_copied_with_their_time_to_live() {
    let bench = Bench::new();
    seed(&bench);
    // An orphan, which no index names.
    bench.cmd(&["HSET", "tenant:gone:destination:d", "id", "d"]);
    let estimate = bench.estimate("0001_hash_tags", HASH_TAGS).await.unwrap();
    let keys = estimate.keys.unwrap();
    assert_eq!((keys.in_scope, keys.to_do, keys.done), (10, 10, 0));
    assert!(keys.extra_bytes.unwrap() > 500);
    assert!(keys.bytes.unwrap() > 500);
    assert_eq!(keys.time, None, "too few to tell");
    let done = bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
    assert_eq!(done.changed, keys.to_do);
    assert_eq!(bench.hash("tenant:{a}:tenant"), bench.hash("tenant:a"));
    assert_eq!(
        bench.hash("tenant:{*[x]?}:destinations")["d1"],
        "{}".to_owned()
    );
    let key = "tenant:{b c}:destination:d:1";
    match try_redis_cmd(bench.server.url(), &["PEXPIRETIME", key]) {
        Ok(at) => assert_eq!(at, redis::Value::Int(33_000_000_000_123)),
        // Before Redis 7.0 nobody can ask for the moment itself.
        Err(_) => assert!(bench.number(&["PTTL", key]) > 30_000_000_000_000),
    }
    assert_eq!(bench.number(&["PTTL", "tenant:{a}:tenant"]), -1);
    assert_eq!(
        bench.hash("tenant:{gone}:destination:d")["id"],
        "d".to_owned()
    );
    assert_eq!(bench.keys().len(), 21);
    let verification = bench.verify("0001_hash_tags", HASH_TAGS).await;
    assert!(!verification.failed(), "{verification:?}");
    assert_eq!(verification.sources_left, 0);
    let again = bench.estimate("0001_hash_tags", HASH_TAGS).await.unwrap();
    let keys = again.keys.unwrap();
    assert_eq!((keys.to_do, keys.bytes), (0, Some(0)));
}

#[tokio::test]
async fn u22_u33_ids_that_hold_a_colon_stop_the_plan_and_later_fail_the_step() {
    let bench = Bench::new();
    seed(&bench);
    bench.cmd(&["HSET", "tenant:x:y", "id", "x:y"]);
    bench.cmd(&["HSET", "tenant:x:y:destination:d", "id", "d"]);
    let before = bench.keys();
    let estimated = findings(
        bench
            .estimate("0001_hash_tags", HASH_TAGS)
            .await
            .unwrap_err(),
    );
    assert!(estimated.contains("tenant:x:y"), "{estimated}");
    let applied = findings(bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap_err());
    assert!(applied.starts_with("2 keys in scope are matched by no step"));
    // Such keys of after the plan fail the step. No copy of theirs is guessed; those of the others stand.
    let made: Vec<String> = bench.keys().difference(&before).cloned().collect();
    assert_eq!(made.len(), 9, "{made:?}");
    assert!(!made.iter().any(|key| key.contains("{x")), "{made:?}");
    let doing = Doing::Apply;
    assert_eq!(
        bench.status("0001_hash_tags").await,
        Some(LedgerStatus::Partial { doing })
    );
}

#[tokio::test]
async fn u11_u23_a_key_of_another_type_or_with_another_id_fails_the_step() {
    let bench = Bench::new();
    seed(&bench);
    bench.cmd(&["SET", "tenant:s", "text"]);
    bench.cmd(&["HSET", "tenant:g:destinations", "d", "{}"]);
    bench.cmd(&["HSET", "tenant:wrong", "id", "other"]);
    bench.cmd(&["HSET", "tenant:absent", "name", "n"]);
    for said in [
        findings(
            bench
                .estimate("0001_hash_tags", HASH_TAGS)
                .await
                .unwrap_err(),
        ),
        findings(bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap_err()),
    ] {
        for part in [
            "1 key is of another type than declared: tenant:s (a string, not a hash)",
            "tenant:wrong (id is \"other\", not \"wrong\")",
            "tenant:absent (it has no id, which should be \"absent\")",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
    let status = bench.status("0001_hash_tags").await.unwrap();
    assert_eq!(
        status,
        LedgerStatus::Partial {
            doing: Doing::Apply
        }
    );
    bench.cmd(&["DEL", "tenant:s", "tenant:wrong", "tenant:absent"]);
    bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
}

#[tokio::test]
async fn u25_an_existing_target_is_kept_and_one_deleted_after_its_copy_stays_deleted() {
    let bench = Bench::new();
    seed(&bench);
    bench.cmd(&["HSET", "tenant:{a}:tenant", "id", "a", "name", "newer"]);
    let done = bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
    assert_eq!(done.changed, 8);
    assert_eq!(bench.hash("tenant:{a}:tenant")["name"], "newer");
    bench.cmd(&["DEL", "tenant:{a}:tenant", "tenant:{b c}:tenant"]);
    let done = bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
    assert_eq!(done.changed, 0);
    assert!(!bench.keys().contains("tenant:{b c}:tenant"));
    assert!(!bench.keys().contains("tenant:{a}:tenant"));
    let verification = bench.verify("0001_hash_tags", HASH_TAGS).await;
    assert_eq!(verification.sources_left, 0);
}

#[tokio::test]
async fn on_conflict_decides_about_an_existing_target() {
    for (policy, expected) in [
        ("keep", Some("new")),
        ("replace", Some("old")),
        ("fail", None),
    ] {
        let bench = Bench::new();
        bench.cmd(&["SET", "a:1", "old"]);
        bench.cmd(&["SET", "b:1", "new"]);
        let text = format!(
            "scope = \"a:<x>\"\n[[step]]\ncopy = \"a:<x>\"\nto = \"b:<x>\"\non_conflict = \"{policy}\"\n"
        );
        let result = bench.apply("0001_a", &text).await;
        match expected {
            Some(value) => {
                result.unwrap();
                assert_eq!(bench.text(&["GET", "b:1"]), value, "{policy}");
            }
            None => {
                let said = findings(result.unwrap_err());
                assert!(said.contains("target in place already: a:1"), "{said}");
            }
        }
        bench.cmd(&["SET", "b:1", "newest"]);
        if policy == "replace" {
            bench.apply("0001_a", &text).await.unwrap();
            assert_eq!(bench.text(&["GET", "b:1"]), "newest");
        }
    }
}

#[tokio::test]
async fn the_three_migrations_run_one_after_the_other_and_back() {
    let bench = Bench::new();
    seed(&bench);
    let before = bench.keys();
    bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
    let copied = bench.hash("tenant:{a}:tenant");
    let done = bench.apply("0002_timestamps", TIMESTAMPS).await.unwrap();
    assert_eq!(done.changed, 6);
    bench.apply("0003_entity", ENTITY).await.unwrap();
    let migrated = bench.hash("tenant:{a}:tenant");
    assert_eq!(migrated["created_at"], "1704164645000");
    assert_eq!(migrated["entity"], "tenant");
    assert_eq!(
        bench.hash("tenant:{a}:destination:d:1")["updated_at"],
        "1704164645678"
    );
    assert!(bench.number(&["PTTL", "tenant:{a}:destination:d:1"]) > 0);
    for (name, text) in [
        ("0001_hash_tags", HASH_TAGS),
        ("0002_timestamps", TIMESTAMPS),
        ("0003_entity", ENTITY),
    ] {
        let verification = bench.verify(name, text).await;
        assert!(!verification.failed(), "{name} {verification:?}");
    }
    let marker = bench.hash("outpost:migration:002_timestamps");
    assert_eq!(marker["status"], "applied");
    assert!(marker["applied_at"].ends_with('Z'));
    let observe = Observe {
        markers: vec!["001_hash_tags".to_owned(), "none".to_owned()],
        schema: false,
    };
    let state = bench.store.observe(&observe).await.unwrap();
    assert_eq!(
        state.legacy.markers["001_hash_tags"].status,
        MarkerStatus::Applied
    );
    assert_eq!(state.legacy.markers.len(), 1);

    let back = || Action::Revert { data_loss: None };
    bench
        .run(step("0003_entity", ENTITY, back()))
        .await
        .unwrap();
    bench
        .run(step("0002_timestamps", TIMESTAMPS, back()))
        .await
        .unwrap();
    assert_eq!(bench.hash("tenant:{a}:tenant"), copied);
    bench.cmd(&["HSET", "tenant:{b c}:tenant", "name", "changed since"]);
    bench
        .run(step("0001_hash_tags", HASH_TAGS, back()))
        .await
        .unwrap();
    let mut expected = before;
    expected.insert("tenant:{b c}:tenant".to_owned());
    assert_eq!(bench.keys(), expected);
    assert!(bench.hash("outpost:migration:001_hash_tags").is_empty());
    assert_eq!(
        bench.status("0001_hash_tags").await,
        Some(LedgerStatus::Reverted)
    );
    let history = bench.store.history().await.unwrap();
    assert_eq!(history.len(), 6);
    assert!(history.iter().all(|entry| entry.intact));
    assert_eq!(history[5].action, "revert");
    let left: Vec<String> = redis::from_redis_value(bench.cmd(&["KEYS", "*copied*"])).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn u14_u22_cleanup_removes_proven_copies_and_keeps_the_rest() {
    let bench = Bench::new();
    seed(&bench);
    // Kept by apply: the target was there and differs; and one that is equal.
    bench.cmd(&["HSET", "tenant:{a}:tenant", "id", "a", "name", "newer"]);
    bench.cmd(&["HSET", "tenant:{a}:destinations", "d1", "{}"]);
    bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
    // A copy that the application has written to since, and one that it has deleted.
    bench.cmd(&["HSET", "tenant:{b c}:tenant", "name", "newer"]);
    bench.cmd(&["DEL", "tenant:{b c}:destinations"]);
    // A source that came after the migration.
    bench.cmd(&["HSET", "tenant:late", "id", "late"]);
    let notes = Recorder::default();
    let lease = bench.lease().await;
    let cleanup = step("0001_hash_tags", HASH_TAGS, Action::Cleanup);
    // Said before anything is removed: what nobody can bring back any more.
    let evidence = bench
        .store
        .estimate(&[&cleanup], &bench.config)
        .await
        .unwrap();
    let lost: Vec<&str> = evidence[0]
        .warnings
        .iter()
        .filter(|warning| warning.kind == outpost::model::plan::WarningKind::DataLoss)
        .map(|warning| warning.message.as_str())
        .collect();
    assert_eq!(
        lost,
        ["1 source whose copy was deleted since it was made: nothing else holds that"]
    );
    let verification = bench.verify("0001_hash_tags", HASH_TAGS).await;
    let said: Vec<&String> = verification
        .checks
        .iter()
        .flat_map(|check| &check.findings)
        .collect();
    assert!(
        said.iter()
            .any(|said| *said == "tenant:b c:destinations: its target was deleted since"),
        "{said:?}"
    );
    bench
        .run_under(&lease, &cleanup, &notes, &CancellationToken::new())
        .await
        .unwrap();
    let legacy: Vec<String> = bench
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("tenant:") && !key.contains('{'))
        .collect();
    assert_eq!(legacy, ["tenant:a", "tenant:late"]);
    assert!(notes.said("kept 2 keys"));
    assert!(matches!(
        bench.status("0001_hash_tags").await,
        Some(LedgerStatus::Applied { cleaned: true, .. })
    ));
}

#[tokio::test]
async fn u14_copies_that_later_migrations_changed_are_proven_and_their_sources_cleaned_up() {
    let bench = Bench::new();
    let time = "2024-01-02T03:04:05Z";
    for id in ["a", "b", "c"] {
        let key = format!("tenant:{id}");
        bench.cmd(&["HSET", &key, "id", id, "created_at", time]);
        // As an earlier tool left it: copied, converted and completed, and no record of the copies.
        let copy = format!("tenant:{{{id}}}:tenant");
        let made = ["id", id, "created_at", "1704164645000", "entity", "tenant"];
        bench.cmd(&[&["HSET", &copy], made.as_slice()].concat());
    }
    // An application wrote to one, and another time came into one.
    bench.cmd(&["HSET", "tenant:{b}:tenant", "name", "new"]);
    bench.cmd(&["HSET", "tenant:{c}:tenant", "created_at", "1704164645001"]);
    let later = [("0002_t", TIMESTAMPS), ("0003_e", ENTITY)];
    let differing = |verification: Verification| -> Vec<String> {
        let checks = verification.checks.into_iter();
        checks.flat_map(|check| check.findings).collect()
    };

    let without = bench.verify("0001_h", HASH_TAGS).await;
    assert_eq!(differing(without).len(), 3);
    let with = bench.verify_before("0001_h", HASH_TAGS, &later).await;
    assert!(!with.failed());
    let mut found = differing(with);
    found.sort();
    assert_eq!(
        found,
        ["tenant:b", "tenant:c"]
            .map(|key| format!("{key}: its target differs, being newer or damaged"))
    );

    let mut cleanup = step("0001_h", HASH_TAGS, Action::Cleanup);
    if let StepContent::Redis(content) = &mut cleanup.content {
        content.later = later
            .map(|(name, text)| LaterContent {
                path: format!("redis/{name}.toml"),
                text: text.to_owned(),
            })
            .to_vec();
    }
    bench.run(cleanup).await.unwrap();
    let left = bench.keys();
    let left = left.iter().filter(|key| !key.contains('{'));
    assert_eq!(left.collect::<Vec<_>>(), ["tenant:b", "tenant:c"]);
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    fn said(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|event| match event {
            Event::Note { message, .. } => message.contains(text),
            _ => false,
        })
    }
}

impl Events for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

#[tokio::test]
async fn copies_are_compared_as_whole_values_and_differences_are_found() {
    let bench = Bench::new();
    let long = "x".repeat(100);
    for n in 0..30 {
        // Of 8 fields each; a value of 100 letters makes a hash table of it, whose order is the server's own.
        let (key, id) = (format!("tenant:{n}"), n.to_string());
        bench.cmd(&["HSET", &key, "id", &id]);
        for field in ["a", "b", "c", "d", "e", "f"] {
            bench.cmd(&["HSET", &key, field, field]);
        }
        bench.cmd(&[
            "HSET",
            &key,
            "long",
            if n % 2 == 0 { &long } else { "short" },
        ]);
    }
    bench.apply("0001_h", HASH_TAGS).await.unwrap();
    bench.cmd(&["CONFIG", "RESETSTAT"]);
    let proven = bench.verify("0001_h", HASH_TAGS).await;
    let copies = |verification: &Verification| -> (u64, Vec<String>) {
        let mut checks = verification.checks.iter();
        let check = checks.find(|check| check.unit == "copy").unwrap();
        (check.examined, check.findings.clone())
    };
    assert_eq!(copies(&proven), (30, vec![]));
    let stats = bench.text(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_dump:calls=60,"), "{stats}");
    assert!(!stats.contains("cmdstat_hgetall:"), "{stats}");

    for key in ["tenant:{4}:tenant", "tenant:{7}:tenant"] {
        bench.cmd(&["HSET", key, "c", "d"]);
    }
    let (examined, mut findings) = copies(&bench.verify("0001_h", HASH_TAGS).await);
    findings.sort();
    assert_eq!(examined, 30);
    assert_eq!(
        findings,
        ["tenant:4", "tenant:7"]
            .map(|key| format!("{key}: its target differs, being newer or damaged"))
    );
}

#[tokio::test]
async fn u31_u32_a_value_in_neither_form_fails_the_step_or_is_recorded() {
    let bench = Bench::new();
    bench.cmd(&["HSET", "tenant:{a}:tenant", "created_at", "yesterday"]);
    bench.cmd(&[
        "HSET",
        "tenant:{b}:tenant",
        "created_at",
        "2024-01-02T03:04:05Z",
    ]);
    bench.cmd(&["HSET", "tenant:{c}:tenant", "name", "no times at all"]);
    let said = findings(bench.estimate("0002_t", TIMESTAMPS).await.unwrap_err());
    assert!(
        said.contains("1 key has a value in neither form: tenant:{a}:tenant (created_at: "),
        "{said}"
    );
    let said = findings(bench.apply("0002_t", TIMESTAMPS).await.unwrap_err());
    assert!(said.contains("tenant:{a}:tenant"), "{said}");
    let verification = bench.verify("0002_t", TIMESTAMPS).await;
    assert!(verification.failed());
    let check = &verification.checks[1];
    assert_eq!((check.examined, check.found), (3, 1));
    assert!(check.findings[0].starts_with("unreadable: tenant:{a}:tenant"));

    let lenient = TIMESTAMPS.replace(
        "to_format = \"unix_ms\"",
        "to_format = \"unix_ms\"\non_error = \"record\"",
    );
    bench.apply("0003_t", &lenient).await.unwrap();
    assert_eq!(bench.hash("tenant:{a}:tenant")["created_at"], "yesterday");
    assert_eq!(
        bench.hash("tenant:{b}:tenant")["created_at"],
        "1704164645000"
    );
    let verification = bench.verify("0003_t", &lenient).await;
    assert!(!verification.failed());
    let named = verification.checks.last().unwrap();
    assert_eq!(named.outcome, CheckOutcome::Unchecked);
    assert!(named.findings[0].contains("tenant:{a}:tenant: created_at: "));
}

#[tokio::test]
async fn u32_missing_wrong_and_unreadable_are_three_things() {
    let bench = Bench::new();
    bench.cmd(&["HSET", "h:1", "x", "1"]);
    bench.cmd(&["HSET", "h:2", "x", "1", "kind", "other"]);
    bench.cmd(&["SET", "h:3", "text"]);
    let text = "scope = \"h:<id>\"\n[[step]]\nset = { kind = \"h<id>\" }\nin = \"h:<id>\"\noverwrite = true\n";
    let verification = bench.verify("0001_s", text).await;
    let found: BTreeSet<&str> = verification.checks[1]
        .findings
        .iter()
        .map(String::as_str)
        .collect();
    assert_eq!(
        found,
        BTreeSet::from([
            "missing: h:1: kind",
            "wrong: h:2: another value than declared",
            "unreadable: h:3: a string, not a hash",
        ])
    );
    bench.cmd(&["DEL", "h:3"]);
    bench.apply("0001_s", text).await.unwrap();
    assert_eq!(bench.hash("h:2")["kind"], "h2");
    assert!(!bench.verify("0001_s", text).await.failed());
}

#[tokio::test]
async fn what_a_conversion_loses_is_counted_on_the_way_forward_and_refused_on_the_way_back() {
    let bench = Bench::new();
    let time = "2024-01-02T03:04:05.123456Z";
    bench.cmd(&["HSET", "tenant:{a}:tenant", "created_at", time]);
    let evidence = bench.estimate("0002_t", TIMESTAMPS).await.unwrap();
    assert_eq!(evidence.warnings.len(), 1);
    bench.apply("0002_t", TIMESTAMPS).await.unwrap();
    let converted = bench.hash("tenant:{a}:tenant")["created_at"].clone();
    assert_eq!(converted, "1704164645123");

    let text = r#"
scope = "h:<id>"
[[step]]
convert     = ["at"]
in          = "h:<id>"
from_format = "unix_ms"
to_format   = "rfc3339"
"#;
    bench.cmd(&["HSET", "h:1", "at", "1704164645123"]);
    bench.apply("0003_u", text).await.unwrap();
    bench.cmd(&["HSET", "h:1", "at", time]);
    let mut revert = step("0003_u", text, Action::Revert { data_loss: None });
    if let StepContent::Redis(content) = &mut revert.content {
        content.allow_lossy = false;
    }
    let refused = bench.store.estimate(&[&revert], &bench.config).await;
    let said = findings(refused.unwrap_err());
    assert!(said.contains("--allow-lossy"), "{said}");
    assert!(bench.run(revert.clone()).await.is_err());
    assert_eq!(bench.hash("h:1")["at"], time);
    if let StepContent::Redis(content) = &mut revert.content {
        content.allow_lossy = true;
    }
    bench.run(revert).await.unwrap();
    assert_eq!(bench.hash("h:1")["at"], "1704164645123");
}

/// Passes requests on to a server, and acts right before one that the test waits for.
struct Proxy {
    url: String,
    /// The cursors of the SCANs of each connection.
    scans: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Proxy {
    /// `act` is called with each request, before the server gets it.
    fn before(server_url: &str, act: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let (login, address) = server_url.rsplit_once('@').unwrap();
        let upstream = address.trim_end_matches("/0").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{login}@{}/0", listener.local_addr().unwrap());
        let scans: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let (act, seen) = (Arc::new(act), scans.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                // A server that is just being restarted takes no connection; the client tries again.
                let Ok(mut server) = TcpStream::connect(&upstream) else {
                    continue;
                };
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(Vec::new());
                    seen.len() - 1
                };
                let (mut answers, mut back) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut answers, &mut back);
                    let _ = back.shutdown(std::net::Shutdown::Both);
                });
                let (act, seen) = (act.clone(), seen.clone());
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 20];
                    while let Ok(length @ 1..) = client.read(&mut buffer) {
                        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                        let mut words = request.split("\r\n");
                        while let Some(word) = words.next() {
                            if word == "SCAN" {
                                words.next();
                                seen.lock().unwrap()[number]
                                    .extend(words.next().map(str::to_owned));
                            }
                        }
                        act(&request);
                        if server.write_all(&buffer[..length]).is_err() {
                            break;
                        }
                    }
                    let _ = server.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Self { url, scans }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u30_what_the_application_does_between_read_and_write_stands() {
    let bench = Bench::new();
    for id in ["updated", "converted", "deleted", "replaced", "alone"] {
        let key = format!("tenant:{{{id}}}:tenant");
        // A spelling that no script decides about, so it is read before it is written.
        let time = "2020-01-01T00:00:00+00:00";
        bench.cmd(&["HSET", &key, "id", id, "created_at", time]);
    }
    let (direct, acted) = (bench.server.url().to_owned(), AtomicBool::new(false));
    let proxy = Proxy::before(bench.server.url(), move |request| {
        // The keys were read; this is the script that is to write them.
        let writes = request.contains("1577836800000") && request.contains("tenant:{alone}:tenant");
        if !writes || acted.swap(true, Ordering::Relaxed) {
            return;
        }
        for words in [
            &[
                "HSET",
                "tenant:{updated}:tenant",
                "created_at",
                "2024-01-02T03:04:05Z",
            ][..],
            &[
                "HSET",
                "tenant:{converted}:tenant",
                "created_at",
                "1600000000000",
            ],
            &["DEL", "tenant:{deleted}:tenant"],
            &["DEL", "tenant:{replaced}:tenant"],
            &["HSET", "tenant:{replaced}:tenant", "id", "new one"],
        ] {
            crate::support::try_redis_cmd(&direct, words).unwrap();
        }
    });
    let (store, _) = connect(&proxy.url, "");
    let through = Bench { store, ..bench };
    let done = through.apply("0002_t", TIMESTAMPS).await.unwrap();
    let created = |id: &str| {
        through
            .hash(&format!("tenant:{{{id}}}:tenant"))
            .remove("created_at")
    };
    assert_eq!(created("updated").as_deref(), Some("1704164645000"));
    assert_eq!(created("converted").as_deref(), Some("1600000000000"));
    assert_eq!(created("deleted"), None);
    assert!(through.hash("tenant:{deleted}:tenant").is_empty());
    assert_eq!(created("replaced"), None);
    assert_eq!(through.hash("tenant:{replaced}:tenant")["id"], "new one");
    assert_eq!(created("alone").as_deref(), Some("1577836800000"));
    // The first left a key to the second, and nobody else wrote during that one.
    assert_eq!(done.passes, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_is_the_last_if_it_finds_nothing_or_nobody_else_wrote_meanwhile() {
    let bench = Bench::new();
    seed(&bench);
    let url = bench.server.url().to_owned();
    let alone = bench.apply("0001_hash_tags", HASH_TAGS).await.unwrap();
    assert_eq!((alone.changed, alone.passes), (9, 1));

    let (direct, acted) = (url.clone(), AtomicBool::new(false));
    let proxy = Proxy::before(&url, move |request| {
        if request.contains("SCAN\r\n") && !acted.swap(true, Ordering::Relaxed) {
            // Any change will do: whose key it was, the server does not say.
            crate::support::try_redis_cmd(&direct, &["SET", "idempotency:2", "x"]).unwrap();
        }
    });
    let (store, _) = connect(&proxy.url, "");
    let bench = Bench { store, ..bench };
    let watched = bench.apply("0002_t", TIMESTAMPS).await.unwrap();
    assert_eq!((watched.changed, watched.passes), (6, 2));

    // Nor does it say how many to a user who may not ask.
    let rights = "ACL SETUSER shy on >password ~* &* +@all -info";
    bench.cmd(&rights.split(' ').collect::<Vec<_>>());
    let (_, address) = url.rsplit_once('@').unwrap();
    let (store, _) = connect(&format!("redis://shy:password@{address}"), "");
    let bench = Bench { store, ..bench };
    let unsure = bench.apply("0003_e", ENTITY).await.unwrap();
    assert_eq!((unsure.changed, unsure.passes), (3, 2));
}

#[tokio::test]
async fn a_key_that_turns_up_after_the_plan_fails_the_step_and_hides_no_other() {
    let bench = Bench::new();
    seed(&bench);
    bench.cmd(&["HSET", "tenant:{x}:new:sort", "id", "x"]);
    bench.cmd(&["HSET", "tenant:{x}:newer:sort", "id", "x"]);
    bench.cmd(&[
        "HSET",
        "tenant:{a}:tenant",
        "id",
        "a",
        "created_at",
        "2024-01-02T03:04:05Z",
    ]);
    let findings = findings(bench.apply("0002_t", TIMESTAMPS).await.unwrap_err());
    assert!(
        findings.contains("2 keys") && findings.contains("tenant:{x}:newer:sort"),
        "{findings}"
    );
    // What the error does not name was converted, and is not looked for again.
    assert_eq!(
        bench.hash("tenant:{a}:tenant")["created_at"],
        "1704164645000"
    );
    bench.cmd(&["DEL", "tenant:{x}:new:sort", "tenant:{x}:newer:sort"]);
    assert_eq!(bench.apply("0002_t", TIMESTAMPS).await.unwrap().changed, 0);
}

/// Cancels once the step has examined some keys.
struct CancelSoon(CancellationToken);

/// So slow that a run of 20,000 keys tells its progress between the first checkpoint and its end.
const SLOWLY: Limits = Limits {
    latency_budget: Duration::from_millis(1),
    max_keys_per_second: Some(20_000),
    ignore_memory: false,
};

impl Events for CancelSoon {
    fn emit(&self, event: Event) {
        // Behind the first checkpoint.
        if matches!(event, Event::Progress { done, .. } if done > 6_000) {
            self.0.cancel();
        }
    }
}

/// A request of a connection that broke can arrive when the step that sent it again is long recorded.
#[tokio::test]
async fn c15_a_checkpoint_that_arrives_late_does_not_undo_the_record_of_its_step() {
    let bench = Bench::new();
    bench.cmd(&["HSET", "tenant:a", "id", "a"]);
    bench.apply("0001_h", HASH_TAGS).await.unwrap();
    let ledger = "{outpost}:ledger";
    let recorded = bench.text(&["HGET", ledger, "redis/0001_h"]);
    let mut late: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let plan = late["plan"].as_str().unwrap().to_owned();
    late["status"] = serde_json::json!({"status": "partial", "doing": "apply"});
    late["checkpoint"] = serde_json::json!({"keys_done": 1});
    let script = include_str!("../../src/store/redis/lua/checkpoint.lua");
    let arrives = |plan: &str, entry: &str| {
        bench.number(&[
            "EVAL",
            script,
            "4",
            "-",
            "-",
            "-",
            ledger,
            "-",
            "-",
            "redis/0001_h",
            entry,
            plan,
        ])
    };
    assert_eq!(arrives(&plan, &late.to_string()), 0);
    assert_eq!(bench.text(&["HGET", ledger, "redis/0001_h"]), recorded);
    // The step of another plan begins all the same, and goes on.
    late["plan"] = "another".into();
    for _ in 0..2 {
        assert_eq!(arrives("another", &late.to_string()), 1);
    }
    assert_ne!(bench.text(&["HGET", ledger, "redis/0001_h"]), recorded);
}

#[tokio::test]
async fn c15_an_interrupted_step_is_resumed_and_ends_where_an_undisturbed_one_does() {
    let (mut bench, undisturbed) = (Bench::new(), Bench::new());
    bench.store = bench.store.limited(SLOWLY);
    for bench in [&bench, &undisturbed] {
        bench.cmd(&[
            "EVAL",
            "for i = 1, 20000 do redis.call('HSET', 'tenant:' .. i, 'id', i, 'n', i) end return 1",
            "0",
        ]);
    }
    undisturbed.apply("0001_h", HASH_TAGS).await.unwrap();
    let lease = bench.lease().await;
    let apply = step("0001_h", HASH_TAGS, Action::Apply);
    let cancel = CancellationToken::new();
    let error = bench
        .run_under(&lease, &apply, &CancelSoon(cancel.clone()), &cancel)
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Cancelled);
    let state = bench.store.observe(&Observe::default()).await.unwrap();
    let checkpoint = state.ledger.values().next().unwrap().checkpoint.clone();
    let checkpoint = checkpoint.unwrap();
    assert!(checkpoint.keys_done > 0 && checkpoint.keys_done < 20_000);
    assert_eq!(checkpoint.cursors.len(), 1);
    // What was copied and then deleted by the application stays deleted in the resumed run as well.
    let copied: Vec<String> =
        redis::from_redis_value(bench.cmd(&["KEYS", "tenant:{*}:tenant"])).unwrap();
    bench.cmd(&["DEL", &copied[0]]);
    undisturbed.cmd(&["DEL", &copied[0]]);
    bench
        .run_under(&lease, &apply, &NoEvents, &CancellationToken::new())
        .await
        .unwrap();
    assert!(bench.keys() == undisturbed.keys(), "the keys differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u34_a_broken_connection_is_retried() {
    let bench = Bench::new();
    bench.cmd(&[
        "EVAL",
        "for i = 1, 20000 do redis.call('HSET', 'tenant:' .. i, 'id', i) end return 1",
        "0",
    ]);
    let lease = bench.lease().await;
    let recorder = Arc::new(Cutter {
        url: bench.server.url().to_owned(),
        cuts: AtomicU32::new(0),
        retried: AtomicBool::new(false),
    });
    let apply = step("0001_h", HASH_TAGS, Action::Apply);
    let done = bench
        .run_under(&lease, &apply, &*recorder, &CancellationToken::new())
        .await
        .unwrap();
    assert!(recorder.retried.load(Ordering::Relaxed));
    assert!(done.changed > 19_000, "{done:?}");
    assert_eq!(bench.keys().len(), 40_000);
}

/// Cuts all connections whenever progress is told, three times: while pages are worked on, the next one is asked for
/// and a checkpoint is written, of which each has to get its connection without waiting for the others.
struct Cutter {
    url: String,
    cuts: AtomicU32,
    retried: AtomicBool,
}

impl Events for Cutter {
    fn emit(&self, event: Event) {
        match event {
            Event::Progress { .. } if self.cuts.fetch_add(1, Ordering::Relaxed) < 3 => {
                crate::support::try_redis_cmd(&self.url, &["CLIENT", "KILL", "TYPE", "normal"])
                    .unwrap();
            }
            Event::Retry { .. } => self.retried.store(true, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// The clock stands still from the moment on in which the server falls silent, and jumps to whatever is waited for.
#[tokio::test]
async fn a_redis_that_falls_silent_in_the_middle_of_an_answer_is_given_up_after_thirty_seconds() {
    let (url, mut told) = silent_redis();
    let (store, _) = connect(&url, "");
    let asked = tokio::time::Instant::now();
    let reading = tokio::spawn(async move { store.history().await });
    assert_eq!(told.recv().await, Some(Silence::Begun));
    tokio::time::pause();
    // It is asked a second time.
    while told.recv().await != Some(Silence::GivenUp) {}
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_secs(30), "{waited:?}");
    let error = reading.await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind, StoreErrorKind::Disconnected { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_is_scanned_anew_since_its_cursors_mean_something_else() {
    let server = fresh_redis_with(|r| {
        r.directive("appendonly yes")
            .directive("appendfsync always")
    });
    let url = server.url().to_owned();
    redis_cmd(
        &server,
        &[
            "EVAL",
            "for i = 1, 20000 do redis.call('HSET', 'tenant:{' .. i .. '}:tenant', 'n', i) end return 1",
            "0",
        ],
    );
    // The restart is to fall into the pass, after the first checkpoint.
    let (server, scans) = (Mutex::new(server), AtomicU32::new(0));
    let proxy = Proxy::before(&url, move |request| {
        let mut server = server.lock().unwrap();
        let writes = scans.load(Ordering::Relaxed) > 0 || request.contains("\"doing\":\"apply\"");
        if writes && request.contains("SCAN\r\n") && scans.fetch_add(1, Ordering::Relaxed) == 5 {
            server.restart().unwrap();
        } else if writes && scans.load(Ordering::Relaxed) == 0 {
            scans.store(1, Ordering::Relaxed);
        }
    });
    let (store, config) = connect(&proxy.url, "");
    let lease = store.acquire("run-1", &holder()).await.unwrap();
    let apply = step("0003_e", ENTITY, Action::Apply);
    let plan = plan(&config, &apply);
    let run = Run {
        lease: &lease,
        plan: &plan,
        events: &NoEvents,
        cancel: &CancellationToken::new(),
    };
    store.run(&apply, &run).await.unwrap();
    let scans = proxy.scans.lock().unwrap();
    let after: Vec<&String> = scans[1..].iter().flatten().collect();
    // At most the page that was on its way still has an old cursor.
    let anew = after.iter().position(|cursor| *cursor == "0").unwrap();
    assert!(anew <= 1, "{after:?}");
    let mut connection = redis::Client::open(url.as_str())
        .unwrap()
        .get_connection()
        .unwrap();
    for n in 1..=20_000 {
        let key = format!("tenant:{{{n}}}:tenant");
        let entity: String = redis::cmd("HGET")
            .arg(key)
            .arg("entity")
            .query(&mut connection)
            .unwrap();
        assert_eq!(entity, "tenant");
    }
}

#[tokio::test]
async fn c15_a_resumed_step_ends_only_after_a_pass_over_all_keys() {
    let mut bench = Bench::new();
    bench.store = bench.store.limited(SLOWLY);
    bench.cmd(&[
        "EVAL",
        "for i = 1, 20000 do redis.call('HSET', 'tenant:{' .. i .. '}:tenant', 'created_at', '2020-01-01T00:00:00Z') end return 1",
        "0",
    ]);
    let lease = bench.lease().await;
    let apply = step("0002_t", TIMESTAMPS, Action::Apply);
    let cancel = CancellationToken::new();
    bench
        .run_under(&lease, &apply, &CancelSoon(cancel.clone()), &cancel)
        .await
        .unwrap_err();
    // The part behind the cursor needs work again, and the part before it needs none.
    bench.cmd(&[
        "EVAL",
        "for i = 1, 20000 do local k = 'tenant:{' .. i .. '}:tenant' \
         local old = redis.call('HGET', k, 'created_at') == '1577836800000' \
         redis.call('HSET', k, 'created_at', old and '2020-01-01T00:00:00Z' or '1577836800000') end return 1",
        "0",
    ]);
    bench
        .run_under(&lease, &apply, &NoEvents, &CancellationToken::new())
        .await
        .unwrap();
    let left = bench.number(&[
        "EVAL",
        "local n = 0 for i = 1, 20000 do if redis.call('HGET', 'tenant:{' .. i .. '}:tenant', 'created_at') ~= '1577836800000' then n = n + 1 end end return n",
        "0",
    ]);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn u13_c06_the_lease_shows_its_holder_and_a_lost_one_writes_nothing() {
    let bench = Bench::new();
    seed(&bench);
    let lease = bench.lease().await;
    let held = bench.store.acquire("run-2", &holder()).await.unwrap_err();
    let StoreErrorKind::LeaseHeld(info) = held.kind else {
        panic!("{held}")
    };
    assert_eq!((info.id.as_str(), info.token), ("run-1", lease.token()));
    assert_eq!(info.holder, Some(holder()));
    assert!(info.expires_in_ms > 0 && info.expires_in_ms <= 30_000);
    assert_eq!(bench.number(&["EXISTS", ".outpost:migration_lock"]), 1);
    assert_eq!(bench.number(&["EXISTS", ".outpost:migration:lock"]), 1);
    bench.store.renew(&lease).await.unwrap();
    let wrong = bench.store.break_lease("run-9").await.unwrap_err();
    assert_eq!(wrong.kind, StoreErrorKind::LeaseLost);
    bench.store.break_lease("run-1").await.unwrap();
    assert_eq!(bench.store.lease().await.unwrap(), None);
    let next = bench.store.acquire("run-2", &holder()).await.unwrap();
    assert!(next.token() > lease.token());

    let before = bench.keys();
    let apply = step("0001_h", HASH_TAGS, Action::Apply);
    let error = bench
        .run_under(&lease, &apply, &NoEvents, &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::LeaseLost);
    assert_eq!(bench.keys(), before);
    assert_eq!(bench.status("0001_h").await, None);
    let renewed = bench.store.renew(&lease).await.unwrap_err();
    assert_eq!(renewed.kind, StoreErrorKind::LeaseLost);
    bench.store.release(&lease).await.unwrap();
    assert!(bench.store.lease().await.unwrap().is_some());

    // Each of the three is enough to stop a write: another token, and either lock gone.
    for (gone, back) in [
        (
            vec!["INCR", "{outpost}:fence"],
            vec!["DECR", "{outpost}:fence"],
        ),
        (
            vec!["RENAME", ".outpost:migration_lock", "kept"],
            vec!["RENAME", "kept", ".outpost:migration_lock"],
        ),
        (
            vec!["RENAME", ".outpost:migration:lock", "kept"],
            vec!["RENAME", "kept", ".outpost:migration:lock"],
        ),
    ] {
        bench.cmd(&gone);
        let error = bench
            .run_under(&next, &apply, &NoEvents, &CancellationToken::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::LeaseLost, "{gone:?}");
        bench.cmd(&back);
        assert_eq!(bench.keys(), before, "{gone:?}");
    }
    bench
        .run_under(&next, &apply, &NoEvents, &CancellationToken::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn u12_a_lock_of_an_earlier_tool_is_respected_under_both_names() {
    for lock in [".outpost:migration_lock", ".outpost:migration:lock"] {
        let bench = Bench::new();
        bench.cmd(&["SET", lock, "1700000000", "EX", "3600"]);
        let error = bench.store.acquire("run-1", &holder()).await.unwrap_err();
        let StoreErrorKind::LeaseHeld(info) = error.kind else {
            panic!("{error}")
        };
        assert_eq!(info.holder, None);
        let shown = bench.store.lease().await.unwrap().unwrap();
        assert_eq!(shown.id, info.id);
        assert_eq!(bench.keys().len(), 0);
        bench.store.break_lease(&shown.id).await.unwrap();
        bench.lease().await;
    }
}

#[tokio::test]
async fn c09_u03_reading_works_with_rights_to_read_alone_and_leaves_no_trace() {
    let server = fresh_redis_with(|redis| {
        redis
            .user("reader", "pw")
            .directive("user reader on >pw ~* +@read +@connection")
            .directive("user default on nopass ~* &* +@all")
    });
    let reader_url = server.url().to_owned();
    let (reader, config) = connect(&reader_url, "");
    let admin_url = format!("redis://127.0.0.1:{}/0", server.port());
    let cmd = |words: &[&str]| crate::support::try_redis_cmd(&admin_url, words).unwrap();
    cmd(&["HSET", "tenant:a", "id", "a"]);
    cmd(&[
        "HSET",
        "outpost:migration:001_hash_tags",
        "status",
        "applied",
        "applied_at",
        "1700000000",
    ]);
    let dump = || -> Vec<String> {
        let mut keys: Vec<String> = redis::from_redis_value(cmd(&["KEYS", "*"])).unwrap();
        keys.sort();
        keys
    };
    let before = dump();
    let observe = Observe {
        markers: vec!["001_hash_tags".to_owned()],
        schema: true,
    };
    let state = reader.observe(&observe).await.unwrap();
    assert!(state.ledger.is_empty());
    assert_eq!(state.identity.ledger(), None);
    assert_eq!(state.legacy.markers.len(), 1);
    let hash_tags = step("0001_h", HASH_TAGS, Action::Apply);
    let evidence = reader.estimate(&[&hash_tags], &config).await.unwrap();
    assert_eq!(evidence[0].keys.as_ref().unwrap().to_do, 1);
    let verification = reader
        .verify(&migration("0001_h", HASH_TAGS, &config), &[], &NoEvents)
        .await
        .unwrap();
    assert_eq!(verification.sources_left, 1);
    assert_eq!(verification.samples, ["tenant:a"]);
    reader
        .verify(&migration("0002_t", TIMESTAMPS, &config), &[], &NoEvents)
        .await
        .unwrap();
    assert!(reader.history().await.unwrap().is_empty());
    assert_eq!(reader.lease().await.unwrap(), None);
    assert_eq!(dump(), before);
    let denied = reader.acquire("run-1", &holder()).await.unwrap_err();
    assert!(
        matches!(denied.kind, StoreErrorKind::Permission { .. }),
        "{denied}"
    );
}

#[tokio::test]
async fn u10_what_cannot_be_read_is_an_error_and_never_absence() {
    let bench = Bench::new();
    bench.cmd(&["SET", "{outpost}:ledger", "text"]);
    let error = bench.store.observe(&Observe::default()).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Ledger { .. }));
    bench.cmd(&["DEL", "{outpost}:ledger"]);
    bench.cmd(&["HSET", "{outpost}:ledger", "format", "2"]);
    let error = bench.store.observe(&Observe::default()).await.unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    bench.cmd(&["DEL", "{outpost}:ledger"]);
    bench.cmd(&["SET", "outpost:migration:m", "applied"]);
    let observe = Observe {
        markers: vec!["m".to_owned()],
        schema: false,
    };
    let error = bench.store.observe(&observe).await.unwrap_err();
    assert!(error.to_string().contains("outpost:migration:m"), "{error}");
}

#[tokio::test]
async fn c16_errors_name_the_address_and_never_the_password() {
    let server = fresh_redis();
    let (host, _) = server.url().rsplit_once('@').unwrap();
    let password = host.rsplit(':').next().unwrap().to_owned();
    let wrong = format!("redis://:hunter2@127.0.0.1:{}/0", server.port());
    for (url, secret) in [
        (wrong.as_str(), "hunter2"),
        ("redis://:hunter2@127.0.0.1:1/0", "hunter2"),
    ] {
        let (store, _) = connect(url, "");
        let error = store.observe(&Observe::default()).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("127.0.0.1:"), "{text}");
        assert!(
            !text.contains(secret) && !text.contains(&password),
            "{text}"
        );
        let expected = match url.contains(":1/") {
            true => matches!(error.kind, StoreErrorKind::Unreachable { .. }),
            false => matches!(error.kind, StoreErrorKind::Authentication { .. }),
        };
        assert!(expected, "{error:?}");
    }
}

#[tokio::test]
async fn u29_a_node_of_a_cluster_is_refused_with_the_reason() {
    let server = fresh_redis_with(|redis| redis.directive("cluster-enabled yes"));
    let (store, _) = connect(server.url(), "");
    let error = store.observe(&Observe::default()).await.unwrap_err();
    assert!(error.to_string().contains("cluster"), "{error}");
}

#[tokio::test]
async fn too_little_memory_stops_a_copy_before_it_evicts_its_sources() {
    let server = fresh_redis_with(|r| {
        r.directive("maxmemory 6mb")
            .directive("maxmemory-policy allkeys-lru")
    });
    let bench = Bench::on(server, "");
    bench.cmd(&[
        "EVAL",
        "for i = 1, 2000 do redis.call('HSET', 'tenant:' .. i, 'id', i, 'v', string.rep('x', 1500)) end return 1",
        "0",
    ]);
    let before = bench.keys().len();
    let evidence = bench.estimate("0001_h", HASH_TAGS).await.unwrap();
    assert!(
        evidence
            .warnings
            .iter()
            .any(|w| w.message.contains("evict"))
    );
    // 2,000 hashes of 1,500 bytes and what holds them, and enough keys to tell a speed from.
    let keys = evidence.keys.unwrap();
    let bytes = keys.bytes.unwrap();
    assert!((3_000_000..5_000_000).contains(&bytes), "{bytes}");
    let time = keys.time.unwrap();
    assert!(time.read_per_second > 0);
    assert!(time.most_ms >= time.least_ms, "{time:?}");
    let error = bench.apply("0001_h", HASH_TAGS).await.unwrap_err();
    assert!(error.to_string().contains("maxmemory"), "{error}");
    assert_eq!(bench.keys().len(), before);
}

/// A script converts the times that programs write, and leaves the others to a library: both must agree.
#[tokio::test]
async fn times_converted_on_the_server_are_those_that_the_library_gives() {
    let bench = Bench::new();
    let mut times: Vec<String> = vec![
        "2024-02-29T23:59:59Z".to_owned(),
        "2023-02-29T00:00:00Z".to_owned(),
        "2100-02-29T00:00:00Z".to_owned(),
        "2000-02-29T12:00:00.5Z".to_owned(),
        "2016-12-31T23:59:60Z".to_owned(),
        "2024-01-01T24:00:00Z".to_owned(),
        "2024-13-01T00:00:00Z".to_owned(),
        "2024-01-01T00:00:00.123456789Z".to_owned(),
        "2024-01-01T00:00:00.Z".to_owned(),
        "2024-01-01t00:00:00z".to_owned(),
        "2024-01-01T00:00:00+02:00".to_owned(),
        "2024-01-01T00:00:00-00:30".to_owned(),
        "2024-01-01 00:00:00Z".to_owned(),
        "1970-01-01T00:00:00Z".to_owned(),
        "1973-03-03T09:46:39.999Z".to_owned(),
        "1973-03-03T09:46:40Z".to_owned(),
        "9999-12-31T23:59:59.999Z".to_owned(),
        "0000-01-01T00:00:00Z".to_owned(),
        "1704067200000".to_owned(),
        "99999999999".to_owned(),
        "0".to_owned(),
        "01704067200000".to_owned(),
        "-1704067200000".to_owned(),
        "17040672000001704067".to_owned(),
        "1704067200".to_owned(),
        String::new(),
        "soon".to_owned(),
        "2024-01-01T00:00:00Z\0".to_owned(),
    ];
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for _ in 0..2000 {
        let (y, mo, d) = (1960 + next(200), 1 + next(12), 1 + next(31));
        let (h, mi, s) = (next(24), next(60), next(61));
        let mut time = format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}");
        for digit in 0..next(11) {
            time.push_str(if digit == 0 { "." } else { "" });
            time.push_str(&next(10).to_string());
        }
        time.push_str(["Z", "Z", "Z", "+01:00", "z"][next(5) as usize]);
        times.push(time);
    }
    let mut pipe = redis::pipe();
    for (n, time) in times.iter().enumerate() {
        let key = format!("tenant:{{{n}}}:tenant");
        pipe.hset(key, "created_at", time);
    }
    let mut connection = redis::Client::open(bench.server.url())
        .and_then(|client| client.get_connection())
        .unwrap();
    pipe.exec(&mut connection).unwrap();

    let text = TIMESTAMPS.replace(
        "to_format = \"unix_ms\"",
        "to_format = \"unix_ms\"\non_error = \"record\"",
    );
    bench.apply("0002_t", &text).await.unwrap();
    let conversion = Conversion::new(Format::Rfc3339, Format::UnixMs).unwrap();
    for (n, time) in times.iter().enumerate() {
        let expected = match conversion.apply(time.as_bytes()) {
            Outcome::Converted(new) => String::from_utf8(new).unwrap(),
            _ => time.clone(),
        };
        let found = &bench.hash(&format!("tenant:{{{n}}}:tenant"))["created_at"];
        assert_eq!(*found, expected, "{time}");
    }
}

#[tokio::test]
async fn memory_that_runs_out_stops_a_copy_cleanly_and_more_of_it_lets_it_go_on() {
    let server = fresh_redis_with(|r| {
        r.directive("maxmemory 7mb")
            .directive("maxmemory-policy noeviction")
    });
    let mut bench = Bench::on(server, "");
    bench.cmd(&[
        "EVAL",
        "for i = 1, 2000 do redis.call('HSET', 'tenant:' .. i, 'id', i, 'v', string.rep('x', 1500)) end return 1",
        "0",
    ]);
    let error = bench.apply("0001_h", HASH_TAGS).await.unwrap_err();
    assert!(
        matches!(error.kind, StoreErrorKind::NoRoom { evicts: false, .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--ignore-memory"));
    assert_eq!(bench.keys().len(), 2000);

    bench.store = bench.store.limited(Limits {
        ignore_memory: true,
        ..Limits::default()
    });
    let error = bench.apply("0001_h", HASH_TAGS).await.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    let partial = bench.keys();
    assert!(
        partial.len() > 2000 && partial.len() < 4000,
        "{}",
        partial.len()
    );

    bench.cmd(&["CONFIG", "SET", "maxmemory", "100mb"]);
    bench.apply("0001_h", HASH_TAGS).await.unwrap();
    assert_eq!(bench.keys().len(), 4000);
    assert!(!bench.verify("0001_h", HASH_TAGS).await.failed());
}

/// Script calls that a copy of 1,600 keys takes under these limits.
async fn calls_under(limits: Limits) -> u64 {
    let mut bench = Bench::new();
    bench.cmd(&[
        "EVAL",
        "for i = 1, 1600 do redis.call('HSET', 'tenant:' .. i, 'id', i) end return 1",
        "0",
    ]);
    bench.store = bench.store.limited(limits);
    bench.cmd(&["CONFIG", "RESETSTAT"]);
    bench.apply("0001_h", HASH_TAGS).await.unwrap();
    assert_eq!(bench.keys().len(), 3200);
    let stats = bench.text(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
    calls.unwrap().parse().unwrap()
}

#[tokio::test]
async fn batches_are_as_small_as_the_limits_ask() {
    let generous = calls_under(Limits {
        latency_budget: Duration::from_secs(10),
        ..Limits::default()
    })
    .await;
    assert!(generous < 100, "{generous}");
    // No batch fits into a budget of nothing: they become as small as they get, eight keys.
    let strict = calls_under(Limits {
        latency_budget: Duration::from_nanos(1),
        ..Limits::default()
    })
    .await;
    assert!(strict > 1600 / 8 - 50 && strict > generous, "{strict}");
    // A tenth of a second's keys at once: eighty batches of twenty.
    let slow = calls_under(Limits {
        latency_budget: Duration::from_secs(10),
        max_keys_per_second: Some(800),
        ..Limits::default()
    })
    .await;
    assert!(slow >= 20, "{slow}");
}

#[tokio::test]
async fn binary_keys_and_deployment_ids_are_taken_as_they_are() {
    let bench = Bench::on(fresh_redis(), "dp");
    let mut connection = redis::Client::open(bench.server.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let source: &[u8] = b"dp:k:\xff\x00*\n";
    redis::cmd("SET")
        .arg(source)
        .arg("v")
        .exec(&mut connection)
        .unwrap();
    bench.cmd(&["SET", "k:other", "v"]);
    let text = "scope = \"${prefix}k:<x>\"\n[[step]]\ncopy = \"${prefix}k:<x>\"\nto = \"${prefix}n:<x>\"\n";
    let done = bench.apply("0001_k", text).await.unwrap();
    assert_eq!(done.changed, 1);
    let copied: String = redis::cmd("GET")
        .arg(&b"dp:n:\xff\x00*\n"[..])
        .query(&mut connection)
        .unwrap();
    assert_eq!(copied, "v");
    assert_eq!(bench.number(&["EXISTS", "dp:{outpost}:ledger"]), 1);
    assert_eq!(bench.number(&["EXISTS", "{outpost}:ledger"]), 0);
}

#[tokio::test]
async fn the_simple_operations_do_what_they_say() {
    let bench = Bench::new();
    bench.cmd(&["HSET", "h:1", "old", "v", "junk", "j"]);
    bench.cmd(&["HSET", "p:1", "junk", "j", "x", "y"]);
    bench.cmd(&["SET", "e:1", "v"]);
    bench.cmd(&["SET", "k:1", "v", "EX", "1000"]);
    bench.cmd(&["SET", "d:1", "v"]);
    let text = r#"
scope = "<rest..>"
[[step]]
rename_field = "old"
to = "new"
in = "h:<id>"
[[step]]
remove_field = "junk"
in = "p:<id>"
[[step]]
expire = "e:<id>"
after = "1h"
[[step]]
persist = "k:<id>"
[[step]]
delete = "d:<id>"
[[step]]
command = ["SET", "h:made", "x"]
check = ["EXISTS", "p:1"]
"#;
    let evidence = bench.estimate("0001_all", text).await.unwrap();
    assert_eq!(evidence.keys.unwrap().to_do, 5);
    assert!(bench.verify("0001_all", text).await.failed());
    let done = bench.apply("0001_all", text).await.unwrap();
    assert_eq!(done.changed, 5);
    assert_eq!(bench.hash("h:1")["new"], "v");
    assert!(!bench.hash("p:1").contains_key("junk"));
    assert!(bench.number(&["PTTL", "e:1"]) > 3_500_000);
    assert_eq!(bench.number(&["TTL", "k:1"]), -1);
    assert_eq!(bench.number(&["EXISTS", "d:1"]), 0);
    assert!(!bench.verify("0001_all", text).await.failed());
}

#[tokio::test]
async fn a_command_runs_where_its_check_fails_and_is_undone() {
    let bench = Bench::new();
    let text = r#"
[[step]]
command = ["SET", "made", "x"]
check = ["EXISTS", "made"]
undo = ["DEL", "made"]
"#;
    let done = bench.apply("0001_c", text).await.unwrap();
    assert_eq!(done.changed, 1);
    assert_eq!(bench.text(&["GET", "made"]), "x");
    assert!(!bench.verify("0001_c", text).await.failed());
    let back = step("0001_c", text, Action::Revert { data_loss: None });
    bench.run(back).await.unwrap();
    assert_eq!(bench.number(&["EXISTS", "made"]), 0);
    let never = text.replace("[\"EXISTS\", \"made\"]", "[\"EXISTS\", \"nothing\"]");
    let said = findings(bench.apply("0002_c", &never).await.unwrap_err());
    assert!(said.contains("its check still fails"), "{said}");
}

#[tokio::test]
async fn a_tampered_history_is_not_intact() {
    let bench = Bench::new();
    bench.cmd(&["SET", "d:1", "v"]);
    let text = "scope = \"d:<id>\"\n[[step]]\ndelete = \"d:<id>\"\n";
    bench.apply("0001_d", text).await.unwrap();
    let lease = bench.lease().await;
    let failing = step("0002_d", text, Action::Apply);
    let plan = plan(&bench.config, &failing);
    let run = Run {
        lease: &lease,
        plan: &plan,
        events: &NoEvents,
        cancel: &CancellationToken::new(),
    };
    let error = StoreError {
        store: StoreKind::Redis,
        address: "a".to_owned(),
        kind: StoreErrorKind::Cancelled,
    };
    bench
        .store
        .record_failure(&failing, &run, &error)
        .await
        .unwrap();
    let history = bench.store.history().await.unwrap();
    assert_eq!(history[1].outcome, "failed");
    assert!(history.iter().all(|entry| entry.intact));
    assert_eq!(history[1].previous, history[0].hash);
    bench.cmd(&["XDEL", "{outpost}:history", &history[0].seq]);
    assert!(!bench.store.history().await.unwrap()[0].intact);
}

#[tokio::test]
async fn u20_no_command_walks_the_whole_keyspace_at_once() {
    let bench = Bench::new();
    seed(&bench);
    bench.apply("0001_h", HASH_TAGS).await.unwrap();
    bench.verify("0001_h", HASH_TAGS).await;
    let stats = bench.text(&["INFO", "commandstats"]);
    assert!(!stats.contains("cmdstat_keys:"), "{stats}");
    assert!(stats.contains("cmdstat_scan:"));
}
