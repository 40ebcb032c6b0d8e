//! What is the same for every throwaway server: start, readiness, stop, kill, restart.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::SandboxError;
use super::home::Home;

/// Generous, because a loaded machine is slow and not broken.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A server that has not left by then is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(3);
const LAST_WORDS: usize = 20;

/// What differs between the server products.
pub trait Kind {
    /// The signal for a clean stop, after which a restart finds all data.
    const STOP: Signal;
    /// The signal for the fastest end that still gives up what is outside of the folder.
    const PARTING: Signal;

    fn program(&self) -> PathBuf;
    fn args(&self, home: &Home, port: u16) -> Vec<OsString>;
    fn is_ready(&self, home: &Home, port: u16, pid: u32) -> bool;
    fn url(&self, port: u16) -> String;
}

/// A running (or stopped) throwaway server. Dropping it ends the server and removes its folder.
#[derive(Debug)]
pub struct Server<K: Kind> {
    kind: K,
    // Before `home`: a server goes before its folder does.
    child: Option<Child>,
    home: Home,
    port: u16,
    url: String,
}

impl<K: Kind> Server<K> {
    pub(super) fn boot(kind: K, home: Home) -> Result<Self, SandboxError> {
        let mut server = Self {
            kind,
            child: None,
            home,
            port: 0,
            url: String::new(),
        };
        server.launch(|_| free_port())?;
        server.url = server.kind.url(server.port);
        Ok(server)
    }

    /// The address with user and password, as `DATABASE_URL` or `REDIS_URL` has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The TCP port on 127.0.0.1. A restart keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that holds the data and the log.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The process id, unless the server is stopped. For Postgres it is the postmaster's.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// All that the server has logged so far.
    pub fn log(&self) -> String {
        self.home.log_from(0)
    }

    /// Stops the server cleanly and waits for its end; its data stays until it is dropped. Does nothing
    /// when it is stopped already.
    ///
    /// # Errors
    /// [`SandboxError::Run`] when it cannot be waited for, [`SandboxError::Watchdog`] when its watchdog is gone.
    pub fn stop(&mut self) -> Result<(), SandboxError> {
        self.end(K::STOP)
    }

    /// Kills the server with SIGKILL and waits for its end, as a test of a crash needs it.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn kill(&mut self) -> Result<(), SandboxError> {
        self.end(Signal::SIGKILL)
    }

    /// Starts the server again (after a stop if it still runs) with the same data, port and URL, and
    /// waits until it answers.
    ///
    /// # Errors
    /// As for its first start.
    pub fn restart(&mut self) -> Result<(), SandboxError> {
        self.stop()?;
        self.launch(Ok)
    }

    /// Runs the program until it is ready. Between our choice of a port and the server's use of it the
    /// port can be lost to somebody else; then `port` is asked again, with the port that was tried.
    fn launch(
        &mut self,
        port: impl Fn(u16) -> Result<u16, SandboxError>,
    ) -> Result<(), SandboxError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            self.port = port(self.port)?;
            match self.launch_once(deadline) {
                Err(error) if error.is_collision() && Instant::now() < deadline => {
                    thread::sleep(POLL)
                }
                outcome => return outcome,
            }
        }
    }

    fn launch_once(&mut self, deadline: Instant) -> Result<(), SandboxError> {
        let program = self.kind.program();
        let args = self.kind.args(&self.home, self.port);
        let log_start = self.home.log_len();
        let child = self
            .child
            .insert(self.home.spawn(&program, &args, Some(K::PARTING))?);
        let pid = child.id();
        loop {
            if let Some(status) = exit_status(child, &program)? {
                self.child = None;
                self.home.forget_program()?;
                return Err(ended(program, status, &self.home, log_start));
            }
            if self.kind.is_ready(&self.home, self.port, pid) {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.end(Signal::SIGKILL)?;
                return Err(late(program, &self.home, log_start));
            }
            thread::sleep(POLL);
        }
    }

    fn end(&mut self, signal: Signal) -> Result<(), SandboxError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let program = self.kind.program();
        if exit_status(&mut child, &program)?.is_none() {
            // Not waited for, so the id is still this server's. The only failure would be that it is gone.
            let _ = signal::kill(Pid::from_raw(child.id().cast_signed()), signal);
            if wait(&mut child, &program, STOP_LIMIT)?.is_none() {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .map_err(|source| SandboxError::Run { program, source })?;
            }
        }
        self.home.forget_program()
    }
}

impl<K: Kind> Drop for Server<K> {
    fn drop(&mut self) {
        // Nobody is left to tell; the watchdog, which goes next, makes sure of it.
        let _ = self.end(K::PARTING);
    }
}

/// Runs a program of the server's to its end, e.g. to set up its data folder.
///
/// # Errors
/// [`SandboxError::Ended`] when it fails, [`SandboxError::Late`] when it does not end in time.
pub fn run_to_end(home: &mut Home, program: &Path, args: &[OsString]) -> Result<(), SandboxError> {
    let log_start = home.log_len();
    let mut child = home.spawn(program, args, None)?;
    let Some(status) = wait(&mut child, program, START_LIMIT)? else {
        // Dropping `home` ends it.
        return Err(late(program.to_owned(), home, log_start));
    };
    home.forget_program()?;
    match status.success() {
        true => Ok(()),
        false => Err(ended(program.to_owned(), status, home, log_start)),
    }
}

fn wait(
    child: &mut Child,
    program: &Path,
    limit: Duration,
) -> Result<Option<ExitStatus>, SandboxError> {
    let deadline = Instant::now() + limit;
    loop {
        match exit_status(child, program)? {
            None if Instant::now() < deadline => thread::sleep(POLL),
            status => return Ok(status),
        }
    }
}

fn exit_status(child: &mut Child, program: &Path) -> Result<Option<ExitStatus>, SandboxError> {
    child.try_wait().map_err(|source| SandboxError::Run {
        program: program.to_owned(),
        source,
    })
}

fn ended(program: PathBuf, status: ExitStatus, home: &Home, log_start: u64) -> SandboxError {
    SandboxError::Ended {
        program,
        status,
        log: last_words(&home.log_from(log_start)),
    }
}

fn late(program: PathBuf, home: &Home, log_start: u64) -> SandboxError {
    SandboxError::Late {
        program,
        waited: START_LIMIT,
        log: last_words(&home.log_from(log_start)),
    }
}

fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
}

fn free_port() -> Result<u16, SandboxError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(SandboxError::Port)
}

/// A password that nobody guesses, of characters that need no quoting anywhere.
pub fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
