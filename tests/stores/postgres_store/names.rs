//! Names and values from configurations, files and hosts are quoted, whatever they hold.

use outpost::model::lease::Holder;
use outpost::model::state::Legacy;
use outpost::store::{Run, Store, StoreErrorKind};
use tokio_util::sync::CancellationToken;

use super::fixture::{Fixture, Recorder, apply, holder, id, plan, run};
use crate::support::{query_one_text, sql};

/// Ends an identifier, a literal and a statement.
const EVIL: &str = r#"x"; drop table kept; --'; drop table kept; --\"#;

#[tokio::test]
async fn no_name_and_no_value_gets_into_a_statement_unquoted() {
    let fixture = Fixture::with_golang(Some(EVIL));
    let store = &fixture.store;
    sql(
        &fixture.database,
        "create table kept (n int); insert into kept values (1), (1)",
    );
    let quoted = EVIL.replace('"', "\"\"");
    let holder = Holder {
        user: EVIL.to_owned(),
        host: EVIL.to_owned(),
        pid: 7,
        plan: "p".repeat(64),
        signer: Some(EVIL.to_owned()),
    };
    let plan = plan(1, &[], &["sql/0001_a", "sql/0002_b"], Legacy::default());
    let lease = store.acquire(EVIL, &holder).await.unwrap();
    let events = Recorder::default();
    let create = apply(
        "sql/0001_a",
        &format!(
            "create table \"{quoted}_too\" (n int); comment on table \"{quoted}_too\" is 'it''s'"
        ),
    );
    run(store, &create, &plan, &lease, &events).await.unwrap();

    // An INVALID index of that name is dropped by a statement of the tool's own.
    let mut build = apply(
        "sql/0002_b",
        &format!(
            "-- outpost: transaction = false\ncreate unique index concurrently \"{quoted}_i\" on kept (n)"
        ),
    );
    run(store, &build, &plan, &lease, &events)
        .await
        .unwrap_err();
    sql(
        &fixture.database,
        "delete from kept where ctid = (select min(ctid) from kept)",
    );
    build.resumes = true;
    run(store, &build, &plan, &lease, &events).await.unwrap();

    let rows = query_one_text(&fixture.database, "select count(*) from kept");
    assert_eq!(rows, "1");
    let row = format!("select version || ' ' || dirty from \"{quoted}\"");
    assert_eq!(query_one_text(&fixture.database, &row), "2 false");
    let state = fixture.state().await;
    assert_eq!(state.ledger[&id("sql/0002_b")].actor, EVIL);
    assert_eq!(state.lease.unwrap().holder.unwrap().user, EVIL);
    let history = store.history().await.unwrap();
    assert!(
        history.iter().all(|entry| entry.intact
            && entry.actor == EVIL
            && entry.signer.as_deref() == Some(EVIL))
    );

    // What a server says is a value, too, and so are the names that an estimate asks for.
    let mut error = store.break_lease("nobody's").await.unwrap_err();
    error.kind = StoreErrorKind::Ledger {
        reason: EVIL.to_owned(),
    };
    let cancel = CancellationToken::new();
    let under = Run {
        lease: &lease,
        plan: &plan,
        events: &events,
        cancel: &cancel,
    };
    store.record_failure(&create, &under, &error).await.unwrap();
    let last = store.history().await.unwrap().pop().unwrap();
    assert_eq!(last.detail, Some(error.to_string()));
    let change = apply(
        "sql/0003_c",
        &format!("alter table \"{quoted}_too\" add column m int"),
    );
    let config = &plan.decision.config;
    let evidence = store.estimate(&[&change], config).await.unwrap();
    assert!(evidence[0].tables[0].table.contains("drop table kept"));
    let rows = query_one_text(&fixture.database, "select count(*) from kept");
    assert_eq!(rows, "1");
    let error = store.break_lease("' or true; --").await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::LeaseLost);
    store.break_lease(EVIL).await.unwrap();
}

#[tokio::test]
async fn the_schema_of_golang_migrates_table_is_quoted_too() {
    let fixture = Fixture::with_golang(Some(&format!("{EVIL}.{EVIL}")));
    let quoted = EVIL.replace('"', "\"\"");
    sql(
        &fixture.database,
        &format!("create table kept (n int); create schema \"{quoted}\""),
    );
    let plan = plan(1, &[], &["sql/0001_a"], Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let create = apply("sql/0001_a", "create table a (n int)");
    let events = Recorder::default();
    run(&fixture.store, &create, &plan, &lease, &events)
        .await
        .unwrap();
    let row = format!("select version from \"{quoted}\".\"{quoted}\"");
    assert_eq!(query_one_text(&fixture.database, &row), "1");
    let state = fixture.state().await;
    assert_eq!(state.legacy.golang_migrate.unwrap().row.unwrap().version, 1);
    assert_eq!(
        query_one_text(&fixture.database, "select count(*) from kept"),
        "0"
    );
}
