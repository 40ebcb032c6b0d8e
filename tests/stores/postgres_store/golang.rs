//! Beside golang-migrate.

use outpost::model::plan::{Action, Resolution};
use outpost::model::state::{GolangVersion, LedgerStatus, Legacy};
use outpost::store::{Store, StoreErrorKind};

use super::fixture::{Fixture, Recorder, apply, golang_at, holder, plan, record, run, step};
use crate::support::{query_rows, sql, try_sql};

const IDS: [&str; 3] = ["sql/0001_a", "sql/0002_b", "sql/0003_c"];
const TABLE: &str =
    "create table schema_migrations (version bigint not null primary key, dirty boolean not null)";

fn row(fixture: &Fixture) -> Option<(String, String)> {
    let rows = query_rows(
        &fixture.database,
        "select version, dirty from schema_migrations",
    );
    assert!(rows.len() <= 1);
    rows.into_iter()
        .next()
        .map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()))
}

fn at(version: &str, dirty: &str) -> Option<(String, String)> {
    Some((version.to_owned(), dirty.to_owned()))
}

#[tokio::test]
async fn the_row_is_the_highest_number_whose_predecessors_are_all_applied() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    let store = &fixture.store;
    let plan = plan(1, &[], &IDS, Legacy::default());
    let lease = store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let go = |step| {
        let (plan, lease, events) = (&plan, &lease, &events);
        async move { run(store, &step, plan, lease, events).await.unwrap() }
    };
    go(apply(IDS[1], "create table b (i int)")).await;
    assert_eq!(row(&fixture), None);
    go(apply(IDS[0], "create table a (i int)")).await;
    assert_eq!(row(&fixture), at("2", "f"));
    go(apply(IDS[2], "create table c (i int)")).await;
    assert_eq!(row(&fixture), at("3", "f"));
    go(step(
        IDS[1],
        Action::Revert { data_loss: None },
        "drop table b",
    ))
    .await;
    assert_eq!(row(&fixture), at("1", "f"));
    let legacy = fixture.state().await.legacy.golang_migrate.unwrap();
    assert_eq!(
        legacy.row,
        Some(GolangVersion {
            version: 1,
            dirty: false
        })
    );
}

#[tokio::test]
async fn adopting_one_by_one_never_lowers_the_row() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    sql(
        &fixture.database,
        &format!("{TABLE}; insert into schema_migrations values (3, false)"),
    );
    let plan = plan(1, &[], &IDS, golang_at(Some((3, false))));
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    for id in IDS {
        let step = record(
            id,
            Action::Adopt {
                proof: "pinned".to_owned(),
            },
        );
        run(&fixture.store, &step, &plan, &lease, &Recorder::default())
            .await
            .unwrap();
        assert_eq!(row(&fixture), at("3", "f"));
    }
    assert_eq!(fixture.state().await.ledger.len(), 3);
}

#[tokio::test]
async fn u01_several_rows_and_odd_versions_are_errors() {
    for insert in ["values (1, false), (2, false)", "values (-1, true)"] {
        let fixture = Fixture::with_golang(Some("schema_migrations"));
        sql(
            &fixture.database,
            &format!("{TABLE}; insert into schema_migrations {insert}"),
        );
        let error = fixture
            .store
            .observe(&Default::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind, StoreErrorKind::EarlierTool { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_row_that_changed_since_the_plan_stops_the_step() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    sql(
        &fixture.database,
        &format!("{TABLE}; insert into schema_migrations values (2, true)"),
    );
    let plan = plan(1, &[], &IDS, golang_at(Some((1, false))));
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let step = apply(IDS[1], "create table b (i int)");
    let error = run(&fixture.store, &step, &plan, &lease, &Recorder::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error.kind, StoreErrorKind::EarlierTool { .. }),
        "{error:?}"
    );
    assert!(
        text.contains("version 2, dirty") && text.contains("implies version 1"),
        "{text}"
    );
    assert!(fixture.entry(IDS[1]).await.is_none());
}

#[tokio::test]
async fn an_old_binary_that_holds_the_advisory_lock_stops_the_step() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    let plan = plan(1, &[], &IDS, Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    for database in [
        fixture.database.name.clone(),
        format!("/{}", fixture.database.name),
    ] {
        let crc = crc32fast::hash(format!("public\0schema_migrations\0{database}").as_bytes());
        let key = (u64::from(crc) * 1_486_364_155) % (1 << 32);
        let (old, connection) =
            tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls)
                .await
                .unwrap();
        let driver = tokio::spawn(connection);
        old.batch_execute(&format!("select pg_advisory_lock({key})"))
            .await
            .unwrap();
        let step = apply(IDS[0], "create table a (i int)");
        let error = run(&fixture.store, &step, &plan, &lease, &Recorder::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("advisory lock"), "{error}");
        drop(old);
        let _ = driver.await;
    }
    assert!(fixture.entry(IDS[0]).await.is_none());
}

#[tokio::test]
async fn c01_resolve_mends_the_dirty_row_either_way() {
    for (resolution, expected) in [(Resolution::Applied, "2"), (Resolution::RolledBack, "1")] {
        let fixture = Fixture::with_golang(Some("schema_migrations"));
        sql(
            &fixture.database,
            &format!("{TABLE}; insert into schema_migrations values (2, true)"),
        );
        let plan = plan(1, &[], &IDS, golang_at(Some((2, true))));
        let lease = fixture.store.acquire("one", &holder()).await.unwrap();
        let step = record(IDS[1], Action::Resolve(resolution));
        run(&fixture.store, &step, &plan, &lease, &Recorder::default())
            .await
            .unwrap();
        assert_eq!(row(&fixture), at(expected, "f"));
        let entry = fixture.entry(IDS[1]).await.unwrap();
        assert_eq!(entry.is_applied(), resolution == Resolution::Applied);
    }
}

#[tokio::test]
async fn a_step_outside_a_transaction_is_dirty_while_it_is_half_done_and_clean_afterwards() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    let plan = plan(1, &[], &IDS, Legacy::default());
    let lease = fixture.store.acquire("one", &holder()).await.unwrap();
    let events = Recorder::default();
    let store = &fixture.store;
    run(
        store,
        &apply(IDS[0], "create table a (i int)"),
        &plan,
        &lease,
        &events,
    )
    .await
    .unwrap();
    sql(&fixture.database, "insert into a values (1), (1)");
    let mut build = apply(
        IDS[1],
        "-- outpost: transaction = false\ncreate unique index concurrently a_i on a (i)",
    );
    run(store, &build, &plan, &lease, &events)
        .await
        .unwrap_err();
    assert_eq!(row(&fixture), at("2", "t"));
    assert!(matches!(
        fixture.entry(IDS[1]).await.unwrap().status,
        LedgerStatus::Partial { .. }
    ));
    // A branch beside it leaves our dirt alone.
    run(
        store,
        &apply(IDS[2], "create table c (i int)"),
        &plan,
        &lease,
        &events,
    )
    .await
    .unwrap();
    assert_eq!(row(&fixture), at("2", "t"));
    sql(&fixture.database, "delete from a");
    build.resumes = true;
    run(store, &build, &plan, &lease, &events).await.unwrap();
    assert_eq!(row(&fixture), at("3", "f"));
    assert!(try_sql(&fixture.database, "insert into a values (1), (1)").is_err());
}
