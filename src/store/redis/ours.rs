//! Whether all that changed on a server meanwhile was our own doing. Then a pass over the keys that wrote
//! something need not be followed by one that proves that nothing is left: nobody else could have left
//! anything.
//!
//! The server counts its changes (`rdb_changes_since_last_save` of INFO). Our scripts say where that count
//! stood before and after them, so their changes are known to the single one, and any other shows as a gap.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::RedisStore;
use super::link::Session;
use super::read::info_field;
use crate::store::StoreError;

/// Stretches of changes that are kept; what is forgotten counts as somebody else's.
const MOST: usize = 10_000;

/// What the server's count of changes says at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    changes: u64,
    /// The time of the last snapshot, Unix seconds: each one begins the count anew.
    saved_at: u64,
    /// The state of the connections it was asked on: another server counts otherwise.
    generation: u64,
}

/// The changes that calls of ours made, as the server counted them.
#[derive(Debug, Default)]
pub(super) struct Ours {
    counts: AtomicBool,
    made: Mutex<VecDeque<Range<u64>>>,
}

impl Ours {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Range<u64>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls are to say what they change, since the server tells.
    pub(super) fn begin(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    /// Whether calls are to say what they change.
    pub(super) fn counts(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }

    /// Takes in what a call says of the count before and after it.
    pub(super) fn add(&self, made: Range<u64>) {
        if made.is_empty() {
            return;
        }
        let mut known = self.lock();
        if let Some(last) = known.back_mut().filter(|last| last.end == made.start) {
            last.end = made.end;
            return;
        }
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(made);
    }

    fn within(&self, window: &Range<u64>) -> u64 {
        // A call is atomic, so the window begins and ends between two, and a stretch of several may go beyond.
        let known = self.lock();
        let inside = known.iter().map(|made| {
            let (start, end) = (made.start.max(window.start), made.end.min(window.end));
            end.saturating_sub(start)
        });
        inside.sum()
    }
}

/// Whether these made every change between two counts.
pub(super) fn made_all(ours: &[&Ours], before: Option<Count>, after: Option<Count>) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return false;
    };
    let alike = before.saved_at == after.saved_at && before.generation == after.generation;
    let window = before.changes..after.changes;
    let made: u64 = ours.iter().map(|ours| ours.within(&window)).sum();
    alike && after.changes.checked_sub(before.changes) == Some(made)
}

impl RedisStore {
    /// The server's count of changes; `None` where the user may not ask, a snapshot is being written, or
    /// there is more than one server, whose keys may move from one to the other.
    pub(super) async fn changes(&self, session: Session<'_>) -> Result<Option<Count>, StoreError> {
        if self.link.is_cluster() {
            return Ok(None);
        }
        let info = self.info(session, "persistence").await?;
        let generation = self.link.generation();
        Ok(info.and_then(|info| {
            let number = |name| info_field(&info, name)?.parse::<u64>().ok();
            let count = Count {
                changes: number("rdb_changes_since_last_save")?,
                saved_at: number("rdb_last_save_time")?,
                generation,
            };
            (number("rdb_bgsave_in_progress")? == 0).then_some(count)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(changes: u64) -> Option<Count> {
        Some(Count {
            changes,
            saved_at: 1,
            generation: 1,
        })
    }

    #[test]
    fn a_change_of_somebody_else_is_a_gap() {
        let (keys, lease) = (Ours::default(), Ours::default());
        for made in [90..100, 100..110, 110..110, 112..120] {
            keys.add(made);
        }
        assert!(made_all(&[&keys], count(100), count(110)));
        assert!(!made_all(&[&keys], count(100), count(120)), "110 to 112");
        lease.add(110..112);
        assert!(made_all(&[&keys, &lease], count(90), count(120)));
        assert!(!made_all(&[&keys, &lease], count(90), count(121)), "after");
        assert!(!made_all(&[&keys, &lease], count(89), count(120)), "before");
        assert!(made_all(&[], count(7), count(7)), "nothing at all");
    }

    #[test]
    fn a_count_that_began_anew_says_nothing() {
        let none = Ours::default();
        let later = count(7).map(|count| Count {
            saved_at: 2,
            ..count
        });
        let elsewhere = count(7).map(|count| Count {
            generation: 2,
            ..count
        });
        for after in [later, elsewhere, count(6), None] {
            assert!(!made_all(&[&none], count(7), after), "{after:?}");
        }
        assert!(!made_all(&[&none], None, count(7)));
    }

    #[test]
    fn what_is_forgotten_is_not_taken_for_ours() {
        let ours = Ours::default();
        let calls = MOST as u64 + 10;
        for n in 0..calls {
            ours.add(2 * n..2 * n + 1);
        }
        assert!(!made_all(&[&ours], count(0), count(2 * calls)));
    }
}
