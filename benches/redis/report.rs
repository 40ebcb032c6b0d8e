//! The figures as Markdown, to be pasted as they are.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::thread;

use outpost::sandbox::RedisServer;

use super::Outcome;
use super::ceiling::Ceilings;
use super::dataset::KEYS_PER_TENANT;
use super::figures::{Latency, median};
use super::job::Job;
use super::measure::Measured;
use super::server::info;
use super::targets;

/// One run of one job.
#[derive(Debug, Clone)]
pub struct Row {
    /// The job.
    pub job: Job,
    /// Its keys.
    pub keys: u64,
    /// The run.
    pub run: Measured,
    /// Seconds of the plan before it.
    pub plan: f64,
    /// Keys changed a second in the first pass.
    pub pass_rate: Option<f64>,
    /// When each pass ended.
    pub timeline: String,
}

impl Row {
    /// A run that needs no plan.
    pub fn new(job: Job, keys: u64, run: Measured) -> Self {
        Self {
            job,
            keys,
            run,
            plan: 0.0,
            pass_rate: None,
            timeline: String::new(),
        }
    }
}

/// One verification.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Of what.
    pub what: &'static str,
    /// Keys checked, once for each migration.
    pub keys: u64,
    /// The run.
    pub run: Measured,
}

/// The run over more keys.
#[derive(Debug)]
pub struct Scaled {
    /// How many times the keys.
    pub times: u64,
    /// The run.
    pub row: Row,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    conditions: Vec<(&'static str, String)>,
    /// The probe on a server that does nothing else.
    pub idle: Latency,
    /// The server's limits.
    pub ceilings: Option<Ceilings>,
    /// Runs of the reference.
    pub reference: Vec<Row>,
    /// Runs of ours.
    pub outpost: Vec<Row>,
    /// Verifications.
    pub verified: Vec<Verified>,
    /// More keys.
    pub scaled: Option<Scaled>,
}

/// The runs of one line of a table, in one.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Keys a second, the median.
    pub rate: f64,
    /// Keys a second of the first pass, the median.
    pub pass_rate: Option<f64>,
    /// Peak memory, the worst, MB.
    pub peak_mb: f64,
    /// The probe.
    pub probe: Latency,
}

impl Summary {
    /// `None` of no runs.
    fn of<'a>(runs: impl Iterator<Item = (u64, &'a Measured, Option<f64>)>) -> Option<Self> {
        let runs: Vec<_> = runs.collect();
        let rates: Vec<f64> = runs
            .iter()
            .map(|(keys, run, _)| *keys as f64 / run.seconds)
            .collect();
        let passes: Vec<f64> = runs.iter().filter_map(|(_, _, pass)| *pass).collect();
        let probes: Vec<Latency> = runs.iter().map(|(_, run, _)| run.probe).collect();
        Some(Self {
            rate: median(&rates)?,
            pass_rate: median(&passes),
            peak_mb: runs
                .iter()
                .map(|(_, run, _)| run.peak_mb)
                .fold(0.0, f64::max),
            probe: Latency::over(&probes),
        })
    }

    fn of_rows(rows: &[Row], job: Job) -> Option<Self> {
        let rows = rows.iter().filter(|row| row.job == job);
        Self::of(rows.map(|row| (row.keys, &row.run, row.pass_rate)))
    }
}

impl Report {
    /// No figures yet, and the conditions.
    pub fn new(server: &RedisServer, tenants: u64, seed: u64, runs: u16) -> Outcome<Self> {
        let about = info(server.url(), "server")?;
        let version = about
            .get("valkey_version")
            .map(|version| format!("Valkey {version}"))
            .or_else(|| about.get("redis_version").map(|v| format!("Redis {v}")));
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let cores = thread::available_parallelism()?;
        let keys = tenants * KEYS_PER_TENANT;
        Ok(Self {
            conditions: vec![
                (
                    "CPU",
                    format!("{}, {cores} cores", model.unwrap_or_default()),
                ),
                ("server", version.unwrap_or_default()),
                (
                    "data",
                    format!("{tenants} tenants, {keys} keys, seed {seed}"),
                ),
                ("runs", runs.to_string()),
                (
                    "load average before",
                    load.split(' ').next().unwrap_or("unknown").to_owned(),
                ),
            ],
            idle: Latency::default(),
            ceilings: None,
            reference: Vec::new(),
            outpost: Vec::new(),
            verified: Vec::new(),
            scaled: None,
        })
    }

    /// The reference's runs of a job.
    pub fn reference_of(&self, job: Job) -> Option<Summary> {
        Summary::of_rows(&self.reference, job)
    }

    /// Our runs of a job.
    pub fn outpost_of(&self, job: Job) -> Option<Summary> {
        Summary::of_rows(&self.outpost, job)
    }

    /// Verifications of something.
    pub fn verified_of(&self, what: &str) -> Option<Summary> {
        let runs = self.verified.iter().filter(|v| v.what == what);
        Summary::of(runs.map(|v| (v.keys, &v.run, None)))
    }

    fn speeds(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| migration | strategy | thousand keys/s | its first pass | against the reference | of the ceiling | peak MB | probe p50 / p99 / max, us |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for job in Job::ALL {
            let name = job.name();
            let reference = self.reference_of(job);
            let ceiling = self.ceilings.map(|ceilings| ceilings.of(job));
            for (strategy, summary) in [
                ("reference", reference.clone()),
                ("outpost", self.outpost_of(job)),
            ] {
                let Some(summary) = summary else { continue };
                let times = reference.as_ref().map(|r| summary.rate / r.rate);
                let share = ceiling.map(|ceiling| summary.rate / ceiling * 100.0);
                writeln!(
                    f,
                    "| {name} | {strategy} | {} | {} | {} | {} | {:.1} | {} |",
                    thousands(summary.rate),
                    summary.pass_rate.map_or_else(none, thousands),
                    times.map_or_else(none, |times| format!("{times:.1}")),
                    share.map_or_else(none, |share| format!("{share:.0}%")),
                    summary.peak_mb,
                    probe(summary.probe),
                )?;
            }
        }
        for what in ["copies", "fields"] {
            let Some(summary) = self.verified_of(what) else {
                continue;
            };
            let (rate, peak) = (thousands(summary.rate), summary.peak_mb);
            let probe = probe(summary.probe);
            writeln!(
                f,
                "| verify {what} | outpost | {rate} | - | - | - | {peak:.1} | {probe} |"
            )?;
        }
        writeln!(
            f,
            "| none | idle server | - | - | - | - | - | {} |",
            probe(self.idle)
        )
    }

    /// Where the time goes, of the last run of each job.
    fn profile(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n| migration | strategy | plan, s | run, s | its CPU, s | server CPU, s | calls, and us in them for each key |\n\
             | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        let strategies = [("reference", &self.reference), ("outpost", &self.outpost)];
        for job in Job::ALL {
            for (strategy, rows) in strategies {
                let Some(row) = rows.iter().rfind(|row| row.job == job) else {
                    continue;
                };
                writeln!(
                    f,
                    "| {} | {strategy} | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
                    job.name(),
                    row.plan,
                    row.run.seconds,
                    row.run.cpu,
                    row.run.server.cpu,
                    busiest(&row.run.server.commands, row.keys),
                )?;
            }
        }
        for what in ["copies", "fields"] {
            let Some(Verified { keys, run, .. }) = self.verified.iter().rfind(|v| v.what == what)
            else {
                continue;
            };
            writeln!(
                f,
                "| verify {what} | outpost | - | {:.2} | {:.2} | {:.2} | {} |",
                run.seconds,
                run.cpu,
                run.server.cpu,
                busiest(&run.server.commands, *keys),
            )?;
        }
        writeln!(
            f,
            "\nWhen what of the last run had happened, seconds after its start:\n"
        )?;
        for row in last_of_each(&self.outpost) {
            writeln!(f, "- {}: {}", row.job.name(), row.timeline)?;
        }
        Ok(())
    }

    fn conditions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (name, value) in &self.conditions {
            writeln!(f, "- {name}: {value}")?;
        }
        if let Some(Ceilings { hmget, hset, copy }) = self.ceilings {
            let [hmget, hset, copy] = [hmget, hset, copy].map(thousands);
            writeln!(
                f,
                "- redis-benchmark, pipelines of 100, thousand a second: HMGET of two fields {hmget}, HSET of two \
                 fields {hset}, COPY {copy}"
            )?;
        }
        if let Some(Scaled { times, row }) = &self.scaled {
            let (peak, rate) = (
                row.run.peak_mb,
                thousands(row.keys as f64 / row.run.seconds),
            );
            writeln!(
                f,
                "- together, {times} times the keys: {peak:.1} MB, {rate} thousand keys/s"
            )?;
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.speeds(f)?;
        self.conditions(f)?;
        writeln!(f, "\n| target | measured | |\n| --- | --- | --- |")?;
        for target in targets::judge(self) {
            let verdict = if target.met { "met" } else { "missed" };
            writeln!(f, "| {} | {} | {verdict} |", target.what, target.measured)?;
        }
        self.profile(f)
    }
}

fn last_of_each(rows: &[Row]) -> impl Iterator<Item = &Row> {
    Job::ALL
        .into_iter()
        .filter_map(|job| rows.iter().rfind(|row| row.job == job))
}

/// The commands that took the server most, with a script's own beside those that it calls.
fn busiest(commands: &BTreeMap<String, (u64, u64)>, keys: u64) -> String {
    const SHOWN: usize = 6;
    let mut commands: Vec<_> = commands.iter().collect();
    commands.sort_by_key(|(name, (_, usec))| (std::cmp::Reverse(*usec), *name));
    let shown = commands
        .iter()
        .take(SHOWN)
        .map(|(name, (calls, usec))| format!("{name} {calls}: {:.2}", *usec as f64 / keys as f64));
    shown.collect::<Vec<_>>().join("; ")
}

fn thousands(rate: f64) -> String {
    format!("{:.0}", rate / 1e3)
}

fn probe(Latency { p50, p99, max }: Latency) -> String {
    format!("{p50} / {p99} / {max}")
}

fn none() -> String {
    "-".to_owned()
}
