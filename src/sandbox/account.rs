//! The account that throwaway servers run as. Postgres refuses to run as root, and Redis should not.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

use super::SandboxError;

/// An existing account without privileges.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// The account to change to: none unless we are root.
pub fn for_servers() -> Result<Option<Account>, SandboxError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| {
            Some(Account {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            })
        })
        .ok_or(SandboxError::NoAccount)
}

/// The folder for temporary folders: the system's, unless the account could not work there (root's
/// `TMPDIR` may well be private to root).
pub fn temporary_folder(account: Option<Account>) -> PathBuf {
    let usual = env::temp_dir();
    if account.is_some() && !is_open_to_all(&usual) {
        return PathBuf::from("/tmp");
    }
    usual
}

fn is_open_to_all(folder: &Path) -> bool {
    const SEARCH: u32 = 0o001;
    const WRITE: u32 = 0o002;
    let allows = |path: &Path, bits: u32| {
        path.metadata()
            .is_ok_and(|m| m.is_dir() && m.permissions().mode() & bits == bits)
    };
    folder.is_absolute() && allows(folder, WRITE) && folder.ancestors().all(|p| allows(p, SEARCH))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_folder_is_open_only_when_every_folder_above_it_is() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for (outer_mode, inner_mode, open) in [
            (0o755, 0o777, true),
            (0o700, 0o777, false),
            (0o755, 0o755, false),
            (0o711, 0o1777, true),
        ] {
            fs::set_permissions(&inner, Permissions::from_mode(inner_mode)).unwrap();
            fs::set_permissions(outer.path(), Permissions::from_mode(outer_mode)).unwrap();
            assert_eq!(
                is_open_to_all(&inner),
                open,
                "{outer_mode:o} {inner_mode:o}"
            );
        }
    }
}
