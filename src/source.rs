//! Reads `outpost.toml` and the schema folder from disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::model::catalog::Catalog;
use crate::model::config::{Config, ConfigError, PlanConfig, SchemaConfig, SigningConfig};
use crate::model::id::{IdError, MigrationId, StoreKind};
use crate::model::lint::LintConfig;
use crate::model::lock::{Lock, LockError};
use crate::model::migration::{Content, Migration, RedisMigration, SqlFile, SqlMigration};
use crate::model::redis::declaration::DeclarationError;
use crate::model::sql::ScriptError;
use crate::model::versions::{Versions, VersionsError};

/// Name of the lock file in the schema folder.
pub const LOCK_FILE: &str = "outpost.lock";

/// Name of the versions file in the schema folder.
pub const VERSIONS_FILE: &str = "versions.toml";

/// Why a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no configuration file.
    #[error("there is no {}", .0.display())]
    NoConfig(PathBuf),
    /// There is no schema folder.
    #[error("there is no schema folder {}", .0.display())]
    NoSchema(PathBuf),
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// A file is no UTF-8 text.
    #[error("{} is not UTF-8 text: byte {at} cannot be read", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Offset of the first bad byte.
        at: usize,
    },
    /// A file name says nothing.
    #[error("{path}: a file here is named NNNN_name{expected}")]
    FileName {
        /// The file, below the schema folder.
        path: String,
        /// The endings that are known.
        expected: &'static str,
    },
    /// A file's name is no id.
    #[error("{path}: {source}")]
    Id {
        /// The file, below the schema folder.
        path: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// Two migrations of a store have one number.
    #[error("{first} and {second} have the same number")]
    DuplicateNumber {
        /// One of them.
        first: MigrationId,
        /// The other.
        second: MigrationId,
    },
    /// A down, verify or cleanup without its up.
    #[error("{path} has no {id}.up.sql beside it")]
    WithoutUp {
        /// The file, below the schema folder.
        path: String,
        /// The migration that is missing.
        id: String,
    },
    /// A `requires` that is no id.
    #[error("{path}:{line}: requires: {source}")]
    Requires {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// What is wrong with it.
        source: IdError,
    },
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `versions.toml` is not valid.
    #[error(transparent)]
    Versions(#[from] VersionsError),
    /// `outpost.lock` is not valid.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// An SQL file cannot be used.
    #[error(transparent)]
    Sql(#[from] ScriptError),
    /// A Redis file cannot be used.
    #[error(transparent)]
    Redis(#[from] DeclarationError),
}

impl SourceError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoConfig(_) => Some("run outpost in the folder that holds it, or name it with --config FILE; docs/configuration.md shows one".to_owned()),
            Self::NoSchema(_) => Some("set [schema] path, or begin one with: outpost migrate new sql NAME".to_owned()),
            Self::Io { .. } => None,
            Self::NotText { .. } => Some("save it as UTF-8".to_owned()),
            Self::FileName { .. } => Some("rename it, or move it out of the schema folder".to_owned()),
            Self::Id { source, .. } | Self::Requires { source, .. } => source.hint(),
            Self::DuplicateNumber { second, .. } => Some(format!("give {second} the next free number")),
            Self::WithoutUp { .. } => Some("write it, or remove this file".to_owned()),
            Self::Config(e) => e.hint(),
            Self::Versions(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Sql(e) => e.hint(),
            Self::Redis(e) => e.hint(),
        }
    }
}

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

/// The files of one SQL migration, by what they are for.
#[derive(Default)]
struct SqlFiles {
    up: Option<SqlFile>,
    down: Option<SqlFile>,
    verify: Option<SqlFile>,
    cleanup: Option<SqlFile>,
}

fn sql_migrations(folder: &Path, config: &PlanConfig) -> Result<Vec<Migration>, SourceError> {
    const ENDINGS: &str = ".up.sql, .down.sql, .verify.sql or .cleanup.sql";
    let mut files: BTreeMap<MigrationId, SqlFiles> = BTreeMap::new();
    for name in names_in(&folder.join("sql"), ".sql")? {
        let path = format!("sql/{name}");
        let stem = name.strip_suffix(".sql").unwrap_or(&name);
        let Some((base, purpose)) = stem.rsplit_once('.') else {
            return Err(SourceError::FileName {
                path,
                expected: ENDINGS,
            });
        };
        if !["up", "down", "verify", "cleanup"].contains(&purpose) {
            return Err(SourceError::FileName {
                path,
                expected: ENDINGS,
            });
        }
        let id = MigrationId::new(StoreKind::Sql, base).map_err(|source| SourceError::Id {
            path: path.clone(),
            source,
        })?;
        let text = read_text(&folder.join(&path))?;
        let file = SqlFile::parse(&path, &text, &config.vars)?;
        let entry = files.entry(id).or_default();
        match purpose {
            "up" => entry.up = Some(file),
            "down" => entry.down = Some(file),
            "verify" => entry.verify = Some(file),
            _ => entry.cleanup = Some(file),
        }
    }
    let mut previous: Option<MigrationId> = None;
    let mut migrations = Vec::new();
    for (
        id,
        SqlFiles {
            up,
            down,
            verify,
            cleanup,
        },
    ) in files
    {
        let Some(up) = up else {
            let orphan = [down, verify, cleanup].into_iter().flatten().next();
            return Err(SourceError::WithoutUp {
                path: orphan.map_or_else(|| id.to_string(), |file| file.path),
                id: id.name().to_owned(),
            });
        };
        let directives = &up.script.directives;
        let mut requires: BTreeSet<MigrationId> = previous
            .replace(id.clone())
            .filter(|_| !directives.root)
            .into_iter()
            .collect();
        for text in &directives.requires {
            requires.insert(text.parse().map_err(|source| SourceError::Requires {
                path: up.path.clone(),
                line: directives.lines.get("requires").copied().unwrap_or(1),
                source,
            })?);
        }
        migrations.push(Migration {
            id,
            description: directives.description.clone(),
            requires,
            content: Content::Sql(Box::new(SqlMigration {
                up,
                down,
                verify,
                cleanup,
            })),
        });
    }
    Ok(migrations)
}

fn redis_migrations(folder: &Path, config: &PlanConfig) -> Result<Vec<Migration>, SourceError> {
    let mut files: BTreeMap<MigrationId, RedisMigration> = BTreeMap::new();
    for name in names_in(&folder.join("redis"), ".toml")? {
        let path = format!("redis/{name}");
        let stem = name.strip_suffix(".toml").unwrap_or(&name);
        let id = MigrationId::new(StoreKind::Redis, stem).map_err(|source| SourceError::Id {
            path: path.clone(),
            source,
        })?;
        let text = read_text(&folder.join(&path))?;
        files.insert(id, RedisMigration::parse(&path, &text, config)?);
    }
    let mut previous: Option<MigrationId> = None;
    let mut migrations = Vec::new();
    for (id, redis) in files {
        let mut requires: BTreeSet<MigrationId> = previous
            .replace(id.clone())
            .filter(|_| !redis.declaration.root)
            .into_iter()
            .collect();
        requires.extend(redis.declaration.requires.keys().cloned());
        migrations.push(Migration {
            id,
            description: redis.declaration.description.clone(),
            requires,
            content: Content::Redis(Box::new(redis)),
        });
    }
    Ok(migrations)
}

fn refuse_duplicate_numbers<'a>(
    ids: impl Iterator<Item = &'a MigrationId>,
) -> Result<(), SourceError> {
    let mut seen: BTreeMap<(StoreKind, u64), &MigrationId> = BTreeMap::new();
    for id in ids {
        if let Some(first) = seen.insert((id.store(), id.number()), id) {
            return Err(SourceError::DuplicateNumber {
                first: first.clone(),
                second: id.clone(),
            });
        }
    }
    Ok(())
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
