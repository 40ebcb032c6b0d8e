//! What a statement may cost a live database: locks, rewrites, lost data.
//!
//! Only what the text tells for sure, or what Postgres does unless a catalog says otherwise; lock levels are
//! those of the manual's "Explicit Locking" and "ALTER TABLE".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{
    LockMode,
    altered::{Action, Altered},
    classify,
    name::QualifiedName,
    tables, toll, tree,
};

/// One thing that a reviewer should know before the statement runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// What kind of cost it is.
    pub kind: RiskKind,
    /// The table that pays, where the statement names it.
    pub table: Option<QualifiedName>,
    /// A sentence for the reviewer, without a full stop.
    pub sentence: String,
}

/// The kinds of [`Risk`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RiskKind {
    /// Every row is written in one statement.
    FullTableWrite,
    /// The table is written anew, under a lock that stops reads and writes.
    Rewrite,
    /// Reads and writes wait, for as long as the transaction lasts.
    AccessExclusive,
    /// Writes wait, reads go on.
    BlocksWrites,
    /// Data is gone afterwards.
    DropsData,
}

impl Risk {
    fn new(kind: RiskKind, table: Option<&QualifiedName>, sentence: String) -> Self {
        Self {
            kind,
            table: table.cloned(),
            sentence,
        }
    }

    /// Whether the cost vanishes when the table was created in the same script and is still small.
    pub fn is_harmless_on_new_table(&self) -> bool {
        self.kind != RiskKind::DropsData
    }
}

/// Functions that give each row another value, so that a new column with such a default has to be written
/// row by row.
const VOLATILE: [&str; 16] = [
    "clock_timestamp",
    "gen_random_bytes",
    "gen_random_uuid",
    "nextval",
    "random",
    "random_normal",
    "setval",
    "timeofday",
    "txid_current",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
    "pg_sleep",
    "lastval",
];

const SERIAL: [&str; 6] = [
    "bigserial",
    "serial",
    "serial2",
    "serial4",
    "serial8",
    "smallserial",
];

/// What a statement may cost, which meets `tables` and is `altered` where it is an ALTER TABLE.
pub(super) fn risks(
    statement: &SyntaxNode,
    altered: Option<&Altered>,
    tables: &[QualifiedName],
) -> Vec<Risk> {
    let mut found = Vec::new();
    if classify::only_explains(statement) {
        return found;
    }
    for node in tables::executed(statement) {
        row_writes(&node, &mut found);
        foreign_key(&node, &mut found);
    }
    match statement.kind() {
        SyntaxKind::ALTER_TABLE => {
            if let Some(altered) = altered {
                alter_table(altered, &mut found);
            }
        }
        SyntaxKind::LOCK => lock(statement, tables, &mut found),
        SyntaxKind::DROP_SCHEMA | SyntaxKind::DROP_DATABASE | SyntaxKind::DROP_OWNED => {
            let text = tree::excerpt(&statement.text().to_string());
            let sentence = format!("drops everything inside with it: {text}");
            if statement.kind() != SyntaxKind::DROP_SCHEMA
                || tree::child(statement, SyntaxKind::CASCADE).is_some()
            {
                found.push(Risk::new(RiskKind::DropsData, None, sentence));
            }
        }
        _ => whole_tables(statement, tables, &mut found),
    }
    found
}

/// UPDATE, DELETE and MERGE, also inside WITH queries.
fn row_writes(node: &SyntaxNode, found: &mut Vec<Risk>) {
    let target = node
        .children()
        .find(|child| {
            matches!(
                child.kind(),
                SyntaxKind::RELATION_NAME | SyntaxKind::TABLE_RELATION_NAME
            )
        })
        .and_then(|target| QualifiedName::from_node(&target));
    let Some(table) = &target else { return };
    let filtered = node.children().any(|child| {
        matches!(
            child.kind(),
            SyntaxKind::WHERE_CLAUSE | SyntaxKind::WHERE_CURRENT_OF
        )
    });
    let mut add = |kind, sentence| found.push(Risk::new(kind, Some(table), sentence));
    match node.kind() {
        SyntaxKind::UPDATE if !filtered => add(
            RiskKind::FullTableWrite,
            format!("updates every row of {table} in one statement"),
        ),
        SyntaxKind::DELETE if filtered => {
            add(RiskKind::DropsData, format!("deletes rows of {table}"));
        }
        SyntaxKind::DELETE => {
            add(
                RiskKind::FullTableWrite,
                format!("deletes every row of {table} in one statement"),
            );
            add(RiskKind::DropsData, format!("deletes every row of {table}"));
        }
        SyntaxKind::MERGE if tree::descendant(node, SyntaxKind::MERGE_DELETE).is_some() => {
            add(RiskKind::DropsData, format!("deletes rows of {table}"));
        }
        _ => {}
    }
}

/// A foreign key stops writes to the table that it refers to.
fn foreign_key(node: &SyntaxNode, found: &mut Vec<Risk>) {
    if !matches!(
        node.kind(),
        SyntaxKind::REFERENCES_CONSTRAINT | SyntaxKind::FOREIGN_KEY_CONSTRAINT
    ) {
        return;
    }
    let referenced = tree::child(node, SyntaxKind::TABLE_NAME_REF)
        .and_then(|table| QualifiedName::from_node(&table));
    if let Some(table) = &referenced {
        let sentence = format!("writes to {table} wait while the foreign key to it is added");
        found.push(Risk::new(RiskKind::BlocksWrites, Some(table), sentence));
    }
}

/// Statements that lock each of their tables in the same way.
fn whole_tables(statement: &SyntaxNode, tables: &[QualifiedName], found: &mut Vec<Risk>) {
    let kind = statement.kind();
    let concurrent = tree::has_keyword(statement, SyntaxKind::CONCURRENTLY_KW);
    let full = kind == SyntaxKind::VACUUM
        && tree::tokens(statement).any(|token| token.kind() == SyntaxKind::FULL_KW);
    if kind == SyntaxKind::DROP_INDEX && !concurrent {
        let sentence = "reads and writes of the index's table wait while it is dropped";
        found.push(Risk::new(
            RiskKind::AccessExclusive,
            None,
            sentence.to_owned(),
        ));
    }
    let partition_of = tree::child(statement, SyntaxKind::PARTITION_OF)
        .and_then(|parent| QualifiedName::from_node(&parent));
    for table in tables {
        let mut add = |kind, sentence| found.push(Risk::new(kind, Some(table), sentence));
        let waits = |what: &str| format!("reads and writes of {table} wait {what}");
        let writes_wait = |what: &str| format!("writes to {table} wait {what}");
        match kind {
            SyntaxKind::DROP_TABLE => {
                add(
                    RiskKind::DropsData,
                    format!("drops {table} with all its rows"),
                );
                add(RiskKind::AccessExclusive, waits("while it is dropped"));
            }
            SyntaxKind::TRUNCATE => {
                add(RiskKind::DropsData, format!("deletes every row of {table}"));
                add(RiskKind::AccessExclusive, waits("until the commit"));
            }
            SyntaxKind::CREATE_INDEX if !concurrent => {
                add(
                    RiskKind::BlocksWrites,
                    writes_wait("while the index is built"),
                );
            }
            SyntaxKind::REINDEX
                if !tree::tokens(statement)
                    .any(|token| token.kind() == SyntaxKind::CONCURRENTLY_KW) =>
            {
                add(
                    RiskKind::BlocksWrites,
                    writes_wait("while its indexes are rebuilt"),
                );
            }
            SyntaxKind::CREATE_TRIGGER => {
                add(
                    RiskKind::BlocksWrites,
                    writes_wait("while the trigger is added"),
                );
            }
            SyntaxKind::CLUSTER | SyntaxKind::REPACK => rewrite(table, &mut add),
            SyntaxKind::VACUUM if full => rewrite(table, &mut add),
            SyntaxKind::REFRESH if !concurrent => {
                add(
                    RiskKind::AccessExclusive,
                    waits("while it is computed anew"),
                );
            }
            SyntaxKind::DROP_TRIGGER
            | SyntaxKind::CREATE_POLICY
            | SyntaxKind::ALTER_POLICY
            | SyntaxKind::DROP_POLICY
            | SyntaxKind::CREATE_RULE
            | SyntaxKind::DROP_RULE => add(RiskKind::AccessExclusive, waits("until the commit")),
            SyntaxKind::CREATE_TABLE if partition_of.as_ref() == Some(table) => {
                add(
                    RiskKind::AccessExclusive,
                    waits("while the partition is attached"),
                );
            }
            _ => {}
        }
    }
}

fn rewrite(table: &QualifiedName, add: &mut impl FnMut(RiskKind, String)) {
    add(RiskKind::Rewrite, format!("writes all of {table} anew"));
    let sentence = format!("reads and writes of {table} wait while it is rewritten");
    add(RiskKind::AccessExclusive, sentence);
}

fn lock(statement: &SyntaxNode, tables: &[QualifiedName], found: &mut Vec<Risk>) {
    let mode = toll::lock_table_mode(statement);
    for table in tables {
        found.extend(waits_until_commit(mode, table));
    }
}

/// Who waits for a lock that lasts as long as its transaction; nobody who uses the table, for the weak ones.
fn waits_until_commit(mode: LockMode, table: &QualifiedName) -> Option<Risk> {
    let (kind, who) = match mode {
        _ if mode.blocks_reads() => (RiskKind::AccessExclusive, "reads and writes of"),
        _ if mode.blocks_writes() => (RiskKind::BlocksWrites, "writes to"),
        _ => return None,
    };
    let sentence = format!("{who} {table} wait until the commit");
    Some(Risk::new(kind, Some(table), sentence))
}

fn alter_table(altered: &Altered, found: &mut Vec<Risk>) {
    let table = &altered.table;
    for action in &altered.actions {
        if let Some((kind, sentence)) = cost_of(action, table) {
            found.push(Risk::new(kind, Some(table), sentence));
        }
    }
    let locks = altered.actions.iter().map(toll::lock_of_action);
    found.extend(locks.max().and_then(|mode| waits_until_commit(mode, table)));
}

/// What an action of ALTER TABLE costs beside its lock.
fn cost_of(action: &Action, table: &QualifiedName) -> Option<(RiskKind, String)> {
    let Action { node, column } = action;
    let rewrites = |why: &str| {
        Some((
            RiskKind::Rewrite,
            format!("writes all of {table} anew: {why}"),
        ))
    };
    match node.kind() {
        SyntaxKind::DROP_COLUMN => Some((
            RiskKind::DropsData,
            format!("drops column {column} of {table} with its values"),
        )),
        SyntaxKind::ALTER_COLUMN if tree::child(node, SyntaxKind::SET_TYPE).is_some() => Some((
            RiskKind::Rewrite,
            format!(
                "changes the type of column {column} of {table}, which writes the whole table anew unless both types are stored alike"
            ),
        )),
        SyntaxKind::ADD_COLUMN => match row_by_row_value(node)? {
            Value::Default(function) => rewrites(&format!(
                "column {column} has a default that differs for each row ({function})"
            )),
            Value::Sequence => rewrites(&format!("column {column} is filled from a sequence")),
            Value::Generated => rewrites(&format!("column {column} is computed and stored")),
        },
        SyntaxKind::SET_LOGGED | SyntaxKind::SET_UNLOGGED => rewrites("logging is switched"),
        SyntaxKind::SET_ACCESS_METHOD => rewrites("the access method changes"),
        SyntaxKind::SET_TABLESPACE => rewrites("it moves to another tablespace"),
        _ => None,
    }
}

/// Why the value of a new column has to be written row by row.
pub(super) enum Value {
    /// Its default calls this function, which differs for each row.
    Default(String),
    /// It is filled from a sequence.
    Sequence,
    /// It is computed and stored.
    Generated,
}

/// What of an ADD COLUMN has to be written row by row.
pub(super) fn row_by_row_value(add_column: &SyntaxNode) -> Option<Value> {
    let serial = tree::child(add_column, SyntaxKind::PATH_TYPE)
        .and_then(|name| QualifiedName::from_node(&name))
        .is_some_and(|name| SERIAL.contains(&name.name.as_str()));
    if serial || tree::descendant(add_column, SyntaxKind::GENERATED_IDENTITY).is_some() {
        return Some(Value::Sequence);
    }
    if tree::descendant(add_column, SyntaxKind::GENERATED_STORED).is_some() {
        return Some(Value::Generated);
    }
    tree::child(add_column, SyntaxKind::DEFAULT_CONSTRAINT)?
        .descendants()
        .filter(|node| node.kind() == SyntaxKind::CALL_EXPR)
        .filter_map(|call| tree::called_function(&call))
        .find(|name| VOLATILE.contains(&name.as_str()))
        .map(Value::Default)
}
