//! Numbers for people.

pub use crate::model::units::{bytes, count, counted, counted_len};

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
