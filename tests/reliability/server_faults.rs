//! Connections that are cut at any message and any byte, and servers that are killed and come back: a run
//! recovers by itself, or ends with an error that says how to go on; nothing is lost or repeated.

use std::env;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use outpost::sandbox::PostgresServer;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::all;
use crate::cuts::{Course, Cuts};
use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Harm, Wire, only_reads};
use crate::state::without_failures;
use crate::storm::{LosesEveryOther, LosesWrites, Storm};
use crate::support::{fresh_redis, fresh_redis_with, servers, started};
use crate::world::{Ended, Holders, Running, World};

/// In CI, a byte of so many is where a connection is cut.
const CUT_STEP: usize = 999;

/// Plans that CI carries out in a storm.
const STORMS: usize = 12;
/// How often harm is done while one plan is carried out.
const HARM: usize = 20;

/// A number from the environment.
fn number(name: &str, or: usize) -> usize {
    env::var(name).map_or(or, |text| text.parse().expect("a number"))
}

/// Plans that one worker carries out without a cut before it takes it that no more will come.
const WITHOUT_A_CUT: usize = 6;

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
fn trial(world: &World, phase: &Phase, number: usize, fault: Fault) -> Ended {
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
    ended
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
        let place = &phase.messages[number - 1];
        // A message that never arrives is most telling where something is committed.
        let commits = place.starts_with("Postgres: ") || place.contains("redis/");
        let before = (commits || all()).then_some(Fault::CutBefore);
        for fault in [Fault::CutAnswer(0)].into_iter().chain(before) {
            let ended = trial(&world, phase, number, fault);
            // The run finds out by itself what became of whatever it commits. A read that broke, and what nobody can
            // tell of, ends it.
            let settles = [
                "carries its record",
                "writes a checkpoint",
                "the lease",
                "creates the ledger",
                "INDEX CONCURRENTLY",
                "Redis: ",
            ];
            if settles.iter().any(|words| place.contains(words)) {
                let what = format!("{plan}: {fault:?} at {place}");
                assert_eq!(ended.status.code(), Some(0), "{what}\n{}", ended.output);
            }
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

/// Carries a plan out while harm is done, run after run, until one comes to its end. `done` says which harm.
fn carry_out(world: &World, phase: &Phase, harm: Arc<dyn Harm>, done: impl Fn() -> String) {
    world.restore(&phase.start);
    let mut before: Option<Ended> = None;
    loop {
        // A run that was cut early leaves those of the ones before it.
        world.expire_leases(Holders::Everybody);
        // A server that was started again knows no script, and each is sent again as a whole.
        world.forget_scripts();
        let wire = Wire::harmed(harm.clone());
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
        let ended = running.wait_doing(|| world.expire_leases(Holders::OthersThan(pid)));
        let complete = ended.status.code() == Some(0);
        assert!(
            complete || (wire.fired() && (ended.gave_up() || ended.killed())),
            "{}: {:?}\n{}\n{}\nbefore:\n{}",
            phase.name,
            ended.status,
            done(),
            ended.output,
            before.map_or_else(String::new, |before| before.output)
        );
        if complete {
            break;
        }
        before = Some(ended);
    }
    phase.expect_left(&without_failures(world.state()), &done());
}

/// Connections are cut at every byte of each kind of message and of answer: after so many bytes of a message, and
/// of an answer. CI takes a byte of so many, `OUTPOST_CUT_STEP`; a campaign takes more of them, and all of them with
/// 1, or with each `OUTPOST_CUT_FROM` below the step. `OUTPOST_CUT_WORKERS` says how many runs go on side by side.
#[test]
fn c15_a_connection_cut_at_any_byte_of_any_message_or_answer_is_made_good() {
    let step = number("OUTPOST_CUT_STEP", CUT_STEP);
    let from = number("OUTPOST_CUT_FROM", 0);
    let workers = number("OUTPOST_CUT_WORKERS", 2);
    let shared: OnceLock<Arc<Cuts>> = OnceLock::new();
    let (carried_out, begun) = (AtomicUsize::new(0), Instant::now());
    thread::scope(|scope| {
        for worker in 0..workers {
            let (shared, carried_out) = (&shared, &carried_out);
            scope.spawn(move || {
                let world = World::new();
                let phases = phases(&world);
                let cuts = shared.get_or_init(|| {
                    let messages = phases.iter().flat_map(|phase| &phase.messages);
                    Arc::new(Cuts::every(step, from, messages.map(String::as_str)))
                });
                let (mut without, mut few) = (0, false);
                for phase in phases.iter().cycle().skip(worker) {
                    let before = cuts.made();
                    let course = Arc::new(Course::new(cuts.clone(), few));
                    carry_out(&world, phase, course.clone(), || course.log());
                    few = course.found_few();
                    let all = carried_out.fetch_add(1, Ordering::Relaxed) + 1;
                    if all % 100 == 0 {
                        let (summary, so_long) = (cuts.summary().0, begun.elapsed().as_secs());
                        eprintln!("{so_long} s, plans carried out {all} times: {summary}");
                    }
                    without = if cuts.made() > before { 0 } else { without + 1 };
                    if without >= phases.len() && (!cuts.wants() || without > WITHOUT_A_CUT) {
                        break;
                    }
                }
            });
        }
    });
    let cuts = shared.into_inner().expect("a worker");
    let (summary, left) = cuts.summary();
    let carried_out = carried_out.into_inner();
    eprintln!("every {step}th byte from {from}, plans carried out {carried_out} times: {summary}");
    assert!(cuts.made() > 50, "{summary}");
    // What runs send only after other cuts may not be met at each of its bytes.
    for kind in left {
        eprintln!("  not to its end: {kind}");
    }
}

/// Two lost answers in one run may hide from each other what was done: a step that makes what another one needs
/// then seems to have had nothing to do.
#[test]
fn c15_the_answers_to_all_writes_of_a_run_are_lost_once_and_nothing_differs() {
    let world = World::new();
    for phase in &phases(&world) {
        let harm = Arc::new(LosesWrites::default());
        carry_out(&world, phase, harm.clone(), String::new);
        assert!(harm.lost() > 10, "{}: {}", phase.name, harm.lost());
    }
}

/// Harm by lot, much of it in one run. `OUTPOST_STORMS` carries plans out so many times, with the seeds from
/// `OUTPOST_STORM_SEED` on. A failure names its seed and what was done; the seed repeats the lots, but connections side
/// by side may draw them in another order.
#[test]
fn c15_answers_lost_and_processes_killed_by_lot_again_and_again_lose_and_repeat_nothing() {
    let first = number("OUTPOST_STORM_SEED", 1) as u64;
    let end = first + number("OUTPOST_STORMS", STORMS) as u64;
    let next = AtomicU64::new(first);
    thread::scope(|scope| {
        for _ in 0..number("OUTPOST_STORM_WORKERS", 2) {
            scope.spawn(|| {
                let world = World::new();
                let phases = phases(&world);
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end {
                        return;
                    }
                    let storm = Arc::new(Storm::new(seed, HARM));
                    let phase = &phases[seed as usize % phases.len()];
                    let told = || format!("OUTPOST_STORM_SEED={seed}\n{}", storm.log());
                    carry_out(&world, phase, storm.clone(), told);
                    assert_ne!(storm.log(), "", "no harm was done");
                }
            });
        }
    });
}

#[test]
fn c15_a_step_is_not_called_done_while_every_pass_over_its_keys_loses_an_answer() {
    let world = World::new();
    let phases = phases(&world);
    let phase = &phases[0];
    world.restore(&phase.start);
    let wire = Wire::harmed(Arc::new(LosesEveryOther::new("SCAN")));
    let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
    let ended = world.start_on(&wire, &arguments).wait();
    assert!(ended.gave_up(), "{:?}\n{}", ended.status, ended.output);
    let expected = "connections broke, during every pass over the keys";
    assert!(ended.words().contains(expected), "{}", ended.output);
    check_and_resume(&world, phase, &ended, "an answer of every pass is lost");
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
