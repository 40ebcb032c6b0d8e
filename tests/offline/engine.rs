//! The engine over stores in memory: order, failures, leases, resumption. Time stands still unless a
//! test waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use outpost::engine::{Applied, ApplyError, ApplyOptions, Depth, Stores, apply, observe};
use outpost::model::event::{Event, NoEvents};
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lease::{Holder, LEASE_TTL};
use outpost::model::plan::{Difference, Plan};
use outpost::model::report::{Report, StepOutcome};
use outpost::model::state::LedgerStatus;
use outpost::store::memory::Fault;
use outpost::store::{Store as _, StoreError, StoreErrorKind};
use proptest::prelude::*;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::folder::{Project, State, id, sealed};
use crate::watched::{Kept, Watch, Watched};

/// Two stores, and a plan that was made from them empty.
struct Bench {
    sql: Arc<Watched>,
    redis: Arc<Watched>,
    watch: Arc<Watch>,
    stores: Stores,
    plan: Plan,
}

impl Bench {
    fn new(folder: &str) -> Self {
        Self::of(&Project::new(folder))
    }

    fn of(project: &Project) -> Self {
        let watch = Arc::new(Watch::default());
        let sql = Arc::new(Watched::new(StoreKind::Sql, &watch));
        let redis = Arc::new(Watched::new(StoreKind::Redis, &watch));
        let mut state = State::empty();
        for store in [&sql, &redis] {
            let kind = store.kind();
            state.store(kind).identity = identity(kind);
        }
        Self {
            stores: Stores::new().with(sql.clone()).with(redis.clone()),
            plan: sealed(project.plan_latest(&state).unwrap()),
            sql,
            redis,
            watch,
        }
    }

    fn store(&self, kind: StoreKind) -> &Watched {
        match kind {
            StoreKind::Sql => &self.sql,
            StoreKind::Redis => &self.redis,
        }
    }

    fn inject(&self, name: &str, fault: Fault) {
        let id = id(name);
        self.store(id.store()).inner.inject(&id, fault);
    }

    async fn apply(&self) -> Result<Applied, ApplyError> {
        self.apply_with(&options("run")).await
    }

    async fn apply_with(&self, options: &ApplyOptions) -> Result<Applied, ApplyError> {
        let cancel = CancellationToken::new();
        apply(&self.stores, &self.plan, options, &NoEvents, &cancel).await
    }

    async fn report(&self) -> Report<StoreError> {
        ran(self.apply().await)
    }

    /// What was done to both stores, each in its order.
    fn effects(&self) -> Vec<String> {
        [self.sql.inner.effects(), self.redis.inner.effects()].concat()
    }

    fn writes(&self) -> usize {
        self.sql.inner.writes() + self.redis.inner.writes()
    }

    /// As an operator does with `unlock`.
    async fn take_leases_away(&self) {
        for store in [&self.sql, &self.redis] {
            if let Some(held) = store.lease().await.unwrap() {
                store.break_lease(&held.id).await.unwrap();
            }
        }
    }

    async fn assert_released(&self) {
        for store in [&self.sql, &self.redis] {
            assert_eq!(store.lease().await.unwrap(), None, "{}", store.kind());
        }
    }
}

/// As the store in memory names itself.
fn identity(kind: StoreKind) -> outpost::model::state::StoreIdentity {
    use outpost::model::state::StoreIdentity;
    match kind {
        StoreKind::Sql => StoreIdentity::Postgres {
            system_identifier: Some("memory".to_owned()),
            database: "memory".to_owned(),
            ledger: None,
        },
        StoreKind::Redis => StoreIdentity::Redis {
            deployment_id: String::new(),
            database: 0,
            ledger: None,
        },
    }
}

fn holder(user: &str) -> Holder {
    Holder {
        user: user.to_owned(),
        host: "host".to_owned(),
        pid: 1,
        plan: String::new(),
        signer: None,
    }
}

fn options(lease_id: &str) -> ApplyOptions {
    ApplyOptions {
        holder: holder("ann"),
        lease_id: lease_id.to_owned(),
        parallelism: 4,
        lock_wait: None,
    }
}

fn ran(result: Result<Applied, ApplyError>) -> Report<StoreError> {
    match result {
        Ok(Applied::Ran(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn outcome<'r>(report: &'r Report<StoreError>, name: &str) -> &'r StepOutcome<StoreError> {
    let step = report.steps.iter().find(|s| s.id == id(name));
    &step.unwrap_or_else(|| panic!("no step for {name}")).outcome
}

fn failure<'r>(report: &'r Report<StoreError>, name: &str) -> &'r StoreErrorKind {
    match outcome(report, name) {
        StepOutcome::Failed(error) => &error.kind,
        other => panic!("{name}: {other:?}"),
    }
}

const WIDE: &str = "sql/0001_a ^sql/0002_b<-sql/0001_a ^sql/0003_c<-sql/0001_a \
                    sql/0004_d<-sql/0002_b,redis/0002_y ^redis/0001_x<-sql/0001_a redis/0002_y";

#[tokio::test(start_paused = true)]
async fn u12_the_graph_orders_however_many_run_side_by_side() {
    for (parallelism, most) in [(1, 1), (2, 2), (4, 3)] {
        let bench = Bench::new(WIDE);
        let options = ApplyOptions {
            parallelism,
            ..options("run")
        };
        let report = ran(bench.apply_with(&options).await);
        assert!(report.complete());
        assert_eq!(report.done(), 6);
        assert_eq!(
            bench.watch.most.load(Ordering::SeqCst),
            most,
            "{parallelism}"
        );
        let log = bench.watch.log.lock().unwrap();
        let at = |words: String| log.iter().position(|line| *line == words).unwrap();
        for step in &bench.plan.decision.steps {
            for before in &step.after {
                assert!(
                    at(format!("end {before}")) < at(format!("begin {}", step.id)),
                    "{before} before {}",
                    step.id
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_run_in_order() {
    let bench = Bench::new("sql/0001_a redis/0001_x<-sql/0001_a");
    let events = Kept::default();
    let cancel = CancellationToken::new();
    ran(apply(
        &bench.stores,
        &bench.plan,
        &options("run"),
        &events,
        &cancel,
    )
    .await);
    let names: Vec<String> = events
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].to_string())
        .collect();
    assert_eq!(
        names,
        [
            "\"lease_taken\"",
            "\"lease_taken\"",
            "\"run_started\"",
            "\"step_started\"",
            "\"step_finished\"",
            "\"step_started\"",
            "\"step_finished\"",
            "\"run_finished\"",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn c15_a_failed_step_stops_the_run_and_the_same_plan_resumes_it() {
    let bench = Bench::new("sql/0001_a sql/0002_b sql/0003_c sql/0004_d sql/0005_e");
    bench.inject("sql/0003_c", Fault::Fail("boom".to_owned()));
    let report = bench.report().await;
    assert_eq!(
        (report.done(), report.failed(), report.not_started()),
        (2, 1, 2)
    );
    assert!(!report.complete());
    assert!(matches!(
        failure(&report, "sql/0003_c"),
        StoreErrorKind::Server { reason, .. } if reason == "boom"
    ));
    assert_eq!(bench.effects(), ["apply sql/0001_a", "apply sql/0002_b"]);
    bench.assert_released().await;
    let history = bench.sql.history().await.unwrap();
    let outcomes: Vec<&str> = history.iter().map(|e| e.outcome.as_str()).collect();
    assert_eq!(outcomes, ["done", "done", "failed"]);

    let report = bench.report().await;
    assert!(report.complete());
    assert_eq!(report.done(), 3);
    assert!(matches!(
        outcome(&report, "sql/0001_a"),
        StepOutcome::AlreadyDone
    ));
    assert_eq!(bench.effects().len(), 5);
    assert!(matches!(bench.apply().await, Ok(Applied::Already)));
}

#[tokio::test(start_paused = true)]
async fn what_runs_beside_a_failing_step_is_finished() {
    let bench = Bench::new("sql/0001_a sql/0002_b redis/0001_x redis/0002_y");
    bench.inject("sql/0001_a", Fault::Fail("boom".to_owned()));
    bench
        .redis
        .lingers
        .lock()
        .unwrap()
        .insert(id("redis/0001_x"), Duration::from_secs(5));
    let report = bench.report().await;
    assert_eq!(
        (report.done(), report.failed(), report.not_started()),
        (1, 1, 2)
    );
    assert_eq!(bench.effects(), ["apply redis/0001_x"]);
}

#[tokio::test(start_paused = true)]
async fn c15_a_lost_answer_after_the_commit_repeats_nothing() {
    let bench = Bench::new("sql/0001_a sql/0002_b redis/0001_x<-sql/0002_b");
    bench.inject("sql/0002_b", Fault::LoseAnswer);
    bench.inject("redis/0001_x", Fault::LoseAnswer);
    let report = bench.report().await;
    assert!(matches!(
        failure(&report, "sql/0002_b"),
        StoreErrorKind::Disconnected { .. }
    ));
    let report = bench.report().await;
    assert!(matches!(
        outcome(&report, "sql/0002_b"),
        StepOutcome::AlreadyDone
    ));
    // The last step's answer is lost as well: the third run has nothing left to do.
    assert_eq!(report.failed(), 1);
    assert!(matches!(bench.apply().await, Ok(Applied::Already)));
    assert_eq!(
        bench.effects(),
        ["apply sql/0001_a", "apply sql/0002_b", "apply redis/0001_x"]
    );
}

#[tokio::test(start_paused = true)]
async fn c15_a_step_that_stopped_half_way_is_resumed_by_the_same_plan() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    bench.inject("redis/0001_x", Fault::HalfWay);
    let report = bench.report().await;
    assert_eq!((report.done(), report.failed()), (1, 1));
    assert!(matches!(
        bench.redis.inner.ledger()[&id("redis/0001_x")].status,
        LedgerStatus::Partial { .. }
    ));
    let report = bench.report().await;
    assert!(report.complete());
    assert_eq!(bench.effects(), ["apply sql/0001_a", "apply redis/0001_x"]);
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_an_error_that_names_the_holder_and_nothing_is_written() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    let theirs = bench.redis.acquire("theirs", &holder("bob")).await.unwrap();
    let before = bench.redis.inner.writes();
    let error = bench.apply().await.unwrap_err();
    let ApplyError::Store(error) = &error else {
        panic!("{error}");
    };
    let StoreErrorKind::LeaseHeld(info) = &error.kind else {
        panic!("{error}");
    };
    assert_eq!(info.id, "theirs");
    assert!(error.to_string().contains("bob@host"), "{error}");
    assert_eq!(bench.redis.inner.writes(), before);
    assert!(bench.effects().is_empty());
    // The lease that was taken first is given back.
    assert_eq!(bench.sql.lease().await.unwrap(), None);
    bench.redis.renew(&theirs).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lock_wait_waits_for_a_lease_and_says_so_once() {
    let bench = Bench::new("sql/0001_a");
    let theirs = bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
    let options = ApplyOptions {
        lock_wait: Some(Duration::from_secs(60)),
        ..options("run")
    };
    let events = Kept::default();
    let cancel = CancellationToken::new();
    let release = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        bench.sql.release(&theirs).await.unwrap();
    };
    let began = Instant::now();
    let (result, ()) = tokio::join!(
        apply(&bench.stores, &bench.plan, &options, &events, &cancel),
        release
    );
    assert!(ran(result).complete());
    assert!(began.elapsed() >= Duration::from_secs(20));
    let waits = events
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|e| matches!(e, Event::WaitingForLease { holder, .. } if holder.contains("bob")))
        .count();
    assert_eq!(waits, 1);
}

#[tokio::test(start_paused = true)]
async fn lock_wait_ends() {
    let bench = Bench::new("sql/0001_a");
    let theirs = bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
    let options = ApplyOptions {
        lock_wait: Some(Duration::from_secs(60)),
        ..options("run")
    };
    let keep = async {
        loop {
            tokio::time::sleep(Duration::from_secs(10)).await;
            bench.sql.renew(&theirs).await.unwrap();
        }
    };
    let began = Instant::now();
    let result = tokio::select! {
        result = bench.apply_with(&options) => result,
        () = keep => panic!("never ends"),
    };
    assert!(matches!(
        result.unwrap_err(),
        ApplyError::Store(StoreError {
            kind: StoreErrorKind::LeaseHeld(_),
            ..
        })
    ));
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(60) && waited < Duration::from_secs(61));
    assert!(bench.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_lease_lives_on_while_the_second_is_waited_for() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    let theirs = bench.redis.acquire("theirs", &holder("bob")).await.unwrap();
    let options = ApplyOptions {
        lock_wait: Some(LEASE_TTL * 10),
        ..options("run")
    };
    let release = async {
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            bench.redis.renew(&theirs).await.unwrap();
        }
        let held = bench.sql.lease().await.unwrap().unwrap();
        assert!(!held.expired(), "renewed all the while");
        bench.redis.release(&theirs).await.unwrap();
    };
    let (result, ()) = tokio::join!(bench.apply_with(&options), release);
    assert!(ran(result).complete());
    assert!(bench.sql.renewals.load(Ordering::SeqCst) >= 8);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_lease_can_be_interrupted() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    bench.redis.acquire("theirs", &holder("bob")).await.unwrap();
    let options = ApplyOptions {
        lock_wait: Some(Duration::from_secs(20)),
        ..options("run")
    };
    let cancel = CancellationToken::new();
    let interrupt = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(
        apply(&bench.stores, &bench.plan, &options, &NoEvents, &cancel),
        interrupt
    );
    assert!(matches!(
        result.unwrap_err(),
        ApplyError::Store(StoreError {
            kind: StoreErrorKind::Cancelled,
            ..
        })
    ));
    assert_eq!(bench.sql.lease().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn u13_a_long_step_keeps_its_lease_by_renewing_it() {
    let bench = Bench::new("sql/0001_a sql/0002_b");
    let hours = Duration::from_secs(3 * 3600);
    bench
        .sql
        .lingers
        .lock()
        .unwrap()
        .insert(id("sql/0001_a"), hours);
    assert!(bench.report().await.complete());
    let renewals = bench.sql.renewals.load(Ordering::SeqCst);
    assert!((1000..1100).contains(&renewals), "{renewals}");
}

#[tokio::test(start_paused = true)]
async fn u13_a_lease_that_is_lost_stops_the_run_and_nothing_more_is_written() {
    let bench = Bench::new("sql/0001_a sql/0002_b sql/0003_c");
    bench.inject("sql/0002_b", Fault::Stall);
    let takeover = async {
        // After the first step, while the second one is under way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.sql.inner.expire_lease();
        let theirs = bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
        (theirs, bench.sql.inner.writes())
    };
    let (result, (theirs, writes)) = tokio::join!(bench.apply(), takeover);
    let report = ran(result);
    assert_eq!(
        (report.done(), report.failed(), report.not_started()),
        (1, 1, 1)
    );
    assert_eq!(failure(&report, "sql/0002_b"), &StoreErrorKind::LeaseLost);
    assert_eq!(bench.effects(), ["apply sql/0001_a"]);
    assert_eq!(bench.sql.inner.writes(), writes);
    // The new holder's lease is untouched.
    bench.sql.renew(&theirs).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn u13_a_runner_that_wakes_without_its_lease_commits_nothing() {
    let bench = Bench::new("sql/0001_a");
    let takeover = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        bench.sql.inner.expire_lease();
        bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
    };
    let (result, ()) = tokio::join!(bench.apply(), takeover);
    let report = ran(result);
    assert_eq!(failure(&report, "sql/0001_a"), &StoreErrorKind::LeaseLost);
    assert!(bench.effects().is_empty());
    assert!(bench.sql.inner.ledger().is_empty());
    assert!(bench.sql.history().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_between_two_steps_is_the_reason_in_the_report() {
    let bench = Bench::new("sql/0001_a sql/0002_b sql/0003_c");
    // The step is recorded, and before the run hears of it the lease is gone.
    bench
        .sql
        .lingers
        .lock()
        .unwrap()
        .insert(id("sql/0001_a"), Duration::from_secs(60));
    let lose = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let held = bench.sql.lease().await.unwrap().unwrap();
        bench.sql.break_lease(&held.id).await.unwrap();
    };
    let (result, ()) = tokio::join!(bench.apply(), lose);
    let report = ran(result);
    assert_eq!(
        (report.done(), report.failed(), report.not_started()),
        (1, 1, 1)
    );
    assert_eq!(failure(&report, "sql/0002_b"), &StoreErrorKind::LeaseLost);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_renews_no_more() {
    let bench = Bench::new("sql/0001_a");
    bench.inject("sql/0001_a", Fault::Stall);
    tokio::select! {
        _ = bench.apply() => panic!("it stalls"),
        () = tokio::time::sleep(Duration::from_secs(25)) => {}
    }
    let renewals = bench.sql.renewals.load(Ordering::SeqCst);
    assert_eq!(renewals, 2);
    tokio::time::sleep(LEASE_TTL * 3).await;
    assert_eq!(bench.sql.renewals.load(Ordering::SeqCst), renewals);
    assert!(bench.sql.lease().await.unwrap().unwrap().expired());
}

#[tokio::test(start_paused = true)]
async fn a_run_with_nothing_to_do_takes_no_lease_and_writes_nothing() {
    let bench = Bench::new("");
    bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
    let writes = bench.writes();
    assert!(matches!(bench.apply().await, Ok(Applied::NothingToDo)));
    assert_eq!(bench.writes(), writes);
    let empty = Bench::new("");
    assert!(matches!(empty.apply().await, Ok(Applied::NothingToDo)));
    assert_eq!(empty.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn c07_a_spent_plan_is_done_again_without_a_lease() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    assert!(bench.report().await.complete());
    bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
    let writes = bench.writes();
    for _ in 0..3 {
        assert!(matches!(bench.apply().await, Ok(Applied::Already)));
    }
    assert_eq!(bench.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn u06_a_stale_plan_is_refused_and_nothing_is_written() {
    let project = Project::new("sql/0001_a sql/0002_b redis/0001_x");
    let bench = Bench::of(&project);
    bench
        .sql
        .inner
        .put(id("sql/0001_a"), project.entry("sql/0001_a"));
    let error = bench.apply().await.unwrap_err();
    let ApplyError::Stale(differences) = &error else {
        panic!("{error}");
    };
    assert!(matches!(
        differences.as_slice(),
        [Difference::Entry { id: found, .. }] if *found == id("sql/0001_a")
    ));
    assert!(error.to_string().contains("planned from no record"));
    assert_eq!(bench.writes(), 0);
}

/// Somebody applies between the first comparison and the lease.
#[tokio::test(start_paused = true)]
async fn u06_a_plan_that_turns_stale_while_it_waits_for_the_lease_is_refused() {
    let project = Project::new("sql/0001_a");
    let bench = Bench::of(&project);
    let theirs = bench.sql.acquire("theirs", &holder("bob")).await.unwrap();
    let options = ApplyOptions {
        lock_wait: Some(Duration::from_secs(60)),
        ..options("run")
    };
    let meanwhile = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench
            .sql
            .inner
            .put(id("sql/0001_a"), project.entry("sql/0001_a"));
        bench.sql.release(&theirs).await.unwrap();
    };
    let (result, ()) = tokio::join!(bench.apply_with(&options), meanwhile);
    assert!(matches!(result.unwrap_err(), ApplyError::Stale(_)));
    assert!(bench.effects().is_empty());
    bench.assert_released().await;
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_is_resumed_by_the_same_plan() {
    let bench = Bench::new("sql/0001_a sql/0002_b sql/0003_c");
    bench.inject("sql/0002_b", Fault::Stall);
    let cancel = CancellationToken::new();
    let interrupt = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let options = options("run");
    let (result, ()) = tokio::join!(
        apply(&bench.stores, &bench.plan, &options, &NoEvents, &cancel),
        interrupt
    );
    let report = ran(result);
    assert_eq!(
        (report.done(), report.failed(), report.not_started()),
        (1, 1, 1)
    );
    assert_eq!(failure(&report, "sql/0002_b"), &StoreErrorKind::Cancelled);
    bench.assert_released().await;
    assert!(bench.report().await.complete());
    assert_eq!(bench.effects().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_interrupted_before_it_begins_starts_nothing() {
    let bench = Bench::new("sql/0001_a");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let report = ran(apply(
        &bench.stores,
        &bench.plan,
        &options("run"),
        &NoEvents,
        &cancel,
    )
    .await);
    assert_eq!(report.not_started(), 1);
    assert!(bench.effects().is_empty());
    bench.assert_released().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_a_store_that_is_not_configured_is_refused() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    let stores = Stores::new().with(bench.sql.clone());
    let cancel = CancellationToken::new();
    let error = apply(&stores, &bench.plan, &options("run"), &NoEvents, &cancel)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        ApplyError::Stale(differences)
            if differences == [Difference::StoreMissing { store: StoreKind::Redis }]
    ));
    assert_eq!(bench.writes(), 0);
}

/// Pods that start together and all apply: one does the work, the others find it done.
#[tokio::test(start_paused = true)]
async fn u12_twenty_applies_at_once_do_every_step_once() {
    let bench = Bench::new(WIDE);
    let results = join_all((0..20).map(|n| {
        let bench = &bench;
        async move {
            let options = ApplyOptions {
                lock_wait: Some(Duration::from_secs(600)),
                ..options(&format!("run {n}"))
            };
            bench.apply_with(&options).await
        }
    }))
    .await;
    let mut ran = 0;
    for result in results {
        match result.unwrap() {
            Applied::Ran(report) => {
                assert!(report.complete());
                ran += 1;
            }
            Applied::Already => {}
            Applied::NothingToDo => panic!("there was something to do"),
        }
    }
    assert_eq!(ran, 1);
    assert_eq!(bench.effects().len(), 6);
    bench.assert_released().await;
}

/// The same on several threads and without waiting: whoever does not get the lease gives up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c15_twenty_applies_on_threads_do_every_step_once() {
    let mut bench = Bench::new(WIDE);
    for store in [&mut bench.sql, &mut bench.redis] {
        let kind = store.kind();
        let mut watched = Watched::new(kind, &bench.watch);
        watched.takes = Duration::ZERO;
        *store = Arc::new(watched);
    }
    bench.stores = Stores::new()
        .with(bench.sql.clone())
        .with(bench.redis.clone());
    let bench = Arc::new(bench);
    let tasks = (0..20).map(|n| {
        let bench = bench.clone();
        tokio::spawn(async move { bench.apply_with(&options(&format!("run {n}"))).await })
    });
    let mut complete = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(Applied::Ran(report)) => complete += usize::from(report.complete()),
            Ok(Applied::Already) => {}
            Err(ApplyError::Store(error)) => {
                assert!(
                    matches!(error.kind, StoreErrorKind::LeaseHeld(_)),
                    "{error}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(complete, 1);
    assert!(matches!(bench.apply().await, Ok(Applied::Already)));
    let effects: BTreeSet<String> = bench.effects().into_iter().collect();
    assert_eq!((effects.len(), bench.effects().len()), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn u10_an_error_of_a_store_is_never_an_empty_ledger() {
    let bench = Bench::new("sql/0001_a redis/0001_x");
    let project = Project::new("sql/0001_a redis/0001_x");
    let broken = Stores::new()
        .with(bench.sql.clone())
        .with(Arc::new(Broken(StoreKind::Redis)));
    let observed = observe(&broken, &project.catalog(), &project.config, Depth::Ledgers).await;
    assert!(observed.is_err());
    let cancel = CancellationToken::new();
    let error = apply(&broken, &bench.plan, &options("run"), &NoEvents, &cancel)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        ApplyError::Store(StoreError {
            kind: StoreErrorKind::Unreachable { .. },
            ..
        })
    ));
    assert_eq!(bench.writes(), 0);
}

use broken::Broken;

/// A store that cannot be reached.
mod broken {
    use async_trait::async_trait;
    use outpost::model::config::PlanConfig;
    use outpost::model::event::Events;
    use outpost::model::history::HistoryEntry;
    use outpost::model::id::StoreKind;
    use outpost::model::lease::{Holder, LeaseInfo};
    use outpost::model::migration::Migration;
    use outpost::model::plan::{Step, StepEvidence};
    use outpost::model::report::Done;
    use outpost::model::state::StoreState;
    use outpost::model::verification::Verification;
    use outpost::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};

    pub struct Broken(pub StoreKind);

    impl Broken {
        fn no<T>(&self) -> Result<T, StoreError> {
            Err(StoreError {
                store: self.0,
                address: "nowhere".to_owned(),
                kind: StoreErrorKind::Unreachable {
                    reason: "connection refused".to_owned(),
                },
            })
        }
    }

    #[async_trait]
    impl Store for Broken {
        fn kind(&self) -> StoreKind {
            self.0
        }
        fn address(&self) -> String {
            "nowhere".to_owned()
        }
        async fn observe(&self, _: &Observe) -> Result<StoreState, StoreError> {
            self.no()
        }
        async fn verify(
            &self,
            _: &Migration,
            _: &[&Migration],
            _: &dyn Events,
        ) -> Result<Verification, StoreError> {
            self.no()
        }
        async fn estimate(
            &self,
            _: &[&Step],
            _: &PlanConfig,
        ) -> Result<Vec<StepEvidence>, StoreError> {
            self.no()
        }
        async fn acquire(&self, _: &str, _: &Holder) -> Result<Lease, StoreError> {
            self.no()
        }
        async fn renew(&self, _: &Lease) -> Result<(), StoreError> {
            self.no()
        }
        async fn release(&self, _: &Lease) -> Result<(), StoreError> {
            self.no()
        }
        async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
            self.no()
        }
        async fn break_lease(&self, _: &str) -> Result<(), StoreError> {
            self.no()
        }
        async fn run(&self, _: &Step, _: &Run<'_>) -> Result<Done, StoreError> {
            self.no()
        }
        async fn record_failure(
            &self,
            _: &Step,
            _: &Run<'_>,
            _: &StoreError,
        ) -> Result<(), StoreError> {
            self.no()
        }
        async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
            self.no()
        }
    }
}

// Random graphs and random faults.

#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Fail,
    LoseAnswer,
    HalfWay,
    /// The step stalls, and the user interrupts the run.
    Interrupt,
    /// The step stalls, and the lease is taken away.
    LoseLease,
}

fn graphs() -> impl Strategy<Value = Vec<(bool, u16, Vec<Trouble>)>> {
    use Trouble::*;
    let trouble = prop::sample::select(vec![None, Fail, LoseAnswer, HalfWay, Interrupt, LoseLease]);
    let node = (
        any::<bool>(),
        any::<u16>(),
        prop::collection::vec(trouble, 0..3),
    );
    prop::collection::vec(node, 1..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However a run ends, the same plan again brings it further, until every step was done exactly once
    /// and after all that it requires.
    #[test]
    fn c15_repeated_applies_end_with_every_step_done_once(
        nodes in graphs(),
        parallelism in 1usize..5,
    ) {
        let ids: Vec<MigrationId> = nodes
            .iter()
            .enumerate()
            .map(|(at, (sql, _, _))| {
                let store = if *sql { StoreKind::Sql } else { StoreKind::Redis };
                MigrationId::new(store, &format!("{:04}_m", at + 1)).unwrap()
            })
            .collect();
        let requirements: BTreeMap<MigrationId, BTreeSet<MigrationId>> = nodes
            .iter()
            .enumerate()
            .map(|(at, (_, bits, _))| {
                let needs = (0..at).filter(|b| bits & (1 << b) != 0).map(|b| ids[b].clone());
                (ids[at].clone(), needs.collect())
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let bench = Bench::of(&Project::of(&requirements));
            let mut troubles = 0;
            for (id, (_, _, list)) in ids.iter().zip(&nodes) {
                for trouble in list {
                    let fault = match trouble {
                        Trouble::None => continue,
                        Trouble::Fail => Fault::Fail("boom".to_owned()),
                        Trouble::LoseAnswer => Fault::LoseAnswer,
                        Trouble::HalfWay => Fault::HalfWay,
                        Trouble::Interrupt | Trouble::LoseLease => Fault::Stall,
                    };
                    troubles += 1;
                    bench.store(id.store()).inner.inject(id, fault);
                }
            }
            let lose = nodes.iter().flat_map(|n| &n.2).any(|t| matches!(t, Trouble::LoseLease));
            let mut runs = 0;
            loop {
                runs += 1;
                assert!(runs <= troubles + 2, "every run meets a trouble or ends");
                let cancel = CancellationToken::new();
                // Stalls end: now by a takeover that dies, now by the user.
                let rescue = async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if lose && runs % 2 == 0 {
                        bench.take_leases_away().await;
                        std::future::pending::<()>().await;
                    }
                    cancel.cancel();
                    std::future::pending::<()>().await;
                };
                let options = ApplyOptions { parallelism, ..options(&format!("run {runs}")) };
                let result = tokio::select! {
                    result = apply(&bench.stores, &bench.plan, &options, &NoEvents, &cancel) => result,
                    () = rescue => unreachable!(),
                };
                bench.assert_released().await;
                match result.unwrap() {
                    Applied::Already => break,
                    Applied::Ran(report) if report.complete() => break,
                    Applied::Ran(report) => assert_eq!(report.steps.len(), ids.len()),
                    Applied::NothingToDo => panic!("there was something to do"),
                }
            }
            let effects = bench.effects();
            let once: BTreeSet<&String> = effects.iter().collect();
            assert_eq!((once.len(), effects.len()), (ids.len(), ids.len()), "{effects:?}");
            // The log is of both stores: a step's last begin comes after the end of all it requires.
            let log = bench.watch.log.lock().unwrap().clone();
            for (id, needs) in &requirements {
                let first = log.iter().position(|l| *l == format!("begin {id}")).unwrap();
                for need in needs {
                    let before = log[..first].iter().any(|l| *l == format!("end {need}"));
                    assert!(before, "{need} before {id}");
                }
            }
            for kind in [StoreKind::Sql, StoreKind::Redis] {
                let history = bench.store(kind).history().await.unwrap();
                assert!(history.iter().all(|e| e.intact));
            }
        });
    }
}
