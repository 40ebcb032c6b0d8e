//! Text edits: a prefix or suffix that comes, goes or changes, and a replacement.

use super::bytes::is_text;
use super::{Format, Outcome, unreadable};

pub(super) fn read(from: &Format, to: &Format, value: &[u8]) -> Outcome {
    let text = match std::str::from_utf8(value) {
        Ok(text) if is_text(value) => text,
        _ => return unreadable(from, to),
    };
    // Of two ends that one value can have both, the longer says more.
    let new = end(to).filter(|_| has(to, text));
    let old = end(from).filter(|_| has(from, text));
    let edited = match (from, to) {
        (_, Format::Replace { replace, with }) => text
            .contains(replace.as_str())
            .then(|| text.replace(replace.as_str(), with)),
        (Format::Text, _) => new.is_none().then(|| joined(to, text)),
        (_, Format::Text) => old.map(|_| bare(from, text).to_owned()),
        _ => match (old, new) {
            (None, None) => return unreadable(from, to),
            (old, new) if new.map(str::len) > old.map(str::len) => None,
            _ => Some(joined(to, bare(from, text))),
        },
    };
    edited.map_or(Outcome::Already, |edited| {
        Outcome::Converted(edited.into_bytes())
    })
}

fn end(format: &Format) -> Option<&str> {
    match format {
        Format::Prefix(end) | Format::Suffix(end) => Some(end),
        _ => None,
    }
}

fn has(format: &Format, text: &str) -> bool {
    bare(format, text).len() < text.len()
}

/// The text without its prefix or suffix, if it has it.
fn bare<'a>(format: &Format, text: &'a str) -> &'a str {
    match format {
        Format::Prefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(text),
        Format::Suffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(text),
        _ => text,
    }
}

fn joined(format: &Format, text: &str) -> String {
    match format {
        Format::Prefix(prefix) => format!("{prefix}{text}"),
        Format::Suffix(suffix) => format!("{text}{suffix}"),
        _ => text.to_owned(),
    }
}
