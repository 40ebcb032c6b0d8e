//! Runners that freeze, lose their lease to another run, and wake up.

use std::thread;
use std::time::{Duration, Instant};

use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Wire};
use crate::state::difference;
use crate::support::{query_one_text, wait_until};
use crate::world::{Ended, World};

/// Freezes a run at a message, which arrives only after another run has taken over and is through.
fn overtaken(world: &World, phase: &Phase, at: At) -> Ended {
    let name = format!("{}: frozen at {at:?}", phase.name);
    world.restore(&phase.start);
    let wire = Wire::with(at, Fault::Freeze);
    let frozen = world.start_on(
        &wire,
        &["migrate", "apply", phase.plan, "--parallelism", "1"],
    );
    let begun = Instant::now();
    while !wire.fired() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{name}\n{}",
            frozen.output()
        );
        thread::sleep(Duration::from_millis(1));
    }
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    world.run_after(frozen.pid(), &patient).expect(0);
    let after_takeover = world.state();
    assert!(
        after_takeover == phase.expected,
        "{name}\n{}",
        difference(&phase.expected, &after_takeover)
    );
    wire.release();
    frozen.wake();
    let ended = frozen.wait();
    let found = world.state();
    assert!(
        found == phase.expected,
        "{name}: it wrote after it woke\n{}\n{}",
        difference(&phase.expected, &found),
        ended.output
    );
    assert_ne!(ended.status.code(), Some(0), "{name}\n{}", ended.output);
    let flat = ended
        .output
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        flat.contains("the lease was lost"),
        "{name}\n{}",
        ended.output
    );
    ended
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
fn u13_a_transaction_of_a_frozen_runner_does_not_commit_and_frees_its_locks() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    let (blocker, _guard) = lock_accounts(&world);
    let wire = Wire::quiet();
    let frozen = world.start_on(
        &wire,
        &["migrate", "apply", phase.plan, "--parallelism", "1"],
    );
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                   and wait_event_type = 'Lock' and query like 'begin isolation level read committed%'";
    wait_until("the step waits", || {
        query_one_text(&world.database, waiting) != "0"
    });
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(frozen.pid().cast_signed()),
        nix::sys::signal::Signal::SIGSTOP,
    )
    .unwrap();
    world.expire_leases_of(frozen.pid());
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    let taking_over = world.start(world.command(&patient));
    let holder = format!(
        "select count(*) from outpost.lease where holder->>'pid' = '{}'",
        taking_over.pid()
    );
    wait_until("it is taken over", || {
        query_one_text(&world.database, &holder) == "1"
    });
    blocker.release();
    // The frozen runner's transaction now goes on, on the server alone; it holds the table until it meets
    // the fence. So the other one gets the table, though the frozen one never hangs up.
    taking_over.wait().expect(0);
    frozen.wake();
    let ended = frozen.wait();
    assert_ne!(ended.status.code(), Some(0), "{}", ended.output);
    let flat = ended
        .output
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(flat.contains("the lease was lost"), "{}", ended.output);
    let found = world.state();
    assert!(
        found == phase.expected,
        "{}",
        difference(&phase.expected, &found)
    );
}

/// Holds a lock on the table of the first migration until it is told to let go.
struct Blocker(std::sync::mpsc::Sender<()>);

impl Blocker {
    fn release(self) {
        self.0.send(()).unwrap();
    }
}

fn lock_accounts(world: &World) -> (Blocker, thread::JoinHandle<()>) {
    let (let_go, told) = std::sync::mpsc::channel();
    let (locked, is_locked) = std::sync::mpsc::channel();
    let url = world.database.url.clone();
    let holder = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client
                .batch_execute("begin; lock table accounts")
                .await
                .unwrap();
            locked.send(()).unwrap();
            // Dropped without a word when the test has failed.
            let _ = told.recv();
            client.batch_execute("rollback").await.unwrap();
        });
    });
    is_locked.recv().unwrap();
    (Blocker(let_go), holder)
}
