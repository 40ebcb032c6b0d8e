//! Connections that are cut at any message and any byte, and servers that are killed and come back: a run
//! recovers by itself, or ends with an error that says how to go on; nothing is lost or repeated.

use std::env;
use std::sync::Arc;

use outpost::sandbox::PostgresServer;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::phase::{Phase, phases};
use crate::proxy::{At, Direction, Fault, Wire, only_reads};
use crate::state::{difference, without_failures};
use crate::support::{fresh_redis, fresh_redis_with, servers, started};
use crate::world::{Ended, Running, World};

/// After a run that met a fault: it said what to do, that was done, and nothing differs.
fn check_and_resume(world: &World, phase: &Phase, ended: &Ended, name: &str) {
    let fine = ended.status.code() == Some(0) || ended.gave_up();
    assert!(fine, "{name}: {:?}\n{}", ended.status, ended.output);
    let again = world.run_after(
        ended.pid,
        &["migrate", "apply", phase.plan, "--lock-wait", "60s"],
    );
    assert_eq!(
        again.status.code(),
        Some(0),
        "{name}\nfirst:\n{}\nthen:\n{}",
        ended.output,
        again.output
    );
    let found = without_failures(world.state());
    assert!(
        found == phase.expected,
        "{name}\n{}\nfirst:\n{}\nthen:\n{}",
        difference(&phase.expected, &found),
        ended.output,
        again.output
    );
}

fn trial(world: &World, phase: &Phase, at: At, fault: Fault) {
    assert!(
        struck(world, phase, at.clone(), fault),
        "{}: {fault:?} at {at:?} never happened",
        phase.name
    );
}

/// A run that meets a fault, and the one after it; false where the conversation was over before.
fn struck(world: &World, phase: &Phase, at: At, fault: Fault) -> bool {
    let place = match &at {
        At::Message(number) => phase.messages[number - 1].clone(),
        other => format!("{other:?}"),
    };
    let name = format!("{}: {fault:?} at {at:?} ({place})", phase.name);
    world.restore(&phase.start);
    let wire = Wire::with(at, fault);
    let ended = world
        .start_on(
            &wire,
            &["migrate", "apply", phase.plan, "--parallelism", "1"],
        )
        .wait();
    // A pause is nothing to give up for.
    let fine = fault != Fault::Split || ended.status.code() == Some(0);
    assert!(fine, "{name}: {:?}\n{}", ended.status, ended.output);
    check_and_resume(world, phase, &ended, &name);
    wire.fired()
}

/// What an undisturbed run says and hears, as it passes through a wire.
fn conversation(world: &World, phase: &Phase) -> Arc<Wire> {
    let quiet = Wire::quiet();
    world.restore(&phase.start);
    world
        .start_on(
            &quiet,
            &["migrate", "apply", phase.plan, "--parallelism", "1"],
        )
        .wait()
        .expect(0);
    quiet
}

/// Loses the answer to each write of a plan, and keeps each commit from arriving.
fn lose_answers(plan: &str) {
    let world = World::new();
    let phases = phases(&world);
    let phase = phases.iter().find(|phase| phase.name == plan).unwrap();
    let writes: Vec<usize> = (1..=phase.messages.len())
        .filter(|number| !only_reads(&phase.messages[number - 1]))
        .collect();
    assert!(writes.len() > 10, "{plan}: {writes:?}");
    for number in writes {
        trial(&world, phase, At::Message(number), Fault::CutAnswer(0));
        if phase.messages[number - 1].contains("carries its record") {
            trial(&world, phase, At::Message(number), Fault::CutBefore);
        }
    }
}

#[test]
fn c15_a_write_of_an_apply_whose_answer_is_lost_happens_once() {
    lose_answers("apply");
}

#[test]
fn c15_a_write_of_a_cleanup_whose_answer_is_lost_happens_once() {
    lose_answers("cleanup");
}

#[test]
fn c15_a_write_of_a_revert_whose_answer_is_lost_happens_once() {
    lose_answers("revert");
}

#[test]
fn c15_a_connection_cut_or_slow_at_any_message_or_byte_is_made_good() {
    let world = World::new();
    let mut random = StdRng::seed_from_u64(7);
    for phase in &phases(&world) {
        let quiet = conversation(&world, phase);
        for _ in 0..6 {
            let number = random.random_range(1..=phase.messages.len());
            let fault = match random.random_range(0..2) {
                0 => Fault::CutBefore,
                _ => Fault::CutAnswer(random.random_range(0..60)),
            };
            trial(&world, phase, At::Message(number), fault);
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            for fault in [Fault::Cut, Fault::Cut, Fault::Cut, Fault::Split] {
                // The length of the conversation varies a little: names and times are part of it.
                let all = quiet.bytes(direction) * 9 / 10;
                let byte = random.random_range(1..all);
                trial(&world, phase, At::Byte(direction, byte), fault);
            }
        }
    }
}

/// Cuts and splits at every byte of the conversation: hours. `OUTPOST_CUT_STEP` takes every so many bytes, and
/// `OUTPOST_CUT_FROM` begins with another one than the first, so that parts can be run side by side.
#[test]
#[ignore = "a campaign: docs/reliability.md"]
fn c15_campaign_of_cuts_and_pauses_at_every_byte() {
    let number = |name: &str| {
        env::var(name).map_or(1, |text| text.parse::<usize>().expect("a number of bytes"))
    };
    let (from, step) = (number("OUTPOST_CUT_FROM"), number("OUTPOST_CUT_STEP"));
    let world = World::new();
    for phase in &phases(&world) {
        let quiet = conversation(&world, phase);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let all = quiet.bytes(direction);
            let mut counts = [0, 0];
            for (fault, count) in [Fault::Cut, Fault::Split].into_iter().zip(&mut counts) {
                for byte in (from..all).step_by(step) {
                    if struck(&world, phase, At::Byte(direction, byte), fault) {
                        *count += 1;
                    } else {
                        assert!(byte > all * 9 / 10, "{byte} of {all} never came");
                    }
                }
            }
            let [cuts, splits] = counts;
            eprintln!(
                "{}, {direction:?}: {all} bytes, {cuts} cuts, {splits} splits",
                phase.name
            );
        }
    }
}

/// Starts a run that waits at the message with this number.
fn start_up_to(world: &World, phase: &Phase, number: usize) -> (Arc<Wire>, Running) {
    let wire = Wire::with(At::Message(number), Fault::Stall);
    let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
    let running = world.start_on(&wire, &arguments);
    running.wait_for(&wire);
    (wire, running)
}

#[test]
fn c15_postgres_killed_and_restarted_in_the_middle_of_a_run_loses_and_repeats_nothing() {
    let mut postgres = started(PostgresServer::start());
    let world = World::on(&postgres, fresh_redis());
    let phases = phases(&world);
    let mut random = StdRng::seed_from_u64(11);
    for phase in &phases {
        for _ in 0..2 {
            world.restore(&phase.start);
            let number = random.random_range(1..=phase.messages.len());
            let name = format!("{}: killed at {}", phase.name, phase.messages[number - 1]);
            let (wire, running) = start_up_to(&world, phase, number);
            postgres.kill().unwrap();
            postgres.restart().unwrap();
            wire.release();
            let ended = running.wait();
            check_and_resume(&world, phase, &ended, &name);
        }
    }
}

#[test]
fn c15_redis_killed_and_restarted_in_the_middle_of_a_run_loses_and_repeats_nothing() {
    let redis = fresh_redis_with(|redis| redis.directive("appendonly yes"));
    let mut world = World::on(servers().postgres(), redis);
    let phases = phases(&world);
    let mut random = StdRng::seed_from_u64(13);
    for phase in &phases {
        for _ in 0..3 {
            world.restore(&phase.start);
            let number = random.random_range(1..=phase.messages.len());
            let name = format!("{}: killed at {}", phase.name, phase.messages[number - 1]);
            let (wire, running) = start_up_to(&world, phase, number);
            world.redis.kill().unwrap();
            world.redis.restart().unwrap();
            wire.release();
            let ended = running.wait();
            check_and_resume(&world, phase, &ended, &name);
        }
    }
}
