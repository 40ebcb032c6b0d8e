//! Reads and writes plan files, and the signatures beside them.

pub mod signature;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::model::codec::{CodecError, MAX_PAYLOAD};
use crate::model::plan::Plan;

/// Why a plan file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// It is a folder.
    #[error("{} is a folder, not a plan file", .0.display())]
    Folder(PathBuf),
    /// The folder that it should be in is not there.
    #[error("cannot write {}: there is no folder {}", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// `-`, which other tools take for standard output.
    #[error("- is no file: a plan is bytes that are kept and applied")]
    Dash,
    /// Its content is no plan.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CodecError,
    },
}

impl PlanFileError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { doing: "read", .. } => {
                Some("make the plan first: outpost migrate plan -out FILE".to_owned())
            }
            Self::Io { .. } => {
                Some("a file of that name, where there was one, is as it was".to_owned())
            }
            Self::NoFolder { folder, .. } => {
                Some(format!("make it first: mkdir -p {}", folder.display()))
            }
            Self::Dash => Some("name a file: -out plan.bin".to_owned()),
            Self::Folder(_) => Some("name a file in it".to_owned()),
            Self::Content { source, .. } => source.hint(),
        }
    }
}

/// The bytes of a plan file. They are read once: what a signature is checked on is what is decoded and applied.
#[derive(Debug)]
pub struct PlanFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl PlanFile {
    /// Reads the bytes of a plan file, whatever they are.
    ///
    /// # Errors
    /// A file that is not there, is a folder, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, PlanFileError> {
        let io = |source| PlanFileError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(PlanFileError::Folder(path.to_owned()));
        }
        let mut bytes = Vec::new();
        // A device or a pipe has no length to check first; more than the largest plan is never read.
        file.take(MAX_PAYLOAD + 1024)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }

    /// The file that a plan would be saved in.
    ///
    /// # Errors
    /// A plan that is too large.
    pub fn of(path: &Path, plan: &Plan) -> Result<Self, PlanFileError> {
        let bytes = plan.encode().map_err(|source| PlanFileError::Content {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The plan in it.
    ///
    /// # Errors
    /// Content that is no plan.
    pub fn plan(&self) -> Result<Plan, PlanFileError> {
        Plan::decode(&self.bytes).map_err(|source| PlanFileError::Content {
            path: self.path.clone(),
            source,
        })
    }

    /// Writes it, readable by its owner alone. The file appears whole or not at all: a full disk leaves an
    /// older file as it was. A link is followed; a device or a pipe is written to, not replaced.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn save(&self) -> Result<(), PlanFileError> {
        save(&self.path, &self.bytes)
    }
}

/// Reads a plan file.
///
/// # Errors
/// As for [`PlanFile::open`] and [`PlanFile::plan`].
pub fn read(path: &Path) -> Result<Plan, PlanFileError> {
    PlanFile::open(path)?.plan()
}

/// Writes a plan file.
///
/// # Errors
/// As for [`PlanFile::of`] and [`PlanFile::save`].
pub fn write(path: &Path, plan: &Plan) -> Result<(), PlanFileError> {
    PlanFile::of(path, plan)?.save()
}

/// Whether a plan can be saved under this name, as far as that can be told without writing: asked before a plan is
/// made, which may take a while.
///
/// # Errors
/// A folder that is not there, a folder in the place of the file, and `-`.
pub fn check(path: &Path) -> Result<(), PlanFileError> {
    if path == Path::new("-") {
        return Err(PlanFileError::Dash);
    }
    if path.is_dir() {
        return Err(PlanFileError::Folder(path.to_owned()));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(PlanFileError::NoFolder {
                path: path.to_owned(),
                folder: folder.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), PlanFileError> {
    let io = |source| PlanFileError::Io {
        doing: "write",
        path: path.to_owned(),
        source,
    };
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => path.to_owned(),
        Err(e) => return Err(io(e)),
    };
    match std::fs::metadata(&target) {
        Ok(found) if found.is_dir() => Err(PlanFileError::Folder(path.to_owned())),
        Ok(found) if !found.is_file() => {
            let mut device = std::fs::OpenOptions::new()
                .write(true)
                .open(&target)
                .map_err(io)?;
            device.write_all(bytes).map_err(io)
        }
        _ => replace(&target, bytes).map_err(io),
    }
}

/// Puts bytes in place of a file at once.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A temporary file is created with mode 0600, and keeps it when it is renamed into place.
    let mut file = tempfile::Builder::new()
        .prefix(".outpost-plan-")
        .tempfile_in(folder)
        // Its own words name a file that nobody asked for.
        .map_err(|e| std::io::Error::from(e.kind()))?;
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    std::fs::File::open(folder)?.sync_all()
}
