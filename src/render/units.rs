//! Numbers for people.

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
pub(super) fn counted_len(number: usize, noun: &str) -> String {
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

/// A span of time, in the two largest units that matter: `40 ms`, `3.2 s`, `4 min 5 s`, `2 h 1 min`.
pub fn duration_ms(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        _ if ms < 1000 => format!("{ms} ms"),
        0..10 => format!("{}.{} s", seconds, ms % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds, 60, "min", "s"),
        3600..86_400 => two(seconds / 60, 60, "h", "min"),
        _ => two(seconds / 3600, 24, "d", "h"),
    }
}

fn two(small: u64, per_large: u64, large: &str, unit: &str) -> String {
    let (whole, rest) = (small / per_large, small % per_large);
    if rest == 0 {
        format!("{} {large}", count(whole))
    } else {
        format!("{} {large} {rest} {unit}", count(whole))
    }
}

/// A limit in milliseconds as configuration files write it; 0 is none.
pub(super) fn limit_ms(ms: u64) -> String {
    match ms {
        0 => "no limit".to_owned(),
        _ if ms.is_multiple_of(60_000) => format!("{}min", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

/// An RFC 3339 time in UTC without its fraction: `2026-01-02 03:04:05Z`. Anything else stays as it is.
pub(super) fn time(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map_or_else(
        |_| super::text::line(text),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

/// Milliseconds between two RFC 3339 times, where both are that and in order.
pub(super) fn between_ms(start: &str, end: &str) -> Option<u64> {
    let start: jiff::Timestamp = start.parse().ok()?;
    let end: jiff::Timestamp = end.parse().ok()?;
    u64::try_from(end.as_millisecond() - start.as_millisecond()).ok()
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

    #[test]
    fn spans_take_two_units_at_most() {
        for (ms, shown) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (3_249, "3.2 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (245_000, "4 min 5 s"),
            (7_260_000, "2 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration_ms(ms), shown);
        }
    }

    #[test]
    fn times_lose_their_fraction_and_nothing_else_changes() {
        assert_eq!(time("2026-01-02T03:04:05.123456Z"), "2026-01-02 03:04:05Z");
        assert_eq!(time("2026-01-02T05:04:05+02:00"), "2026-01-02 03:04:05Z");
        assert_eq!(time("soon\x1b"), "soon\\x1b");
        assert_eq!(
            between_ms("2026-01-02T03:04:05Z", "2026-01-02T03:04:06.5Z"),
            Some(1500)
        );
        assert_eq!(
            between_ms("2026-01-02T03:04:05Z", "2026-01-02T03:04:04Z"),
            None
        );
    }
}
