//! What statements do to the tables that are there: the tolls of their text, told apart by what the
//! catalog says.

use std::collections::{BTreeMap, BTreeSet};

use super::relations::{Relation, Relations};
use crate::model::plan::{PlannedStatement, StatementImpact, TableImpact};
use crate::model::sql::{
    ForeignKeys, QualifiedName, Script, Subject, TableWork, Toll, Unless, stored_alike,
};

/// What came to be on the way through a plan's statements.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Tables that are created, by the name under which statements find them.
    created: BTreeSet<QualifiedName>,
    /// New names of tables that are there, with the old ones.
    renamed: BTreeMap<QualifiedName, QualifiedName>,
}

impl Way {
    /// Goes past a statement.
    pub(super) fn pass(&mut self, reading: &Reading<'_>) {
        self.created
            .extend(reading.statement.creates.iter().cloned());
        for (from, to) in reading.renamed.iter().cloned() {
            if self.created.remove(&from) {
                self.created.insert(to);
            } else {
                let first = self.renamed.remove(&from).unwrap_or(from);
                self.renamed.insert(to, first);
            }
        }
    }

    /// Whether a table comes into being with the plan.
    pub(super) fn creates(&self, table: &QualifiedName) -> bool {
        self.created.contains(table)
    }

    /// The name that a table has before the plan.
    pub(super) fn now<'a>(&'a self, name: &'a QualifiedName) -> &'a QualifiedName {
        self.renamed.get(name).unwrap_or(name)
    }
}

/// A planned statement and what its text does to tables. A parser reads it, once.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) statement: &'a PlannedStatement,
    tolls: Vec<Toll>,
    /// Tables that get another name, with that.
    renamed: Vec<(QualifiedName, QualifiedName)>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(statement: &'a PlannedStatement) -> Self {
        let (mut tolls, mut renamed) = (Vec::new(), Vec::new());
        for read in Script::reread(&statement.text) {
            tolls.extend(read.class.tolls);
            renamed.extend(read.class.shape.renamed);
        }
        Self {
            statement,
            tolls,
            renamed,
        }
    }

    /// The relations that have to be known before [`impact`] can tell what it does.
    pub(super) fn names(&self) -> BTreeSet<QualifiedName> {
        let risks = self.statement.risks.iter();
        let mut names: BTreeSet<QualifiedName> = self.statement.tables.iter().cloned().collect();
        names.extend(risks.filter_map(|risk| risk.table.clone()));
        for toll in &self.tolls {
            if let Some(Unless::IndexNotNull(index)) = &toll.unless {
                names.insert(index.clone());
            }
            let (Subject::Relation(name)
            | Subject::TableOf(name)
            | Subject::Referencing(name)
            | Subject::DefaultPartition(name)
            | Subject::Referenced { by: name, .. }) = &toll.on;
            names.insert(name.clone());
        }
        names.extend(self.renamed.iter().map(|(from, _)| from.clone()));
        names
    }
}

/// What a statement does to each relation, by name.
pub(super) fn impact(reading: &Reading<'_>, way: &Way, relations: &Relations) -> StatementImpact {
    let mut tables: BTreeMap<String, TableImpact> = BTreeMap::new();
    let found = reading.tolls.iter();
    for found in found.flat_map(|toll| resolve(toll, way, relations)) {
        match tables.get_mut(&found.table) {
            Some(known) => merge(known, found),
            None => {
                tables.insert(found.table.clone(), found);
            }
        }
    }
    StatementImpact {
        tables: tables.into_values().collect(),
    }
}

/// The stronger lock and the greater work, with the reason for that.
fn merge(known: &mut TableImpact, more: TableImpact) {
    known.lock = known.lock.max(more.lock);
    known.partitions = known.partitions.max(more.partitions);
    if more.work > known.work || known.why.is_none() && more.work == known.work {
        known.work = more.work;
        known.why = more.why;
    }
}

fn resolve(toll: &Toll, way: &Way, relations: &Relations) -> Vec<TableImpact> {
    let known = |name: &QualifiedName| relations.named(way.now(name));
    let of = |oid: &Option<String>| relations.get(oid.as_deref()?);
    let there: Vec<&Relation> = match &toll.on {
        Subject::Relation(name) if way.creates(name) => {
            return vec![TableImpact {
                table: name.to_string(),
                created_here: true,
                lock: toll.lock,
                partitions: 0,
                work: toll.work,
                why: toll.why.clone(),
            }];
        }
        Subject::Relation(name) => known(name).into_iter().collect(),
        Subject::TableOf(index) => known(index)
            .and_then(|index| of(&index.index_of))
            .into_iter()
            .collect(),
        Subject::DefaultPartition(table) => known(table)
            .and_then(|table| of(&table.default_partition))
            .into_iter()
            .collect(),
        Subject::Referenced { by, keys } => {
            let Some(by) = known(by) else {
                return Vec::new();
            };
            let keys = relations.foreign_keys.iter().filter(|key| {
                key.by == by.oid
                    && match keys {
                        ForeignKeys::All => true,
                        ForeignKeys::Named(name) => key.name == *name,
                        ForeignKeys::Of(column) => key.columns.contains(column),
                    }
            });
            keys.filter_map(|key| relations.get(&key.to)).collect()
        }
        Subject::Referencing(table) => {
            let Some(table) = known(table) else {
                return Vec::new();
            };
            referencing(table, relations, toll.work == TableWork::Removed)
        }
    };
    there
        .into_iter()
        .map(|relation| judge(toll, relation, way, relations))
        .collect()
}

/// The tables whose foreign keys refer to a table; `further` adds those that refer to them, and so on.
fn referencing<'a>(table: &Relation, relations: &'a Relations, further: bool) -> Vec<&'a Relation> {
    let mut reached = BTreeSet::from([table.oid.as_str()]);
    let mut ahead = vec![table.oid.as_str()];
    let mut found = Vec::new();
    while let Some(at) = ahead.pop() {
        for key in relations.foreign_keys.iter().filter(|key| key.to == at) {
            if reached.insert(&key.by) {
                found.extend(relations.get(&key.by));
                if further {
                    ahead.push(&key.by);
                }
            }
        }
    }
    found
}

/// The toll of a relation that is there.
fn judge(toll: &Toll, relation: &Relation, way: &Way, relations: &Relations) -> TableImpact {
    let spared = match &toll.unless {
        None => false,
        Some(Unless::Version(first)) => relations.major >= *first,
        Some(Unless::StoredLike { column, to }) => relations
            .column(relation, column)
            .is_some_and(|column| stored_alike(&column.of_type, to)),
        Some(Unless::NotNull(column)) => relations
            .column(relation, column)
            .is_some_and(|column| column.not_null),
        Some(Unless::IndexNotNull(index)) => relations
            .named(way.now(index))
            .is_some_and(|index| index.index_not_null),
    };
    TableImpact {
        table: relation.name.clone(),
        created_here: false,
        lock: toll.lock,
        partitions: if toll.partitions {
            relation.partitions
        } else {
            0
        },
        work: if spared { TableWork::None } else { toll.work },
        why: toll.why.clone().filter(|_| !spared),
    }
}
