//! The protocol of `apply`, explored exhaustively within bounds: leases, fences, steps, kills, lost answers,
//! messages that arrive late, and runs that take over. The runs are the engine's own code over stores in
//! memory; see docs/reliability.md for what is covered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod explore;
#[path = "../support/folder.rs"]
mod folder;
mod judge;
mod scenario;
mod world;

use outpost::store::memory::Flaw;

use explore::{Explored, Violation, explore};
use scenario::Scenario;
use world::Bounds;

fn check(scenario: &Scenario, bounds: Bounds) -> Explored {
    match explore(scenario, bounds) {
        Ok(explored) => {
            println!("{bounds:?}: {explored:?}");
            explored
        }
        Err(violation) => panic!("{violation}"),
    }
}

/// Nothing of it is left to chance, so docs/reliability.md has the very numbers.
fn check_figures(scenario: &Scenario, bounds: Bounds, executions: usize, states: usize) {
    let explored = check(scenario, bounds);
    assert_eq!(
        (explored.executions, explored.states),
        (executions, states),
        "{bounds:?}: other schedules were explored than before. Where the change is meant, put these numbers here and \
         into the table of docs/reliability.md"
    );
}

const fn bounds(faults: usize, preemptions: usize) -> Bounds {
    Bounds {
        runs: 2,
        faults,
        preemptions,
        ticks: 0,
    }
}

#[test]
fn c15_every_schedule_of_two_runs_ends_as_an_undisturbed_one() {
    check_figures(&Scenario::in_line(), bounds(0, 3), 973, 1_391);
}

#[test]
fn c15_every_schedule_with_a_disturbance_ends_as_an_undisturbed_one() {
    check_figures(&Scenario::in_line(), bounds(1, 0), 3_818, 4_561);
}

#[test]
fn c15_every_schedule_with_steps_side_by_side_ends_as_an_undisturbed_one() {
    check_figures(&Scenario::cross(), bounds(0, 1), 2_488, 5_319);
}

#[test]
fn u13_every_schedule_in_which_leases_are_renewed_ends_as_an_undisturbed_one() {
    let ticks = Bounds {
        ticks: 1,
        ..bounds(0, 0)
    };
    check_figures(&Scenario::in_line(), ticks, 652, 979);
}

/// `OUTPOST_MODEL` is four numbers: runs, disturbances, preemptions, renewals.
#[test]
#[ignore = "minutes to hours: a campaign, see docs/reliability.md"]
fn a_campaign_with_larger_bounds() {
    let text = std::env::var("OUTPOST_MODEL").unwrap_or_else(|_| "2 1 1 0".to_owned());
    let numbers: Vec<usize> = text
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [runs, faults, preemptions, ticks] = numbers[..] else {
        panic!("OUTPOST_MODEL={text}: four numbers are expected");
    };
    let bounds = Bounds {
        runs,
        faults,
        preemptions,
        ticks,
    };
    check(&Scenario::in_line(), bounds);
    check(&Scenario::cross(), bounds);
}

/// The plainest violation: with as few disturbances as it takes.
fn found(flaw: Flaw) -> Violation {
    let scenario = Scenario::in_line().with(flaw);
    for (preemptions, faults) in [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2)] {
        match explore(&scenario, bounds(faults, preemptions)) {
            Ok(explored) => println!("{flaw:?}: not with {faults}, {preemptions}: {explored:?}"),
            Err(violation) => return violation,
        }
    }
    panic!("a store with {flaw:?} passes");
}

#[test]
fn u13_the_checker_finds_a_store_without_a_fence() {
    let violation = found(Flaw::NoFence);
    assert!(violation.what.contains("had lost its lease"), "{violation}");
}

#[test]
fn the_checker_finds_a_store_whose_record_is_another_write_than_its_effect() {
    let violation = found(Flaw::RecordApart);
    assert!(
        violation.what.contains("what is recorded is"),
        "{violation}"
    );
}

#[test]
fn u12_the_checker_finds_a_store_that_gives_its_lease_to_whoever_asks() {
    let violation = found(Flaw::SharedLease);
    assert!(violation.what.contains("got the lease that"), "{violation}");
}

#[test]
fn u13_the_checker_finds_a_store_whose_lease_anybody_gives_back() {
    let violation = found(Flaw::ReleaseForAll);
    assert!(violation.what.contains("lease"), "{violation}");
}

#[test]
fn the_checker_finds_a_store_that_does_not_compare_before_it_writes() {
    let violation = found(Flaw::NoComparison);
    assert!(violation.what.contains("twice"), "{violation}");
}

#[test]
fn the_checker_finds_a_store_that_asks_again_without_fencing_its_first_request() {
    let violation = found(Flaw::NoRaise);
    assert!(violation.what.contains("twice"), "{violation}");
}

#[test]
fn the_checker_finds_a_store_whose_late_checkpoint_undoes_a_record() {
    let violation = found(Flaw::LateCheckpoint);
    assert!(violation.what.contains("recorded"), "{violation}");
}
