//! Names and values from configurations, files and hosts are quoted, whatever they hold.

use outpost::model::lease::Holder;
use outpost::model::state::Legacy;
use outpost::store::{Store, StoreErrorKind};

use crate::fixture::{Fixture, Recorder, apply, id, plan, run};
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
        signer: None,
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
        history
            .iter()
            .all(|entry| entry.intact && entry.actor == EVIL)
    );
    let error = store.break_lease("' or true; --").await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::LeaseLost);
    store.break_lease(EVIL).await.unwrap();
}
