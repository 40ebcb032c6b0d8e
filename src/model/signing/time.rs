//! Times in a list of allowed signers.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`: in UTC with a `Z` or `UTC` behind it, otherwise in
/// the time zone given, as ssh-keygen(1) says under ALLOWED SIGNERS.
pub(super) fn time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let upper = text.to_ascii_uppercase();
    let utc = upper
        .strip_suffix("UTC")
        .or_else(|| upper.strip_suffix('Z'));
    let (digits, zone) = match utc {
        Some(digits) => (digits, TimeZone::UTC),
        None => (upper.as_str(), zone.clone()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return None,
    };
    let local = DateTime::strptime("%Y%m%d%H%M%S", padded).ok()?;
    zone.to_timestamp(local).ok()
}
