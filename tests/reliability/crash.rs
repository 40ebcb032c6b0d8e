//! Kills a run with SIGKILL before and after each of its messages to the servers, and at random moments;
//! runs the same plan again, and compares what is left with an undisturbed run.

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::all;
use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Wire, only_reads};
use crate::state::difference;
use crate::support::{query_one_text, wait_until};
use crate::world::{Ended, Holders, World, in_use};

/// Runs at random moments; `OUTPOST_CRASH_RUNS` makes it a campaign, `OUTPOST_CRASH_SEED` repeats one.
const RANDOM_RUNS: usize = 50;
const SEED: u64 = 1;
/// Each has databases of its own.
const WORKERS: usize = 2;
/// Where there are many keys, no two servers return them in pages of the same sizes.
const ONE_WORKER: usize = 1;

/// When a run is killed.
#[derive(Clone)]
enum Kill {
    Message(usize, Fault),
    Time(Duration),
}

/// One trial: a phase, the steps that may run side by side, and the kills, one run after the other.
struct Trial {
    phase: usize,
    parallelism: u32,
    kills: Vec<Kill>,
}

/// What all trials came to.
#[derive(Default)]
struct Counts {
    /// Runs that were killed.
    killed: AtomicUsize,
    /// Runs that had come to their end by then.
    ended: AtomicUsize,
}

impl Trial {
    /// The findings of the trial, if it has any.
    fn run(&self, world: &World, phases: &[Phase], counts: &Counts) -> Option<String> {
        let phase = &phases[self.phase];
        world.restore(&phase.start);
        let parallelism = self.parallelism.to_string();
        let arguments = [
            "migrate",
            "apply",
            phase.plan,
            "--parallelism",
            &parallelism,
        ];
        let patient = [&arguments[..], &["--lock-wait", "60s"]].concat();
        let mut gone: Option<u32> = None;
        for kill in &self.kills {
            let wire = match kill {
                Kill::Message(number, fault) => Wire::with(At::Message(*number), *fault),
                Kill::Time(_) => Wire::quiet(),
            };
            if let Some(gone) = gone {
                world.expire_leases(Holders::Process(gone));
            }
            let begun = Instant::now();
            let mut running =
                world.start_on(&wire, if gone.is_some() { &patient } else { &arguments });
            if let Kill::Time(after) = kill {
                while begun.elapsed() < *after && running.ended().is_none() {
                    thread::sleep(Duration::from_micros(200));
                }
                // It may have come to its end just now.
                let _ = running.child.kill();
            }
            let before = gone.replace(running.pid());
            let ended = running.wait_doing(|| {
                if let Some(before) = before {
                    world.expire_leases(Holders::Process(before));
                }
            });
            if ended.killed() {
                counts.killed.fetch_add(1, Ordering::Relaxed);
            } else if ended.status.code() == Some(0) {
                counts.ended.fetch_add(1, Ordering::Relaxed);
            } else {
                return Some(report("a run that was not killed failed", &ended));
            }
        }
        let ended = world.run_after(gone.expect("a trial kills at least once"), &patient);
        if ended.status.code() != Some(0) {
            return Some(report("the run after it failed", &ended));
        }
        let found = world.state();
        (found != phase.expected).then(|| {
            format!(
                "it left something else than an undisturbed run:\n{}",
                difference(&phase.expected, &found)
            )
        })
    }

    fn name(&self, phases: &[Phase]) -> String {
        let phase = &phases[self.phase];
        let kills = self.kills.iter().map(|kill| match kill {
            Kill::Message(number, fault) => {
                let name = phase.messages.get(number - 1).map_or("", String::as_str);
                format!(
                    "{fault:?} at message {number} of {} ({name})",
                    phase.messages.len()
                )
            }
            Kill::Time(after) => format!("killed after {after:?}"),
        });
        format!(
            "{}, parallelism {}: {}",
            phase.name,
            self.parallelism,
            kills.collect::<Vec<_>>().join(", then ")
        )
    }
}

fn report(what: &str, ended: &Ended) -> String {
    format!("{what}: {:?}\n{}", ended.status, ended.output)
}

/// Carries out trials on all workers, and panics with everything that was found; trials, and runs that were
/// killed. `trials` gets the phases, which are the same for each worker but for the times.
fn carry_out(
    what: &str,
    make: fn() -> World,
    workers: usize,
    trials: impl Fn(&[Phase]) -> Vec<Trial> + Sync,
) -> (usize, usize) {
    let next = AtomicUsize::new(0);
    let counts = Counts::default();
    let findings = Mutex::new(Vec::new());
    let shared: Mutex<Option<(Vec<Vec<String>>, usize)>> = Mutex::new(None);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let world = make();
                let phases = phases(&world);
                let trials = trials(&phases);
                let messages: Vec<_> = phases.iter().map(|phase| phase.messages.clone()).collect();
                {
                    let mut shared = shared.lock().unwrap();
                    let (first, _) = shared.get_or_insert((messages.clone(), trials.len()));
                    assert_eq!(
                        first.iter().map(Vec::len).collect::<Vec<_>>(),
                        messages.iter().map(Vec::len).collect::<Vec<_>>(),
                        "undisturbed runs differ"
                    );
                }
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(trial) = trials.get(number) else {
                        break;
                    };
                    if let Some(finding) = trial.run(&world, &phases, &counts) {
                        let name = trial.name(&phases);
                        eprintln!("trial {number}: {name}\n{finding}");
                        findings
                            .lock()
                            .unwrap()
                            .push(format!("trial {number}: {name}\n{finding}"));
                    }
                }
            });
        }
    });
    let (messages, trials) = shared.into_inner().unwrap().unwrap();
    let lengths: Vec<usize> = messages.iter().map(Vec::len).collect();
    let (killed, ended) = (counts.killed.into_inner(), counts.ended.into_inner());
    let failed = findings.lock().unwrap().len();
    eprintln!(
        "{what}: {trials} trials in {:.0?}, {killed} runs killed, {ended} ended before their kill, \
         {failed} trials failed; messages by phase: {lengths:?}",
        begun.elapsed()
    );
    assert!(killed > 0, "no run was killed");
    if env::var_os("OUTPOST_CRASH_MESSAGES").is_some() {
        for (number, message) in messages.iter().flatten().enumerate() {
            eprintln!("{number:4} {message}");
        }
    }
    let findings = findings.into_inner().unwrap();
    assert!(
        findings.is_empty(),
        "{} of {trials} trials failed\n{}",
        findings.len(),
        findings.join("\n")
    );
    (trials, killed)
}

/// Kills around the messages of an undisturbed run: for each that may write, one in the moment in which the
/// server gets it, and one between its answer and the next message. Between two reads the servers are as
/// they were before the first one; `with_reads` kills there as well.
fn points(phase: &Phase, with_reads: bool) -> Vec<(usize, Fault)> {
    let mut points = vec![(1, Fault::KillBefore)];
    for (index, message) in phase.messages.iter().enumerate() {
        if with_reads || !only_reads(message) {
            points.push((index + 1, Fault::KillAfter));
            if index + 1 < phase.messages.len() {
                points.push((index + 2, Fault::KillBefore));
            }
        }
    }
    points
}

/// Kills a run at one of so many points; at all of them with `OUTPOST_CRASH_ALL`.
fn kill_at_messages(what: &str, make: fn() -> World, workers: usize, one_of: usize) {
    let with_reads = all() && one_of == 1;
    let step = if all() { 1 } else { one_of };
    let (trials, killed) = carry_out(what, make, workers, |phases| {
        let trials = phases.iter().enumerate().flat_map(|(number, phase)| {
            points(phase, with_reads)
                .into_iter()
                .step_by(step)
                .map(move |(message, fault)| Trial {
                    phase: number,
                    parallelism: 1,
                    kills: vec![Kill::Message(message, fault)],
                })
        });
        trials.collect()
    });
    assert_eq!(killed, trials, "{what}: not every kill struck");
}

#[test]
fn c15_u12_a_kill_before_or_after_any_message_is_made_good_by_the_same_plan() {
    kill_at_messages("every message", World::new, WORKERS, 1);
}

#[test]
fn c15_u12_a_kill_while_outposts_own_schema_is_applied_is_made_good_by_the_same_plan() {
    kill_at_messages("Outpost's schema", World::outpost, WORKERS, 20);
}

#[test]
fn c15_u12_a_kill_between_parts_of_a_value_or_checkpoints_is_made_good_by_the_same_plan() {
    kill_at_messages("large values and many keys", World::large, ONE_WORKER, 80);
}

#[test]
fn c15_kills_at_random_moments_are_made_good_by_the_same_plan() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let runs = number("OUTPOST_CRASH_RUNS").map_or(RANDOM_RUNS, |n| usize::try_from(n).unwrap());
    let seed = number("OUTPOST_CRASH_SEED").unwrap_or(SEED);
    eprintln!("OUTPOST_CRASH_RUNS={runs} OUTPOST_CRASH_SEED={seed}");
    let trials = |phases: &[Phase]| -> Vec<Trial> {
        let mut random = StdRng::seed_from_u64(seed);
        let trials = (0..runs).map(|_| {
            let phase = random.random_range(0..phases.len());
            // One kill in most trials; in some, the run after it is killed too, and the one after that.
            let kills = (0..random.random_range(1..=4_usize).saturating_sub(1).max(1)).map(|_| {
                let messages = phases[phase].messages.len();
                match random.random_range(0..4) {
                    0 => Kill::Message(random.random_range(1..=messages), Fault::KillBefore),
                    1 => Kill::Message(random.random_range(1..=messages), Fault::KillAfter),
                    _ => Kill::Time(phases[phase].took.mul_f64(random.random_range(0.0..1.1))),
                }
            });
            Trial {
                phase,
                kills: kills.collect(),
                parallelism: random.random_range(1..=4),
            }
        });
        trials.collect()
    };
    let what = format!("random moments, seed {seed}");
    carry_out(&what, World::new, WORKERS, trials);
}

#[test]
fn c03_c15_a_statement_that_outlived_its_run_is_waited_for() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    let is_build = |m: &String| {
        m.contains("/* outpost sql/0003_indexes") && m.contains("CREATE INDEX CONCURRENTLY")
    };
    let number = phase.messages.iter().position(is_build).unwrap() + 1;
    let wire = Wire::with(At::Message(number), Fault::Stall);
    let run = world.start_on(
        &wire,
        &["migrate", "apply", phase.plan, "--parallelism", "1"],
    );
    run.wait_for(&wire);
    let (blocker, _guard) = in_use(&world, "accounts");
    wire.release();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() \
                 and wait_event_type = 'Lock' and starts_with(query, '/* outpost sql/0003')";
    wait_until("the statement waits", || {
        query_one_text(&world.database, waits) == "1"
    });
    // The server does not notice, and waits on.
    world.expire_leases(Holders::Process(run.kill()));
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    let next = world.start(world.command(&patient));
    wait_until("the next run waits for it", || {
        next.output().contains("that an earlier run sent")
    });
    blocker.release();
    next.wait().expect(0);
    phase.expect_left(&world.state(), "killed while a statement went on");
}
