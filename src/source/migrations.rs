//! Reads the migrations below the schema folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{SourceError, names_in, read_text};
use crate::model::config::PlanConfig;
use crate::model::id::{MigrationId, StoreKind};
use crate::model::migration::{Content, Migration, RedisMigration, SqlFile, SqlMigration};

/// The files of one SQL migration, by what they are for.
#[derive(Default)]
struct SqlFiles {
    up: Option<SqlFile>,
    down: Option<SqlFile>,
    verify: Option<SqlFile>,
    cleanup: Option<SqlFile>,
}

pub(super) fn sql_migrations(
    folder: &Path,
    config: &PlanConfig,
) -> Result<Vec<Migration>, SourceError> {
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

pub(super) fn redis_migrations(
    folder: &Path,
    config: &PlanConfig,
) -> Result<Vec<Migration>, SourceError> {
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

pub(super) fn refuse_duplicate_numbers<'a>(
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
