//! How many keys one script call gets: as many as keep the server busy for about a millisecond.

use std::time::Duration;

const TARGET: Duration = Duration::from_millis(1);
const SMALLEST: usize = 8;
const LARGEST: usize = 400;

/// The batch size, by what the batches so far took.
#[derive(Debug)]
pub(super) struct Pace {
    size: usize,
    /// The shortest time that a call took: what the way there and back costs at most.
    way: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            size: 50,
            way: Duration::from_millis(1),
        }
    }
}

impl Pace {
    /// Keys for the next batch.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Learns from the time of an empty request.
    pub(super) fn way(&mut self, took: Duration) {
        self.way = self.way.min(took);
    }

    /// Learns from the time of a full batch; others say nothing.
    pub(super) fn took(&mut self, keys: usize, took: Duration) {
        if keys < self.size {
            return;
        }
        let busy = took.saturating_sub(self.way);
        if busy > TARGET * 3 / 2 {
            self.size = (self.size * 3 / 4).max(SMALLEST);
        } else if busy < TARGET * 3 / 4 {
            self.size = (self.size * 5 / 4).min(LARGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_settle_where_the_server_is_busy_for_a_millisecond() {
        for (micros_per_key, expected) in [(1, LARGEST), (10, 100), (1000, SMALLEST)] {
            let mut pace = Pace::default();
            pace.way(Duration::from_micros(100));
            for _ in 0..100 {
                let size = pace.size();
                pace.took(
                    size,
                    Duration::from_micros(100 + micros_per_key * size as u64),
                );
            }
            let size = pace.size();
            assert!(
                size >= expected * 3 / 4 && size <= expected * 3 / 2,
                "{micros_per_key}: {size}"
            );
        }
    }
}
