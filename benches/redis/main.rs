//! The Redis engine against the pattern of the existing migrator and against the server's own limits.
//!
//! `cargo bench --bench redis -- --help` shows the options; docs/benchmarks.md says what is measured, and why
//! it is fair.

mod ceiling;
mod dataset;
mod figures;
mod job;
mod measure;
mod probe;
mod project;
mod reference;
mod report;
mod server;
mod targets;

use std::env;
use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use outpost::sandbox::RedisServer;

use ceiling::Ceilings;
use figures::Latency;
use job::Job;
use probe::Probe;
use project::Project;
use report::{Report, Row, Scaled, Verified};
use server::{Snapshots, State};

/// A result whose error ends the benchmark.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const IDLE: Duration = Duration::from_secs(2);

/// Measures Redis migrations on throwaway servers, and prints the figures in Markdown
#[derive(Debug, Parser)]
struct Options {
    /// Tenants of the data set; each has 5 keys
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    tenants: u64,

    /// What the data set's random values begin with
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Runs of everything; the figures are medians, memory and the longest answer the worst of them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,

    /// Only these, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,

    /// Also apply all three migrations to so many times the keys, for the memory that it takes
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u64).range(2..))]
    scale: Option<u64>,

    /// What cargo bench says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    child: Option<Child>,
}

/// What this program runs in a process of its own.
#[derive(Debug, Subcommand)]
enum Child {
    /// The reference
    #[command(hide = true)]
    Reference { url: String, job: Job },
}

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Convert,
    Set,
    Copy,
    Together,
    Verify,
    Ceiling,
    Reference,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn jobs(&self) -> Vec<Job> {
        let part = |job: Job| match job {
            Job::Convert => Part::Convert,
            Job::Set => Part::Set,
            Job::Copy => Part::Copy,
            Job::Together => Part::Together,
        };
        let all = Job::ALL.into_iter();
        all.filter(|job| self.wants(part(*job))).collect()
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    match &options.child {
        Some(Child::Reference { url, job }) => {
            println!("{}", reference::run(url, *job)?);
            Ok(())
        }
        // `cargo test --benches` runs benchmarks to see that they build.
        None if !options.bench => {
            println!("Nothing measured. Run: cargo bench --bench redis");
            Ok(())
        }
        None => {
            print!("{}", measure(&options)?);
            Ok(())
        }
    }
}

fn measure(options: &Options) -> Outcome<Report> {
    let bench = Bench {
        snapshots: Snapshots::create()?,
        project: Project::create()?,
        tenants: options.tenants,
    };
    say("loading the data set");
    bench.prepare(options.tenants, options.seed)?;

    let server = bench.snapshots.server(State::Legacy)?;
    let mut report = Report::new(&server, options.tenants, options.seed, options.runs)?;
    report.idle = idle(&server)?;
    drop(server);

    if options.wants(Part::Ceiling) {
        say("redis-benchmark");
        let keys = Job::Copy.keys(options.tenants);
        report.ceilings = Some(Ceilings::measure(&bench.snapshots, keys)?);
    }
    for run in 1..=options.runs {
        for job in options.jobs() {
            if options.wants(Part::Reference) {
                say(&format!("run {run}: {}, reference", job.name()));
                report.reference.push(bench.reference(job)?);
            }
            say(&format!("run {run}: {}, outpost", job.name()));
            report.outpost.push(bench.outpost(job)?);
        }
        if options.wants(Part::Verify) {
            say(&format!("run {run}: verify"));
            report.verified.extend(bench.verify()?);
        }
    }
    if let Some(times) = options.scale {
        say(&format!("together, {times} times the keys"));
        let tenants = options.tenants * times;
        bench.prepare(tenants, options.seed)?;
        let larger = Bench { tenants, ..bench };
        let row = larger.outpost(Job::Together)?;
        report.scaled = Some(Scaled { times, row });
    }
    Ok(report)
}

/// Progress goes to stderr: stdout is the report alone.
fn say(what: &str) {
    eprintln!("{what} …");
}

fn idle(server: &RedisServer) -> Outcome<Latency> {
    let probe = Probe::start(server.url())?;
    thread::sleep(IDLE);
    probe.finish()
}

struct Bench {
    snapshots: Snapshots,
    project: Project,
    tenants: u64,
}

impl Bench {
    /// Makes the dumps that every measurement begins with.
    fn prepare(&self, tenants: u64, seed: u64) -> Outcome<()> {
        self.snapshots.remove()?;
        let server = self.snapshots.server(State::Legacy)?;
        dataset::load(server.url(), tenants, seed)?;
        server::save(&server)?;
        drop(server);

        self.snapshots.copy(State::Legacy, State::Tagged)?;
        let server = self.snapshots.server(State::Tagged)?;
        self.project.apply(&server, Job::Copy)?;
        self.project.clean_up(&server)?;
        server::save(&server)
    }

    fn reference(&self, job: Job) -> Outcome<Row> {
        let server = self.snapshots.server(job.before())?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["reference", server.url(), job.name()]);
        let run = measure::run(&server, command)?;
        let changed = run.lines.iter().find_map(|(_, line)| line.parse().ok());
        self.row(job, run, changed.unwrap_or_default())
    }

    fn outpost(&self, job: Job) -> Outcome<Row> {
        let server = self.snapshots.server(job.before())?;
        let applied = self.project.apply(&server, job)?;
        let row = self.row(job, applied.apply, applied.changed)?;
        Ok(Row {
            plan: applied.plan,
            pass_rate: applied.pass_rate,
            timeline: applied.timeline,
            ..row
        })
    }

    /// A figure counts only where the work was done in full.
    fn row(&self, job: Job, run: measure::Measured, changed: u64) -> Outcome<Row> {
        let expected = job.changes(self.tenants);
        if changed != expected {
            let name = job.name();
            return Err(format!("{name}: {changed} keys changed instead of {expected}").into());
        }
        Ok(Row::new(job, job.keys(self.tenants), run))
    }

    /// Verifies copies beside their sources; then the fields that 0002 and 0003 are about, each of which reads
    /// every record.
    fn verify(&self) -> Outcome<Vec<Verified>> {
        let fields = Job::Convert.keys(self.tenants) + Job::Set.keys(self.tenants);
        let cases = [
            (
                "copies",
                Job::Copy,
                State::Legacy,
                Job::Copy.keys(self.tenants),
            ),
            ("fields", Job::Together, State::Tagged, fields),
        ];
        cases
            .into_iter()
            .map(|(what, job, state, keys)| {
                let server = self.snapshots.server(state)?;
                self.project.apply(&server, job)?;
                let run = self.project.verify(&server)?;
                Ok(Verified { what, keys, run })
            })
            .collect()
    }
}
