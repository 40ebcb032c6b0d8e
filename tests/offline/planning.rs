//! Plans as a pure function of schema folder, observed state and desired version: tables, no server.

use std::collections::{BTreeMap, BTreeSet};

use outpost::model::codec::FORMAT;
use outpost::model::config::{AdoptMissing, Ahead};
use outpost::model::graph::{Graph, GraphError};
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lease::{Holder, LeaseInfo};
use outpost::model::plan::{Action, PlanError, Purpose, Resolution, StepContent};
use outpost::model::state::{Doing, LedgerStatus, MarkerStatus, Proof};
use outpost::model::status::{Gate, Status, statuses};
use proptest::prelude::*;

use crate::folder::{Project, State, entry, id, ids, lines, partial, sealed};

#[test]
fn what_is_missing_is_applied_in_the_order_of_the_graph() {
    let cases: [(&str, &str, &str, &[&str]); 7] = [
        // folder, applied, desired, steps
        ("", "", "", &[]),
        (
            "sql/0001_a sql/0002_b",
            "",
            "sql/0001_a sql/0002_b",
            &["apply sql/0001_a", "apply sql/0002_b (sql/0001_a)"],
        ),
        (
            "sql/0001_a sql/0002_b",
            "sql/0001_a",
            "sql/0001_a sql/0002_b",
            &["apply sql/0002_b"],
        ),
        (
            "sql/0001_a sql/0002_b",
            "sql/0001_a sql/0002_b",
            "sql/0002_b",
            &[],
        ),
        // What the version needs is added, however far away.
        (
            "sql/0001_a sql/0002_b sql/0003_c",
            "",
            "sql/0002_b",
            &["apply sql/0001_a", "apply sql/0002_b (sql/0001_a)"],
        ),
        // SQL waits for Redis, and Redis for SQL: the graph orders, not the kind of store.
        (
            "sql/0001_a sql/0002_b<-redis/0001_x redis/0001_x<-sql/0001_a",
            "",
            "sql/0002_b",
            &[
                "apply sql/0001_a",
                "apply redis/0001_x (sql/0001_a)",
                "apply sql/0002_b (sql/0001_a redis/0001_x)",
            ],
        ),
        // What is in place already stands between two steps.
        (
            "^sql/0001_a sql/0002_b<-redis/0001_x redis/0001_x",
            "sql/0001_a",
            "sql/0002_b",
            &["apply redis/0001_x", "apply sql/0002_b (redis/0001_x)"],
        ),
    ];
    for (folder, applied, desired, steps) in cases {
        let project = Project::new(folder);
        let decision = project
            .plan(&project.applied(applied), &project.version(desired))
            .unwrap();
        assert_eq!(lines(&decision), steps, "{folder} | {applied} | {desired}");
        assert_eq!(decision.purpose, Purpose::Migrate);
    }
}

#[test]
fn numbers_are_compared_as_numbers() {
    let project = Project::new("sql/9_b sql/0010_c sql/1_a");
    let decision = project.plan_latest(&State::empty()).unwrap();
    assert_eq!(
        lines(&decision),
        [
            "apply sql/1_a",
            "apply sql/9_b (sql/1_a)",
            "apply sql/0010_c (sql/9_b)"
        ]
    );
}

#[test]
fn c02_a_late_lower_number_is_planned_and_marked() {
    let project = Project::new("sql/0001_a sql/0002_late sql/0003_c sql/0004_d");
    let decision = project
        .plan_latest(&project.applied("sql/0001_a sql/0003_c"))
        .unwrap();
    assert_eq!(
        lines(&decision),
        ["apply sql/0002_late", "apply sql/0004_d (sql/0002_late)"]
    );
    let late: Vec<bool> = decision.steps.iter().map(|s| s.out_of_order).collect();
    assert_eq!(late, [true, false]);
}

/// golang-migrate's row says "up to 3"; it cannot know of a migration that came later.
#[test]
fn c02_a_late_lower_number_is_planned_beside_the_row_that_is_kept_up_for_golang_migrate() {
    let project = Project::new("sql/0001_a sql/0002_late sql/0003_c");
    let state = project.applied("sql/0001_a sql/0003_c").with_row(3, false);
    let decision = project.plan_latest(&state).unwrap();
    assert_eq!(lines(&decision), ["apply sql/0002_late"]);
    assert!(decision.steps[0].out_of_order);
    assert_eq!(
        status_of(&project, &state, "sql/0002_late"),
        Status::Pending
    );
}

#[test]
fn what_is_not_desired_is_reverted_in_reverse() {
    let project =
        Project::new("sql/0001_a sql/0002_b sql/0003_c<-redis/0002_y redis/0001_x redis/0002_y");
    let everything = "sql/0001_a sql/0002_b sql/0003_c redis/0001_x redis/0002_y";
    let decision = project
        .plan(
            &project.applied(everything),
            &project.version("sql/0001_a redis/0001_x"),
        )
        .unwrap();
    assert_eq!(
        lines(&decision),
        [
            "revert sql/0003_c",
            "revert redis/0002_y (sql/0003_c)",
            "revert sql/0002_b (sql/0003_c)",
        ]
    );
}

#[test]
fn reverts_come_before_applies() {
    let project = Project::new("sql/0001_a ^sql/0002_b ^sql/0003_c");
    let decision = project
        .plan(
            &project.applied("sql/0001_a sql/0002_b"),
            &project.version("sql/0001_a sql/0003_c"),
        )
        .unwrap();
    assert_eq!(
        lines(&decision),
        ["revert sql/0002_b", "apply sql/0003_c (sql/0002_b)"]
    );
}

#[test]
fn every_migration_that_cannot_be_reverted_is_named_before_anything_runs() {
    let project = Project::new("sql/0001_a sql/0002_b sql/0003_c redis/0001_x")
        .without_down("sql/0002_b sql/0003_c")
        .file(
            "redis/0001_x.toml",
            "scope = \"k:<id>\"\n[[step]]\ndelete = \"k:<id>\"\ntype = \"hash\"\n",
        );
    let state = project.applied("sql/0001_a sql/0002_b sql/0003_c redis/0001_x");
    let error = project
        .plan(&state, &project.version("sql/0001_a"))
        .unwrap_err();
    let PlanError::Irreversible { version, reasons } = &error else {
        panic!("{error}");
    };
    assert_eq!(version, "v");
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for name in ["sql/0002_b", "sql/0003_c"] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_redis_migration_that_was_cleaned_up_cannot_be_reverted() {
    let project = Project::new("redis/0001_x");
    let cleaned = LedgerStatus::Applied {
        how: outpost::model::state::HowApplied::Run,
        cleaned: true,
    };
    for status in [cleaned, partial(Doing::Cleanup)] {
        let state = project.standing(State::empty(), "redis/0001_x", status);
        let error = project.plan(&state, &project.version("")).unwrap_err();
        assert!(
            matches!(&error, PlanError::Irreversible { reasons, .. } if reasons[0].contains("cleaned up")),
            "{error}"
        );
    }
}

#[test]
fn u19_a_revert_says_what_it_loses() {
    let project = Project::new("sql/0001_a").file(
        "sql/0001_a.down.sql",
        "-- outpost: data_loss = \"the column comes back empty\"\nDROP TABLE t1;\n",
    );
    let decision = project
        .plan(&project.applied("sql/0001_a"), &project.version(""))
        .unwrap();
    assert_eq!(
        decision.steps[0].action,
        Action::Revert {
            data_loss: Some("the column comes back empty".to_owned())
        }
    );
}

#[test]
fn u02_a_ledger_that_the_folder_does_not_know_is_ahead() {
    let newer = Project::new("sql/0001_a sql/0002_b redis/0001_x");
    let older = newer.clone().without("sql/0002_b redis/0001_x");
    let state = newer.applied("sql/0001_a sql/0002_b redis/0001_x");
    assert_eq!(
        older.plan_latest(&state).unwrap_err(),
        PlanError::Ahead(vec![id("sql/0002_b"), id("redis/0001_x")])
    );
    // A tombstone is no reason to stop.
    let reverted = newer.standing(
        newer.applied("sql/0001_a"),
        "sql/0002_b",
        LedgerStatus::Reverted,
    );
    assert!(older.plan_latest(&reverted).unwrap().is_empty());
}

#[test]
fn an_older_folder_reverts_by_the_down_sql_that_the_ledger_kept() {
    let newer = Project::new("sql/0001_a sql/0002_b sql/0003_c");
    let older = newer.clone().without("sql/0002_b sql/0003_c");
    let mut state = newer.applied("sql/0001_a sql/0002_b sql/0003_c");
    let mut desired = older.latest();
    desired.revert_unknown = true;

    let error = older.plan(&state, &desired).unwrap_err();
    assert!(
        matches!(&error, PlanError::Irreversible { reasons, .. } if reasons.len() == 2),
        "{error}"
    );

    for name in ["sql/0002_b", "sql/0003_c"] {
        let entry = state
            .store(StoreKind::Sql)
            .ledger
            .get_mut(&id(name))
            .unwrap();
        entry.down = Some("-- outpost: data_loss = \"rows\"\nDROP TABLE gone;\n".to_owned());
    }
    let decision = older.plan(&state, &desired).unwrap();
    assert_eq!(
        lines(&decision),
        ["revert sql/0003_c", "revert sql/0002_b (sql/0003_c)"]
    );
    let StepContent::Sql(content) = &decision.steps[0].content else {
        panic!("no SQL");
    };
    assert_eq!(content.statements[0].text, "DROP TABLE gone");
    assert_eq!(
        decision.steps[0].action,
        Action::Revert {
            data_loss: Some("rows".to_owned())
        }
    );

    // One that was interrupted is resumed.
    let half = state
        .store(StoreKind::Sql)
        .ledger
        .get_mut(&id("sql/0003_c"))
        .unwrap();
    half.status = partial(Doing::Revert);
    assert!(older.plan(&state, &desired).unwrap().steps[0].resumes);
}

#[test]
fn u02_a_row_of_golang_migrate_that_no_file_has_is_ahead() {
    let project = Project::new("sql/0001_a sql/0002_b");
    let state = State::empty().with_row(7, false);
    assert_eq!(
        project.plan_latest(&state).unwrap_err(),
        PlanError::AheadUnknown {
            table: "schema_migrations".to_owned(),
            version: 7
        }
    );
    assert!(!gate(&project, &state, Ahead::Refuse).open());
    assert!(gate(&project, &state, Ahead::Allow).is_ahead());
}

#[test]
fn u01_a_dirty_row_blocks_plan_cleanup_and_gate() {
    let project = Project::new("sql/0001_a sql/0002_b");
    let state = State::empty().with_row(2, true).with_proof(
        "sql/0002_b",
        Proof::Disproven(vec!["table t2 is missing".to_owned()]),
    );
    for error in [
        project.plan_latest(&state).unwrap_err(),
        project.cleanup(&state, None).unwrap_err(),
    ] {
        assert_eq!(
            error,
            PlanError::Dirty {
                table: "schema_migrations".to_owned(),
                version: 2,
                id: Some(id("sql/0002_b")),
                found: vec!["table t2 is missing".to_owned()],
            }
        );
        assert!(error.hint().unwrap().contains("resolve sql/0002_b"));
    }
    assert_eq!(status_of(&project, &state, "sql/0002_b"), Status::Dirty);
    for policy in [Ahead::Allow, Ahead::Warn, Ahead::Refuse] {
        assert!(!gate(&project, &state, policy).open());
    }
}

#[test]
fn u01_dirt_at_a_number_that_no_file_has_blocks_as_well() {
    let project = Project::new("sql/0001_a");
    let state = project.applied("sql/0001_a").with_row(7, true);
    assert!(matches!(
        project.plan_latest(&state).unwrap_err(),
        PlanError::Dirty {
            id: None,
            version: 7,
            ..
        }
    ));
    assert!(!gate(&project, &state, Ahead::Allow).open());
}

#[test]
fn u01_dirt_of_our_own_unfinished_step_is_resumed() {
    let project = Project::new("sql/0001_a sql/0002_b");
    let state = project
        .standing(
            project.applied("sql/0001_a"),
            "sql/0002_b",
            partial(Doing::Apply),
        )
        .with_row(2, true);
    let decision = project.plan_latest(&state).unwrap();
    assert_eq!(lines(&decision), ["apply sql/0002_b"]);
    assert!(decision.steps[0].resumes);
}

#[test]
fn u02_gaps_in_the_numbers_are_no_pending_migrations() {
    let project = Project::new("sql/0001_a sql/0004_b sql/0009_c");
    let mut state = State::empty().with_row(4, false);
    for name in ["sql/0001_a", "sql/0004_b"] {
        state = state.with_proof(name, Proof::Proven("pinned".to_owned()));
    }
    let decision = project.plan_latest(&state).unwrap();
    assert_eq!(
        lines(&decision),
        [
            "adopt sql/0001_a",
            "adopt sql/0004_b (sql/0001_a)",
            "apply sql/0009_c (sql/0004_b)"
        ]
    );
}

#[test]
fn the_migration_that_the_row_names_is_adopted_last() {
    // 0002 is a root, and 0001 has to wait for Redis.
    let project = Project::new("sql/0001_a<-redis/0001_x ^sql/0002_b redis/0001_x");
    let state = State::empty()
        .with_row(2, false)
        .with_proof("sql/0001_a", Proof::Proven("pinned".to_owned()))
        .with_proof("sql/0002_b", Proof::Proven("pinned".to_owned()));
    let decision = project.plan_latest(&state).unwrap();
    assert_eq!(
        lines(&decision),
        [
            "apply redis/0001_x",
            "adopt sql/0001_a (redis/0001_x)",
            "adopt sql/0002_b (sql/0001_a)"
        ]
    );
}

#[test]
fn what_an_earlier_tool_recorded_is_adopted_only_with_proof() {
    let redis = "compat_name = \"001_x\"\nscope = \"o:<id>\"\n[[step]]\ncopy = \"o:<id>\"\nto = \"n:<id>\"\ntype = \"hash\"\n";
    let project = Project::new("redis/0001_x").file("redis/0001_x.toml", redis);
    let left = Proof::SourcesLeft {
        count: 3,
        samples: vec!["o:1".to_owned()],
    };
    let proven = Proof::Proven("its verification passes".to_owned());
    let wrong = Proof::Disproven(vec!["2 keys differ".to_owned()]);
    let adopt = Some("adopt redis/0001_x");
    let apply = Some("apply redis/0001_x");
    let keep = Some(AdoptMissing::Keep);
    let copy = Some(AdoptMissing::Copy);
    for (proof, missing, step) in [
        (Some(proven.clone()), None, adopt),
        (Some(proven), copy, adopt),
        (Some(wrong.clone()), None, None),
        (Some(wrong.clone()), keep, None),
        (Some(wrong), copy, None),
        (Some(left.clone()), None, None),
        (Some(left.clone()), keep, adopt),
        (Some(left), copy, apply),
        (Some(Proof::Nothing), keep, None),
        (None, copy, None),
    ] {
        let mut state = State::empty().with_marker("001_x", MarkerStatus::Applied);
        if let Some(proof) = proof.clone() {
            state = state.with_proof("redis/0001_x", proof);
        }
        let case = format!("{proof:?} {missing:?}");
        let project = project.clone().with_config(|c| c.adopt_missing = missing);
        match (project.plan_latest(&state), step) {
            (Ok(decision), Some(step)) => assert_eq!(lines(&decision), [step], "{case}"),
            (Err(PlanError::Unproven { id: found, .. }), None) => {
                assert_eq!(found, id("redis/0001_x"), "{case}");
            }
            (other, _) => panic!("{case}: {other:?}"),
        }
        assert_eq!(
            status_of(&project, &state, "redis/0001_x"),
            Status::Unadopted
        );
    }
}

#[test]
fn only_a_marker_that_says_applied_claims_anything() {
    let redis = "compat_name = \"001_x\"\nscope = \"o:<id>\"\n[[step]]\ncopy = \"o:<id>\"\nto = \"n:<id>\"\ntype = \"hash\"\n";
    let project = Project::new("redis/0001_x").file("redis/0001_x.toml", redis);
    for status in [
        MarkerStatus::NotApplicable,
        MarkerStatus::Other("running".to_owned()),
    ] {
        let state = State::empty().with_marker("001_x", status);
        assert_eq!(
            lines(&project.plan_latest(&state).unwrap()),
            ["apply redis/0001_x"]
        );
    }
}

#[test]
fn what_an_earlier_tool_applied_beyond_the_version_is_ahead() {
    let project = Project::new("sql/0001_a sql/0002_b sql/0003_c");
    let state = State::empty().with_row(3, false);
    assert_eq!(
        project
            .plan(&state, &project.version("sql/0001_a"))
            .unwrap_err(),
        PlanError::AheadUnadopted {
            version: "v".to_owned(),
            ids: vec![id("sql/0002_b"), id("sql/0003_c")],
        }
    );
}

#[test]
fn a_migration_that_does_not_apply_is_skipped_and_satisfies_what_requires_it() {
    let project = Project::new("redis/0001_x redis/0002_y sql/0001_a<-redis/0001_x");
    let state = State::empty().not_applicable("redis/0001_x", "another deployment");
    let decision = project.plan_latest(&state).unwrap();
    assert_eq!(
        lines(&decision),
        [
            "skip redis/0001_x",
            "apply sql/0001_a (redis/0001_x)",
            "apply redis/0002_y (redis/0001_x)"
        ]
    );
    let skipped = project.standing(
        state,
        "redis/0001_x",
        LedgerStatus::Skipped {
            reason: "another deployment".to_owned(),
        },
    );
    assert_eq!(
        lines(&project.plan_latest(&skipped).unwrap()),
        ["apply sql/0001_a", "apply redis/0002_y"]
    );
    // Nothing was done, so nothing is undone: the record alone goes.
    let back = project.plan(&skipped, &project.version("")).unwrap();
    assert_eq!(lines(&back), ["revert redis/0001_x"]);
    assert_eq!(back.steps[0].content, StepContent::Record);
}

#[test]
fn c10_line_ends_are_no_edit() {
    let unix = Project::new("sql/0001_a").file("sql/0001_a.up.sql", "SELECT 1;\nSELECT 2;\n");
    let state = unix.applied("sql/0001_a");
    for text in [
        "SELECT 1;\r\nSELECT 2;\r\n",
        "SELECT 1;\nSELECT 2;\n\n\n",
        "\u{feff}SELECT 1;\nSELECT 2;",
    ] {
        let other = unix.clone().file("sql/0001_a.up.sql", text);
        assert!(other.plan_latest(&state).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn u17_an_edit_of_an_applied_migration_is_an_error_with_both_checksums() {
    let before = Project::new("sql/0001_a sql/0002_b");
    let after = before
        .clone()
        .file("sql/0001_a.up.sql", "CREATE TABLE other ();");
    let state = before.applied("sql/0001_a");
    let error = after.plan_latest(&state).unwrap_err();
    assert_eq!(
        error,
        PlanError::Edited {
            id: id("sql/0001_a"),
            file: "sql/0001_a.up.sql".into(),
            recorded: *before.migration("sql/0001_a").checksum(),
            found: *after.migration("sql/0001_a").checksum(),
            half_done: false,
        }
    );
    assert_eq!(status_of(&after, &state, "sql/0001_a"), Status::Edited);
    assert!(!gate(&after, &state, Ahead::Allow).open());

    let mut desired = after.latest();
    desired.accept_edits = true;
    let decision = after.plan(&state, &desired).unwrap();
    assert_eq!(
        lines(&decision),
        ["accept edit sql/0001_a", "apply sql/0002_b (sql/0001_a)"]
    );
    assert_eq!(decision.steps[0].content, StepContent::Record);
    assert_eq!(
        decision.steps[0].checksum,
        *after.migration("sql/0001_a").checksum()
    );

    // Half of the old file is in place: the new one cannot simply be taken for it.
    let half = before.standing(state, "sql/0001_a", partial(Doing::Apply));
    assert!(matches!(
        after.plan(&half, &desired).unwrap_err(),
        PlanError::Edited {
            half_done: true,
            ..
        }
    ));
}

#[test]
fn mending_a_verification_a_down_or_a_cleanup_is_no_edit() {
    let project = Project::new("sql/0001_a");
    let state = project.applied("sql/0001_a");
    for path in [
        "sql/0001_a.down.sql",
        "sql/0001_a.verify.sql",
        "sql/0001_a.cleanup.sql",
    ] {
        let mended = project.clone().file(path, "SELECT true;");
        assert!(mended.plan_latest(&state).unwrap().is_empty(), "{path}");
    }
}

#[test]
fn an_edit_of_a_migration_that_is_not_in_place_is_free() {
    let before = Project::new("sql/0001_a");
    let after = before
        .clone()
        .file("sql/0001_a.up.sql", "CREATE TABLE other ();");
    let state = before.standing(State::empty(), "sql/0001_a", LedgerStatus::Reverted);
    assert_eq!(
        lines(&after.plan_latest(&state).unwrap()),
        ["apply sql/0001_a"]
    );
}

/// Migration, what was being done, desired version, and the steps or what the error says.
type Interrupted = (
    &'static str,
    Doing,
    &'static str,
    Result<&'static [&'static str], &'static str>,
);

#[test]
fn interrupted_steps_come_first_or_are_refused() {
    let project =
        Project::new("sql/0001_a redis/0001_x").file("sql/0001_a.cleanup.sql", "DROP TABLE old;");
    let cases: [Interrupted; 7] = [
        (
            "sql/0001_a",
            Doing::Apply,
            "sql/0001_a",
            Ok(&["apply sql/0001_a"]),
        ),
        ("sql/0001_a", Doing::Apply, "", Err("applied")),
        ("sql/0001_a", Doing::Revert, "", Ok(&["revert sql/0001_a"])),
        ("sql/0001_a", Doing::Revert, "sql/0001_a", Err("reverted")),
        ("sql/0001_a", Doing::Cleanup, "sql/0001_a", Ok(&[])),
        (
            "redis/0001_x",
            Doing::Apply,
            "redis/0001_x",
            Ok(&["apply redis/0001_x"]),
        ),
        // A copy undoes what there is of it, however little that is.
        (
            "redis/0001_x",
            Doing::Apply,
            "",
            Ok(&["revert redis/0001_x"]),
        ),
    ];
    for (name, doing, desired, expected) in cases {
        let state = project.standing(State::empty(), name, partial(doing));
        let case = format!("{name} {doing:?} {desired:?}");
        match (project.plan(&state, &project.version(desired)), expected) {
            (Ok(decision), Ok(steps)) => {
                assert_eq!(lines(&decision), steps, "{case}");
                let resumes = decision.steps.iter().any(|s| s.resumes);
                let same = !desired.is_empty() || doing == Doing::Revert;
                assert_eq!(resumes, same && !steps.is_empty(), "{case}");
            }
            (Err(PlanError::HalfDone { doing: found, .. }), Err(doing)) => {
                assert_eq!(found, doing, "{case}");
            }
            (other, _) => panic!("{case}: {other:?}"),
        }
        assert_eq!(
            status_of(&project, &state, name),
            Status::Interrupted { doing }
        );
    }
}

#[test]
fn u07_the_filter_is_part_of_the_decision() {
    let project = Project::new("sql/0001_a redis/0001_x");
    let mut desired = project.latest();
    let mut digests = BTreeSet::new();
    for (only, steps) in [
        (None, vec!["apply sql/0001_a", "apply redis/0001_x"]),
        (Some(StoreKind::Sql), vec!["apply sql/0001_a"]),
        (Some(StoreKind::Redis), vec!["apply redis/0001_x"]),
    ] {
        desired.only = only;
        let decision = project.plan(&State::empty(), &desired).unwrap();
        assert_eq!(lines(&decision), steps);
        assert_eq!(decision.only, only);
        digests.insert(sealed(decision).digest);
    }
    assert_eq!(digests.len(), 3);
    // Even where it leaves nothing out.
    let done = project.applied("sql/0001_a redis/0001_x");
    let filtered = project.plan(&done, &desired).unwrap();
    assert!(filtered.is_empty());
    desired.only = None;
    let free = project.plan(&done, &desired).unwrap();
    assert_ne!(sealed(filtered).digest, sealed(free).digest);
}

#[test]
fn u07_a_filter_that_leaves_out_what_a_step_needs_is_an_error() {
    let project = Project::new("sql/0001_a sql/0002_b<-redis/0001_x redis/0001_x");
    let mut desired = project.latest();
    desired.only = Some(StoreKind::Sql);
    assert_eq!(
        project.plan(&State::empty(), &desired).unwrap_err(),
        PlanError::FilterLeavesOut {
            only: StoreKind::Sql,
            id: id("sql/0002_b"),
            missing: id("redis/0001_x"),
        }
    );
    let there = project.applied("redis/0001_x");
    assert_eq!(project.plan(&there, &desired).unwrap().steps.len(), 2);

    // The way back: Redis has to give up the migration that stands on the one to be reverted.
    let project = Project::new("sql/0001_a redis/0001_x<-sql/0001_a");
    let mut desired = project.version("");
    desired.only = Some(StoreKind::Sql);
    assert_eq!(
        project
            .plan(&project.applied("sql/0001_a redis/0001_x"), &desired)
            .unwrap_err(),
        PlanError::FilterLeavesOut {
            only: StoreKind::Sql,
            id: id("sql/0001_a"),
            missing: id("redis/0001_x"),
        }
    );
}

#[test]
fn u04_what_a_store_that_is_not_configured_would_need_is_named_in_the_plan() {
    let project = Project::new("sql/0001_a redis/0001_x<-sql/0001_a");
    let decision = project.plan_latest(&State::only(StoreKind::Redis)).unwrap();
    assert_eq!(lines(&decision), ["apply redis/0001_x"]);
    assert_eq!(decision.left_out, ids("sql/0001_a"));
    let both = project.plan_latest(&State::empty()).unwrap();
    assert!(both.left_out.is_empty());
    assert_eq!(both.steps.len(), 2);
    let status = status_of(&project, &State::only(StoreKind::Redis), "sql/0001_a");
    assert_eq!(status, Status::Unconfigured);
}

#[test]
fn only_a_file_that_would_run_has_to_parse() {
    let broken = "CREATE TABEL a (id bigint);\n";
    let project = Project::new("sql/0001_a sql/0002_b").file("sql/0002_b.up.sql", broken);
    let error = project.plan_latest(&State::empty()).unwrap_err();
    assert!(
        matches!(&error, PlanError::Syntax { file, line: 1, .. } if file == "sql/0002_b.up.sql"),
        "{error}"
    );
    // What is in place, or not desired, is not run.
    let done = project.applied("sql/0001_a sql/0002_b");
    assert!(project.plan_latest(&done).unwrap().is_empty());
    let first = project.plan(&State::empty(), &project.version("sql/0001_a"));
    assert_eq!(lines(&first.unwrap()), ["apply sql/0001_a"]);
    // A down or a verification that does not parse stops nothing but itself.
    let project = Project::new("sql/0001_a").file("sql/0001_a.down.sql", broken);
    assert_eq!(project.plan_latest(&State::empty()).unwrap().steps.len(), 1);
    let back = project.plan(&project.applied("sql/0001_a"), &project.version(""));
    assert!(matches!(back.unwrap_err(), PlanError::Syntax { .. }));
    // The user knows better.
    let knows = Project::new("sql/0001_a").file(
        "sql/0001_a.up.sql",
        &format!("-- outpost: parse = false\n{broken}"),
    );
    assert_eq!(knows.plan_latest(&State::empty()).unwrap().steps.len(), 1);
}

#[test]
fn u14_cleanup_plans_what_applied_migrations_left_behind() {
    let project = Project::new("sql/0001_a sql/0002_b redis/0001_x redis/0002_y")
        .file("sql/0001_a.cleanup.sql", "DROP TABLE old;")
        .file("sql/0001_a.verify.sql", "SELECT true;");
    let mut state = project.applied("sql/0001_a sql/0002_b redis/0001_x");
    let decision = project.cleanup(&state, None).unwrap();
    // 0002_b leaves nothing behind, 0002_y is not in place.
    assert_eq!(
        lines(&decision),
        ["cleanup sql/0001_a", "cleanup redis/0001_x"]
    );
    assert_eq!(decision.purpose, Purpose::Cleanup);
    let StepContent::Sql(content) = &decision.steps[0].content else {
        panic!("no SQL");
    };
    assert_eq!(content.statements[0].text, "DROP TABLE old");
    assert_eq!(content.verify[0].text, "SELECT true");

    // What came after a copy may have changed it, and goes into the plan with its text.
    let later = |state: &State| -> Vec<String> {
        let decision = project.cleanup(state, Some("redis/0001_x")).unwrap();
        match &decision.steps[0].content {
            StepContent::Redis(content) => content.later.iter().map(|l| l.path.clone()).collect(),
            _ => panic!("no declaration"),
        }
    };
    assert!(later(&state).is_empty());
    let both = project.applied("sql/0001_a sql/0002_b redis/0001_x redis/0002_y");
    assert_eq!(later(&both), ["redis/0002_y.toml"]);

    let one = project.cleanup(&state, Some("redis/0001_x")).unwrap();
    assert_eq!(lines(&one), ["cleanup redis/0001_x"]);
    let error = project.cleanup(&state, Some("redis/0001_xx")).unwrap_err();
    assert_eq!(
        error,
        PlanError::Unknown {
            id: "redis/0001_xx".to_owned(),
            nearest: Some("redis/0001_x".to_owned()),
        }
    );

    state = project.standing(state, "redis/0001_x", partial(Doing::Cleanup));
    let resumed = project.cleanup(&state, Some("redis/0001_x")).unwrap();
    assert!(resumed.steps[0].resumes);
    let cleaned = LedgerStatus::Applied {
        how: outpost::model::state::HowApplied::Run,
        cleaned: true,
    };
    state = project.standing(state, "redis/0001_x", cleaned);
    assert_eq!(
        lines(&project.cleanup(&state, None).unwrap()),
        ["cleanup sql/0001_a"]
    );
}

#[test]
fn c01_resolve_is_for_what_is_half_done_and_for_nothing_else() {
    let project = Project::new("sql/0001_a sql/0002_b redis/0001_x");
    let dirty = State::empty().with_row(2, true);
    let half = project.standing(State::empty(), "sql/0002_b", partial(Doing::Apply));
    let unproven = State::empty()
        .with_row(2, false)
        .with_proof("sql/0002_b", Proof::Nothing);
    for state in [dirty, half, unproven] {
        for resolution in [Resolution::Applied, Resolution::RolledBack] {
            let decision = project.resolve(&state, "sql/0002_b", resolution).unwrap();
            assert_eq!(decision.purpose, Purpose::Resolve);
            assert_eq!(decision.steps.len(), 1);
            assert_eq!(decision.steps[0].action, Action::Resolve(resolution));
            assert_eq!(decision.steps[0].content, StepContent::Record);
        }
    }
    for (state, status) in [
        (State::empty(), "not applied"),
        (project.applied("sql/0002_b"), "applied"),
    ] {
        assert_eq!(
            project
                .resolve(&state, "sql/0002_b", Resolution::Applied)
                .unwrap_err(),
            PlanError::NothingToResolve {
                id: id("sql/0002_b"),
                status: status.to_owned(),
            }
        );
    }
}

#[test]
fn a_cycle_is_printed_from_its_smallest_member() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("sql/0001_a", "sql/0001_a")], "sql/0001_a -> sql/0001_a"),
        (
            &[
                ("sql/0001_a", "redis/0001_x"),
                ("redis/0001_x", "sql/0001_a"),
            ],
            "sql/0001_a -> redis/0001_x -> sql/0001_a",
        ),
        // The walk enters the circle elsewhere than at its smallest member.
        (
            &[
                ("sql/0001_a", "sql/0004_d"),
                ("sql/0002_b", "sql/0004_d sql/0005_e"),
                ("sql/0004_d", "sql/0002_b"),
                ("sql/0005_e", "sql/0001_a"),
            ],
            "sql/0002_b -> sql/0004_d -> sql/0002_b",
        ),
        (
            &[
                ("sql/0001_a", ""),
                ("sql/0002_b", "sql/0001_a sql/0003_c"),
                ("sql/0003_c", "sql/0002_b"),
            ],
            "sql/0002_b -> sql/0003_c -> sql/0002_b",
        ),
    ];
    for (requirements, printed) in cases {
        let requires: BTreeMap<MigrationId, BTreeSet<MigrationId>> = requirements
            .iter()
            .map(|(name, needs)| (id(name), ids(needs)))
            .collect();
        let error = Graph::new(&Project::of(&requires).catalog()).unwrap_err();
        assert!(matches!(error, GraphError::Cycle(_)), "{error}");
        assert!(error.to_string().ends_with(printed), "{error}");
    }
}

#[test]
fn a_missing_requirement_names_file_line_and_nearest_id() {
    let project =
        Project::new("sql/0001_init sql/0002_b<-redis/0001_hashtags redis/0001_hash_tags").file(
            "sql/0002_b.up.sql",
            "-- two\n-- outpost: requires = [\"redis/0001_hashtags\"]\nSELECT 1;\n",
        );
    assert_eq!(
        Graph::new(&project.catalog()).unwrap_err(),
        GraphError::MissingRequirement {
            id: id("sql/0002_b"),
            place: "sql/0002_b.up.sql:2".to_owned(),
            missing: id("redis/0001_hashtags"),
            nearest: Some("redis/0001_hash_tags".to_owned()),
        }
    );
}

#[test]
fn a_step_carries_the_limits_that_it_runs_under() {
    let project = Project::new("sql/0001_a sql/0002_b sql/0003_c")
        .file(
            "sql/0002_b.up.sql",
            "-- outpost: lock_timeout = \"2s\"\nSELECT 1;\n",
        )
        .file(
            "sql/0003_c.up.sql",
            "-- outpost: transaction = false\nCREATE INDEX CONCURRENTLY i ON t (id);\n",
        );
    let decision = project.plan_latest(&State::empty()).unwrap();
    let limits: Vec<(bool, Option<u64>)> = decision
        .steps
        .iter()
        .map(|step| match &step.content {
            StepContent::Sql(sql) => (sql.transaction, sql.lock_timeout_ms),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        limits,
        [(true, Some(5_000)), (true, Some(2_000)), (false, None)]
    );
}

#[test]
fn c13_a_database_that_is_ahead_opens_the_gate_as_the_policy_says() {
    let project = Project::new("sql/0001_a sql/0002_b");
    let state = project.applied("sql/0001_a sql/0002_b");
    let catalog = project.catalog();
    let statuses = statuses(&catalog, &state.0, &ids("sql/0001_a"));
    for (policy, open, warns) in [
        (Ahead::Allow, true, false),
        (Ahead::Warn, true, true),
        (Ahead::Refuse, false, false),
    ] {
        let gate = Gate::new("1", &statuses, &catalog, &state.0, policy);
        assert_eq!((gate.open(), gate.warns()), (open, warns), "{policy:?}");
        assert_eq!(gate.ahead[0].id, id("sql/0002_b"));
    }
}

#[test]
fn a_step_that_was_begun_is_running_while_its_run_is_alive_and_interrupted_after() {
    let project = Project::new("sql/0001_a");
    let begun = || project.standing(State::empty(), "sql/0001_a", partial(Doing::Apply));
    let held = |holder: bool, expires_in_ms: i64| {
        let mut state = begun();
        let store = state.0.stores.get_mut(&StoreKind::Sql).unwrap();
        store.lease = Some(LeaseInfo {
            id: "1".to_owned(),
            token: 1,
            holder: holder.then(|| Holder {
                user: "me".to_owned(),
                host: "here".to_owned(),
                pid: 1,
                plan: String::new(),
                signer: None,
            }),
            since: String::new(),
            expires_in_ms,
        });
        state
    };
    let (running, interrupted) = (
        Status::Running {
            doing: Doing::Apply,
        },
        Status::Interrupted {
            doing: Doing::Apply,
        },
    );
    for (state, expected) in [
        (begun(), &interrupted),
        (held(true, 29_000), &running),
        // Not renewed for longer than a live run lets pass.
        (held(true, 5_000), &interrupted),
        (held(true, -1), &interrupted),
        // An earlier tool's lock says nothing of our step.
        (held(false, 29_000), &interrupted),
    ] {
        assert_eq!(status_of(&project, &state, "sql/0001_a"), *expected);
        assert!(!gate(&project, &state, Ahead::Allow).open());
    }
}

fn status_of(project: &Project, state: &State, name: &str) -> Status {
    statuses(&project.catalog(), &state.0, &project.all())
        .into_iter()
        .find(|s| s.id == id(name))
        .map(|s| s.status)
        .unwrap()
}

fn gate(project: &Project, state: &State, policy: Ahead) -> Gate {
    let catalog = project.catalog();
    let statuses = statuses(&catalog, &state.0, &project.all());
    Gate::new("latest", &statuses, &catalog, &state.0, policy)
}

// Random graphs.

type Requirements = BTreeMap<MigrationId, BTreeSet<MigrationId>>;

/// Up to twelve migrations over both stores; each may require any that were drawn before it, so that
/// there is no cycle, while numbers and stores follow no order.
fn dags() -> impl Strategy<Value = Requirements> {
    proptest::collection::vec((any::<bool>(), any::<u16>(), any::<u32>()), 0..12).prop_map(
        |nodes| {
            let mut shuffled: Vec<usize> = (0..nodes.len()).collect();
            shuffled.sort_by_key(|at| (nodes[*at].2, *at));
            let mut all = vec![None; nodes.len()];
            for (number, at) in shuffled.into_iter().enumerate() {
                let store = if nodes[at].0 {
                    StoreKind::Sql
                } else {
                    StoreKind::Redis
                };
                all[at] = MigrationId::new(store, &format!("{:04}_m", number + 1)).ok();
            }
            let all: Vec<MigrationId> = all.into_iter().flatten().collect();
            nodes
                .iter()
                .enumerate()
                .map(|(at, (_, bits, _))| {
                    let requires = (0..at)
                        .filter(|before| bits & (1 << before) != 0)
                        .map(|before| all[before].clone())
                        .collect();
                    (all[at].clone(), requires)
                })
                .collect()
        },
    )
}

/// A subset by bits.
fn chosen(requirements: &Requirements, bits: u16) -> BTreeSet<MigrationId> {
    requirements
        .keys()
        .enumerate()
        .filter(|(at, _)| bits & (1 << at) != 0)
        .map(|(_, id)| id.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// From any state that a graph allows to any version, in any order that `after` allows.
    #[test]
    fn plans_over_random_graphs_lead_to_the_desired_set(
        requirements in dags(),
        have in any::<u16>(),
        want in any::<u16>(),
        turns in any::<u64>(),
    ) {
        let project = Project::of(&requirements);
        let graph = project.graph();
        let in_place = graph.with_requirements(&chosen(&requirements, have));
        let wanted = graph.with_requirements(&chosen(&requirements, want));
        for id in &wanted {
            prop_assert!(requirements[id].is_subset(&wanted), "closed");
        }
        let order = graph.order(&project.all());
        prop_assert_eq!(order.len(), requirements.len());
        for (at, id) in order.iter().enumerate() {
            let before: BTreeSet<MigrationId> = order[..at].iter().cloned().collect();
            prop_assert!(requirements[id].is_subset(&before), "topological");
        }

        let state = in_place.iter().fold(State::empty(), |state, id| {
            let name = id.to_string();
            state.with_entry(&name, project.entry(&name))
        });
        let desired = project.desired(&wanted);
        let decision = project.plan(&state, &desired).unwrap();

        // One step for each difference, each after what it waits for.
        let planned: BTreeSet<MigrationId> = decision.steps.iter().map(|s| s.id.clone()).collect();
        prop_assert_eq!(planned.len(), decision.steps.len());
        let differences: BTreeSet<MigrationId> =
            wanted.symmetric_difference(&in_place).cloned().collect();
        prop_assert_eq!(&planned, &differences);
        let mut seen = BTreeSet::new();
        for step in &decision.steps {
            prop_assert!(step.after.is_subset(&seen), "{} runs too early", step.id);
            seen.insert(step.id.clone());
        }

        // Any order that `ready` allows.
        let mut rng = turns;
        let mut done = BTreeSet::new();
        let mut now = in_place.clone();
        loop {
            let ready = decision.ready(&done);
            if ready.is_empty() {
                break;
            }
            rng = rng.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let step = ready[(rng >> 33) as usize % ready.len()];
            match step.action {
                Action::Apply => {
                    prop_assert!(requirements[&step.id].is_subset(&now), "{} stands on nothing", step.id);
                    now.insert(step.id.clone());
                }
                Action::Revert { .. } => {
                    now.remove(&step.id);
                    let stranded = now.iter().find(|id| requirements[*id].contains(&step.id));
                    prop_assert!(stranded.is_none(), "{stranded:?} stands on nothing");
                }
                ref other => prop_assert!(false, "{other:?}"),
            }
            done.insert(step.id.clone());
        }
        prop_assert_eq!(now, wanted);
    }

    /// u09: the same inputs give the same bytes, in whatever order they were put together.
    #[test]
    fn u09_the_order_of_insertion_leaves_no_trace(requirements in dags(), want in any::<u16>()) {
        let forward = Project::of(&requirements);
        let wanted = chosen(&requirements, want);
        let bytes = |requirements: Requirements, wanted: Vec<MigrationId>| {
            let project = Project::of(&requirements);
            let desired = project.desired(&wanted.into_iter().collect());
            sealed(project.plan(&State::empty(), &desired).unwrap()).encode().unwrap()
        };
        let once = bytes(requirements.clone(), wanted.iter().cloned().collect());
        let backward: Requirements = requirements
            .iter()
            .rev()
            .map(|(id, needs)| (id.clone(), needs.iter().rev().cloned().collect()))
            .collect();
        let again = bytes(backward, wanted.iter().rev().cloned().collect());
        prop_assert_eq!(&once, &again);
        prop_assert_eq!(once, sealed(
            forward.plan(&State::empty(), &forward.desired(&wanted)).unwrap()
        ).encode().unwrap());
    }
}

/// The digest that reviewers compare is of the decision alone, and it is stable: a change of the encoding
/// needs a new format number.
#[test]
fn u09_times_names_and_plans_in_the_ledger_do_not_reach_the_digest() {
    let project = Project::new("sql/0001_a sql/0002_b");
    let one = project.applied("sql/0001_a");
    let mut other = one.clone();
    let entry = other
        .store(StoreKind::Sql)
        .ledger
        .get_mut(&id("sql/0001_a"))
        .unwrap();
    entry.at = "2031-01-01T00:00:00Z".to_owned();
    entry.actor = "bob".to_owned();
    entry.plan = "ff".repeat(32);
    let digest = |state| sealed(project.plan_latest(state).unwrap()).digest;
    assert_eq!(digest(&one), digest(&other));
    assert_eq!(FORMAT, 2);
    let tombstone = project.standing(one.clone(), "sql/0002_b", LedgerStatus::Reverted);
    assert_eq!(digest(&one), digest(&tombstone));
    let edited = entry_of_another_file(&one);
    assert_ne!(digest(&one), {
        let mut desired = project.latest();
        desired.accept_edits = true;
        sealed(project.plan(&edited, &desired).unwrap()).digest
    });
}

fn entry_of_another_file(state: &State) -> State {
    let checksum = outpost::model::checksum::Checksum::of_content("another");
    let status = state.0.entry(&id("sql/0001_a")).unwrap().status.clone();
    state
        .clone()
        .with_entry("sql/0001_a", entry(checksum, status))
}
