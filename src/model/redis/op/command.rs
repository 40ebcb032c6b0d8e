//! `command = ["…"]`: one raw command, for what no other operation says.

use crate::model::redis::printable::printable;

/// Runs one command where its check fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command and its arguments.
    pub run: Vec<Vec<u8>>,
    /// A reading command. Its check passes unless it answers with an error, nil, 0, false or nothing.
    pub check: Vec<Vec<u8>>,
    /// What undoes it.
    pub undo: Option<Vec<Vec<u8>>>,
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self.run.iter().map(|word| printable(word)).collect();
        write!(f, "command {}", words.join(" "))
    }
}
