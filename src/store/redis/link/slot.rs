//! Which slot of a cluster a key is in, and which key a command is about.

use std::sync::LazyLock;

use crc::{CRC_16_XMODEM, Crc};
use redis::{Arg, Cmd};

/// Slots of a cluster, as its specification fixes them.
pub(in crate::store::redis) const SLOTS: u16 = 16_384;

static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// A hash tag for each slot: what stands between braces in the name of a key that has to be in that slot.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut tags = vec![String::new(); usize::from(SLOTS)];
    let mut missing = tags.len();
    for number in 0_u32.. {
        let tag = format!("{number:x}");
        let place = tags.get_mut(usize::from(slot(tag.as_bytes())));
        if let Some(place) = place.filter(|place| place.is_empty()) {
            *place = tag;
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    tags
});

/// The slot of a key: of its hash tag, where it has one that is not empty.
pub(in crate::store::redis) fn slot(key: &[u8]) -> u16 {
    CRC.checksum(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// A hash tag of this slot.
pub(in crate::store::redis) fn tag(slot: u16) -> &'static str {
    TAGS.get(usize::from(slot % SLOTS))
        .map_or("", String::as_str)
}

/// What stands between the first `{` and the first `}` behind it.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let rest = key.get(open + 1..)?;
    let close = rest.iter().position(|byte| *byte == b'}')?;
    rest.get(..close).filter(|tag| !tag.is_empty())
}

/// The first key of one of the commands that this tool sends; `None` for one that is about no key. A raw
/// command of a migration is not sent by this way.
pub(super) fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => &[],
    });
    match words.next()? {
        b"EVALSHA" | b"EVAL" | b"EVAL_RO" | b"EVALSHA_RO" => {
            let keys = words.nth(1)?;
            if keys == b"0" { None } else { words.next() }
        }
        b"MEMORY" | b"OBJECT" => words.nth(1),
        b"SCAN" | b"INFO" | b"PING" | b"TIME" | b"DBSIZE" | b"HELLO" | b"COMMAND" | b"CLUSTER"
        | b"SCRIPT" | b"ROLE" | b"WAIT" | b"CONFIG" => None,
        _ => words.next(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // 123456789 is the specification's own example; the others were asked of a server.
        for (key, expected) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("{user1000}.following", slot(b"user1000")),
            ("foo{}{bar}", slot_of_all(b"foo{}{bar}")),
            ("foo{{bar}}zap", slot(b"{bar")),
            ("foo{bar}{zap}", slot(b"bar")),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    fn slot_of_all(key: &[u8]) -> u16 {
        CRC.checksum(key) % SLOTS
    }

    #[test]
    fn every_slot_has_a_tag_of_its_own() {
        for number in 0..SLOTS {
            assert_eq!(slot(format!("x:{{{}}}", tag(number)).as_bytes()), number);
        }
    }

    #[test]
    fn the_key_of_a_command_is_found() {
        for (words, key) in [
            (vec!["HGETALL", "a"], Some("a")),
            (vec!["EVALSHA", "sha", "2", "a", "b", "x"], Some("a")),
            (vec!["EVAL", "return 1", "0"], None),
            (vec!["MEMORY", "USAGE", "a"], Some("a")),
            (vec!["SCAN", "0"], None),
        ] {
            let mut command = Cmd::new();
            for word in &words {
                command.arg(word);
            }
            assert_eq!(key_of(&command), key.map(str::as_bytes), "{words:?}");
        }
    }
}
