//! The arithmetic of the benchmark: medians, percentiles, rates and ceilings. No clock, no server.

/// Answer times of the probe, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Half of the answers came within this.
    pub p50: u32,
    /// 99 of 100 did.
    pub p99: u32,
    /// All did.
    pub max: u32,
}

impl Latency {
    /// Sums answer times up.
    pub fn of(mut samples: Vec<u32>) -> Self {
        samples.sort_unstable();
        Self {
            p50: percentile(&samples, 50),
            p99: percentile(&samples, 99),
            max: percentile(&samples, 100),
        }
    }

    /// Of several runs: the medians of p50 and p99, and the worst maximum.
    pub fn over(runs: &[Self]) -> Self {
        let median_of = |part: fn(&Self) -> u32| {
            let mut values: Vec<u32> = runs.iter().map(part).collect();
            values.sort_unstable();
            percentile(&values, 50)
        };
        Self {
            p50: median_of(|run| run.p50),
            p99: median_of(|run| run.p99),
            max: runs.iter().map(|run| run.max).max().unwrap_or_default(),
        }
    }
}

/// The smallest of the sorted values that `percent` of them do not exceed (nearest rank); 0 of none.
pub fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// The middle value, or the mean of the two in the middle; `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        1 => Some(upper),
        _ => Some((sorted.get(sorted.len() / 2 - 1)? + upper) / 2.0),
    }
}

/// How many keys a second are possible where each key costs `uses` of operations that reach these rates
/// on their own, one after the other on the server's one core: `[(1.0, hmget), (1.0, hset)]` is a read and
/// a write of each key.
pub fn ceiling(uses: &[(f64, f64)]) -> f64 {
    1.0 / uses.iter().map(|(times, rate)| times / rate).sum::<f64>()
}

/// A report of progress: when, seconds, and how many keys had been changed.
pub type Mark = (f64, u64);

/// Changed keys a second between the first and the last report; `None` where they do not tell.
pub fn rate_between(marks: &[Mark]) -> Option<f64> {
    let ((first, before), (last, after)) = (marks.first()?, marks.last()?);
    let (seconds, changed) = (last - first, after.checked_sub(*before)?);
    (seconds > 0.0 && changed > 0).then(|| changed as f64 / seconds)
}
