//! Goes through all executions within bounds, depth first. Each begins anew and follows the choices of the
//! one before up to the last that leaves another; one that comes to a state that was met before, with as
//! much left to happen, ends there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use outpost::model::id::StoreKind;
use outpost::store::memory::MemoryStore;

use crate::scenario::{self, Scenario};
use crate::world::{Action, Bounds, Left, World};

/// What was explored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explored {
    /// Executions, from the beginning to where nothing new came.
    pub executions: usize,
    /// States that differ.
    pub states: usize,
    /// Things that happened, over all executions, those repeated to come to a choice left out.
    pub steps: usize,
}

/// An execution that must not be.
#[derive(Debug)]
pub struct Violation {
    /// What went wrong.
    pub what: String,
    /// How it came to it.
    pub told: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for line in &self.told {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// A choice: what may happen, and what is tried now.
struct Choice {
    actions: Vec<Action>,
    at: usize,
}

/// Explores a scenario.
pub fn explore(scenario: &Scenario, bounds: Bounds) -> Result<Explored, Violation> {
    runtime().block_on(all(scenario, bounds))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// The first execution alone: what an undisturbed run leaves.
pub fn undisturbed(scenario: &Scenario) -> BTreeMap<StoreKind, scenario::Left> {
    let nothing = Bounds {
        runs: 0,
        faults: 0,
        preemptions: 0,
        ticks: 0,
    };
    runtime().block_on(async {
        let mut world = World::new(scenario, nothing, true).await;
        if let Err(what) = world.perform(Action::Settle).await {
            panic!("{what}: {:?}", world.told);
        }
        let left = |(kind, store): (&StoreKind, &MemoryStore)| (*kind, scenario::Left::of(store));
        let states = world.servers.iter().map(left).collect();
        world.take_down().await;
        states
    })
}

async fn all(scenario: &Scenario, bounds: Bounds) -> Result<Explored, Violation> {
    let mut met: HashMap<u64, Vec<Left>> = HashMap::new();
    let mut path: Vec<Choice> = Vec::new();
    let mut explored = Explored::default();
    loop {
        explored.executions += 1;
        let mut world = World::new(scenario, bounds, false).await;
        let outcome = one(&mut world, &mut path, &mut met, &mut explored).await;
        world.take_down().await;
        if let Err(what) = outcome {
            let told = tell(scenario, bounds, &path).await;
            return Err(Violation { what, told });
        }
        while let Some(choice) = path.last_mut() {
            choice.at += 1;
            if choice.at < choice.actions.len() {
                break;
            }
            path.pop();
        }
        if path.is_empty() {
            return Ok(explored);
        }
    }
}

/// What happens on a path, in words.
async fn tell(scenario: &Scenario, bounds: Bounds, path: &[Choice]) -> Vec<String> {
    let mut world = World::new(scenario, bounds, true).await;
    for choice in path {
        if world.perform(choice.actions[choice.at]).await.is_err() {
            break;
        }
    }
    let told = std::mem::take(&mut world.told);
    world.take_down().await;
    told
}

/// Follows the path, and goes on from its end.
async fn one(
    world: &mut World<'_>,
    path: &mut Vec<Choice>,
    met: &mut HashMap<u64, Vec<Left>>,
    explored: &mut Explored,
) -> Result<(), String> {
    for choice in path.iter() {
        world.perform(choice.actions[choice.at]).await?;
    }
    loop {
        if !path.is_empty() {
            explored.steps += 1;
        }
        let left = world.left();
        let before = met.entry(world.fingerprint()).or_default();
        if before.iter().any(|known| known.covers(left)) {
            return Ok(());
        }
        explored.states += usize::from(before.is_empty());
        before.retain(|known| !left.covers(*known));
        before.push(left);
        let actions = world.actions();
        let Some(first) = actions.first().copied() else {
            return Ok(());
        };
        path.push(Choice { actions, at: 0 });
        world.perform(first).await?;
    }
}
