//! Keeps the recursive parser from running out of stack.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

/// Above this, a text is not parsed at all. Postgres itself gives up earlier (`max_stack_depth`).
const REFUSED: usize = 20_000;
/// Up to this, the caller's stack is enough: a level takes under a kilobyte.
const INLINE: usize = 500;
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Why no tree came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unparsed {
    /// Expressions are nested deeper than any server accepts.
    TooDeep,
    /// The parser panicked: a fault of ours or of the parser, never of the caller.
    ParserFault,
}

/// Runs `parse` with stack enough for `text`.
///
/// A panic is caught here, so that one odd file cannot end a run that is in the middle of an apply.
pub(crate) fn with_stack_for<T: Send>(
    text: &str,
    parse: impl FnOnce() -> T + Send,
) -> Result<T, Unparsed> {
    let guarded = || catch_unwind(AssertUnwindSafe(parse)).map_err(|_| Unparsed::ParserFault);
    match depth_bound(text) {
        0..=INLINE => guarded(),
        depth if depth <= REFUSED => thread::scope(|scope| {
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, guarded)
                .map_err(|_| Unparsed::TooDeep)?
                .join()
                .unwrap_or(Err(Unparsed::ParserFault))
        }),
        _ => Err(Unparsed::TooDeep),
    }
}

/// An upper bound for how deep the parser can recurse: tokens since the last comma, summed over the open
/// brackets. Strings and comments are skipped, bodies in dollar quotes are measured by themselves.
fn depth_bound(text: &str) -> usize {
    let mut deepest = 0;
    let mut bodies = vec![text];
    while let Some(body) = bodies.pop() {
        deepest = deepest.max(depth_of(body, &mut bodies));
    }
    deepest
}

fn depth_of<'a>(text: &'a str, bodies: &mut Vec<&'a str>) -> usize {
    let bytes = text.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    let (mut here, mut outer, mut deepest) = (0_usize, 0_usize, 0_usize);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let mut next = at + 1;
        match byte {
            b'(' | b'[' => {
                open.push(here + 1);
                outer += here + 1;
                here = 0;
            }
            b')' | b']' => {
                if let Some(before) = open.pop() {
                    outer -= before;
                    here = before;
                }
            }
            b',' | b';' => here = 0,
            b'\'' | b'"' => {
                let escapes = byte == b'\'' && at > 0 && matches!(bytes[at - 1], b'e' | b'E');
                next = end_of_quote(bytes, at, escapes);
                here += 1;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                next = text[at..].find(['\n', '\r']).map_or(text.len(), |n| at + n);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => next = end_of_comment(bytes, at),
            b'$' => {
                here += 1;
                if let Some((body, end)) = dollar_body(text, at) {
                    bodies.push(body);
                    next = end;
                }
            }
            _ if byte.is_ascii_whitespace() => {}
            _ if is_word(byte) => {
                here += 1;
                while bytes.get(next).copied().is_some_and(is_word) {
                    next += 1;
                }
            }
            _ => here += 1,
        }
        deepest = deepest.max(outer + here);
        at = next;
    }
    deepest
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn end_of_quote(bytes: &[u8], start: usize, escapes: bool) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if escapes => at += 2,
            _ if byte == bytes[start] => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The offset behind the block comment that starts at `start`; comments nest.
pub(super) fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut level) = (start + 2, 1);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (at, level) = (at + 2, level + 1),
            b"*/" => (at, level) = (at + 2, level - 1),
            _ => at += 1,
        }
        if level == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The content of the dollar-quoted string that starts at `start`, and the offset behind it.
fn dollar_body(text: &str, start: usize) -> Option<(&str, usize)> {
    let tag_length = text[start + 1..].find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let open_end = start + 1 + tag_length;
    if !text[open_end..].starts_with('$')
        || text[start + 1..].starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let tag = &text[start..=open_end];
    let body = &text[open_end + 1..];
    let length = body.find(tag).unwrap_or(body.len());
    let end = (open_end + 1 + length + tag.len()).min(text.len());
    Some((&body[..length], end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_nesting_counts_not_length() {
        let rows = format!("insert into t values {};", "(1, 'a b c'), ".repeat(50_000));
        let prose = format!(
            "select '{}', $$ {} $$",
            "word ".repeat(50_000),
            "w, ".repeat(9)
        );
        let script = "update t set a = 1 where b = 2;\n".repeat(50_000);
        let comment = format!(
            "/* {} */ select 1 -- {}",
            "( ".repeat(50_000),
            "[ ".repeat(50_000)
        );
        for text in [rows, prose, script, comment] {
            assert!(depth_bound(&text) < 30, "{}", depth_bound(&text));
        }
    }

    #[test]
    fn nesting_is_seen_behind_strings_escapes_and_bodies() {
        let deep = "(".repeat(1_000);
        for text in [
            format!("select {deep}"),
            format!("select e'\\'' || {deep}"),
            format!("select $$ it's $$ || {deep}"),
            format!("create function f() language sql as $f$ select {deep} $f$"),
            format!("select '(' ; select 1 {deep}"),
            "not ".repeat(1_000),
        ] {
            assert!(depth_bound(&text) >= 1_000, "{}", &text[..30]);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), sql in "[-a$'\"/*();e\\\\ é]{0,40}") {
            depth_bound(&text);
            depth_bound(&sql);
        }
    }
}
