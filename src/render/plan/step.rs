//! What every form says of one step.

use crate::model::config::PlanConfig;
use crate::model::lint::Finding;
use crate::model::plan::{
    Action, ComingKeys, KeyCounts, PlannedStatement, RedisContent, Resolution, SqlContent, Step,
    StepContent, StepEvidence, TableSize,
};
use crate::model::redis::declaration::Declaration;
use crate::model::sql::TableWork;
use crate::render::plan::impact::{impact_words, time_words};
use crate::render::plan::rehearsal::{statement_words, step_words};
use crate::render::units::{bytes, count, counted, limit_ms};

/// A step with what is known about it.
#[derive(Debug, Clone)]
pub(super) struct StepView<'a> {
    pub(super) step: &'a Step,
    pub(super) evidence: &'a StepEvidence,
    pub(super) config: &'a PlanConfig,
    /// What the linter found in its files.
    pub(super) findings: Vec<&'a Finding>,
}

impl<'a> StepView<'a> {
    /// What is done, with what sets this step apart.
    pub(super) fn action(&self) -> String {
        let mut words = self.step.action.name().to_owned();
        if self.step.resumes {
            words.push_str(" (resumes)");
        }
        if self.step.out_of_order {
            words.push_str(" (out of order)");
        }
        words
    }

    /// Why the step is there, or what it costs, where the action says so.
    pub(super) fn reason(&self) -> Option<String> {
        Some(match &self.step.action {
            Action::Apply | Action::Revert { .. } | Action::Cleanup => return None,
            Action::Adopt { proof } => format!("proof: {proof}"),
            Action::Skip { reason } => format!("not applicable: {reason}"),
            Action::AcceptEdit { recorded } => {
                format!(
                    "the ledger has {}, the file {}",
                    recorded.short(),
                    self.step.checksum.short()
                )
            }
            Action::Resolve(Resolution::Applied) => {
                "a person decided that it is in place".to_owned()
            }
            Action::Resolve(Resolution::RolledBack) => {
                "a person decided that nothing of it is in place".to_owned()
            }
        })
    }

    /// The file that runs and how it runs, or that only the ledger is written.
    pub(super) fn how(&self) -> String {
        if self.step.action.is_record_only() {
            return "only the ledger is written".to_owned();
        }
        match &self.step.content {
            StepContent::Sql(sql) => sql_how(sql),
            StepContent::Redis(redis) if redis.allow_lossy => {
                format!("{}, lossy conversions allowed", redis.path)
            }
            StepContent::Redis(redis) if !redis.later.is_empty() => {
                let later: Vec<&str> = redis.later.iter().map(|l| l.path.as_str()).collect();
                format!(
                    "{}; copies are compared with what {} made of them",
                    redis.path,
                    later.join(" and ")
                )
            }
            StepContent::Redis(redis) => redis.path.clone(),
            StepContent::Record => "only the ledger is written".to_owned(),
        }
    }

    /// The file that runs.
    pub(super) fn path(&self) -> Option<&'a str> {
        match &self.step.content {
            StepContent::Sql(sql) => Some(&sql.path),
            StepContent::Redis(redis) => Some(&redis.path),
            _ => None,
        }
    }

    /// The checksum of the file that runs.
    pub(super) fn checksum(&self) -> String {
        match &self.step.content {
            StepContent::Sql(sql) => sql.checksum.to_string(),
            _ => self.step.checksum.to_string(),
        }
    }

    pub(super) fn statements(&self) -> &'a [PlannedStatement] {
        match &self.step.content {
            StepContent::Sql(sql) => &sql.statements,
            _ => &[],
        }
    }

    /// What the statement at this place does to tables that others use, and what it did in the rehearsal.
    /// What only reads a table's entry in the catalog is left out.
    pub(super) fn facts(&self, at: usize) -> Vec<String> {
        let rehearsal = self.evidence.rehearsal.as_ref();
        let seen = rehearsal.and_then(|rehearsal| rehearsal.statements.get(at));
        let impact = self.evidence.statements.get(at);
        impact
            .iter()
            .flat_map(|impact| &impact.tables)
            .filter(|table| !table.created_here)
            .filter(|table| table.lock.blocks_schema_changes() || table.work != TableWork::None)
            .map(impact_words)
            .chain(seen.and_then(statement_words))
            .collect()
    }

    /// How the step went in the rehearsal.
    pub(super) fn rehearsal(&self) -> Option<String> {
        self.evidence.rehearsal.as_ref().map(step_words)
    }

    /// Queries that must hold before a cleanup removes anything.
    pub(super) fn verify(&self) -> &'a [PlannedStatement] {
        match &self.step.content {
            StepContent::Sql(sql) => &sql.verify,
            _ => &[],
        }
    }

    /// What a Redis step does, an operation each.
    pub(super) fn operations(&self) -> Vec<String> {
        match &self.step.content {
            StepContent::Redis(redis) if !self.step.action.is_record_only() => {
                operations(redis, self.config)
            }
            _ => Vec::new(),
        }
    }

    /// The text of a Redis step's file.
    pub(super) fn declaration(&self) -> Option<&'a str> {
        match &self.step.content {
            StepContent::Redis(redis) if !self.step.action.is_record_only() => Some(&redis.text),
            _ => None,
        }
    }

    /// Key counts and table sizes, on one line; `None` where nothing was counted.
    pub(super) fn size(&self) -> Option<String> {
        let mut parts: Vec<String> = self.evidence.tables.iter().map(table_words).collect();
        parts.extend(self.evidence.keys.as_ref().map(key_words));
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn sql_how(sql: &SqlContent) -> String {
    let mut words = vec![sql.path.clone()];
    words.push(
        if sql.transaction {
            "one transaction"
        } else {
            "no transaction"
        }
        .to_owned(),
    );
    if let Some(limit) = sql.lock_timeout_ms {
        words.push(format!("lock_timeout {}", limit_ms(limit)));
    }
    if sql.statement_timeout_ms > 0 {
        words.push(format!(
            "statement_timeout {}",
            limit_ms(sql.statement_timeout_ms)
        ));
    }
    words.join(", ")
}

fn operations(content: &RedisContent, config: &PlanConfig) -> Vec<String> {
    match Declaration::parse(&content.path, &content.text, config) {
        Ok(declaration) => declaration
            .operations()
            .iter()
            .map(ToString::to_string)
            .collect(),
        Err(error) => vec![format!("the declaration cannot be read: {error}")],
    }
}

/// A table, its rows and its size.
pub(super) fn table_words(table: &TableSize) -> String {
    let rows = table.rows.map_or_else(
        || "rows unknown".to_owned(),
        |rows| format!("about {}", counted(rows, "row")),
    );
    format!("{}: {rows}, {}", table.table, bytes(table.bytes))
}

/// The keys that earlier steps bring, after the words for those that are there, if any are.
fn coming_words(coming: &ComingKeys, there: Option<String>) -> String {
    let by: Vec<String> = coming.by.iter().map(ToString::to_string).collect();
    let by = by.join(", ");
    match there {
        None => format!(
            "up to {}, all to come from {by}",
            counted(coming.at_most, "key")
        ),
        Some(there) => format!(
            "{there}; up to {} more to come from {by}",
            count(coming.at_most)
        ),
    }
}

/// The keys that a step meets.
pub(super) fn key_words(keys: &KeyCounts) -> String {
    let mut words = format!(
        "{} in scope: {} to do, {} done, {} ignored",
        counted(keys.in_scope, "key"),
        count(keys.to_do),
        count(keys.done),
        count(keys.ignored)
    );
    if let Some(coming) = &keys.coming {
        words = coming_words(coming, (keys.in_scope > 0).then_some(words));
    }
    match keys.extra_bytes {
        Some(0) => {}
        Some(extra) => words.push_str(&format!("; about {} more memory", bytes(extra))),
        None => words.push_str("; extra memory unknown"),
    }
    if let Some(size) = keys.bytes.filter(|_| keys.to_do > 0) {
        words.push_str(&format!("; those to do take about {}", bytes(size)));
    }
    if let Some(time) = &keys.time {
        words.push_str(&format!("; {}", time_words(time)));
    }
    words
}
