//! Short answers: what was written, unlocked or pinned.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::model::id::MigrationId;
use crate::model::lock::{Lock, LockFinding};
use crate::render::style::{Style, Tone};
use crate::render::text::line;
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
    Ok(())
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
        writeln!(
            out,
            "{} {}",
            style.paint(Tone::Bad, "!"),
            line(&finding.to_string())
        )?;
    }
    Ok(())
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
