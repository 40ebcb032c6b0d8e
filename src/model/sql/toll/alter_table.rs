//! The actions of ALTER TABLE.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{ForeignKeys, Subject, TableWork, Toll, Unless};
use crate::model::sql::altered::{Action, Altered};
use crate::model::sql::lock_mode::LockMode;
use crate::model::sql::name::{QualifiedName, identifier};
use crate::model::sql::risk::{Value, row_by_row_value};
use crate::model::sql::tree;

/// The version that adds a column with a default without writing the rows.
const DEFAULT_IN_CATALOG: u32 = 11;

pub(super) fn tolls(altered: &Altered) -> Vec<Toll> {
    let table = &altered.table;
    let mut found = Vec::new();
    for action in &altered.actions {
        let mut own = Toll::new(table.clone(), lock_of_action(action), TableWork::None);
        own.partitions = !altered.only && recurses(&action.node);
        work(action, &mut own);
        found.push(own);
        others(action, table, &mut found);
    }
    found
}

/// The lock that an action takes; ACCESS EXCLUSIVE where the manual names no other.
pub(in crate::model::sql) fn lock_of_action(action: &Action) -> LockMode {
    let action = &action.node;
    match action.kind() {
        SyntaxKind::VALIDATE_CONSTRAINT
        | SyntaxKind::ATTACH_PARTITION
        | SyntaxKind::CLUSTER_ON
        | SyntaxKind::SET_WITHOUT_CLUSTER
        | SyntaxKind::SET_OPTIONS
        | SyntaxKind::RESET_OPTIONS => LockMode::ShareUpdateExclusive,
        SyntaxKind::DETACH_PARTITION
            if tree::child(action, SyntaxKind::DETACH_CONCURRENTLY).is_some() =>
        {
            LockMode::ShareUpdateExclusive
        }
        SyntaxKind::ALTER_COLUMN
            if action.children().any(|option| {
                matches!(
                    option.kind(),
                    SyntaxKind::SET_STATISTICS
                        | SyntaxKind::SET_OPTIONS
                        | SyntaxKind::SET_OPTIONS_LIST
                        | SyntaxKind::RESET_OPTIONS
                )
            }) =>
        {
            LockMode::ShareUpdateExclusive
        }
        SyntaxKind::ADD_CONSTRAINT
            if tree::child(action, SyntaxKind::FOREIGN_KEY_CONSTRAINT).is_some() =>
        {
            LockMode::ShareRowExclusive
        }
        SyntaxKind::ENABLE_TRIGGER
        | SyntaxKind::DISABLE_TRIGGER
        | SyntaxKind::ENABLE_REPLICA_TRIGGER
        | SyntaxKind::ENABLE_ALWAYS_TRIGGER => LockMode::ShareRowExclusive,
        _ => LockMode::AccessExclusive,
    }
}

/// Whether an action is done to the partitions too.
fn recurses(action: &SyntaxNode) -> bool {
    !matches!(
        action.kind(),
        SyntaxKind::ATTACH_PARTITION
            | SyntaxKind::DETACH_PARTITION
            | SyntaxKind::TABLE_RENAME_TO
            | SyntaxKind::OWNER_TO
            | SyntaxKind::SET_SCHEMA
            | SyntaxKind::REPLICA_IDENTITY
            | SyntaxKind::ENABLE_RLS
            | SyntaxKind::DISABLE_RLS
            | SyntaxKind::FORCE_RLS
            | SyntaxKind::NO_FORCE_RLS
            | SyntaxKind::SET_OPTIONS
            | SyntaxKind::RESET_OPTIONS
            | SyntaxKind::SET_ACCESS_METHOD
            | SyntaxKind::SET_TABLESPACE
    )
}

/// What an action does with the rows of its own table.
fn work(action: &Action, own: &mut Toll) {
    let Action {
        node: action,
        column,
    } = action;
    let has = |kind| tree::child(action, kind).is_some();
    let mut does = |work, why: String| {
        own.work = work;
        own.why = Some(why);
    };
    match action.kind() {
        SyntaxKind::ADD_COLUMN => add_column(action, column, own),
        SyntaxKind::ALTER_COLUMN if has(SyntaxKind::SET_NOT_NULL) => {
            does(
                TableWork::Scan,
                format!("column {column} is checked for NULL"),
            );
            own.unless = Some(Unless::NotNull(column.clone()));
        }
        SyntaxKind::ALTER_COLUMN if has(SyntaxKind::SET_EXPRESSION) => {
            does(
                TableWork::Rewrite,
                format!("column {column} is computed anew"),
            );
        }
        SyntaxKind::ALTER_COLUMN => {
            let Some(set) = tree::child(action, SyntaxKind::SET_TYPE) else {
                return;
            };
            does(
                TableWork::Rewrite,
                format!("column {column} gets a type that is stored differently"),
            );
            own.unless = new_type(&set, column).map(|to| Unless::StoredLike {
                column: column.clone(),
                to,
            });
        }
        SyntaxKind::ADD_CONSTRAINT => {
            let Some(constraint) = action.children().next() else {
                return;
            };
            add_constraint(&constraint, own);
        }
        SyntaxKind::VALIDATE_CONSTRAINT => {
            does(TableWork::Scan, "the constraint is checked".to_owned());
        }
        SyntaxKind::SET_LOGGED | SyntaxKind::SET_UNLOGGED => {
            does(TableWork::Rewrite, "logging is switched".to_owned());
        }
        SyntaxKind::SET_ACCESS_METHOD => {
            does(TableWork::Rewrite, "the access method changes".to_owned());
        }
        SyntaxKind::SET_TABLESPACE => {
            does(
                TableWork::Rewrite,
                "its files move to another tablespace".to_owned(),
            );
        }
        _ => {}
    }
}

fn add_column(action: &SyntaxNode, column: &str, own: &mut Toll) {
    let has = |kind| tree::child(action, kind).is_some();
    let mut does = |work, why: String, unless| {
        own.work = work;
        own.why = Some(why);
        own.unless = unless;
    };
    let default = has(SyntaxKind::DEFAULT_CONSTRAINT);
    match row_by_row_value(action) {
        Some(Value::Default(function)) => does(
            TableWork::Rewrite,
            format!("column {column} has a default that differs for each row ({function})"),
            None,
        ),
        Some(Value::Sequence) => does(
            TableWork::Rewrite,
            format!("column {column} is filled from a sequence"),
            None,
        ),
        Some(Value::Generated) => does(
            TableWork::Rewrite,
            format!("column {column} is computed and stored"),
            None,
        ),
        None if has(SyntaxKind::PRIMARY_KEY_CONSTRAINT) || has(SyntaxKind::UNIQUE_CONSTRAINT) => {
            does(
                TableWork::Scan,
                format!("an index on column {column} is built"),
                None,
            );
        }
        None if has(SyntaxKind::CHECK_CONSTRAINT)
            || default && has(SyntaxKind::REFERENCES_CONSTRAINT) =>
        {
            does(
                TableWork::Scan,
                "the constraint is checked".to_owned(),
                None,
            );
        }
        None if default => does(
            TableWork::Rewrite,
            format!(
                "before Postgres {DEFAULT_IN_CATALOG}, the default of column {column} is written to every row"
            ),
            Some(Unless::Version(DEFAULT_IN_CATALOG)),
        ),
        None if has(SyntaxKind::NOT_NULL_CONSTRAINT) => {
            does(
                TableWork::Scan,
                format!("column {column} is checked for NULL"),
                None,
            );
        }
        None => {}
    }
}

fn add_constraint(constraint: &SyntaxNode, own: &mut Toll) {
    let is_unique = matches!(
        constraint.kind(),
        SyntaxKind::UNIQUE_CONSTRAINT | SyntaxKind::PRIMARY_KEY_CONSTRAINT
    );
    let existing = tree::descendant(constraint, SyntaxKind::INDEX_REF)
        .filter(|_| is_unique)
        .and_then(|index| QualifiedName::from_node(&index));
    let why = match (constraint.kind(), existing) {
        // Checks of NULL are all that is left to do for a key whose index is there.
        (SyntaxKind::PRIMARY_KEY_CONSTRAINT, Some(index)) => {
            own.unless = Some(Unless::IndexNotNull(index));
            "the columns of the key are checked for NULL"
        }
        (_, Some(_)) => return,
        _ if tree::descendant(constraint, SyntaxKind::NOT_VALID).is_some() => return,
        (SyntaxKind::EXCLUDE_CONSTRAINT, None) => "the index of the constraint is built",
        (_, None) if is_unique => "the index of the constraint is built",
        _ => "the constraint is checked",
    };
    own.work = TableWork::Scan;
    own.why = Some(why.to_owned());
}

/// What an action does to other tables.
fn others(action: &Action, table: &QualifiedName, found: &mut Vec<Toll>) {
    use LockMode::{AccessExclusive, RowShare, ShareRowExclusive, ShareUpdateExclusive};
    let Action {
        node: action,
        column,
    } = action;
    let partner = |kind| {
        tree::child(action, kind)
            .and_then(|node| QualifiedName::from_node(&node))
            .map(Subject::Relation)
    };
    let referenced = |keys| Subject::Referenced {
        by: table.clone(),
        keys,
    };
    let constraint = || {
        tree::child(action, SyntaxKind::CONSTRAINT_NAME_REF)
            .and_then(|name| QualifiedName::from_node(&name))
            .map(|name| referenced(ForeignKeys::Named(name.name)))
    };
    match action.kind() {
        SyntaxKind::ADD_COLUMN | SyntaxKind::ADD_CONSTRAINT => {
            let keys = action.descendants().filter(|node| {
                matches!(
                    node.kind(),
                    SyntaxKind::REFERENCES_CONSTRAINT | SyntaxKind::FOREIGN_KEY_CONSTRAINT
                )
            });
            found.extend(keys.filter_map(|key| {
                let table = tree::child(&key, SyntaxKind::TABLE_NAME_REF)?;
                let on = Subject::Relation(QualifiedName::from_node(&table)?);
                // The rows that a column without a value refers to are none.
                let looks_up = key.kind() == SyntaxKind::FOREIGN_KEY_CONSTRAINT
                    && tree::descendant(&key, SyntaxKind::NOT_VALID).is_none()
                    || tree::child(action, SyntaxKind::DEFAULT_CONSTRAINT).is_some();
                let work = match looks_up {
                    true => TableWork::SomeRows,
                    false => TableWork::None,
                };
                Some(Toll::on(on, ShareRowExclusive, work).because("a foreign key refers to it"))
            }));
        }
        SyntaxKind::VALIDATE_CONSTRAINT => found.extend(constraint().map(|on| {
            Toll::on(on, RowShare, TableWork::SomeRows).because("the foreign key refers to it")
        })),
        SyntaxKind::DROP_CONSTRAINT => found.extend(constraint().map(|on| {
            Toll::on(on, AccessExclusive, TableWork::None).because("the foreign key refers to it")
        })),
        SyntaxKind::DROP_COLUMN => found.push(
            Toll::on(
                referenced(ForeignKeys::Of(column.clone())),
                AccessExclusive,
                TableWork::None,
            )
            .because("a foreign key of the column refers to it"),
        ),
        SyntaxKind::ATTACH_PARTITION => {
            found.extend(partner(SyntaxKind::TABLE_NAME_REF).map(|on| {
                Toll::on(on, AccessExclusive, TableWork::Scan).because(
                    "its rows are checked against the bounds, unless a constraint implies them",
                )
            }));
            found.push(
                Toll::on(
                    Subject::DefaultPartition(table.clone()),
                    AccessExclusive,
                    TableWork::Scan,
                )
                .because("none of its rows may belong to the new partition"),
            );
        }
        SyntaxKind::DETACH_PARTITION => found.extend(
            partner(SyntaxKind::TABLE_NAME_REF)
                .map(|on| Toll::on(on, AccessExclusive, TableWork::None)),
        ),
        SyntaxKind::INHERIT_TABLE | SyntaxKind::INHERIT => found.extend(
            partner(SyntaxKind::TABLE_NAME_REF)
                .map(|on| Toll::on(on, ShareUpdateExclusive, TableWork::None)),
        ),
        _ => {}
    }
}

/// The new type of a column, as written; nothing where a USING clause does more than to name the column.
fn new_type(set: &SyntaxNode, column: &str) -> Option<String> {
    let node = set.children().find(|child| {
        !matches!(
            child.kind(),
            SyntaxKind::USING_EXPR | SyntaxKind::COLLATE | SyntaxKind::USING_EXPR_CLAUSE
        )
    })?;
    if tree::child(set, SyntaxKind::COLLATE).is_some() {
        return None;
    }
    let to = node.text().to_string();
    let Some(using) = tree::child(set, SyntaxKind::USING_EXPR) else {
        return Some(to);
    };
    let expression = using.children().next()?;
    let plain =
        |node: &SyntaxNode| node.kind() == SyntaxKind::NAME_REF && identifier(node) == column;
    let cast = |node: &SyntaxNode| {
        node.kind() == SyntaxKind::CAST_EXPR
            && node.children().next().is_some_and(|inner| plain(&inner))
            && node.children().last().is_some_and(|cast| {
                super::storage::normal(&cast.text().to_string()) == super::storage::normal(&to)
            })
    };
    (plain(&expression) || cast(&expression)).then_some(to)
}
