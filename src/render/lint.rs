//! `lint`: one paragraph a finding.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::lint::{Finding, Level};
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::text::{columns, line, wrapped};
use crate::render::units::counted_len;

/// Columns of the widest level, and of what stands before the text under it.
const INDENT: usize = 7;

/// Writes the findings and one line that sums them up.
///
/// # Errors
/// What `out` says.
pub fn lint(out: &mut dyn Write, style: Style, findings: &[Finding]) -> io::Result<()> {
    for finding in findings {
        one(out, style, finding)?;
    }
    if !findings.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}", style.paint(Tone::Strong, &summary(findings)))
}

fn one(out: &mut dyn Write, style: Style, finding: &Finding) -> io::Result<()> {
    let tone = match finding.level {
        Level::Error => Tone::Bad,
        Level::Warn => Tone::Caution,
        Level::Note => Tone::Note,
    };
    let place = line(&place(finding));
    let level = finding.level.as_str();
    let margin = " ".repeat(INDENT.saturating_sub(level.len()));
    let level = format!("{}{margin}", style.paint(tone, level));
    let rule = line(&finding.rule);
    let between = match INDENT + columns(&place) + 2 + columns(&rule) <= style.room(0) {
        true => "  ".to_owned(),
        false => format!("\n{}", " ".repeat(INDENT)),
    };
    let rule = style.paint(Tone::Strong, &rule);
    writeln!(out, "{level}{place}{between}{rule}")?;
    paragraph(out, style, "", &finding.message)?;
    match &finding.advice {
        Some(advice) => paragraph(out, style, "-> ", advice),
        None => Ok(()),
    }
}

/// The file, and the line where there is one.
pub(super) fn place(finding: &Finding) -> String {
    match finding.line {
        Some(number) => format!("{}:{number}", finding.file),
        None => finding.file.clone(),
    }
}

fn paragraph(out: &mut dyn Write, style: Style, mark: &str, text: &str) -> io::Result<()> {
    let mut before = format!("{}{mark}", " ".repeat(INDENT));
    for text in wrapped(&line(text), style.room(before.len())) {
        writeln!(out, "{before}{text}")?;
        before = " ".repeat(before.len());
    }
    Ok(())
}

fn summary(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing to object to".to_owned();
    }
    [
        (Level::Error, "error"),
        (Level::Warn, "warning"),
        (Level::Note, "note"),
    ]
    .into_iter()
    .filter_map(|(level, noun)| {
        let number = findings.iter().filter(|f| f.level == level).count();
        (number > 0).then(|| counted_len(number, noun))
    })
    .collect::<Vec<_>>()
    .join(", ")
}

#[derive(Serialize)]
struct LintJson<'a> {
    errors: usize,
    warnings: usize,
    findings: &'a [Finding],
}

/// Writes the findings as JSON.
///
/// # Errors
/// What `out` says.
pub fn lint_json(out: &mut dyn Write, findings: &[Finding]) -> io::Result<()> {
    let number = |level| findings.iter().filter(|f| f.level == level).count();
    json::document(
        out,
        &LintJson {
            errors: number(Level::Error),
            warnings: number(Level::Warn),
            findings,
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn finding(level: Level, line: Option<usize>) -> Finding {
        Finding {
            rule: "ban-drop-column".to_owned(),
            level,
            id: Some("sql/0001_a".parse().unwrap()),
            file: "sql/0001_a.up.sql".to_owned(),
            line,
            message: "drops \u{1b}[2J it, and that in many words".to_owned(),
            advice: Some("do not".to_owned()),
        }
    }

    fn screen(findings: &[Finding]) -> String {
        let mut out = Vec::new();
        lint(&mut out, Style::plain(40), findings).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn findings_are_paragraphs_and_the_last_line_counts_them() {
        let findings = [
            finding(Level::Error, Some(3)),
            finding(Level::Note, None),
            finding(Level::Note, None),
        ];
        let expected = "\
error  sql/0001_a.up.sql:3
       ban-drop-column
       drops \\x1b[2J it, and that in
       many words
       -> do not
note   sql/0001_a.up.sql
       ban-drop-column
       drops \\x1b[2J it, and that in
       many words
       -> do not
note   sql/0001_a.up.sql
       ban-drop-column
       drops \\x1b[2J it, and that in
       many words
       -> do not

1 error, 2 notes
";
        assert_eq!(screen(&findings), expected);
        assert_eq!(screen(&[]), "nothing to object to\n");
    }

    #[test]
    fn json_counts_and_has_a_version() {
        let mut out = Vec::new();
        lint_json(&mut out, &[finding(Level::Warn, Some(3))]).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["format_version"], 1);
        assert_eq!((&json["errors"], &json["warnings"]), (&0.into(), &1.into()));
        let finding = &json["findings"][0];
        assert_eq!(finding["level"], "warn");
        assert_eq!(finding["id"], "sql/0001_a");
        assert_eq!(finding["line"], 3);
    }
}
