//! The server's coarse filter for SCAN.

use super::{Class, Part, Pattern};

impl Pattern {
    /// The narrowest SCAN MATCH glob that covers the pattern.
    ///
    /// Outside of brackets Redis' matcher gives a meaning to `*`, `?`, `[` and `\` only, so only these
    /// are escaped. A bracket stands for a capture's first byte, which keeps the keys already in hash
    /// tags off the wire where the old form is looked for.
    pub fn glob(&self) -> Vec<u8> {
        let mut glob = Vec::with_capacity(self.shortest + 8);
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => {
                    for byte in bytes {
                        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
                            glob.push(b'\\');
                        }
                        glob.push(*byte);
                    }
                }
                Part::Capture {
                    class: Class::Plain,
                    ..
                } => glob.extend(b"[^:{}]*"),
                Part::Capture {
                    class: Class::Braced,
                    ..
                } => glob.extend(b"[^{}]*"),
                Part::Capture {
                    class: Class::Any, ..
                } => glob.push(b'*'),
            }
        }
        glob
    }
}
