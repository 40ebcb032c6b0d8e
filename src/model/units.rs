//! Numbers for people, the same in every message and on every screen.

/// With a comma between thousands: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and its noun, in the plural where it is not one: `1 key`, `2 keys`, `2 entries`, `2 indexes`.
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 {
        return format!("1 {noun}");
    }
    let plural = match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun.ends_with('x') => format!("{noun}es"),
        _ => format!("{noun}s"),
    };
    format!("{} {plural}", count(number))
}

/// As [`counted`], for lengths.
pub fn counted_len(number: usize, noun: &str) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), noun)
}

/// Bytes in binary units, with one decimal below ten: `512 B`, `1.5 KiB`, `312 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    // In integers: tenths of the unit, rounded half up, so that no platform's floats show.
    let number = u128::from(number);
    let mut size = 1024u128;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && (number * 10 + size / 2) / size >= 10240 {
        size *= 1024;
        unit += 1;
    }
    let tenths = (number * 10 + size / 2) / size;
    if tenths < 100 {
        return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]);
    }
    format!("{} {}", (number + size / 2) / size, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(number), shown);
        }
    }

    #[test]
    fn nouns_take_their_plural() {
        for (number, noun, shown) in [
            (1, "key", "1 key"),
            (0, "key", "0 keys"),
            (2, "query", "2 queries"),
            (1000, "migration", "1,000 migrations"),
        ] {
            assert_eq!(counted(number, noun), shown);
        }
    }

    #[test]
    fn bytes_take_the_unit_that_fits() {
        for (number, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (312 * 1024 * 1024, "312 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
    }
}
