//! Bytes that nobody wrote: real ones, changed. The same seed makes the same bytes.

/// A small generator of numbers, the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// Numbers that are wrong in some size of integer.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e309",
    "0.000000000000000000000000000001",
    "99999999999999999999999999999999",
];

/// What opens something in one of the languages.
const OPENERS: [&str; 22] = [
    "(",
    "[",
    "{",
    "[[",
    "a.",
    "\"",
    "'",
    "/*",
    "$$",
    "${",
    "<",
    "<a..>",
    "<a>",
    "{<a>}",
    "CASE WHEN ",
    "SELECT (",
    "NOT ",
    "- ",
    "a = { b = ",
    "\x1b[2J",
    "\u{202e}",
    "BEGIN;",
];

/// One of the seeds, changed in up to eight places and no longer than `longest`; one case in sixteen is left as it is.
pub fn mutate(seeds: &[Vec<u8>], words: &[&str], longest: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    if random.below(16) == 0 {
        return bytes;
    }
    for _ in 0..=random.below(8) {
        change(&mut bytes, seeds, words, random);
        bytes.truncate(longest);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at).min(64) + 1);
    match random.below(12) {
        0 if !bytes.is_empty() => {
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1 << random.below(8);
        }
        1 if !bytes.is_empty() => {
            let at = at.min(bytes.len() - 1);
            bytes[at] = u8::try_from(random.below(256)).unwrap_or(0);
        }
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy.repeat(1 + random.below(200)));
        }
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        6 => drop(bytes.splice(at..end, random.pick(&NUMBERS).bytes())),
        7 => {
            let deep = [10, 100, 1_000, 30_000][random.below(4)];
            let nested = random.pick(&OPENERS).repeat(deep);
            bytes.splice(at..at, nested.into_bytes());
        }
        8 => drop(bytes.splice(at..end, random.pick(&OPENERS).bytes())),
        9 if !words.is_empty() => drop(bytes.splice(at..end, random.pick(words).bytes())),
        10 => {
            let length = [1, 2, 4, 8][random.below(4)];
            let number = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 31, random.next()][random.below(6)];
            let number = number.to_be_bytes()[8 - length..].to_vec();
            bytes.splice(at..(at + length).min(bytes.len()), number);
        }
        _ => {
            let line = bytes.split(|b| *b == b'\n').nth(random.below(40));
            let line = line.map(<[u8]>::to_vec).unwrap_or_default();
            bytes.splice(at..at, [b"\n", line.as_slice(), b"\n"].concat());
        }
    }
}
