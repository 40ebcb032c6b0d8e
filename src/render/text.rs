//! Text from servers, files and keys, made fit for a screen.
//!
//! Nothing foreign reaches an output raw: it passes [`line`] or [`block`] first, and is painted after.

use std::io::{self, Write};

use console::{measure_text_width, truncate_str};

use crate::model::redis::printable::hides;
use crate::render::style::{Style, Tone};

/// Foreign text on one line: whatever moves the cursor, reorders the line or hides becomes a visible
/// escape such as `\n`, `\x1b` or `\u{202e}`.
pub fn line(text: &str) -> String {
    escape(text, false)
}

/// Foreign text that may have several lines, such as SQL: line ends stay, a tab becomes four spaces, and
/// everything else is as in [`line`].
pub fn block(text: &str) -> String {
    escape(&text.replace("\r\n", "\n"), true)
}

fn escape(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if lines => out.push('\n'),
            '\t' if lines => out.push_str("    "),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if hides(c) && u32::from(c) < 0x100 => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c if hides(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// SQL on one line: runs of white space as one space.
pub(super) fn squeezed(sql: &str) -> String {
    line(&sql.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Cuts safe text to this many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    truncate_str(text, columns, "…").into_owned()
}

/// Columns that safe text takes; colours take none.
pub(super) fn columns(text: &str) -> usize {
    measure_text_width(text)
}

/// Fills safe text up with spaces.
pub(super) fn padded(text: &str, width: usize) -> String {
    format!(
        "{text}{}",
        " ".repeat(width.saturating_sub(measure_text_width(text)))
    )
}

/// Breaks safe text at spaces, so that no line is wider than `width`. A longer word is broken behind a `/` or a `_`,
/// so that names of migrations and files stay legible; one with neither stands alone.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in words(paragraph) {
            // An address is for copying.
            if columns(&word) > width && !word.contains("://") {
                let mut space = !line.is_empty();
                for piece in word.split_inclusive(['/', '_']) {
                    let taken = columns(&line) + usize::from(space) + columns(piece);
                    if !line.is_empty() && taken > width {
                        lines.push(std::mem::take(&mut line));
                        space = false;
                    }
                    if std::mem::take(&mut space) {
                        line.push(' ');
                    }
                    line.push_str(piece);
                }
                continue;
            }
            if !line.is_empty() && columns(&line) + 1 + columns(&word) > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines
}

/// Writes safe text over as many lines as it takes.
pub(super) fn paragraph(
    out: &mut dyn Write,
    style: Style,
    tone: Tone,
    text: &str,
) -> io::Result<()> {
    wrapped(text, style.room(0))
        .iter()
        .try_for_each(|text| writeln!(out, "{}", style.paint(tone, text)))
}

/// Writes a name, painted already, and safe words beside it; where they have no room there, below it.
pub(super) fn beside(out: &mut dyn Write, style: Style, name: &str, words: &str) -> io::Result<()> {
    const INDENT: usize = 4;
    if columns(name) + 2 + columns(words) <= style.width {
        return writeln!(out, "{name}  {words}");
    }
    let mut margin = 0;
    for text in wrapped(name, style.room(INDENT)) {
        writeln!(out, "{}{text}", " ".repeat(margin))?;
        margin = INDENT;
    }
    wrapped(words, style.room(INDENT))
        .iter()
        .try_for_each(|text| writeln!(out, "{}{text}", " ".repeat(INDENT)))
}

/// The words of a line; a number keeps its unit.
fn words(text: &str) -> Vec<String> {
    const UNITS: [&str; 12] = [
        "ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
    ];
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let unit = UNITS.contains(&word.trim_end_matches([',', ';', ')']));
        match words.last_mut() {
            Some(number) if unit && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push_str(&format!(" {word}"));
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Text between the tags of HTML, or in an attribute: safe to show, and nothing in it is markup.
pub(super) fn html(text: &str) -> String {
    entities(&line(text), |c| matches!(c, '&' | '<' | '>' | '"' | '\''))
}

/// As [`html`], with line ends kept.
pub(super) fn html_block(text: &str) -> String {
    entities(&block(text), |c| matches!(c, '&' | '<' | '>' | '"' | '\''))
}

/// Text in a line of Markdown or of the HTML inside it. Entities are text in both, so nothing is
/// emphasis, a link, a mention, an issue's number, a formula, an emoji, a table's bar or a tag.
pub(super) fn markdown(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or(' ');
        let acts = match c {
            // Inside of a word it is no emphasis.
            '_' => !(before.is_alphanumeric() && after.is_alphanumeric()),
            // Before a word it may begin an emoji, and after a scheme a link.
            ':' => after != ' ',
            // GitHub makes a link of a bare `www.`.
            '.' => matches!(before, 'w' | 'W'),
            c => "&<>`|*[]#@~$\\".contains(c),
        };
        if acts {
            out.push_str(&format!("&#{};", u32::from(c)));
        } else {
            out.push(c);
        }
        before = c;
    }
    out
}

fn entities(text: &str, which: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if which(c) {
            out.push_str(&format!("&#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// A word as a shell takes it.
pub(super) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", line(word).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c16_what_acts_on_a_terminal_is_shown_as_an_escape() {
        for (text, on_a_line) in [
            ("plain é 日", "plain é 日"),
            ("a\x1b[31mb", r"a\x1b[31mb"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("a\u{202e}b\u{2066}", r"a\u{202e}b\u{2066}"),
            ("a\u{9b}31m", r"a\x9b31m"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("a\0\u{7f}", r"a\x00\x7f"),
        ] {
            assert_eq!(line(text), on_a_line);
        }
        assert_eq!(block("a\r\n\tb\rc\x1b"), "a\n    b\\rc\\x1b");
    }

    #[test]
    fn nothing_in_markdown_or_html_is_markup() {
        assert_eq!(
            html("<script>alert('x')</script>&\""),
            "&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#38;&#34;"
        );
        let shown = markdown("`a`|*b*|<b>|@you|#1|[x](https://y)|www.z|\n# h");
        for mark in ['`', '|', '*', '<', '>', '@', '[', ']', ':', '\n', '#'] {
            let shown = shown.replace("&#", "");
            assert!(!shown.contains(mark), "{mark:?} in {shown}");
        }
        assert!(!shown.contains("www."), "{shown}");
        assert_eq!(
            markdown("lock_timeout: 5s, _x_ :id:"),
            "lock_timeout: 5s, &#95;x&#95; &#58;id:"
        );
    }

    #[test]
    fn a_name_is_broken_where_its_parts_end() {
        assert_eq!(
            wrapped("> sql/0005_denormalize_attempts.up.sql, so", 20),
            ["> sql/0005_", "denormalize_", "attempts.up.sql, so"]
        );
        let address = "https://example.org/a_b/c_d";
        assert_eq!(wrapped(&format!("see {address}"), 20), ["see", address]);
    }

    #[test]
    fn a_shell_takes_a_word_as_one() {
        for (word, shown) in [
            ("plan.bin", "plan.bin"),
            ("my plan", "'my plan'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(shell(word), shown);
        }
    }

    #[test]
    fn lines_break_at_spaces_only() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaaa b", 5), ["aaaaaaaa", "b"]);
        assert_eq!(wrapped("a\nb", 5), ["a", "b"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("ago 3.0 s, x", 8), ["ago", "3.0 s, x"]);
    }

    proptest! {
        #[test]
        fn no_text_gets_through_raw(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(hides));
            prop_assert!(!block(&text).chars().any(|c| hides(c) && c != '\n'));
            prop_assert!(!html(&text).contains(['<', '>', '"', '\'']));
            prop_assert!(!markdown(&text).contains(['<', '`', '|', '[', '\n']));
        }
    }
}
