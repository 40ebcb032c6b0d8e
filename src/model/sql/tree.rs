//! Small questions to the syntax tree.

use squawk_syntax::{SyntaxKind, SyntaxNode, SyntaxToken};

/// The longest excerpt of a statement in a message, in characters.
const EXCERPT: usize = 80;

/// The first child of a kind.
pub(super) fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// Whether a keyword stands directly under the node.
pub(super) fn has_keyword(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens()
        .any(|element| element.as_token().is_some_and(|token| token.kind() == kind))
}

/// The first node of a kind at or below the node.
pub(super) fn descendant(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.descendants().find(|child| child.kind() == kind)
}

/// The tokens that mean something: no white space, no comments.
pub(super) fn tokens(node: &SyntaxNode) -> impl Iterator<Item = SyntaxToken> {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia())
}

/// The last identifier of a call's name, in lower case: `gen_random_uuid` for `pg_catalog.gen_random_uuid()`.
pub(super) fn called_function(call: &SyntaxNode) -> Option<String> {
    let name = call.children().next()?;
    let last = name
        .descendants()
        .filter(|part| part.kind() == SyntaxKind::NAME_REF)
        .last()?;
    Some(super::name::identifier(&last))
}

/// A text on one line, cut to a readable length.
pub(super) fn excerpt(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        if line.chars().count() > EXCERPT {
            break;
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.chars().count() > EXCERPT {
        line = line.chars().take(EXCERPT - 3).collect();
        line.push_str("...");
    }
    line
}
