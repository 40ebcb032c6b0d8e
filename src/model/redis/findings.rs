//! Findings over many keys: counted by sort, with a few samples, in flat memory.

use std::collections::BTreeMap;

use crate::model::redis::op::Sort;
use crate::model::redis::printable::printable;
use crate::model::verification::SAMPLES;

/// What was found on keys that are not as declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    sorts: BTreeMap<Sort, Tally>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    count: u64,
    samples: Vec<String>,
}

impl Findings {
    /// Counts a key. SCAN may give a key twice; then it counts twice.
    pub fn add(&mut self, sort: Sort, key: &[u8], detail: &str) {
        let tally = self.sorts.entry(sort).or_default();
        tally.count += 1;
        if tally.samples.len() < SAMPLES {
            let key = printable(key);
            let sample = if detail.is_empty() {
                key
            } else {
                format!("{key} ({detail})")
            };
            if !tally.samples.contains(&sample) {
                tally.samples.push(sample);
            }
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.sorts.is_empty()
    }

    /// How many keys of this sort were found.
    pub fn count(&self, sort: Sort) -> u64 {
        self.sorts.get(&sort).map_or(0, |tally| tally.count)
    }

    /// One sentence for each sort, with samples.
    pub fn sentences(&self) -> Vec<String> {
        self.sorts
            .iter()
            .map(|(sort, tally)| format!("{}: {}", sort.sentence(tally.count), tally.list()))
            .collect()
    }
}

impl Tally {
    fn list(&self) -> String {
        let more = self.count.saturating_sub(self.samples.len() as u64);
        let samples = self.samples.join(", ");
        if more == 0 {
            samples
        } else {
            format!("{samples} and {more} more")
        }
    }
}
