//! Connections that are cut at any message and any byte, and servers that are killed and come back: a run
//! recovers by itself, or ends with an error that says how to go on; nothing is lost or repeated.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use outpost::sandbox::PostgresServer;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::cuts::Cuts;
use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Wire, only_reads};
use crate::state::without_failures;
use crate::support::{fresh_redis, fresh_redis_with, servers, started};
use crate::world::{Ended, Running, World};

/// In CI, a byte of so many is where a connection is cut.
const CUT_STEP: usize = 999;

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
    let what = format!("{name}\nfirst:\n{}\nthen:\n{}", ended.output, again.output);
    phase.expect_left(&without_failures(world.state()), &what);
}

/// A run that meets a fault at the message with this number, and the one after it.
fn trial(world: &World, phase: &Phase, number: usize, fault: Fault) {
    let place = &phase.messages[number - 1];
    let name = format!("{}: {fault:?} at message {number} ({place})", phase.name);
    world.restore(&phase.start);
    let wire = Wire::with(At::Message(number), fault);
    let ended = world
        .start_on(
            &wire,
            &["migrate", "apply", phase.plan, "--parallelism", "1"],
        )
        .wait();
    check_and_resume(world, phase, &ended, &name);
    assert!(wire.fired(), "{name} never happened");
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
        trial(&world, phase, number, Fault::CutAnswer(0));
        if phase.messages[number - 1].contains("carries its record") {
            trial(&world, phase, number, Fault::CutBefore);
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

/// Carries a plan out on connections that are cut again and again, run after run, until one comes to its end.
fn carry_out_cut(world: &World, phase: &Phase, cuts: &Arc<Cuts>) {
    world.restore(&phase.start);
    let mut before: Option<Ended> = None;
    loop {
        // A run that was cut early leaves those of the ones before it.
        world.expire_leases_but_of(None);
        let wire = Wire::cut(cuts.clone());
        let arguments = [
            "migrate",
            "apply",
            phase.plan,
            "--parallelism",
            "1",
            "--lock-wait",
            "60s",
        ];
        let running = world.start_on(&wire, &arguments);
        let pid = running.pid();
        let ended = running.wait_doing(|| world.expire_leases_but_of(Some(pid)));
        let done = ended.status.code() == Some(0);
        assert!(
            done || (ended.gave_up() && wire.fired()),
            "{}: {:?}\n{}\nbefore:\n{}",
            phase.name,
            ended.status,
            ended.output,
            before.map_or_else(String::new, |before| before.output)
        );
        if done {
            break;
        }
        before = Some(ended);
    }
    phase.expect_left(&without_failures(world.state()), "cut again and again");
}

/// Connections are cut at every byte of each kind of message and of answer: after so many bytes of a message, and
/// of an answer. CI takes a byte of so many, `OUTPOST_CUT_STEP`; a campaign takes more of them, and all of them with
/// each `OUTPOST_CUT_FROM` below the step.
/// `OUTPOST_CUT_PLAN` names one of the three plans, `OUTPOST_CUT_WORKERS` says how many runs go on side by side.
#[test]
fn c15_a_connection_cut_at_any_byte_of_any_message_or_answer_is_made_good() {
    let number = |name: &str, or: usize| {
        env::var(name).map_or(or, |text| text.parse::<usize>().expect("a number"))
    };
    let step = number("OUTPOST_CUT_STEP", CUT_STEP);
    let from = number("OUTPOST_CUT_FROM", 0);
    let workers = number("OUTPOST_CUT_WORKERS", 2);
    let only = env::var("OUTPOST_CUT_PLAN").ok();
    let campaigns: Vec<(&str, Arc<Cuts>, AtomicUsize)> = ["apply", "cleanup", "revert"]
        .into_iter()
        .filter(|plan| only.as_ref().is_none_or(|only| only == plan))
        .map(|plan| (plan, Arc::new(Cuts::every(step, from)), AtomicUsize::new(0)))
        .collect();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let world = World::new();
                let phases = phases(&world);
                for (plan, cuts, times) in &campaigns {
                    let phase = phases.iter().find(|phase| phase.name == *plan).unwrap();
                    loop {
                        let before = cuts.made();
                        carry_out_cut(&world, phase, cuts);
                        times.fetch_add(1, Ordering::Relaxed);
                        if cuts.made() == before {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert!(!campaigns.is_empty(), "no plan is called {only:?}");
    for (plan, cuts, times) in campaigns {
        let (summary, left) = cuts.summary();
        let times = times.into_inner();
        eprintln!("{plan}, every {step}th byte from {from}, carried out {times} times: {summary}");
        assert!(cuts.made() > 20, "{plan}: {summary}");
        // What only a run sends that was cut off before is not met at each of its bytes.
        for kind in left {
            eprintln!("  not to its end: {kind}");
        }
    }
}

#[test]
fn c15_bytes_that_arrive_one_by_one_are_read_as_if_they_came_together() {
    let world = World::new();
    for phase in &phases(&world) {
        world.restore(&phase.start);
        let wire = Wire::dripping();
        let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
        world.start_on(&wire, &arguments).wait().expect(0);
        assert_eq!(
            wire.messages().len(),
            phase.messages.len(),
            "{}",
            phase.name
        );
        phase.expect_left(&world.state(), "byte by byte");
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
