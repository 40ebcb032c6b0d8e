//! Times: RFC 3339 and the two Unix counts, in whole milliseconds throughout.
//!
//! Finer fractions are cut towards the past, and so are milliseconds where seconds are asked for. A leap
//! second is the second after `:59`, which Unix time numbers like the first of the next day; it is taken
//! only at the end of a month in UTC, where RFC 3339 allows it.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

use super::number::is_integer;
use super::{Doubt, Format, Misfit, Outcome, unreadable};

/// Between the two Unix counts, an integer nearer to zero than this is seconds (up to the year 5138),
/// any other milliseconds (before 1966-10-31 or after 1973-03-03). Zero is the same moment in both.
pub const SECONDS_BELOW: u64 = 100_000_000_000;

/// Among milliseconds, integers from here to [`SECONDS_BELOW`] would be seconds from 1973 on.
const LIKELY_SECONDS_FROM: u64 = 100_000_000;

/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z, the ends of RFC 3339's years.
const RANGE_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

pub(super) fn read(from: &Format, to: &Format, value: &[u8]) -> Outcome {
    let (form, ms) = if let Some(spelled) = Spelled::find(value) {
        (Format::Rfc3339, spelled.ms().ok_or(Misfit::NoSuchTime))
    } else if let Some(count) = integer(value) {
        let form = count_form(from, to, count);
        if count == 0 && *from != Format::Rfc3339 && *to != Format::Rfc3339 {
            return Outcome::Already;
        }
        let ms = if form == Format::UnixS {
            count.saturating_mul(1000)
        } else {
            count
        };
        (form, Ok(ms))
    } else {
        return unreadable(from, to);
    };
    let in_range = ms.and_then(|ms| match RANGE_MS.contains(&ms) {
        true => Ok(ms),
        false => Err(Misfit::OutOfRange { form: form.clone() }),
    });
    match in_range {
        _ if form != *from && form != *to => unreadable(from, to),
        Err(misfit) => Outcome::Neither(misfit),
        Ok(_) if form == *to => Outcome::Already,
        Ok(ms) => Outcome::Converted(match to {
            Format::UnixS => ms.div_euclid(1000).to_string().into_bytes(),
            Format::UnixMs => ms.to_string().into_bytes(),
            _ => rfc3339(ms).into_bytes(),
        }),
    }
}

pub(super) fn doubt(from: &Format, to: &Format, value: &[u8]) -> Option<Doubt> {
    let milliseconds = matches!(
        (from, to),
        (Format::Rfc3339, Format::UnixMs) | (Format::UnixMs, Format::Rfc3339)
    );
    let count = integer(value)?.unsigned_abs();
    (milliseconds && (LIKELY_SECONDS_FROM..SECONDS_BELOW).contains(&count)).then_some(Doubt {
        taken_as: Format::UnixMs,
        may_be: Format::UnixS,
    })
}

/// A plain integer; one beyond 64 bits is as good as the largest, for no time is there.
fn integer(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|_| is_integer(value))?;
    Some(
        text.parse()
            .unwrap_or(if value[0] == b'-' { i64::MIN } else { i64::MAX }),
    )
}

/// Which of the two counts an integer is.
fn count_form(from: &Format, to: &Format, count: i64) -> Format {
    match (from, to) {
        (Format::Rfc3339, count) | (count, Format::Rfc3339) => count.clone(),
        _ if count.unsigned_abs() < SECONDS_BELOW => Format::UnixS,
        _ => Format::UnixMs,
    }
}

/// The parts of a value spelled as RFC 3339's grammar has it; jiff alone would take much more.
struct Spelled<'a> {
    /// `YYYY-MM-DDTHH:MM:SS`.
    local: &'a str,
    fraction: &'a [u8],
    offset: &'a [u8],
}

impl<'a> Spelled<'a> {
    fn find(value: &'a [u8]) -> Option<Self> {
        const SHAPE: &[u8; 19] = b"0000-00-00T00:00:00";
        let (local, rest) = value.split_at_checked(SHAPE.len())?;
        let shaped = SHAPE.iter().zip(local).all(|(shape, byte)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => shape.eq_ignore_ascii_case(byte),
        });
        let (fraction, offset) = match rest.strip_prefix(b".") {
            Some(rest) => {
                rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
            }
            None => (&b""[..], rest),
        };
        let pointless = offset.len() < rest.len() && fraction.is_empty();
        let offset_shaped = match offset {
            [b'Z' | b'z'] => true,
            [b'+' | b'-', h1, h0, b':', m1, m0] => {
                [h1, h0, m1, m0].iter().all(|byte| byte.is_ascii_digit())
            }
            _ => false,
        };
        let local = std::str::from_utf8(local).ok()?;
        (shaped && offset_shaped && !pointless).then_some(Self {
            local,
            fraction,
            offset,
        })
    }

    /// Milliseconds since 1970, or nothing where there is no such moment.
    fn ms(&self) -> Option<i64> {
        let local: DateTime = self.local.parse().ok()?;
        let mut seconds = local.duration_since(EPOCH).as_secs() - self.offset_seconds()?;
        if self.local.ends_with(":60") {
            seconds += 1;
            let next = EPOCH.checked_add(SignedDuration::from_secs(seconds));
            let month_begins =
                next.is_ok_and(|next| next == next.date().first_of_month().at(0, 0, 0, 0));
            if !month_begins {
                return None;
            }
        }
        let digits = self.fraction.iter().chain(b"000").take(3);
        let ms = digits.fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
        Some(seconds * 1000 + ms)
    }

    fn offset_seconds(&self) -> Option<i64> {
        let [sign, h1, h0, _, m1, m0] = self.offset else {
            return Some(0);
        };
        let number = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
        let (hours, minutes) = (number(h1, h0), number(m1, m0));
        let seconds = hours * 3600 + minutes * 60;
        (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
    }
}

/// In UTC, with the fraction digits it needs. For a moment in [`RANGE_MS`].
fn rfc3339(ms: i64) -> String {
    let at = EPOCH.saturating_add(SignedDuration::from_millis(ms));
    let fraction = match ms.rem_euclid(1000) {
        0 => String::new(),
        ms => format!(".{ms:03}").trim_end_matches('0').to_owned(),
    };
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}
