//! The temporary folder of one server, and the watchdog that removes it.
//!
//! The watchdog is a shell that reads a pipe from us. When we close the pipe, or die in any way, it ends
//! the server and removes the folder. There is no moment at which a crash of ours leaves something:
//!
//! - the watchdog runs before the folder is made, and knows its name;
//! - a program is put into the watchdog's process group before it runs, so the watchdog reaches it even
//!   when we die before we have told its process id. Our end of the pipe is close-on-exec: a forked
//!   child that has not yet changed its group still holds it open;
//! - the group is not the terminal's foreground group, so Ctrl-C reaches us and not the server.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, chown, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::Signal;

use super::SandboxError;
use super::account::{self, Account};

const WATCHDOG: &str = include_str!("watchdog.sh");
const SHELL: &str = "/bin/sh";
const LOG: &str = "log";

/// A server's folder (0700, owned by the server's account) with its watchdog.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    account: Option<Account>,
    watchdog: Child,
    line: Option<ChildStdin>,
    log: Option<File>,
}

impl Home {
    /// Makes the folder, and starts its watchdog.
    pub fn create() -> Result<Self, SandboxError> {
        let account = account::for_servers()?;
        let name = format!("outpost-{:016x}", rand::random::<u64>());
        let path = account::temporary_folder(account).join(name);
        let mut watchdog = bare_command(Path::new(SHELL), account)
            .args(["-c", WATCHDOG, "outpost-watchdog"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| SandboxError::Run {
                program: SHELL.into(),
                source,
            })?;
        let line = watchdog.stdin.take();
        let mut home = Self {
            path,
            account,
            watchdog,
            line,
            log: None,
        };

        DirBuilder::new()
            .mode(0o700)
            .create(&home.path)
            .and_then(|()| {
                home.account
                    .map_or(Ok(()), |a| chown(&home.path, Some(a.uid), Some(a.gid)))
            })
            .map_err(|source| SandboxError::Folder {
                path: home.path.clone(),
                source,
            })?;
        home.log = Some(home.create_file(LOG, "")?);
        Ok(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file that only the server's account can read.
    pub fn create_file(&self, name: &str, contents: &str) -> Result<File, SandboxError> {
        let path = self.path.join(name);
        OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                if let Some(account) = self.account {
                    fchown(&file, Some(account.uid), Some(account.gid))?;
                }
                file.write_all(contents.as_bytes())?;
                Ok(file)
            })
            .map_err(|source| SandboxError::Folder { path, source })
    }

    /// Starts a program in the folder, under the watchdog, with its output in the log.
    ///
    /// `parting` is the signal that it gets if we die. Without one it is waited for: what runs briefly is
    /// better not interrupted.
    pub fn spawn(
        &mut self,
        program: &Path,
        args: &[OsString],
        parting: Option<Signal>,
    ) -> Result<Child, SandboxError> {
        let failed = |source| SandboxError::Run {
            program: program.to_owned(),
            source,
        };
        let mut command = bare_command(program, self.account);
        command
            .args(args)
            .current_dir(&self.path)
            .process_group(self.watchdog.id().cast_signed())
            .stdin(Stdio::null());
        if let Some(log) = &self.log {
            command
                .stdout(log.try_clone().map_err(failed)?)
                .stderr(log.try_clone().map_err(failed)?);
        }
        let mut child = command.spawn().map_err(failed)?;
        let signal = parting.map_or("0", |signal| signal.as_str().trim_start_matches("SIG"));
        if let Err(gone) = self.tell(&format!("{} {signal}", child.id())) {
            // Best effort: the error to report is the watchdog's.
            let _ = child.kill();
            let _ = child.wait();
            return Err(gone);
        }
        Ok(child)
    }

    /// Tells the watchdog that the program has been waited for: its id may become somebody else's.
    pub fn forget_program(&mut self) -> Result<(), SandboxError> {
        self.tell("")
    }

    fn tell(&mut self, text: &str) -> Result<(), SandboxError> {
        match &mut self.line {
            Some(line) => writeln!(line, "{text}").map_err(SandboxError::Watchdog),
            None => Err(SandboxError::Watchdog(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// How long the log is, in bytes.
    pub fn log_len(&self) -> u64 {
        self.log
            .as_ref()
            .and_then(|log| log.metadata().ok())
            .map_or(0, |m| m.len())
    }

    /// The log from a position on. It is read through our own handle: the path is the server's to change.
    pub fn log_from(&self, position: u64) -> String {
        let length = usize::try_from(self.log_len().saturating_sub(position)).unwrap_or(0);
        let mut bytes = vec![0; length];
        match self
            .log
            .as_ref()
            .map(|log| log.read_exact_at(&mut bytes, position))
        {
            Some(Ok(())) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.line.take());
        // Its exit code says nothing: it ends by killing its own group.
        let _ = self.watchdog.wait();
        // Only if somebody had killed the watchdog is there anything left to remove.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A command that sees nothing of our environment, which may hold the addresses of real databases.
fn bare_command(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C");
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}
