//! Checksums of migration files, named together with their algorithm.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

const PREFIX: &str = "sha256:";

/// A SHA-256, written as `sha256:` and 64 lower-case hex digits.
///
/// The algorithm is part of the text, so that a ledger stays readable if another one is ever added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Checksum([u8; 32]);

/// A text is not a checksum of a known algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a checksum; expected `sha256:` and 64 hex digits")]
pub struct ChecksumError {
    /// What was read.
    pub text: String,
}

impl Checksum {
    /// The checksum of a text file's content, the same whatever an editor or a checkout did to its ends:
    /// a byte order mark is dropped, CRLF and lone CR count as LF, and blank lines at the end do not count,
    /// nor does the presence of a final line end.
    pub fn of_content(content: &str) -> Self {
        Self::of_bytes(normalize(content).as_bytes())
    }

    /// The checksum of bytes just as they are.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Wraps a digest that was computed elsewhere.
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 bytes of the digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `sha256:<64 hex digits>`; upper-case digits are accepted.
    ///
    /// # Errors
    /// [`ChecksumError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChecksumError> {
        let mut digest = [0; 32];
        text.strip_prefix(PREFIX)
            .and_then(|digits| hex::decode_to_slice(digits, &mut digest).ok())
            .map(|()| Self(digest))
            .ok_or_else(|| ChecksumError {
                text: text.to_owned(),
            })
    }

    /// The first 12 hex digits, for screens; never for comparing.
    pub fn short(&self) -> String {
        let mut digits = hex::encode(self.0);
        digits.truncate(12);
        digits
    }
}

fn normalize(content: &str) -> String {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let mut text = content.replace("\r\n", "\n").replace('\r', "\n");
    while let Some(head) = text.rfind('\n') {
        if !text[head..].trim().is_empty() {
            break;
        }
        text.truncate(head);
    }
    if text.trim().is_empty() {
        text.clear();
    }
    text
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Checksum {
    type Error = ChecksumError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c10_line_ends_and_trailing_blank_lines_make_no_difference() {
        let expected = Checksum::of_content("create table a (\n  x int\n);");
        for content in [
            "create table a (\n  x int\n);\n",
            "create table a (\r\n  x int\r\n);\r\n",
            "create table a (\r  x int\r);",
            "create table a (\n  x int\n);\n\n  \n\t\n",
            "\u{feff}create table a (\n  x int\n);",
        ] {
            assert_eq!(Checksum::of_content(content), expected, "{content:?}");
        }
    }

    #[test]
    fn u17_any_other_change_shows() {
        let base = Checksum::of_content("select 1;\nselect 2;");
        for content in [
            "select 1;\n\nselect 2;",
            "\nselect 1;\nselect 2;",
            "select 1; \nselect 2;",
            "select 1;\nselect 2; ",
            "select 1;\nselect 3;",
            "",
        ] {
            assert_ne!(Checksum::of_content(content), base, "{content:?}");
        }
    }

    #[test]
    fn c10_the_algorithm_is_pinned() {
        assert_eq!(
            Checksum::of_content("\n").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Checksum::of_content("abc\n").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Checksum::of_content("abc").short(), "ba7816bf8f01");
    }

    #[test]
    fn c10_other_algorithms_and_lengths_are_refused() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in [
            hex.to_owned(),
            format!("md5:{hex}"),
            format!("sha256:{hex}00"),
            format!("sha256:{}", &hex[1..]),
            format!("sha256: {}", &hex[1..]),
            format!("sha256:{}é", &hex[2..]),
            String::new(),
        ] {
            assert!(Checksum::parse(&text).is_err(), "{text}");
        }
        assert!(Checksum::parse(&format!("sha256:{}", hex.to_uppercase())).is_ok());
    }

    proptest! {
        #[test]
        fn c10_crlf_never_changes_a_checksum(content in "([ a-z;é]{0,5}\n){0,8}") {
            prop_assert_eq!(
                Checksum::of_content(&content),
                Checksum::of_content(&content.replace('\n', "\r\n"))
            );
        }

        #[test]
        fn text_and_json_read_back(bytes in any::<Vec<u8>>()) {
            let checksum = Checksum::of_bytes(&bytes);
            prop_assert_eq!(checksum.to_string().parse(), Ok(checksum));
            let json = serde_json::to_string(&checksum).unwrap();
            prop_assert_eq!(serde_json::from_str::<Checksum>(&json).unwrap(), checksum);
        }
    }
}
