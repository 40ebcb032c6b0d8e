//! What a statement is: its kind, whether it can run in a transaction, which tables it touches.

use serde::{Deserialize, Serialize};
use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{
    altered::Altered,
    effect::{self, Effect},
    name::QualifiedName,
    risk::{self, Risk},
    shape::{self, Shape},
    tables,
    toll::{self, Toll},
    tree,
};

/// What can be told of a statement from its text alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Class {
    /// A short label for screens, such as `create index concurrently`.
    pub verb: String,
    /// Why Postgres refuses the statement inside a transaction, if it does.
    pub outside_transaction: Option<&'static str>,
    /// The index that the statement builds or drops concurrently.
    pub concurrent_index: Option<ConcurrentIndex>,
    /// The tables that it reads, writes or locks, each once, in the order of the text.
    pub tables: Vec<QualifiedName>,
    /// The tables and materialized views that it creates.
    pub creates: Vec<QualifiedName>,
    /// What it may cost a live database.
    pub risks: Vec<Risk>,
    /// What it does to the tables that it meets.
    pub tolls: Vec<Toll>,
    /// What it does to the shape of tables.
    pub shape: Shape,
    /// What it leaves in the catalog.
    pub effects: Vec<Effect>,
}

/// An index statement that runs outside a transaction and can leave an INVALID index behind.
///
/// `if not exists` takes such an index for a good one, so `indisvalid` has to be looked at, and an invalid
/// index dropped before the retry. A failed REINDEX leaves one whose name ends in `_ccnew` or `_ccold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcurrentIndex {
    /// What is done.
    pub action: IndexAction,
    /// The index; for CREATE in its table's schema. Nothing when a REINDEX names a table or a schema.
    pub index: Option<QualifiedName>,
    /// The table, when the statement names it.
    pub table: Option<QualifiedName>,
    /// CREATE INDEX has IF NOT EXISTS.
    pub if_not_exists: bool,
}

/// What a [`ConcurrentIndex`] statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexAction {
    /// CREATE INDEX CONCURRENTLY.
    Create,
    /// DROP INDEX CONCURRENTLY.
    Drop,
    /// REINDEX ... CONCURRENTLY.
    Reindex,
}

pub(super) fn classify(statement: &SyntaxNode) -> Class {
    let tables = tables::touched(statement);
    let altered = Altered::read(statement);
    let altered = altered.as_ref();
    Class {
        verb: verb(statement),
        outside_transaction: outside_transaction(statement),
        concurrent_index: concurrent_index(statement),
        risks: risk::risks(statement, altered, &tables),
        tolls: toll::tolls_of(statement, altered),
        creates: tables::created(statement),
        shape: shape::shape(statement, altered),
        effects: effect::effects(statement, altered),
        tables,
    }
}

fn verb(statement: &SyntaxNode) -> String {
    let name = match statement.kind() {
        SyntaxKind::CREATE_TABLE_AS => "create table as".to_owned(),
        SyntaxKind::REFRESH => "refresh materialized view".to_owned(),
        SyntaxKind::COMPOUND_SELECT | SyntaxKind::PAREN_SELECT => "select".to_owned(),
        SyntaxKind::LOCK => "lock table".to_owned(),
        SyntaxKind::SET_SESSION_AUTH => "set session authorization".to_owned(),
        SyntaxKind::REASSIGN => "reassign owned".to_owned(),
        kind => format!("{kind:?}").to_lowercase().replace('_', " "),
    };
    if is_concurrent(statement) {
        let detach = tree::descendant(statement, SyntaxKind::DETACH_CONCURRENTLY).is_some();
        let action = if detach { " detach partition" } else { "" };
        return format!("{name}{action} concurrently");
    }
    name
}

/// Whether a statement has CONCURRENTLY.
pub(super) fn is_concurrent(statement: &SyntaxNode) -> bool {
    match statement.kind() {
        SyntaxKind::CREATE_INDEX | SyntaxKind::DROP_INDEX | SyntaxKind::REFRESH => {
            tree::has_keyword(statement, SyntaxKind::CONCURRENTLY_KW)
        }
        SyntaxKind::REINDEX => is_concurrent_reindex(statement),
        SyntaxKind::ALTER_TABLE => {
            tree::descendant(statement, SyntaxKind::DETACH_CONCURRENTLY).is_some()
        }
        _ => false,
    }
}

/// Whether a statement is only planned: EXPLAIN without ANALYZE.
pub(super) fn only_explains(statement: &SyntaxNode) -> bool {
    statement.kind() == SyntaxKind::EXPLAIN
        && !tree::tokens(statement).any(|token| token.kind() == SyntaxKind::ANALYZE_KW)
}

/// `reindex table concurrently t`, or `reindex (concurrently) table t` with an optional truth value.
fn is_concurrent_reindex(statement: &SyntaxNode) -> bool {
    statement.descendants().any(|node| {
        if node.kind() != SyntaxKind::REINDEX_OPTION_CONCURRENTLY {
            return node.kind() != SyntaxKind::REINDEX
                && tree::has_keyword(&node, SyntaxKind::CONCURRENTLY_KW);
        }
        tree::tokens(&node)
            .nth(1)
            .is_none_or(|value| !is_off(value.text()))
    })
}

fn is_off(value: &str) -> bool {
    let value = value.trim_matches('\'').to_ascii_lowercase();
    matches!(value.as_str(), "false" | "off" | "0")
}

/// Postgres's own list: every caller of `PreventInTransactionBlock`.
fn outside_transaction(statement: &SyntaxNode) -> Option<&'static str> {
    const WAITS: &str = "it commits between its phases and waits for older transactions";
    const FILES: &str = "it works on files, which no rollback brings back";
    const EACH: &str = "it commits after each table";
    const REMOTE: &str = "it changes a replication slot on another server";
    let has = |kind| tree::descendant(statement, kind).is_some();
    match statement.kind() {
        SyntaxKind::CREATE_INDEX | SyntaxKind::DROP_INDEX if is_concurrent(statement) => {
            Some(WAITS)
        }
        SyntaxKind::REINDEX if is_concurrent(statement) => Some(WAITS),
        SyntaxKind::REINDEX
            if has(SyntaxKind::REINDEX_TARGET_DATABASE)
                || has(SyntaxKind::REINDEX_TARGET_SYSTEM)
                || has(SyntaxKind::REINDEX_TARGET_SCHEMA) =>
        {
            Some(EACH)
        }
        SyntaxKind::ALTER_TABLE if is_concurrent(statement) => Some(WAITS),
        SyntaxKind::VACUUM => Some(EACH),
        SyntaxKind::CLUSTER | SyntaxKind::REPACK if !has(SyntaxKind::TABLE_NAME_REF) => Some(EACH),
        SyntaxKind::REPACK if repacks_concurrently(statement) => Some(WAITS),
        SyntaxKind::CREATE_DATABASE
        | SyntaxKind::DROP_DATABASE
        | SyntaxKind::CREATE_TABLESPACE
        | SyntaxKind::DROP_TABLESPACE
        | SyntaxKind::ALTER_SYSTEM => Some(FILES),
        SyntaxKind::ALTER_DATABASE if has(SyntaxKind::SET_TABLESPACE) => Some(FILES),
        SyntaxKind::CREATE_SUBSCRIPTION
            if !switched_off(statement, "create_slot") && !switched_off(statement, "connect") =>
        {
            Some(REMOTE)
        }
        SyntaxKind::DROP_SUBSCRIPTION => Some(REMOTE),
        SyntaxKind::ALTER_SUBSCRIPTION if has(SyntaxKind::REFRESH_PUBLICATION) => Some(REMOTE),
        SyntaxKind::ALTER_SUBSCRIPTION
            if has(SyntaxKind::SET_PUBLICATION)
                || has(SyntaxKind::ADD_PUBLICATION)
                || has(SyntaxKind::DROP_SUBSCRIPTION_PUBLICATION) =>
        {
            (!switched_off(statement, "refresh")).then_some(REMOTE)
        }
        SyntaxKind::ALTER_SUBSCRIPTION
            if mentions_option(statement, "failover")
                || mentions_option(statement, "two_phase") =>
        {
            Some(REMOTE)
        }
        SyntaxKind::DISCARD if has(SyntaxKind::DISCARD_ALL) => {
            Some("it throws away the session that the transaction belongs to")
        }
        _ => None,
    }
}

/// Whether a REPACK has its option CONCURRENTLY.
pub(super) fn repacks_concurrently(statement: &SyntaxNode) -> bool {
    tree::tokens(statement).any(|token| token.kind() == SyntaxKind::CONCURRENTLY_KW)
}

fn options(statement: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    statement
        .descendants()
        .filter(|node| node.kind() == SyntaxKind::ATTRIBUTE_OPTION)
}

fn mentions_option(statement: &SyntaxNode, name: &str) -> bool {
    options(statement).any(|option| option_name_is(&option, name))
}

fn option_name_is(option: &SyntaxNode, name: &str) -> bool {
    tree::tokens(option)
        .next()
        .is_some_and(|token| token.text().eq_ignore_ascii_case(name))
}

fn switched_off(statement: &SyntaxNode, name: &str) -> bool {
    options(statement).any(|option| {
        option_name_is(&option, name)
            && tree::tokens(&option)
                .last()
                .is_some_and(|value| is_off(value.text()))
    })
}

fn concurrent_index(statement: &SyntaxNode) -> Option<ConcurrentIndex> {
    let action = match statement.kind() {
        SyntaxKind::CREATE_INDEX => IndexAction::Create,
        SyntaxKind::DROP_INDEX => IndexAction::Drop,
        SyntaxKind::REINDEX => IndexAction::Reindex,
        _ => return None,
    };
    if !is_concurrent(statement) {
        return None;
    }
    let named =
        |kind| tree::descendant(statement, kind).and_then(|node| QualifiedName::from_node(&node));
    let table = named(SyntaxKind::TABLE_NAME_REF);
    let index = if action == IndexAction::Create {
        named(SyntaxKind::INDEX).map(|index| QualifiedName {
            schema: index
                .schema
                .or_else(|| table.as_ref().and_then(|table| table.schema.clone())),
            name: index.name,
        })
    } else {
        named(SyntaxKind::INDEX_REF)
    };
    Some(ConcurrentIndex {
        action,
        index,
        table,
        if_not_exists: tree::child(statement, SyntaxKind::IF_NOT_EXISTS).is_some(),
    })
}
