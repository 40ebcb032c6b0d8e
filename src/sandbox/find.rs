//! Where servers are installed: on PATH, else where the packages of each system put them.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Product, SandboxError};

/// Folders with Postgres programs. A `*` stands for the rest of one folder's name; of several such
/// folders the newest version comes first.
const POSTGRES_FOLDERS: [&str; 12] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/usr/sbin",
];

/// Folders with Redis or Valkey programs.
const REDIS_FOLDERS: [&str; 9] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/redis*/bin",
    "/opt/homebrew/opt/valkey*/bin",
    "/usr/local/opt/redis*/bin",
    "/usr/local/opt/valkey*/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

/// The folder that holds both `initdb` and `postgres`; one with this major version before any other.
pub fn postgres_folder(preferred: Option<u32>) -> Result<PathBuf, SandboxError> {
    let mut folders = candidates(&POSTGRES_FOLDERS).into_iter().filter(|folder| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| is_program(&folder.join(name)))
    });
    let first = folders.next();
    let is_preferred = |folder: &PathBuf| preferred.is_some() && major(folder) == preferred;
    first
        .iter()
        .cloned()
        .chain(folders)
        .find(is_preferred)
        .or(first)
        .ok_or_else(|| SandboxError::Missing {
            products: vec![Product::Postgres],
        })
}

/// The major version of the `postgres` in a folder, such as 15 of `postgres (PostgreSQL) 15.8`.
fn major(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, version) = text.split_once(") ")?;
    version.split(['.', ' ', '\n']).next()?.parse().ok()
}

/// `redis-server`, else `valkey-server`.
pub fn redis_program() -> Result<PathBuf, SandboxError> {
    let folders = candidates(&REDIS_FOLDERS);
    ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| is_program(program))
        .ok_or_else(|| SandboxError::Missing {
            products: vec![Product::Redis],
        })
}

fn candidates(usual: &[&str]) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .chain(usual.iter().flat_map(|pattern| expand(pattern)))
        .collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The existing folders that a pattern with at most one `*` means, newest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(format!("{parent}/")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse((version(name), name.clone())));
    names
        .iter()
        .map(|name| PathBuf::from(format!("{parent}/{name}{after}")))
        .collect()
}

/// The numbers in a folder's name, so that 17 is newer than 9.6.
fn version(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["pg-9.6", "pg-17", "pg-10", "pg-17.1", "other-18", "pg-"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = expand(&format!("{}/pg-*/bin", root.path().display()));
        let expected =
            ["pg-17.1", "pg-17", "pg-10", "pg-9.6", "pg-"].map(|n| root.path().join(n).join("bin"));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pattern_without_any_folder_means_nothing() {
        assert_eq!(expand("/does/not/exist-*/bin"), Vec::<PathBuf>::new());
        assert_eq!(expand("/usr/bin"), [PathBuf::from("/usr/bin")]);
    }

    #[test]
    fn a_folder_or_a_plain_file_is_not_a_program() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("redis-server");
        fs::write(&file, "").unwrap();
        assert!(!is_program(&file));
        assert!(!is_program(root.path()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_program(&file));
    }
}
