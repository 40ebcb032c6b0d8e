//! Reads private keys, lists of allowed signers, and the signatures that lie beside plan files; writes the latter.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::model::signing::{AllowedSigners, AllowedSignersError, KeyProblem, Signed, SigningKey};

/// More than any key, signature or sensible list has, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Why a key, a list or a signature cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFileError {
    /// The operating system refused.
    #[error("cannot {doing} {what} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// What the file is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// A file of more than a megabyte.
    #[error("{} is too large for {what}", path.display())]
    TooLarge {
        /// What the file should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A private key that others can read.
    #[error(
        "the key {} is open to others: its mode is {mode:04o}",
        path.display()
    )]
    Open {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A key that cannot be used.
    #[error("cannot sign with {}: {problem}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// A list that is no text.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// A list with a line that cannot be used.
    #[error(transparent)]
    Allowed(#[from] AllowedSignersError),
}

impl SignatureFileError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { doing: "write", .. } => Some(
                "the plan itself is saved; sign it where a file can be written beside it"
                    .to_owned(),
            ),
            Self::Io { .. } => None,
            Self::TooLarge { .. } => Some("name another file".to_owned()),
            Self::Open { path, .. } => Some(format!(
                "keep it to its owner, and replace it if somebody may have read it: chmod 600 {}",
                path.display()
            )),
            Self::Key { problem, .. } => Some(problem.hint()),
            Self::NotText(_) => Some(
                "a list of allowed signers has a line a signer, such as alice@example.com ssh-ed25519 AAAA…"
                    .to_owned(),
            ),
            Self::Allowed(error) => Some(error.hint()),
        }
    }
}

/// Where the signature of a plan lies, as `ssh-keygen -Y sign` names it: `plan.bin.sig`.
pub fn beside(plan: &Path) -> PathBuf {
    let mut name = OsString::from(plan);
    name.push(".sig");
    PathBuf::from(name)
}

/// Reads the signature that lies beside a plan; `None` where nothing does.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn read(plan: &Path) -> Result<Option<Vec<u8>>, SignatureFileError> {
    let path = beside(plan);
    match open(&path, "the signature") {
        Ok(file) => whole(file, &path, "the signature").map(Some),
        Err(SignatureFileError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Writes the signature beside its plan, in place of an older one.
///
/// # Errors
/// What the operating system says.
pub fn write(plan: &Path, signed: &Signed) -> Result<(), SignatureFileError> {
    let path = beside(plan);
    let io = |source| SignatureFileError::Io {
        doing: "write",
        what: "the signature",
        path: path.clone(),
        source,
    };
    super::replace(&path, signed.text.as_bytes()).map_err(io)
}

/// Reads a private key, which only its owner may be able to read, as ssh has it.
///
/// # Errors
/// A file that cannot be read, is open to others, or is no private key of OpenSSH's.
pub fn key(path: &Path) -> Result<SigningKey, SignatureFileError> {
    let what = "the key";
    let file = open(path, what)?;
    let found = file.metadata().map_err(|source| SignatureFileError::Io {
        doing: "read",
        what,
        path: path.to_owned(),
        source,
    })?;
    let (mode, ours) = (
        found.mode() & 0o777,
        found.uid() == nix::unistd::getuid().as_raw(),
    );
    let text = whole(file, path, what)?;
    let key = SigningKey::parse(&text).map_err(|problem| SignatureFileError::Key {
        path: path.to_owned(),
        problem,
    })?;
    // As ssh does: another's file, such as one that a container mounts, has the mode that its owner chose.
    // After the key is read, so that a public key, which may be open, is called what it is.
    if ours && mode & 0o077 != 0 {
        return Err(SignatureFileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(key)
}

/// Reads a list of allowed signers.
///
/// # Errors
/// A file that cannot be read, or a line that cannot be used.
pub fn allowed_signers(path: &Path, zone: &TimeZone) -> Result<AllowedSigners, SignatureFileError> {
    let what = "the allowed signers";
    let bytes = whole(open(path, what)?, path, what)?;
    let text =
        String::from_utf8(bytes).map_err(|_| SignatureFileError::NotText(path.to_owned()))?;
    Ok(AllowedSigners::parse(
        &path.display().to_string(),
        &text,
        zone,
    )?)
}

fn open(path: &Path, what: &'static str) -> Result<std::fs::File, SignatureFileError> {
    std::fs::File::open(path).map_err(|source| SignatureFileError::Io {
        doing: "read",
        what,
        path: path.to_owned(),
        source,
    })
}

fn whole(
    file: std::fs::File,
    path: &Path,
    what: &'static str,
) -> Result<Vec<u8>, SignatureFileError> {
    let mut bytes = Vec::new();
    // A pipe, such as the shell's <(…), has no length to look at first.
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SignatureFileError::Io {
            doing: "read",
            what,
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > LARGEST {
        return Err(SignatureFileError::TooLarge {
            what,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}
