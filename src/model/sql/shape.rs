//! What a statement does to the shape of tables.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{altered::Altered, name::QualifiedName, tree};

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

/// What a statement does to it, which `altered` is where it is an ALTER TABLE.
pub(super) fn shape(statement: &SyntaxNode, altered: Option<&Altered>) -> Shape {
    if let Some(altered) = altered {
        return of_altered(altered);
    }
    let partitioned = tree::child(statement, SyntaxKind::PARTITION_BY)
        .filter(|_| statement.kind() == SyntaxKind::CREATE_TABLE)
        .and_then(|_| tree::child(statement, SyntaxKind::TABLE_NAME))
        .and_then(|name| QualifiedName::from_node(&name));
    Shape {
        partitioned: partitioned.into_iter().collect(),
        ..Shape::default()
    }
}

fn of_altered(altered: &Altered) -> Shape {
    let actions = || altered.actions.iter();
    let columns = |kind| {
        let actions = actions().filter(|a| a.node.kind() == kind && !a.column.is_empty());
        actions
            .map(|action| (altered.table.clone(), action.column.clone()))
            .collect()
    };
    Shape {
        partitioned: Vec::new(),
        renamed: actions()
            .find_map(|action| altered.renamed_to(action))
            .map(|to| (altered.table.clone(), to)),
        added_columns: columns(SyntaxKind::ADD_COLUMN),
        dropped_columns: columns(SyntaxKind::DROP_COLUMN),
    }
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
