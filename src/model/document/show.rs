//! Text from files and databases, made fit to be shown.

/// Text made safe for a terminal: control characters are escaped, and it is cut after 120 characters.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A line without what may be a secret: after the first `=` when it smells of one.
pub(super) fn masked(line: &str) -> String {
    let lower = line.to_lowercase();
    let suspicious = ["://", "@", "pass", "pwd", "secret", "token"]
        .iter()
        .any(|smell| lower.contains(smell));
    if !suspicious {
        return printable(line);
    }
    match line.split_once('=') {
        Some((key, _)) if !key.contains("://") && !key.contains('@') => {
            format!("{}= ***", printable(key))
        }
        _ => "***".to_owned(),
    }
}
