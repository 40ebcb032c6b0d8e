//! The name of a migration: `sql/0005_denormalize_attempts`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::document::printable;

/// The longest name of a migration, in bytes. A file name may hold 255, and suffixes are added to it.
pub const LONGEST_NAME: usize = 200;

/// A kind of database that is migrated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Postgres.
    Sql,
    /// Redis.
    Redis,
}

impl StoreKind {
    /// The word used in ids, folder names and output: `sql` or `redis`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StoreKind {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "sql" => Ok(Self::Sql),
            "redis" => Ok(Self::Redis),
            _ => Err(IdError::new(text, IdProblem::Store)),
        }
    }
}

/// The identity of a migration: its store and its name, such as `redis/0001_hash_tags`.
///
/// A name is digits, an underscore, and letters, digits, `_`, `.` or `-`; so it is safe as a file name, in
/// a key and on a terminal. Ordered by store, then number, then name: `9_b` comes before `0010_a`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MigrationId {
    store: StoreKind,
    // Shared: ids are keys of most maps and stand in most errors.
    name: Arc<str>,
    number: u64,
}

impl MigrationId {
    /// An id from its parts.
    ///
    /// # Errors
    /// [`IdError`] when the name is not of the form `NNNN_name`, is too long, or could leave its folder.
    pub fn new(store: StoreKind, name: &str) -> Result<Self, IdError> {
        let number = check_name(name).map_err(|problem| IdError::new(name, problem))?;
        Ok(Self {
            store,
            name: name.into(),
            number,
        })
    }

    /// The store that the migration changes.
    pub fn store(&self) -> StoreKind {
        self.store
    }

    /// The name with its number: `0005_denormalize_attempts`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The leading number; leading zeros do not count.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The name without its number: `denormalize_attempts`.
    pub fn base_name(&self) -> &str {
        self.name.split_once('_').map_or("", |(_, base)| base)
    }
}

fn check_name(name: &str) -> Result<u64, IdProblem> {
    if name.len() > LONGEST_NAME {
        return Err(IdProblem::TooLong);
    }
    let (digits, base) = name.split_once('_').ok_or(IdProblem::Form)?;
    if digits.is_empty() || base.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(IdProblem::Form);
    }
    if let Some(bad) = base
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'))
    {
        return Err(IdProblem::Character(bad));
    }
    if base.contains("..") {
        return Err(IdProblem::Form);
    }
    digits.parse().map_err(|_| IdProblem::Number)
}

impl FromStr for MigrationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let whole = |problem| IdError::new(text, problem);
        let (store, name) = text.split_once('/').ok_or_else(|| whole(IdProblem::Form))?;
        let store = store.parse().map_err(|_| whole(IdProblem::Store))?;
        Self::new(store, name).map_err(|error| whole(error.problem))
    }
}

impl Ord for MigrationId {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.store, self.number, &self.name).cmp(&(other.store, other.number, &other.name))
    }
}

impl PartialOrd for MigrationId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.store, self.name))
    }
}

impl fmt::Debug for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for MigrationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MigrationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Text that is no migration id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a migration id: {problem}")]
pub struct IdError {
    /// What was written, made safe to print and shortened.
    pub text: String,
    /// What is wrong with it.
    pub problem: IdProblem,
}

impl IdError {
    fn new(text: &str, problem: IdProblem) -> Self {
        Self {
            text: printable(text),
            problem,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(
            "an id is a store and a name, such as `sql/0005_add_index` or `redis/0001_hash_tags`"
                .to_owned(),
        )
    }
}

/// What is wrong with the text of an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdProblem {
    /// The part before the slash names no store.
    #[error("its store must be `sql` or `redis`")]
    Store,
    /// Not `store/NNNN_name`.
    #[error("it must be a store, a slash, a number, an underscore and a name without `..`")]
    Form,
    /// A character that a name may not hold.
    #[error("its name may not contain {0:?}")]
    Character(char),
    /// The number does not fit.
    #[error("its number is larger than {}", u64::MAX)]
    Number,
    /// The name is too long.
    #[error("its name is longer than {LONGEST_NAME} bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> MigrationId {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_gives_its_parts_back() {
        let id = id("sql/0005_denormalize_attempts");
        assert_eq!(id.store(), StoreKind::Sql);
        assert_eq!(id.name(), "0005_denormalize_attempts");
        assert_eq!(id.number(), 5);
        assert_eq!(id.base_name(), "denormalize_attempts");
        assert_eq!(id.to_string(), "sql/0005_denormalize_attempts");
        assert_eq!(
            serde_json::to_string(&id).unwrap(),
            "\"sql/0005_denormalize_attempts\""
        );
    }

    #[test]
    fn ids_are_ordered_by_store_then_number_whatever_its_width() {
        let mut ids = ["redis/1_a", "sql/0010_a", "sql/9_b", "sql/009_a", "sql/9_a"].map(id);
        ids.sort();
        assert_eq!(
            ids.map(|i| i.to_string()),
            ["sql/009_a", "sql/9_a", "sql/9_b", "sql/0010_a", "redis/1_a"]
        );
    }

    #[test]
    fn names_that_could_leave_their_folder_or_spoil_a_terminal_are_refused() {
        let long = format!("sql/1_{}", "x".repeat(LONGEST_NAME));
        for (text, problem) in [
            ("", IdProblem::Form),
            ("0001_a", IdProblem::Form),
            ("mysql/0001_a", IdProblem::Store),
            ("SQL/0001_a", IdProblem::Store),
            ("sql/0001", IdProblem::Form),
            ("sql/0001_", IdProblem::Form),
            ("sql/_a", IdProblem::Form),
            ("sql/a_1", IdProblem::Form),
            ("sql/+1_a", IdProblem::Form),
            ("sql/1_..", IdProblem::Form),
            ("sql/../1_a", IdProblem::Form),
            ("sql/1_a/b", IdProblem::Character('/')),
            ("sql/1_../x", IdProblem::Character('/')),
            ("sql/1_a\\b", IdProblem::Character('\\')),
            ("sql/1_a\n", IdProblem::Character('\n')),
            ("sql/1_a\u{1b}[2J", IdProblem::Character('\u{1b}')),
            ("sql/1_é", IdProblem::Character('é')),
            ("sql/99999999999999999999_a", IdProblem::Number),
            (long.as_str(), IdProblem::TooLong),
        ] {
            let error = text.parse::<MigrationId>().expect_err(text);
            assert_eq!(error.problem, problem, "{text:?}");
            assert!(!error.to_string().chars().any(char::is_control), "{text:?}");
            assert!(error.hint().is_some());
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_the_same(text in "(sql|redis)/[0-9]{1,22}_[a-z./_-]{0,12}") {
            if let Ok(id) = text.parse::<MigrationId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn parsing_any_text_never_panics(text in ".*") {
            let _ = text.parse::<MigrationId>();
        }
    }
}
