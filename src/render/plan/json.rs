//! A plan as JSON. The shape is its own: the plan file's types may change beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::id::StoreKind;
use crate::model::plan::{
    Action, PlannedStatement, Purpose, RecordedStatus, Resolution, StatementImpact,
    StatementRehearsal, Step, StepContent, WarningKind,
};
use crate::model::sql::RiskKind;
use crate::model::state::StoreIdentity;
use crate::render::json;
use crate::render::plan::PlanView;
use crate::render::plan::facts::Summary;
use crate::render::plan::json_evidence::{
    ImpactJson, KeysJson, RehearsalJson, StatementRehearsalJson, StepRehearsalJson, rehearsal,
};
use crate::render::plan::json_findings::{DriftJson, FindingJson, KeyDriftJson};
use crate::render::plan::step::StepView;
use crate::render::signature::SignatureJson;

#[derive(Serialize, JsonSchema)]
struct PlanJson<'a> {
    /// Of the decision, `sha256:` and 64 hex digits: the same for every plan that does the same from the same state.
    digest: String,
    /// What the plan is for.
    purpose: Purpose,
    /// The name of the desired version.
    version: &'a str,
    /// The only store that the plan may touch, where one was asked for.
    only: Option<StoreKind>,
    /// Version of the outpost that made the plan.
    tool: &'a str,
    /// What the plan was made for; it is refused elsewhere.
    databases: Vec<DatabaseJson<'a>>,
    /// Variables of the files, with their values.
    vars: &'a BTreeMap<String, String>,
    /// Migrations of the version whose store is not configured.
    left_out: BTreeSet<String>,
    /// How many steps do what.
    summary: Summary,
    /// Where the plan was rehearsed; empty where it was not.
    rehearsal: Vec<RehearsalJson<'a>>,
    /// What the linter found in the files that run, and files that are not as locked.
    lint: Vec<FindingJson<'a>>,
    /// Null where nothing pins the recorded state, or Postgres was not looked at.
    drift: Option<DriftJson<'a>>,
    /// Null where nobody asked for it with --redis-drift; empty where all keys are as they were left.
    redis_drift: Option<Vec<KeyDriftJson<'a>>>,
    /// In an order in which they may run.
    steps: Vec<StepJson<'a>>,
    /// The name of the file that was read or written.
    file: Option<&'a str>,
    /// Null where nobody looked for one.
    signature: Option<SignatureJson<'a>>,
    /// What carries the plan out.
    commands: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Database")]
struct DatabaseJson<'a> {
    /// Which store.
    store: StoreKind,
    /// The name in Postgres, the number in Redis.
    database: String,
    /// Of a Postgres cluster.
    system_identifier: Option<&'a str>,
    /// Of a Redis deployment, from outpost.toml.
    deployment_id: Option<&'a str>,
    /// The id of the ledger; null before the first apply.
    ledger: Option<&'a str>,
    /// Of the schema when the plan was made, for Postgres.
    fingerprint: Option<&'a str>,
    /// What other tools recorded, in words.
    earlier_tools: String,
    /// What the ledger had when the plan was made, by id.
    recorded: BTreeMap<String, RecordedJson>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Recorded")]
struct RecordedJson {
    /// Where the migration stood.
    status: RecordedStatus,
    /// Of the file that was applied.
    checksum: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepJson<'a> {
    /// The migration.
    id: String,
    /// Where it runs.
    store: StoreKind,
    /// What is done.
    #[schemars(extend("enum" = ["apply", "revert", "cleanup", "adopt", "skip", "accept_edit", "resolve"]))]
    action: &'static str,
    /// `applied` or `rolled_back`, for `resolve`.
    resolution: Option<&'static str>,
    /// What the migration is for.
    description: Option<&'a str>,
    /// Proof of an adoption, reason of a skip.
    reason: Option<&'a str>,
    /// What a revert loses for good, where its author said so.
    data_loss: Option<&'a str>,
    /// What the ledger has, where an edit is accepted.
    recorded_checksum: Option<String>,
    /// Of the migration's file.
    checksum: String,
    /// Steps that must be done first.
    after: BTreeSet<String>,
    /// Whether an earlier run began it.
    resumes: bool,
    /// Whether a migration with a higher number is in place already.
    out_of_order: bool,
    /// For a step that runs SQL.
    sql: Option<SqlJson<'a>>,
    /// For a step that runs a declaration.
    redis: Option<RedisJson<'a>>,
    /// Tables that it touches and that exist.
    tables: Vec<TableJson<'a>>,
    /// Keys that it meets.
    keys: Option<KeysJson>,
    /// How it went in the rehearsal.
    rehearsal: Option<StepRehearsalJson<'a>>,
    /// What a reviewer should look at.
    warnings: Vec<WarningJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Table")]
struct TableJson<'a> {
    /// Qualified name.
    table: &'a str,
    /// Estimated; null where the table was never analysed.
    rows: Option<u64>,
    /// On disk, partitions included.
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Warning")]
struct WarningJson<'a> {
    /// What sort of thing.
    kind: WarningKind,
    /// Of the step's file.
    line: Option<u32>,
    /// In words.
    message: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sql")]
struct SqlJson<'a> {
    /// Below the schema folder.
    file: &'a str,
    /// Of that file.
    checksum: String,
    /// Whether all of it runs in one transaction, with the ledger.
    transaction: bool,
    /// 0 for no limit; null where none is set.
    lock_timeout_ms: Option<u64>,
    /// 0 for no limit.
    statement_timeout_ms: u64,
    /// What runs, in order.
    statements: Vec<StatementJson<'a>>,
    /// Queries that must hold before a cleanup.
    verify: Vec<StatementJson<'a>>,
    /// What undoes it, as the ledger keeps it.
    down: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Statement")]
struct StatementJson<'a> {
    /// Where it begins, from 1.
    line: u32,
    /// What it is, in a few words.
    verb: &'a str,
    /// Without its semicolon.
    text: &'a str,
    /// That it touches.
    tables: Vec<String>,
    /// Tables that it creates.
    creates: Vec<String>,
    /// As far as its text tells.
    risks: Vec<RiskJson<'a>>,
    /// What it does to each table, as far as the catalog tells.
    impact: Vec<ImpactJson<'a>>,
    /// What was seen of it in the rehearsal.
    rehearsal: Option<StatementRehearsalJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Risk")]
struct RiskJson<'a> {
    /// What sort of thing.
    kind: RiskKind,
    /// Which table, where it is one.
    table: Option<String>,
    /// In words.
    message: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Redis")]
struct RedisJson<'a> {
    /// Below the schema folder.
    file: &'a str,
    /// Whether a revert may convert what cannot be brought back.
    allow_lossy: bool,
    /// In words, in order.
    operations: Vec<String>,
    /// The text of the file.
    declaration: &'a str,
    /// Files of later migrations that copies are compared with, for a cleanup.
    later: Vec<&'a str>,
}

/// Writes a plan as JSON, decision and evidence.
///
/// # Errors
/// What `out` says.
pub fn plan_json(out: &mut dyn Write, view: &PlanView<'_>) -> io::Result<()> {
    let decision = &view.plan.decision;
    json::document(
        out,
        &PlanJson {
            digest: view.plan.digest.to_string(),
            purpose: decision.purpose,
            version: &decision.version,
            only: decision.only,
            tool: &view.plan.evidence.tool,
            databases: databases(view),
            vars: &decision.config.vars,
            left_out: decision.left_out.iter().map(ToString::to_string).collect(),
            summary: view.summary(),
            rehearsal: view
                .plan
                .evidence
                .rehearsal
                .iter()
                .map(|(store, seen)| rehearsal(*store, seen))
                .collect(),
            lint: view
                .plan
                .evidence
                .lint
                .iter()
                .map(FindingJson::from)
                .collect(),
            drift: view.plan.evidence.drift.as_ref().map(DriftJson::from),
            redis_drift: view
                .plan
                .evidence
                .redis_drift
                .as_ref()
                .map(|drift| drift.iter().map(KeyDriftJson::from).collect()),
            steps: view.steps().map(|step| step_json(&step)).collect(),
            file: view.file,
            signature: view.signature.map(SignatureJson::new),
            commands: if decision.is_empty() {
                Vec::new()
            } else {
                view.commands()
            },
        },
    )
}

/// Writes the JSON Schema of what [`plan_json`] writes. It comes from the same types.
///
/// # Errors
/// What `out` says.
pub fn plan_schema(out: &mut dyn Write) -> io::Result<()> {
    let schema = json::schema::<PlanJson<'_>>("A plan of outpost");
    writeln!(out, "{}", serde_json::to_string_pretty(&schema)?)
}

fn databases<'a>(view: &PlanView<'a>) -> Vec<DatabaseJson<'a>> {
    let recorded = &view.plan.decision.recorded;
    recorded
        .iter()
        .map(|(kind, store)| {
            let (database, system, deployment) = match &store.identity {
                StoreIdentity::Postgres {
                    system_identifier,
                    database,
                    ..
                } => (database.clone(), system_identifier.as_deref(), None),
                StoreIdentity::Redis {
                    deployment_id,
                    database,
                    ..
                } => (database.to_string(), None, Some(deployment_id.as_str())),
            };
            DatabaseJson {
                store: *kind,
                database,
                system_identifier: system,
                deployment_id: deployment,
                ledger: store.identity.ledger(),
                fingerprint: store.fingerprint.as_ref().map(|f| f.0.as_str()),
                earlier_tools: store.legacy.to_string(),
                recorded: store
                    .entries
                    .iter()
                    .map(|(id, entry)| {
                        let checksum = entry.checksum.to_string();
                        (
                            id.to_string(),
                            RecordedJson {
                                status: entry.status,
                                checksum,
                            },
                        )
                    })
                    .collect(),
            }
        })
        .collect()
}

fn step_json<'a>(view: &StepView<'a>) -> StepJson<'a> {
    let step: &'a Step = view.step;
    let (action, resolution) = match &step.action {
        Action::Apply => ("apply", None),
        Action::Revert { .. } => ("revert", None),
        Action::Cleanup => ("cleanup", None),
        Action::Adopt { .. } => ("adopt", None),
        Action::Skip { .. } => ("skip", None),
        Action::AcceptEdit { .. } => ("accept_edit", None),
        Action::Resolve(Resolution::Applied) => ("resolve", Some("applied")),
        Action::Resolve(Resolution::RolledBack) => ("resolve", Some("rolled_back")),
    };
    let (sql, redis) = match &step.content {
        StepContent::Record => (None, None),
        StepContent::Redis(redis) => (
            None,
            Some(RedisJson {
                file: &redis.path,
                allow_lossy: redis.allow_lossy,
                operations: view.operations(),
                declaration: &redis.text,
                later: redis.later.iter().map(|l| l.path.as_str()).collect(),
            }),
        ),
        StepContent::Sql(sql) => (
            Some(SqlJson {
                file: &sql.path,
                checksum: sql.checksum.to_string(),
                transaction: sql.transaction,
                lock_timeout_ms: sql.lock_timeout_ms,
                statement_timeout_ms: sql.statement_timeout_ms,
                statements: statements_json(view, &sql.statements),
                verify: sql
                    .verify
                    .iter()
                    .map(|s| statement_json(s, None, None))
                    .collect(),
                down: sql.down.as_deref(),
            }),
            None,
        ),
    };
    StepJson {
        id: step.id.to_string(),
        store: step.id.store(),
        action,
        resolution,
        description: step.description.as_deref(),
        reason: match &step.action {
            Action::Adopt { proof } => Some(proof),
            Action::Skip { reason } => Some(reason),
            _ => None,
        },
        data_loss: match &step.action {
            Action::Revert { data_loss } => data_loss.as_deref(),
            _ => None,
        },
        recorded_checksum: match &step.action {
            Action::AcceptEdit { recorded } => Some(recorded.to_string()),
            _ => None,
        },
        checksum: step.checksum.to_string(),
        after: step.after.iter().map(ToString::to_string).collect(),
        resumes: step.resumes,
        out_of_order: step.out_of_order,
        sql,
        redis,
        tables: view
            .evidence
            .tables
            .iter()
            .map(|t| TableJson {
                table: &t.table,
                rows: t.rows,
                bytes: t.bytes,
            })
            .collect(),
        keys: view.evidence.keys.as_ref().map(KeysJson::from),
        rehearsal: view
            .evidence
            .rehearsal
            .as_ref()
            .map(StepRehearsalJson::from),
        warnings: view
            .evidence
            .warnings
            .iter()
            .map(|w| WarningJson {
                kind: w.kind,
                line: w.line,
                message: &w.message,
            })
            .collect(),
    }
}

/// The statements that run, each with what is known of it.
fn statements_json<'a>(
    view: &StepView<'a>,
    statements: &'a [PlannedStatement],
) -> Vec<StatementJson<'a>> {
    let seen = view.evidence.rehearsal.as_ref();
    statements
        .iter()
        .enumerate()
        .map(|(at, statement)| {
            statement_json(
                statement,
                view.evidence.statements.get(at),
                seen.and_then(|seen| seen.statements.get(at)),
            )
        })
        .collect()
}

fn statement_json<'a>(
    statement: &'a PlannedStatement,
    impact: Option<&'a StatementImpact>,
    rehearsal: Option<&'a StatementRehearsal>,
) -> StatementJson<'a> {
    StatementJson {
        line: statement.line,
        verb: &statement.verb,
        text: &statement.text,
        tables: statement.tables.iter().map(ToString::to_string).collect(),
        creates: statement.creates.iter().map(ToString::to_string).collect(),
        risks: statement
            .risks
            .iter()
            .map(|r| RiskJson {
                kind: r.kind,
                table: r.table.as_ref().map(ToString::to_string),
                message: &r.sentence,
            })
            .collect(),
        impact: impact.map_or_else(Vec::new, |impact| {
            impact.tables.iter().map(ImpactJson::from).collect()
        }),
        rehearsal: rehearsal.map(StatementRehearsalJson::from),
    }
}
