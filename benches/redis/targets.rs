//! What the Redis engine is to reach, and whether it did.

use super::job::Job;
use super::report::{Report, Summary};

const CEILING_SHARE: f64 = 0.55;
const PEAK_MB: f64 = 24.0;
/// Memory of a run over several times the keys may differ by this much: pages differ in size.
const FLAT: f64 = 1.25;
const P99_US: u32 = 2_000;
const MAX_US: u32 = 10_000;

/// A target beside what was measured.
pub struct Target {
    /// In words.
    pub what: String,
    /// In words.
    pub measured: String,
    /// Whether it was reached.
    pub met: bool,
}

impl Target {
    fn new(what: impl Into<String>, measured: impl Into<String>, met: bool) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            met,
        }
    }
}

/// Every target that the report has figures for.
pub fn judge(report: &Report) -> Vec<Target> {
    let ours: Vec<(Job, Summary)> = Job::ALL
        .into_iter()
        .filter_map(|job| Some((job, report.outpost_of(job)?)))
        .collect();
    let mut targets = Vec::new();
    for (job, summary) in &ours {
        let goal = match job {
            Job::Convert => 1.8,
            Job::Set => 2.7,
            Job::Copy | Job::Together => 10.0,
        };
        if let Some(reference) = report.reference_of(*job) {
            let times = summary.rate / reference.rate;
            let what = format!("{}: {goal} times the reference", job.name());
            targets.push(Target::new(what, format!("{times:.1}"), times >= goal));
        }
    }
    if let Some(ceilings) = report.ceilings {
        for (job, summary) in &ours {
            let share = summary.rate / ceilings.of(*job);
            let what = format!("{}: 55% of its ceiling", job.name());
            let measured = format!("{:.0}%", share * 100.0);
            targets.push(Target::new(what, measured, share >= CEILING_SHARE));
        }
    }
    if !ours.is_empty() {
        let peak = ours.iter().map(|(_, s)| s.peak_mb).fold(0.0, f64::max);
        let p99 = ours.iter().map(|(_, s)| s.probe.p99).max();
        let max = ours.iter().map(|(_, s)| s.probe.max).max();
        let (p99, max) = (p99.unwrap_or_default(), max.unwrap_or_default());
        targets.push(Target::new(
            "peak memory under 24 MB",
            format!("{peak:.1} MB"),
            peak < PEAK_MB,
        ));
        targets.push(Target::new(
            "another client's p99 under 2 ms",
            format!("{p99} us"),
            p99 < P99_US,
        ));
        targets.push(Target::new(
            "its maximum under 10 ms",
            format!("{max} us"),
            max < MAX_US,
        ));
    }
    for (what, goal) in [("fields", 150.0), ("copies", 80.0)] {
        if let Some(summary) = report.verified_of(what) {
            let rate = summary.rate / 1e3;
            let what = format!("verify {what}: {goal} thousand keys/s");
            targets.push(Target::new(what, format!("{rate:.0}"), rate >= goal));
        }
    }
    if let (Some(scaled), Some(once)) = (&report.scaled, report.outpost_of(Job::Together)) {
        let (many, once) = (scaled.row.run.peak_mb, once.peak_mb);
        let what = format!("the same memory for {} times the keys", scaled.times);
        let measured = format!("{many:.1} MB, {once:.1} MB before");
        targets.push(Target::new(
            what,
            measured,
            many < once * FLAT && many < PEAK_MB,
        ));
    }
    targets
}
