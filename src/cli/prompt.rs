//! Questions to the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _};

use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::model::secret::Secret;
use crate::model::signing::KeyName;

/// Asks; anything but `yes` is a no. Without a terminal nobody can answer: that is an error and never a
/// silent no.
pub(super) fn confirm(output: &Output, question: &str) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::NobodyToAsk);
    }
    output.tell(|out, style| crate::render::question(out, style, question));
    let mut answer = String::new();
    let read = stdin
        .lock()
        .read_line(&mut answer)
        .map_err(CliError::Prompt)?;
    if read == 0 {
        return Err(CliError::NobodyToAsk);
    }
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(CliError::Declined)
    }
}

/// Asks for the passphrase of a key; what is typed is not shown. The caller has seen that there is a terminal.
pub(super) fn passphrase(output: &Output, key: &KeyName) -> Result<Secret, CliError> {
    output.tell(|out, style| crate::render::passphrase(out, style, key));
    console::Term::stderr()
        .read_secure_line()
        .map(Secret::new)
        .map_err(CliError::Prompt)
}
