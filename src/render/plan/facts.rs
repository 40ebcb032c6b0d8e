//! What every form of a plan says, in words, before it is laid out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::model::id::{MigrationId, StoreKind};
use crate::model::lint::Finding;
use crate::model::plan::{
    Action, Plan, Purpose, Resolution, Step, StepContent, StepEvidence, TableSize,
};
use crate::model::signing::Judgement;
use crate::model::sql::LockMode;
use crate::model::state::StoreIdentity;
use crate::render::plan::note::ReviewNote;
use crate::render::plan::rehearsal::rehearsal_words;
use crate::render::plan::step::StepView;
use crate::render::signature;
use crate::render::style::Tone;
use crate::render::text::shell;
use crate::render::units::{bytes, count, counted, counted_len};

/// A plan to be shown, and the file that it is in.
#[derive(Debug, Clone, Copy)]
pub struct PlanView<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The name of its file, where it was saved.
    pub file: Option<&'a str>,
    /// What was found out about its signature, where that was looked at.
    pub signature: Option<&'a Judgement>,
}

/// Steps by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
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

impl<'a> PlanView<'a> {
    /// The steps, in the plan's order.
    pub(super) fn steps(&self) -> impl Iterator<Item = StepView<'a>> + use<'a> {
        static NOTHING: LazyLock<StepEvidence> = LazyLock::new(StepEvidence::default);
        let plan = self.plan;
        let mut findings: BTreeMap<&MigrationId, Vec<&Finding>> = BTreeMap::new();
        for finding in &plan.evidence.lint {
            if let Some(id) = &finding.id {
                findings.entry(id).or_default().push(finding);
            }
        }
        plan.decision.steps.iter().map(move |step| StepView {
            step,
            findings: findings.remove(&step.id).unwrap_or_default(),
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

    /// That Redis was looked at, where nothing there has drifted.
    pub(super) fn undrifted(&self) -> Option<&'static str> {
        let drift = self.plan.evidence.redis_drift.as_ref()?;
        drift
            .is_empty()
            .then_some("every key in Redis is as the applied migrations left it")
    }

    /// Where the plan was rehearsed, and what that was not like; nothing where it was not.
    pub(super) fn rehearsal(&self) -> Vec<String> {
        let seen = &self.plan.evidence.rehearsal;
        seen.iter()
            .flat_map(|(store, rehearsal)| rehearsal_words(*store, rehearsal))
            .collect()
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
        sum.warnings += self.remark_count();
        sum
    }

    /// How many steps do what, in words that follow the number, and the warnings; what there is none of
    /// is left out, unless it is what plans of this sort are for.
    pub(super) fn counts(&self) -> Vec<(usize, &'static str, Tone)> {
        let sum = self.summary();
        let migrates = self.plan.decision.purpose == Purpose::Migrate;
        let warnings = if sum.warnings == 1 {
            "warning"
        } else {
            "warnings"
        };
        [
            (sum.apply, "to apply", Tone::Good, migrates),
            (sum.revert, "to revert", Tone::Bad, migrates),
            (sum.cleanup, "to clean up", Tone::Caution, false),
            (sum.adopt, "to adopt", Tone::Note, false),
            (sum.skip, "to skip", Tone::Faint, false),
            (sum.accept_edit, "to accept as edited", Tone::Caution, false),
            (sum.resolve, "to record as decided", Tone::Caution, false),
            (sum.warnings, warnings, Tone::Caution, false),
        ]
        .into_iter()
        .filter(|(number, .., always)| *always || *number > 0)
        .map(|(number, words, tone, _)| (number, words, tone))
        .collect()
    }

    /// The one line that sums the plan up.
    pub(super) fn summary_line(&self) -> String {
        let mut parts: Vec<String> = self
            .counts()
            .into_iter()
            .map(|(number, words, _)| format!("{} {words}", count(number as u64)))
            .collect();
        let warnings = match self.summary().warnings {
            0 => String::new(),
            _ => parts
                .pop()
                .map_or_else(String::new, |warnings| format!(" {warnings}.")),
        };
        format!("Plan: {}.{warnings}", parts.join(", "))
    }

    /// Who signed it, or why that does not count, and the colour for it.
    pub(super) fn signature(&self) -> Option<(String, Tone)> {
        self.signature.map(signature::words)
    }

    /// How much data the steps meet, each table counted once; `None` where nothing was counted.
    pub(super) fn data(&self) -> Option<String> {
        let mut tables = BTreeMap::new();
        let mut keys: Option<(u64, u64)> = None;
        let mut coming = 0u64;
        for view in self.steps() {
            tables.extend(view.evidence.tables.iter().map(|t| (t.table.as_str(), t)));
            if let Some(found) = &view.evidence.keys {
                let (to_do, in_scope) = keys.unwrap_or_default();
                keys = Some((
                    to_do.saturating_add(found.to_do),
                    in_scope.saturating_add(found.in_scope),
                ));
                let more = found.coming.as_ref().map_or(0, |coming| coming.at_most);
                coming = coming.saturating_add(more);
            }
        }
        let sum = |number: &dyn Fn(&TableSize) -> u64| {
            tables
                .values()
                .fold(0u64, |sum, table| sum.saturating_add(number(table)))
        };
        let mut parts = Vec::new();
        if !tables.is_empty() {
            let known = tables.values().all(|table| table.rows.is_some());
            let rows = sum(&|t| t.rows.unwrap_or(0));
            let words = match (known, rows) {
                (true, rows) => format!(" with about {}", counted(rows, "row")),
                (false, 0) => ": rows unknown".to_owned(),
                (false, rows) => format!(" with at least {}", counted(rows, "row")),
            };
            parts.push(format!(
                "{}{words}, {}",
                counted_len(tables.len(), "table"),
                bytes(sum(&|t| t.bytes))
            ));
        }
        if let Some((to_do, in_scope)) = keys {
            let coming = match coming {
                0 => String::new(),
                more => format!(", and up to {} that earlier steps bring", count(more)),
            };
            parts.push(format!(
                "{} to change, of {} in scope{coming}",
                counted(to_do, "key"),
                count(in_scope)
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Which tables keep whom waiting, by the strongest lock that is taken on each; `None` where nobody
    /// waits, or nothing is known.
    pub(super) fn waits(&self) -> Option<String> {
        const NAMED: usize = 5;
        let mut locks: BTreeMap<&str, LockMode> = BTreeMap::new();
        for view in self.steps() {
            let impacts = view.evidence.statements.iter().flat_map(|s| &s.tables);
            for impact in impacts.filter(|impact| !impact.created_here) {
                let lock = locks.entry(&impact.table).or_insert(impact.lock);
                *lock = (*lock).max(impact.lock);
            }
        }
        let some = |what: &str, which: &dyn Fn(LockMode) -> bool| {
            let tables: Vec<&str> = locks
                .iter()
                .filter(|(_, lock)| which(**lock))
                .map(|(table, _)| *table)
                .collect();
            let more = match tables.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {} more", count(more as u64)),
            };
            let named = tables[..tables.len().min(NAMED)].join(", ");
            (!tables.is_empty()).then(|| format!("{what} of {named}{more} wait"))
        };
        let parts: Vec<String> = [
            some("reads and writes", &LockMode::blocks_reads),
            some("writes", &|lock| {
                lock.blocks_writes() && !lock.blocks_reads()
            }),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Every warning with its step, by sort: the gravest sort first, and the plan's order within one.
    pub(super) fn warnings_by_kind(
        &self,
    ) -> Vec<(&'static str, Vec<(&'a MigrationId, ReviewNote)>)> {
        let mut groups: BTreeMap<usize, (&'static str, Vec<_>)> = BTreeMap::new();
        for view in self.steps() {
            for note in view.warnings() {
                let (_, notes) = groups
                    .entry(note.kind.gravity())
                    .or_insert((note.kind.label(), Vec::new()));
                notes.push((&view.step.id, note));
            }
        }
        groups.into_values().collect()
    }

    /// The commands that carry the plan out, of which `apply` refuses every other plan than this one.
    pub(super) fn pinned_commands(&self) -> Vec<String> {
        let mut commands = self.commands();
        let applies = self.plan.decision.purpose != Purpose::Resolve || self.file.is_some();
        if let Some(apply) = commands.last_mut().filter(|_| applies) {
            apply.push_str(&format!(" --expect {}", self.plan.digest));
        }
        commands
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
