//! Signing the plans that are saved, and finding out who signed those that are applied or shown.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Zoned;

use crate::cli::args::Globals;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::prompt;
use crate::model::config::SigningConfig;
use crate::model::plan::Plan;
use crate::model::signing::{
    self, AllowedSigners, Judgement, KeyProblem, Refusal, Signed, Signer, SigningKey,
};
use crate::plan_file::signature::{self as files, SignatureFileError};
use crate::plan_file::{self, PlanFile};
use crate::render;
use crate::source;

/// How a saved plan is signed; `plan` and `cleanup` share it.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// Sign the saved plan with this SSH private key, into FILE.sig
    #[arg(long, value_name = "KEY", requires = "out")]
    sign: Option<PathBuf>,
}

/// An opened key, and the file that it is from.
pub(super) struct Key {
    path: PathBuf,
    key: SigningKey,
}

impl Key {
    fn refused(path: &Path, problem: KeyProblem) -> CliError {
        let path = path.to_owned();
        SignatureFileError::Key { path, problem }.into()
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signed, CliError> {
        self.key
            .sign(bytes)
            .map_err(|problem| Self::refused(&self.path, problem))
    }
}

impl Sign {
    /// Checks where the plan goes and reads the key, and asks for its passphrase where it has one: before any work
    /// is done.
    pub(super) fn key(&self, out: Option<&Path>, output: &Output) -> Result<Option<Key>, CliError> {
        out.map(plan_file::check).transpose()?;
        let (Some(path), Some(out)) = (&self.sign, out) else {
            return Ok(None);
        };
        if std::fs::metadata(out).is_ok_and(|found| !found.is_file()) {
            return Err(CliError::NothingBeside(out.to_owned()));
        }
        let mut key = files::key(path)?;
        if key.is_locked() {
            if !std::io::stderr().is_terminal() {
                return Err(CliError::LockedKey(path.clone()));
            }
            let passphrase = prompt::passphrase(output, &key.name())?;
            key = key
                .unlock(&passphrase)
                .map_err(|problem| Key::refused(path, problem))?;
        }
        Ok(Some(Key {
            path: path.clone(),
            key,
        }))
    }
}

/// Saves a plan, and its signature beside it.
pub(super) fn save(
    path: &Path,
    plan: &Plan,
    key: Option<&Key>,
    output: &Output,
) -> Result<(), CliError> {
    let file = PlanFile::of(path, plan)?;
    let signed = key.map(|key| key.sign(file.bytes())).transpose()?;
    file.save()?;
    let beside = files::beside(path);
    if let Some(signed) = signed {
        files::write(path, &signed)?;
        output.tell(|out, style| render::signed(out, style, &beside, &signed.key));
    } else if beside.exists() {
        output.tell(|out, style| render::older_signature(out, style, &beside));
    }
    Ok(())
}

/// Whose signatures count. A plan has no say in it.
pub(super) struct Trust {
    allowed: Option<AllowedSigners>,
    required: bool,
    now: Zoned,
}

impl Trust {
    /// By the flag, which then requires a signature, or else by the configuration.
    pub(super) fn new(
        flag: Option<&Path>,
        config: &SigningConfig,
        globals: &Globals,
    ) -> Result<Self, CliError> {
        let now = Zoned::now();
        let folder = source::folder_of(&globals.config);
        let path = match flag {
            Some(path) => Some(path.to_owned()),
            None => config.allowed_signers.as_ref().map(|p| folder.join(p)),
        };
        let allowed = path
            .map(|path| files::allowed_signers(&path, now.time_zone()))
            .transpose()?;
        Ok(Self {
            allowed,
            required: flag.is_some() || config.required,
            now,
        })
    }

    /// For a command that works without `outpost.toml`: it is read only where there is one.
    pub(super) fn where_configured(
        flag: Option<&Path>,
        globals: &Globals,
    ) -> Result<Self, CliError> {
        let config = match flag {
            None if globals.config.exists() => source::signing_config(&globals.config)?,
            _ => SigningConfig::default(),
        };
        Self::new(flag, &config, globals)
    }

    /// Judges the signature that lies beside a plan file, over the bytes that were read of it.
    pub(super) fn judge(&self, file: &PlanFile) -> Result<Judgement, CliError> {
        let signature = files::read(file.path())?;
        Ok(signing::judge(
            file.bytes(),
            signature.as_deref(),
            self.allowed.as_ref(),
            &self.now,
        ))
    }

    /// Who signed a plan that is to be applied; `None` for one that nobody has to sign.
    pub(super) fn signer(&self, file: &PlanFile) -> Result<Option<Signer>, CliError> {
        // Without a list nobody asked for signatures, and what lies beside the plan may be anything.
        if self.allowed.is_none() {
            return Ok(None);
        }
        match self.judge(file)? {
            Ok(signer) => Ok(Some(signer)),
            Err(Refusal::Unsigned) if !self.required => Ok(None),
            Err(refusal) => Err(CliError::Signature {
                plan: file.path().to_owned(),
                refusal: Box::new(refusal),
            }),
        }
    }

    /// Refuses a plan that is made and applied in one go, where plans have to be signed.
    pub(super) fn allow_unsaved(&self, save: &'static str) -> Result<(), CliError> {
        if self.required {
            return Err(CliError::UnsignedByNature { save });
        }
        Ok(())
    }
}
