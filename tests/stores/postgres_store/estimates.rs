//! What is said of a statement beforehand, against what the server does when it runs.

use std::collections::{BTreeMap, BTreeSet};

use outpost::model::config::PlanConfig;
use outpost::model::plan::{StatementImpact, TableImpact};
use outpost::model::sql::{LockMode, TableWork};
use outpost::store::Store;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::fixture::{Fixture, apply, step};
use crate::support::sql;

const SCHEMA: &str = "\
create table o (id int primary key, v varchar(20), n numeric(10,2), a int, b int not null, c int,
                constraint c_there check (c is not null));
insert into o select i, 'x', 1, i, i, i from generate_series(1, 500) i;
create index o_a on o (a); create unique index o_b on o (b);
create table child (id int, o_id int constraint child_o references o (id), old_id int);
insert into child select i, i, i from generate_series(1, 500) i;
alter table child add constraint late foreign key (old_id) references o (id) not valid;
create table grandchild (id int primary key);
create table p (i int, t text) partition by range (i);
create table p1 partition of p for values from (0) to (1000);
create table p2 partition of p for values from (1000) to (2000);
create table p_rest partition of p default;
insert into p select i, 'x' from generate_series(0, 2500, 5) i;
create table loose (i int, t text); insert into loose values (5000, 'x');
create view seen as select id from grandchild;
create materialized view kept as select id from grandchild;
create function noise() returns trigger language plpgsql as 'begin return new; end';
create trigger noisy before insert on o for each row execute function noise();
analyze";

/// Statements that run in a transaction, each on the schema above.
const STATEMENTS: [&str; 54] = [
    "alter table o add column x int",
    "alter table o add column x int default 7",
    "alter table o add column x float default random()",
    "alter table o add column x int default 7 not null",
    "alter table o add column x int generated always as (a + 1) stored",
    "alter table o add column x bigserial",
    "alter table o add column x int check (x > 0)",
    "alter table o add column x int unique",
    "alter table o add column x int references grandchild (id)",
    "alter table o alter column v type varchar(40)",
    "alter table o alter column v type text",
    "alter table o alter column v type varchar(10)",
    "alter table o alter column n type numeric(12,2) using n::numeric(12,2)",
    "alter table o alter column a type bigint",
    "alter table o alter column a set not null",
    "alter table o alter column c set not null",
    "alter table o alter column a set default 3, alter column b drop not null",
    "alter table o alter column a set statistics 10",
    "alter table o alter column v set storage plain",
    "alter table o add constraint positive check (a > 0)",
    "alter table o add constraint positive check (a > 0) not valid",
    "alter table o add unique using index o_b",
    "alter table o add constraint alone unique (a, b)",
    "alter table child add foreign key (id) references o (id)",
    "alter table child add foreign key (id) references o (id) not valid",
    "alter table child validate constraint late",
    "alter table child drop constraint child_o",
    "alter table child drop column o_id",
    "alter table child drop column id",
    "alter table o disable trigger noisy",
    "alter table o set (fillfactor = 70)",
    "alter table o rename column a to z",
    "alter table o rename to oo",
    "alter table loose set unlogged",
    "alter table p add column x int default 1",
    "alter table p alter column i set not null",
    "alter table p detach partition p1",
    "alter table p attach partition loose for values from (5000) to (6000)",
    "create table p3 partition of p for values from (3000) to (4000)",
    "create table fresh (o_id int references o (id)); alter table fresh add column x float default random()",
    "create index on o (a, b)",
    "create index on p (i)",
    "drop index o_a",
    "alter index o_a rename to o_z",
    "reindex index o_a",
    "reindex table o",
    "drop table child",
    "drop table o cascade",
    "truncate child",
    "truncate o cascade",
    "update o set a = 2 where id = 1",
    "delete from loose",
    "lock table o in share mode; drop trigger noisy on o; create view more as select * from child",
    "refresh materialized view kept; cluster o using o_a; comment on column child.id is 'x'",
];

const SCANS: &str = "select relid, seq_scan from pg_stat_xact_user_tables where seq_scan > 0";

fn config() -> PlanConfig {
    super::fixture::plan(1, &[], &[], Default::default())
        .decision
        .config
}

struct Seen {
    locks: BTreeMap<String, LockMode>,
    rewritten: BTreeSet<String>,
    scanned: BTreeSet<String>,
}

/// Runs statements in a transaction that is rolled back, and looks at what they did to relations which were
/// there before.
async fn run(client: &Client, statements: &str) -> Result<Seen, String> {
    let rows = async |query: &str| -> Result<Vec<Vec<String>>, String> {
        let messages = client.simple_query(query).await.map_err(|e| {
            e.as_db_error()
                .map_or_else(|| e.to_string(), |e| e.message().to_owned())
        })?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).unwrap_or_default().to_owned())
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    };
    let files = "select c.oid, format('%I.%I', n.nspname, c.relname), c.relfilenode from pg_class c \
                 join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public'";
    let before: BTreeMap<String, (String, String)> = rows(files)
        .await?
        .into_iter()
        .map(|row| (row[0].clone(), (row[1].clone(), row[2].clone())))
        .collect();
    rows("begin").await?;
    // Counts of earlier transactions may be among these. Inside of one, the session hands none in: what was there
    // before is there still, and a difference is a scan.
    let scans: BTreeMap<String, String> = rows(SCANS)
        .await?
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    if let Err(error) = rows(statements).await {
        rows("rollback").await?;
        return Err(error);
    }
    let mut seen = Seen {
        locks: BTreeMap::new(),
        rewritten: BTreeSet::new(),
        scanned: BTreeSet::new(),
    };
    for lock in rows("select relation, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'").await? {
        let (Some((name, _)), Some(mode)) = (before.get(&lock[0]), LockMode::from_pg_locks(&lock[1])) else {
            continue;
        };
        let strongest = seen.locks.entry(name.clone()).or_insert(mode);
        *strongest = (*strongest).max(mode);
    }
    for row in rows(SCANS).await? {
        if scans.get(&row[0]) != Some(&row[1]) {
            seen.scanned
                .extend(before.get(&row[0]).map(|(name, _)| name.clone()));
        }
    }
    for row in rows(files).await? {
        if before.get(&row[0]).is_some_and(|(_, file)| *file != row[2]) {
            seen.rewritten.insert(before[&row[0]].0.clone());
        }
    }
    rows("rollback").await?;
    Ok(seen)
}

/// The strongest of what several statements do, by relation.
fn together(statements: &[StatementImpact]) -> BTreeMap<String, TableImpact> {
    let mut all: BTreeMap<String, TableImpact> = BTreeMap::new();
    for impact in statements
        .iter()
        .flat_map(|s| &s.tables)
        .filter(|t| !t.created_here)
    {
        let known = all.entry(impact.table.clone()).or_insert(impact.clone());
        known.lock = known.lock.max(impact.lock);
        known.work = known.work.max(impact.work);
        known.partitions = known.partitions.max(impact.partitions);
    }
    all
}

#[tokio::test]
async fn u18_the_locks_rewrites_and_scans_of_statements_are_what_the_server_does() {
    let fixture = Fixture::new();
    sql(&fixture.database, SCHEMA);
    let (client, connection) = tokio_postgres::connect(&fixture.database.url, NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut wrong = Vec::new();
    for statements in STATEMENTS {
        let evidence = fixture
            .store
            .estimate(&[&apply("sql/0001_a", statements)], &config())
            .await
            .unwrap()
            .remove(0);
        let said = together(&evidence.statements);
        let seen = match run(&client, statements).await {
            Ok(seen) => seen,
            Err(error) => {
                wrong.push(format!("{statements}: {error}"));
                continue;
            }
        };
        let mut check = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("{statements}: {what}"));
            }
        };
        for (name, impact) in &said {
            let lock = seen.locks.get(name);
            check(
                lock == Some(&impact.lock),
                format!("{name} {:?}, not {lock:?}", impact.lock),
            );
            let rewritten = seen.rewritten.contains(name);
            let expected = matches!(impact.work, TableWork::Rewrite)
                || impact.work == TableWork::Removed && statements.starts_with("truncate");
            // A rebuilt index has a new file too.
            check(
                rewritten == expected || name.starts_with("public.o_"),
                format!("{name} {:?}, rewritten: {rewritten}", impact.work),
            );
            // A partitioned table is read by way of its partitions.
            let scanned = seen.scanned.contains(name)
                || name == "public.p" && seen.scanned.contains("public.p1");
            match impact.work {
                TableWork::None => check(!scanned, format!("{name} is scanned")),
                TableWork::Scan => check(scanned, format!("{name} is not scanned")),
                _ => {}
            }
            let partitions = seen.locks.iter().filter(|(other, mode)| {
                name == "public.p"
                    && ["public.p1", "public.p2", "public.p_rest"].contains(&other.as_str())
                    && **mode == impact.lock
            });
            let partitions = partitions.count();
            if impact.partitions > 0 {
                check(
                    partitions == 3,
                    format!("{partitions} partitions of {name} are locked"),
                );
            }
        }
        // Nothing that keeps anybody waiting is left out, but for the indexes and partitions of what is named.
        for (name, mode) in seen
            .locks
            .iter()
            .filter(|(_, mode)| mode.blocks_schema_changes())
        {
            let known = said.contains_key(name)
                || ["o_a", "o_b", "o_pkey", "p1", "p2", "p_rest"]
                    .contains(&&name["public.".len()..])
                || statements == "drop table o cascade";
            check(known, format!("{name} is left out: {mode:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn u18_tables_of_the_same_plan_and_their_new_names_are_known() {
    let fixture = Fixture::new();
    sql(&fixture.database, SCHEMA);
    let first = apply(
        "sql/0001_a",
        "create table made (i int); alter table o rename to orders; alter table made rename to done",
    );
    let outside = "-- outpost: transaction = false\ncreate index concurrently o_c on orders (c); \
                   drop index concurrently o_a; alter table done add column x float default random(); \
                   alter table unknown add column y int";
    let second = step("sql/0002_b", outpost::model::plan::Action::Apply, outside);
    let evidence = fixture
        .store
        .estimate(&[&first, &second], &config())
        .await
        .unwrap()
        .remove(1);
    let said: Vec<Vec<(&str, bool, LockMode, TableWork)>> = evidence
        .statements
        .iter()
        .map(|s| {
            s.tables
                .iter()
                .map(|t| (t.table.as_str(), t.created_here, t.lock, t.work))
                .collect()
        })
        .collect();
    let weak = LockMode::ShareUpdateExclusive;
    assert_eq!(
        said,
        [
            vec![("public.o", false, weak, TableWork::Scan)],
            vec![
                ("public.o", false, weak, TableWork::None),
                ("public.o_a", false, weak, TableWork::None),
            ],
            vec![("done", true, LockMode::AccessExclusive, TableWork::Rewrite)],
            vec![],
        ]
    );
    assert_eq!(evidence.tables.len(), 1, "{:?}", evidence.tables);
    assert_eq!(evidence.tables[0].rows, Some(500));
    // Nobody waits for a table that the plan brings.
    assert!(
        evidence
            .warnings
            .iter()
            .all(|w| !w.message.contains("done")),
        "{:?}",
        evidence.warnings
    );
}

/// A query answers with 1,664 columns at most.
#[tokio::test]
async fn a_plan_may_name_more_tables_than_a_row_has_columns() {
    let fixture = Fixture::new();
    sql(&fixture.database, "create table t1999 (i int)");
    let names: Vec<String> = (0..2_000).map(|number| format!("t{number}")).collect();
    let step = apply(
        "sql/0001_a",
        &format!("drop table if exists {}", names.join(", ")),
    );
    let evidence = fixture.store.estimate(&[&step], &config()).await.unwrap();
    let tables = evidence[0].tables.iter().map(|t| t.table.as_str());
    assert_eq!(tables.collect::<Vec<_>>(), ["public.t1999"]);
}
