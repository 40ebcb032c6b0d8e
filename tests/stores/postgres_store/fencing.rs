//! The lease and its tokens.

use outpost::model::state::Legacy;
use outpost::store::{Store, StoreErrorKind};

use super::fixture::{Fixture, Recorder, apply, holder, plan, run, store};
use super::proxy::{Cut, cutting};
use crate::support::{query_one_text, sql, wait_until};

const EXPIRE: &str =
    "update outpost.lease set expires_at = clock_timestamp() - interval '1 second'";

#[tokio::test]
async fn u13_a_lease_is_shown_renewed_broken_by_id_and_its_token_never_repeats() {
    let fixture = Fixture::new();
    assert!(fixture.store.lease().await.unwrap().is_none());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let error = fixture.store.acquire("two", &holder()).await.unwrap_err();
    let StoreErrorKind::LeaseHeld(info) = &error.kind else {
        panic!("{error:?}")
    };
    assert_eq!(
        (info.id.as_str(), info.token, info.holder.as_ref()),
        ("one", lease.token(), Some(&holder()))
    );
    assert!(!info.expired() && info.being_renewed());
    fixture.store.renew(&lease).await.unwrap();
    let wrong = fixture.store.break_lease("two").await.unwrap_err();
    assert_eq!(wrong.kind, StoreErrorKind::LeaseLost);
    fixture.store.break_lease("one").await.unwrap();
    assert_eq!(
        fixture.store.renew(&lease).await.unwrap_err().kind,
        StoreErrorKind::LeaseLost
    );
    fixture.store.release(&lease).await.unwrap();
    let next = fixture.store.acquire("three", &holder()).await.unwrap();
    assert!(next.token() > lease.token());
}

#[tokio::test]
async fn c06_an_expired_lease_is_taken_over_and_its_old_holder_commits_nothing() {
    let fixture = Fixture::new();
    let plan = plan(1, &[], &[], Legacy::default());
    let old = fixture.store.acquire("old", &holder()).await.unwrap();
    sql(&fixture.database, EXPIRE);
    let new = fixture.store.acquire("new", &holder()).await.unwrap();
    assert!(new.token() > old.token());
    let step = apply("sql/0001_a", "create table a (i int)");
    let error = run(&fixture.store, &step, &plan, &old, &Recorder::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::LeaseLost);
    assert!(fixture.entry("sql/0001_a").await.is_none());
    run(&fixture.store, &step, &plan, &new, &Recorder::default())
        .await
        .unwrap();
}

/// A sequence remembers a call whatever becomes of the transaction.
#[tokio::test]
async fn u13_no_statement_even_begins_under_a_lease_that_ran_out_or_was_taken_over() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create sequence ran");
    let ran = || query_one_text(&fixture.database, "select is_called::text from ran");
    let plan = plan(1, &[], &[], Legacy::default());
    let step = apply("sql/0001_a", "select nextval('ran')");
    let events = Recorder::default();
    let old = fixture.store.acquire("old", &holder()).await.unwrap();

    sql(&fixture.database, EXPIRE);
    let result = run(&fixture.store, &step, &plan, &old, &events).await;
    assert_eq!(result.unwrap_err().kind, StoreErrorKind::LeaseLost);
    assert_eq!(ran(), "false", "it had run out, and nobody had taken it");

    fixture.store.acquire("new", &holder()).await.unwrap();
    let result = run(&fixture.store, &step, &plan, &old, &events).await;
    assert_eq!(result.unwrap_err().kind, StoreErrorKind::LeaseLost);
    assert_eq!(ran(), "false", "somebody else had taken it");
    assert!(fixture.entry("sql/0001_a").await.is_none());
}

/// Whoever waits for the row of a lease that had run out looks at it again once the wait is over.
#[tokio::test(flavor = "multi_thread")]
async fn u13_of_two_that_take_over_at_the_same_moment_the_second_does_not_get_the_firsts_lease() {
    let fixture = Fixture::new();
    fixture.store.acquire("old", &holder()).await.unwrap();
    sql(&fixture.database, EXPIRE);
    let (first, connection) = tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let take = "begin; update outpost.lease set id = 'first', token = nextval('outpost.token'), \
                expires_at = clock_timestamp() + interval '30 seconds'";
    first.batch_execute(take).await.unwrap();
    let commit = async {
        let database = fixture.database.clone();
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let waiting = tokio::task::spawn_blocking(move || {
            wait_until("the second waits", || {
                query_one_text(&database, waits) == "1"
            });
        });
        waiting.await.unwrap();
        first.batch_execute("commit").await.unwrap();
    };
    let second = holder();
    let (result, ()) = tokio::join!(fixture.store.acquire("second", &second), commit);
    let error = result.unwrap_err();
    let StoreErrorKind::LeaseHeld(info) = &error.kind else {
        panic!("{error:?}")
    };
    assert_eq!(info.id, "first");
    assert_eq!(fixture.store.lease().await.unwrap().unwrap().id, "first");
}

/// What settles a broken connection raises the token of a run's own lease, and no other's.
#[tokio::test]
async fn u13_a_broken_connection_of_a_run_that_lost_its_lease_leaves_the_new_holders_token() {
    let fixture = Fixture::new();
    let plan = plan(1, &[], &[], Legacy::default());
    let step = apply("sql/0001_a", "create table a (i int)");
    let old = fixture.store.acquire("old", &holder()).await.unwrap();
    sql(&fixture.database, EXPIRE);
    let new = fixture.store.acquire("new", &holder()).await.unwrap();
    let url = cutting(&fixture.database.url, "create table a", Cut::Before).await;
    let events = Recorder::default();
    let result = run(&store(&url, None), &step, &plan, &old, &events).await;
    assert_eq!(result.unwrap_err().kind, StoreErrorKind::LeaseLost);
    let held = fixture.store.lease().await.unwrap().unwrap();
    assert_eq!((held.id.as_str(), held.token), ("new", new.token()));
    run(&fixture.store, &step, &plan, &new, &events)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_in_the_middle_of_a_step_prevents_its_commit() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table gate (i int)");
    let (blocker, connection) =
        tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    blocker
        .batch_execute("begin; lock table gate")
        .await
        .unwrap();
    let plan = plan(1, &[], &[], Legacy::default());
    let old = fixture.store.acquire("old", &holder()).await.unwrap();
    let step = apply(
        "sql/0001_a",
        "create table a (i int); insert into gate values (1)",
    );
    let events = Recorder::default();
    let takeover = async {
        let database = fixture.database.clone();
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let waiting = tokio::task::spawn_blocking(move || {
            wait_until("the step waits", || query_one_text(&database, waits) == "1");
        });
        waiting.await.unwrap();
        sql(&fixture.database, EXPIRE);
        fixture.store.acquire("new", &holder()).await.unwrap();
        blocker.batch_execute("rollback").await.unwrap();
    };
    let (result, ()) = tokio::join!(run(&fixture.store, &step, &plan, &old, &events), takeover);
    assert_eq!(result.unwrap_err().kind, StoreErrorKind::LeaseLost);
    assert!(fixture.entry("sql/0001_a").await.is_none());
    assert_eq!(
        query_one_text(&fixture.database, "select count(*) from gate"),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_runners_that_start_at_once_create_one_ledger_and_one_holds_the_lease() {
    let fixture = Fixture::new();
    let url = fixture.database.url.clone();
    let runners = (0..20).map(|n| {
        let store = store(&url, None);
        tokio::spawn(async move { store.acquire(&format!("run-{n}"), &holder()).await })
    });
    let mut won = 0;
    for runner in futures_util::future::join_all(runners).await {
        match runner.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(
                matches!(error.kind, StoreErrorKind::LeaseHeld(_)),
                "{error:?}"
            ),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(
        query_one_text(&fixture.database, "select count(*) from outpost.ledger"),
        "1"
    );
}
