//! Runners that freeze, lose their lease to another run, and wake up.

use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Wire};
use crate::support::{query_one_text, wait_until};
use crate::world::{Ended, World, in_use};

/// Freezes a run at a message, which arrives only after another run has taken over and is through.
fn overtaken(world: &World, phase: &Phase, at: At) {
    let name = format!("{}: frozen at {at:?}", phase.name);
    world.restore(&phase.start);
    let wire = Wire::with(at, Fault::Freeze);
    let frozen = world.start_on(
        &wire,
        &["migrate", "apply", phase.plan, "--parallelism", "1"],
    );
    frozen.wait_for(&wire);
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    world.run_after(frozen.pid(), &patient).expect(0);
    phase.expect_left(&world.state(), &name);
    wire.release();
    frozen.wake();
    let ended = frozen.wait();
    let what = format!("{name}: it wrote after it woke\n{}", ended.output);
    phase.expect_left(&world.state(), &what);
    assert_eq!(ended.status.code(), Some(1), "{name}\n{}", ended.output);
    assert!(says_lost(&ended), "{name}\n{}", ended.output);
}

#[test]
fn u13_c06_a_runner_that_wakes_without_its_lease_writes_nothing_and_says_so() {
    let world = World::new();
    for phase in &phases(&world) {
        // Whatever comes before is no work under the lease yet, and what comes last has the work behind it.
        let from = phase
            .messages
            .iter()
            .position(|m| m.starts_with("Redis: EVALSHA"))
            .unwrap();
        let last = phase
            .messages
            .iter()
            .rposition(|m| m.contains("redis/") || m.contains("carries its record"))
            .unwrap();
        let records: Vec<usize> = (from + 2..=last)
            .filter(|i| {
                let message = &phase.messages[*i];
                message.contains("carries its record") || message.contains("writes a checkpoint")
            })
            .collect();
        let scripts: Vec<usize> = (from + 2..=last)
            .filter(|i| phase.messages[*i].contains("EVALSHA"))
            .collect();
        for chosen in [records, scripts] {
            let stride = (chosen.len() / 3).max(1);
            for index in chosen.into_iter().step_by(stride) {
                overtaken(&world, phase, At::Message(index + 1));
            }
        }
    }
}

#[test]
fn u13_c06_the_table_locks_of_a_frozen_runner_are_freed_though_it_never_hangs_up() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    let is_step = |m: &String| m.contains("sql/0002_balance carries its record");
    let number = phase.messages.iter().position(is_step).unwrap() + 1;
    let wire = Wire::with(At::Message(number), Fault::Stall);
    let frozen = world.start_on(
        &wire,
        &["migrate", "apply", phase.plan, "--parallelism", "1"],
    );
    frozen.wait_for(&wire);
    // The step has altered a table, and has it locked, when it comes to the one that is in use.
    let (blocker, _guard) = in_use(&world, "audit");
    wire.release();
    let locked = "select count(*) from pg_locks where relation = 'accounts'::regclass \
                  and mode = 'AccessExclusiveLock' and granted";
    wait_until("the step has its lock", || {
        query_one_text(&world.database, locked) == "1"
    });
    frozen.freeze();
    wait_until("its locks are freed", || {
        query_one_text(&world.database, locked) == "0"
    });
    blocker.release();
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    world.run_after(frozen.pid(), &patient).expect(0);
    frozen.wake();
    let ended = frozen.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(says_lost(&ended), "{}", ended.output);
    phase.expect_left(&world.state(), "frozen with table locks");
}

fn says_lost(ended: &Ended) -> bool {
    let words: Vec<&str> = ended.output.split_whitespace().collect();
    words.join(" ").contains("the lease was lost")
}
