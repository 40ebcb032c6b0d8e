//! Spans of time as they are written in `outpost.toml` and in directives: `0`, `500ms`, `2s`, `5min`, `1h`.

use std::time::Duration;

use thiserror::Error;

/// The longest span that Postgres takes for a timeout: `i32::MAX` milliseconds, a little under 25 days.
pub const MAX_DURATION: Duration = Duration::from_millis(i32::MAX as u64);

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// There is no number at the start.
    #[error(
        "`{text}` is not a duration; write a whole number and a unit, such as \"500ms\" or \"5s\""
    )]
    NoNumber {
        /// What was written.
        text: String,
    },
    /// A number other than 0 stands alone.
    #[error("`{text}` has no unit; write ms, s, min or h, such as \"{text}s\"")]
    NoUnit {
        /// What was written.
        text: String,
    },
    /// The unit is none of ours.
    #[error("`{unit}` in `{text}` is not a unit of time; write ms, s, min or h")]
    UnknownUnit {
        /// What was written.
        text: String,
        /// The part behind the number.
        unit: String,
    },
    /// Longer than [`MAX_DURATION`].
    #[error("`{text}` is longer than Postgres allows for a timeout (2147483647ms)")]
    TooLong {
        /// What was written.
        text: String,
    },
}

/// Reads `0`, or a whole number with the unit `ms`, `s`, `m`, `min` or `h`.
///
/// # Errors
/// [`DurationError`] says what is wrong with the text. Fractions and signs are refused.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let trimmed = text.trim();
    let digits = trimmed
        .bytes()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start();
    let text = || trimmed.to_owned();
    if number.is_empty() {
        return Err(DurationError::NoNumber { text: text() });
    }
    let per_unit = match unit {
        "" if number.bytes().all(|byte| byte == b'0') => 1,
        "" => return Err(DurationError::NoUnit { text: text() }),
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => {
            return Err(DurationError::UnknownUnit {
                text: text(),
                unit: unit.to_owned(),
            });
        }
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(per_unit))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| DurationError::TooLong { text: text() })
}

/// Writes a span in the largest unit that keeps it whole, in a form that [`parse_duration`] and Postgres
/// both read. Anything below a millisecond is cut off.
pub fn display_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    [(3_600_000, "h"), (60_000, "min"), (1_000, "s")]
        .into_iter()
        .find(|(per_unit, _)| millis > 0 && millis.is_multiple_of(*per_unit))
        .map_or_else(
            || match millis {
                0 => "0".to_owned(),
                _ => format!("{millis}ms"),
            },
            |(per_unit, unit)| format!("{}{unit}", millis / per_unit),
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_is_read() {
        for (text, millis) in [
            ("0", 0),
            ("00", 0),
            ("0s", 0),
            ("500ms", 500),
            ("2s", 2_000),
            (" 2 s ", 2_000),
            ("3m", 180_000),
            ("3min", 180_000),
            ("1h", 3_600_000),
            ("2147483647ms", 2_147_483_647),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "not a duration"),
            ("s", "not a duration"),
            ("-1s", "not a duration"),
            ("5", "no unit"),
            ("1.5s", "`.5s` in `1.5s`"),
            ("5 days", "`days`"),
            ("1S", "`S`"),
            ("2147483648ms", "longer"),
            ("99999999999999999999h", "longer"),
            ("18446744073709551615h", "longer"),
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_largest_whole_unit_is_shown() {
        for (millis, text) in [
            (0, "0"),
            (1, "1ms"),
            (1_500, "1500ms"),
            (2_000, "2s"),
            (60_000, "1min"),
            (90_000, "90s"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(display_duration(Duration::from_millis(millis)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..=2_147_483_647_u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&display_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_duration(&text);
        }
    }
}
