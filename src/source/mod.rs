//! Reads `outpost.toml` and the schema folder from disk.

mod error;
mod migrations;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub use error::SourceError;
use migrations::{redis_migrations, refuse_duplicate_numbers, sql_migrations};

use crate::model::catalog::Catalog;
use crate::model::config::{Config, PlanConfig, SchemaConfig, SigningConfig};
use crate::model::lint::LintConfig;
use crate::model::lock::Lock;
use crate::model::versions::Versions;

/// Name of the lock file in the schema folder.
pub const LOCK_FILE: &str = "outpost.lock";

/// Name of the versions file in the schema folder.
pub const VERSIONS_FILE: &str = "versions.toml";

/// The folder that relative paths of a configuration file are relative to.
pub fn folder_of(config: &Path) -> PathBuf {
    match config.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads and validates a configuration file; `${NAME}` reads the environment.
///
/// # Errors
/// A file that is not there or cannot be read; what [`Config::parse`] refuses.
pub fn config(path: &Path) -> Result<Config, SourceError> {
    let text = config_text(path)?;
    Ok(Config::parse(
        &path.display().to_string(),
        &text,
        &environment,
    )?)
}

/// Reads the `[schema]` section alone, for commands that connect to nothing.
///
/// # Errors
/// As [`config`].
pub fn schema_config(path: &Path) -> Result<SchemaConfig, SourceError> {
    let text = config_text(path)?;
    Ok(SchemaConfig::parse(
        &path.display().to_string(),
        &text,
        &environment,
    )?)
}

/// Reads the `[lint]` section alone, for a command that connects to nothing.
///
/// # Errors
/// As [`config`].
pub fn lint_config(path: &Path) -> Result<LintConfig, SourceError> {
    let text = config_text(path)?;
    Ok(LintConfig::parse(
        &path.display().to_string(),
        &text,
        &environment,
    )?)
}

/// Reads the `[signing]` section alone, for a command that connects to nothing.
///
/// # Errors
/// As [`config`].
pub fn signing_config(path: &Path) -> Result<SigningConfig, SourceError> {
    let text = config_text(path)?;
    Ok(SigningConfig::parse(
        &path.display().to_string(),
        &text,
        &environment,
    )?)
}

/// Reads what migrations are read with, for commands that connect to nothing.
///
/// # Errors
/// As [`config`].
pub fn offline_plan_config(path: &Path) -> Result<PlanConfig, SourceError> {
    let text = config_text(path)?;
    Ok(PlanConfig::parse_offline(
        &path.display().to_string(),
        &text,
        &environment,
    )?)
}

fn config_text(path: &Path) -> Result<String, SourceError> {
    match read_text(path) {
        Err(SourceError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(SourceError::NoConfig(path.to_owned()))
        }
        other => other,
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads every migration below the schema folder, `versions.toml` and the lock file.
///
/// # Errors
/// The first file, in the order of their names, that cannot be used.
pub fn catalog(folder: &Path, config: &PlanConfig) -> Result<Catalog, SourceError> {
    let catalog = catalog_without_lock(folder, config)?;
    Ok(catalog.with_lock(lock(folder)?))
}

/// The lock file of a schema folder, if there is one.
///
/// # Errors
/// A lock file that cannot be read.
pub fn lock(folder: &Path) -> Result<Option<Lock>, SourceError> {
    match optional_text(&folder.join(LOCK_FILE))? {
        Some(text) => Ok(Some(Lock::parse(&shown(folder, LOCK_FILE), &text)?)),
        None => Ok(None),
    }
}

/// Writes a lock file; it appears whole or not at all.
///
/// # Errors
/// What the operating system or the encoder says.
pub fn write_lock(path: &Path, lock: &Lock) -> std::io::Result<()> {
    let text = lock.to_text().map_err(std::io::Error::other)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o644))
        .prefix(".outpost-lock-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// The next free number in one store's folder, as wide as the widest there, and at least four digits.
///
/// # Errors
/// A folder that cannot be read.
pub fn next_number(folder: &Path) -> Result<String, SourceError> {
    let mut highest = 0;
    let mut width = 4;
    for name in names_in(folder, "")? {
        let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(number) = digits.parse::<u64>() {
            highest = highest.max(number);
            width = width.max(digits.len());
        }
    }
    Ok(format!("{:0width$}", highest + 1))
}

/// Reads every migration below the schema folder and `versions.toml`, whatever the lock file says.
///
/// # Errors
/// As [`catalog`].
pub fn catalog_without_lock(folder: &Path, config: &PlanConfig) -> Result<Catalog, SourceError> {
    if !folder.is_dir() {
        return Err(SourceError::NoSchema(folder.to_owned()));
    }
    let mut migrations = BTreeMap::new();
    for migration in sql_migrations(folder, config)? {
        migrations.insert(migration.id.clone(), migration);
    }
    for migration in redis_migrations(folder, config)? {
        migrations.insert(migration.id.clone(), migration);
    }
    refuse_duplicate_numbers(migrations.keys())?;
    let versions = match optional_text(&folder.join(VERSIONS_FILE))? {
        Some(text) => Versions::parse(&shown(folder, VERSIONS_FILE), &text)?,
        None => Versions::single_latest(),
    };
    Ok(Catalog::new(migrations, versions, None))
}

/// A path for messages: as the user would name it from where outpost runs.
fn shown(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// The names in a folder that end in `ending`, sorted; none for a folder that is not there. Hidden files
/// are what editors leave.
fn names_in(folder: &Path, ending: &str) -> Result<BTreeSet<String>, SourceError> {
    let io = |source| SourceError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(io(e)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(io)?.file_name();
        let Some(name) = name.to_str() else {
            let path = folder.join(&name).display().to_string();
            return Err(SourceError::FileName {
                path,
                expected: " in UTF-8",
            });
        };
        if name.ends_with(ending) && !name.starts_with('.') {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

fn optional_text(path: &Path) -> Result<Option<String>, SourceError> {
    match read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(SourceError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read_text(path: &Path) -> Result<String, SourceError> {
    let bytes = std::fs::read(path).map_err(|source| SourceError::Io {
        path: path.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|e| SourceError::NotText {
        path: path.to_owned(),
        at: e.utf8_error().valid_up_to(),
    })
}
