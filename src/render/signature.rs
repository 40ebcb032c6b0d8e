//! Signatures: whose they are, and why one does not count.

use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::signing::{Judgement, KeyName, Refusal, Signer};
use crate::render::error::{remark, warning};
use crate::render::style::{Style, Tone};
use crate::render::text::line;

/// Says who signed the plan that is about to be applied.
///
/// # Errors
/// What `out` says.
pub fn signed_by(out: &mut dyn Write, style: Style, signer: &Signer) -> io::Result<()> {
    remark(
        out,
        style,
        &format!("Signed by {}.", line(&signer.to_string())),
    )
}

/// Says where the signature of a saved plan is, and what it was made with.
///
/// # Errors
/// What `out` says.
pub fn signed(out: &mut dyn Write, style: Style, file: &Path, key: &KeyName) -> io::Result<()> {
    let file = line(&file.display().to_string());
    remark(out, style, &format!("Signed with {key}, into {file}."))
}

/// Warns of a signature that lies beside a plan which was saved without one.
///
/// # Errors
/// What `out` says.
pub fn older_signature(out: &mut dyn Write, style: Style, file: &Path) -> io::Result<()> {
    let file = file.display();
    let words = format!("{file} is of an older plan: sign the new one, or remove it");
    warning(out, style, &words)
}

/// Asks for the passphrase of a key and stays on the line.
///
/// # Errors
/// What `out` says.
pub fn passphrase(out: &mut dyn Write, style: Style, key: &KeyName) -> io::Result<()> {
    let question = format!("Passphrase of the key {key}:");
    write!(out, "{} ", style.paint(Tone::Strong, &question))
}

/// A judgement in words, behind `Signature:`, and its colour.
pub(in crate::render) fn words(judgement: &Judgement) -> (String, Tone) {
    match judgement {
        Ok(signer) => (format!("by {signer}"), Tone::Good),
        Err(Refusal::Unsigned) => ("none".to_owned(), Tone::Faint),
        Err(refusal @ (Refusal::UnknownKey { .. } | Refusal::NobodyAllowed { .. })) => {
            (refusal.to_string(), Tone::Caution)
        }
        Err(refusal) => (refusal.to_string(), Tone::Bad),
    }
}

/// A judgement for programs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Signature")]
pub(in crate::render) struct SignatureJson<'a> {
    /// `good`, `none`, `unknown_key` or `refused`.
    #[schemars(extend("enum" = ["good", "none", "unknown_key", "refused"]))]
    status: &'static str,
    /// The principals of an allowed signer.
    signer: Option<&'a str>,
    /// What it was made with, where that is known.
    key: Option<KeyJson<'a>>,
    /// Why it does not count.
    reason: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
struct KeyJson<'a> {
    /// Such as `ssh-ed25519`.
    kind: &'a str,
    /// As ssh-keygen writes it: `SHA256:` and base64.
    fingerprint: &'a str,
}

impl<'a> SignatureJson<'a> {
    pub(in crate::render) fn new(judgement: &'a Judgement) -> Self {
        let (status, signer, key) = match judgement {
            Ok(signer) => ("good", Some(signer.principals.as_str()), Some(&signer.key)),
            Err(Refusal::Unsigned) => ("none", None, None),
            Err(Refusal::UnknownKey { key, .. } | Refusal::NobodyAllowed { key }) => {
                ("unknown_key", None, Some(key))
            }
            Err(refusal) => ("refused", None, refusal.key()),
        };
        Self {
            status,
            signer,
            key: key.map(|key| KeyJson {
                kind: &key.kind,
                fingerprint: &key.fingerprint,
            }),
            reason: judgement.as_ref().err().map(ToString::to_string),
        }
    }
}
