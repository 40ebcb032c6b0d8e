//! What an undisturbed run does: the measure for all others.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::proxy::Wire;
use crate::state::difference;
use crate::world::{Snapshot, World};

/// A saved plan, where it begins, and what an undisturbed run makes of it.
pub struct Phase {
    pub name: &'static str,
    pub plan: &'static str,
    pub start: Rc<Snapshot>,
    pub expected: Vec<String>,
    pub messages: Vec<String>,
    pub took: Duration,
}

impl Phase {
    /// Panics with what differs, unless this is what an undisturbed run leaves; `what` was done to the run.
    pub fn expect_left(&self, found: &[String], what: &str) {
        assert!(
            found == self.expected,
            "{}: {what}\n{}",
            self.name,
            difference(&self.expected, found)
        );
    }
}

/// The three plans of the project, made and carried out once without any disturbance.
pub fn phases(world: &World) -> Vec<Phase> {
    let seed = world.save("seed");
    let plan: &[&str] = &["migrate", "plan", "-out", "apply.bin"];
    world.run(plan).expect(0);
    let apply = phase(world, "apply", "apply.bin", seed);
    let applied = Rc::new(world.save("applied"));
    let cleanup: &[&str] = &["migrate", "cleanup", "-out", "cleanup.bin"];
    let revert: &[&str] = &["migrate", "plan", "--to", "back", "-out", "revert.bin"];
    world.run(cleanup).expect(0);
    world.run(revert).expect(0);
    let cleanup = phase(world, "cleanup", "cleanup.bin", applied.clone());
    let revert = phase(world, "revert", "revert.bin", applied);
    vec![apply, cleanup, revert]
}

fn phase(
    world: &World,
    name: &'static str,
    plan: &'static str,
    start: impl Into<Rc<Snapshot>>,
) -> Phase {
    let start = start.into();
    world.restore(&start);
    let wire = Wire::quiet();
    let begun = Instant::now();
    world
        .start_on(&wire, &["migrate", "apply", plan, "--parallelism", "1"])
        .wait()
        .expect(0);
    let took = begun.elapsed();
    let expected = world.state();
    let done = expected
        .iter()
        .filter(|line| line.starts_with("history"))
        .count();
    assert!(done > 0, "{name} does nothing");
    Phase {
        name,
        plan,
        start,
        expected,
        messages: wire.messages(),
        took,
    }
}
