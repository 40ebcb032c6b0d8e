//! Durations as written in outpost.toml: `0`, `500ms`, `5s`, `2m`, `1h`.

use std::time::Duration;

/// Parses a whole number and a unit (`ms`, `s`, `m`, `h`); `0` needs none.
///
/// # Errors
/// The unit type: the caller knows the key and what is expected there.
pub(super) fn parse_duration(text: &str) -> Result<Duration, ()> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| ())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(()),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or(())
}
