//! Text that must never be seen: it prints as `***` wherever it is formatted.

use std::fmt;

/// A value that is redacted by its type: neither `Debug` nor `Display` shows it, and it does not serialise.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that must not be shown.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that hands it to a driver.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_no_form_shows_what_is_in_it() {
        let secret = Secret::new("hunter2");
        let shown = format!(
            "{secret} {secret:?} {secret:#?} {secret:>9} {:?}",
            Some(&secret)
        );
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(secret.expose(), "hunter2");
    }
}
