//! The sizes of the tables that a step meets, from the catalog's statistics: nothing is counted, and no
//! function is called that would wait behind an ALTER TABLE.

use std::collections::{BTreeMap, BTreeSet};

use super::PostgresStore;
use super::quote::literal;
use crate::model::plan::{Step, StepContent, StepEvidence, TableSize, Warning, WarningKind};
use crate::model::sql::{QualifiedName, Risk, RiskKind};
use crate::store::StoreError;

impl PostgresStore {
    pub(super) async fn estimate_step(&self, step: &Step) -> Result<StepEvidence, StoreError> {
        let StepContent::Sql(content) = &step.content else {
            return Ok(StepEvidence::default());
        };
        let created: BTreeSet<&QualifiedName> =
            content.statements.iter().flat_map(|s| &s.creates).collect();
        let touched: BTreeSet<&QualifiedName> = content
            .statements
            .iter()
            .flat_map(|s| {
                s.tables
                    .iter()
                    .chain(s.risks.iter().filter_map(|r| r.table.as_ref()))
            })
            .filter(|name| !created.contains(name))
            .collect();
        let sizes = self.sizes(&touched).await?;
        let mut warnings = Vec::new();
        let mut locks = Locks::new(content.transaction);
        for statement in &content.statements {
            for risk in &statement.risks {
                let on_new = risk.table.as_ref().is_some_and(|t| created.contains(t));
                if on_new && risk.is_harmless_on_new_table() || locks.implies(risk) {
                    continue;
                }
                let size = risk.table.as_ref().and_then(|t| sizes.get(t));
                warnings.push(Warning {
                    kind: match risk.kind {
                        RiskKind::DropsData => WarningKind::DataLoss,
                        RiskKind::Rewrite | RiskKind::FullTableWrite => WarningKind::Rewrite,
                        RiskKind::AccessExclusive | RiskKind::BlocksWrites => WarningKind::Blocking,
                    },
                    message: match size {
                        Some(size) => format!("{} ({})", risk.sentence, describe(size)),
                        None => risk.sentence.clone(),
                    },
                    line: Some(statement.line),
                });
            }
        }
        // Two spellings may name one table.
        let tables: BTreeMap<String, TableSize> = sizes
            .into_values()
            .map(|size| (size.table.clone(), size))
            .collect();
        Ok(StepEvidence {
            tables: tables.into_values().collect(),
            warnings,
            ..StepEvidence::default()
        })
    }

    /// The sizes of those tables that exist.
    async fn sizes(
        &self,
        tables: &BTreeSet<&QualifiedName>,
    ) -> Result<BTreeMap<QualifiedName, TableSize>, StoreError> {
        if tables.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut wanted = Vec::new();
        for (place, name) in tables.iter().enumerate() {
            wanted.push(format!(
                "({place}, to_regclass({})::oid)",
                self.quoted(literal(&name.quoted()))?
            ));
        }
        let sql = format!(
            "with recursive wanted (place, oid) as (values {}), \
             tree as (select place, oid from wanted where oid is not null \
               union select t.place, i.inhrelid from tree t join pg_catalog.pg_inherits i on i.inhparent = t.oid), \
             part as (select t.place, c.oid, c.relkind, c.reltuples, c.reltoastrelid from tree t \
               join pg_catalog.pg_class c on c.oid = t.oid), \
             piece as (select place, oid from part union select place, reltoastrelid from part where reltoastrelid <> 0), \
             file as (select place, oid from piece union \
               select p.place, i.indexrelid from piece p join pg_catalog.pg_index i on i.indrelid = p.oid) \
             select w.place, format('%I.%I', n.nspname, c.relname), \
               (select sum(p.reltuples)::bigint from part p \
                 where p.place = w.place and p.relkind in ('r', 'm') and p.reltuples >= 0), \
               (select coalesce(sum(f.relpages::bigint), 0) * current_setting('block_size')::bigint from file x \
                 join pg_catalog.pg_class f on f.oid = x.oid where x.place = w.place) \
             from wanted w join pg_catalog.pg_class c on c.oid = w.oid \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p', 'm', 'f') order by w.place",
            wanted.join(", ")
        );
        let session = self.reading("reading table sizes").await?;
        let rows = session
            .rows(&sql)
            .await
            .map_err(|e| session.error("reading table sizes", &e))?;
        session.roll_back().await;
        let names: Vec<&QualifiedName> = tables.iter().copied().collect();
        let sizes = rows.iter().filter_map(|row| {
            let text = |column: usize| row.get(column)?.as_deref();
            let name = names.get(text(0)?.parse::<usize>().ok()?)?;
            let size = TableSize {
                table: text(1)?.to_owned(),
                rows: text(2).and_then(|n| n.parse().ok()),
                bytes: text(3)?.parse().ok()?,
            };
            Some(((*name).clone(), size))
        });
        Ok(sizes.collect())
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

/// `about 1.2 million rows, 300 MiB`.
fn describe(size: &TableSize) -> String {
    let rows = match size.rows {
        None => "never analysed".to_owned(),
        Some(rows) if rows < 10_000 => format!("about {rows} rows"),
        Some(rows) if rows < 1_000_000 => format!("about {} thousand rows", rows / 1_000),
        Some(rows) => format!(
            "about {}.{} million rows",
            rows / 1_000_000,
            rows % 1_000_000 / 100_000
        ),
    };
    let bytes = match size.bytes {
        bytes if bytes < 1 << 20 => format!("{} KiB", bytes >> 10),
        bytes if bytes < 1 << 30 => format!("{} MiB", bytes >> 20),
        bytes => format!("{}.{} GiB", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30),
    };
    format!("{rows}, {bytes}")
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
            (None, 8192, "never analysed, 8 KiB"),
            (Some(999), 0, "about 999 rows, 0 KiB"),
            (Some(12_345), 5 << 20, "about 12 thousand rows, 5 MiB"),
            (Some(1_250_000), 3 << 29, "about 1.2 million rows, 1.5 GiB"),
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
