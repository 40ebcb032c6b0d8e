//! Private keys, and signing with them.

use std::fmt;

use rsa::signature::{SignatureEncoding as _, Signer as _};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, Signature, SshSig};

use super::{KeyName, KeyProblem, NAMESPACE};
use crate::model::secret::Secret;

/// A private key, perhaps still protected by its passphrase. `Debug` shows which key it is, and nothing of it.
pub struct SigningKey(PrivateKey);

/// A signature as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The text that `ssh-keygen -Y verify` reads.
    pub text: String,
    /// The key that it was made with.
    pub key: KeyName,
}

impl SigningKey {
    /// Reads a private key in OpenSSH's own form.
    ///
    /// # Errors
    /// What else it is.
    pub fn parse(text: &[u8]) -> Result<Self, KeyProblem> {
        let key = PrivateKey::from_openssh(text).map_err(|error| other(text, &error))?;
        match key.key_data() {
            KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_) => {
                Err(KeyProblem::Hardware)
            }
            _ => Ok(Self(key)),
        }
    }

    /// Whether it takes a passphrase to use it.
    pub fn is_locked(&self) -> bool {
        self.0.is_encrypted()
    }

    /// Opens a key that is locked.
    ///
    /// # Errors
    /// A wrong passphrase; a cipher that is not supported.
    pub fn unlock(self, passphrase: &Secret) -> Result<Self, KeyProblem> {
        if !self.is_locked() {
            return Ok(self);
        }
        self.0
            .decrypt(passphrase.expose())
            .map(Self)
            .map_err(|error| match error {
                ssh_key::Error::Crypto => KeyProblem::Passphrase,
                other => KeyProblem::Protection(other.to_string()),
            })
    }

    /// Which key it is.
    pub fn name(&self) -> KeyName {
        KeyName::of(self.0.public_key().key_data())
    }

    /// Signs the bytes of a plan file.
    ///
    /// # Errors
    /// A key that is locked, or of a kind that cannot sign.
    pub fn sign(&self, plan: &[u8]) -> Result<Signed, KeyProblem> {
        let unusable = |error: ssh_key::Error| KeyProblem::Unusable(error.to_string());
        // SHA-512, as OpenSSH does unless it is told otherwise.
        let signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => rsa_signature(pair, plan),
            _ => self.0.sign(NAMESPACE, HashAlg::Sha512, plan),
        }
        .map_err(unusable)?;
        Ok(Signed {
            text: signature.to_pem(LineEnding::LF).map_err(unusable)?,
            key: self.name(),
        })
    }
}

/// Signs with an RSA key: `rsa-sha2-512`.
fn rsa_signature(pair: &RsaKeypair, plan: &[u8]) -> Result<SshSig, ssh_key::Error> {
    let number = |part: &ssh_key::Mpint| rsa::BigUint::try_from(part);
    let key = rsa::RsaPrivateKey::from_components(
        number(&pair.public.n)?,
        number(&pair.public.e)?,
        number(&pair.private.d)?,
        vec![number(&pair.private.p)?, number(&pair.private.q)?],
    )
    .map_err(|_| ssh_key::Error::Crypto)?;
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, plan)?;
    let signature = rsa::pkcs1v15::SigningKey::<rsa::sha2::Sha512>::new(key)
        .try_sign(&data)
        .map_err(|_| ssh_key::Error::Crypto)?;
    let algorithm = Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    };
    let signature = Signature::new(algorithm, signature.to_vec())?;
    SshSig::new(
        pair.public.clone().into(),
        NAMESPACE,
        HashAlg::Sha512,
        signature,
    )
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name())
    }
}

/// What a text is that is no private key of OpenSSH's.
fn other(text: &[u8], error: &ssh_key::Error) -> KeyProblem {
    let text = String::from_utf8_lossy(text);
    let first = text.trim_start().lines().next().unwrap_or_default().trim();
    if ssh_key::PublicKey::from_openssh(first).is_ok() {
        return KeyProblem::Public;
    }
    let label = first
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_suffix("-----"));
    match label {
        Some(label) if label.ends_with("PUBLIC KEY") => KeyProblem::Public,
        Some("OPENSSH PRIVATE KEY") => KeyProblem::Unread(error.to_string()),
        Some(label) if label.ends_with("PRIVATE KEY") => KeyProblem::OtherForm(label.to_owned()),
        _ => KeyProblem::Malformed(error.to_string()),
    }
}
