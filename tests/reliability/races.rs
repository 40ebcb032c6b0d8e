//! Twenty at once.

use std::sync::Arc;

use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Wire};
use crate::support::{query_one_text, redis_text, wait_until};
use crate::world::{Ended, Running, World, in_use};

const MANY: usize = 20;

fn many(world: &World, arguments: &[&str]) -> Vec<Running> {
    (0..MANY)
        .map(|_| world.start(world.command(arguments)))
        .collect()
}

fn codes(ended: &[Ended]) -> Vec<Option<i32>> {
    ended.iter().map(|ended| ended.status.code()).collect()
}

#[test]
fn u13_c07_twenty_runs_of_one_plan_that_wait_for_each_other_carry_it_out_once() {
    let world = World::new();
    for phase in phases(&world) {
        world.restore(&phase.start);
        let runs = many(
            &world,
            &["migrate", "apply", phase.plan, "--lock-wait", "60s"],
        );
        let ended: Vec<Ended> = runs.into_iter().map(Running::wait).collect();
        for ended in &ended {
            assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
        }
        phase.expect_left(&world.state(), "many at once");
    }
}

/// A run that is in the middle of its work and holds both leases.
fn at_work(world: &World, phase: &Phase) -> (Arc<Wire>, Running) {
    world.restore(&phase.start);
    let wire = Wire::with(At::Message(phase.messages.len() / 2), Fault::Stall);
    let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
    let apply = world.start_on(&wire, &arguments);
    apply.wait_for(&wire);
    let held = "select count(*) from outpost.lease where expires_at > clock_timestamp()";
    assert_eq!(query_one_text(&world.database, held), "1");
    let lease = redis_text(&world.redis, &["GET", ".outpost:migration:lock"]);
    let its = format!("\"pid\":{},", apply.pid());
    assert!(lease.contains(&its), "{lease}");
    (wire, apply)
}

#[test]
fn u13_c07_of_twenty_runs_that_do_not_wait_one_applies_and_the_others_say_who_holds_the_lease() {
    let world = World::new();
    for phase in phases(&world) {
        let (wire, apply) = at_work(&world, &phase);
        let others = many(&world, &["migrate", "apply", phase.plan]);
        for other in others.into_iter().map(Running::wait) {
            let other = other.expect(5);
            assert!(other.words().contains("is held by"), "{}", other.output);
        }
        wire.release();
        apply.wait().expect(0);
        phase.expect_left(&world.state(), "many at once");
    }
}

#[test]
fn u13_c07_twenty_runs_that_begin_together_and_do_not_wait_carry_a_plan_out_once() {
    let world = World::new();
    for phase in phases(&world) {
        world.restore(&phase.start);
        let runs = many(&world, &["migrate", "apply", phase.plan]);
        let ended: Vec<Ended> = runs.into_iter().map(Running::wait).collect();
        for ended in &ended {
            let harmless = match ended.status.code() {
                Some(0) => true,
                Some(5) => ended.words().contains("is held by"),
                _ => false,
            };
            assert!(harmless, "{:?}\n{}", ended.status, ended.output);
        }
        assert!(codes(&ended).contains(&Some(0)), "nobody applied");
        phase.expect_left(&world.state(), "many at once");
    }
}

#[test]
fn u03_twenty_gates_lists_and_plans_beside_an_apply_answer_and_leave_no_trace() {
    let world = World::new();
    for phase in phases(&world) {
        let (wire, apply) = at_work(&world, &phase);
        let gates = many(&world, &["serve", "--", "true"]);
        let lists = many(&world, &["migrate", "list"]);
        let plans: Vec<Running> = (0..MANY)
            .map(|n| {
                let out = format!("beside-{n}.bin");
                world.start(world.command(&["migrate", "plan", "-out", &out]))
            })
            .collect();
        // A version that is there already lets the application start while its cleanup goes on.
        let gate = if phase.name == "cleanup" { 0 } else { 3 };
        for ended in gates.into_iter().map(Running::wait) {
            ended.expect(gate);
        }
        for ended in lists.into_iter().map(Running::wait) {
            ended.expect(0);
        }
        for ended in plans.into_iter().map(Running::wait) {
            if phase.name == "revert" {
                // It is for the version that is being left, and half of a step is not planned over.
                let ended = ended.expect(1);
                let said = ended.words();
                assert!(said.contains("is half reverted"), "{}", ended.output);
            } else {
                ended.expect(0);
            }
        }
        wire.release();
        apply.wait().expect(0);
        phase.expect_left(&world.state(), "many at once");
    }
}

/// Its lock keeps others from reading the schema, but not from seeing that the run holds the lease.
#[test]
fn u03_c07_beside_a_run_that_holds_a_table_others_wait_or_say_who_holds_the_lease() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    // The step has altered a table, and has it locked, when it comes to the one that is in use.
    let (blocker, _guard) = in_use(&world, "audit");
    let at_work = world.start(world.command(&["migrate", "apply", phase.plan]));
    let locked = "select count(*) from pg_locks where relation = 'accounts'::regclass \
                  and mode = 'AccessExclusiveLock' and granted";
    wait_until("the step has its lock", || {
        query_one_text(&world.database, locked) == "1"
    });
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    let waits = world.start(world.command(&patient));
    let refused = world.run(&["migrate", "apply", phase.plan]).expect(5);
    assert!(refused.words().contains("is held by"), "{}", refused.output);
    world.run(&["migrate", "list"]).expect(0);
    world.run(&["serve", "--", "true"]).expect(3);
    let plan = world.run(&["migrate", "plan"]).expect(1);
    assert!(
        plan.words().contains("the schema is being changed"),
        "{}",
        plan.output
    );
    wait_until("the other run waits", || waits.output().contains("wait"));
    blocker.release();
    at_work.wait().expect(0);
    waits.wait().expect(0);
    phase.expect_left(&world.state(), "beside a table's lock");
}
