//! Columns of text that fit the width.

use std::io::{self, Write};

use crate::render::style::{Style, Tone};
use crate::render::text::{columns, cut, padded, wrapped};

/// A cell: safe text and its colour.
pub(super) type Cell = (String, Option<Tone>);

/// Fewest columns that a last, cut column is worth.
const WORTH: usize = 12;

/// What a part of would mislead: a time without its minutes.
const WHOLE: [&str; 2] = ["when", "took"];

/// Further in, where a row goes on.
const INDENT: usize = 3;

/// Writes rows below a heading. Where they are too wide, columns are left out from the right, except for
/// the first `needed`; the last of what remains is cut, unless it is a time. Where not even those have room, each
/// row takes several lines, and there is no heading.
pub(super) fn table(
    out: &mut dyn Write,
    style: Style,
    heading: &[&str],
    needed: usize,
    rows: &[Vec<Cell>],
) -> io::Result<()> {
    let widths: Vec<usize> = (0..heading.len())
        .map(|at| {
            rows.iter()
                .map(|row| columns(&row[at].0))
                .chain([columns(heading[at])])
                .max()
                .unwrap_or(0)
        })
        .collect();
    // Columns that hold nothing say nothing.
    let mut shown: Vec<usize> = (0..heading.len())
        .filter(|at| *at < needed || rows.iter().any(|row| !row[*at].0.is_empty()))
        .collect();
    let start = |shown: &[usize]| {
        let fixed = &shown[..shown.len().saturating_sub(1)];
        fixed.iter().map(|at| widths[*at] + 2).sum::<usize>()
    };
    let least = |at: usize| match WHOLE.contains(&heading[at]) {
        true => widths[at],
        false => WORTH.min(widths[at]),
    };
    let end = style.row_end();
    while shown.len() > needed && start(&shown) + least(shown[shown.len() - 1]) > end {
        shown.pop();
    }
    let last = widths[shown[shown.len() - 1]];
    if shown.len() == needed && start(&shown) + last > end {
        return rows
            .iter()
            .try_for_each(|row| stacked(out, style, shown.iter().map(|at| &row[*at])));
    }
    let room = end.saturating_sub(start(&shown)).max(WORTH);
    let mut write = |cells: &[Cell]| {
        let mut row = String::new();
        for (place, &at) in shown.iter().enumerate() {
            let (text, tone) = &cells[at];
            let last = place + 1 == shown.len();
            let text = if last {
                cut(text, room)
            } else {
                padded(text, widths[at])
            };
            let painted = tone.map_or(text.clone(), |tone| style.paint(tone, &text));
            row.push_str(&painted);
            if !last {
                row.push_str("  ");
            }
        }
        writeln!(out, "{}", row.trim_end())
    };
    let heading: Vec<Cell> = heading
        .iter()
        .map(|text| ((*text).to_owned(), Some(Tone::Faint)))
        .collect();
    write(&heading)?;
    rows.iter().try_for_each(|row| write(row))
}

/// Writes a row over as many lines as it takes.
fn stacked<'a>(
    out: &mut dyn Write,
    style: Style,
    cells: impl Iterator<Item = &'a Cell>,
) -> io::Result<()> {
    let mut row = String::new();
    let mut used = 0;
    for (text, tone) in cells.filter(|(text, _)| !text.is_empty()) {
        // Nothing of it is cut: what is left of a status or of a name would be another one.
        let parts = wrapped(text, style.room(INDENT));
        let is_long = parts.len() > 1;
        for (at, part) in parts.iter().enumerate() {
            let fits = used + 2 + columns(part) <= style.width;
            if used > 0 && (at > 0 || is_long || !fits) {
                writeln!(out, "{row}")?;
                row = " ".repeat(INDENT);
                used = INDENT;
            } else if used > 0 {
                row.push_str("  ");
                used += 2;
            }
            used += columns(part);
            row.push_str(&tone.map_or_else(|| part.clone(), |tone| style.paint(tone, part)));
        }
    }
    writeln!(out, "{row}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_stacked_row_cuts_nothing() {
        let cell = |text: &str| (text.to_owned(), None);
        let rows = [vec![
            cell("!"),
            cell("sql/0001_longer_than_the_screen"),
            cell("interrupted at a step"),
        ]];
        let mut out = Vec::new();
        table(&mut out, Style::plain(24), &["", "id", "status"], 3, &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "!\n   sql/0001_longer_than_\n   the_screen\n   interrupted at a step\n"
        );
    }
}
