//! What the parts of SQL and TOML are, so that a page can tell them apart.

use std::ops::Range;

use squawk_syntax::{SourceFile, SyntaxKind, SyntaxToken};
use toml_parser::lexer::TokenKind;

use crate::model::sql::with_stack_for;

/// What a part of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A word of the language.
    Keyword,
    /// The key of a TOML file.
    Key,
    /// A string.
    Text,
    Number,
    Comment,
    /// Names, operators, white space.
    Plain,
}

/// A part, and the bytes that it takes.
pub(super) type Piece = (Part, Range<usize>);

/// The parts of SQL, in order, without gaps. What cannot be parsed is one plain part.
pub(super) fn sql(text: &str) -> Vec<Piece> {
    with_stack_for(text, || sql_parts(text)).unwrap_or_else(|_| vec![(Part::Plain, 0..text.len())])
}

fn sql_parts(text: &str) -> Vec<Piece> {
    let root = SourceFile::parse(text).syntax_node();
    let mut parts = Vec::new();
    for token in root
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
    {
        let range: Range<usize> = token.text_range().into();
        match token.kind() {
            SyntaxKind::DOLLAR_QUOTED_STRING if is_body(&token) => {
                let body = body(token.text());
                let inner = range.start + body.start..range.start + body.end;
                parts.push((Part::Text, range.start..inner.start));
                let words = sql_parts(&text[inner.clone()]);
                parts.extend(
                    words
                        .into_iter()
                        .map(|(part, at)| (part, inner.start + at.start..inner.start + at.end)),
                );
                parts.push((Part::Text, inner.end..range.end));
            }
            kind => parts.push((sql_part(kind, &token), range)),
        }
    }
    parts
}

fn sql_part(kind: SyntaxKind, token: &SyntaxToken) -> Part {
    match kind {
        SyntaxKind::STRING
        | SyntaxKind::ESC_STRING
        | SyntaxKind::UNICODE_ESC_STRING
        | SyntaxKind::BIT_STRING
        | SyntaxKind::BYTE_STRING
        | SyntaxKind::NATIONAL_STRING
        | SyntaxKind::DOLLAR_QUOTED_STRING => Part::Text,
        SyntaxKind::INT_NUMBER | SyntaxKind::NUMERIC_NUMBER => Part::Number,
        SyntaxKind::COMMENT => Part::Comment,
        kind if kind.is_keyword() && !is_name(token) => Part::Keyword,
        _ => Part::Plain,
    }
}

/// Whether a token names something, such as a column called `name`. The grammar has a kind for the name of
/// every sort of thing; the end of its own name is what they share.
fn is_name(token: &SyntaxToken) -> bool {
    token.parent().is_some_and(|parent| {
        let kind = format!("{:?}", parent.kind());
        ["NAME", "NAME_REF", "PATH_SEGMENT", "PATH_SEGMENT_REF"]
            .iter()
            .any(|end| kind.ends_with(end))
    })
}

/// Whether a string is the body of a function or of DO.
fn is_body(token: &SyntaxToken) -> bool {
    token.parent_ancestors().any(|node| {
        matches!(
            node.kind(),
            SyntaxKind::CREATE_FUNCTION | SyntaxKind::CREATE_PROCEDURE | SyntaxKind::DO
        )
    })
}

/// What stands between the tags of a dollar-quoted string; nothing where one is missing.
fn body(text: &str) -> Range<usize> {
    let tag = text
        .get(1..)
        .and_then(|rest| rest.find('$'))
        .map_or(0, |end| end + 2);
    if tag > 0 && text.len() >= 2 * tag && text.ends_with(&text[..tag]) {
        tag..text.len() - tag
    } else {
        text.len()..text.len()
    }
}

/// The parts of TOML, in order, without gaps.
pub(super) fn toml(text: &str) -> Vec<Piece> {
    let mut parts: Vec<Piece> = Vec::new();
    let mut end = 0;
    // Before the equals sign of a line or of an inline table, and in a table's header, words are keys.
    let mut key = true;
    let mut nested: Vec<TokenKind> = Vec::new();
    for token in toml_parser::Source::new(text).lex() {
        let range = token.span().start()..token.span().end();
        let part = match token.kind() {
            TokenKind::Comment => Part::Comment,
            TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString
            | TokenKind::Atom
                if key =>
            {
                Part::Key
            }
            TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString => Part::Text,
            TokenKind::Atom => match text[range.clone()].chars().next() {
                Some(first) if first.is_ascii_digit() || "+-".contains(first) => Part::Number,
                _ => Part::Keyword,
            },
            _ => Part::Plain,
        };
        match token.kind() {
            TokenKind::Equals => key = false,
            TokenKind::LeftCurlyBracket => {
                nested.push(TokenKind::LeftCurlyBracket);
                key = true;
            }
            TokenKind::LeftSquareBracket if !key => nested.push(TokenKind::LeftSquareBracket),
            TokenKind::RightCurlyBracket => {
                nested.pop();
                key = false;
            }
            TokenKind::RightSquareBracket if !key => {
                nested.pop();
            }
            TokenKind::Comma => key = nested.last() == Some(&TokenKind::LeftCurlyBracket),
            TokenKind::Newline if nested.is_empty() => key = true,
            _ => {}
        }
        // A byte order mark is in no token.
        if range.start > end {
            parts.push((Part::Plain, end..range.start));
        }
        end = range.end;
        parts.push((part, range));
    }
    if end < text.len() {
        parts.push((Part::Plain, end..text.len()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The parts that are not plain.
    fn marked(parts: Vec<Piece>, text: &str) -> Vec<(Part, &str)> {
        parts
            .into_iter()
            .filter(|(part, _)| *part != Part::Plain)
            .map(|(part, range)| (part, &text[range]))
            .filter(|(_, text)| !text.is_empty())
            .collect()
    }

    #[test]
    fn sql_has_keywords_strings_numbers_and_comments() {
        let text = "ALTER TABLE t ADD COLUMN name text DEFAULT 'a''b' -- why\n";
        assert_eq!(
            marked(sql(text), text),
            [
                (Part::Keyword, "ALTER"),
                (Part::Keyword, "TABLE"),
                (Part::Keyword, "ADD"),
                (Part::Keyword, "COLUMN"),
                (Part::Keyword, "DEFAULT"),
                (Part::Text, "'a''b'"),
                (Part::Comment, "-- why"),
            ]
        );
        let text = "UPDATE t SET type = 1.5 WHERE value IS NULL";
        assert_eq!(
            marked(sql(text), text),
            [
                (Part::Keyword, "UPDATE"),
                (Part::Keyword, "SET"),
                (Part::Number, "1.5"),
                (Part::Keyword, "WHERE"),
                (Part::Keyword, "IS"),
                (Part::Keyword, "NULL"),
            ]
        );
    }

    #[test]
    fn the_body_of_a_function_is_read_and_another_string_is_not() {
        let text = "DO $a$ SELECT 'x' $a$";
        assert_eq!(
            marked(sql(text), text),
            [
                (Part::Keyword, "DO"),
                (Part::Text, "$a$"),
                (Part::Keyword, "SELECT"),
                (Part::Text, "'x'"),
                (Part::Text, "$a$"),
            ]
        );
        let text = "COMMENT ON TABLE t IS $$select nothing$$";
        assert!(marked(sql(text), text).contains(&(Part::Text, "$$select nothing$$")));
    }

    #[test]
    fn toml_has_keys_and_values() {
        let text = "a = \"x\" # y\n[[step]]\nf = { b = 1, c = [true, 'z'] }\n";
        assert_eq!(
            marked(toml(text), text),
            [
                (Part::Key, "a"),
                (Part::Text, "\"x\""),
                (Part::Comment, "# y"),
                (Part::Key, "step"),
                (Part::Key, "f"),
                (Part::Key, "b"),
                (Part::Number, "1"),
                (Part::Key, "c"),
                (Part::Keyword, "true"),
                (Part::Text, "'z'"),
            ]
        );
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_text(text in any::<String>(), odd in "[-a$'\"=\\[\\]{}# \n/*é]{0,60}") {
            for text in [&text, &odd] {
                for parts in [sql(text), toml(text)] {
                    let together: String = parts.into_iter().map(|(_, range)| &text[range]).collect();
                    prop_assert_eq!(&together, text);
                }
            }
        }
    }
}
