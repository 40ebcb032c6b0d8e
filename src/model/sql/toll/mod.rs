//! What a statement takes of the tables that it meets: the locks, and how many rows it goes over.
//!
//! Only the text is looked at. Where the catalog decides, an [`Toll`] says what has to be asked
//! of it. Locks are those of the manual's "Explicit Locking" and of each command's page.

mod alter_table;
mod storage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::altered::Altered;
use super::lock_mode::LockMode;
use super::name::QualifiedName;
use super::{classify, tables, tree};

pub(super) use alter_table::lock_of_action;
pub use storage::stored_alike;

/// What is done with the rows of a table, the least first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TableWork {
    /// Nothing: only the catalog is read or written.
    None,
    /// Those that a query picks are read or written.
    SomeRows,
    /// All are gone, with the files that held them.
    Removed,
    /// All are read: a check, a validation, the build of an index.
    Scan,
    /// All are written by one statement, and their old versions stay until a VACUUM.
    EveryRow,
    /// The table is written anew, with its indexes.
    Rewrite,
}

/// What a statement takes of one relation, or of several that the catalog names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toll {
    /// What is locked.
    pub on: Subject,
    /// The lock.
    pub lock: LockMode,
    /// What is done with the rows.
    pub work: TableWork,
    /// Why, where the lock and the work do not say it: a clause without a full stop.
    pub why: Option<String>,
    /// What may spare the work.
    pub unless: Option<Unless>,
    /// Whether the partitions of a table get the same.
    pub partitions: bool,
}

/// What an [`Toll`] is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A table, a view or an index.
    Relation(QualifiedName),
    /// The table of an index.
    TableOf(QualifiedName),
    /// The tables that foreign keys of a table refer to.
    Referenced {
        /// The table that has the foreign keys.
        by: QualifiedName,
        /// Which of them.
        keys: ForeignKeys,
    },
    /// The tables whose foreign keys refer to a table, and those that refer to them where their rows go
    /// too.
    Referencing(QualifiedName),
    /// The default partition of a table.
    DefaultPartition(QualifiedName),
}

/// Some of a table's foreign keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignKeys {
    /// All of them.
    All,
    /// The one with this name.
    Named(String),
    /// Those that this column is part of.
    Of(String),
}

/// What spares the work of an [`Toll`]: then only the catalog is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unless {
    /// The server has at least this major version.
    Version(u32),
    /// The column's type is stored like this one, as [`stored_alike`] tells.
    StoredLike {
        /// The column.
        column: String,
        /// The new type, as written.
        to: String,
    },
    /// The column is NOT NULL already, or a valid CHECK constraint says so (Postgres 12).
    NotNull(String),
    /// All columns of this index are NOT NULL already.
    IndexNotNull(QualifiedName),
}

impl Toll {
    fn new(table: QualifiedName, lock: LockMode, work: TableWork) -> Self {
        Self {
            on: Subject::Relation(table),
            lock,
            work,
            why: None,
            unless: None,
            partitions: true,
        }
    }

    fn on(on: Subject, lock: LockMode, work: TableWork) -> Self {
        Self {
            on,
            lock,
            work,
            why: None,
            unless: None,
            partitions: false,
        }
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    fn alone(mut self) -> Self {
        self.partitions = false;
        self
    }
}

/// What a statement does, which `altered` is where it is an ALTER TABLE.
pub(super) fn tolls_of(statement: &SyntaxNode, altered: Option<&Altered>) -> Vec<Toll> {
    use LockMode::{AccessExclusive, AccessShare, Share, ShareRowExclusive, ShareUpdateExclusive};
    use TableWork::{None, Removed, Rewrite, Scan};

    let concurrent = classify::is_concurrent(statement);
    let tables = || tables::touched(statement);
    let each = |lock, work| -> Vec<Toll> {
        let each = tables().into_iter().map(|t| Toll::new(t, lock, work));
        each.collect()
    };
    match statement.kind() {
        SyntaxKind::ALTER_TABLE => altered.map(alter_table::tolls).unwrap_or_default(),
        SyntaxKind::CREATE_TABLE => create_table(statement),
        SyntaxKind::DROP_TABLE | SyntaxKind::TRUNCATE => removal(statement, &tables()),
        SyntaxKind::DROP_MATERIALIZED_VIEW => named(statement, SyntaxKind::VIEW_REF)
            .map(|view| Toll::new(view, AccessExclusive, Removed))
            .collect(),
        SyntaxKind::DROP_VIEW | SyntaxKind::ALTER_VIEW | SyntaxKind::ALTER_MATERIALIZED_VIEW => {
            named(statement, SyntaxKind::VIEW_REF)
                .map(|view| Toll::new(view, AccessExclusive, None))
                .collect()
        }
        SyntaxKind::CREATE_INDEX => {
            let only = tree::child(statement, SyntaxKind::TABLE_RELATION_NAME)
                .is_some_and(|table| tree::has_keyword(&table, SyntaxKind::ONLY_KW));
            let (lock, why) = match concurrent {
                true => (ShareUpdateExclusive, "the index is built in two passes"),
                false => (Share, "the index is built"),
            };
            named(statement, SyntaxKind::TABLE_NAME_REF)
                .take(1)
                .map(|table| match only {
                    true => Toll::new(table, lock, None).alone(),
                    false => Toll::new(table, lock, Scan).because(why),
                })
                .collect()
        }
        SyntaxKind::DROP_INDEX => {
            let lock = if concurrent {
                ShareUpdateExclusive
            } else {
                AccessExclusive
            };
            named(statement, SyntaxKind::INDEX_REF)
                .flat_map(|index| {
                    [
                        Toll::on(Subject::TableOf(index.clone()), lock, None),
                        Toll::on(Subject::Relation(index), lock, None),
                    ]
                })
                .collect()
        }
        SyntaxKind::ALTER_INDEX => alter_index(statement),
        SyntaxKind::REINDEX => reindex(statement, concurrent),
        SyntaxKind::CLUSTER => each(AccessExclusive, Rewrite),
        SyntaxKind::REPACK if classify::repacks_concurrently(statement) => {
            each(ShareUpdateExclusive, Rewrite)
        }
        SyntaxKind::REPACK => each(AccessExclusive, Rewrite),
        SyntaxKind::VACUUM => {
            let full = tree::tokens(statement).any(|token| token.kind() == SyntaxKind::FULL_KW);
            match full {
                true => each(AccessExclusive, Rewrite),
                false => each(ShareUpdateExclusive, Scan),
            }
        }
        SyntaxKind::ANALYZE => tables()
            .into_iter()
            .map(|table| {
                Toll::new(table, ShareUpdateExclusive, TableWork::SomeRows)
                    .because("a sample of the rows is read")
            })
            .collect(),
        SyntaxKind::REFRESH if concurrent => each(LockMode::Exclusive, Scan),
        SyntaxKind::REFRESH => each(AccessExclusive, Rewrite),
        SyntaxKind::LOCK => each(lock_table_mode(statement), None),
        SyntaxKind::CREATE_TRIGGER => each(ShareRowExclusive, None),
        SyntaxKind::DROP_TRIGGER
        | SyntaxKind::ALTER_TRIGGER
        | SyntaxKind::CREATE_POLICY
        | SyntaxKind::ALTER_POLICY
        | SyntaxKind::DROP_POLICY
        | SyntaxKind::CREATE_RULE
        | SyntaxKind::ALTER_RULE
        | SyntaxKind::DROP_RULE => tables()
            .into_iter()
            .map(|table| Toll::new(table, AccessExclusive, None).alone())
            .collect(),
        SyntaxKind::CREATE_STATISTICS => tables()
            .into_iter()
            .map(|table| Toll::new(table, ShareUpdateExclusive, None).alone())
            .collect(),
        SyntaxKind::CREATE_VIEW => tables::references(statement)
            .map(|(_, table)| Toll::new(table, AccessShare, None).alone())
            .collect(),
        SyntaxKind::COMMENT_ON => comment(statement).into_iter().collect(),
        SyntaxKind::SELECT
        | SyntaxKind::SELECT_INTO
        | SyntaxKind::COMPOUND_SELECT
        | SyntaxKind::PAREN_SELECT
        | SyntaxKind::TABLE
        | SyntaxKind::VALUES
        | SyntaxKind::INSERT
        | SyntaxKind::UPDATE
        | SyntaxKind::DELETE
        | SyntaxKind::MERGE
        | SyntaxKind::COPY
        | SyntaxKind::EXPLAIN
        | SyntaxKind::CREATE_TABLE_AS
        | SyntaxKind::CREATE_MATERIALIZED_VIEW => queries(statement),
        _ => Vec::new(),
    }
}

/// The names under references of a kind.
fn named(node: &SyntaxNode, kind: SyntaxKind) -> impl Iterator<Item = QualifiedName> {
    node.descendants()
        .filter(move |node| node.kind() == kind)
        .filter_map(|node| QualifiedName::from_node(&node))
}

/// The mode of LOCK TABLE.
pub(super) fn lock_table_mode(statement: &SyntaxNode) -> LockMode {
    let clause = tree::child(statement, SyntaxKind::LOCK_MODE_CLAUSE);
    match clause
        .and_then(|clause| clause.children().next())
        .map(|mode| mode.kind())
    {
        Some(SyntaxKind::ACCESS_SHARE) => LockMode::AccessShare,
        Some(SyntaxKind::ROW_SHARE) => LockMode::RowShare,
        Some(SyntaxKind::ROW_EXCLUSIVE) => LockMode::RowExclusive,
        Some(SyntaxKind::SHARE_UPDATE_EXCLUSIVE) => LockMode::ShareUpdateExclusive,
        Some(SyntaxKind::SHARE) => LockMode::Share,
        Some(SyntaxKind::SHARE_ROW_EXCLUSIVE) => LockMode::ShareRowExclusive,
        Some(SyntaxKind::EXCLUSIVE) => LockMode::Exclusive,
        _ => LockMode::AccessExclusive,
    }
}

fn create_table(statement: &SyntaxNode) -> Vec<Toll> {
    let mut found = Vec::new();
    for node in statement.descendants() {
        let Some(table) = node
            .children()
            .find(|child| {
                matches!(
                    child.kind(),
                    SyntaxKind::TABLE_NAME_REF | SyntaxKind::RELATION_NAME_REF
                )
            })
            .and_then(|name| QualifiedName::from_node(&name))
        else {
            continue;
        };
        let relation = || Subject::Relation(table.clone());
        match node.kind() {
            SyntaxKind::REFERENCES_CONSTRAINT | SyntaxKind::FOREIGN_KEY_CONSTRAINT => found.push(
                Toll::on(relation(), LockMode::ShareRowExclusive, TableWork::None)
                    .because("a foreign key refers to it"),
            ),
            SyntaxKind::LIKE_CLAUSE => {
                found.push(Toll::on(relation(), LockMode::AccessShare, TableWork::None));
            }
            SyntaxKind::INHERITS => {
                found.extend(named(&node, SyntaxKind::TABLE_NAME_REF).map(|parent| {
                    let lock = LockMode::ShareUpdateExclusive;
                    Toll::on(Subject::Relation(parent), lock, TableWork::None)
                }))
            }
            SyntaxKind::PARTITION_OF => {
                found.push(
                    Toll::on(relation(), LockMode::AccessExclusive, TableWork::None)
                        .because("it gets a partition"),
                );
                found.push(
                    Toll::on(
                        Subject::DefaultPartition(table.clone()),
                        LockMode::AccessExclusive,
                        TableWork::Scan,
                    )
                    .because("none of its rows may belong to the new partition"),
                );
            }
            _ => {}
        }
    }
    found
}

/// DROP TABLE and TRUNCATE.
fn removal(statement: &SyntaxNode, tables: &[QualifiedName]) -> Vec<Toll> {
    use LockMode::AccessExclusive;
    let drops = statement.kind() == SyntaxKind::DROP_TABLE;
    let cascade = tree::child(statement, SyntaxKind::CASCADE).is_some();
    let mut found = Vec::new();
    for table in tables {
        found.push(Toll::new(
            table.clone(),
            AccessExclusive,
            TableWork::Removed,
        ));
        if drops {
            let on = Subject::Referenced {
                by: table.clone(),
                keys: ForeignKeys::All,
            };
            found.push(
                Toll::on(on, AccessExclusive, TableWork::None)
                    .because(format!("a foreign key of {table} refers to it")),
            );
        }
        if cascade {
            let work = if drops {
                TableWork::None
            } else {
                TableWork::Removed
            };
            let why = format!("it refers to {table}");
            found.push(
                Toll::on(Subject::Referencing(table.clone()), AccessExclusive, work).because(why),
            );
        }
    }
    found
}

fn alter_index(statement: &SyntaxNode) -> Vec<Toll> {
    let milder = [
        SyntaxKind::INDEX_RENAME_TO,
        SyntaxKind::SET_OPTIONS,
        SyntaxKind::RESET_OPTIONS,
        SyntaxKind::ATTACH_INDEX_PARTITION,
        SyntaxKind::ALTER_SET_STATISTICS,
    ];
    let lock = match statement
        .children()
        .any(|child| milder.contains(&child.kind()))
    {
        true => LockMode::ShareUpdateExclusive,
        false => LockMode::AccessExclusive,
    };
    let work = match tree::child(statement, SyntaxKind::SET_TABLESPACE) {
        Some(_) => TableWork::Rewrite,
        None => TableWork::None,
    };
    tree::child(statement, SyntaxKind::INDEX_REF)
        .and_then(|index| QualifiedName::from_node(&index))
        .map(|index| Toll::on(Subject::Relation(index), lock, work))
        .into_iter()
        .collect()
}

fn reindex(statement: &SyntaxNode, concurrent: bool) -> Vec<Toll> {
    let (lock, of_index) = match concurrent {
        true => (
            LockMode::ShareUpdateExclusive,
            LockMode::ShareUpdateExclusive,
        ),
        false => (LockMode::Share, LockMode::AccessExclusive),
    };
    let tables = named(statement, SyntaxKind::TABLE_NAME_REF)
        .map(|table| Toll::new(table, lock, TableWork::Scan).because("its indexes are built anew"));
    let indexes = named(statement, SyntaxKind::INDEX_REF).flat_map(|index| {
        let of_table = Toll::on(Subject::TableOf(index.clone()), lock, TableWork::Scan)
            .because("the index is built anew");
        let index = Toll::on(Subject::Relation(index), of_index, TableWork::None);
        [of_table, index]
    });
    tables.chain(indexes).collect()
}

fn comment(statement: &SyntaxNode) -> Option<Toll> {
    let object = statement.children().find(|child| {
        matches!(
            child.kind(),
            SyntaxKind::OBJECT_TABLE
                | SyntaxKind::OBJECT_COLUMN
                | SyntaxKind::OBJECT_VIEW
                | SyntaxKind::OBJECT_MATERIALIZED_VIEW
                | SyntaxKind::OBJECT_INDEX
        )
    })?;
    let name = object.children().next()?;
    let relation = match object.kind() {
        // The last part of the name is the column.
        SyntaxKind::OBJECT_COLUMN => QualifiedName::from_node(
            &name
                .descendants()
                .filter(|node| node.kind() == SyntaxKind::PATH_REF)
                .nth(1)?,
        )?,
        _ => QualifiedName::from_node(&name)?,
    };
    let on = Subject::Relation(relation);
    Some(Toll::on(
        on,
        LockMode::ShareUpdateExclusive,
        TableWork::None,
    ))
}

/// Queries, and statements that run one: which tables they read and which they write.
fn queries(statement: &SyntaxNode) -> Vec<Toll> {
    if classify::only_explains(statement) {
        return Vec::new();
    }
    tables::met(statement)
        .map(|(node, table)| {
            let above: Vec<SyntaxNode> = node.ancestors().skip(1).take(2).collect();
            let write = above.iter().find(|node| is_write_of(node, &above));
            let filtered = |node: &SyntaxNode| {
                node.children().any(|child| {
                    matches!(
                        child.kind(),
                        SyntaxKind::WHERE_CLAUSE | SyntaxKind::WHERE_CURRENT_OF
                    )
                })
            };
            match write.map(|node| (node.kind(), node)) {
                Some((SyntaxKind::UPDATE | SyntaxKind::DELETE, node)) if !filtered(node) => {
                    Toll::new(table, LockMode::RowExclusive, TableWork::EveryRow)
                }
                Some((SyntaxKind::COPY_TABLE, node)) if copies_out(node) => {
                    Toll::new(table, LockMode::AccessShare, TableWork::Scan)
                }
                Some(_) => Toll::new(table, LockMode::RowExclusive, TableWork::SomeRows),
                None if locks_rows(&node) => {
                    Toll::new(table, LockMode::RowShare, TableWork::SomeRows)
                }
                None => Toll::new(table, LockMode::AccessShare, TableWork::SomeRows),
            }
        })
        .collect()
}

/// Whether a node writes to the table whose reference is below it: directly, or below the name with its
/// alias.
fn is_write_of(node: &SyntaxNode, above: &[SyntaxNode]) -> bool {
    let directly = above.first() == Some(node);
    let by_name = above.first().is_some_and(|first| {
        matches!(
            first.kind(),
            SyntaxKind::RELATION_NAME | SyntaxKind::TABLE_RELATION_NAME
        )
    });
    match node.kind() {
        SyntaxKind::INSERT | SyntaxKind::COPY_TABLE => directly,
        SyntaxKind::UPDATE | SyntaxKind::DELETE | SyntaxKind::MERGE => by_name,
        _ => false,
    }
}

fn copies_out(copied: &SyntaxNode) -> bool {
    copied
        .parent()
        .is_some_and(|copy| tree::child(&copy, SyntaxKind::COPY_TO).is_some())
}

/// Whether the SELECT around a reference ends with FOR UPDATE or the like.
fn locks_rows(reference: &SyntaxNode) -> bool {
    reference
        .ancestors()
        .find(|node| node.kind() == SyntaxKind::SELECT)
        .is_some_and(|select| tree::child(&select, SyntaxKind::LOCKING_CLAUSE).is_some())
}

#[cfg(test)]
mod tests;
