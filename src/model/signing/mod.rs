//! Signatures over plan files, in the form that `ssh-keygen -Y sign` writes and `ssh-keygen -Y verify` reads
//! (SSHSIG; OpenSSH's PROTOCOL.sshsig describes it).
//!
//! A signature lies beside its plan and covers every byte of it, so that neither the plan's format nor its
//! digest knows of signatures.

mod allowed;
mod error;
mod key;
mod time;

use std::fmt;
use std::ops::RangeInclusive;

use jiff::Zoned;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, SshSig};

pub use allowed::AllowedSigners;
pub use error::{AllowedProblem, AllowedSignersError, KeyProblem, Refusal};
pub use key::{Signed, SigningKey};

/// What a signature is for. It keeps a signature that was given for something else, such as a commit, from
/// passing as the approval of a plan.
pub const NAMESPACE: &str = "outpost-plan";

/// The lengths of RSA keys, in bits, that are accepted: shorter ones are weak, longer ones cannot be checked.
const RSA_BITS: RangeInclusive<usize> = 2048..=4096;

/// A public key, by name: its kind and its fingerprint, such as `ssh-ed25519 SHA256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// The kind, in OpenSSH's words: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`.
    pub kind: String,
    /// The fingerprint, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
}

impl KeyName {
    fn of(key: &KeyData) -> Self {
        Self {
            kind: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.fingerprint)
    }
}

/// Who signed a plan, as the list of allowed signers has it. Shown and recorded as
/// `alice@example.com (ssh-ed25519 SHA256:…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The principals of the line that names the key.
    pub principals: String,
    /// The key.
    pub key: KeyName,
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.principals, self.key)
    }
}

/// What was found out about a plan's signature.
pub type Judgement = Result<Signer, Refusal>;

/// Judges a signature over the bytes of a plan file.
///
/// `signature` is what lies beside the plan, `None` where nothing does. Without `allowed` nobody is trusted:
/// a signature that fits is then [`Refusal::NobodyAllowed`]. `now` decides whether a key is valid, and its
/// time zone is that of times written without one.
///
/// # Errors
/// The first reason not to trust the plan.
pub fn judge(
    plan: &[u8],
    signature: Option<&[u8]>,
    allowed: Option<&AllowedSigners>,
    now: &Zoned,
) -> Judgement {
    let signature = SshSig::from_pem(signature.ok_or(Refusal::Unsigned)?)
        .map_err(|e| Refusal::Malformed(e.to_string()))?;
    if signature.namespace() != NAMESPACE {
        return Err(Refusal::OtherPurpose {
            found: signature.namespace().to_owned(),
        });
    }
    let data = signature.public_key();
    let key = KeyName::of(data);
    if let KeyData::Rsa(rsa) = data {
        // The leading byte of a modulus has its highest bit set, so that whole bytes count.
        let bits = rsa.n.as_positive_bytes().map_or(0, |n| n.len() * 8);
        if !RSA_BITS.contains(&bits) {
            let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
            return Err(Refusal::Unsupported {
                key,
                why: format!("its length of {bits} bits is not between {least} and {most}"),
            });
        }
    }
    // First what was signed, then by whom: nothing else about a changed plan is worth saying.
    ssh_key::PublicKey::from(data.clone())
        .verify(NAMESPACE, plan, &signature)
        .map_err(|error| match error {
            ssh_key::Error::AlgorithmUnsupported { algorithm } => Refusal::Unsupported {
                key: key.clone(),
                why: format!("{algorithm} cannot be checked"),
            },
            _ => Refusal::OtherBytes { key: key.clone() },
        })?;
    allowed
        .ok_or_else(|| Refusal::NobodyAllowed { key: key.clone() })?
        .signer(data, &key, now)
}

#[cfg(test)]
mod tests;
