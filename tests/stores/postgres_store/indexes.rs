//! Statements outside a transaction.

use outpost::model::plan::PlannedStatement;
use outpost::model::state::Legacy;
use outpost::store::{Store, StoreErrorKind};

use super::fixture::{Fixture, Recorder, apply, content, holder, plan, run, run_alone};
use crate::support::{query_one_text, sql, wait_until};

const VALID: &str = "select indisvalid from pg_index where indexrelid = 'a_i'::regclass";

fn build(sql: &str) -> outpost::model::plan::Step {
    apply(
        "sql/0001_a",
        &format!("-- outpost: transaction = false\n{sql}"),
    )
}

#[tokio::test]
async fn c04_an_invalid_index_is_dropped_and_rebuilt_even_under_if_not_exists() {
    for sql_text in [
        "create unique index concurrently a_i on a (i)",
        "create unique index concurrently if not exists a_i on public.a (i)",
    ] {
        let fixture = Fixture::new();
        sql(
            &fixture.database,
            "create table a (i int); insert into a values (1), (1)",
        );
        let plan = plan(1, &[], &[], Legacy::default());
        let lease = fixture.store.acquire("one", &holder()).await.unwrap();
        let mut step = build(sql_text);
        let error = run(&fixture.store, &step, &plan, &lease, &Recorder::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&error.kind, StoreErrorKind::Statement(s) if s.code == "23505" && s.line == 2),
            "{error:?}"
        );
        assert_eq!(query_one_text(&fixture.database, VALID), "f");
        sql(&fixture.database, "delete from a");
        step.resumes = true;
        let events = Recorder::default();
        run(&fixture.store, &step, &plan, &lease, &events)
            .await
            .unwrap();
        assert_eq!(query_one_text(&fixture.database, VALID), "t");
        assert!(
            events
                .notes()
                .iter()
                .any(|n| n.contains("INVALID index public.a_i")),
            "{:?}",
            events.notes()
        );
        assert!(fixture.entry("sql/0001_a").await.unwrap().is_applied());
    }
}

#[tokio::test]
async fn c15_a_step_goes_on_from_its_checkpoint() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create table a (i int, j int); insert into a values (1, 1), (1, 2)",
    );
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let mut step = build(
        "create index concurrently a_j on a (j);\ncreate unique index concurrently a_i on a (i);\nvacuum a",
    );
    run(&fixture.store, &step, &plan, &lease, &Recorder::default())
        .await
        .unwrap_err();
    let entry = fixture.entry("sql/0001_a").await.unwrap();
    assert_eq!(entry.checkpoint.unwrap().statements_done, 1);
    sql(&fixture.database, "delete from a where j = 2");
    step.resumes = true;
    let events = Recorder::default();
    run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap();
    assert_eq!(events.statements(), 2);
    assert!(fixture.entry("sql/0001_a").await.unwrap().is_applied());
    let history = fixture.store.history().await.unwrap();
    assert_eq!(history.len(), 1);
}

#[tokio::test]
async fn u17_a_checkpoint_of_another_text_of_the_file_does_not_count() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create table a (i int); insert into a values (1), (1); create sequence ran",
    );
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let fails = "create unique index concurrently a_i on a (i)";
    let step = build(&format!("vacuum a;\n{fails}"));
    run(&fixture.store, &step, &plan, &lease, &Recorder::default())
        .await
        .unwrap_err();
    let mut edited = build("select nextval('ran');\nvacuum a");
    edited.resumes = true;
    let events = Recorder::default();
    run(&fixture.store, &edited, &plan, &lease, &events)
        .await
        .unwrap();
    assert_eq!(events.statements(), 2);
    let ran = query_one_text(&fixture.database, "select is_called::text from ran");
    assert_eq!(ran, "true");
    let notes = events.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("was edited since 1 of its statements")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn c15_a_finished_index_whose_checkpoint_was_lost_counts_as_done() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table a (i int)");
    let mut step = build("create index concurrently a_i on a (i)");
    sql(&fixture.database, "create index a_i on a (i)");
    let error = run_alone(&fixture, &step).await.unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::Statement(s) if s.code == "42P07"),
        "{error:?}"
    );
    step.resumes = true;
    run_alone(&fixture, &step).await.unwrap();
    assert_eq!(query_one_text(&fixture.database, VALID), "t");
}

#[tokio::test]
async fn an_edited_file_begins_again_and_says_so() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create table a (i int); insert into a values (1), (1)",
    );
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let step = build("vacuum a; create unique index concurrently a_i on a (i)");
    run(&fixture.store, &step, &plan, &lease, &Recorder::default())
        .await
        .unwrap_err();
    let mut edited = build("vacuum a; create index concurrently a_i on a (i)");
    edited.resumes = true;
    let events = Recorder::default();
    run(&fixture.store, &edited, &plan, &lease, &events)
        .await
        .unwrap();
    assert_eq!(events.statements(), 2);
    assert!(
        events.notes().iter().any(|n| n.contains("was edited")),
        "{:?}",
        events.notes()
    );
    assert_eq!(query_one_text(&fixture.database, VALID), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn c03_limits_outside_a_transaction_are_kept_by_the_client_and_leave_no_setting() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table a (i int)");
    let (blocker, connection) =
        tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    blocker.batch_execute("begin; lock table a").await.unwrap();
    let mut step = build("create index concurrently a_i on a (i)");
    content(&mut step).lock_timeout_ms = Some(100);
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let error = run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::Exhausted { reason, .. } if reason.contains("lock")),
        "{error:?}"
    );
    content(&mut step).lock_timeout_ms = None;
    content(&mut step).statement_timeout_ms = 100;
    let error = run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("statement_timeout"), "{error}");
    blocker.batch_execute("rollback").await.unwrap();
    content(&mut step).statement_timeout_ms = 0;
    step.resumes = true;
    run(&fixture.store, &step, &plan, &lease, &events)
        .await
        .unwrap();
    assert_eq!(query_one_text(&fixture.database, VALID), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn c15_an_index_that_a_dead_run_still_builds_is_waited_for() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table a (i int)");
    let open = || tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls);
    let (blocker, connection) = open().await.unwrap();
    tokio::spawn(connection);
    // Holds the build in the phase in which the index exists but is not valid.
    blocker
        .batch_execute("begin; insert into a values (1)")
        .await
        .unwrap();
    let (dead, connection) = open().await.unwrap();
    tokio::spawn(connection);
    let building = tokio::spawn(async move {
        dead.batch_execute("create index concurrently a_i on a (i)")
            .await
    });
    let database = fixture.database.clone();
    let begun = tokio::task::spawn_blocking(move || {
        wait_until("the index is being built", || {
            query_one_text(
                &database,
                "select count(*) from pg_stat_progress_create_index where index_relid <> 0",
            ) == "1"
        });
    });
    begun.await.unwrap();
    let mut step = build("create index concurrently a_i on a (i)");
    step.resumes = true;
    let plan = plan(1, &[], &[], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    // What the dead run left in the ledger before it sent the statement.
    let begun = format!(
        "insert into outpost.migration (id, status, doing, checksum, plan, actor, statements_done, content) \
         values ('sql/0001_a', 'partial', 'apply', '{0}', 'dead', 'dead', 0, '{0}')",
        step.checksum
    );
    sql(&fixture.database, &begun);
    let events = Recorder::default();
    let release = async {
        while events.notes().is_empty() {
            tokio::task::yield_now().await;
        }
        blocker.batch_execute("commit").await.unwrap();
    };
    let (result, ()) = tokio::join!(run(&fixture.store, &step, &plan, &lease, &events), release);
    result.unwrap();
    building.await.unwrap().unwrap();
    assert!(
        events.notes()[0].contains("still builds"),
        "{:?}",
        events.notes()
    );
    assert_eq!(query_one_text(&fixture.database, VALID), "t");
}

#[tokio::test]
async fn c04_what_a_reindex_left_is_dropped() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create table a (i int); create index a_i on a (i); create index a_i_ccnew on a (i)",
    );
    sql(
        &fixture.database,
        "update pg_index set indisvalid = false where indexrelid = 'a_i_ccnew'::regclass",
    );
    let step = build("reindex index concurrently a_i");
    let statement: &PlannedStatement = match &step.content {
        outpost::model::plan::StepContent::Sql(content) => &content.statements[0],
        _ => panic!("no statements"),
    };
    assert!(statement.concurrent_index.is_some());
    run_alone(&fixture, &step).await.unwrap();
    assert_eq!(
        query_one_text(
            &fixture.database,
            "select coalesce(to_regclass('a_i_ccnew')::text, 'none')"
        ),
        "none"
    );
}
