//! Outpost itself: the built command, in a folder that declares the three Redis migrations.

use std::fs;
use std::path::Path;
use std::process::Command;

use outpost::sandbox::RedisServer;
use serde_json::Value;
use tempfile::TempDir;

use super::Outcome;
use super::figures::{Mark, rate_between};
use super::job::Job;
use super::measure::{self, Measured};

const PLAN: &str = "plan.bin";
const CONFIG: &str = "[schema]\nversion = \"all\"\n\n[redis]\nurl = \"${REDIS_URL}\"\n";
/// A version for each job; 0003 needs 0001 and not 0002, so each of them can be measured alone.
const VERSIONS: &str = r#"
[[version]]
name = "tags"
add  = ["redis/0001_hash_tags"]

[[version]]
name    = "times"
extends = "tags"
add     = ["redis/0002_timestamps"]

[[version]]
name    = "entity"
extends = "tags"
add     = ["redis/0003_entity"]

[[version]]
name    = "all"
extends = "times"
add     = ["redis/0003_entity"]
"#;

/// A temporary project.
pub struct Project {
    folder: TempDir,
}

/// A plan and its apply.
pub struct Applied {
    /// Seconds of `plan`.
    pub plan: f64,
    /// The apply.
    pub apply: Measured,
    /// Keys that the apply says it changed.
    pub changed: u64,
    /// Keys changed a second while the first pass ran; only where one migration ran.
    pub pass_rate: Option<f64>,
    /// When each pass of each migration ended, for the profile.
    pub timeline: String,
}

impl Project {
    /// The repository's own Redis migrations, without its SQL.
    pub fn create() -> Outcome<Self> {
        let folder = TempDir::with_prefix("outpost-bench-")?;
        let schema = folder.path().join("schema");
        fs::create_dir_all(schema.join("redis"))?;
        fs::write(folder.path().join("outpost.toml"), CONFIG)?;
        fs::write(schema.join("versions.toml"), VERSIONS)?;
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/redis");
        for entry in fs::read_dir(own)? {
            let entry = entry?;
            fs::copy(entry.path(), schema.join("redis").join(entry.file_name()))?;
        }
        Ok(Self { folder })
    }

    fn command(&self, server: &RedisServer, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outpost"));
        command
            .arg("migrate")
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("OUTPOST_CONFIG")
            .env("REDIS_URL", server.url());
        command
    }

    /// Plans what a job asks for, and applies the plan.
    pub fn apply(&self, server: &RedisServer, job: Job) -> Outcome<Applied> {
        let plan = ["plan", "--to", job.version(), "--out", PLAN];
        let plan = measure::run(server, self.command(server, &plan))?;
        let apply = ["apply", PLAN, "--yes", "--format", "json"];
        let apply = measure::run(server, self.command(server, &apply))?;
        let events = apply
            .lines
            .iter()
            .map(|(at, line)| Ok((*at, serde_json::from_str(line)?)))
            .collect::<Outcome<Vec<(f64, Value)>>>()?;
        let changed = events
            .iter()
            .filter(|(_, event)| event["event"] == "step_finished")
            .filter_map(|(_, event)| event["changed"].as_u64())
            .sum();
        Ok(Applied {
            plan: plan.seconds,
            changed,
            pass_rate: pass_rate(&events),
            timeline: timeline(&events),
            apply,
        })
    }

    /// Removes the legacy keys.
    pub fn clean_up(&self, server: &RedisServer) -> Outcome<Measured> {
        measure::run(server, self.command(server, &["cleanup", "--yes"]))
    }

    /// Verifies everything that is applied.
    pub fn verify(&self, server: &RedisServer) -> Outcome<Measured> {
        let verify = ["verify", "--format", "json"];
        let run = measure::run(server, self.command(server, &verify))?;
        let text: String = run.lines.iter().map(|(_, line)| line.as_str()).collect();
        let document: Value = serde_json::from_str(&text)?;
        match document["passed"] == true {
            true => Ok(run),
            false => Err(format!("verification failed: {document:#}").into()),
        }
    }
}

fn passes(events: &[(f64, Value)]) -> impl Iterator<Item = (f64, &str, u64, u64)> {
    events.iter().filter_map(|(at, event)| {
        let is_progress = event["event"] == "progress";
        is_progress.then_some(())?;
        let number = |name: &str| event[name].as_u64();
        Some((
            *at,
            event["id"].as_str()?,
            number("pass")?,
            number("changed")?,
        ))
    })
}

fn pass_rate(events: &[(f64, Value)]) -> Option<f64> {
    let (_, first, _, _) = passes(events).next()?;
    if passes(events).any(|(_, id, _, _)| id != first) {
        return None;
    }
    let marks: Vec<Mark> = passes(events)
        .filter(|(_, _, pass, _)| *pass == 1)
        .map(|(at, _, _, changed)| (at, changed))
        .collect();
    rate_between(&marks)
}

fn timeline(events: &[(f64, Value)]) -> String {
    let mut parts: Vec<(String, f64)> = Vec::new();
    let mut mark = |what: String, at: f64| match parts.iter_mut().find(|(known, _)| *known == what)
    {
        Some((_, last)) => *last = at,
        None => parts.push((what, at)),
    };
    for (at, event) in events {
        let id = event["id"].as_str().unwrap_or_default();
        let number = id.trim_start_matches("redis/").split('_').next();
        let number = number.unwrap_or_default();
        match event["event"].as_str() {
            Some("step_started") => mark(format!("{number} starts"), *at),
            Some("progress") => mark(format!("{number} pass {}", event["pass"]), *at),
            Some("step_finished") => mark(format!("{number} done"), *at),
            _ => {}
        }
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|(what, at)| format!("{what} {at:.2}"))
        .collect();
    parts.join(", ")
}
