//! Steps in one transaction.

use outpost::model::plan::Action;
use outpost::model::state::{HowApplied, LedgerStatus, Legacy};
use outpost::store::{Run, Store, StoreErrorKind};
use tokio_util::sync::CancellationToken;

use super::fixture::{
    Fixture, Recorder, apply, content, holder, plan, record, run, run_alone, step, store,
};
use super::proxy::{Cut, cutting};
use crate::support::{query_one_text, query_rows, sql, try_sql, wait_until};

#[tokio::test]
async fn u18_the_change_and_its_record_commit_together() {
    let fixture = Fixture::new();
    let mut step = apply(
        "sql/0001_a",
        "create table a (i int); -- done\ninsert into a values (1) -- the end",
    );
    content(&mut step).down = Some("drop table a -- it's \\ gone".to_owned());
    run_alone(&fixture, &step).await.unwrap();
    let entry = fixture.entry("sql/0001_a").await.unwrap();
    assert_eq!(
        entry.status,
        LedgerStatus::Applied {
            how: HowApplied::Run,
            cleaned: false
        }
    );
    assert_eq!(entry.down.as_deref(), Some("drop table a -- it's \\ gone"));
    assert_eq!(entry.checksum, step.checksum);
    assert_eq!(entry.actor, "ann");
    let same = "select count(distinct xmin::text) from (select xmin from a union all \
                select xmin from outpost.migration union all select xmin from outpost.history) x";
    assert_eq!(query_one_text(&fixture.database, same), "1");
    let history = fixture.store.history().await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].action.as_str(), history[0].outcome.as_str()),
        ("apply", "done")
    );
}

#[tokio::test]
async fn a_failure_rolls_everything_back_and_names_file_line_and_code() {
    let fixture = Fixture::new();
    for (sql, line, code) in [
        (
            "create table a (i int);\n\ninsert into a\nvalues (1),\n  ('x')",
            5,
            "22P02",
        ),
        ("create table a (i int);\nselect 'é', nope", 2, "42703"),
        ("create table a (i int);\nselect 1/0", 2, "22012"),
        (
            "create table a (i int);\n select 1 -- x\n;\nselect selec from",
            4,
            "42601",
        ),
        (
            "create table a (i int primary key);\ncreate table b (i int references a deferrable initially deferred);\n\
             insert into b values (1)",
            3,
            "23503",
        ),
    ] {
        let mut step = apply("sql/0001_a", "select 1");
        let statements = sql.split(';').scan(1, |line, text| {
            let lead = text.len() - text.trim_start().len();
            let at = *line + u32::try_from(text[..lead].matches('\n').count()).unwrap();
            *line += u32::try_from(text.matches('\n').count()).unwrap();
            let mut statement = content(&mut apply("sql/0001_a", "select 1")).statements[0].clone();
            statement.text = text.trim_start().to_owned();
            statement.line = at;
            Some(statement)
        });
        content(&mut step).statements = statements.collect();
        let error = run_alone(&fixture, &step).await.unwrap_err();
        let StoreErrorKind::Statement(statement) = &error.kind else {
            panic!("{error:?}")
        };
        assert_eq!(
            (statement.line, statement.code.as_str()),
            (line, code),
            "{sql}: {error}"
        );
        assert_eq!(statement.file, "sql/0001_a.up.sql");
        assert!(fixture.entry("sql/0001_a").await.is_none());
        assert_eq!(
            query_one_text(
                &fixture.database,
                "select coalesce(to_regclass('a')::text, 'none')"
            ),
            "none"
        );
    }
    assert!(fixture.store.history().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_failure_is_written_into_the_history() {
    let fixture = Fixture::new();
    let step = apply("sql/0001_a", "select 1/0");
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let error = run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap_err();
    let cancel = CancellationToken::new();
    let under = Run {
        lease: &lease,
        plan: &plan,
        events: &events,
        cancel: &cancel,
    };
    fixture
        .store
        .record_failure(&step, &under, &error)
        .await
        .unwrap();
    let history = fixture.store.history().await.unwrap();
    assert_eq!(history[0].outcome, "failed");
    assert!(
        history[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("division by zero")
    );
}

#[tokio::test]
async fn what_statements_answer_cannot_fool_the_way_to_the_failed_one() {
    let fixture = Fixture::new();
    let mut step = apply("sql/0001_a", "select 1;\nselect 2;\nselect 1/0");
    // As one text, as with `parse = false`: the markers still hold.
    content(&mut step).statements[0].text =
        "select 1; select 'x:0'; select 'y:1'; /* nothing */".to_owned();
    let error = run_alone(&fixture, &step).await.unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::Statement(s) if s.line == 3),
        "{error:?}"
    );
}

#[tokio::test]
async fn c14_a_lock_timeout_is_retried_and_every_try_is_told() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table a (i int)");
    let (blocker, connection) =
        tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    blocker
        .batch_execute("begin; lock table a in access share mode")
        .await
        .unwrap();
    let mut step = apply("sql/0001_a", "alter table a add column j int");
    content(&mut step).lock_timeout_ms = Some(50);
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let error = run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, StoreErrorKind::Exhausted { attempts: 5, .. }),
        "{error:?}"
    );
    assert_eq!(events.retries(), 4);

    let events = Recorder::default();
    let freed = async {
        while events.retries() == 0 {
            tokio::task::yield_now().await;
        }
        blocker.batch_execute("rollback").await.unwrap();
    };
    let (result, ()) = tokio::join!(run(&fixture.store, &step, &plan, &lease, &events), freed);
    result.unwrap();
    assert!(fixture.entry("sql/0001_a").await.unwrap().is_applied());
}

#[tokio::test]
async fn a_transaction_that_its_own_statement_ended_fails_loudly() {
    let fixture = Fixture::new();
    let mut step = apply(
        "sql/0001_a",
        "create table a (i int); create table b (i int)",
    );
    content(&mut step).statements[0]
        .text
        .push_str("; commit; begin");
    let error = run_alone(&fixture, &step).await.unwrap_err();
    assert!(
        error.to_string().contains("ended the transaction"),
        "{error}"
    );
    assert!(fixture.entry("sql/0001_a").await.is_none());
    assert_eq!(
        query_one_text(
            &fixture.database,
            "select coalesce(to_regclass('b')::text, 'none')"
        ),
        "none"
    );
}

#[tokio::test]
async fn settings_of_a_migration_do_not_reach_its_record() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create role nobody_special; grant create, usage on schema public to nobody_special",
    );
    let text = "set local search_path = nowhere; set local role nobody_special; \
                set local statement_timeout = '1ms'; set local standard_conforming_strings = off; \
                set local datestyle = 'German'; set local timezone = 'Asia/Tokyo'; create table public.a (i int)";
    let mut step = apply("sql/0001_a", text);
    content(&mut step)
        .statements
        .retain(|s| !s.text.contains("statement_timeout"));
    run_alone(&fixture, &step).await.unwrap();
    assert!(fixture.entry("sql/0001_a").await.unwrap().is_applied());
    assert!(fixture.store.history().await.unwrap()[0].intact);
}

#[tokio::test]
async fn c15_an_answer_that_is_lost_on_its_way_is_found_in_the_ledger() {
    for cut in [Cut::Before, Cut::After] {
        let fixture = Fixture::new();
        let url = cutting(&fixture.database.url, "create table a", cut).await;
        let behind = store(&url, None);
        let lease = behind.acquire("one", &holder()).await.unwrap();
        let token = lease.token();
        let step = apply("sql/0001_a", "create table a (i int)");
        let plan = plan(1, &[], &[], Legacy::default());
        let events = Recorder::default();
        run(&behind, &step, &plan, &lease, &events).await.unwrap();
        assert!(lease.token() > token, "the old token must be fenced");
        assert_eq!(events.retries(), usize::from(cut == Cut::Before));
        assert_eq!(fixture.store.history().await.unwrap().len(), 1);
        behind.renew(&lease).await.unwrap();
        // The raised token works on.
        run(
            &behind,
            &apply("sql/0002_b", "create table b (i int)"),
            &plan,
            &lease,
            &events,
        )
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c15_a_terminated_session_is_run_again() {
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
    let step = apply(
        "sql/0001_a",
        "create table a (i int); insert into gate values (1)",
    );
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let kill = async {
        let database = fixture.database.clone();
        let waiting = "select pg_terminate_backend(pid) from pg_stat_activity \
                       where datname = current_database() and wait_event_type = 'Lock'";
        let killed = tokio::task::spawn_blocking(move || {
            wait_until("the step waits", || {
                !query_rows(&database, waiting).is_empty()
            });
        });
        killed.await.unwrap();
        blocker.batch_execute("rollback").await.unwrap();
    };
    let (result, ()) = tokio::join!(run(&fixture.store, &step, &plan, &lease, &events), kill);
    result.unwrap();
    assert_eq!(
        query_one_text(&fixture.database, "select count(*) from gate"),
        "1"
    );
    assert_eq!(fixture.store.history().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_the_running_statement_and_leaves_nothing() {
    let fixture = Fixture::new();
    let step = apply("sql/0001_a", "create table a (i int); select pg_sleep(600)");
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let cancel = CancellationToken::new();
    let events = Recorder::default();
    let under = Run {
        lease: &lease,
        plan: &plan,
        events: &events,
        cancel: &cancel,
    };
    let sleeping = "select count(*) from pg_stat_activity \
                    where datname = current_database() and wait_event = 'PgSleep'";
    let database = fixture.database.clone();
    let stopping = cancel.clone();
    let stop = tokio::task::spawn_blocking(move || {
        wait_until("the statement sleeps", || {
            query_one_text(&database, sleeping) != "0"
        });
        stopping.cancel();
    });
    let error = fixture.store.run(&step, &under).await.unwrap_err();
    stop.await.unwrap();
    assert_eq!(error.kind, StoreErrorKind::Cancelled);
    assert_eq!(query_one_text(&fixture.database, sleeping), "0");
    assert!(fixture.entry("sql/0001_a").await.is_none());
}

#[tokio::test]
async fn the_history_is_append_only_and_a_forged_entry_shows() {
    let fixture = Fixture::new();
    for n in 1..=3 {
        run_alone(
            &fixture,
            &apply(
                &format!("sql/000{n}_a"),
                &format!("create table t{n} (i int)"),
            ),
        )
        .await
        .unwrap();
    }
    for change in [
        "update outpost.history set actor = 'eve'",
        "delete from outpost.history",
        "truncate outpost.history",
    ] {
        assert!(try_sql(&fixture.database, change).is_err(), "{change}");
    }
    assert!(
        fixture
            .store
            .history()
            .await
            .unwrap()
            .iter()
            .all(|e| e.intact)
    );
    sql(
        &fixture.database,
        "alter table outpost.history disable trigger all; update outpost.history set actor = 'eve' where seq = 2; \
         alter table outpost.history enable trigger all",
    );
    let intact: Vec<bool> = fixture
        .store
        .history()
        .await
        .unwrap()
        .iter()
        .map(|e| e.intact)
        .collect();
    assert_eq!(intact, [true, false, true]);
    sql(
        &fixture.database,
        "alter table outpost.history disable trigger all; delete from outpost.history where seq = 2; \
         alter table outpost.history enable trigger all",
    );
    let intact: Vec<bool> = fixture
        .store
        .history()
        .await
        .unwrap()
        .iter()
        .map(|e| e.intact)
        .collect();
    assert_eq!(intact, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_side_by_side_chain_their_history() {
    let fixture = Fixture::new();
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let steps: Vec<_> = (1..=8)
        .map(|n| {
            apply(
                &format!("sql/000{n}_a"),
                &format!("create table t{n} (i int)"),
            )
        })
        .collect();
    let runs = steps
        .iter()
        .map(|step| run(&fixture.store, step, &plan, &lease, &events));
    for result in futures_util::future::join_all(runs).await {
        result.unwrap();
    }
    let history = fixture.store.history().await.unwrap();
    assert_eq!(history.len(), 8);
    assert!(history.iter().all(|e| e.intact));
    assert_eq!(fixture.state().await.ledger.len(), 8);
}

#[tokio::test]
async fn steps_that_only_record_write_the_ledger_alone() {
    let fixture = Fixture::new();
    let adopt = record(
        "sql/0001_a",
        Action::Adopt {
            proof: "fingerprint".to_owned(),
        },
    );
    run_alone(&fixture, &adopt).await.unwrap();
    let entry = fixture.entry("sql/0001_a").await.unwrap();
    assert_eq!(
        entry.status,
        LedgerStatus::Applied {
            how: HowApplied::Adopted,
            cleaned: false
        }
    );
    let mut edit = record(
        "sql/0001_a",
        Action::AcceptEdit {
            recorded: entry.checksum,
        },
    );
    edit.checksum = outpost::model::checksum::Checksum::of_content("other");
    run_alone(&fixture, &edit).await.unwrap();
    let entry = fixture.entry("sql/0001_a").await.unwrap();
    assert_eq!(entry.checksum, edit.checksum);
    assert_eq!(
        entry.status,
        LedgerStatus::Applied {
            how: HowApplied::Adopted,
            cleaned: false
        }
    );
    let skip = record(
        "sql/0002_b",
        Action::Skip {
            reason: "it's not for us".to_owned(),
        },
    );
    run_alone(&fixture, &skip).await.unwrap();
    let entry = fixture.entry("sql/0002_b").await.unwrap();
    assert_eq!(
        entry.status,
        LedgerStatus::Skipped {
            reason: "it's not for us".to_owned()
        }
    );
    let unknown = record(
        "sql/0009_x",
        Action::AcceptEdit {
            recorded: edit.checksum,
        },
    );
    assert!(run_alone(&fixture, &unknown).await.is_err());
    assert!(
        query_rows(
            &fixture.database,
            "select 1 from pg_class where relname = 'a'"
        )
        .is_empty()
    );
}

#[tokio::test]
async fn u14_a_cleanup_runs_only_when_its_verification_holds() {
    let fixture = Fixture::new();
    run_alone(
        &fixture,
        &apply(
            "sql/0001_a",
            "create table a (i int); create table old (i int); insert into old values (5)",
        ),
    )
    .await
    .unwrap();
    let mut cleanup = step("sql/0001_a", Action::Cleanup, "drop table old");
    let verify = step(
        "sql/0001_a",
        Action::Cleanup,
        "select i from old where i not in (select i from a)",
    );
    content(&mut cleanup).verify = content(&mut verify.clone()).statements.clone();
    let error = run_alone(&fixture, &cleanup).await.unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::Unverified { findings, .. } if findings[0].contains("(5)")),
        "{error:?}"
    );
    assert_eq!(
        query_one_text(&fixture.database, "select count(*) from old"),
        "1"
    );
    sql(&fixture.database, "insert into a values (5)");
    run_alone(&fixture, &cleanup).await.unwrap();
    let entry = fixture.entry("sql/0001_a").await.unwrap();
    assert_eq!(
        entry.status,
        LedgerStatus::Applied {
            how: HowApplied::Run,
            cleaned: true
        }
    );
}
