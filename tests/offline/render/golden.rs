//! Compares a screen with the file that holds how it should look.

use std::path::PathBuf;

use outpost::render::Style;

/// Without colour, 100 columns.
pub const WIDE: Style = Style {
    colour: false,
    width: 100,
    whole: false,
};
/// Without colour, 40 columns.
pub const NARROW: Style = Style {
    colour: false,
    width: 40,
    whole: false,
};
/// With colour, 100 columns.
pub const COLOUR: Style = Style {
    colour: true,
    width: 100,
    whole: false,
};

/// What a screen writes.
pub fn shown(screen: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    screen(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// No line is wider than the screen, unless it is one word, or a command that somebody may copy.
fn fits(name: &str, width: usize, text: &str) {
    for line in text.lines() {
        let line = console::strip_ansi_codes(line);
        let words = line.split_whitespace().filter(|word| *word != "|").count();
        let whole = words <= 1 || line.starts_with("  outpost ") || line.starts_with("Digest: ");
        assert!(
            console::measure_text_width(&line) <= width || whole,
            "{name} is wider than {width} columns:\n{line}"
        );
    }
}

/// Compares a screen with `tests/golden/<name>`. The escape character is written as `␛`, so that the files
/// can be read.
pub fn golden(name: &str, screen: impl Fn(&mut dyn std::io::Write) -> std::io::Result<()>) {
    let text = shown(&screen);
    assert_eq!(
        text,
        shown(&screen),
        "{name}: the same value gives other bytes"
    );
    if name.ends_with("-40.txt") {
        fits(name, NARROW.width, &text);
    }
    let text = text.replace('\x1b', "␛");
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name]
        .iter()
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
    if expected != text {
        let diff = similar::TextDiff::from_lines(&expected, &text);
        panic!(
            "{name} changed; UPDATE_GOLDEN=1 accepts it\n{}",
            diff.unified_diff().header("golden", "now")
        );
    }
}
