#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use super::*;

fn schema(objects: &[(&str, &str)]) -> SchemaObjects {
    SchemaObjects {
        definitions: objects
            .iter()
            .map(|(name, definition)| ((*name).to_owned(), (*definition).to_owned()))
            .collect(),
        search_path: vec!["app".to_owned(), "public".to_owned()],
        ..SchemaObjects::default()
    }
}

fn found(text: &str, objects: &[(&str, &str)]) -> FileEvidence {
    let text = format!("-- outpost: transaction = false\n\n{text}");
    let file = SqlFile::parse("sql/0001_a.up.sql", &text, &BTreeMap::new()).unwrap();
    assert!(
        file.script.problems.is_empty(),
        "{:?}",
        file.script.problems
    );
    let id = "sql/0001_a".parse().unwrap();
    evidence(&id, &file, Doing::Apply, &schema(objects), 0)
}

/// A letter for each statement: in place, missing, partly, unknown.
fn standings(text: &str, objects: &[(&str, &str)]) -> String {
    let letter = |statement: &StatementEvidence| match statement.standing() {
        Standing::InPlace => 'i',
        Standing::Missing => 'm',
        Standing::Partly => 'p',
        Standing::Unknown => '?',
    };
    found(text, objects).statements.iter().map(letter).collect()
}

const T: (&str, &str) = (
    "table public.t",
    r#"{"columns":{"a":{"type":"bigint","not_null":true,"default":"0"},"B":{"type":"text","not_null":false}}}"#,
);

#[test]
fn c01_what_the_catalog_shows_is_in_place_and_what_it_lacks_is_missing() {
    for (text, objects, expected) in [
        ("create table t (a int)", &[T][..], "i"),
        ("create table t (a int)", &[], "m"),
        ("create table other.t (a int)", &[T], "m"),
        ("drop table t", &[T], "m"),
        ("drop table t", &[], "i"),
        ("alter table t add a int", &[T], "i"),
        ("alter table t add \"B\" int", &[T], "i"),
        ("alter table t add b int", &[T], "m"),
        ("alter table t add a int, add c int", &[T], "p"),
        ("alter table t alter a set not null", &[T], "i"),
        ("alter table t alter a drop not null", &[T], "m"),
        ("alter table t alter a drop default", &[T], "m"),
        ("alter table t alter \"B\" drop default", &[T], "i"),
        ("alter table t alter a type bigint", &[T], "?"),
        ("alter table t alter c type bigint", &[T], "m"),
        ("alter table t alter c drop not null", &[T], "m"),
        ("alter table t rename to u", &[T], "m"),
        (
            "create index concurrently i on t (a)",
            &[T, ("index public.i", "CREATE INDEX i ON t (a)")],
            "i",
        ),
        (
            "create index concurrently i on t (a)",
            &[T, ("index public.i", "CREATE INDEX i ON t (a) INVALID")],
            "m",
        ),
        (
            "alter table t add constraint k check (a > 0)",
            &[T, ("constraint public.t.k", "CHECK ((a > 0)) NOT VALID")],
            "i",
        ),
        (
            "alter table t validate constraint k",
            &[T, ("constraint public.t.k", "CHECK ((a > 0)) NOT VALID")],
            "m",
        ),
        (
            "alter type e add value 'y'",
            &[("type app.e", r#"enum ["x", "y"]"#)],
            "i",
        ),
        (
            "alter type e add value 'z'",
            &[("type app.e", r#"enum ["x", "y"]"#)],
            "m",
        ),
        ("create schema s", &[("schema s", "exists")], "i"),
        ("create extension hstore", &[], "m"),
        (
            "create function f(a int) returns int language sql as 'select 1'",
            &[("function public.f(text)", "…")],
            "?",
        ),
        ("drop function f(int)", &[], "i"),
        (
            "create or replace view v as select 1",
            &[("view app.v", "…")],
            "?",
        ),
        ("create or replace view v as select 1", &[], "m"),
        (
            "create trigger g before insert on t for each row execute function f()",
            &[T, (r#"trigger public.t.g"#, "…")],
            "i",
        ),
        (
            r#"create table "odd.""name" (a int)"#,
            &[(r#"table app."odd.""name""#, "{}")],
            "i",
        ),
        ("update t set a = 1", &[T], "?"),
        ("insert into t values (1)", &[], "?"),
        ("alter table t add check (a > 0)", &[T], "?"),
        ("do 'begin end'", &[T], "?"),
    ] {
        assert_eq!(
            standings(text, objects),
            expected,
            "{text} with {objects:?}"
        );
    }
}

#[test]
fn c01_what_another_statement_undoes_is_told_only_in_between() {
    let made_and_dropped = "create table t (a int); insert into t values (1); drop table t";
    assert_eq!(standings(made_and_dropped, &[T]), "i?m");
    let neither_or_all = found(made_and_dropped, &[]);
    assert_eq!(
        neither_or_all.statements[0].traces[0].found,
        Found::Undone(3)
    );
    assert_eq!(
        neither_or_all.statements[2].traces[0].found,
        Found::Undone(1)
    );

    let again = "drop index i; create index i on t (a)";
    assert_eq!(standings(again, &[T, ("index public.i", "…")]), "??");
    assert_eq!(standings(again, &[T]), "im");

    let column_of_a_dropped_table = "alter table t add c int; drop table t";
    assert_eq!(standings(column_of_a_dropped_table, &[]), "?i");
    assert_eq!(standings(column_of_a_dropped_table, &[T]), "mm");

    let renamed = "create table t (a int); alter table t rename to u";
    assert_eq!(standings(renamed, &[("table app.u", "{}")]), "?i");
    assert_eq!(standings(renamed, &[]), "?m");
}

#[test]
fn c01_the_order_tells_of_rows_what_the_catalog_does_not() {
    let text = "create table t (a int); insert into t values (1); create index i on t (a); update t set a = 2";
    let order = |objects: &[(&str, &str)]| {
        let statements = found(text, objects).statements;
        (statements[1].order, statements[3].order)
    };
    assert_eq!(
        order(&[T, ("index public.i", "…")]),
        (Some(Order::LaterInPlace(3)), None)
    );
    assert_eq!(order(&[T]), (None, Some(Order::EarlierMissing(3))));
    assert_eq!(
        order(&[]),
        (
            Some(Order::EarlierMissing(1)),
            Some(Order::EarlierMissing(1))
        )
    );
    // Somebody made the index by hand on another table: nothing follows.
    let contradiction = order(&[("index app.i", "…")]);
    assert_eq!(contradiction.0, None);

    let conditional = "update t set a = 1; create index if not exists i on t (a)";
    let found = found(conditional, &[T, ("index public.i", "…")]);
    assert_eq!(
        found.statements[0].order, None,
        "it may have been there before"
    );
}
