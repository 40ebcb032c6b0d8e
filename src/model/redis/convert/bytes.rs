//! Bytes: hex, base64 and plain text.
//!
//! The spellings overlap: `cafe` is hex, base64 and text. Between the two encodings what can be hex is
//! hex. Against text an encoding counts only if what it encodes is text, which is rare by chance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Doubt, Format, Outcome, unreadable};

pub(super) fn read(from: &Format, to: &Format, value: &[u8]) -> Outcome {
    let (form, bytes) = match (from, to) {
        (Format::Text, encoding) | (encoding, Format::Text) => match decoded(encoding, value) {
            Some(bytes) if is_text(&bytes) => (encoding, bytes),
            _ if is_text(value) => (&Format::Text, value.to_vec()),
            _ => return unreadable(from, to),
        },
        _ => match (
            decoded(&Format::Hex, value),
            decoded(&Format::Base64, value),
        ) {
            (Some(bytes), _) => (&Format::Hex, bytes),
            (None, Some(bytes)) => (&Format::Base64, bytes),
            (None, None) => return unreadable(from, to),
        },
    };
    if form == to {
        return Outcome::Already;
    }
    Outcome::Converted(match to {
        Format::Hex => hex::encode(bytes).into_bytes(),
        Format::Base64 => STANDARD.encode(bytes).into_bytes(),
        _ => bytes,
    })
}

pub(super) fn doubt(from: &Format, to: &Format, value: &[u8]) -> Option<Doubt> {
    let odd = *to == Format::Text
        && is_text(value)
        && decoded(from, value).is_some_and(|bytes| !is_text(&bytes));
    odd.then(|| Doubt {
        taken_as: Format::Text,
        may_be: from.clone(),
    })
}

fn decoded(encoding: &Format, value: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        Format::Hex => hex::decode(value).ok(),
        _ => STANDARD.decode(value).ok(),
    }
}

/// UTF-8 without control characters other than tab, line feed and carriage return.
pub(super) fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| {
        text.chars()
            .all(|character| !character.is_control() || matches!(character, '\t' | '\n' | '\r'))
    })
}
