//! How a screen is drawn: with or without colour, and how wide.

use console::Style as Ansi;

/// How to draw. It is given, never found out: a screen knows nothing of terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour.
    pub colour: bool,
    /// Columns; lines that may be cut are cut there.
    pub width: usize,
    /// Whether rows are whole, however long: in a pipe or a file nobody can make the window wider.
    pub whole: bool,
}

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Done, in place, added.
    Good,
    /// Failed, lost, removed.
    Bad,
    /// To be looked at.
    Caution,
    /// Neither good nor bad, and worth telling apart.
    Note,
    /// Headings.
    Strong,
    /// Of less weight.
    Faint,
}

impl Style {
    /// Without colour, this many columns wide.
    pub fn plain(width: usize) -> Self {
        Self {
            colour: false,
            width,
            whole: false,
        }
    }

    /// Where the row of a table ends.
    pub(super) fn row_end(self) -> usize {
        if self.whole { usize::MAX } else { self.width }
    }

    /// Paints text that is safe to show already.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        // The caller decided whether to colour; the library must not ask the environment again.
        let ansi = Ansi::new().force_styling(true);
        let ansi = match tone {
            Tone::Good => ansi.green(),
            Tone::Bad => ansi.red(),
            Tone::Caution => ansi.yellow(),
            Tone::Note => ansi.cyan(),
            Tone::Strong => ansi.bold(),
            Tone::Faint => ansi.dim(),
        };
        ansi.apply_to(text).to_string()
    }

    /// The columns that are left beside an indent, but never too few to say anything.
    pub(super) fn room(self, indent: usize) -> usize {
        self.width.saturating_sub(indent).max(16)
    }
}
