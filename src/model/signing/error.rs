//! Why a signature is not trusted, and what can be wrong with keys and with lists of allowed signers.

use super::{KeyName, NAMESPACE, Signer};

/// Why a plan is not taken as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing lies beside it.
    #[error("it is not signed")]
    Unsigned,
    /// What lies beside it is no signature.
    #[error("what lies beside it is no SSH signature: {0}")]
    Malformed(String),
    /// A signature for something else.
    #[error("its signature is for the namespace \"{found}\", not for \"{NAMESPACE}\"")]
    OtherPurpose {
        /// The namespace that was signed.
        found: String,
    },
    /// A key that cannot be checked here.
    #[error("its signature was made with the key {key}, and {why}")]
    Unsupported {
        /// The key.
        key: KeyName,
        /// What about it is not supported.
        why: String,
    },
    /// The plan, or the signature, is not the one that was signed.
    #[error(
        "its signature, made with the key {key}, does not fit: the plan or the signature was changed since"
    )]
    OtherBytes {
        /// The key that the signature names.
        key: KeyName,
    },
    /// A signature that fits, where no list says whose keys count.
    #[error(
        "it is signed with the key {key}, and whose that is is unknown: no allowed signers are configured"
    )]
    NobodyAllowed {
        /// The key.
        key: KeyName,
    },
    /// A signature that fits, by a key that the list does not name.
    #[error("it is signed with the key {key}, which {file} does not name")]
    UnknownKey {
        /// The key.
        key: KeyName,
        /// The list.
        file: String,
    },
    /// A known key that may not sign plans.
    #[error("it is signed by {signer}, whose key {file}:{line} allows for \"{namespaces}\" only")]
    NotForPlans {
        /// Who signed.
        signer: Box<Signer>,
        /// The list.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The namespaces that it allows.
        namespaces: String,
    },
    /// A known key that is not valid yet.
    #[error("it is signed by {signer}, whose key is not valid before {from} ({file}:{line})")]
    NotYetValid {
        /// Who signed.
        signer: Box<Signer>,
        /// The list.
        file: String,
        /// The line, from 1.
        line: usize,
        /// RFC 3339 in UTC.
        from: String,
    },
    /// A known key that was valid once.
    #[error("it is signed by {signer}, whose key was valid until {until} ({file}:{line})")]
    Expired {
        /// Who signed.
        signer: Box<Signer>,
        /// The list.
        file: String,
        /// The line, from 1.
        line: usize,
        /// RFC 3339 in UTC.
        until: String,
    },
}

impl Refusal {
    /// The key that the signature names, where it could be read so far.
    pub fn key(&self) -> Option<&KeyName> {
        match self {
            Self::Unsigned | Self::Malformed(_) | Self::OtherPurpose { .. } => None,
            Self::Unsupported { key, .. }
            | Self::OtherBytes { key }
            | Self::NobodyAllowed { key }
            | Self::UnknownKey { key, .. } => Some(key),
            Self::NotForPlans { signer, .. }
            | Self::NotYetValid { signer, .. }
            | Self::Expired { signer, .. } => Some(&signer.key),
        }
    }

    /// What to do next. `plan` is the plan file as a command takes it.
    pub fn hint(&self, plan: &str) -> String {
        let sign = format!("ssh-keygen -Y sign -n {NAMESPACE} -f KEY {plan}");
        match self {
            Self::Unsigned => {
                format!("review it and sign it: {sign}; or plan again with --sign KEY")
            }
            Self::Malformed(_) | Self::OtherPurpose { .. } => {
                format!("remove {plan}.sig, review the plan, and sign it: {sign}")
            }
            Self::Unsupported { .. } => {
                "sign it with an Ed25519 key, an ECDSA key, or an RSA key of 2048 to 4096 bits"
                    .to_owned()
            }
            Self::OtherBytes { .. } => format!(
                "do not apply it; fetch the plan and the signature again, or review it as a new plan: \
                 outpost migrate show {plan}"
            ),
            Self::NobodyAllowed { .. } => {
                "pass --allowed-signers FILE, or set signing.allowed_signers in outpost.toml"
                    .to_owned()
            }
            Self::UnknownKey { file, .. } => format!(
                "have it signed by somebody whom {file} names; a new signer is added there, in a reviewed change"
            ),
            Self::NotForPlans { .. } => format!(
                "have it signed with another key, or add \"{NAMESPACE}\" to the line's namespaces, in a reviewed change"
            ),
            Self::NotYetValid { .. } | Self::Expired { .. } => {
                format!("have it signed with a key that is valid now: {sign}")
            }
        }
    }
}

/// A line of a list of allowed signers that cannot be used. The whole list is refused then: a line that is
/// skipped in silence may be the one that says who may not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct AllowedSignersError {
    /// The list.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: AllowedProblem,
}

/// The kinds of [`AllowedSignersError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowedProblem {
    /// Principals and nothing else.
    #[error("there is no key after the principals")]
    NoKey,
    /// A key that cannot be read.
    #[error("the key cannot be read: {0}")]
    Key(String),
    /// Principals that say nothing, or act on a terminal.
    #[error("the principals are empty, or hold a control character")]
    Principals,
    /// A quote without its end.
    #[error("a quotation mark is not closed")]
    Quote,
    /// An option of OpenSSH's that outpost does not have.
    #[error("the option {0} is not supported")]
    UnsupportedOption(&'static str),
    /// An option that does not exist.
    #[error("there is no option `{0}`")]
    UnknownOption(String),
    /// An option without its value in quotes.
    #[error("the option {0} has no value in quotation marks")]
    NoValue(&'static str),
    /// An option given twice.
    #[error("the option {0} is given twice")]
    Twice(&'static str),
    /// A time that cannot be read.
    #[error("{option}=\"{value}\" is no time")]
    Time {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
    },
    /// A key that is never valid.
    #[error("valid-before is not later than valid-after: the key is never valid")]
    NeverValid,
}

impl AllowedSignersError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match &self.problem {
            AllowedProblem::UnsupportedOption("cert-authority") => {
                "name the signers' own keys; certificates are not supported".to_owned()
            }
            AllowedProblem::Time { .. } => {
                "write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z behind it for UTC".to_owned()
            }
            AllowedProblem::UnknownOption(_) | AllowedProblem::UnsupportedOption(_) => {
                "the options are namespaces, valid-after and valid-before".to_owned()
            }
            _ => "a line is: PRINCIPALS [OPTIONS] KEYTYPE BASE64-KEY, such as alice@example.com ssh-ed25519 AAAA…"
                .to_owned(),
        }
    }
}

/// Why a plan cannot be signed with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The public half.
    #[error("it is a public key")]
    Public,
    /// A private key in another form than OpenSSH's own.
    #[error("it is a private key in the form {0}, not in OpenSSH's")]
    OtherForm(String),
    /// No key.
    #[error("it is no private key: {0}")]
    Malformed(String),
    /// A key in OpenSSH's form that is damaged, or of a form that only OpenSSH reads. About half of the P-521
    /// keys are: OpenSSH leaves out the leading zeros of the number, and the `ssh-key` crate wants them.
    #[error("it is a private key of OpenSSH's that outpost cannot read: {0}")]
    Unread(String),
    /// The key cannot be opened by a passphrase.
    #[error("it is protected in a way that is not supported: {0}")]
    Protection(String),
    /// The passphrase opens nothing.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// A key that never leaves its device.
    #[error("it stands for a key in a security key, which only OpenSSH can use")]
    Hardware,
    /// A key that cannot sign here.
    #[error("it cannot sign: {0}")]
    Unusable(String),
}

impl KeyProblem {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Public => format!(
                "name the private key; for one that ssh-agent holds, save the plan without --sign and then run \
                 ssh-keygen -Y sign -n {NAMESPACE} -f KEY.pub PLAN"
            ),
            Self::OtherForm(_) => {
                "convert a copy of it: ssh-keygen -p -f COPY rewrites it in OpenSSH's form"
                    .to_owned()
            }
            Self::Malformed(_) => {
                "name a key that ssh-keygen made, such as ~/.ssh/id_ed25519".to_owned()
            }
            Self::Protection(_) => "ssh-keygen -p -f KEY protects it anew".to_owned(),
            Self::Passphrase => "nothing was planned or written; try again".to_owned(),
            Self::Hardware | Self::Unread(_) | Self::Unusable(_) => format!(
                "save the plan without --sign, and sign it with OpenSSH: ssh-keygen -Y sign -n {NAMESPACE} -f KEY PLAN"
            ),
        }
    }
}
