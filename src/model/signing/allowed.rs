//! Who may sign, in the form that ssh-keygen(1) describes under ALLOWED SIGNERS.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::error::{AllowedProblem, AllowedSignersError, Refusal};
use super::time::time;
use super::{KeyName, NAMESPACE, Signer};
use crate::model::wildcard;

/// A list of allowed signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    file: String,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    number: usize,
    principals: String,
    options: Options,
    key: KeyData,
}

/// What a line asks for beside the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl AllowedSigners {
    /// Reads a list. `file` is its name in messages; `zone` is that of times that name none.
    ///
    /// # Errors
    /// The first line that cannot be used, whatever is wrong with it.
    pub fn parse(file: &str, text: &str, zone: &TimeZone) -> Result<Self, AllowedSignersError> {
        let mut lines = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let line = line(number, text, zone).map_err(|problem| AllowedSignersError {
                file: file.to_owned(),
                line: number,
                problem,
            })?;
            lines.push(line);
        }
        Ok(Self {
            file: file.to_owned(),
            lines,
        })
    }

    /// Who has this key, if it may sign plans now. Of several lines with the key one that lets it is enough;
    /// without one the first line's reason is given.
    pub(super) fn signer(
        &self,
        data: &KeyData,
        key: &KeyName,
        now: &Zoned,
    ) -> Result<Signer, Refusal> {
        let mut refusal = None;
        for line in self.lines.iter().filter(|line| line.key == *data) {
            match self.judge(line, key, now.timestamp()) {
                Ok(signer) => return Ok(signer),
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        Err(refusal.unwrap_or_else(|| Refusal::UnknownKey {
            key: key.clone(),
            file: self.file.clone(),
        }))
    }

    fn judge(&self, line: &Line, key: &KeyName, now: Timestamp) -> Result<Signer, Refusal> {
        let signer = Box::new(Signer {
            principals: line.principals.clone(),
            key: key.clone(),
        });
        let (file, number) = (self.file.clone(), line.number);
        let options = &line.options;
        if let Some(namespaces) = options
            .namespaces
            .as_ref()
            .filter(|list| !in_list(NAMESPACE, list))
        {
            return Err(Refusal::NotForPlans {
                signer,
                file,
                line: number,
                namespaces: namespaces.clone(),
            });
        }
        if let Some(from) = options.valid_after.filter(|from| now < *from) {
            return Err(Refusal::NotYetValid {
                signer,
                file,
                line: number,
                from: from.to_string(),
            });
        }
        if let Some(until) = options.valid_before.filter(|until| now > *until) {
            return Err(Refusal::Expired {
                signer,
                file,
                line: number,
                until: until.to_string(),
            });
        }
        Ok(*signer)
    }
}

fn line(number: usize, text: &str, zone: &TimeZone) -> Result<Line, AllowedProblem> {
    let (principals, rest) = word(text)?;
    let principals = principals.trim_matches('"').to_owned();
    if principals.is_empty() || principals.chars().any(char::is_control) {
        return Err(AllowedProblem::Principals);
    }
    if rest.is_empty() {
        return Err(AllowedProblem::NoKey);
    }
    // As OpenSSH tells them apart: what cannot be read as a key is options before one.
    let (options, key) = match PublicKey::from_openssh(rest) {
        Ok(key) => (Options::default(), key),
        Err(error) if !looks_like_options(rest) => {
            return Err(AllowedProblem::Key(error.to_string()));
        }
        Err(_) => {
            let (text, rest) = word(rest)?;
            let options = Options::parse(text, zone)?;
            if rest.is_empty() {
                return Err(AllowedProblem::NoKey);
            }
            let key = PublicKey::from_openssh(rest)
                .map_err(|error| AllowedProblem::Key(error.to_string()))?;
            (options, key)
        }
    };
    Ok(Line {
        number,
        principals,
        options,
        key: key.key_data().clone(),
    })
}

/// Whether the first word is no kind of key. It decides only which of two messages is given.
fn looks_like_options(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .all(|kind| !first.starts_with(kind))
}

/// The first word, in which spaces between quotation marks do not count, and what follows it.
fn word(text: &str) -> Result<(&str, &str), AllowedProblem> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return Ok((&text[..at], text[at..].trim_start())),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    if quoted {
        return Err(AllowedProblem::Quote);
    }
    Ok((text, ""))
}

impl Options {
    /// Reads `name="value",name="value"`; names in any case.
    fn parse(text: &str, zone: &TimeZone) -> Result<Self, AllowedProblem> {
        let mut options = Self::default();
        for part in split_unquoted(text) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (part.as_str(), None),
            };
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => put(
                    &mut options.namespaces,
                    "namespaces",
                    quoted("namespaces", value)?,
                )?,
                "valid-after" => {
                    let at = moment("valid-after", value, zone)?;
                    put(&mut options.valid_after, "valid-after", at)?;
                }
                "valid-before" => {
                    let at = moment("valid-before", value, zone)?;
                    put(&mut options.valid_before, "valid-before", at)?;
                }
                "cert-authority" => {
                    return Err(AllowedProblem::UnsupportedOption("cert-authority"));
                }
                _ => return Err(AllowedProblem::UnknownOption(name.to_owned())),
            }
        }
        match (options.valid_after, options.valid_before) {
            (Some(after), Some(before)) if before <= after => Err(AllowedProblem::NeverValid),
            _ => Ok(options),
        }
    }
}

fn put<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), AllowedProblem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(AllowedProblem::Twice(name)),
    }
}

fn moment(
    option: &'static str,
    value: Option<&str>,
    zone: &TimeZone,
) -> Result<Timestamp, AllowedProblem> {
    let value = quoted(option, value)?;
    time(&value, zone).ok_or(AllowedProblem::Time { option, value })
}

/// A value between quotation marks, `\"` standing for one.
fn quoted(name: &'static str, value: Option<&str>) -> Result<String, AllowedProblem> {
    value
        .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
        .map(|value| value.replace("\\\"", "\""))
        .ok_or(AllowedProblem::NoValue(name))
}

/// The parts between commas that are outside of quotation marks.
fn split_unquoted(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        // There is always a last one.
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// Whether a name is in a comma-separated list of patterns: one that begins with `!` and fits keeps it out.
fn in_list(name: &str, list: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',').map(str::trim) {
        match pattern.strip_prefix('!') {
            Some(pattern) if wildcard::fits(name.as_bytes(), pattern.as_bytes()) => return false,
            Some(_) => {}
            None => found |= wildcard::fits(name.as_bytes(), pattern.as_bytes()),
        }
    }
    found
}
