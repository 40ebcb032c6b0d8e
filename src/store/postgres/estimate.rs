//! What steps would do to the tables that are there: their sizes, locks and rewrites, from their text
//! and the catalog. Nothing is counted, and no function is called that would wait behind an ALTER TABLE.

use std::collections::{BTreeMap, BTreeSet};

use super::PostgresStore;
use super::impact::{self, Reading, Way};
use super::relations::{Relation, Relations};
use crate::model::plan::{
    SqlContent, Step, StepContent, StepEvidence, TableSize, Warning, WarningKind,
};
use crate::model::sql::{QualifiedName, Risk, RiskKind};
use crate::model::units::{bytes, counted};
use crate::store::StoreError;

impl PostgresStore {
    pub(super) async fn estimate_steps(
        &self,
        steps: &[&Step],
    ) -> Result<Vec<StepEvidence>, StoreError> {
        let read: Vec<Option<SqlStep<'_>>> = steps.iter().map(|step| sql_of(step)).collect();
        let readings = read.iter().flatten().flat_map(|step| &step.readings);
        let names = readings.flat_map(Reading::names).collect();
        let relations = self.relations(&names).await?;
        let mut way = Way::default();
        let evidence = read.iter().map(|step| match step {
            Some(step) => estimate(step, &mut way, &relations),
            None => StepEvidence::default(),
        });
        Ok(evidence.collect())
    }
}

/// A step that runs SQL, and what its statements say.
struct SqlStep<'a> {
    content: &'a SqlContent,
    readings: Vec<Reading<'a>>,
}

fn sql_of(step: &Step) -> Option<SqlStep<'_>> {
    match &step.content {
        StepContent::Sql(content) => Some(SqlStep {
            content,
            readings: content.statements.iter().map(Reading::of).collect(),
        }),
        StepContent::Redis(_) | StepContent::Record => None,
    }
}

/// What a step does, after what came before it on the way.
fn estimate(step: &SqlStep<'_>, way: &mut Way, relations: &Relations) -> StepEvidence {
    let mut warnings = Vec::new();
    let mut statements = Vec::new();
    let mut met = BTreeSet::new();
    let mut locks = Locks::new(step.content.transaction);
    for reading in &step.readings {
        let statement = reading.statement;
        let impact = impact::impact(reading, way, relations);
        for risk in &statement.risks {
            let on_new = risk.table.as_ref().is_some_and(|t| way.creates(t));
            if on_new && risk.is_harmless_on_new_table() || locks.implies(risk) {
                continue;
            }
            let size = risk
                .table
                .as_ref()
                .and_then(|t| relations.named(way.now(t)))
                .map(size);
            warnings.push(Warning {
                kind: match risk.kind {
                    RiskKind::DropsData => WarningKind::DataLoss,
                    RiskKind::Rewrite | RiskKind::FullTableWrite => WarningKind::Rewrite,
                    RiskKind::AccessExclusive | RiskKind::BlocksWrites => WarningKind::Blocking,
                },
                message: match size {
                    Some(size) => format!("{} ({})", risk.sentence, describe(&size)),
                    None => risk.sentence.clone(),
                },
                line: Some(statement.line),
            });
        }
        met.extend(impact.tables.iter().map(|table| table.table.clone()));
        let named = statement
            .tables
            .iter()
            .filter_map(|name| relations.named(way.now(name)));
        met.extend(named.map(|relation| relation.name.clone()));
        statements.push(impact);
        way.pass(reading);
    }
    // By name, each once, however often and by whatever spelling it was met.
    let tables: BTreeMap<&str, TableSize> = relations
        .tables()
        .filter(|table| met.contains(&table.name))
        .map(|table| (table.name.as_str(), size(table)))
        .collect();
    StepEvidence {
        tables: tables.into_values().collect(),
        statements,
        warnings,
        ..StepEvidence::default()
    }
}

fn size(relation: &Relation) -> TableSize {
    TableSize {
        table: relation.name.clone(),
        rows: relation.rows,
        bytes: relation.bytes,
    }
}

/// What is known of the locks that a step holds already. A transaction keeps its locks to its end, so
/// what it blocks is said once for each table, where it begins.
struct Locks<'a> {
    kept: bool,
    held: BTreeMap<&'a QualifiedName, RiskKind>,
}

impl<'a> Locks<'a> {
    fn new(kept: bool) -> Self {
        Self {
            kept,
            held: BTreeMap::new(),
        }
    }

    /// Whether a lock that is held already blocks what this one blocks; if not, it is held from here on.
    fn implies(&mut self, risk: &'a Risk) -> bool {
        let Some(table) = risk.table.as_ref().filter(|_| self.kept) else {
            return false;
        };
        match (risk.kind, self.held.get(table)) {
            (RiskKind::AccessExclusive, Some(RiskKind::AccessExclusive)) => true,
            (RiskKind::BlocksWrites, Some(_)) => true,
            (RiskKind::AccessExclusive | RiskKind::BlocksWrites, _) => {
                self.held.insert(table, risk.kind);
                false
            }
            _ => false,
        }
    }
}

/// `about 1,234,567 rows, 300 MiB`.
fn describe(size: &TableSize) -> String {
    let rows = size.rows.map_or_else(
        || "never analysed".to_owned(),
        |rows| format!("about {}", counted(rows, "row")),
    );
    format!("{rows}, {}", bytes(size.bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn u18_what_a_transaction_blocks_is_said_once_for_each_table() {
        let risk = |kind, table: &str| Risk {
            kind,
            table: (!table.is_empty()).then(|| QualifiedName::new(None, table)),
            sentence: String::new(),
        };
        let risks = [
            (risk(RiskKind::BlocksWrites, "a"), false),
            (risk(RiskKind::BlocksWrites, "a"), true),
            (risk(RiskKind::AccessExclusive, "a"), false),
            (risk(RiskKind::AccessExclusive, "a"), true),
            (risk(RiskKind::BlocksWrites, "a"), true),
            (risk(RiskKind::DropsData, "a"), false),
            (risk(RiskKind::BlocksWrites, "b"), false),
            (risk(RiskKind::AccessExclusive, ""), false),
        ];
        let mut locks = Locks::new(true);
        for (at, (risk, implied)) in risks.iter().enumerate() {
            assert_eq!(locks.implies(risk), *implied, "{at}");
        }
        let mut locks = Locks::new(false);
        assert!(risks.iter().all(|(risk, _)| !locks.implies(risk)));
    }

    #[test]
    fn sizes_are_worded_for_people() {
        for (rows, bytes, words) in [
            (None, 8192, "never analysed, 8.0 KiB"),
            (Some(999), 0, "about 999 rows, 0 B"),
            (Some(12_345), 5 << 20, "about 12,345 rows, 5.0 MiB"),
            (Some(1_250_000), 3 << 29, "about 1,250,000 rows, 1.5 GiB"),
        ] {
            assert_eq!(
                describe(&TableSize {
                    table: String::new(),
                    rows,
                    bytes
                }),
                words
            );
        }
    }
}
