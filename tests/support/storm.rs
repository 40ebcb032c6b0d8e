//! Harm without a plan: answers that are lost, by lot or each once, and processes that are killed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::cuts::without_chance;
use crate::proxy::{Cut, Harm, Protocol, only_reads};

/// The answer to each message that may write is lost when it is sent first; messages that differ only in numbers and
/// by chance are the same one.
#[derive(Default)]
pub struct LosesWrites(Mutex<BTreeSet<String>>);

impl LosesWrites {
    /// Answers lost so far.
    pub fn lost(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }
}

impl Harm for LosesWrites {
    fn decide(&self, protocol: Protocol, name: Option<&str>, _length: usize) -> Option<Cut> {
        let name = format!("{protocol:?}: {}", name?);
        let mut lost = self.0.lock().expect("no panic");
        let loses = !only_reads(&name) && lost.insert(without_chance(&name));
        loses.then_some(Cut::Answer(0))
    }
}

/// Every other answer to a command of Redis is lost.
pub struct LosesEveryOther {
    command: &'static str,
    met: AtomicUsize,
}

impl LosesEveryOther {
    pub fn new(command: &'static str) -> Self {
        Self {
            command,
            met: AtomicUsize::new(0),
        }
    }
}

impl Harm for LosesEveryOther {
    fn decide(&self, protocol: Protocol, name: Option<&str>, _length: usize) -> Option<Cut> {
        let is_meant = protocol == Protocol::Redis && name?.starts_with(self.command);
        let loses = is_meant && self.met.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        loses.then_some(Cut::Answer(0))
    }
}

/// Harm at messages by lot, up to a number of times: then the plan may come to its end.
pub struct Storm(Mutex<Weather>);

struct Weather {
    random: StdRng,
    left: usize,
    /// What was done, and to which messages.
    log: Vec<String>,
}

impl Storm {
    /// Of so many messages about one meets harm, at most `most` of them.
    const ONE_OF: u32 = 8;

    pub fn new(seed: u64, most: usize) -> Self {
        Self(Mutex::new(Weather {
            random: StdRng::seed_from_u64(seed),
            left: most,
            log: Vec::new(),
        }))
    }

    /// What was done, a line each.
    pub fn log(&self) -> String {
        self.0.lock().expect("no panic").log.join("\n")
    }
}

impl Harm for Storm {
    fn decide(&self, protocol: Protocol, name: Option<&str>, length: usize) -> Option<Cut> {
        let mut weather = self.0.lock().expect("no panic");
        if weather.left == 0 || weather.random.random_range(0..Self::ONE_OF) != 0 {
            return None;
        }
        let cut = match weather.random.random_range(0..10) {
            0..5 => Cut::Answer(0),
            5..8 => Cut::Request(weather.random.random_range(0..length)),
            8 => Cut::KillBefore,
            _ => Cut::KillAfter,
        };
        weather.left -= 1;
        let name = name.unwrap_or("opens or ends a connection");
        weather.log.push(format!("{cut:?} at {protocol:?}: {name}"));
        Some(cut)
    }
}
