//! What an undisturbed run does: the measure for all others.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

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
    let apply = phase(world, "apply", "apply.bin", seed, 0);
    let applied = Rc::new(world.save("applied"));
    let cleanup: &[&str] = &["migrate", "cleanup", "-out", "cleanup.bin"];
    let revert: &[&str] = &["migrate", "plan", "--to", world.back, "-out", "revert.bin"];
    world.run(cleanup).expect(0);
    world.run(revert).expect(0);
    let before = done(&apply.expected);
    let cleanup = phase(world, "cleanup", "cleanup.bin", applied.clone(), before);
    let revert = phase(world, "revert", "revert.bin", applied, before);
    vec![apply, cleanup, revert]
}

/// Steps that both histories call done.
fn done(state: &[String]) -> usize {
    let is_done =
        |line: &&String| line.starts_with("history") && line.contains("\"outcome\": \"done\"");
    state.iter().filter(is_done).count()
}

fn phase(
    world: &World,
    name: &'static str,
    plan: &'static str,
    start: impl Into<Rc<Snapshot>>,
    before: usize,
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
    let done = done(&expected);
    let shown = world.run(&["migrate", "show", "--format", "json", plan]);
    let shown: Json = serde_json::from_str(&shown.expect(0).output).unwrap();
    let steps = shown["steps"].as_array().unwrap().len();
    assert!(steps > 0, "{name} does nothing");
    // Those of the plan before are in the histories as well.
    assert_eq!(done - before, steps, "{name}");
    Phase {
        name,
        plan,
        start,
        expected,
        messages: wire.messages(),
        took,
    }
}
