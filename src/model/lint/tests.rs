#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::config::PlanConfig;
use crate::model::id::StoreKind;
use crate::model::lock::{LOCK_FORMAT, Lock, LockedMigration};
use crate::model::migration::{Content, Migration, RedisMigration, SqlFile, SqlMigration};
use crate::model::versions::Versions;

const CONFIG: &str = "[schema]\nversion = \"1\"\n[postgres]\nurl = \"u\"\n[redis]\nurl = \"r\"\n";
const REVERSIBLE: &str = "[[step]]\nset = { a = \"1\" }\nin = \"a:<x>\"\n";

/// The migrations of these files, by their paths below the schema folder.
fn catalog(files: &[(&str, &str)]) -> Catalog {
    let find = |path: String| {
        let text = files.iter().find(|(at, _)| *at == path)?.1;
        Some(SqlFile::parse(&path, text, &BTreeMap::new()).unwrap())
    };
    let config = PlanConfig::parse_offline("outpost.toml", CONFIG, &|_| None).unwrap();
    let mut migrations = BTreeMap::new();
    let mut previous: BTreeMap<StoreKind, MigrationId> = BTreeMap::new();
    for (path, text) in files {
        let (id, content) = if let Some(stem) = path.strip_suffix(".up.sql") {
            let content = Content::Sql(Box::new(SqlMigration {
                up: find((*path).to_owned()).unwrap(),
                down: find(format!("{stem}.down.sql")),
                verify: find(format!("{stem}.verify.sql")),
                cleanup: find(format!("{stem}.cleanup.sql")),
            }));
            (stem, content)
        } else if let Some(stem) = path.strip_suffix(".toml") {
            let redis = RedisMigration::parse(path, text, &config).unwrap();
            (stem, Content::Redis(Box::new(redis)))
        } else {
            continue;
        };
        let id: MigrationId = id.parse().unwrap();
        let requires: BTreeSet<MigrationId> = previous
            .insert(id.store(), id.clone())
            .into_iter()
            .collect();
        let migration = Migration {
            id: id.clone(),
            description: None,
            requires,
            content,
        };
        migrations.insert(id, migration);
    }
    Catalog::new(migrations, Versions::single_latest(), None)
}

fn findings_with(files: &[(&str, &str)], config: &LintConfig) -> Vec<Finding> {
    let catalog = catalog(files);
    lint(&catalog, &Graph::new(&catalog).unwrap(), config)
}

fn findings(files: &[(&str, &str)]) -> Vec<Finding> {
    findings_with(files, &LintConfig::default())
}

/// `rule:line` of the findings on one up file that has all the files it should have.
fn found(up: &str) -> Vec<String> {
    brief(&findings(&[
        ("sql/0001_a.up.sql", up),
        ("sql/0001_a.down.sql", ""),
        ("sql/0001_a.verify.sql", "select true"),
    ]))
}

fn brief(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|f| format!("{}:{}", f.rule, f.line.unwrap_or(0)))
        .collect()
}

#[test]
fn u18_statements_that_block_or_break_are_found_on_their_line() {
    for (up, expected) in [
        (
            "\nalter table t\n  add column a int not null",
            &["adding-required-field:3"][..],
        ),
        (
            "alter table t add column a uuid default gen_random_uuid()",
            &["adding-field-with-default:1"],
        ),
        (
            "alter table t alter column a set not null",
            &["adding-not-nullable-field:1"],
        ),
        (
            "alter table t alter a type text",
            &["changing-column-type:1"],
        ),
        (
            "alter table t add constraint c check (a > 0)",
            &["constraint-missing-not-valid:1"],
        ),
        (
            "alter table t add constraint c foreign key (a) references u (a)",
            &["adding-foreign-key-constraint:1"],
        ),
        (
            "alter table t add constraint c unique (a)",
            &["disallowed-unique-constraint:1"],
        ),
        (
            "alter table t add primary key (a)",
            &["adding-serial-primary-key-field:1"],
        ),
        (
            "select 1;\ncreate index i on t (a)",
            &["require-concurrent-index-creation:2"],
        ),
        ("alter table t drop column a", &["ban-drop-column:1"]),
        ("drop table t", &["ban-drop-table:1"]),
        ("alter table t rename to u", &["renaming-table:1"]),
        ("alter table t rename column a to b", &["renaming-column:1"]),
        ("truncate t cascade", &["ban-truncate-cascade:1"]),
        ("update t set a = 1", &["full-table-write:1"]),
        ("update t set a = 1 where a = 2", &[]),
        ("set search_path = x", &["session-setting:1"]),
        ("set local search_path = x", &[]),
        (
            "-- outpost: transaction = false\nset local search_path = x",
            &["local-setting-without-transaction:2"],
        ),
        (
            "alter type e add value 'x'",
            &["enum-value-in-transaction:1"],
        ),
        ("begin;\ndrop table t;\ncommit;", &["ban-drop-table:2"]),
        ("-- outpost: parse = false\n%%", &["not-checked:0"]),
        (
            "-- outpost: transaction = false\ncreate index concurrently i on t (a)",
            &[],
        ),
    ] {
        assert_eq!(found(up), expected, "{up}");
    }
}

#[test]
fn what_the_runner_does_itself_is_not_asked_for() {
    for up in [
        "create table t (a int, b varchar(9))",
        "create table t (a serial primary key); create index on t (a)",
        "alter table t add column a int",
        "drop index i",
        "insert into t values (1)",
    ] {
        assert_eq!(found(up), [""; 0], "{up}");
    }
}

#[test]
fn a_table_that_is_new_or_emptied_in_the_file_may_be_changed() {
    for up in [
        "create table t (a int); create index on t (a)",
        "create table t as select 1 as a; update t set a = 2; alter table t add primary key (a)",
        "create table t (a int);\nalter table t alter a type text, drop column a",
        "create temporary table t (a int); drop table t",
        "truncate t; alter table t add column a int not null",
    ] {
        assert_eq!(found(up), [""; 0], "{up}");
    }
    for (up, expected) in [
        (
            "truncate t; insert into t values (1);\ncreate index i on t (a)",
            "require-concurrent-index-creation:2",
        ),
        (
            "create table t (a int);\ncreate index i on u (a)",
            "require-concurrent-index-creation:2",
        ),
        (
            "create table t (a int);\ndrop table t, u",
            "ban-drop-table:2",
        ),
    ] {
        assert_eq!(found(up), [expected], "{up}");
    }
    let renamed = "truncate t; alter table t rename to u;\ncreate index i on u (a)";
    assert_eq!(found(renamed), [""; 0]);
}

#[test]
fn a_partitioned_table_gets_advice_that_works_even_under_a_new_name() {
    let advice = |first: &str, second: &str| {
        let found = findings(&[
            ("sql/0001_a.up.sql", first),
            ("sql/0001_a.down.sql", ""),
            ("sql/0002_b.up.sql", second),
            ("sql/0002_b.down.sql", ""),
        ]);
        let index = |f: &&Finding| f.rule == "require-concurrent-index-creation";
        found.iter().find(index).unwrap().advice.clone().unwrap()
    };
    let parent = "create table t (a int) partition by range (a)";
    let index = "create index i on t (a)";
    assert!(advice(parent, index).contains("on only the parent"));
    let renamed = "alter table t rename to u; create index i on u (a)";
    assert!(advice(parent, renamed).contains("on only the parent"));
    assert!(advice("create table t (a int)", index).contains("concurrently, in a migration"));
}

#[test]
fn down_files_are_held_to_what_matters_there() {
    let found = |down: &str| {
        let all = findings(&[
            ("sql/0001_a.up.sql", "create table t (a int)"),
            ("sql/0001_a.down.sql", down),
            ("sql/0001_a.verify.sql", "select true"),
        ]);
        assert!(all.iter().all(|f| f.file == "sql/0001_a.down.sql"));
        brief(&all)
    };
    assert_eq!(found("drop table u; create index i on v (a)"), [""; 0]);
    assert_eq!(found("set search_path = x"), ["session-setting:1"]);
    assert_eq!(found("truncate u cascade"), ["ban-truncate-cascade:1"]);
    assert_eq!(found("drop tabel u"), ["syntax-unread:1"]);
}

#[test]
fn u19_a_down_file_that_loses_data_has_to_say_so() {
    let up = "create table t (a int); alter table u add column b int";
    for (down, expected) in [
        ("\ndrop table t", &["data-loss-undeclared:2"][..]),
        ("drop table if exists t", &["data-loss-undeclared:1"]),
        ("alter table u drop column b", &["data-loss-undeclared:1"]),
        ("-- outpost: data_loss = \"all\"\ndrop table t", &[]),
        ("drop table other; alter table u drop column c", &[]),
        (
            "-- outpost-allow: data-loss-undeclared: it is a cache\ndrop table t",
            &[],
        ),
    ] {
        let all = findings(&[
            ("sql/0001_a.up.sql", up),
            ("sql/0001_a.down.sql", down),
            ("sql/0001_a.verify.sql", "select true"),
        ]);
        assert_eq!(brief(&all), expected, "{down}");
    }
}

#[test]
fn what_a_migration_lacks_is_found() {
    let bare = findings(&[("sql/0001_a.up.sql", "create table t (a int)")]);
    assert_eq!(brief(&bare), ["irreversible-step:0", "missing-verify:0"]);
    let allowed = "-- outpost: allow = { \"missing-verify\" = \"no rows to look at\" }\n\
        -- outpost: allow = { \"irreversible-step\" = \"the first one\" }\ncreate table t (a int)";
    assert_eq!(findings(&[("sql/0001_a.up.sql", allowed)]), []);
    let delete = "scope = \"a:<x>\"\n[[step]]\ndelete = \"a:<x>\"\n";
    assert_eq!(
        brief(&findings(&[("redis/0001_a.toml", delete)])),
        ["irreversible-step:0"]
    );
}

#[test]
fn an_open_scope_is_shown_by_an_example() {
    let text = |scope: &str| format!("scope = \"{scope}\"\n{REVERSIBLE}");
    assert_eq!(findings(&[("redis/0001_a.toml", &text("a:<x>"))]), []);
    let open = findings(&[("redis/0001_a.toml", &text("a:<rest..>"))]);
    assert_eq!(brief(&open), ["scope-not-exhaustive:0"]);
    assert!(open[0].message.contains("a key such as a:"), "{open:?}");
    let allow = "allow = { scope-not-exhaustive = \"others must stop it\" }\n";
    let allowed = format!("{allow}{}", text("a:<rest..>"));
    assert_eq!(findings(&[("redis/0001_a.toml", &allowed)]), []);
}

#[test]
fn u17_files_that_are_not_as_locked_are_told_apart() {
    let (up, down) = ("sql/0001_a.up.sql", "sql/0001_a.down.sql");
    let files = [
        (up, "select 1"),
        (down, ""),
        ("sql/0002_b.up.sql", "select 2"),
    ];
    let pinned = catalog(&files).files();
    let lock = |ids: &[&str]| Lock {
        format: LOCK_FORMAT,
        postgres: None,
        migrations: ids
            .iter()
            .map(|id| LockedMigration {
                id: id.parse().unwrap(),
                files: pinned[&id.parse().unwrap()].clone(),
                objects: BTreeMap::new(),
            })
            .collect(),
    };
    let found = |files: &[(&str, &str)], lock: Lock| {
        let catalog = catalog(files).with_lock(Some(lock));
        let all = lint(
            &catalog,
            &Graph::new(&catalog).unwrap(),
            &LintConfig::default(),
        );
        let locks = all.into_iter().filter(|f| f.rule.starts_with("lock-"));
        locks.collect::<Vec<_>>()
    };
    let both = || lock(&["sql/0001_a", "sql/0002_b"]);
    assert_eq!(found(&files, both()), []);

    let edited = found(&[(up, "select 9"), (down, "select 8"), files[2]], both());
    assert_eq!(brief(&edited), ["lock-edited:0", "lock-edited:0"]);
    assert_eq!((&*edited[0].file, edited[0].level), (down, Level::Error));
    let advice = |finding: &Finding| finding.advice.clone().unwrap();
    assert!(
        !advice(&edited[0]).contains("restore"),
        "mending a down edits no history"
    );
    assert!(advice(&edited[1]).contains("restore"));

    let removed = found(&files[..2], both());
    assert_eq!(brief(&removed), ["lock-removed:0"]);
    assert_eq!(removed[0].id, Some("sql/0002_b".parse().unwrap()));
    assert_eq!(
        brief(&found(&files, lock(&["sql/0001_a"]))),
        ["lock-added-without-lock:0"]
    );
    assert_eq!(
        brief(&found(&files, lock(&["sql/0002_b", "sql/0001_a"]))),
        ["lock-reordered:0"]
    );

    let excuse = "-- outpost: allow = { \"lock-edited\" = \"trust me\" }\nselect 9";
    let catalog = catalog(&[(up, excuse), files[1], files[2]]).with_lock(Some(both()));
    let all = lint(
        &catalog,
        &Graph::new(&catalog).unwrap(),
        &LintConfig::default(),
    );
    let errors = all.iter().filter(|f| f.level == Level::Error);
    let rules: Vec<&str> = errors.map(|f| f.rule.as_str()).collect();
    assert_eq!(rules, ["lock-edited", "bad-allow"]);
}

#[test]
fn a_comment_accepts_a_finding_on_one_statement() {
    for (up, expected) in [
        (
            "-- outpost-allow: ban-drop-table: nobody reads it\ndrop table t;\ndrop table u",
            &["ban-drop-table:3"][..],
        ),
        (
            "select 1;\n\n  --outpost-allow:ban-drop-table:why: because\n-- more\n\ndrop table t",
            &[],
        ),
        (
            "alter table t\n  -- outpost-allow: ban-drop-column: nobody reads it\n  drop column a",
            &[],
        ),
        (
            "begin;\n-- outpost-allow: ban-drop-table: nobody reads it\ndrop table t;\ncommit",
            &[],
        ),
        (
            "-- outpost-allow: ban-drop-column: another rule\ndrop table t",
            &["unused-allow:1", "ban-drop-table:2"],
        ),
        (
            "drop table t; -- outpost-allow: ban-drop-table: too late\ndrop table u",
            &["ban-drop-table:1", "bad-allow:1", "ban-drop-table:2"],
        ),
        (
            "drop table t;\n-- outpost-allow: ban-drop-table: too late",
            &["ban-drop-table:1", "bad-allow:2"],
        ),
        (
            "-- outpost-allow: ban-drop-table:  \ndrop table t",
            &["bad-allow:1", "ban-drop-table:2"],
        ),
        (
            "-- outpost-allow ban-drop-table because\ndrop table t",
            &["bad-allow:1", "ban-drop-table:2"],
        ),
        ("-- outpost-allowance is prose\nselect 1", &[]),
        (
            "-- squawk-ignore ban-drop-table\ndrop table t",
            &["ban-drop-table:2"],
        ),
        (
            "alter table t\n  -- squawk-ignore ban-drop-column\n  drop column a",
            &["ban-drop-column:3"],
        ),
    ] {
        let mut found = found(up);
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{up}");
    }
}

#[test]
fn an_acceptance_that_cannot_count_is_an_error_with_its_line() {
    let allow = |table: &str| {
        let up = format!("--\n-- outpost: allow = {{ {table} }}\ndrop table t");
        let all = findings(&[
            ("sql/0001_a.up.sql", &up),
            ("sql/0001_a.down.sql", ""),
            ("sql/0001_a.verify.sql", ""),
        ]);
        all.into_iter().find(|f| f.rule != "ban-drop-table")
    };
    assert_eq!(allow("\"ban-drop-table\" = \"nobody reads it\""), None);
    for (table, rule, message, advice) in [
        (
            "\"ban-drop-tabel\" = \"x\"",
            "bad-allow",
            "there is no rule `ban-drop-tabel`",
            "did you mean `ban-drop-table`?",
        ),
        (
            "\"zzz\" = \"x\"",
            "bad-allow",
            "there is no rule `zzz`",
            "docs/lint.md",
        ),
        (
            "\"ban-drop-table\" = \" \"",
            "bad-allow",
            "without a reason",
            "say why",
        ),
        (
            "\"renaming-table\" = \"x\"",
            "unused-allow",
            "finds nothing here",
            "remove it",
        ),
    ] {
        let finding = allow(table).unwrap();
        assert_eq!((&*finding.rule, finding.line), (rule, Some(2)), "{table}");
        assert!(finding.message.contains(message), "{finding:?}");
        assert!(finding.advice.unwrap().contains(advice), "{table}");
    }
    let redis = format!("scope = \"a:<x>\"\nallow = {{ zzz = \"x\" }}\n{REVERSIBLE}");
    assert_eq!(
        brief(&findings(&[("redis/0001_a.toml", &redis)])),
        ["bad-allow:2"]
    );
}

#[test]
fn outpost_toml_sets_levels_and_accepts_findings_of_released_files() {
    let files = [
        ("sql/0001_a.up.sql", "drop table t"),
        ("sql/0001_a.down.sql", ""),
    ];
    let parse = |lint: &str| {
        LintConfig::parse("outpost.toml", &format!("{CONFIG}{lint}"), &|_| None).unwrap()
    };
    let config = parse(
        "[lint.rules]\nmissing-verify = \"error\"\nban-drop-table = \"off\"\nrequire-table-schema = \"note\"\n",
    );
    let found = findings_with(&files, &config);
    assert_eq!(
        brief(&found),
        ["missing-verify:0", "require-table-schema:1"]
    );
    assert_eq!(found[0].level, Level::Error);

    let config = parse(
        "[lint.allow.\"sql/0001_a\"]\nban-drop-table = \"replaced\"\nmissing-verify = \"old\"\n\
         [lint.allow.\"sql/0009_x\"]\nban-drop-table = \"gone\"\n",
    );
    let found = findings_with(&files, &config);
    assert_eq!(brief(&found), ["unused-allow:11"]);
    assert_eq!(found[0].file, "outpost.toml");
}

#[test]
fn what_the_evidence_of_a_plan_says_with_sizes_has_the_sort_of_its_warning() {
    let found = findings(&[(
        "sql/0001_a.up.sql",
        "drop table t; alter table u\n add column a int not null",
    )]);
    let said: BTreeMap<&str, Option<WarningKind>> =
        found.iter().map(|f| (&*f.rule, f.said_as())).collect();
    assert_eq!(said["ban-drop-table"], Some(WarningKind::DataLoss));
    assert_eq!(said["missing-verify"], Some(WarningKind::NoVerification));
    assert_eq!(said["adding-required-field"], None);
}

proptest! {
    #[test]
    fn no_text_panics_and_the_answer_is_always_the_same(
        up in "(-- outpost-allow: [a-z:-]{0,9}\n|(alter|drop|create|truncate) (table|index) t |add column a int|[a-z();,' \n]){0,9}"
    ) {
        let files = |up: &str| {
            SqlFile::parse("sql/0001_a.up.sql", up, &BTreeMap::new())
                .ok()
                .map(|_| findings(&[("sql/0001_a.up.sql", up)]))
        };
        let first = files(&up);
        prop_assert_eq!(&first, &files(&up));
        for finding in first.into_iter().flatten() {
            let lines = up.lines().count().max(1);
            prop_assert!(finding.line.is_none_or(|line| (1..=lines + 1).contains(&line)));
        }
    }
}
