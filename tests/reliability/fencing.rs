//! Runners that freeze, lose their lease to another run, and wake up.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::all;
use crate::phase::{Phase, phases};
use crate::proxy::{At, Fault, Wire};
use crate::state::difference;
use crate::support::{query_one_text, query_rows, sql, wait_until};
use crate::world::{Ended, Holders, Running, World, in_use};

/// A run that was stopped at a message, which is held until [`Wire::release`].
fn freeze_at(world: &World, phase: &Phase, at: At) -> (Arc<Wire>, Running) {
    let wire = Wire::with(at, Fault::Freeze);
    let arguments = ["migrate", "apply", phase.plan, "--parallelism", "1"];
    let frozen = world.start_on(&wire, &arguments);
    frozen.wait_for(&wire);
    (wire, frozen)
}

/// Lets another run take over and finish.
fn take_over(world: &World, phase: &Phase, frozen: &Running, what: &str) {
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    world.run_after(frozen.pid(), &patient).expect(0);
    phase.expect_left(&world.state(), what);
}

/// Wakes the first run, which must say why it ends, and have written nothing.
fn wake(world: &World, phase: &Phase, frozen: Running, what: &str) {
    frozen.wake();
    let ended = frozen.wait();
    let wrote = format!("{what}: it wrote after it woke\n{}", ended.output);
    phase.expect_left(&world.state(), &wrote);
    assert_eq!(ended.status.code(), Some(1), "{what}\n{}", ended.output);
    assert!(says_lost(&ended), "{what}\n{}", ended.output);
}

/// Freezes a run at a message, which arrives only after another run has taken over and is through.
fn overtaken(world: &World, phase: &Phase, at: At) {
    let what = format!("{}: frozen at {at:?}", phase.name);
    world.restore(&phase.start);
    let (wire, frozen) = freeze_at(world, phase, at);
    take_over(world, phase, &frozen, &what);
    wire.release();
    wake(world, phase, frozen, &what);
}

fn says_lost(ended: &Ended) -> bool {
    ended.words().contains("the lease was lost")
}

/// The numbers of all messages in whose names one of these words stands.
fn numbers(phase: &Phase, words: &[&str]) -> Vec<usize> {
    let has_one = |message: &String| words.iter().any(|word| message.contains(word));
    (1..=phase.messages.len())
        .filter(|number| has_one(&phase.messages[number - 1]))
        .collect()
}

#[test]
fn u13_c06_a_runner_that_wakes_without_its_lease_writes_nothing_and_says_so() {
    let world = World::new();
    for phase in &phases(&world) {
        // Before the leases are taken nothing is work, and what comes last has the work behind it.
        let from = numbers(phase, &["EVALSHA"])[0];
        let last = *numbers(phase, &["redis/", "carries its record"])
            .last()
            .unwrap();
        let records = numbers(phase, &["carries its record", "writes a checkpoint"]);
        // Scripts that write name the lease among their keys. It is also read once, when the run holds it and looks
        // again at what there is.
        let (scripts, reads) = numbers(phase, &[".outpost:migration_lock"])
            .into_iter()
            .partition(|number| phase.messages[number - 1].contains("EVAL"));
        for (chosen, least) in [(records, 1), (scripts, 3), (reads, 2)] {
            let work = from + 2..=last;
            let chosen: Vec<usize> = chosen.into_iter().filter(|n| work.contains(n)).collect();
            assert!(chosen.len() >= least, "{}: {chosen:?}", phase.name);
            // The first, the last, and one between.
            let indexes = BTreeSet::from([0, chosen.len() / 2, chosen.len() - 1]);
            for index in indexes {
                overtaken(&world, phase, At::Message(chosen[index]));
            }
        }
    }
}

/// No transaction guards these: their session is ended before another run goes on with the step, so that none of
/// them reaches the server when the first run wakes.
#[test]
fn u13_c06_a_statement_outside_a_transaction_of_a_woken_runner_never_reaches_the_server() {
    let world = World::new();
    let mut seen = 0;
    for phase in &phases(&world) {
        for number in numbers(phase, &["/* outpost sql/"]) {
            // The look at the lease comes right before the statement.
            if all() || !phase.messages[number - 1].contains(" lease */") {
                overtaken(&world, phase, At::Message(number));
                seen += 1;
            }
        }
    }
    // Two indexes made and dropped, VACUUM and CALL.
    assert_eq!(seen, if all() { 12 } else { 6 });
}

/// The statement that clears away what an earlier try left is sent for the same step, and would drop the index that
/// the successor has built since.
#[test]
fn u13_c03_an_index_that_a_successor_rebuilt_is_not_dropped_by_a_woken_runner() {
    let world = World::new();
    let leftover = "create index accounts_name on accounts (name); \
                    update pg_index set indisvalid = false where indexrelid = 'accounts_name'::regclass";
    sql(&world.database, leftover);
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    let at = At::First(&["/* outpost sql/0003_indexes", "drop index"]);
    let (wire, frozen) = freeze_at(&world, &phase, at);
    let what = "frozen where a leftover is dropped";
    take_over(&world, &phase, &frozen, what);
    wire.release();
    wake(&world, &phase, frozen, what);
}

/// Nobody goes on with the step, and nobody would find what the statement did.
#[test]
fn u13_c01_a_statement_of_a_woken_runner_does_not_come_after_the_decision_about_its_step() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    let at = At::First(&["/* outpost sql/0003_indexes", "CREATE INDEX"]);
    let (wire, frozen) = freeze_at(&world, &phase, at);
    let decide = [
        "migrate",
        "resolve",
        "sql/0003_indexes",
        "--rolled-back",
        "--yes",
    ];
    world.run_after(frozen.pid(), &decide).expect(0);
    let decided = world.state();
    wire.release();
    frozen.wake();
    let ended = frozen.wait().expect(1);
    assert!(says_lost(&ended), "{}", ended.output);
    let found = world.state();
    assert!(found == decided, "{}", difference(&decided, &found));
}

/// Sessions of the step's transaction.
const TRANSACTION: &str = "select pid from pg_stat_activity where datname = current_database() \
     and starts_with(query, '/* outpost transaction sql/0002_balance') and state <> 'idle'";

/// The server goes on with a transaction whose client is frozen; `stuck` is the wait event at which it stops. Its locks
/// are freed when another run takes over, and not before.
fn locks_of(world: &World, phase: &Phase, stuck: &str, unblock: impl FnOnce()) {
    let at = At::First(&["sql/0002_balance carries its record"]);
    let (wire, frozen) = freeze_at(world, phase, at);
    wire.release();
    let waits = format!("{TRANSACTION} and wait_event = '{stuck}'");
    wait_until("its transaction is stuck", || {
        !query_rows(&world.database, &waits).is_empty()
    });
    let pid = query_one_text(&world.database, &waits);
    let holds = format!(
        "select count(*) from pg_locks where relation = 'accounts'::regclass \
         and mode = 'AccessExclusiveLock' and granted and pid = {pid}"
    );
    assert_eq!(query_one_text(&world.database, &holds), "1", "{stuck}");
    world.expire_leases(Holders::Process(frozen.pid()));
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    let mut next = world.start(world.command(&patient));
    wait_until("its locks are freed", || {
        if let Some(ended) = next.ended() {
            panic!("{stuck}: {:?}\n{}", ended.status, ended.output);
        }
        query_one_text(&world.database, &holds) == "0"
    });
    unblock();
    next.wait().expect(0);
    phase.expect_left(&world.state(), stuck);
    wake(world, phase, frozen, stuck);
}

#[test]
fn u13_c06_the_table_locks_of_a_frozen_runner_whose_statement_waits_are_freed_by_a_takeover() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    // The step has altered a table when it comes to the one that is in use, and may wait for it for two minutes.
    let (blocker, _guard) = in_use(&world, "audit");
    locks_of(&world, &phase, "relation", || blocker.release());
}

#[test]
fn u13_c06_the_table_locks_of_a_frozen_runner_that_reads_no_answer_are_freed_by_a_takeover() {
    let world = World::new();
    // More than the sockets on the way to the client hold.
    let answer = "\nSELECT repeat('x', 1000000) FROM generate_series(1, 64);\n";
    let path = world.folder.path().join("schema/sql/0002_balance.up.sql");
    let text = std::fs::read_to_string(&path).unwrap() + answer;
    std::fs::write(path, text).unwrap();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    locks_of(&world, &phase, "ClientWrite", || {});
}

/// All other tests end leases by hand. This one waits for the servers' clocks.
#[test]
fn u13_c07_a_lease_that_nobody_renews_runs_out_by_itself_in_both_stores() {
    let world = World::new();
    let phase = phases(&world).remove(0);
    world.restore(&phase.start);
    let middle = At::Message(phase.messages.len() / 2);
    let (wire, frozen) = freeze_at(&world, &phase, middle);
    let early = ["migrate", "apply", phase.plan];
    let refused = world.run(&early).expect(5);
    assert!(refused.words().contains("is held by"), "{}", refused.output);
    let patient = ["migrate", "apply", phase.plan, "--lock-wait", "60s"];
    world.run(&patient).expect(0);
    phase.expect_left(&world.state(), "after the lease ran out");
    wire.release();
    wake(&world, &phase, frozen, "after the lease ran out");
}
