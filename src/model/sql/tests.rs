#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;
use crate::model::sql::{ConcurrentIndex, DirectiveError, IndexAction, NoteKind, RiskKind};

const OUTSIDE: &str = "-- outpost: transaction = false\n";

fn script(text: &str) -> Script {
    let script = Script::parse("f.up.sql", text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(script.problems, [], "{text}");
    script
}

fn only(text: &str) -> Statement {
    let mut statements = script(text).statements;
    assert_eq!(statements.len(), 1, "{text}");
    statements.remove(0)
}

fn error(text: &str) -> ScriptError {
    match Script::parse("f.up.sql", text) {
        Err(error) => error,
        Ok(script) => panic!("{text}: {script:?}"),
    }
}

fn names(tables: &[QualifiedName]) -> Vec<String> {
    tables.iter().map(ToString::to_string).collect()
}

#[test]
fn statements_are_split_with_their_lines() {
    let cases: [(&str, &[(usize, &str)]); 14] = [
        ("", &[]),
        ("\u{feff}", &[]),
        ("-- nothing\n/* at all */\n;;\n", &[]),
        ("select 1", &[(1, "select 1")]),
        ("\u{feff}select 1;", &[(1, "select 1")]),
        ("select 1;;; select 2", &[(1, "select 1"), (1, "select 2")]),
        (
            "-- a\n\nselect 1 -- b\n; -- c\n/* d */ select 2",
            &[(3, "select 1"), (5, "select 2")],
        ),
        (
            "select 1,\r\n  2;\r\nselect 3;\r\n",
            &[(1, "select 1,\r\n  2"), (3, "select 3")],
        ),
        (
            "-- a\rselect 1;\rselect 2",
            &[(2, "select 1"), (3, "select 2")],
        ),
        (
            "select 'a;b', \"c;d\" from t; select $x$;$x$",
            &[(1, "select 'a;b', \"c;d\" from t"), (1, "select $x$;$x$")],
        ),
        (
            "select e'\\';' /* ; /* ; */ ; */; select 2",
            &[(1, "select e'\\';'"), (1, "select 2")],
        ),
        (
            "create function f() returns int language sql begin atomic select 1; select 2; end;\nselect 3",
            &[
                (
                    1,
                    "create function f() returns int language sql begin atomic select 1; select 2; end",
                ),
                (2, "select 3"),
            ],
        ),
        (
            "do $$ begin perform 1; commit; end $$;\nselect 1",
            &[
                (1, "do $$ begin perform 1; commit; end $$"),
                (2, "select 1"),
            ],
        ),
        (
            "create procedure p() language plpgsql as $$ begin commit; rollback; end $$",
            &[(
                1,
                "create procedure p() language plpgsql as $$ begin commit; rollback; end $$",
            )],
        ),
    ];
    for (text, expected) in cases {
        let found: Vec<_> = script(text)
            .statements
            .into_iter()
            .map(|statement| {
                assert!(text[statement.offset..].starts_with(&statement.text));
                (statement.line, statement.text)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_position_in_a_statement_is_a_line_of_the_file() {
    let statement = &script("select 1;\n\nselect 'é',\n  x,\n  y").statements[1];
    for (position, line) in [(0, 3), (1, 3), (11, 3), (15, 4), (20, 5), (999, 5)] {
        assert_eq!(statement.line_at(position), line, "{position}");
    }
}

#[test]
fn u18_a_transaction_around_the_whole_file_is_taken_off() {
    for text in [
        "begin; create table a (); commit;",
        "-- why\nBEGIN TRANSACTION;\ncreate table a ();\nEND",
        "start transaction; create table a (); commit work",
        "begin work; create table a (); end transaction;",
        "begin; create table a (); commit and no chain;",
    ] {
        let script = script(text);
        assert!(script.unwrapped, "{text}");
        assert_eq!(script.statements.len(), 1, "{text}");
        assert_eq!(script.statements[0].text, "create table a ()", "{text}");
    }
    assert!(script("begin; commit").statements.is_empty());
    assert!(!script("create table a ()").unwrapped);
}

#[test]
fn u18_transaction_control_anywhere_else_is_an_error() {
    for (text, line, statement) in [
        ("select 1;\ncommit;", 2, "commit"),
        ("begin;\nselect 1;", 1, "begin"),
        ("begin", 1, "begin"),
        ("begin; select 1; rollback", 1, "begin"),
        ("begin;\ncommit;\nbegin;\ncommit;", 2, "commit"),
        ("begin;\nselect 1;\nsavepoint a;\ncommit", 3, "savepoint a"),
        ("release savepoint a", 1, "release savepoint a"),
        ("rollback to savepoint a", 1, "rollback to savepoint a"),
        ("abort", 1, "abort"),
        ("prepare transaction 'a'", 1, "prepare transaction 'a'"),
        ("commit prepared 'a'", 1, "commit prepared 'a'"),
        ("rollback prepared 'a'", 1, "rollback prepared 'a'"),
        ("begin; select 1; commit and chain", 1, "begin"),
        (
            "set transaction isolation level serializable",
            1,
            "set transaction isolation level serializable",
        ),
        (
            "set session characteristics as transaction read only",
            1,
            "set session characteristics as transaction read only",
        ),
        (
            "-- outpost: transaction = false\nvacuum t;\ncommit",
            3,
            "commit",
        ),
    ] {
        assert_eq!(
            error(text),
            ScriptError::TransactionControl {
                file: "f.up.sql".to_owned(),
                line,
                statement: statement.to_owned()
            },
            "{text}"
        );
    }
    assert!(matches!(
        error("begin isolation level serializable; select 1; commit"),
        ScriptError::TransactionModes { line: 1, .. }
    ));
    assert!(matches!(
        error("start transaction read only; select 1; commit"),
        ScriptError::TransactionModes { line: 1, .. }
    ));
    assert!(matches!(
        error("-- outpost: transaction = false\nbegin; select 1; commit"),
        ScriptError::WrappedWithoutTransaction { line: 2, .. }
    ));
}

#[test]
fn what_only_psql_can_do_is_an_error() {
    for (text, line, expected) in [
        ("\\i other.sql\nselect 1;", 1, "\\i"),
        ("select 1;\n  \\connect app", 2, "\\connect"),
        ("\\copy t from 'x'", 1, "\\copy"),
        ("\\restrict abc\ncopy t from stdin;", 1, "\\restrict"),
    ] {
        assert_eq!(
            error(text),
            ScriptError::MetaCommand {
                file: "f.up.sql".to_owned(),
                line,
                command: expected.to_owned()
            },
            "{text}"
        );
    }
    for text in [
        "select 1;\ncopy t from stdin;\n1\t2\n\\.\nselect 2",
        ";\nCOPY (select 1) TO STDOUT",
    ] {
        let error = error(text);
        assert!(
            matches!(error, ScriptError::ClientCopy { line: 2, .. }),
            "{error}"
        );
    }
    assert_eq!(only("copy t from '/tmp/x'").class.verb, "copy");
    assert_eq!(only("select '\n\\i x\n'").line, 1);
}

#[test]
fn bytes_that_postgres_does_not_take_are_an_error() {
    assert!(matches!(
        error("select 1;\nselect '\0'"),
        ScriptError::Nul { line: 2, .. }
    ));
}

#[test]
fn syntax_problems_are_collected_not_raised() {
    for (text, line, column) in [
        ("selec 1", 1, 1),
        ("select 1;\nfoo bar;", 2, 1),
        ("select 1 create table a ()", 1, 9),
        ("begin create table a (); commit", 1, 6),
        ("select 'abc", 1, 8),
        ("select 1;\n)", 2, 1),
    ] {
        let script = Script::parse("f.up.sql", text).unwrap();
        let problem = &script.problems[0];
        assert_eq!(
            (problem.line, problem.column),
            (line, column),
            "{text}: {problem}"
        );
        assert!(problem.to_string().starts_with("f.up.sql:"), "{problem}");
        assert!(!problem.statement_excerpt.is_empty());
    }
    let lines: Vec<_> = Script::parse("f", "foo bar baz\n);\nselect 1; qux")
        .unwrap()
        .problems
        .iter()
        .map(|problem| problem.line)
        .collect();
    assert_eq!(lines, [1, 2, 3]);
}

#[test]
fn a_file_that_only_the_server_can_read_is_sent_as_one_piece() {
    let text = "-- outpost: parse = false\nfrobnicate a;\n select 1 ; ";
    let script = script(text);
    assert_eq!(script.statements[0].text, "frobnicate a;\n select 1");
    assert_eq!(script.statements[0].line, 2);
    assert_eq!(script.statements[0].class.verb, "script");
    for control in [
        "begin",
        "commit",
        "end",
        "start transaction",
        "savepoint a",
        "rollback",
        "set transaction read only",
        "set session characteristics as transaction read only",
    ] {
        let error = error(&format!("{text};\n{control};"));
        assert!(
            matches!(error, ScriptError::TransactionControl { line: 4, .. }),
            "{error}"
        );
    }
    let body = "-- outpost: parse = false\ncreate function f() language sql begin atomic select 1; end; frob $$commit;$$";
    assert_eq!(Script::parse("f", body).unwrap().statements.len(), 1);
    assert!(
        Script::parse("f", "-- outpost: parse = false\n")
            .unwrap()
            .statements
            .is_empty()
    );
}

#[test]
fn a_directive_behind_the_first_statement_is_an_error() {
    for (text, line) in [
        ("select 1;\n-- outpost: transaction = false\nselect 2", 2),
        ("select 1 -- outpost: root = true", 1),
        ("select\n-- outpost: root = true\n1", 2),
        ("-- outpost: parse = false\nx\n-- outpost: root = true", 3),
    ] {
        let error = error(text);
        assert!(
            matches!(&error, ScriptError::Directive(DirectiveError::Late { .. })),
            "{error}"
        );
        assert_eq!(error.line(), Some(line));
    }
    script("select '\n-- outpost: root = true\n'");
}

#[test]
fn variables_are_filled_in_only_when_asked_for() {
    let vars = [("schema".to_owned(), "app".to_owned())].into();
    let text = "-- outpost: vars = true\nselect * from ${schema}.t";
    let script = Script::parse_with_vars("f", text, &vars).unwrap();
    assert_eq!(script.statements[0].text, "select * from app.t");
    assert_eq!(names(&script.statements[0].class.tables), ["app.t"]);
    let unknown = Script::parse("f", text).unwrap_err();
    assert_eq!(unknown.line(), Some(2));
    assert!(
        unknown
            .to_string()
            .starts_with("f: line 2: there is no variable `schema`")
    );
    assert_eq!(only("select '${schema}'").text, "select '${schema}'");
}

#[test]
fn c03_what_cannot_run_in_a_transaction_needs_the_directive() {
    for (statement, verb) in [
        (
            "create index concurrently i on t (a)",
            "create index concurrently",
        ),
        (
            "create unique index concurrently if not exists i on t (a)",
            "create index concurrently",
        ),
        ("drop index concurrently i", "drop index concurrently"),
        ("reindex index concurrently i", "reindex concurrently"),
        (
            "reindex (verbose, concurrently) table t",
            "reindex concurrently",
        ),
        ("reindex (concurrently on) table t", "reindex concurrently"),
        ("reindex database d", "reindex"),
        ("reindex system d", "reindex"),
        ("reindex schema s", "reindex"),
        ("vacuum", "vacuum"),
        ("vacuum (full) t", "vacuum"),
        ("cluster", "cluster"),
        ("cluster verbose", "cluster"),
        ("create database d", "create database"),
        ("drop database d", "drop database"),
        ("alter database d set tablespace s", "alter database"),
        ("create tablespace s location '/x'", "create tablespace"),
        ("drop tablespace s", "drop tablespace"),
        ("alter system set work_mem = '1MB'", "alter system"),
        (
            "create subscription s connection 'x' publication p",
            "create subscription",
        ),
        ("drop subscription s", "drop subscription"),
        (
            "alter subscription s refresh publication",
            "alter subscription",
        ),
        (
            "alter subscription s set publication p",
            "alter subscription",
        ),
        (
            "alter subscription s add publication p",
            "alter subscription",
        ),
        (
            "alter table t detach partition p concurrently",
            "alter table detach partition concurrently",
        ),
        ("discard all", "discard"),
    ] {
        let refused = error(&format!("select 1;\n{statement}"));
        let ScriptError::NeedsNoTransaction {
            line: 2,
            verb: found,
            ..
        } = &refused
        else {
            panic!("{statement}: {refused}");
        };
        assert_eq!(found, verb);
        assert!(refused.hint().unwrap().contains("transaction = false"));
        let allowed = only(&format!("{OUTSIDE}{statement}"));
        assert_eq!(allowed.class.verb, verb);
        assert!(allowed.class.outside_transaction.is_some());
    }
    for statement in [
        "create index i on t (a)",
        "drop index i",
        "reindex table t",
        "reindex (concurrently false) table t",
        "reindex (concurrently off) index t",
        "cluster t using i",
        "cluster t",
        "analyze",
        "refresh materialized view concurrently m",
        "alter table t detach partition p",
        "alter database d set work_mem = '1MB'",
        "create subscription s connection 'x' publication p with (connect = false)",
        "create subscription s connection 'x' publication p with (create_slot = off)",
        "alter subscription s set publication p with (refresh = false)",
        "alter subscription s disable",
        "discard temp",
        "alter type t add value 'x'",
        "create index \"concurrently\" on t (a)",
    ] {
        assert_eq!(
            only(statement).class.outside_transaction,
            None,
            "{statement}"
        );
    }
}

#[test]
fn c04_a_concurrent_index_names_what_a_retry_has_to_look_for() {
    use IndexAction::{Create, Drop, Reindex};
    let name = QualifiedName::new;
    for (statement, action, index, table, if_not_exists) in [
        (
            "create index concurrently I on T (a)",
            Create,
            Some(name(None, "i")),
            Some(name(None, "t")),
            false,
        ),
        (
            "create unique index concurrently if not exists \"I\" on Public.\"T\" using btree (a) where a > 0",
            Create,
            Some(name(Some("public"), "I")),
            Some(name(Some("public"), "T")),
            true,
        ),
        (
            "drop index concurrently if exists s.i cascade",
            Drop,
            Some(name(Some("s"), "i")),
            None,
            false,
        ),
        (
            "reindex index concurrently s.i",
            Reindex,
            Some(name(Some("s"), "i")),
            None,
            false,
        ),
        (
            "reindex (concurrently) table t",
            Reindex,
            None,
            Some(name(None, "t")),
            false,
        ),
        ("reindex schema concurrently s", Reindex, None, None, false),
    ] {
        let found = only(&format!("{OUTSIDE}{statement}"))
            .class
            .concurrent_index;
        let expected = ConcurrentIndex {
            action,
            index,
            table,
            if_not_exists,
        };
        assert_eq!(found, Some(expected), "{statement}");
    }
    assert_eq!(only("create index i on t (a)").class.concurrent_index, None);
    let unnamed = error("-- outpost: transaction = false\ncreate index concurrently on t (a)");
    assert!(matches!(
        unnamed,
        ScriptError::UnnamedConcurrentIndex { line: 2, .. }
    ));
    assert!(unnamed.hint().unwrap().contains("INVALID"));
}

#[test]
fn tables_are_the_ones_that_the_statement_works_on() {
    let cases: [(&str, &[&str]); 34] = [
        ("alter table only A.\"B\" add c int", &["a.\"B\""]),
        ("alter table db.s.t add c int", &["s.t"]),
        ("alter table t rename to u", &["t"]),
        ("alter table t attach partition p default", &["t", "p"]),
        ("create index on t (lower(a))", &["t"]),
        (
            "update only t set a = (select max(b) from u) from v where t.a = v.a",
            &["t", "u", "v"],
        ),
        ("delete from t using u where t.a = u.a", &["t", "u"]),
        (
            "insert into t select * from u join v using (a)",
            &["t", "u", "v"],
        ),
        ("insert into t values (1)", &["t"]),
        (
            "merge into t using u on t.a = u.a when matched then delete",
            &["t", "u"],
        ),
        ("truncate t, s.u", &["t", "s.u"]),
        ("drop table if exists t, u cascade", &["t", "u"]),
        ("lock table t, u in share mode", &["t", "u"]),
        ("copy t from '/x'", &["t"]),
        ("cluster t using i", &["t"]),
        ("vacuum t, u", &["t", "u"]),
        ("refresh materialized view m", &["m"]),
        ("create table a as select * from t", &["t"]),
        ("create materialized view m as select * from t", &["t"]),
        ("create table a (b int references t)", &["t"]),
        ("create table a partition of t default", &["t"]),
        ("select 1", &[]),
        ("select * from t, t as u, t", &["t"]),
        ("table t", &["t"]),
        (
            "with q as (select * from t) select * from q, s.q",
            &["t", "s.q"],
        ),
        ("with t as (select * from t) update t set a = 1", &["t"]),
        (
            "with recursive q as (select 1 union all select * from q) select * from q",
            &[],
        ),
        (
            "with q as (delete from t returning *), r as (select * from q) insert into u select * from r",
            &["t", "u"],
        ),
        ("create view v as select * from t", &[]),
        (
            "create function f() returns int begin atomic select a from t; end",
            &[],
        ),
        (
            "create trigger g after insert on t execute function f()",
            &["t"],
        ),
        (
            "create policy p on t using (exists (select 1 from u))",
            &["t"],
        ),
        (
            "create rule r as on insert to t do also delete from u",
            &["t"],
        ),
        ("comment on table t is 'x'", &[]),
    ];
    for (text, expected) in cases {
        let directive = if text.starts_with("vacuum") {
            OUTSIDE
        } else {
            ""
        };
        let statement = only(&format!("{directive}{text}"));
        assert_eq!(names(&statement.class.tables), expected, "{text}");
    }
}

#[test]
fn created_tables_are_listed() {
    let cases: [(&str, &[&str]); 7] = [
        ("create table if not exists s.A (b int)", &["s.a"]),
        ("create temp table a as select 1", &["a"]),
        ("select * into a from t", &["a"]),
        ("create materialized view m as select 1", &["m"]),
        ("create unlogged table a (b int references c)", &["a"]),
        ("alter table a rename to b", &[]),
        ("create view v as select 1", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(names(&only(text).class.creates), expected, "{text}");
    }
}

#[test]
fn u18_u19_c14_risks_are_told_from_the_text() {
    use RiskKind::{AccessExclusive, BlocksWrites, DropsData, FullTableWrite, Rewrite};
    let cases: [(&str, &[RiskKind]); 52] = [
        ("update t set a = 1", &[FullTableWrite]),
        ("update t set a = 1 from u", &[FullTableWrite]),
        ("update t set a = 1 where b", &[]),
        ("update t set a = 1 where current of c", &[]),
        ("delete from t", &[FullTableWrite, DropsData]),
        ("delete from t where a = 1", &[DropsData]),
        (
            "with q as (update t set a = 1 returning *) select * from q",
            &[FullTableWrite],
        ),
        ("explain update t set a = 1", &[]),
        ("explain analyze update t set a = 1", &[FullTableWrite]),
        (
            "merge into t using u on true when matched then delete",
            &[DropsData],
        ),
        ("truncate t", &[DropsData, AccessExclusive]),
        ("drop table t", &[DropsData, AccessExclusive]),
        ("drop schema s cascade", &[DropsData]),
        ("drop schema s", &[]),
        ("drop owned by r", &[DropsData]),
        ("drop index i", &[AccessExclusive]),
        ("create index i on t (a)", &[BlocksWrites]),
        ("reindex table t", &[BlocksWrites]),
        (
            "create trigger g after insert on t execute function f()",
            &[BlocksWrites],
        ),
        ("drop trigger g on t", &[AccessExclusive]),
        ("refresh materialized view m", &[AccessExclusive]),
        ("refresh materialized view concurrently m", &[]),
        ("cluster t using i", &[Rewrite, AccessExclusive]),
        ("lock t", &[AccessExclusive]),
        ("lock t in share row exclusive mode", &[BlocksWrites]),
        ("lock t in row exclusive mode", &[]),
        ("alter table t add a int", &[AccessExclusive]),
        (
            "alter table t add a timestamptz default now()",
            &[AccessExclusive],
        ),
        (
            "alter table t add a uuid default pg_catalog.gen_random_uuid()",
            &[Rewrite, AccessExclusive],
        ),
        (
            "alter table t add a float default 1 + Random()",
            &[Rewrite, AccessExclusive],
        ),
        ("alter table t add a bigserial", &[Rewrite, AccessExclusive]),
        (
            "alter table t add a int generated always as identity",
            &[Rewrite, AccessExclusive],
        ),
        (
            "alter table t add a int generated always as (b * 2) stored",
            &[Rewrite, AccessExclusive],
        ),
        (
            "alter table t alter a type text",
            &[Rewrite, AccessExclusive],
        ),
        (
            "alter table t alter column a set data type text using a::text",
            &[Rewrite, AccessExclusive],
        ),
        (
            "alter table t alter a set not null, drop column b",
            &[DropsData, AccessExclusive],
        ),
        (
            "alter table t alter a set default random()",
            &[AccessExclusive],
        ),
        ("alter table t alter a set statistics 5", &[]),
        ("alter table t validate constraint c", &[]),
        ("alter table t set (fillfactor = 70)", &[]),
        ("alter table t set unlogged", &[Rewrite, AccessExclusive]),
        ("alter table t disable trigger g", &[BlocksWrites]),
        (
            "alter table t add foreign key (a) references u",
            &[BlocksWrites, BlocksWrites],
        ),
        (
            "alter table t add a int references u",
            &[BlocksWrites, AccessExclusive],
        ),
        ("alter table t add primary key (a)", &[AccessExclusive]),
        ("alter table t rename a to b", &[AccessExclusive]),
        ("alter table t attach partition p default", &[]),
        ("create table a (b int references u)", &[BlocksWrites]),
        ("create table a partition of t default", &[AccessExclusive]),
        (
            "create function f() returns int begin atomic delete from t; end",
            &[],
        ),
        (
            "create rule r as on insert to t do also delete from u",
            &[AccessExclusive],
        ),
        ("select 1", &[]),
    ];
    for (text, expected) in cases {
        let risks = only(text).class.risks;
        let kinds: Vec<_> = risks.iter().map(|risk| risk.kind).collect();
        assert_eq!(kinds, expected, "{text}: {risks:?}");
        assert!(risks.iter().all(|risk| !risk.sentence.contains('\n')));
    }
    let outside: [(&str, &[RiskKind]); 5] = [
        ("vacuum full t", &[Rewrite, AccessExclusive]),
        ("vacuum t", &[]),
        ("create index concurrently i on t (a)", &[]),
        ("drop index concurrently i", &[]),
        ("alter table t detach partition p concurrently", &[]),
    ];
    for (text, expected) in outside {
        let risks = only(&format!("{OUTSIDE}{text}")).class.risks;
        let kinds: Vec<_> = risks.iter().map(|risk| risk.kind).collect();
        assert_eq!(kinds, expected, "{text}: {risks:?}");
    }
}

#[test]
fn u19_a_dropped_column_is_named() {
    let risks = only("alter table App.t drop column \"Old\"").class.risks;
    assert_eq!(
        risks[0].sentence,
        "drops column Old of app.t with its values"
    );
    assert_eq!(risks[0].table, Some(QualifiedName::new(Some("app"), "t")));
}

#[test]
fn c14_a_lock_on_a_table_of_the_same_script_is_no_risk() {
    let script = script(
        "create table a (x int); create index on a (x); update a set x = 1; drop table a;\n\
         create index on b (x); create table b (x int);",
    );
    let found: Vec<_> = script
        .risks()
        .into_iter()
        .map(|(statement, risk)| (statement.line, risk.kind))
        .collect();
    assert_eq!(
        found,
        [(1, RiskKind::DropsData), (2, RiskKind::BlocksWrites)]
    );
}

#[test]
fn settings_that_outlive_the_migration_are_noted() {
    for (text, kind) in [
        ("set search_path = a", NoteKind::SessionState),
        ("set session lock_timeout to '1s'", NoteKind::SessionState),
        ("set time zone 'utc'", NoteKind::SessionState),
        ("set role r", NoteKind::SessionState),
        ("set session authorization r", NoteKind::SessionState),
        (
            "select pg_catalog.set_config('a.b', 'c', false)",
            NoteKind::SessionState,
        ),
        ("alter type t add value 'x'", NoteKind::NewEnumValue),
        (
            "-- outpost: transaction = false\nset local lock_timeout = 0",
            NoteKind::LocalWithoutTransaction,
        ),
    ] {
        let notes = script(text).notes;
        assert_eq!(notes.len(), 1, "{text}");
        assert_eq!(notes[0].kind, kind, "{text}");
        assert!(notes[0].to_string().starts_with("line "));
    }
    for text in [
        "set local search_path = a",
        "set local role r",
        "select set_config('a.b', 'c', true)",
        "set constraints all deferred",
        "create temp table a (b int)",
        "listen a",
        "load 'x'",
        "-- outpost: transaction = false\nalter type t add value 'x'",
    ] {
        assert_eq!(script(text).notes, [], "{text}");
    }
}

#[test]
fn deep_nesting_is_a_problem_not_a_crash() {
    let cases: [fn(usize) -> String; 6] = [
        |n| format!("select {}1{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("select {}", "case when ".repeat(n)),
        |n| "with a as (".repeat(n),
        |n| "explain ".repeat(n),
        |n| format!("select 1 from a {}", "join a ".repeat(n)),
        |n| format!("do $a$ ' $a$; select {}", "a[".repeat(n)),
    ];
    for make in cases {
        for (depth, too_deep) in [(5_000, false), (100_000, true)] {
            let script = Script::parse("f", &make(depth)).unwrap();
            let refused = script
                .problems
                .iter()
                .any(|problem| problem.message.contains("nested too deep"));
            assert_eq!(refused, too_deep, "{}", &make(2));
        }
    }
}

#[test]
fn a_large_file_is_split() {
    let text = "insert into t values (1, 'a;b'); -- row\n".repeat(20_000);
    let script = script(&text);
    assert_eq!(script.statements.len(), 20_000);
    assert_eq!(script.statements[19_999].line, 20_000);
}

fn sql_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "select 1",
        "create table a (b int)",
        "begin",
        "commit",
        "end",
        "atomic",
        ";",
        ";",
        ";",
        "\n",
        "\r\n",
        " ",
        "-- c\n",
        "/* d",
        "*/",
        "'",
        "''",
        "$$",
        "$x$",
        "\"",
        "(",
        ")",
        ",",
        "\\i",
        "update t set a = 1",
        "with q as",
        "create function f() begin atomic",
        "copy t from stdin",
        "é",
        "-- outpost: root = true\n",
        "-- outpost: parse = false\n",
        "alter table t",
        "add c int",
        "::",
        ".",
        "[",
        "]",
        "e'\\",
        "case",
        "not",
    ]);
    prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Script::parse("f", &text);
    }

    #[test]
    fn near_sql_never_makes_the_parser_fail_and_order_is_kept(text in sql_like()) {
        if let Ok(script) = Script::parse("f", &text) {
            prop_assert!(script.problems.iter().all(|problem| !problem.message.contains("bug")));
            let mut end = 0;
            for statement in &script.statements {
                prop_assert!(statement.offset >= end);
                end = statement.offset + statement.text.len();
                prop_assert_eq!(&text[statement.offset..end], &statement.text);
            }
        }
    }

    #[test]
    fn splitting_what_was_split_changes_nothing(text in sql_like()) {
        let Ok(script) = Script::parse("f", &text) else { return Ok(()) };
        if !script.problems.is_empty() || !script.directives.parse {
            return Ok(());
        }
        let texts: Vec<_> = script.statements.iter().map(|statement| statement.text.clone()).collect();
        let again = Script::parse("f", &texts.join(";\n")).unwrap();
        let split: Vec<_> = again.statements.iter().map(|statement| statement.text.clone()).collect();
        prop_assert_eq!(split, texts);
    }
}
