//! A terminal to run the command at.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{OpenptyResult, Winsize, openpty};

/// The side of whoever sits at it, and the one for the command.
///
/// No program that another test starts meanwhile gets them: while a server held the command's side, reading would find
/// no end.
pub fn terminal(size: Option<&Winsize>) -> (File, OwnedFd) {
    let OpenptyResult { master, slave } = openpty(size, None).expect("a terminal");
    for side in [&master, &slave] {
        fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("a flag of a descriptor");
    }
    (File::from(master), slave)
}
