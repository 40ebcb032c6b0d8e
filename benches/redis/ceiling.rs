//! What the server can do at all: redis-benchmark, with pipelines of 100, on keys like those of the data set.

use std::process::Command;

use super::Outcome;
use super::dataset::{KEYS_PER_TENANT, RECORDS_PER_TENANT};
use super::figures::ceiling;
use super::job::Job;
use super::server::{Snapshots, State};

const PROGRAMS: [&str; 2] = ["redis-benchmark", "valkey-benchmark"];
const BATCH: u64 = 1_000;

/// Operations a second, each alone.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    /// HMGET of two fields.
    pub hmget: f64,
    /// HSET of two fields.
    pub hset: f64,
    /// COPY of a hash of eight fields to a new key.
    pub copy: f64,
}

impl Ceilings {
    /// Measures on a server of its own with `keys` hashes.
    pub fn measure(snapshots: &Snapshots, keys: u64) -> Outcome<Self> {
        let server = snapshots.server(State::Ceiling)?;
        let mut connection = redis::Client::open(server.url())?.get_connection()?;
        for first in (0..keys).step_by(usize::try_from(BATCH)?) {
            let mut pipe = redis::pipe();
            for number in first..keys.min(first + BATCH) {
                pipe.hset_multiple(format!("ceiling:{number:012}"), &FIELDS)
                    .ignore();
            }
            pipe.query::<()>(&mut connection)?;
        }
        let rate = |command: &[&str]| rate(server.port(), keys, command);
        let key = "ceiling:__rand_int__";
        Ok(Self {
            hmget: rate(&["HMGET", key, "created_at", "updated_at"])?,
            hset: rate(&["HSET", key, "created_at", NUMBER, "updated_at", NUMBER])?,
            // Two random numbers, so that hardly any target is there already.
            copy: rate(&["COPY", key, "copied:__rand_int____rand_int__"])?,
        })
    }

    /// Keys a second for a job whose every key is read and written once, or copied once, or, together,
    /// copied once and then, where it is a record, read and written once.
    pub fn of(&self, job: Job) -> f64 {
        let records = RECORDS_PER_TENANT as f64 / KEYS_PER_TENANT as f64;
        match job {
            Job::Convert | Job::Set => ceiling(&[(1.0, self.hmget), (1.0, self.hset)]),
            Job::Copy => self.copy,
            Job::Together => ceiling(&[
                (1.0, self.copy),
                (records, self.hmget),
                (records, self.hset),
            ]),
        }
    }
}

const NUMBER: &str = "1714550400000";
const FIELDS: [(&str, &str); 8] = [
    ("id", "des_0123456789ab"),
    ("type", "webhook"),
    ("topics", "order.created,order.paid"),
    (
        "config",
        r#"{"url":"https://hooks.example.com/des_0123456789ab"}"#,
    ),
    (
        "credentials",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    ),
    ("delivery_metadata", "{}"),
    ("created_at", "2024-05-01T08:00:00.123456Z"),
    ("updated_at", "2024-05-01T08:00:00Z"),
];

fn rate(port: u16, keys: u64, command: &[&str]) -> Outcome<f64> {
    let (port, keys) = (port.to_string(), keys.to_string());
    let options = ["-p", &port, "-n", &keys, "-r", &keys, "-P", "100", "--csv"];
    let mut missing = String::new();
    for program in PROGRAMS {
        let output = match Command::new(program).args(options).args(command).output() {
            Ok(output) => output,
            Err(error) => {
                missing += &format!("{program}: {error}\n");
                continue;
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        // A heading, then the command, its rate and its latencies, each in quotes.
        let found = text.lines().last().and_then(|line| {
            let mut cells = line.trim_matches('"').split("\",\"").skip(1);
            cells.next()?.parse().ok()
        });
        return found.ok_or_else(|| format!("{program} gave no rate: {text}").into());
    }
    Err(missing.into())
}
