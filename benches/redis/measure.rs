//! One run of a command against a server: how long, how much memory and CPU, and what others felt of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use outpost::sandbox::RedisServer;

use super::Outcome;
use super::figures::Latency;
use super::probe::Probe;
use super::server::Spent;

const POLL: Duration = Duration::from_millis(5);
/// Ticks a second in /proc/PID/stat: 100 on every Linux that reports to user space.
const TICKS: f64 = 100.0;

/// What a run took.
#[derive(Debug, Clone)]
pub struct Measured {
    /// From start to end of the process, seconds.
    pub seconds: f64,
    /// The process's peak resident memory, MB of 1,000,000 bytes.
    pub peak_mb: f64,
    /// CPU time of the process, seconds.
    pub cpu: f64,
    /// What the server spent meanwhile.
    pub server: Spent,
    /// What another client felt.
    pub probe: Latency,
    /// Its lines of output, with the seconds after the start.
    pub lines: Vec<(f64, String)>,
}

/// Runs a command to its end, with a probe beside it.
///
/// # Errors
/// Also when it fails, with what it wrote to stderr.
pub fn run(server: &RedisServer, mut command: Command) -> Outcome<Measured> {
    let mut complaints = tempfile::tempfile()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints.try_clone()?);
    let before = Spent::of(server)?;
    let probe = Probe::start(server.url())?;

    let start = Instant::now();
    let mut child = command.spawn()?;
    let pid = child.id();
    let ended = AtomicBool::new(false);
    let (lines, peak_mb) = thread::scope(|scope| {
        let peak = scope.spawn(|| watch_peak(pid, &ended));
        let mut lines = Vec::new();
        if let Some(out) = child.stdout.take() {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                lines.push((start.elapsed().as_secs_f64(), line));
            }
        }
        // Not reaped yet: the CPU time of a process can be read until then.
        let waited = waitid(
            Id::Pid(Pid::from_raw(pid.cast_signed())),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
        );
        ended.store(true, Ordering::Relaxed);
        waited?;
        let peak = peak.join().map_err(|_| "watching memory panicked")?;
        Outcome::Ok((lines, peak))
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds(pid)?;
    let status = child.wait()?;
    let probe = probe.finish()?;
    let server = Spent::of(server)?.since(&before);
    if !status.success() {
        return Err(format!("{command:?}: {status}\n{}", contents(&mut complaints)?).into());
    }
    Ok(Measured {
        seconds,
        peak_mb,
        cpu,
        server,
        probe,
        lines,
    })
}

/// The highest VmHWM that was seen. It only grows, so at most the last few milliseconds are missed.
fn watch_peak(pid: u32, ended: &AtomicBool) -> f64 {
    let mut peak_kb = 0_u64;
    while !ended.load(Ordering::Relaxed) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kb = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        peak_kb = peak_kb.max(kb.unwrap_or_default());
        thread::sleep(POLL);
    }
    peak_kb as f64 * 1024.0 / 1e6
}

/// User and system time of a process, as fields 14 and 15 of its stat line have it.
fn cpu_seconds(pid: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields are counted after the program's name, which is in parentheses and may hold anything.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(ticks as f64 / TICKS)
}

fn contents(file: &mut File) -> Outcome<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
