//! Whether a plan still fits the stores: fresh, resumed, spent or stale, and why.

use std::collections::BTreeMap;

use outpost::model::checksum::Checksum;
use outpost::model::id::StoreKind;
use outpost::model::plan::{Action, Difference, Freshness, Plan, Resolution};
use outpost::model::state::{
    Doing, HowApplied, LedgerEntry, LedgerStatus, MarkerStatus, SchemaObjects, StoreIdentity,
};

use crate::folder::{self, Project, State, id, identity, ids, partial, sealed};

const RUN: LedgerStatus = LedgerStatus::Applied {
    how: HowApplied::Run,
    cleaned: false,
};

/// `a`, then `b` and Redis's `x` beside each other, then `c`.
fn project() -> Project {
    Project::new("sql/0001_a sql/0002_b sql/0003_c<-redis/0001_x redis/0001_x<-sql/0001_a")
}

fn freshness(plan: &Plan, state: &State) -> Freshness {
    plan.freshness(&state.0.stores)
}

/// The state after these steps of the plan.
fn after(plan: &Plan, state: &State, names: &str) -> State {
    ids(names).iter().fold(state.clone(), |state, id| {
        let step = plan.decision.step(id).unwrap();
        let before = state.0.entry(id).map(|e| e.status.clone());
        let status = match &step.action {
            Action::Apply => RUN,
            Action::AcceptEdit { .. } => before.unwrap(),
            Action::Adopt { .. } => LedgerStatus::Applied {
                how: HowApplied::Adopted,
                cleaned: false,
            },
            Action::Resolve(Resolution::Applied) => LedgerStatus::Applied {
                how: HowApplied::Resolved,
                cleaned: false,
            },
            Action::Cleanup => LedgerStatus::Applied {
                how: HowApplied::Run,
                cleaned: true,
            },
            Action::Skip { reason } => LedgerStatus::Skipped {
                reason: reason.clone(),
            },
            Action::Revert { .. } | Action::Resolve(Resolution::RolledBack) => {
                LedgerStatus::Reverted
            }
        };
        state.with_entry(&id.to_string(), written(plan, step.checksum, status))
    })
}

fn written(plan: &Plan, checksum: Checksum, status: LedgerStatus) -> LedgerEntry {
    LedgerEntry {
        plan: plan.digest.hex(),
        ..folder::entry(checksum, status)
    }
}

/// The ledgers exist, as they do once a first step was recorded.
fn with_ledgers(mut state: State, uuid: &str) -> State {
    for kind in [StoreKind::Sql, StoreKind::Redis] {
        state.store(kind).identity = identity(kind, Some(uuid));
    }
    state
}

fn stale(found: Freshness) -> Vec<Difference> {
    match found {
        Freshness::Stale(differences) => differences,
        other => panic!("{other:?}"),
    }
}

fn stale_entries(found: Freshness) -> Vec<String> {
    let name = |difference: Difference| match difference {
        Difference::Entry { id, .. } => id.to_string(),
        other => panic!("{other}"),
    };
    stale(found).into_iter().map(name).collect()
}

#[test]
fn a_plan_is_fresh_resumed_or_spent_as_its_own_steps_are_done() {
    let project = project();
    let state = State::empty();
    let plan = sealed(project.plan_latest(&state).unwrap());
    assert_eq!(freshness(&plan, &state), Freshness::Fresh);
    for done in [
        "sql/0001_a",
        "sql/0001_a redis/0001_x",
        "sql/0001_a sql/0002_b",
        "sql/0001_a sql/0002_b redis/0001_x",
    ] {
        let later = with_ledgers(after(&plan, &state, done), "new");
        assert_eq!(freshness(&plan, &later), Freshness::Resumed(ids(done)));
    }
    let all = "sql/0001_a sql/0002_b sql/0003_c redis/0001_x";
    let done = with_ledgers(after(&plan, &state, all), "new");
    assert_eq!(freshness(&plan, &done), Freshness::Spent);
}

#[test]
fn a_ledger_that_was_only_created_leaves_a_plan_fresh() {
    let project = project();
    let plan = sealed(project.plan_latest(&State::empty()).unwrap());
    let created = with_ledgers(State::empty(), "new");
    assert_eq!(freshness(&plan, &created), Freshness::Fresh);
}

#[test]
fn a_step_that_was_begun_and_not_finished_is_resumed() {
    let project = project();
    let plan = sealed(project.plan_latest(&State::empty()).unwrap());
    let checksum = plan.decision.steps[0].checksum;
    let begun = State::empty().with_entry(
        "sql/0001_a",
        written(&plan, checksum, partial(Doing::Apply)),
    );
    assert_eq!(freshness(&plan, &begun), Freshness::Resumed(ids("")));
    // Of another plan, it is somebody else's work.
    let other =
        State::empty().with_entry("sql/0001_a", folder::entry(checksum, partial(Doing::Apply)));
    assert_eq!(stale_entries(freshness(&plan, &other)), ["sql/0001_a"]);
}

#[test]
fn a_step_out_of_turn_makes_a_plan_stale() {
    let project = project();
    let plan = sealed(project.plan_latest(&State::empty()).unwrap());
    for (done, who, missing) in [
        ("sql/0002_b", "sql/0002_b", "sql/0001_a"),
        (
            "sql/0001_a sql/0002_b sql/0003_c",
            "sql/0003_c",
            "redis/0001_x",
        ),
    ] {
        let state = after(&plan, &State::empty(), done);
        assert_eq!(
            stale(freshness(&plan, &state)),
            [Difference::OutOfTurn {
                id: id(who),
                missing: id(missing)
            }]
        );
    }
}

#[test]
fn every_action_knows_its_own_work() {
    let marker = "compat_name = \"001_x\"\nscope = \"o:<id>\"\n[[step]]\ncopy = \"o:<id>\"\nto = \"n:<id>\"\ntype = \"hash\"\n";
    let folder = Project::new("sql/0001_a redis/0001_x").file("redis/0001_x.toml", marker);
    let proven = outpost::model::state::Proof::Proven("passes".to_owned());
    let edited = folder.clone().file("sql/0001_a.up.sql", "SELECT 2;");
    let half = folder.standing(
        folder.applied("redis/0001_x"),
        "sql/0001_a",
        partial(Doing::Apply),
    );
    let dirty = folder.applied("redis/0001_x").with_row(1, true);
    let mut accepting = edited.latest();
    accepting.accept_edits = true;
    let cleaned = LedgerStatus::Applied {
        how: HowApplied::Run,
        cleaned: true,
    };
    let old_cleaned = folder.standing(folder.applied("redis/0001_x"), "sql/0001_a", cleaned);
    let old_skipped = folder.standing(
        folder.applied("redis/0001_x"),
        "sql/0001_a",
        LedgerStatus::Skipped {
            reason: "r".to_owned(),
        },
    );
    let adoptable = folder
        .applied("sql/0001_a")
        .with_marker("001_x", MarkerStatus::Applied)
        .with_proof("redis/0001_x", proven);
    let ruled_out = folder
        .applied("sql/0001_a")
        .not_applicable("redis/0001_x", "r");
    let both = folder.applied("sql/0001_a redis/0001_x");
    let cases = [
        ("apply", folder.plan_latest(&State::empty()), State::empty()),
        (
            "revert",
            folder.plan(&both, &folder.version("")),
            both.clone(),
        ),
        ("cleanup", folder.cleanup(&both, None), both.clone()),
        ("adopt", folder.plan_latest(&adoptable), adoptable.clone()),
        ("skip", folder.plan_latest(&ruled_out), ruled_out.clone()),
        ("accept edit", edited.plan(&both, &accepting), both.clone()),
        (
            "accept edit",
            edited.plan(&old_cleaned, &accepting),
            old_cleaned.clone(),
        ),
        (
            "accept edit",
            edited.plan(&old_skipped, &accepting),
            old_skipped.clone(),
        ),
        (
            "resolve as applied",
            folder.resolve(&half, "sql/0001_a", Resolution::Applied),
            half.clone(),
        ),
        (
            "resolve as rolled back",
            folder.resolve(&half, "sql/0001_a", Resolution::RolledBack),
            half.clone(),
        ),
        (
            "resolve as applied",
            folder.resolve(&dirty, "sql/0001_a", Resolution::Applied),
            dirty.clone(),
        ),
        (
            "resolve as rolled back",
            folder.resolve(&dirty, "sql/0001_a", Resolution::RolledBack),
            dirty.clone(),
        ),
    ];
    for (action, decision, state) in cases {
        let plan = sealed(decision.unwrap_or_else(|e| panic!("{action}: {e}")));
        let names: Vec<String> = plan
            .decision
            .steps
            .iter()
            .map(|s| s.id.to_string())
            .collect();
        assert!(!names.is_empty(), "{action}");
        for step in &plan.decision.steps {
            assert_eq!(step.action.name(), action);
        }
        assert_eq!(freshness(&plan, &state), Freshness::Fresh, "{action}");
        let done = after(&plan, &state, &names.join(" "));
        assert_eq!(
            freshness(&plan, &done),
            Freshness::Spent,
            "{action} {names:?}"
        );
    }
}

#[test]
fn c07_a_spent_plan_stays_spent_until_something_comes_after_it() {
    let project = project();
    let all = "sql/0001_a sql/0002_b sql/0003_c redis/0001_x";
    let plan = sealed(project.plan_latest(&State::empty()).unwrap());
    let done = after(&plan, &State::empty(), all);
    for _ in 0..2 {
        assert_eq!(freshness(&plan, &done), Freshness::Spent);
    }
    // It can be shown all the same: decoding asks nothing of any store.
    let shown = Plan::decode(&plan.encode().unwrap()).unwrap();
    assert_eq!(shown, plan);
    // Something newer was applied on top.
    let newer = done
        .clone()
        .with_entry("sql/0004_d", folder::entry(Checksum::of_content("d"), RUN));
    assert_eq!(stale_entries(freshness(&plan, &newer)), ["sql/0004_d"]);
}

#[test]
fn a_plan_is_stale_when_a_ledger_entry_differs() {
    let project = project();
    let start = project.applied("sql/0001_a");
    let plan = sealed(project.plan_latest(&start).unwrap());
    let other = |status| folder::entry(Checksum::of_content("another"), status);
    let same = |status| folder::entry(*project.migration("sql/0001_a").checksum(), status);
    for (name, entry) in [
        ("sql/0001_a", other(RUN)),
        ("sql/0001_a", same(LedgerStatus::Reverted)),
        ("sql/0001_a", same(partial(Doing::Revert))),
        (
            "sql/0001_a",
            same(LedgerStatus::Skipped {
                reason: "r".to_owned(),
            }),
        ),
        ("sql/0002_b", other(RUN)),
        ("redis/0001_x", other(RUN)),
        ("sql/0099_unknown", other(RUN)),
    ] {
        let state = start.clone().with_entry(name, entry);
        assert_eq!(stale_entries(freshness(&plan, &state)), [name]);
    }
    // The record is gone.
    let mut state = start.clone();
    state.store(StoreKind::Sql).ledger.clear();
    assert_eq!(stale_entries(freshness(&plan, &state)), ["sql/0001_a"]);
    // Who wrote it and when decides nothing.
    let mut entry = project.entry("sql/0001_a");
    entry.actor = "bob".to_owned();
    entry.at = "2031-01-01T00:00:00Z".to_owned();
    let state = start.with_entry("sql/0001_a", entry);
    assert_eq!(freshness(&plan, &state), Freshness::Fresh);
}

/// Two reviewers approved two plans from one state: the second to be applied is stale.
#[test]
fn what_another_plan_did_is_not_ours() {
    let project = project();
    let plan = sealed(project.plan_latest(&State::empty()).unwrap());
    let shorter = sealed(
        project
            .plan(&State::empty(), &project.version("sql/0001_a"))
            .unwrap(),
    );
    assert_ne!(plan.digest, shorter.digest);
    let state = after(&shorter, &State::empty(), "sql/0001_a");
    assert_eq!(freshness(&shorter, &state), Freshness::Spent);
    assert_eq!(stale_entries(freshness(&plan, &state)), ["sql/0001_a"]);
}

#[test]
fn what_another_plan_adopted_is_not_ours() {
    let project = Project::new("sql/0001_a");
    let state = State::empty().with_row(1, false).with_proof(
        "sql/0001_a",
        outpost::model::state::Proof::Proven("pinned".to_owned()),
    );
    let plan = sealed(project.plan_latest(&state).unwrap());
    let adopted = LedgerStatus::Applied {
        how: HowApplied::Adopted,
        cleaned: false,
    };
    let theirs = project.standing(state.clone(), "sql/0001_a", adopted);
    assert_eq!(stale_entries(freshness(&plan, &theirs)), ["sql/0001_a"]);
    assert_eq!(
        freshness(&plan, &after(&plan, &state, "sql/0001_a")),
        Freshness::Spent
    );
}

#[test]
fn a_tombstone_of_another_plan_is_no_difference_and_our_own_is_done_work() {
    let project = Project::new("sql/0001_a sql/0002_b");
    // Reverted long ago by somebody: applied again as if it had never been there.
    let start = project.standing(State::empty(), "sql/0001_a", LedgerStatus::Reverted);
    let forward = sealed(project.plan_latest(&start).unwrap());
    assert_eq!(freshness(&forward, &start), Freshness::Fresh);
    assert_eq!(freshness(&forward, &State::empty()), Freshness::Fresh);

    let there = project.applied("sql/0001_a sql/0002_b");
    let back = sealed(project.plan(&there, &project.version("")).unwrap());
    let half_way = after(&back, &there, "sql/0002_b");
    assert_eq!(
        freshness(&back, &half_way),
        Freshness::Resumed(ids("sql/0002_b"))
    );
    let spent = after(&back, &there, "sql/0001_a sql/0002_b");
    assert_eq!(freshness(&back, &spent), Freshness::Spent);

    // Forward and back again: plans with the same digest never take an older run's work for theirs.
    let again = sealed(project.plan_latest(&spent).unwrap());
    let redone = after(&again, &spent, "sql/0001_a sql/0002_b");
    let back_again = sealed(project.plan(&redone, &project.version("")).unwrap());
    assert_eq!(back_again.digest, back.digest);
    assert_eq!(freshness(&back_again, &redone), Freshness::Fresh);
}

#[test]
fn another_database_is_named_on_both_sides() {
    let project = project();
    let plan = sealed(project.plan_latest(&State::empty()).unwrap());
    let postgres = |system: Option<&str>, database: &str| StoreIdentity::Postgres {
        system_identifier: system.map(str::to_owned),
        database: database.to_owned(),
        ledger: None,
    };
    let redis = |deployment: &str, database| StoreIdentity::Redis {
        deployment_id: deployment.to_owned(),
        database,
        ledger: None,
    };
    for (kind, found) in [
        (StoreKind::Sql, postgres(Some("8"), "app")),
        (StoreKind::Sql, postgres(Some("7"), "other")),
        (StoreKind::Sql, postgres(None, "app")),
        (StoreKind::Redis, redis("d", 0)),
        (StoreKind::Redis, redis("", 1)),
    ] {
        let mut state = State::empty();
        state.store(kind).identity = found.clone();
        let differences = stale(freshness(&plan, &state));
        assert_eq!(
            differences,
            [Difference::OtherDatabase {
                store: kind,
                planned: identity(kind, None).to_string(),
                found: found.to_string(),
            }]
        );
    }
}

#[test]
fn a_ledger_that_was_created_anew_makes_a_plan_stale() {
    let project = project();
    let start = with_ledgers(project.applied("sql/0001_a"), "one");
    let plan = sealed(project.plan_latest(&start).unwrap());
    assert_eq!(freshness(&plan, &start), Freshness::Fresh);
    for identity in [Some("two"), None] {
        let mut state = start.clone();
        state.store(StoreKind::Redis).identity = folder::identity(StoreKind::Redis, identity);
        let differences = stale(freshness(&plan, &state));
        assert!(
            matches!(
                differences.as_slice(),
                [Difference::OtherDatabase {
                    store: StoreKind::Redis,
                    ..
                }]
            ),
            "{differences:?}"
        );
    }
    // Also in the middle of a run.
    let state = after(&plan, &with_ledgers(start.clone(), "two"), "sql/0002_b");
    assert_eq!(stale(freshness(&plan, &state)).len(), 2);
}

#[test]
fn a_store_that_is_not_configured_matters_only_where_the_plan_writes() {
    let project = project();
    let mut desired = project.version("sql/0001_a");
    desired.only = Some(StoreKind::Sql);
    let sql = sealed(project.plan(&State::empty(), &desired).unwrap());
    assert_eq!(
        freshness(&sql, &State::only(StoreKind::Sql)),
        Freshness::Fresh
    );
    assert_eq!(
        stale(freshness(&sql, &State::only(StoreKind::Redis))),
        [Difference::StoreMissing {
            store: StoreKind::Sql
        }]
    );
}

#[test]
fn nothing_runs_in_a_store_of_which_a_plan_records_nothing() {
    let project = project();
    let mut decision = project.plan_latest(&State::empty()).unwrap();
    decision.recorded.remove(&StoreKind::Redis);
    let plan = sealed(decision);
    assert_eq!(
        stale(freshness(&plan, &State::empty())),
        [Difference::StoreMissing {
            store: StoreKind::Redis
        }]
    );
}

#[test]
fn records_of_earlier_tools_count_until_the_first_step_has_begun() {
    let project = project();
    let start = project.applied("sql/0001_a").with_row(1, false);
    let plan = sealed(project.plan_latest(&start).unwrap());
    let moved = start.clone().with_row(2, true);
    assert!(matches!(
        stale(freshness(&plan, &moved)).as_slice(),
        [Difference::Legacy { store: StoreKind::Sql, planned, found }]
            if planned.contains("at 1") && found.contains("dirty at 2")
    ));
    let marked = start.clone().with_marker("001_x", MarkerStatus::Applied);
    assert!(matches!(
        stale(freshness(&plan, &marked)).as_slice(),
        [Difference::Legacy {
            store: StoreKind::Redis,
            ..
        }]
    ));
    // Then it is the run itself that keeps them up.
    let running = after(&plan, &moved, "sql/0002_b");
    assert_eq!(
        freshness(&plan, &running),
        Freshness::Resumed(ids("sql/0002_b"))
    );
}

#[test]
fn the_schema_counts_until_the_first_step_has_begun() {
    let project = project();
    let mut start = project.applied("sql/0001_a");
    start.store(StoreKind::Sql).schema = Some(schema(&[("table a", "id bigint")], &[]));
    let plan = sealed(project.plan_latest(&start).unwrap());
    assert_eq!(freshness(&plan, &start), Freshness::Fresh);
    for (objects, partitions, fresh) in [
        (vec![("table a", "id int")], vec![], false),
        (vec![], vec![], false),
        (
            vec![("table a", "id bigint"), ("table b", "id bigint")],
            vec![],
            false,
        ),
        // Operators add partitions while a plan waits.
        (
            vec![("table a", "id bigint"), ("table a_7", "part")],
            vec!["table a_7"],
            true,
        ),
    ] {
        let mut state = start.clone();
        state.store(StoreKind::Sql).schema = Some(schema(&objects, &partitions));
        match freshness(&plan, &state) {
            Freshness::Fresh => assert!(fresh, "{objects:?}"),
            found => {
                assert!(!fresh, "{objects:?}");
                assert!(matches!(
                    stale(found).as_slice(),
                    [Difference::Fingerprint {
                        store: StoreKind::Sql,
                        ..
                    }]
                ));
            }
        }
        let begun = after(&plan, &state, "sql/0002_b");
        assert_eq!(
            freshness(&plan, &begun),
            Freshness::Resumed(ids("sql/0002_b"))
        );
    }
}

fn schema(objects: &[(&str, &str)], partitions: &[&str]) -> SchemaObjects {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    SchemaObjects {
        definitions: objects.iter().map(owned).collect::<BTreeMap<_, _>>(),
        partitions: partitions.iter().map(|p| (*p).to_owned()).collect(),
        server_major: Some(17),
        ..SchemaObjects::default()
    }
}

#[test]
fn every_difference_is_listed() {
    let project = project();
    let start = project.applied("sql/0001_a").with_row(1, false);
    let plan = sealed(project.plan_latest(&start).unwrap());
    let mut state = start
        .with_row(2, false)
        .with_entry("sql/0002_b", folder::entry(Checksum::of_content("x"), RUN));
    state.store(StoreKind::Redis).identity = StoreIdentity::Redis {
        deployment_id: "d".to_owned(),
        database: 0,
        ledger: None,
    };
    let words: Vec<String> = stale(freshness(&plan, &state))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(words.len(), 3, "{words:#?}");
    assert!(words[0].starts_with("sql/0002_b: planned from no record, found applied"));
    assert!(words[1].starts_with("redis: the plan is for another database"));
    assert!(words[2].starts_with("sql: an earlier tool's record changed"));
}

#[test]
fn an_empty_plan_is_fresh_or_stale_and_never_spent() {
    let project = Project::new("sql/0001_a");
    let there = project.applied("sql/0001_a");
    let plan = sealed(project.plan_latest(&there).unwrap());
    assert!(plan.decision.is_empty());
    assert_eq!(freshness(&plan, &there), Freshness::Fresh);
    assert_eq!(
        stale_entries(freshness(&plan, &State::empty())),
        ["sql/0001_a"]
    );
}
