//! Keys and values as text that is safe to show: nothing in it moves the cursor, reorders the line
//! or hides.

/// Longest text shown in full, in characters; a longer one is cut in the middle.
const LONGEST: usize = 160;
/// Characters kept on each side of a cut.
const SIDE: usize = 64;
/// Bytes read from each end of a longer value: four bytes are the longest UTF-8 sequence.
const WINDOW: usize = LONGEST * 4;

/// `bytes` for a human reader, without quotes around it.
///
/// Bytes that are not UTF-8, and the bytes of control, bidirectional, zero-width and other invisible
/// characters, become `\xNN`; a backslash becomes `\\`, so the text stands for one value only. More
/// than 160 characters are cut in the middle, with a note of the length in bytes.
pub fn printable(bytes: &[u8]) -> String {
    if bytes.len() <= 2 * WINDOW {
        let units = units(bytes);
        if units.iter().map(|unit| unit.chars().count()).sum::<usize>() <= LONGEST {
            return units.concat();
        }
        return cut(&units, &units, bytes.len());
    }
    let (head, tail) = (&bytes[..WINDOW], &bytes[bytes.len() - WINDOW..]);
    cut(&units(head), &units(tail), bytes.len())
}

/// The first and last units that fit, with the whole length between them.
fn cut(head: &[String], tail: &[String], length: usize) -> String {
    let fitting = |units: &mut dyn Iterator<Item = &String>| {
        let mut room = SIDE;
        let mut kept = Vec::new();
        for unit in units {
            let width = unit.chars().count();
            if width > room {
                break;
            }
            room -= width;
            kept.push(unit.clone());
        }
        kept
    };
    let start = fitting(&mut head.iter());
    let mut end = fitting(&mut tail.iter().rev());
    end.reverse();
    format!("{}…({length} bytes)…{}", start.concat(), end.concat())
}

/// One entry a character or a broken byte, escaped where needed.
fn units(bytes: &[u8]) -> Vec<String> {
    let mut units = Vec::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            units.push(match character {
                '\\' => r"\\".to_owned(),
                _ if hides(character) => {
                    let mut buffer = [0; 4];
                    escaped(character.encode_utf8(&mut buffer).as_bytes())
                }
                _ => character.to_string(),
            });
        }
        units.extend(chunk.invalid().iter().map(|byte| escaped(&[*byte])));
    }
    units
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!(r"\x{byte:02x}")).collect()
}

/// Characters that act on the terminal or cannot be seen: controls, white space other than the plain
/// space, Unicode's format characters (category Cf), fillers, and private use.
pub(crate) fn hides(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(u32::from(character),
            0x00AD | 0x034F | 0x0600..=0x0605 | 0x061C | 0x06DD | 0x070F | 0x0890..=0x0891 | 0x08E2
            | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164 | 0xE000..=0xF8FF
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD
            | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0x10FFFF)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_shown_as_they_are_and_the_rest_is_escaped() {
        let cases: &[(&[u8], &str)] = &[
            (b"tenant:{a b}:tenant", "tenant:{a b}:tenant"),
            ("tenant:{é日}:x".as_bytes(), "tenant:{é日}:x"),
            (b"", ""),
            (b"a\x1b[31mb\r\n", r"a\x1b[31mb\x0d\x0a"),
            (b"\xff\xc3(", r"\xff\xc3("),
            (br"\x1b", r"\\x1b"),
            ("a\u{202e}b".as_bytes(), r"a\xe2\x80\xaeb"),
            ("a\u{200b}b".as_bytes(), r"a\xe2\x80\x8bb"),
            ("a\u{85}b".as_bytes(), r"a\xc2\x85b"),
            ("a\u{a0}b".as_bytes(), r"a\xc2\xa0b"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(printable(bytes), *shown);
        }
    }

    #[test]
    fn long_keys_are_cut_in_the_middle_and_say_their_length() {
        let exact = vec![b'k'; LONGEST];
        assert_eq!(printable(&exact), "k".repeat(LONGEST));
        for length in [LONGEST + 1, 2 * WINDOW, 1_000_000] {
            let mut key = vec![b'm'; length];
            key[0] = b'(';
            key[length - 1] = b')';
            let shown = printable(&key);
            assert!(shown.starts_with("(m") && shown.ends_with("m)"), "{shown}");
            assert!(shown.contains(&format!("…({length} bytes)…")), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_ever_raw(key in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let shown = printable(&key);
            prop_assert!(shown.chars().count() <= LONGEST.max(2 * SIDE + 32));
            prop_assert!(!shown.chars().any(hides));
        }

        #[test]
        fn any_text_stays_free_of_hidden_characters(text in any::<String>()) {
            prop_assert!(!printable(text.as_bytes()).chars().any(hides));
        }
    }
}
