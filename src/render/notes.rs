//! Short answers: what was written, unlocked or pinned.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::model::id::{MigrationId, StoreKind};
use crate::model::lock::{Lock, LockFinding};
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::text::{line, paragraph, wrapped};
use crate::render::units::counted_len;

/// Writes which files a new migration consists of.
///
/// # Errors
/// What `out` says.
pub fn created(
    out: &mut dyn Write,
    style: Style,
    id: &MigrationId,
    files: &[PathBuf],
) -> io::Result<()> {
    writeln!(out, "{} {id}", style.paint(Tone::Good, "+"))?;
    for file in files {
        writeln!(out, "  {}", line(&file.display().to_string()))?;
    }
    let next = match id.store() {
        StoreKind::Sql => "Write the statements, then: outpost migrate lint",
        StoreKind::Redis => {
            "Declare the scope and the steps before anything else: no other command reads the project while a declaration has no step. Then: outpost migrate lint"
        }
    };
    paragraph(out, style, Tone::Faint, next)
}

/// Writes what was pinned, and where.
///
/// # Errors
/// What `out` says.
pub fn locked(out: &mut dyn Write, _: Style, path: &Path, lock: &Lock) -> io::Result<()> {
    let files: usize = lock.migrations.iter().map(|m| m.files.len()).sum();
    let objects = lock
        .migrations
        .iter()
        .rev()
        .find(|m| !m.objects.is_empty())
        .map_or(0, |m| m.objects.len());
    writeln!(
        out,
        "{}: {} in {}, {} after the last SQL migration",
        line(&path.display().to_string()),
        counted_len(files, "file"),
        counted_len(lock.migrations.len(), "migration"),
        counted_len(objects, "object"),
    )
}

/// Writes how the files differ from the lock file.
///
/// # Errors
/// What `out` says.
pub fn lock_findings(
    out: &mut dyn Write,
    style: Style,
    findings: &[LockFinding],
) -> io::Result<()> {
    if findings.is_empty() {
        return writeln!(out, "The files are as locked.");
    }
    for finding in findings {
        let mut mark = style.paint(Tone::Bad, "!");
        let words = format!("{}: {finding}", finding.name());
        for text in wrapped(&line(&words), style.room(2)) {
            writeln!(out, "{mark} {text}")?;
            " ".clone_into(&mut mark);
        }
        let mut mark = "->";
        for text in wrapped(finding.advice(), style.room(5)) {
            writeln!(out, "  {mark} {text}")?;
            mark = "  ";
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct LockFindingsJson<'a> {
    findings: Vec<LockFindingJson<'a>>,
}

#[derive(Serialize)]
struct LockFindingJson<'a> {
    name: &'static str,
    /// The file below the schema folder; null for migrations in another order.
    file: Option<&'a str>,
    /// The first migration in another order.
    id: Option<String>,
    message: String,
    advice: &'static str,
}

/// Writes how the files differ from the lock file, as JSON.
///
/// # Errors
/// What `out` says.
pub fn lock_findings_json(out: &mut dyn Write, findings: &[LockFinding]) -> io::Result<()> {
    let findings = findings.iter().map(|finding| {
        let (file, id) = match finding {
            LockFinding::Edited { path, .. }
            | LockFinding::Removed { path }
            | LockFinding::AddedWithoutLock { path } => (Some(path.as_str()), None),
            LockFinding::Reordered { id } => (None, Some(id.to_string())),
        };
        LockFindingJson {
            name: finding.name(),
            file,
            id,
            message: finding.to_string(),
            advice: finding.advice(),
        }
    });
    json::document(
        out,
        &LockFindingsJson {
            findings: findings.collect(),
        },
    )
}

/// Writes that a lease was broken.
///
/// # Errors
/// What `out` says.
pub fn unlocked(out: &mut dyn Write, _: Style, id: &str) -> io::Result<()> {
    writeln!(
        out,
        "Lease {} is broken; its holder writes nothing more.",
        line(id)
    )
}
