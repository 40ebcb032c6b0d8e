//! Another client of the same server: a GET of one key each millisecond, on a connection and a thread of
//! its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Outcome;
use super::dataset::PROBE_KEY;
use super::figures::Latency;

const EVERY: Duration = Duration::from_millis(1);

/// A probe that runs until it is asked for what it saw.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Outcome<Vec<u32>>>,
}

impl Probe {
    /// Connects, and begins to ask.
    pub fn start(url: &str) -> Outcome<Self> {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let get = redis::Cmd::get(PROBE_KEY);
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let sent = Instant::now();
                get.query::<Option<String>>(&mut connection)?;
                let took = sent.elapsed();
                samples.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                // An answer that took longer is followed by the next question at once.
                thread::sleep(EVERY.saturating_sub(took));
            }
            Ok(samples)
        });
        Ok(Self { stop, thread })
    }

    /// Stops it, and sums up.
    pub fn finish(self) -> Outcome<Latency> {
        self.stop.store(true, Ordering::Relaxed);
        let samples = self.thread.join().map_err(|_| "the probe panicked")??;
        Ok(Latency::of(samples))
    }
}
