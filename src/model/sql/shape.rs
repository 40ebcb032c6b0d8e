//! What a statement does to the shape of tables.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{
    name::{QualifiedName, identifier},
    tree,
};

/// Tables that become partitioned or get another name, columns that come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Tables that are created with PARTITION BY.
    pub partitioned: Vec<QualifiedName>,
    /// A table's old and new name.
    pub renamed: Option<(QualifiedName, QualifiedName)>,
    /// Table and name of each added column.
    pub added_columns: Vec<(QualifiedName, String)>,
    /// Table and name of each dropped column.
    pub dropped_columns: Vec<(QualifiedName, String)>,
}

pub(super) fn shape(statement: &SyntaxNode) -> Shape {
    match statement.kind() {
        SyntaxKind::CREATE_TABLE => Shape {
            partitioned: tree::child(statement, SyntaxKind::PARTITION_BY)
                .and_then(|_| tree::child(statement, SyntaxKind::TABLE_NAME))
                .and_then(|name| QualifiedName::from_node(&name))
                .into_iter()
                .collect(),
            ..Shape::default()
        },
        SyntaxKind::ALTER_TABLE => altered(statement).unwrap_or_default(),
        _ => Shape::default(),
    }
}

fn altered(statement: &SyntaxNode) -> Option<Shape> {
    let table = tree::child(statement, SyntaxKind::TABLE_RELATION_NAME)
        .and_then(|name| QualifiedName::from_node(&name))?;
    let columns = |action: SyntaxKind, name: SyntaxKind| {
        statement
            .children()
            .filter(|child| child.kind() == action)
            .filter_map(|child| tree::child(&child, name))
            .map(|column| (table.clone(), identifier(&column)))
            .collect()
    };
    // The new name is written without a schema; the table stays in its own.
    let renamed = tree::child(statement, SyntaxKind::TABLE_RENAME_TO)
        .and_then(|to| QualifiedName::from_node(&to))
        .map(|to| {
            let to = QualifiedName::new(table.schema.as_deref(), &to.name);
            (table.clone(), to)
        });
    Some(Shape {
        partitioned: Vec::new(),
        renamed,
        added_columns: columns(SyntaxKind::ADD_COLUMN, SyntaxKind::COLUMN_NAME),
        dropped_columns: columns(SyntaxKind::DROP_COLUMN, SyntaxKind::COLUMN_NAME_REF),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::model::sql::Script;

    fn shape_of(text: &str) -> Shape {
        let script = Script::parse("f.up.sql", text).unwrap();
        assert!(script.problems.is_empty(), "{:?}", script.problems);
        script.statements[0].class.shape.clone()
    }

    fn name(text: &str) -> QualifiedName {
        QualifiedName::new(None, text)
    }

    #[test]
    fn partitioned_tables_are_told_from_their_partitions() {
        let parent = shape_of("create table T (a int) partition by range (a)");
        assert_eq!(parent.partitioned, [name("t")]);
        for text in [
            "create table t_default partition of t default",
            "create table t (a int)",
        ] {
            assert_eq!(shape_of(text), Shape::default(), "{text}");
        }
    }

    #[test]
    fn renames_keep_the_schema() {
        let renamed = shape_of("alter table s.a rename to b").renamed.unwrap();
        assert_eq!(renamed.1, QualifiedName::new(Some("s"), "b"));
        assert_eq!(shape_of("alter table a rename column b to c").renamed, None);
    }

    #[test]
    fn columns_come_and_go() {
        let shape = shape_of("alter table t add column a int, drop column \"B\", drop c");
        assert_eq!(shape.added_columns, [(name("t"), "a".to_owned())]);
        assert_eq!(
            shape.dropped_columns,
            [(name("t"), "B".to_owned()), (name("t"), "c".to_owned())]
        );
    }
}
