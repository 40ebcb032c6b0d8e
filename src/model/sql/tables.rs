//! Which tables a statement touches, and which it creates.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{
    name::{QualifiedName, identifier},
    tree,
};

/// The tables that the statement reads, writes or locks, in the order of the text, each once.
///
/// Names of WITH queries are not tables; bodies that are only stored (views, functions, rules, policies) touch
/// nothing yet.
pub(super) fn touched(statement: &SyntaxNode) -> Vec<QualifiedName> {
    let mut tables = Vec::new();
    for (_, name) in met(statement) {
        if !tables.contains(&name) {
            tables.push(name);
        }
    }
    tables
}

/// Every reference to a table that the statement reads, writes or locks, with the name.
pub(super) fn met(statement: &SyntaxNode) -> impl Iterator<Item = (SyntaxNode, QualifiedName)> {
    let nodes = (!is_metadata_only(statement.kind())).then(|| found(executed(statement)));
    nodes.into_iter().flatten()
}

/// Every reference to a table, with the name, also in bodies that are only stored.
pub(super) fn references(
    statement: &SyntaxNode,
) -> impl Iterator<Item = (SyntaxNode, QualifiedName)> {
    found(statement.descendants())
}

fn found(
    nodes: impl Iterator<Item = SyntaxNode>,
) -> impl Iterator<Item = (SyntaxNode, QualifiedName)> {
    nodes.filter(is_reference).filter_map(|node| {
        let name = QualifiedName::from_node(&node)?;
        (!is_with_query(&node, &name)).then_some((node, name))
    })
}

/// The tables and materialized views that the statement creates, whether or not `if not exists` is given.
pub(super) fn created(statement: &SyntaxNode) -> Vec<QualifiedName> {
    statement
        .descendants()
        .filter(|node| {
            let parent = node.parent().map(|parent| parent.kind());
            match node.kind() {
                SyntaxKind::TABLE_NAME => parent != Some(SyntaxKind::TABLE_RENAME_TO),
                SyntaxKind::VIEW => parent == Some(SyntaxKind::CREATE_MATERIALIZED_VIEW),
                _ => false,
            }
        })
        .filter_map(|node| QualifiedName::from_node(&node))
        .collect()
}

/// The nodes that take effect when the statement runs, without the bodies that it only stores.
pub(super) fn executed(statement: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    let target_only = stores_a_body(statement.kind());
    let targets = statement
        .children()
        .filter(move |child| target_only && is_target_clause(child.kind()))
        .flat_map(|child| child.descendants());
    let everything = statement.descendants().filter(move |_| !target_only);
    targets.chain(everything)
}

fn is_target_clause(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::ON_TABLE | SyntaxKind::ON_RELATION | SyntaxKind::RULE_ON
    )
}

fn stores_a_body(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::CREATE_FUNCTION
            | SyntaxKind::CREATE_PROCEDURE
            | SyntaxKind::CREATE_VIEW
            | SyntaxKind::CREATE_RULE
            | SyntaxKind::CREATE_POLICY
            | SyntaxKind::ALTER_POLICY
            | SyntaxKind::CREATE_TRIGGER
            | SyntaxKind::PREPARE
            | SyntaxKind::DECLARE
    )
}

fn is_metadata_only(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::COMMENT_ON
            | SyntaxKind::GRANT
            | SyntaxKind::REVOKE
            | SyntaxKind::SECURITY_LABEL
            | SyntaxKind::CREATE_PUBLICATION
            | SyntaxKind::ALTER_PUBLICATION
    )
}

fn is_reference(node: &SyntaxNode) -> bool {
    match node.kind() {
        SyntaxKind::TABLE_NAME_REF | SyntaxKind::RELATION_NAME_REF => true,
        SyntaxKind::VIEW_REF => node
            .parent()
            .is_some_and(|parent| parent.kind() == SyntaxKind::REFRESH),
        _ => false,
    }
}

/// Whether the reference means a WITH query that is visible where it stands. Targets of writes never do.
fn is_with_query(reference: &SyntaxNode, name: &QualifiedName) -> bool {
    let read = reference.ancestors().nth(1).is_some_and(|parent| {
        parent.kind() == SyntaxKind::RELATION_FROM_ITEM
            || parent.parent().is_some_and(|above| {
                above.kind() == SyntaxKind::TABLE || above.kind() == SyntaxKind::RELATION_FROM_ITEM
            })
    });
    if !read || name.schema.is_some() {
        return false;
    }
    reference.ancestors().any(|ancestor| {
        tree::child(&ancestor, SyntaxKind::WITH_CLAUSE)
            .is_some_and(|with| defines(&with, &name.name, reference))
    })
}

/// Whether the WITH clause gives `name` a meaning at `reference`: everywhere behind the clause, and inside it
/// in the queries that follow, or in all of them when it is recursive.
fn defines(with: &SyntaxNode, name: &str, reference: &SyntaxNode) -> bool {
    let start = reference.text_range().start();
    let recursive = tree::has_keyword(with, SyntaxKind::RECURSIVE_KW);
    with.children()
        .filter(|query| query.kind() == SyntaxKind::WITH_TABLE)
        .filter(|query| recursive || query.text_range().end() <= start)
        .filter_map(|query| tree::child(&query, SyntaxKind::CTE_NAME))
        .any(|cte| identifier(&cte) == name)
}
