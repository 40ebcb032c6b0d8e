//! Patterns in which `*` stands for any number of bytes and `?` for one.

/// Whether all of `name` is what `pattern` stands for. Takes no longer than the product of both lengths.
pub fn fits(name: &[u8], pattern: &[u8]) -> bool {
    // Where to go on after the last `*`, should what follows it not fit: one byte further each time.
    let (mut at, mut in_pattern, mut star) = (0, 0, None);
    while at < name.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((at, in_pattern + 1));
                in_pattern += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match star {
                Some((from, after)) => {
                    star = Some((from + 1, after));
                    at = from + 1;
                    in_pattern = after;
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}
