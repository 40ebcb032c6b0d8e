use clap::Args;
use clap_complete::Shell;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Print a completion script for a shell
///
/// For bash, for example: outpost completions bash > /etc/bash_completion.d/outpost
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, command: &mut clap::Command) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "outpost", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)
            .map_err(CliError::from_write)?;
        Ok(Exit::Done)
    }
}
