//! The streams, and what is known about them.

use std::io::{IsTerminal as _, Write as _};

use crate::cli::args::{Colour, Globals};
use crate::cli::error::CliError;
use crate::engine::ApplyError;
use crate::render::Style;

/// The streams of the process: data goes to stdout; progress, prompts, hints and errors to stderr.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    stdout: Style,
    stderr: Style,
    /// Whether errors are for programs, as the rest of the output is.
    json: bool,
}

impl Output {
    pub(super) fn new(globals: &Globals, json: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = |terminal: bool| match globals.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !no_colour,
        };
        let width = |terminal: &console::Term| {
            usize::from(terminal.size_checked().map_or(100, |(_, columns)| columns))
        };
        Self {
            stdout: Style {
                colour: colour(std::io::stdout().is_terminal()),
                width: width(&console::Term::stdout()),
                whole: !std::io::stdout().is_terminal(),
            },
            stderr: Style {
                colour: colour(std::io::stderr().is_terminal()),
                width: width(&console::Term::stderr()),
                whole: !std::io::stderr().is_terminal(),
            },
            json,
        }
    }

    /// Writes a screen to stdout. A reader that has gone away, such as `head`, is no error.
    pub(super) fn print(
        &self,
        screen: impl FnOnce(&mut dyn std::io::Write, Style) -> std::io::Result<()>,
    ) -> Result<(), CliError> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        screen(&mut out, self.stdout)
            .and_then(|()| out.flush())
            .map_err(CliError::from_write)
    }

    /// Writes a screen to stderr. What cannot be said there cannot be said anywhere.
    pub(super) fn tell(
        &self,
        screen: impl FnOnce(&mut dyn std::io::Write, Style) -> std::io::Result<()>,
    ) {
        let mut err = std::io::stderr().lock();
        let _ = screen(&mut err, self.stderr).and_then(|()| err.flush());
    }

    /// Says what went wrong and what to do next.
    pub(super) fn error(&self, error: &CliError) {
        let (message, hint) = (error.to_string(), error.hint());
        let (hint, code) = (hint.as_deref(), error.exit().code());
        self.tell(|out, style| match error {
            CliError::Apply(ApplyError::Stale(differences)) if self.json => {
                crate::render::stale_json(out, differences, hint, code)
            }
            CliError::Apply(ApplyError::Stale(differences)) => {
                crate::render::stale(out, style, differences, hint)
            }
            _ if self.json => crate::render::error_json(out, &message, hint, code),
            _ => crate::render::error(out, style, &message, hint),
        });
    }

    /// Whether a person sees stderr.
    pub(super) fn live(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Whether a person sees both streams, one below the other: what one has said, the other need not repeat.
    pub(super) fn is_one_terminal(&self) -> bool {
        self.live() && std::io::stdout().is_terminal()
    }

    /// How stderr is drawn.
    pub(super) fn stderr_style(&self) -> Style {
        self.stderr
    }
}
