//! What every store promises, one function a promise. `store_contract!` makes a module of tests of them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use async_trait::async_trait;
use outpost::model::event::NoEvents;
use outpost::model::history::HistoryEntry;
use outpost::model::id::StoreKind;
use outpost::model::lease::Holder;
use outpost::model::plan::{Action, Plan, Resolution, Step, StepContent};
use outpost::model::report::Done;
use outpost::model::state::{HowApplied, LedgerEntry, LedgerStatus, ObservedState, StoreState};
use outpost::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};
use tokio_util::sync::CancellationToken;

use crate::folder::{self, Project, State};

/// A database of a test's own.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A client of it; each is a runner of its own.
    fn store(&self) -> Arc<dyn Store>;

    /// Lets the lease run out, as if its holder had been frozen for longer than it lives.
    async fn expire_lease(&self);

    /// Three migrations, each after the one before: `0001_a`, `0002_b` and `0003_c`. They can be reverted.
    fn project(&self) -> Project {
        match self.store().kind() {
            StoreKind::Sql => Project::new("sql/0001_a sql/0002_b sql/0003_c"),
            StoreKind::Redis => Project::new("redis/0001_a redis/0002_b redis/0003_c"),
        }
    }
}

/// Makes a module with a test for each promise; the expression makes a new, empty database.
#[macro_export]
macro_rules! store_contract {
    ($module:ident, $subject:expr) => {
        mod $module {
            use super::*;
            $crate::store_contract!(@tests $subject;
                an_absent_ledger_reads_as_empty_and_stays_absent
                taking_the_lease_creates_the_ledger_for_good
                c06_a_held_lease_shows_its_holder_and_excludes_others
                u13_tokens_grow_with_every_holder
                u13_an_expired_lease_is_taken_over_and_its_old_holder_writes_nothing
                u13_a_broken_lease_lets_its_old_holder_write_nothing
                u13_a_lease_is_broken_by_its_id_alone
                releasing_twice_harms_nobody
                applying_records_entry_and_history
                a_revert_leaves_a_tombstone_and_the_way_is_free_again
                what_only_writes_the_ledger_is_recorded_as_what_it_is
                an_accepted_edit_changes_the_checksum_alone
                a_failure_goes_to_the_history_and_not_to_the_ledger
                the_history_is_a_chain_of_hashes
                every_runner_sees_the_same
                a_plan_that_was_made_without_a_ledger_fits_the_one_that_its_run_creates
            );
        }
    };
    (@tests $subject:expr; $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::contract::$promise(&$subject).await;
            }
        )*
    };
}

pub fn holder(user: &str) -> Holder {
    Holder {
        user: user.to_owned(),
        host: "host".to_owned(),
        pid: 7,
        plan: "00".repeat(32),
        signer: None,
    }
}

async fn observe(store: &dyn Store) -> StoreState {
    store.observe(&Observe::default()).await.unwrap()
}

async fn entry(store: &dyn Store, step: &Step) -> LedgerEntry {
    let mut state = observe(store).await;
    state
        .ledger
        .remove(&step.id)
        .unwrap_or_else(|| panic!("nothing is recorded of {}", step.id))
}

async fn entries(store: &dyn Store) -> usize {
    observe(store).await.ledger.len()
}

/// The plan from where the store is to the first `count` migrations of the project.
async fn plan_for(subject: &dyn Subject, count: usize) -> Plan {
    let project = subject.project();
    let store = subject.store();
    let observed = ObservedState {
        stores: [(store.kind(), observe(&*store).await)].into(),
    };
    let wanted = project.all().into_iter().take(count).collect();
    let decision = project
        .plan(&State(observed), &project.desired(&wanted))
        .unwrap();
    folder::sealed(decision)
}

async fn run(store: &dyn Store, lease: &Lease, plan: &Plan, at: usize) -> Result<Done, StoreError> {
    let cancel = CancellationToken::new();
    let run = Run {
        lease,
        plan,
        events: &NoEvents,
        cancel: &cancel,
    };
    store.run(&plan.decision.steps[at], &run).await
}

async fn fail(
    store: &dyn Store,
    lease: &Lease,
    plan: &Plan,
    reason: &str,
) -> Result<(), StoreError> {
    let cancel = CancellationToken::new();
    let run = Run {
        lease,
        plan,
        events: &NoEvents,
        cancel: &cancel,
    };
    let error = StoreError {
        store: store.kind(),
        address: store.address(),
        kind: StoreErrorKind::Server {
            doing: "trying".to_owned(),
            reason: reason.to_owned(),
        },
    };
    store
        .record_failure(&plan.decision.steps[0], &run, &error)
        .await
}

/// Runs every step of a plan under a lease of its own.
async fn run_all(subject: &dyn Subject, plan: &Plan) {
    let store = subject.store();
    let lease = store.acquire("run", &holder("ann")).await.unwrap();
    for at in 0..plan.decision.steps.len() {
        run(&*store, &lease, plan, at)
            .await
            .unwrap_or_else(|e| panic!("{e}"));
    }
    store.release(&lease).await.unwrap();
}

fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind
}

pub async fn an_absent_ledger_reads_as_empty_and_stays_absent(subject: &dyn Subject) {
    let store = subject.store();
    for _ in 0..2 {
        let state = observe(&*store).await;
        assert!(state.ledger.is_empty());
        assert_eq!(state.identity.ledger(), None);
        assert_eq!(state.lease, None);
        assert_eq!(store.lease().await.unwrap(), None);
        assert_eq!(store.history().await.unwrap(), []);
        let all = subject.project().all().into_iter().collect();
        assert!(store.failures(&all).await.unwrap().is_empty());
    }
    let plan = plan_for(subject, 3).await;
    let steps: Vec<_> = plan.decision.steps.iter().collect();
    let evidence = store.estimate(&steps, &plan.decision.config).await.unwrap();
    assert_eq!(evidence.len(), steps.len());
    for migration in subject.project().catalog().iter() {
        store.verify(migration, &[], &NoEvents).await.unwrap();
    }
    assert_eq!(observe(&*store).await.identity.ledger(), None);
}

pub async fn taking_the_lease_creates_the_ledger_for_good(subject: &dyn Subject) {
    let store = subject.store();
    let before = observe(&*store).await.identity;
    let lease = store.acquire("one", &holder("ann")).await.unwrap();
    let created = observe(&*store).await.identity;
    assert!(created.ledger().is_some());
    assert!(created.same_database(&before));
    store.release(&lease).await.unwrap();
    let lease = store.acquire("two", &holder("ann")).await.unwrap();
    store.release(&lease).await.unwrap();
    assert_eq!(observe(&*store).await.identity, created);
    assert_eq!(observe(&*store).await.lease, None);
}

pub async fn c06_a_held_lease_shows_its_holder_and_excludes_others(subject: &dyn Subject) {
    let (ours, theirs) = (subject.store(), subject.store());
    let lease = ours.acquire("ours", &holder("ann")).await.unwrap();
    let shown = theirs.lease().await.unwrap().unwrap();
    assert_eq!(shown.id, "ours");
    assert_eq!(shown.token, lease.token());
    assert_eq!(shown.holder, Some(holder("ann")));
    assert!(!shown.expired() && shown.being_renewed());
    let observed = observe(&*theirs).await.lease.unwrap();
    assert_eq!((observed.id, observed.holder), (shown.id, shown.holder));

    match kind(theirs.acquire("theirs", &holder("bob")).await) {
        StoreErrorKind::LeaseHeld(info) => {
            assert_eq!(info.id, "ours");
            assert_eq!(info.holder, Some(holder("ann")));
        }
        other => panic!("{other}"),
    }
    ours.renew(&lease).await.unwrap();
    ours.release(&lease).await.unwrap();
    assert_eq!(kind(ours.renew(&lease).await), StoreErrorKind::LeaseLost);
    let lease = theirs.acquire("theirs", &holder("bob")).await.unwrap();
    theirs.renew(&lease).await.unwrap();
}

pub async fn u13_tokens_grow_with_every_holder(subject: &dyn Subject) {
    let store = subject.store();
    let mut last = 0;
    for round in 0..4 {
        let lease = store.acquire("same", &holder("ann")).await.unwrap();
        assert!(lease.token() > last, "{} after {last}", lease.token());
        last = lease.token();
        match round {
            0 => store.release(&lease).await.unwrap(),
            1 => subject.expire_lease().await,
            _ => store.break_lease("same").await.unwrap(),
        }
    }
}

pub async fn u13_an_expired_lease_is_taken_over_and_its_old_holder_writes_nothing(
    subject: &dyn Subject,
) {
    let (old, new) = (subject.store(), subject.store());
    let plan = plan_for(subject, 3).await;
    let lost = old.acquire("old", &holder("ann")).await.unwrap();
    run(&*old, &lost, &plan, 0).await.unwrap();
    subject.expire_lease().await;
    let shown = new.lease().await.unwrap();
    assert!(shown.is_none_or(|info| info.expired()));
    let taken = new.acquire("new", &holder("bob")).await.unwrap();
    assert!(taken.token() > lost.token());
    assert_writes_nothing(&*old, &lost, &plan).await;
    // The old holder takes nothing away from the new one either.
    old.release(&lost).await.unwrap();
    new.renew(&taken).await.unwrap();
    run(&*new, &taken, &plan, 1).await.unwrap();
    assert_eq!(entries(&*new).await, 2);
}

pub async fn u13_a_broken_lease_lets_its_old_holder_write_nothing(subject: &dyn Subject) {
    let (store, admin) = (subject.store(), subject.store());
    let plan = plan_for(subject, 3).await;
    let lease = store.acquire("old", &holder("ann")).await.unwrap();
    run(&*store, &lease, &plan, 0).await.unwrap();
    admin.break_lease("old").await.unwrap();
    assert_eq!(admin.lease().await.unwrap(), None);
    assert_writes_nothing(&*store, &lease, &plan).await;
}

/// After the first step of the plan, which was done.
async fn assert_writes_nothing(store: &dyn Store, lost: &Lease, plan: &Plan) {
    let history = store.history().await.unwrap();
    let found = kind(run(store, lost, plan, 1).await);
    assert_eq!(found, StoreErrorKind::LeaseLost);
    assert_eq!(kind(store.renew(lost).await), StoreErrorKind::LeaseLost);
    // Whether it is an error or not: nothing is written.
    let _ = fail(store, lost, plan, "too late").await;
    assert_eq!(store.history().await.unwrap(), history);
    assert_eq!(entries(store).await, 1);
}

pub async fn u13_a_lease_is_broken_by_its_id_alone(subject: &dyn Subject) {
    let store = subject.store();
    assert_eq!(
        kind(store.break_lease("any").await),
        StoreErrorKind::LeaseLost
    );
    let lease = store.acquire("mine", &holder("ann")).await.unwrap();
    for wrong in ["any", "", "min", "mine "] {
        assert_eq!(
            kind(store.break_lease(wrong).await),
            StoreErrorKind::LeaseLost
        );
    }
    store.renew(&lease).await.unwrap();
    store.break_lease("mine").await.unwrap();
    assert_eq!(store.lease().await.unwrap(), None);
    assert_eq!(
        kind(store.break_lease("mine").await),
        StoreErrorKind::LeaseLost
    );
}

pub async fn releasing_twice_harms_nobody(subject: &dyn Subject) {
    let store = subject.store();
    let first = store.acquire("first", &holder("ann")).await.unwrap();
    store.release(&first).await.unwrap();
    store.release(&first).await.unwrap();
    let second = store.acquire("second", &holder("bob")).await.unwrap();
    store.release(&first).await.unwrap();
    store.renew(&second).await.unwrap();
}

pub async fn applying_records_entry_and_history(subject: &dyn Subject) {
    let store = subject.store();
    let plan = plan_for(subject, 1).await;
    let step = &plan.decision.steps[0];
    run_all(subject, &plan).await;
    let entry = entry(&*store, step).await;
    assert_eq!(
        entry.status,
        LedgerStatus::Applied {
            how: HowApplied::Run,
            cleaned: false
        }
    );
    assert_eq!(entry.checksum, step.checksum);
    assert_eq!(entry.plan, plan.digest.hex());
    assert_eq!(entry.actor, "ann");
    assert_eq!(entry.checkpoint, None);
    assert!(is_utc(&entry.at), "{}", entry.at);
    if let StepContent::Sql(sql) = &step.content {
        assert!(sql.down.is_some());
        assert_eq!(entry.down, sql.down);
    }
    let history = store.history().await.unwrap();
    let [line] = history.as_slice() else {
        panic!("{history:?}");
    };
    assert_eq!(line.id, step.id.to_string());
    assert_eq!(
        (line.action.as_str(), line.outcome.as_str()),
        ("apply", "done")
    );
    assert_eq!(line.plan, plan.digest.hex());
    assert_eq!((line.actor.as_str(), line.host.as_str()), ("ann", "host"));
    assert!(!line.tool.is_empty());
    assert!(is_utc(&line.started_at) && is_utc(&line.ended_at));
    assert!(line.started_at <= line.ended_at);
}

fn is_utc(time: &str) -> bool {
    time.ends_with('Z') && time.contains('T')
}

pub async fn a_revert_leaves_a_tombstone_and_the_way_is_free_again(subject: &dyn Subject) {
    let store = subject.store();
    let forward = plan_for(subject, 2).await;
    run_all(subject, &forward).await;
    let back = plan_for(subject, 1).await;
    assert_eq!(back.decision.steps.len(), 1);
    run_all(subject, &back).await;
    let step = &back.decision.steps[0];
    let tombstone = entry(&*store, step).await;
    assert_eq!(tombstone.status, LedgerStatus::Reverted);
    assert_eq!(tombstone.plan, back.digest.hex());
    assert_eq!(tombstone.recorded(), None);
    let again = plan_for(subject, 2).await;
    assert_eq!(again.decision.steps.len(), 1);
    run_all(subject, &again).await;
    assert!(entry(&*store, step).await.is_applied());
    assert_eq!(
        outcomes(&store.history().await.unwrap()),
        ["apply done", "apply done", "revert done", "apply done"]
    );
}

pub async fn what_only_writes_the_ledger_is_recorded_as_what_it_is(subject: &dyn Subject) {
    let store = subject.store();
    let applied = |how| LedgerStatus::Applied {
        how,
        cleaned: false,
    };
    let reason = || "another deployment".to_owned();
    // One after the other, over the same migration: each overwrites the one before.
    for (action, status) in [
        (
            Action::Skip { reason: reason() },
            LedgerStatus::Skipped { reason: reason() },
        ),
        (
            Action::Resolve(Resolution::RolledBack),
            LedgerStatus::Reverted,
        ),
        (
            Action::Adopt {
                proof: "its verification passes".to_owned(),
            },
            applied(HowApplied::Adopted),
        ),
        (
            Action::Resolve(Resolution::RolledBack),
            LedgerStatus::Reverted,
        ),
        (
            Action::Resolve(Resolution::Applied),
            applied(HowApplied::Resolved),
        ),
    ] {
        let fresh = subject.project().all().into_iter().next().unwrap();
        let plan = plan_to_of(subject, &fresh, action.clone());
        run_all(subject, &plan).await;
        let found = entry(&*store, &plan.decision.steps[0]).await;
        assert_eq!(found.status, status, "{action:?}");
        assert_eq!(found.plan, plan.digest.hex());
    }
    assert_eq!(
        outcomes(&store.history().await.unwrap()),
        [
            "skip done",
            "resolve as rolled back done",
            "adopt done",
            "resolve as rolled back done",
            "resolve as applied done"
        ]
    );
}

/// A plan with one step that only records, whatever the ledger says of the migration now.
fn plan_to_of(subject: &dyn Subject, id: &outpost::model::id::MigrationId, action: Action) -> Plan {
    let project = subject.project();
    let kind = subject.store().kind();
    let mut decision = project.plan(&State::only(kind), &project.latest()).unwrap();
    decision.steps.retain(|s| s.id == *id);
    decision.steps[0].action = action;
    decision.steps[0].content = StepContent::Record;
    folder::sealed(decision)
}

pub async fn an_accepted_edit_changes_the_checksum_alone(subject: &dyn Subject) {
    let store = subject.store();
    run_all(subject, &plan_for(subject, 1).await).await;
    let step_of = |plan: &Plan| plan.decision.steps[0].clone();
    let id = subject.project().all().into_iter().next().unwrap();
    let skip = Action::Skip {
        reason: "r".to_owned(),
    };
    for before in [None, Some(skip)] {
        if let Some(action) = before {
            let plan = plan_to_of(subject, &id, action);
            run_all(subject, &plan).await;
        }
        let mut plan = plan_to_of(subject, &id, Action::Cleanup);
        let old = entry(&*store, &step_of(&plan)).await;
        let edited = outpost::model::checksum::Checksum::of_content("edited");
        plan.decision.steps[0].action = Action::AcceptEdit {
            recorded: old.checksum,
        };
        plan.decision.steps[0].checksum = edited;
        let plan = folder::sealed(plan.decision);
        run_all(subject, &plan).await;
        let new = entry(&*store, &step_of(&plan)).await;
        assert_eq!(new.checksum, edited);
        assert_eq!(new.status, old.status);
        assert_eq!(new.plan, plan.digest.hex());
    }
}

pub async fn a_failure_goes_to_the_history_and_not_to_the_ledger(subject: &dyn Subject) {
    let store = subject.store();
    let plan = plan_for(subject, 1).await;
    let lease = store.acquire("run", &holder("ann")).await.unwrap();
    fail(&*store, &lease, &plan, "the disk is full")
        .await
        .unwrap();
    fail(&*store, &lease, &plan, "the disk is full")
        .await
        .unwrap();
    let history = store.history().await.unwrap();
    assert_eq!(outcomes(&history), ["apply failed", "apply failed"]);
    let detail = history[0].detail.as_deref().unwrap_or_default();
    assert!(detail.contains("the disk is full"), "{detail}");
    assert_eq!(history[0].plan, plan.digest.hex());
    assert_eq!(entries(&*store).await, 0);
    // It is the last word on the migration until the next attempt.
    let all = subject.project().all().into_iter().collect();
    let failures = store.failures(&all).await.unwrap();
    let failed = &plan.decision.steps[0].id;
    assert_eq!(failures.keys().collect::<Vec<_>>(), [failed]);
    assert_eq!(failures[failed].action, "apply");
    assert_eq!(failures[failed].at, history[1].ended_at);
    assert!(
        failures[failed].error.contains("the disk is full"),
        "{failures:?}"
    );
    run(&*store, &lease, &plan, 0).await.unwrap();
    assert_eq!(entries(&*store).await, 1);
    assert!(store.failures(&all).await.unwrap().is_empty());
}

fn outcomes(history: &[HistoryEntry]) -> Vec<String> {
    let line = |e: &HistoryEntry| format!("{} {}", e.action, e.outcome);
    history.iter().map(line).collect()
}

pub async fn the_history_is_a_chain_of_hashes(subject: &dyn Subject) {
    let store = subject.store();
    run_all(subject, &plan_for(subject, 3).await).await;
    run_all(subject, &plan_for(subject, 1).await).await;
    let history = store.history().await.unwrap();
    assert_eq!(history.len(), 5);
    let mut previous = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for entry in &history {
        assert!(entry.intact, "{entry:?}");
        assert_eq!(entry.previous, previous);
        assert!(!entry.hash.is_empty());
        previous.clone_from(&entry.hash);
        assert!(seen.insert(entry.seq.clone()) & seen.insert(format!("hash {}", entry.hash)));
    }
    assert_eq!(store.history().await.unwrap(), history);
}

pub async fn every_runner_sees_the_same(subject: &dyn Subject) {
    run_all(subject, &plan_for(subject, 2).await).await;
    let (one, other) = (subject.store(), subject.store());
    assert_eq!(observe(&*one).await.ledger, observe(&*other).await.ledger);
    assert_eq!(
        observe(&*one).await.identity,
        observe(&*other).await.identity
    );
    assert_eq!(one.history().await.unwrap(), other.history().await.unwrap());
}

pub async fn a_plan_that_was_made_without_a_ledger_fits_the_one_that_its_run_creates(
    subject: &dyn Subject,
) {
    use outpost::model::plan::Freshness;
    let store = subject.store();
    let plan = plan_for(subject, 2).await;
    let freshness = async || {
        let states = [(store.kind(), observe(&*store).await)].into();
        plan.freshness(&states)
    };
    assert_eq!(freshness().await, Freshness::Fresh);
    let lease = store.acquire("run", &holder("ann")).await.unwrap();
    assert_eq!(freshness().await, Freshness::Fresh);
    run(&*store, &lease, &plan, 0).await.unwrap();
    let done = [plan.decision.steps[0].id.clone()].into();
    assert_eq!(freshness().await, Freshness::Resumed(done));
    run(&*store, &lease, &plan, 1).await.unwrap();
    assert_eq!(freshness().await, Freshness::Spent);
}
