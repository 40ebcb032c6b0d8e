//! Connections that serve one step after another.

use outpost::model::lease::Holder;
use outpost::model::state::Legacy;
use outpost::store::{Lease, Store};

use super::fixture::{Fixture, Recorder, apply, holder, plan, run};
use crate::support::{query_one_text, query_rows, sql, wait_until};

const NOTE_PID: &str = "insert into pids values (pg_backend_pid())";

/// A database with a table for the processes that ran steps.
async fn begin() -> (Fixture, Lease) {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table pids (pid int)");
    let holder: Holder = holder();
    let lease = fixture.store.acquire("one", &holder).await.unwrap();
    (fixture, lease)
}

/// Runs one step; the name only has to differ.
async fn run_step(fixture: &Fixture, lease: &Lease, name: &str, text: &str) {
    let step = apply(name, text);
    let plan = plan(1, std::slice::from_ref(&step), &[], Legacy::default());
    run(&fixture.store, &step, &plan, lease, &Recorder::default())
        .await
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

fn processes(fixture: &Fixture) -> String {
    query_one_text(&fixture.database, "select count(distinct pid) from pids")
}

#[tokio::test]
async fn steps_share_a_connection_and_nothing_of_its_state() {
    let (fixture, lease) = begin().await;
    sql(
        &fixture.database,
        "create role reuse_role; grant reuse_role to current_user",
    );
    let leaves = "set search_path = nowhere; set statement_timeout = '77s'; set role reuse_role; reset role; \
                  create temp table left_over (i int); prepare left_over as select 1; listen left_over; \
                  declare left_over cursor with hold for select 1; select pg_advisory_lock(77); \
                  select set_config('left.over', 'x', false); insert into public.pids values (pg_backend_pid())";
    run_step(&fixture, &lease, "sql/0001_leaves", leaves).await;
    let sees = "create table seen as select current_setting('search_path') as path, \
                current_setting('left.over', true) as setting, to_regclass('left_over') as temporary, \
                (select count(*) from pg_prepared_statements) as prepared, \
                (select count(*) from pg_listening_channels()) as channels, \
                (select count(*) from pg_cursors where name = 'left_over') as cursors, \
                (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks";
    run_step(&fixture, &lease, "sql/0002_sees", sees).await;
    run_step(&fixture, &lease, "sql/0003_pid", NOTE_PID).await;
    assert_eq!(
        query_one_text(
            &fixture.database,
            "select concat_ws('/', path, nullif(setting, ''), temporary, prepared, channels, cursors, locks) from seen"
        ),
        "\"$user\", public/0/0/0/0"
    );
    assert_eq!(processes(&fixture), "1");
}

#[tokio::test]
async fn a_changed_default_of_sessions_holds_from_the_next_step_on() {
    let (fixture, lease) = begin().await;
    run_step(&fixture, &lease, "sql/0001_pid", NOTE_PID).await;
    let changes = "create schema later; do $$ begin execute format('alter database %I set search_path = later, public', \
                   current_database()); end $$";
    run_step(&fixture, &lease, "sql/0002_changes", changes).await;
    run_step(
        &fixture,
        &lease,
        "sql/0003_follows",
        "create table follows (i int)",
    )
    .await;
    run_step(
        &fixture,
        &lease,
        "sql/0004_pid",
        "insert into public.pids values (pg_backend_pid())",
    )
    .await;
    assert_eq!(
        query_one_text(
            &fixture.database,
            "select relnamespace::regnamespace::text from pg_class where relname = 'follows'"
        ),
        "later"
    );
    assert_eq!(processes(&fixture), "2");
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced() {
    let (fixture, lease) = begin().await;
    run_step(&fixture, &lease, "sql/0001_pid", NOTE_PID).await;
    sql(
        &fixture.database,
        "select pg_terminate_backend(pid) from pids",
    );
    wait_until("the process is gone", || {
        query_rows(
            &fixture.database,
            "select 1 from pg_stat_activity where pid in (select pid from pids)",
        )
        .is_empty()
    });
    let events = Recorder::default();
    let step = apply("sql/0002_pid", NOTE_PID);
    let plan = plan(1, std::slice::from_ref(&step), &[], Legacy::default());
    run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap();
    assert_eq!(events.retries(), 0, "an idle connection is no failed try");
    assert_eq!(processes(&fixture), "2");
}
