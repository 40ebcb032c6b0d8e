//! Numbers: bare, or in a JSON string. Their digits are moved, never computed with, so none is rounded.

use super::{Format, Misfit, Outcome, unreadable};

enum Reading {
    Quoted(String),
    Int,
    Float,
}

pub(super) fn read(from: &Format, to: &Format, value: &[u8]) -> Outcome {
    let Some(reading) = reading(value) else {
        return unreadable(from, to);
    };
    let done = match (&reading, to) {
        (Reading::Quoted(_), Format::String)
        | (Reading::Int, Format::Int)
        | (Reading::Float, Format::Float) => true,
        // Between a string and a float, a bare integer is a float that needs no point.
        (Reading::Int, Format::Float) => *from == Format::String,
        _ => false,
    };
    if let (Reading::Int, Format::Int, Err(misfit)) = (&reading, to, in_range(value)) {
        return Outcome::Neither(misfit);
    }
    if done {
        return Outcome::Already;
    }
    match (reading, from, to) {
        (Reading::Quoted(text), Format::String, Format::Int) if is_integer(text.as_bytes()) => {
            in_range(text.as_bytes())
                .map_or_else(Outcome::Neither, |()| Outcome::Converted(text.into_bytes()))
        }
        (Reading::Quoted(text), Format::String, Format::Float)
            if is_integer(text.as_bytes()) || is_float(text.as_bytes()) =>
        {
            Outcome::Converted(text.into_bytes())
        }
        (Reading::Int, Format::Int, _) => in_range(value).map_or_else(Outcome::Neither, |()| {
            let (before, after) = if *to == Format::String {
                ("\"", "\"")
            } else {
                ("", ".0")
            };
            Outcome::Converted([before.as_bytes(), value, after.as_bytes()].concat())
        }),
        (Reading::Int | Reading::Float, Format::Float, Format::String) => {
            Outcome::Converted([b"\"", value, b"\""].concat())
        }
        (Reading::Float, Format::Float, Format::Int) => {
            whole(value).map_or_else(Outcome::Neither, Outcome::Converted)
        }
        _ => unreadable(from, to),
    }
}

fn reading(value: &[u8]) -> Option<Reading> {
    match value {
        [b'"', .., b'"'] => serde_json::from_slice(value).ok().map(Reading::Quoted),
        _ if is_integer(value) => Some(Reading::Int),
        _ if is_float(value) => Some(Reading::Float),
        _ => None,
    }
}

/// A decimal integer in its only spelling: no plus, no leading zeros, no `-0`.
pub(super) fn is_integer(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    digits.iter().all(u8::is_ascii_digit)
        && match digits {
            [] => false,
            [b'0'] => value.len() == 1,
            [first, ..] => *first != b'0',
        }
}

/// A decimal number with a point or an exponent that is finite as a 64-bit float.
fn is_float(value: &[u8]) -> bool {
    let Decimal {
        whole,
        fraction,
        exponent,
    } = Decimal::split(value);
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let has_exponent =
        exponent.is_none_or(|exponent| digits(exponent.strip_prefix(b"-").unwrap_or(exponent)));
    let shaped = digits(whole)
        && (whole.len() == 1 || whole[0] != b'0')
        && fraction.is_none_or(digits)
        && has_exponent
        && (fraction.is_some() || exponent.is_some());
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    shaped && number.is_some_and(f64::is_finite)
}

struct Decimal<'a> {
    whole: &'a [u8],
    fraction: Option<&'a [u8]>,
    /// Without a plus.
    exponent: Option<&'a [u8]>,
}

impl<'a> Decimal<'a> {
    fn split(value: &'a [u8]) -> Self {
        let value = value.strip_prefix(b"-").unwrap_or(value);
        let (mantissa, exponent) = match value.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&value[..at], Some(&value[at + 1..])),
            None => (value, None),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
            None => (mantissa, None),
        };
        let exponent = exponent.map(|exponent| exponent.strip_prefix(b"+").unwrap_or(exponent));
        Self {
            whole,
            fraction,
            exponent,
        }
    }
}

/// The integer that a float is, exactly.
fn whole(value: &[u8]) -> Result<Vec<u8>, Misfit> {
    /// No 64-bit integer has more digits.
    const LONGEST: i64 = 19;
    let Decimal {
        whole,
        fraction,
        exponent,
    } = Decimal::split(value);
    let fraction = fraction.unwrap_or_default();
    let digits = [whole, fraction].concat();
    let significant = digits.iter().position(|digit| *digit != b'0');
    let Some(last) = digits.iter().rposition(|digit| *digit != b'0') else {
        return Ok(b"0".to_vec());
    };
    let digits = &digits[significant.unwrap_or_default()..=last];
    let exponent = match exponent.map(|exponent| String::from_utf8_lossy(exponent).into_owned()) {
        None => 0,
        Some(text) => text.parse().unwrap_or(if text.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        }),
    };
    // The place of the last digit that is not a zero, counted from the point.
    let place = exponent.saturating_add(whole.len() as i64 - 1 - last as i64);
    if place < 0 {
        return Err(Misfit::Fraction { to: Format::Int });
    }
    if place > LONGEST {
        return Err(Misfit::OutOfRange { form: Format::Int });
    }
    let sign: &[u8] = if value[0] == b'-' { b"-" } else { b"" };
    let zeros = (0..place).map(|_| b'0');
    let integer: Vec<u8> = sign.iter().chain(digits).copied().chain(zeros).collect();
    in_range(&integer).map(|()| integer)
}

fn in_range(value: &[u8]) -> Result<(), Misfit> {
    match std::str::from_utf8(value).is_ok_and(|text| text.parse::<i64>().is_ok()) {
        true => Ok(()),
        false => Err(Misfit::OutOfRange { form: Format::Int }),
    }
}
