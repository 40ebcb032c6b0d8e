//! What DUMP gives of a value, as far as it takes to tell that two values hold the same.
//!
//! The format is that of a snapshot: a byte for the encoding, the value, two bytes of version, and a checksum of
//! eight. One server writes equal elements as equal bytes, so that nothing has to be unpacked.

/// Version and checksum at the end.
const FOOTER: usize = 10;
/// Encodings whose elements stand in the order of a hash table, which differs between equal values: a set, and a
/// hash.
const SET: u8 = 2;
const HASH: u8 = 4;
/// A length that says how a string is packed, by its lower bits: numbers of 1, 2 and 4 bytes, and LZF.
const PACKED: u8 = 0b11;

/// Whether two values surely hold the same. False says nothing: another server, another encoding or another way of
/// packing gives other bytes for the same value.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let (Some((left, its_version)), Some((right, version))) = (body(left), body(right)) else {
        return false;
    };
    if left == right {
        return true;
    }
    if its_version != version {
        return false;
    }
    match (table(left), table(right)) {
        (Some(mut left), Some(mut right)) => {
            left.sort_unstable();
            right.sort_unstable();
            left == right
        }
        _ => false,
    }
}

/// The value without its footer, and the version of the format.
fn body(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (value, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER)?)?;
    Some((value, footer.get(..2)?))
}

/// An element as it was packed; for a hash a field and its value.
type Element<'p> = (&'p [u8], &'p [u8]);

/// The elements of a hash table; `None` for any other encoding, and for what does not read as one.
fn table(value: &[u8]) -> Option<Vec<Element<'_>>> {
    let (&encoding, mut rest) = value.split_first()?;
    if !matches!(encoding, SET | HASH) {
        return None;
    }
    let Length::Plain(count) = length(&mut rest)? else {
        return None;
    };
    let mut elements = Vec::new();
    for _ in 0..count {
        let member = string(&mut rest)?;
        let value = match encoding {
            HASH => string(&mut rest)?,
            _ => &[],
        };
        elements.push((member, value));
    }
    // What is left would be something that this does not know of.
    rest.is_empty().then_some(elements)
}

enum Length {
    Plain(usize),
    /// How a string is packed.
    Packed(u8),
}

/// Takes a length from the beginning.
fn length(rest: &mut &[u8]) -> Option<Length> {
    let (&first, after) = rest.split_first()?;
    let low = first & 0x3f;
    let (size, after) = match first >> 6 {
        0 => (usize::from(low), after),
        1 => {
            let (&second, after) = after.split_first()?;
            (usize::from(low) << 8 | usize::from(second), after)
        }
        PACKED => {
            *rest = after;
            return Some(Length::Packed(low));
        }
        // More than 16,383, in 4 bytes or in 8.
        _ => {
            let (bytes, after) = after.split_at_checked(if low == 0 { 4 } else { 8 })?;
            let size = bytes
                .iter()
                .fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
            (usize::try_from(size).ok()?, after)
        }
    };
    *rest = after;
    Some(Length::Plain(size))
}

/// Takes a string from the beginning, with its length, as it was packed.
fn string<'p>(rest: &mut &'p [u8]) -> Option<&'p [u8]> {
    let whole = *rest;
    let bytes = match length(rest)? {
        Length::Plain(size) => size,
        Length::Packed(by @ 0..=2) => 1 << by,
        Length::Packed(3) => {
            let (Length::Plain(packed), Length::Plain(_)) = (length(rest)?, length(rest)?) else {
                return None;
            };
            packed
        }
        Length::Packed(_) => return None,
    };
    let (_, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    whole.get(..whole.len() - after.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn payload(parts: &[&[u8]]) -> Vec<u8> {
        [&parts.concat()[..], b"\x0b\x00", b"checksum"].concat()
    }

    #[test]
    fn a_table_in_another_order_holds_the_same() {
        // Two fields each: a plain value, a number of one byte, and one packed by LZF.
        let (a, b, c) = (
            &b"\x01a\x02xy"[..],
            &b"\x01b\xc0\x07"[..],
            &b"\x01c\xc3\x02\x1e\x00\x61"[..],
        );
        let one = payload(&[b"\x04\x03", a, b, c]);
        assert!(same(&one, &payload(&[b"\x04\x03", c, a, b])));
        assert!(same(&one, &one));
        // What belongs to which field counts.
        let swapped = payload(&[b"\x04\x03", b"\x01b\x02xy", b"\x01a\xc0\x07", c]);
        assert!(!same(&one, &swapped));
        assert!(!same(&one, &payload(&[b"\x04\x02", a, b])));
        let members: [&[u8]; 2] = [b"\x01p", b"\x01q"];
        assert!(same(
            &payload(&[b"\x02\x02", members[0], members[1]]),
            &payload(&[b"\x02\x02", members[1], members[0]])
        ));
    }

    #[test]
    fn order_counts_where_it_is_part_of_the_value() {
        // A list.
        let one = payload(&[b"\x01\x02", b"\x01a", b"\x01b"]);
        assert!(!same(&one, &payload(&[b"\x01\x02", b"\x01b", b"\x01a"])));
    }

    #[test]
    fn long_lengths_are_read() {
        for size in [0_usize, 63, 64, 16_383, 16_384, 70_000] {
            let text = vec![b'x'; size];
            let length = match size {
                0..=63 => vec![size as u8],
                64..=16_383 => vec![0x40 | (size >> 8) as u8, size as u8],
                _ => [&[0x80][..], &(size as u32).to_be_bytes()].concat(),
            };
            let long = [&b"\x01l"[..], &length, &text].concat();
            let short = b"\x01s\x01y";
            assert!(
                same(
                    &payload(&[b"\x04\x02", &long, short]),
                    &payload(&[b"\x04\x02", short, &long])
                ),
                "{size}"
            );
        }
    }

    #[test]
    fn what_does_not_read_is_not_the_same() {
        let whole = payload(&[b"\x04\x02", b"\x01a\x02xy", b"\x01b\x01z"]);
        let other = payload(&[b"\x04\x02", b"\x01b\x01z", b"\x01a\x02xy"]);
        assert!(same(&whole, &other));
        for cut in 0..whole.len() {
            assert!(!same(&whole[..cut], &other), "{cut}");
        }
        let newer = [&other[..other.len() - 10], b"\x0c\x00", b"checksum"].concat();
        assert!(!same(&whole, &newer));
        // A number of elements that is not there must cost nothing.
        let boast = payload(&[b"\x04\x81\xff\xff\xff\xff\xff\xff\xff\xff", b"\x01a\x01b"]);
        assert!(!same(&boast, &whole));
        assert!(!same(b"", b""));
    }
}
