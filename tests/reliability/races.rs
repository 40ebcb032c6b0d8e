//! Twenty at once.

use crate::phase::phases;
use crate::proxy::{At, Fault, Wire};
use crate::world::{Ended, Running, World};

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

#[test]
fn u13_c07_of_twenty_runs_that_do_not_wait_one_applies_and_the_others_say_who_holds_the_lease() {
    let world = World::new();
    let phase = phases(&world).remove(0);
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

#[test]
fn u03_twenty_gates_and_lists_beside_an_apply_answer_and_leave_no_trace() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    // In the middle of its work, and it holds both leases.
    let wire = Wire::with(At::Message(phase.messages.len() / 2), Fault::Stall);
    let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
    let apply = world.start_on(&wire, &arguments);
    apply.wait_for(&wire);
    let gates = many(&world, &["serve", "--", "true"]);
    let lists = many(&world, &["migrate", "list"]);
    for gate in gates.into_iter().map(Running::wait) {
        gate.expect(3);
    }
    for list in lists.into_iter().map(Running::wait) {
        list.expect(0);
    }
    wire.release();
    apply.wait().expect(0);
    phase.expect_left(&world.state(), "many at once");
}
