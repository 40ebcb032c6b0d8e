//! Source text with line numbers and colours.

use crate::render::highlight::{Part, Piece, sql, toml};
use crate::render::text::{block, html};

/// What a source text is written in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Language {
    Sql,
    Toml,
}

/// Lines beyond which a text is folded away.
const LONG: usize = 60;

/// A source text whose first line has the number `first`; a long one is folded away.
pub(super) fn source(text: &str, first: u32, language: Language) -> String {
    let text = block(text);
    let text = text.trim_end_matches('\n');
    let lines = text.split('\n').count();
    let pieces = match language {
        Language::Sql => sql(text),
        Language::Toml => toml(text),
    };
    let code = numbered(text, &pieces, first);
    if lines <= LONG {
        return code;
    }
    format!("<details class=\"long\"><summary>{lines} lines</summary>\n{code}</details>\n")
}

/// A line is an element, with its number in an attribute: who copies the text does not copy the numbers.
fn numbered(text: &str, pieces: &[Piece], first: u32) -> String {
    let mut number = u64::from(first);
    let mut out = format!("<pre class=\"code\"><span data-n=\"{number}\">");
    for (part, range) in pieces {
        for (at, line) in text[range.clone()].split('\n').enumerate() {
            if at > 0 {
                number += 1;
                out.push_str(&format!("\n</span><span data-n=\"{number}\">"));
            }
            match class(*part) {
                Some(class) if !line.is_empty() => {
                    out.push_str(&format!("<i class=\"{class}\">{}</i>", html(line)));
                }
                _ => out.push_str(&html(line)),
            }
        }
    }
    out.push_str("\n</span></pre>\n");
    out
}

fn class(part: Part) -> Option<&'static str> {
    Some(match part {
        Part::Keyword => "k",
        Part::Key => "f",
        Part::Text => "s",
        Part::Number => "n",
        Part::Comment => "c",
        Part::Plain => return None,
    })
}
