//! What the linter found, and drift, in the JSON of a plan.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::drift::{Deviation, KeyDrift, PinnedDrift};
use crate::model::lint::{Finding, Level};

/// Something that the linter found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(super) struct FindingJson<'a> {
    /// Which rule.
    rule: &'a str,
    /// How much it matters.
    level: Level,
    /// The migration; null where it is about none in the folder.
    id: Option<String>,
    /// Below the schema folder, or outpost.toml.
    file: &'a str,
    /// From 1; null where it is about the whole file.
    line: Option<usize>,
    /// In words.
    message: &'a str,
    /// What to do about it.
    advice: Option<&'a str>,
}

/// How the Postgres schema differs from what outpost.lock pins for the recorded migrations.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Drift")]
pub(super) struct DriftJson<'a> {
    /// The pinned state is the one after this migration.
    after: String,
    /// Major version of the Postgres that outpost.lock was made with.
    expected_server: Option<u32>,
    /// Major version of the database's server; another one may word a definition differently.
    server: Option<u32>,
    /// What differs; empty where nothing does.
    objects: Vec<ObjectJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DriftedObject")]
struct ObjectJson<'a> {
    /// Kind and qualified name.
    object: &'a str,
    /// How it differs.
    deviation: Deviation,
}

/// A check of an applied Redis migration that failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyDrift")]
pub(super) struct KeyDriftJson<'a> {
    /// The migration.
    id: String,
    /// What was checked.
    check: &'a str,
    /// How much was examined, in units of `unit`.
    examined: u64,
    /// What `examined` counts.
    unit: &'a str,
    /// All findings.
    found: u64,
    /// The first of them.
    findings: &'a [String],
}

impl<'a> From<&'a KeyDrift> for KeyDriftJson<'a> {
    fn from(drift: &'a KeyDrift) -> Self {
        Self {
            id: drift.id.to_string(),
            check: &drift.check,
            examined: drift.examined,
            unit: &drift.unit,
            found: drift.found,
            findings: &drift.findings,
        }
    }
}

impl<'a> From<&'a Finding> for FindingJson<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            rule: &finding.rule,
            level: finding.level,
            id: finding.id.as_ref().map(ToString::to_string),
            file: &finding.file,
            line: finding.line,
            message: &finding.message,
            advice: finding.advice.as_deref(),
        }
    }
}

impl<'a> From<&'a PinnedDrift> for DriftJson<'a> {
    fn from(drift: &'a PinnedDrift) -> Self {
        let objects = drift.objects.iter();
        Self {
            after: drift.after.to_string(),
            expected_server: drift.expected_server,
            server: drift.server,
            objects: objects
                .map(|object| ObjectJson {
                    object: &object.object,
                    deviation: object.deviation,
                })
                .collect(),
        }
    }
}
