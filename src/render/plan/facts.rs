//! What every form of a plan says, in words, before it is laid out.

use std::sync::LazyLock;

use crate::model::config::PlanConfig;
use crate::model::id::StoreKind;
use crate::model::plan::{
    Action, KeyCounts, Plan, PlannedStatement, Purpose, RedisContent, Resolution, SqlContent, Step,
    StepContent, StepEvidence, TableSize, Warning, WarningKind,
};
use crate::model::redis::declaration::Declaration;
use crate::model::state::StoreIdentity;
use crate::render::text::shell;
use crate::render::units::{bytes, count, counted, limit_ms};

/// A plan to be shown, and the file that it is in.
#[derive(Debug, Clone, Copy)]
pub struct PlanView<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The name of its file, where it was saved.
    pub file: Option<&'a str>,
}

/// Steps by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Summary {
    pub(super) apply: usize,
    pub(super) revert: usize,
    pub(super) cleanup: usize,
    pub(super) adopt: usize,
    pub(super) skip: usize,
    pub(super) accept_edit: usize,
    pub(super) resolve: usize,
    pub(super) warnings: usize,
}

/// A step with what is known about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepView<'a> {
    pub(super) step: &'a Step,
    pub(super) evidence: &'a StepEvidence,
    config: &'a PlanConfig,
}

/// Something to look at before a plan is applied.
#[derive(Debug, Clone)]
pub(super) struct ReviewNote {
    pub(super) words: String,
    /// Whether data is lost.
    pub(super) is_loss: bool,
}

impl<'a> PlanView<'a> {
    /// The steps, in the plan's order.
    pub(super) fn steps(&self) -> impl Iterator<Item = StepView<'a>> + use<'a> {
        static NOTHING: LazyLock<StepEvidence> = LazyLock::new(StepEvidence::default);
        let plan = self.plan;
        plan.decision.steps.iter().map(move |step| StepView {
            step,
            evidence: plan.evidence.steps.get(&step.id).unwrap_or(&NOTHING),
            config: &plan.decision.config,
        })
    }

    /// What the plan is for, as a heading.
    pub(super) fn title(&self) -> String {
        let version = &self.plan.decision.version;
        let mut title = match self.plan.decision.purpose {
            Purpose::Migrate => format!("Plan for version {version}"),
            Purpose::Cleanup => format!("Cleanup at version {version}"),
            Purpose::Resolve => "Record of a decision".to_owned(),
        };
        if let Some(only) = self.plan.decision.only {
            title.push_str(&format!(", {only} only"));
        }
        title
    }

    /// That there is nothing to do, and where the databases are.
    pub(super) fn nothing(&self) -> String {
        let version = &self.plan.decision.version;
        match self.plan.decision.purpose {
            Purpose::Cleanup => {
                "Nothing to do: no applied migration left anything behind.".to_owned()
            }
            _ if version == "latest" => {
                "Nothing to do: the databases are at the latest version.".to_owned()
            }
            _ => format!("Nothing to do: the databases are at version {version}."),
        }
    }

    /// The databases, Postgres first: the store and which one it is.
    pub(super) fn databases(&self) -> impl Iterator<Item = (StoreKind, String)> + use<'a> {
        let recorded = &self.plan.decision.recorded;
        recorded
            .iter()
            .map(|(kind, store)| (*kind, database(&store.identity)))
    }

    /// What the plan leaves out, and why.
    pub(super) fn left_out(&self) -> Option<String> {
        let ids = &self.plan.decision.left_out;
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        (!ids.is_empty()).then(|| {
            format!(
                "left out, since outpost.toml does not configure their store: {}",
                names.join(", ")
            )
        })
    }

    pub(super) fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for view in self.steps() {
            let counter = match view.step.action {
                Action::Apply => &mut sum.apply,
                Action::Revert { .. } => &mut sum.revert,
                Action::Cleanup => &mut sum.cleanup,
                Action::Adopt { .. } => &mut sum.adopt,
                Action::Skip { .. } => &mut sum.skip,
                Action::AcceptEdit { .. } => &mut sum.accept_edit,
                Action::Resolve(_) => &mut sum.resolve,
            };
            *counter += 1;
            sum.warnings += view.warnings().len();
        }
        sum
    }

    /// The one line that sums the plan up.
    pub(super) fn summary_line(&self) -> String {
        let sum = self.summary();
        let migrates = self.plan.decision.purpose == Purpose::Migrate;
        let parts: Vec<String> = [
            (sum.apply, "to apply", migrates),
            (sum.revert, "to revert", migrates),
            (sum.cleanup, "to clean up", false),
            (sum.adopt, "to adopt", false),
            (sum.skip, "to skip", false),
            (sum.accept_edit, "to accept as edited", false),
            (sum.resolve, "to record as decided", false),
        ]
        .into_iter()
        .filter(|(number, _, always)| *always || *number > 0)
        .map(|(number, words, _)| format!("{} {words}", count(number as u64)))
        .collect();
        let warnings = match sum.warnings {
            0 => String::new(),
            number => format!(" {}.", counted(number as u64, "warning")),
        };
        format!("Plan: {}.{warnings}", parts.join(", "))
    }

    /// The commands that carry the plan out.
    pub(super) fn commands(&self) -> Vec<String> {
        if let Some(file) = self.file {
            return vec![format!("outpost migrate apply {}", shell(file))];
        }
        let decision = &self.plan.decision;
        let make = match decision.purpose {
            Purpose::Migrate => format!("outpost migrate plan --to {}", shell(&decision.version)),
            Purpose::Cleanup => "outpost migrate cleanup".to_owned(),
            Purpose::Resolve => return decision.steps.iter().filter_map(resolve_command).collect(),
        };
        let mut make = make;
        if let Some(only) = decision.only {
            make.push_str(&format!(" --only {only}"));
        }
        let any = |which: &dyn Fn(&Step) -> bool| decision.steps.iter().any(which);
        if any(&|s| matches!(s.action, Action::AcceptEdit { .. })) {
            make.push_str(" --accept-edits");
        }
        if any(&|s| matches!(&s.content, StepContent::Redis(r) if r.allow_lossy)) {
            make.push_str(" --allow-lossy");
        }
        make.push_str(" -out plan.bin");
        vec![make, "outpost migrate apply plan.bin".to_owned()]
    }
}

fn resolve_command(step: &Step) -> Option<String> {
    let Action::Resolve(resolution) = step.action else {
        return None;
    };
    let flag = match resolution {
        Resolution::Applied => "--applied",
        Resolution::RolledBack => "--rolled-back",
    };
    Some(format!("outpost migrate resolve {} {flag}", step.id))
}

/// Which database, in a few words.
pub(in crate::render) fn database(identity: &StoreIdentity) -> String {
    let ledger = identity.ledger().map_or_else(
        || "no ledger yet".to_owned(),
        |uuid| format!("ledger {uuid}"),
    );
    match identity {
        StoreIdentity::Postgres {
            system_identifier,
            database,
            ..
        } => {
            let system = system_identifier.as_ref().map_or_else(
                || "system unknown".to_owned(),
                |system| format!("system {system}"),
            );
            format!("database {database}, {system}, {ledger}")
        }
        StoreIdentity::Redis {
            deployment_id,
            database,
            ..
        } if deployment_id.is_empty() => {
            format!("database {database}, {ledger}")
        }
        StoreIdentity::Redis {
            deployment_id,
            database,
            ..
        } => {
            format!("database {database}, deployment {deployment_id}, {ledger}")
        }
    }
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

    /// What a reviewer should look at; what is lost for good comes first.
    pub(super) fn warnings(&self) -> Vec<ReviewNote> {
        let loss = match &self.step.action {
            Action::Revert {
                data_loss: Some(loss),
            } => Some(loss),
            _ => None,
        };
        let found = self.evidence.warnings.iter();
        loss.map(|loss| ReviewNote {
            words: format!("data loss: {loss}"),
            is_loss: true,
        })
        .into_iter()
        .chain(
            // What the decision says of a loss needs no saying again.
            found
                .filter(|w| loss.is_none() || w.kind != WarningKind::DataLoss)
                .map(|w| ReviewNote {
                    words: warning_words(w),
                    is_loss: w.kind == WarningKind::DataLoss,
                }),
        )
        .collect()
    }

    /// The file that runs and how it runs, or that only the ledger is written.
    pub(super) fn how(&self) -> String {
        match &self.step.content {
            StepContent::Sql(sql) => sql_how(sql),
            StepContent::Redis(redis) if redis.allow_lossy => {
                format!("{}, lossy conversions allowed", redis.path)
            }
            StepContent::Redis(redis) => redis.path.clone(),
            StepContent::Record => "only the ledger is written".to_owned(),
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
            StepContent::Redis(redis) => operations(redis, self.config),
            _ => Vec::new(),
        }
    }

    /// The text of a Redis step's file.
    pub(super) fn declaration(&self) -> Option<&'a str> {
        match &self.step.content {
            StepContent::Redis(redis) => Some(&redis.text),
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

/// The keys that a step meets.
pub(super) fn key_words(keys: &KeyCounts) -> String {
    let mut words = format!(
        "{} in scope: {} to do, {} done, {} ignored",
        counted(keys.in_scope, "key"),
        count(keys.to_do),
        count(keys.done),
        count(keys.ignored)
    );
    match keys.extra_bytes {
        Some(0) => {}
        Some(extra) => words.push_str(&format!("; about {} more memory", bytes(extra))),
        None => words.push_str("; extra memory unknown"),
    }
    words
}

/// A warning with its kind and line.
fn warning_words(warning: &Warning) -> String {
    let line = warning
        .line
        .map_or_else(String::new, |line| format!("line {line}: "));
    format!("{}: {line}{}", warning_label(warning.kind), warning.message)
}

fn warning_label(kind: WarningKind) -> &'static str {
    match kind {
        WarningKind::DataLoss => "data loss",
        WarningKind::Blocking => "blocking",
        WarningKind::Rewrite => "rewrite",
        WarningKind::Irreversible => "irreversible",
        WarningKind::NoVerification => "unverified",
        WarningKind::Memory => "memory",
        WarningKind::Unaccounted => "unaccounted keys",
        WarningKind::Lint => "lint",
        WarningKind::Other => "warning",
    }
}
