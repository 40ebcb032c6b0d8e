//! From byte offsets to lines and columns.

/// Where each line of a text starts. LF, CRLF and a lone CR end a line, as they do for Postgres.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                starts.push(at + 1);
            }
        }
        Self { text, starts }
    }

    /// The 1-based line that holds the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The 1-based line, and the 1-based column in characters.
    pub(super) fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The text of a 1-based line without its end.
    pub(super) fn text_of(&self, line: usize) -> &'a str {
        let start = self.starts[line - 1];
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_end_counts_once() {
        let lines = Lines::new("a\nb\r\nc\rdé\n");
        for (offset, expected) in [
            (0, (1, 1)),
            (1, (1, 2)),
            (2, (2, 1)),
            (5, (3, 1)),
            (7, (4, 1)),
            (10, (4, 3)),
            (11, (5, 1)),
            (99, (5, 1)),
        ] {
            assert_eq!(lines.line_and_column(offset), expected, "{offset}");
        }
        assert_eq!(lines.text_of(2), "b");
        assert_eq!(lines.text_of(5), "");
    }
}
