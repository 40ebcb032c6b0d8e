//! Transaction control: what may wrap a script, and what it must not hold.

use squawk_syntax::{SyntaxKind, SyntaxNode, SyntaxToken};

use super::tree;

/// What a statement does to the transaction that it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Nothing.
    None,
    /// A plain BEGIN or START TRANSACTION.
    Begin,
    /// A BEGIN with an isolation level or another mode.
    BeginWithModes,
    /// A plain COMMIT or END.
    Commit,
    /// ROLLBACK, savepoints, two-phase commit, AND CHAIN, SET TRANSACTION.
    Other,
}

pub(super) fn control_of(statement: &SyntaxNode) -> Control {
    match statement.kind() {
        SyntaxKind::BEGIN => match tree::child(statement, SyntaxKind::TRANSACTION_MODE_LIST) {
            Some(modes) if tree::tokens(&modes).next().is_some() => Control::BeginWithModes,
            _ => Control::Begin,
        },
        SyntaxKind::COMMIT_TRANSACTION => match tree::child(statement, SyntaxKind::AND_CHAIN) {
            Some(_) => Control::Other,
            None => Control::Commit,
        },
        SyntaxKind::ROLLBACK_TRANSACTION
        | SyntaxKind::ROLLBACK_TO_SAVEPOINT
        | SyntaxKind::ROLLBACK_PREPARED
        | SyntaxKind::COMMIT_PREPARED
        | SyntaxKind::PREPARE_TRANSACTION
        | SyntaxKind::SAVEPOINT_CREATE
        | SyntaxKind::RELEASE_SAVEPOINT
        | SyntaxKind::SET_TRANSACTION => Control::Other,
        _ => Control::None,
    }
}

/// Transaction control in a text that the parser need not understand: the first statement that starts with
/// such words, going by semicolons alone.
///
/// `END` is only taken for a COMMIT while no `BEGIN ATOMIC` body can be open.
pub(super) fn control_by_words(root: &SyntaxNode) -> Option<SyntaxToken> {
    let tokens: Vec<SyntaxToken> = tree::tokens(root).collect();
    let mut at_start = true;
    let mut in_body = false;
    for (at, token) in tokens.iter().enumerate() {
        let behind = |steps: usize| tokens.get(at + steps).map(SyntaxToken::kind);
        let next = behind(1);
        let controls = match token.kind() {
            SyntaxKind::BEGIN_KW => next != Some(SyntaxKind::ATOMIC_KW),
            SyntaxKind::END_KW => !in_body,
            SyntaxKind::START_KW | SyntaxKind::PREPARE_KW => {
                next == Some(SyntaxKind::TRANSACTION_KW)
            }
            SyntaxKind::SET_KW => {
                next == Some(SyntaxKind::TRANSACTION_KW)
                    || behind(2) == Some(SyntaxKind::CHARACTERISTICS_KW)
            }
            SyntaxKind::COMMIT_KW
            | SyntaxKind::ROLLBACK_KW
            | SyntaxKind::ABORT_KW
            | SyntaxKind::SAVEPOINT_KW
            | SyntaxKind::RELEASE_KW => true,
            _ => false,
        };
        if at_start && controls {
            return Some(token.clone());
        }
        in_body |= token.kind() == SyntaxKind::ATOMIC_KW;
        at_start = token.kind() == SyntaxKind::SEMICOLON;
    }
    None
}
