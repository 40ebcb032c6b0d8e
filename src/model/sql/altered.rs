//! ALTER TABLE, as all that is asked of it reads it: the table and the actions.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{
    name::{QualifiedName, identifier},
    tree,
};

/// An ALTER TABLE.
#[derive(Debug)]
pub(super) struct Altered {
    /// The table, as the statement calls it.
    pub(super) table: QualifiedName,
    /// Whether its partitions are left alone, by ONLY.
    pub(super) only: bool,
    /// What is done, in order.
    pub(super) actions: Vec<Action>,
}

/// One action of an ALTER TABLE.
#[derive(Debug)]
pub(super) struct Action {
    /// All of it.
    pub(super) node: SyntaxNode,
    /// The column that it is about; empty where it is about none. Of a renamed one the old name.
    pub(super) column: String,
}

impl Altered {
    /// Reads a statement; `None` for another one, and where the table has no name.
    pub(super) fn read(statement: &SyntaxNode) -> Option<Self> {
        if statement.kind() != SyntaxKind::ALTER_TABLE {
            return None;
        }
        let relation = tree::child(statement, SyntaxKind::TABLE_RELATION_NAME)?;
        Some(Self {
            table: QualifiedName::from_node(&relation)?,
            only: tree::has_keyword(&relation, SyntaxKind::ONLY_KW),
            actions: statement.children().filter_map(Action::read).collect(),
        })
    }

    /// The name that an action gives to the table. It is written without a schema; the table stays in its own.
    pub(super) fn renamed_to(&self, action: &Action) -> Option<QualifiedName> {
        if action.node.kind() != SyntaxKind::TABLE_RENAME_TO {
            return None;
        }
        let to = QualifiedName::from_node(&action.node)?;
        Some(QualifiedName::new(self.table.schema.as_deref(), &to.name))
    }
}

impl Action {
    fn read(node: SyntaxNode) -> Option<Self> {
        if matches!(
            node.kind(),
            SyntaxKind::TABLE_RELATION_NAME | SyntaxKind::IF_EXISTS
        ) {
            return None;
        }
        let column = node.children().find(|child| {
            matches!(
                child.kind(),
                SyntaxKind::COLUMN_NAME | SyntaxKind::COLUMN_NAME_REF
            )
        });
        Some(Self {
            column: column.map(|column| identifier(&column)).unwrap_or_default(),
            node,
        })
    }
}
