use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::context::block_on;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Run a command against a throwaway Postgres and Redis
///
/// Starts both servers on free ports in a temporary folder, sets DATABASE_URL and REDIS_URL, runs the
/// command, and leaves nothing behind. Without a command it prints the two addresses, which hold the
/// servers' random passwords, and waits for Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Sandbox {
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Sandbox {
    pub(super) fn run(self) -> Result<Exit, CliError> {
        block_on(async {
            // Handlers come before the servers: a signal during their start must find somebody to clean up.
            let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signals)?;
            let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signals)?;
            // Blocks, and nothing else is to do meanwhile: a signal is noticed afterwards.
            let sandbox = crate::sandbox::Sandbox::start()?;
            let Some((program, arguments)) = self.command.split_first() else {
                for (name, value) in sandbox.env() {
                    writeln(&format!("{name}={value}"))?;
                }
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                return Ok(Exit::Done);
            };
            let shown = || program.to_string_lossy().into_owned();
            let mut child = tokio::process::Command::new(program)
                .args(arguments)
                .envs(sandbox.env())
                .spawn()
                .map_err(|source| CliError::Command {
                    command: shown(),
                    source,
                })?;
            let pid = child.id();
            // A terminal sends Ctrl-C to the command itself; passing it on would make two of one.
            let terminal = std::io::stdin().is_terminal();
            loop {
                tokio::select! {
                    status = child.wait() => {
                        let status = status.map_err(|source| CliError::Command { command: shown(), source })?;
                        return Ok(exit_of(status));
                    }
                    _ = interrupt.recv() => if !terminal { pass_on(pid, Signal::SIGINT) },
                    _ = terminate.recv() => pass_on(pid, Signal::SIGTERM),
                }
            }
        })
    }
}

fn writeln(line: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(CliError::from_write)
}

/// A command that has ended meanwhile needs no signal.
fn pass_on(pid: Option<u32>, signal: Signal) {
    if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    Exit::Command(u8::try_from(code).unwrap_or(1))
}
