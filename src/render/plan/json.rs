//! A plan as JSON. The shape is its own: the plan file's types may change beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

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
use crate::render::plan::step::StepView;
use crate::render::signature::SignatureJson;

#[derive(Serialize)]
struct PlanJson<'a> {
    digest: String,
    purpose: Purpose,
    version: &'a str,
    only: Option<StoreKind>,
    tool: &'a str,
    databases: Vec<DatabaseJson<'a>>,
    vars: &'a BTreeMap<String, String>,
    /// Migrations of the version whose store is not configured.
    left_out: BTreeSet<String>,
    summary: Summary,
    rehearsal: Vec<RehearsalJson<'a>>,
    steps: Vec<StepJson<'a>>,
    file: Option<&'a str>,
    /// Null where nobody looked for one.
    signature: Option<SignatureJson<'a>>,
    commands: Vec<String>,
}

#[derive(Serialize)]
struct DatabaseJson<'a> {
    store: StoreKind,
    database: String,
    system_identifier: Option<&'a str>,
    deployment_id: Option<&'a str>,
    ledger: Option<&'a str>,
    fingerprint: Option<&'a str>,
    earlier_tools: String,
    recorded: BTreeMap<String, RecordedJson>,
}

#[derive(Serialize)]
struct RecordedJson {
    status: RecordedStatus,
    checksum: String,
}

#[derive(Serialize)]
struct StepJson<'a> {
    id: String,
    store: StoreKind,
    action: &'static str,
    /// `applied` or `rolled_back`, for `resolve`.
    resolution: Option<&'static str>,
    description: Option<&'a str>,
    /// Proof of an adoption, reason of a skip.
    reason: Option<&'a str>,
    data_loss: Option<&'a str>,
    /// What the ledger has, where an edit is accepted.
    recorded_checksum: Option<String>,
    checksum: String,
    after: BTreeSet<String>,
    resumes: bool,
    out_of_order: bool,
    sql: Option<SqlJson<'a>>,
    redis: Option<RedisJson<'a>>,
    tables: Vec<TableJson<'a>>,
    keys: Option<KeysJson>,
    rehearsal: Option<StepRehearsalJson<'a>>,
    warnings: Vec<WarningJson<'a>>,
}

#[derive(Serialize)]
struct TableJson<'a> {
    table: &'a str,
    /// Estimated; null where the table was never analysed.
    rows: Option<u64>,
    bytes: u64,
}

#[derive(Serialize)]
struct WarningJson<'a> {
    kind: WarningKind,
    line: Option<u32>,
    message: &'a str,
}

#[derive(Serialize)]
struct SqlJson<'a> {
    file: &'a str,
    checksum: String,
    transaction: bool,
    lock_timeout_ms: Option<u64>,
    statement_timeout_ms: u64,
    statements: Vec<StatementJson<'a>>,
    verify: Vec<StatementJson<'a>>,
    down: Option<&'a str>,
}

#[derive(Serialize)]
struct StatementJson<'a> {
    line: u32,
    verb: &'a str,
    text: &'a str,
    tables: Vec<String>,
    creates: Vec<String>,
    risks: Vec<RiskJson<'a>>,
    impact: Vec<ImpactJson<'a>>,
    rehearsal: Option<StatementRehearsalJson<'a>>,
}

#[derive(Serialize)]
struct RiskJson<'a> {
    kind: RiskKind,
    table: Option<String>,
    message: &'a str,
}

#[derive(Serialize)]
struct RedisJson<'a> {
    file: &'a str,
    allow_lossy: bool,
    operations: Vec<String>,
    declaration: &'a str,
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
