//! How hard the server is worked: how many keys a batch has, how many batches are under way, and how many
//! keys a second go by.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What the user allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long another client may have to wait behind what is under way at once.
    pub latency_budget: Duration,
    /// Keys that are dealt with in a second, over all masters; `None` for as many as can be.
    pub max_keys_per_second: Option<u32>,
    /// Whether copies begin although `maxmemory` seems to leave too little room.
    pub ignore_memory: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            latency_budget: Duration::from_millis(1),
            max_keys_per_second: None,
            ignore_memory: false,
        }
    }
}

/// Batches that are under way at once on one server: while one is carried out, another waits there, and the answer
/// to a third is on its way.
pub(super) const UNDER_WAY: usize = 3;
/// Pages under way on a server that is far off; more would only lie in its buffers.
const MOST_UNDER_WAY: usize = 16;
/// Keys that are read in one go, so that nobody has to wait long behind the answers.
pub(super) const READ_AT_ONCE: usize = 100;
/// Batches whose cost is remembered.
const REMEMBERED: usize = 16;
const SMALLEST: usize = 8;
const LARGEST: usize = 400;

/// The pace of one step, learned from what its batches cost the server.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Keys of the next batch.
    size: usize,
    way: Duration,
    /// What a key cost in each of the last batches, seconds.
    costs: VecDeque<f64>,
    /// From when on the next key may be dealt with, under a limit of keys a second.
    next: Instant,
}

impl Pace {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                size: 50,
                way: Duration::ZERO,
                costs: VecDeque::with_capacity(REMEMBERED),
                next: Instant::now(),
            }),
        }
    }

    /// Keys for the next batch.
    pub(super) fn size(&self) -> usize {
        self.lock().size
    }

    /// Learns how long an answer takes from a server that has nothing to do.
    pub(super) fn way(&self, way: Duration) {
        self.lock().way = way;
    }

    /// Learns from how long a batch took. That is what another client would have waited behind all that was
    /// under way, and the way there and back. A slow answer may have had another reason, such as a client
    /// that had no processor, so the faster ones of the last batches set the measure.
    pub(super) fn took(&self, keys: usize, took: Duration) {
        let target = self.limits.latency_budget.as_secs_f64();
        let mut state = self.lock();
        let busy = took.saturating_sub(state.way).as_secs_f64();
        if state.costs.len() == REMEMBERED {
            state.costs.pop_front();
        }
        state.costs.push_back(busy / keys.max(1) as f64);
        let mut costs: Vec<f64> = state.costs.iter().copied().collect();
        costs.sort_unstable_by(f64::total_cmp);
        let cost = costs.get(costs.len() / 4).copied().unwrap_or_default();
        let expected = cost * state.size as f64;
        if expected > target * 5.0 / 4.0 {
            // At most by half.
            let fitting = ((target / cost) as usize).max(state.size / 2);
            state.size = fitting.clamp(SMALLEST, LARGEST).min(state.size);
        } else if keys >= state.size && expected < target * 3.0 / 4.0 {
            state.size = (state.size * 5 / 4 + 1).min(LARGEST);
        }
    }

    /// How long to wait before so many keys are dealt with.
    pub(super) fn wait(&self, keys: usize) -> Duration {
        let Some(rate) = self.limits.max_keys_per_second else {
            return Duration::ZERO;
        };
        let cost = Duration::from_secs_f64(keys as f64 / f64::from(rate.max(1)));
        let now = Instant::now();
        let mut state = self.lock();
        let begin = state.next.max(now);
        state.next = begin + cost;
        begin.saturating_duration_since(now)
    }

    /// The most keys that are dealt with at once, so that a low limit holds within each second too.
    pub(super) fn burst(&self) -> usize {
        self.limits
            .max_keys_per_second
            .and_then(|rate| usize::try_from(rate / 10).ok())
            .map_or(LARGEST, |keys| keys.clamp(1, LARGEST))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages under way, given how long an answer takes from a server that has nothing to do: enough that it
/// always has one to work on.
pub(super) fn under_way(way: Duration) -> usize {
    let more = usize::try_from(way.as_millis()).unwrap_or(MOST_UNDER_WAY);
    (UNDER_WAY + more).min(MOST_UNDER_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_settle_where_they_stay_within_the_budget() {
        let target = Limits::default().latency_budget;
        for micros_per_key in [1_u64, 10, 1000] {
            let pace = Pace::new(Limits::default());
            for _ in 0..100 {
                let size = pace.size();
                pace.took(size, Duration::from_micros(micros_per_key * size as u64));
            }
            let fitting = target.as_micros() as u64 / micros_per_key;
            let fitting = (fitting as usize).clamp(SMALLEST, LARGEST);
            let size = pace.size();
            assert!(
                size * 4 <= fitting * 5 + 4 && size * 5 >= fitting * 3,
                "{micros_per_key}: {size}, and {fitting} would fit"
            );
        }
    }

    #[test]
    fn slow_batches_become_small_and_the_way_is_not_counted() {
        let pace = Pace::new(Limits::default());
        pace.way(Duration::from_millis(50));
        pace.took(50, Duration::from_micros(50_500));
        assert!(pace.size() > 50);
        let before = pace.size();
        pace.took(50, Duration::from_millis(500));
        assert!(pace.size() >= before, "one slow answer says nothing");
        for _ in 0..15 {
            pace.took(50, Duration::from_millis(100));
        }
        assert_eq!(pace.size(), SMALLEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_keys_a_second_holds_over_any_run_and_within_each_second() {
        for rate in [1, 7, 1000, 100_000] {
            let pace = Pace::new(Limits {
                max_keys_per_second: Some(rate),
                ..Limits::default()
            });
            let begun = Instant::now();
            let (mut done, mut last_second) = (0_usize, Vec::new());
            while begun.elapsed() < Duration::from_secs(30) {
                let keys = pace.size().min(pace.burst());
                tokio::time::sleep(pace.wait(keys)).await;
                pace.took(keys, Duration::ZERO);
                done += keys;
                let now = Instant::now();
                last_second.push((now, keys));
                last_second.retain(|(at, _)| now.duration_since(*at) < Duration::from_secs(1));
                let within: usize = last_second.iter().map(|(_, keys)| keys).sum();
                // The timer counts whole milliseconds.
                assert!(
                    within as f64 <= f64::from(rate) * 1.01 + pace.burst() as f64,
                    "{rate}: {within} in a second"
                );
            }
            let rate_found = done as f64 / begun.elapsed().as_secs_f64();
            assert!(
                rate_found <= f64::from(rate) * 1.05 + 1.0
                    && rate_found >= f64::from(rate) * 0.9 - 1.0,
                "{rate}: {rate_found}"
            );
        }
    }

    #[test]
    fn a_far_server_has_more_pages_under_way() {
        assert_eq!(under_way(Duration::from_micros(100)), UNDER_WAY);
        assert_eq!(under_way(Duration::from_millis(5)), UNDER_WAY + 5);
        assert_eq!(under_way(Duration::from_secs(1)), MOST_UNDER_WAY);
    }
}
