//! Reads: they leave no trace, wait for nobody, and never take an error for absence.

use outpost::model::checksum::Checksum;
use outpost::model::event::NoEvents;
use outpost::model::migration::{Content, Migration, SqlFile, SqlMigration};
use outpost::model::sql::Script;
use outpost::model::state::{LedgerStatus, StoreIdentity};
use outpost::model::verification::CheckOutcome;
use outpost::store::{Observe, Store, StoreErrorKind};

use super::fixture::{Fixture, apply, run_alone, store};
use crate::support::{fresh_database, query_one_text, servers, sql};

/// The URL of a new role on the database of `url`.
fn as_role(url: &str, role: &str) -> String {
    let (_, tail) = url.split_once('@').unwrap();
    format!("postgres://{role}:pw@{tail}")
}

const SCHEMA: Observe = Observe {
    markers: Vec::new(),
    schema: true,
};

#[tokio::test]
async fn c09_a_reader_without_rights_to_write_sees_an_empty_ledger_and_leaves_no_trace() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    sql(
        &fixture.database,
        "create role c09 login password 'pw'; alter role c09 set default_transaction_read_only = on",
    );
    let catalog = "select md5(string_agg(oid::text || xmin::text, ',' order by oid)) from pg_class";
    let before = query_one_text(&fixture.database, catalog);
    let state = store(
        &as_role(&fixture.database.url, "c09"),
        Some("schema_migrations"),
    )
    .observe(&SCHEMA)
    .await
    .unwrap();
    assert!(state.ledger.is_empty());
    assert!(state.lease.is_none());
    assert!(state.legacy.golang_migrate.is_none());
    assert!(matches!(
        state.identity,
        StoreIdentity::Postgres {
            ledger: None,
            system_identifier: Some(_),
            ..
        }
    ));
    let count = "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = 'outpost'";
    assert_eq!(query_one_text(&fixture.database, count), "0");
    assert_eq!(query_one_text(&fixture.database, catalog), before);
}

#[tokio::test]
async fn u10_a_missing_right_is_never_taken_for_an_absent_ledger() {
    let fixture = Fixture::new();
    run_alone(&fixture, &apply("sql/0001_a", "create table a (i int)"))
        .await
        .unwrap();
    sql(&fixture.database, "create role u10 login password 'pw'");
    let error = store(&as_role(&fixture.database.url, "u10"), None)
        .observe(&SCHEMA)
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, StoreErrorKind::Permission { .. }),
        "{error:?}"
    );
    sql(
        &fixture.database,
        "grant usage on schema outpost to u10; grant select on all tables in schema outpost to u10",
    );
    let state = store(&as_role(&fixture.database.url, "u10"), None)
        .observe(&SCHEMA)
        .await
        .unwrap();
    assert_eq!(state.ledger.len(), 1);
}

#[tokio::test]
async fn a_ledger_of_another_format_is_refused() {
    let fixture = Fixture::new();
    run_alone(&fixture, &apply("sql/0001_a", "create table a (i int)"))
        .await
        .unwrap();
    sql(&fixture.database, "update outpost.ledger set format = 2");
    let error = fixture
        .store
        .observe(&Observe::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::Ledger { reason } if reason.contains("format 2")),
        "{error:?}"
    );
}

#[tokio::test]
async fn u03_reads_answer_while_an_alter_table_holds_its_locks() {
    let fixture = Fixture::with_golang(Some("schema_migrations"));
    run_alone(
        &fixture,
        &apply("sql/0001_a", "create table big (i int primary key, t text)"),
    )
    .await
    .unwrap();
    let (altering, connection) =
        tokio_postgres::connect(&fixture.database.url, tokio_postgres::NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    altering
        .batch_execute("begin; alter table big alter column i type bigint")
        .await
        .unwrap();
    assert_eq!(fixture.state().await.ledger.len(), 1);
    assert!(fixture.store.lease().await.unwrap().is_none());
    assert_eq!(fixture.store.history().await.unwrap().len(), 1);
    // Definitions are worded by functions that need the table's lock: said at once, never waited for.
    let error = fixture.store.observe(&SCHEMA).await.unwrap_err();
    assert!(
        matches!(error.kind, StoreErrorKind::SchemaLocked { .. }),
        "{error:?}"
    );
    let step = apply("sql/0002_b", "alter table big add column u text");
    let plan = super::fixture::plan(1, &[], &[], Default::default());
    let evidence = fixture
        .store
        .estimate(&[&step], &plan.decision.config)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(evidence.tables[0].table, "public.big");
    altering.batch_execute("rollback").await.unwrap();
    let schema = fixture
        .store
        .observe(&SCHEMA)
        .await
        .unwrap()
        .schema
        .unwrap();
    assert!(schema.definitions.contains_key("table public.big"));
}

#[tokio::test]
async fn definitions_depend_neither_on_column_order_nor_on_the_search_path() {
    let one = Fixture::new();
    let two = Fixture::new();
    sql(
        &one.database,
        "create type mood as enum ('ok', 'bad'); create table t (a int default 1, b text not null, m mood); \
         create view v as select a, b from t; \
         create function f(i int) returns int language sql as 'select i'; \
         create table p (k int) partition by range (k); create table p1 partition of p for values from (1) to (2); \
         create index on p (k); create aggregate agg (int) (sfunc = int4pl, stype = int); \
         create domain d as int check (value > 0); create sequence s; create schema app",
    );
    sql(
        &two.database,
        "alter database {} set search_path = app, public; create schema app; set search_path = public; \
         create type mood as enum ('ok', 'bad'); create table t (x int, m mood, b text not null, a int default 1); \
         alter table t drop column x; create view v as select a, b from t; \
         create function f(i int) returns int language sql as 'select i'; \
         create table p (k int) partition by range (k); create table p1 partition of p for values from (1) to (2); \
         create index on p (k); create aggregate agg (int) (sfunc = int4pl, stype = int); \
         create domain d as int check (value > 0); create sequence s"
            .replace("{}", &two.database.name)
            .as_str(),
    );
    let one = one.store.observe(&SCHEMA).await.unwrap().schema.unwrap();
    let two = two.store.observe(&SCHEMA).await.unwrap().schema.unwrap();
    assert_eq!(one.definitions, two.definitions);
    assert_eq!(one.partitions, two.partitions);
    for key in [
        "table public.t",
        "view public.v",
        "function public.f(integer)",
        "aggregate public.agg(integer)",
        "type public.mood",
        "type public.d",
        "sequence public.s",
        "schema app",
        "index public.p_k_idx",
    ] {
        assert!(
            one.definitions.contains_key(key),
            "{key} in {:?}",
            one.definitions.keys()
        );
    }
    assert!(one.partitions.contains("table public.p1"));
    assert!(one.partitions.contains("index public.p1_k_idx"));
    assert!(!one.partitions.contains("table public.p"));
}

#[tokio::test]
async fn c16_errors_of_connecting_are_told_apart_and_hold_no_password() {
    let good = servers().postgres().url();
    let (head, tail) = good.rsplit_once(':').unwrap();
    let (port, database) = tail.split_once('/').unwrap();
    let (user, secret) = head
        .split_once("//")
        .unwrap()
        .1
        .split_once('@')
        .unwrap()
        .0
        .split_once(':')
        .unwrap();
    let url = |user: &str, password: &str, port: &str, database: &str, query: &str| {
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}{query}")
    };
    type Expected = fn(&StoreErrorKind) -> bool;
    let cases: [(String, Expected); 4] = [
        (url(user, "hunter2", port, database, ""), |k| {
            matches!(k, StoreErrorKind::Authentication { .. })
        }),
        (
            url(user, secret, port, "nowhere", ""),
            |k| matches!(k, StoreErrorKind::NoDatabase { database } if database == "nowhere"),
        ),
        (url(user, secret, "1", database, ""), |k| {
            matches!(k, StoreErrorKind::Unreachable { .. })
        }),
        (url(user, secret, port, database, "?sslmode=require"), |k| {
            matches!(k, StoreErrorKind::Tls(_))
        }),
    ];
    for (url, expected) in cases {
        let store = store(&url, None);
        let error = store.observe(&Observe::default()).await.unwrap_err();
        assert!(expected(&error.kind), "{error:?}");
        let all = format!("{error} {error:?} {store:?} {:?}", error.hint());
        assert!(!all.contains("hunter2") && !all.contains(secret), "{all}");
        assert!(all.contains("127.0.0.1:"), "{all}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_so() {
    let database = fresh_database();
    sql(
        &database,
        &format!(
            "alter database {} set default_transaction_read_only = on",
            database.name
        ),
    );
    let error = store(&database.url, None)
        .acquire("x", &super::fixture::holder())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, StoreErrorKind::NotReady { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_was_reverted_is_remembered_but_not_applied() {
    let fixture = Fixture::new();
    run_alone(&fixture, &apply("sql/0001_a", "create table a (i int)"))
        .await
        .unwrap();
    let revert = outpost::model::plan::Action::Revert { data_loss: None };
    run_alone(
        &fixture,
        &super::fixture::step("sql/0001_a", revert, "drop table a"),
    )
    .await
    .unwrap();
    let entry = fixture.entry("sql/0001_a").await.unwrap();
    assert_eq!(entry.status, LedgerStatus::Reverted);
    assert!(!entry.is_applied());
}

fn migration(name: &str, up: &str, verify: Option<&str>) -> Migration {
    let file = |suffix: &str, text: &str| {
        let path = format!("{name}.{suffix}.sql");
        SqlFile {
            checksum: Checksum::of_content(text),
            text: text.to_owned(),
            script: Script::parse(&path, text).unwrap(),
            path,
        }
    };
    Migration {
        id: super::fixture::id(name),
        description: None,
        requires: Default::default(),
        content: Content::Sql(Box::new(SqlMigration {
            up: file("up", up),
            down: None,
            verify: verify.map(|text| file("verify", text)),
            cleanup: None,
        })),
    }
}

#[tokio::test]
async fn u27_verification_looks_at_every_row_and_names_line_and_row() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create table a (i int, ok boolean); insert into a select i, i <> 500 from generate_series(1, 1000) i",
    );
    let up = "create table a (i int, ok boolean)";
    let cases: [(&str, &[(CheckOutcome, u64)]); 6] = [
        ("select i from a where i < 0", &[(CheckOutcome::Passed, 0)]),
        (
            "select ok from a where i < 500;\nselect true, true",
            &[(CheckOutcome::Passed, 0), (CheckOutcome::Passed, 0)],
        ),
        ("select ok from a", &[(CheckOutcome::Failed, 1)]),
        ("select i from a", &[(CheckOutcome::Failed, 1000)]),
        ("select null", &[(CheckOutcome::Failed, 1)]),
        ("select 1 from nowhere", &[(CheckOutcome::Failed, 1)]),
    ];
    for (verify, expected) in cases {
        let migration = migration("sql/0001_a", up, Some(verify));
        let found = fixture
            .store
            .verify(&migration, &[], &NoEvents)
            .await
            .unwrap();
        let outcomes: Vec<_> = found.checks.iter().map(|c| (c.outcome, c.found)).collect();
        assert_eq!(outcomes, expected, "{verify}: {found:?}");
    }
    let failing = migration(
        "sql/0001_a",
        up,
        Some("select 1 where false;\n\nselect i, 'é\u{7}' from a where i = 7"),
    );
    let found = fixture
        .store
        .verify(&failing, &[], &NoEvents)
        .await
        .unwrap();
    assert_eq!(
        found.checks[1].findings,
        ["sql/0001_a.verify.sql:3: (7, é\\u{7})"]
    );
    let none = fixture
        .store
        .verify(&migration("sql/0001_a", up, None), &[], &NoEvents)
        .await
        .unwrap();
    assert_eq!(none.checks[0].outcome, CheckOutcome::Unchecked);
    let writes = migration(
        "sql/0001_a",
        up,
        Some("with d as (delete from a returning i) select i from d where false"),
    );
    let error = fixture
        .store
        .verify(&writes, &[], &NoEvents)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(
        query_one_text(&fixture.database, "select count(*) from a"),
        "1000"
    );
}

#[tokio::test]
async fn u18_the_sizes_of_existing_tables_stand_beside_the_warnings() {
    let fixture = Fixture::new();
    sql(
        &fixture.database,
        "create table p (i int, t text) partition by range (i); create table p1 partition of p for values from (0) to (9); \
         create table p2 partition of p for values from (9) to (2000); \
         insert into p select i, repeat('x', 100) from generate_series(1, 1999) i; analyze p1; analyze p2",
    );
    let step = apply(
        "sql/0001_a",
        "create table fresh (i int);\nalter table fresh add column j int;\nalter table p alter column i type bigint",
    );
    let plan = super::fixture::plan(1, &[], &[], Default::default());
    let evidence = fixture
        .store
        .estimate(&[&step], &plan.decision.config)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(evidence.tables.len(), 1);
    assert_eq!(
        (evidence.tables[0].table.as_str(), evidence.tables[0].rows),
        ("public.p", Some(1999))
    );
    assert!(evidence.tables[0].bytes > 200_000, "{evidence:?}");
    assert!(!evidence.warnings.is_empty());
    for warning in &evidence.warnings {
        assert_eq!(warning.line, Some(3), "{evidence:?}");
        assert!(warning.message.contains("about 1,999 rows"), "{evidence:?}");
    }
}
