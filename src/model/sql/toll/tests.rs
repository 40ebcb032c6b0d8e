#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::model::sql::Script;

fn shown(toll: &Toll) -> String {
    let on = match &toll.on {
        Subject::Relation(name) => name.to_string(),
        Subject::TableOf(index) => format!("table of {index}"),
        Subject::Referenced { by, keys } => format!("referenced by {by} {keys:?}"),
        Subject::Referencing(table) => format!("referencing {table}"),
        Subject::DefaultPartition(table) => format!("default of {table}"),
    };
    let unless = match &toll.unless {
        Some(unless) => format!(" unless {unless:?}"),
        None => String::new(),
    };
    let alone = if toll.partitions { "" } else { " alone" };
    format!("{on}: {} {:?}{unless}{alone}", toll.lock.sql(), toll.work)
}

/// What the servers of the tests show for the same statements is in tests/stores/postgres_store/estimates.rs; here is
/// what they cannot show.
#[test]
fn tolls_name_what_the_catalog_has_to_be_asked() {
    for (text, expected) in [
        (
            "alter table s.t alter a type varchar(40) using a::varchar(40)",
            vec![
                "s.t: ACCESS EXCLUSIVE Rewrite unless StoredLike { column: \"a\", to: \"varchar(40)\" }",
            ],
        ),
        (
            "alter table t alter a type int using length(a)",
            vec!["t: ACCESS EXCLUSIVE Rewrite"],
        ),
        (
            "alter table only t add b int default 1 not null",
            vec!["t: ACCESS EXCLUSIVE Rewrite unless Version(11) alone"],
        ),
        (
            "alter table t alter a set not null",
            vec!["t: ACCESS EXCLUSIVE Scan unless NotNull(\"a\")"],
        ),
        (
            "alter table t add primary key using index i",
            vec![
                "t: ACCESS EXCLUSIVE Scan unless IndexNotNull(QualifiedName { schema: None, name: \"i\" })",
            ],
        ),
        (
            "alter table t attach partition p default",
            vec![
                "t: SHARE UPDATE EXCLUSIVE None alone",
                "p: ACCESS EXCLUSIVE Scan alone",
                "default of t: ACCESS EXCLUSIVE Scan alone",
            ],
        ),
        (
            "drop index concurrently s.i",
            vec![
                "table of s.i: SHARE UPDATE EXCLUSIVE None alone",
                "s.i: SHARE UPDATE EXCLUSIVE None alone",
            ],
        ),
        (
            "reindex (concurrently) table t",
            vec!["t: SHARE UPDATE EXCLUSIVE Scan"],
        ),
        ("vacuum (full) t", vec!["t: ACCESS EXCLUSIVE Rewrite"]),
        (
            "with gone as (delete from a returning *) insert into b select * from gone join c using (id)",
            vec![
                "a: ROW EXCLUSIVE EveryRow",
                "b: ROW EXCLUSIVE SomeRows",
                "c: ACCESS SHARE SomeRows",
            ],
        ),
        ("copy t to '/srv/t'", vec!["t: ACCESS SHARE Scan"]),
        ("copy t from '/srv/t'", vec!["t: ROW EXCLUSIVE SomeRows"]),
        ("explain update t set a = 1", vec![]),
        (
            "explain analyze update t set a = 1",
            vec!["t: ROW EXCLUSIVE EveryRow"],
        ),
        ("grant select on t to r", vec![]),
        ("do $$ begin delete from t; end $$", vec![]),
        (
            "create function f() returns int begin atomic select a from t; end",
            vec![],
        ),
    ] {
        let found: Vec<String> = Script::reread(text)
            .iter()
            .flat_map(|statement| &statement.class.tolls)
            .map(shown)
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}
