//! The bytes of a plan file. `docs/plan-format.md` specifies them well enough for a second reader.
//!
//! ```text
//! magic "OUTPOST PLAN\n" | format u16 | length u64 | payload | SHA-256 of everything before it
//! ```
//!
//! Integers are big-endian. The payload is CBOR (RFC 8949): an array of two byte strings, the encoded
//! decision and the encoded evidence. The digest is the SHA-256 of the first.

use cbor4ii::core::utils::SliceReader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::model::plan::{Decision, Evidence, Plan, PlanDigest};

/// The first bytes of every plan file.
pub const MAGIC: &[u8] = b"OUTPOST PLAN\n";

/// The format that this version writes and reads.
pub const FORMAT: u16 = 2;

/// The largest payload that is read, bytes: far above any real plan, far below what would hurt.
pub const MAX_PAYLOAD: u64 = 256 * 1024 * 1024;

const HEADER: usize = MAGIC.len() + 2 + 8;
const TRAILER: usize = 32;

/// Why bytes are no plan. Nothing of them was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are not those of a plan.
    #[error("this is not a plan file: it does not begin with the mark of one")]
    NotAPlan,
    /// Shorter than it says.
    #[error("the plan is cut off: {expected} bytes are announced, {found} are there")]
    Truncated {
        /// Bytes announced, at least.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// Longer than it says.
    #[error("{extra} bytes follow the end of the plan")]
    TrailingBytes {
        /// How many.
        extra: u64,
    },
    /// Written by a tool with another format.
    #[error("the plan has format {found}; this version of outpost reads format {FORMAT}")]
    UnknownFormat {
        /// Its format.
        found: u16,
    },
    /// It announces more than any plan has.
    #[error("the plan announces {announced} bytes; the most that is read is {MAX_PAYLOAD}")]
    Oversized {
        /// Bytes announced.
        announced: u64,
    },
    /// The bytes were changed.
    #[error("the plan is damaged: its checksum does not match its content")]
    Damaged,
    /// The checksum is right, and the content is no plan all the same.
    #[error("the plan's {part} cannot be decoded: {reason}")]
    Malformed {
        /// Payload, decision or evidence.
        part: &'static str,
        /// The decoder's words.
        reason: String,
    },
}

impl CodecError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownFormat { .. } => {
                "apply it with the version that made it, or plan again with this one".to_owned()
            }
            _ => "make the plan again: outpost migrate plan -out FILE".to_owned(),
        })
    }
}

/// The parts of the payload.
#[derive(serde::Serialize, serde::Deserialize)]
struct Payload(
    #[serde(with = "serde_bytes")] Vec<u8>,
    #[serde(with = "serde_bytes")] Vec<u8>,
);

impl Plan {
    /// Puts a plan together and computes its digest.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] where the decision cannot be encoded.
    pub fn new(decision: Decision, evidence: Evidence) -> Result<Self, CodecError> {
        let digest = digest(&encode_part("decision", &decision)?);
        Ok(Self {
            decision,
            evidence,
            digest,
        })
    }

    /// Encodes the plan as a file's bytes.
    ///
    /// # Errors
    /// [`CodecError::Oversized`] for a plan that could not be read again.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let payload = encode_part(
            "payload",
            &Payload(
                encode_part("decision", &self.decision)?,
                encode_part("evidence", &self.evidence)?,
            ),
        )?;
        let length = payload.len() as u64;
        if length > MAX_PAYLOAD {
            return Err(CodecError::Oversized { announced: length });
        }
        let mut bytes = Vec::with_capacity(HEADER + payload.len() + TRAILER);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&payload);
        let trailer = Sha256::digest(&bytes);
        bytes.extend_from_slice(&trailer);
        Ok(bytes)
    }

    /// Decodes a file's bytes. Everything is checked before anything is used.
    ///
    /// # Errors
    /// [`CodecError`] says which part is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let Payload(decision, evidence) = decode_part("payload", checked_payload(bytes)?)?;
        let digest = digest(&decision);
        Ok(Self {
            decision: decode_part("decision", &decision)?,
            evidence: decode_part("evidence", &evidence)?,
            digest,
        })
    }
}

/// The payload of a file whose frame and checksum are right.
fn checked_payload(bytes: &[u8]) -> Result<&[u8], CodecError> {
    if bytes.is_empty() {
        return Err(CodecError::Empty);
    }
    let mark = bytes.len().min(MAGIC.len());
    if bytes[..mark] != MAGIC[..mark] {
        return Err(CodecError::NotAPlan);
    }
    let found = bytes.len() as u64;
    let shortest = (HEADER + TRAILER) as u64;
    let (Some(format), Some(length)) = (
        bytes
            .get(MAGIC.len()..MAGIC.len() + 2)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_be_bytes),
        bytes
            .get(MAGIC.len() + 2..HEADER)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_be_bytes),
    ) else {
        return Err(CodecError::Truncated {
            expected: shortest,
            found,
        });
    };
    if format != FORMAT {
        return Err(CodecError::UnknownFormat { found: format });
    }
    if length > MAX_PAYLOAD {
        return Err(CodecError::Oversized { announced: length });
    }
    let expected = shortest + length;
    if found < expected {
        return Err(CodecError::Truncated { expected, found });
    }
    if found > expected {
        return Err(CodecError::TrailingBytes {
            extra: found - expected,
        });
    }
    let (content, trailer) = bytes.split_at(bytes.len() - TRAILER);
    if Sha256::digest(content).as_slice() != trailer {
        return Err(CodecError::Damaged);
    }
    Ok(&content[HEADER..])
}

fn digest(decision: &[u8]) -> PlanDigest {
    PlanDigest(Sha256::digest(decision).into())
}

fn encode_part<T: Serialize>(part: &'static str, value: &T) -> Result<Vec<u8>, CodecError> {
    cbor4ii::serde::to_vec(Vec::new(), value).map_err(|e| CodecError::Malformed {
        part,
        reason: e.to_string(),
    })
}

/// Decodes a part and refuses one that this tool would have written otherwise: one plan has one
/// encoding, so one digest.
fn decode_part<T: DeserializeOwned + Serialize>(
    part: &'static str,
    bytes: &[u8],
) -> Result<T, CodecError> {
    let mut reader = cbor4ii::serde::Deserializer::new(SliceReader::new(bytes));
    let value = T::deserialize(&mut reader).map_err(|e| CodecError::Malformed {
        part,
        reason: e.to_string(),
    })?;
    if encode_part(part, &value)? != bytes {
        return Err(CodecError::Malformed {
            part,
            reason: "it is not in the one form that is written".to_owned(),
        });
    }
    Ok(value)
}
