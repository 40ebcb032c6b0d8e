//! What a statement leaves in the catalog, so that one can look whether it was carried out.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{
    altered::Altered,
    name::{QualifiedName, identifier},
    tree,
};

/// One thing that holds in the catalog once a statement was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What it is about.
    pub object: Object,
    /// What of the object.
    pub aspect: Aspect,
    /// Whether it holds afterwards, or does not any more.
    pub holds: bool,
    /// Whether the statement says IF EXISTS or IF NOT EXISTS: what it leaves may have been so before.
    pub conditional: bool,
}

/// What of an object a statement changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aspect {
    /// That it is there.
    Presence,
    /// That a column refuses nulls.
    NotNull,
    /// That a column has a default.
    Default,
    /// That a constraint was checked for the rows that are there.
    Validated,
    /// That an enum has this label.
    Label(String),
    /// How it is defined: whether it was changed, its name does not tell.
    Definition,
}

/// Something in the catalog, by the name that a statement calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name; of what belongs to a table the name alone.
    pub name: QualifiedName,
    /// The table that it belongs to: of columns, constraints, triggers and policies.
    pub table: Option<QualifiedName>,
}

/// The kinds of [`Object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A table, foreign ones among them.
    Table,
    /// A column of a table.
    Column,
    /// A constraint of a table.
    Constraint,
    /// An index.
    Index,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A sequence.
    Sequence,
    /// A type or a domain.
    Type,
    /// A function, whatever its arguments are.
    Function,
    /// A procedure, whatever its arguments are.
    Procedure,
    /// A trigger of a table.
    Trigger,
    /// A policy of a table.
    Policy,
    /// An extension.
    Extension,
    /// A schema.
    Schema,
}

/// The effects of a statement, which `altered` is where it is an ALTER TABLE; none where the catalog shows
/// nothing of it, or nothing that has a name.
pub(super) fn effects(statement: &SyntaxNode, altered: Option<&Altered>) -> Vec<Effect> {
    use ObjectKind as K;
    use SyntaxKind as S;
    let found = Found { statement };
    match statement.kind() {
        // A temporary table goes with its session.
        S::CREATE_TABLE | S::CREATE_TABLE_AS | S::CREATE_VIEW | S::CREATE_SEQUENCE
            if tree::descendant(statement, S::TEMP).is_some() =>
        {
            Vec::new()
        }
        S::CREATE_TABLE | S::CREATE_TABLE_AS | S::CREATE_FOREIGN_TABLE => {
            found.created(K::Table, S::TABLE_NAME)
        }
        S::CREATE_VIEW => found.created(K::View, S::VIEW),
        S::CREATE_MATERIALIZED_VIEW => found.created(K::MaterializedView, S::VIEW),
        S::CREATE_SEQUENCE => found.created(K::Sequence, S::SEQUENCE),
        S::CREATE_TYPE => found.created(K::Type, S::TYPE_NAME),
        S::CREATE_DOMAIN => found.created(K::Type, S::DOMAIN),
        S::CREATE_FUNCTION => found.created(K::Function, S::FUNCTION_NAME),
        S::CREATE_PROCEDURE => found.created(K::Procedure, S::PROCEDURE_NAME),
        S::CREATE_EXTENSION => found.created(K::Extension, S::EXTENSION),
        S::CREATE_SCHEMA => found.created(K::Schema, S::SCHEMA),
        S::CREATE_TRIGGER => found.created(K::Trigger, S::TRIGGER),
        S::CREATE_POLICY => found.created(K::Policy, S::POLICY),
        S::CREATE_INDEX => found.index(),
        S::DROP_TABLE | S::DROP_FOREIGN_TABLE => found.dropped(K::Table, S::TABLE_NAME_REF),
        S::DROP_VIEW => found.dropped(K::View, S::VIEW_REF),
        S::DROP_MATERIALIZED_VIEW => found.dropped(K::MaterializedView, S::VIEW_REF),
        S::DROP_SEQUENCE => found.dropped(K::Sequence, S::SEQUENCE_REF),
        S::DROP_TYPE => found.dropped(K::Type, S::TYPE_NAME_REF),
        S::DROP_DOMAIN => found.dropped(K::Type, S::DOMAIN_REF),
        S::DROP_FUNCTION => found.dropped(K::Function, S::FUNCTION_NAME_REF),
        S::DROP_PROCEDURE => found.dropped(K::Procedure, S::PROCEDURE_NAME_REF),
        S::DROP_EXTENSION => found.dropped(K::Extension, S::EXTENSION_REF),
        S::DROP_SCHEMA => found.dropped(K::Schema, S::SCHEMA_REF),
        S::DROP_TRIGGER => found.dropped(K::Trigger, S::TRIGGER_REF),
        S::DROP_POLICY => found.dropped(K::Policy, S::POLICY_REF),
        S::DROP_INDEX => found.dropped(K::Index, S::INDEX_REF),
        S::ALTER_TABLE => altered.map(altered_table).unwrap_or_default(),
        S::ALTER_INDEX => renamed_index(statement),
        S::ALTER_TYPE => added_label(statement).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl Effect {
    fn new(object: Object, aspect: Aspect, holds: bool, conditional: bool) -> Self {
        Self {
            object,
            aspect,
            holds,
            conditional,
        }
    }
}

/// A statement that makes or removes whole objects.
struct Found<'a> {
    statement: &'a SyntaxNode,
}

impl Found<'_> {
    /// The table that a trigger or a policy is on.
    fn table(&self) -> Option<QualifiedName> {
        let on = self
            .statement
            .children()
            .find(|child| matches!(child.kind(), SyntaxKind::ON_TABLE | SyntaxKind::ON_RELATION))?;
        QualifiedName::from_node(&on)
    }

    fn object(&self, kind: ObjectKind, node: &SyntaxNode) -> Option<Object> {
        Some(Object {
            kind,
            name: name_of(node)?,
            table: match kind {
                ObjectKind::Trigger | ObjectKind::Policy => Some(self.table()?),
                _ => None,
            },
        })
    }

    fn created(&self, kind: ObjectKind, name: SyntaxKind) -> Vec<Effect> {
        let Some(object) =
            tree::descendant(self.statement, name).and_then(|node| self.object(kind, &node))
        else {
            return Vec::new();
        };
        let conditional = tree::child(self.statement, SyntaxKind::IF_NOT_EXISTS).is_some();
        let replaces = tree::child(self.statement, SyntaxKind::OR_REPLACE).is_some();
        let aspect = if replaces {
            Aspect::Definition
        } else {
            Aspect::Presence
        };
        vec![Effect::new(object, aspect, true, conditional)]
    }

    fn dropped(&self, kind: ObjectKind, reference: SyntaxKind) -> Vec<Effect> {
        let conditional = tree::child(self.statement, SyntaxKind::IF_EXISTS).is_some();
        self.statement
            .descendants()
            .filter(|node| node.kind() == reference)
            .filter_map(|node| self.object(kind, &node))
            .map(|object| Effect::new(object, Aspect::Presence, false, conditional))
            .collect()
    }

    /// An index lies where its table does.
    fn index(&self) -> Vec<Effect> {
        let table = tree::child(self.statement, SyntaxKind::TABLE_RELATION_NAME)
            .and_then(|node| QualifiedName::from_node(&node));
        let mut effects = self.created(ObjectKind::Index, SyntaxKind::INDEX);
        for effect in &mut effects {
            let name = &mut effect.object.name;
            if name.schema.is_none() {
                name.schema = table.as_ref().and_then(|table| table.schema.clone());
            }
        }
        effects
    }
}

/// A path, or a name without one.
fn name_of(node: &SyntaxNode) -> Option<QualifiedName> {
    QualifiedName::from_node(node).or_else(|| {
        let name = identifier(node);
        (!name.is_empty()).then(|| QualifiedName::new(None, &name))
    })
}

fn altered_table(altered: &Altered) -> Vec<Effect> {
    use ObjectKind::{Column, Constraint, Table};
    use SyntaxKind as S;
    let table = &altered.table;
    let of_table = |kind, node: SyntaxNode| {
        Some(Object {
            kind,
            name: name_of(&node)?,
            table: Some(table.clone()),
        })
    };
    let whole = |name: QualifiedName| Object {
        kind: Table,
        name,
        table: None,
    };
    let mut effects = Vec::new();
    for altering in &altered.actions {
        let action = &altering.node;
        let conditional = [S::IF_EXISTS, S::IF_NOT_EXISTS]
            .into_iter()
            .any(|kind| tree::child(action, kind).is_some());
        let named = |kind| tree::descendant(action, kind);
        let mut add = |object: Option<Object>, aspect, holds| {
            effects.extend(object.map(|object| Effect::new(object, aspect, holds, conditional)));
        };
        let column = |kind| named(kind).and_then(|node| of_table(Column, node));
        let constraint = |kind| named(kind).and_then(|node| of_table(Constraint, node));
        match action.kind() {
            S::ADD_COLUMN => add(column(S::COLUMN_NAME), Aspect::Presence, true),
            S::DROP_COLUMN => add(column(S::COLUMN_NAME_REF), Aspect::Presence, false),
            S::RENAME_COLUMN => {
                add(column(S::COLUMN_NAME_REF), Aspect::Presence, false);
                add(column(S::COLUMN_NAME), Aspect::Presence, true);
            }
            // The catalog that is read has no constraints that only refuse nulls.
            S::ADD_CONSTRAINT if tree::child(action, S::NOT_NULL_CONSTRAINT).is_none() => {
                add(constraint(S::CONSTRAINT_NAME), Aspect::Presence, true);
            }
            S::DROP_CONSTRAINT => add(constraint(S::CONSTRAINT_NAME_REF), Aspect::Presence, false),
            S::RENAME_CONSTRAINT => {
                add(constraint(S::CONSTRAINT_NAME_REF), Aspect::Presence, false);
                add(constraint(S::CONSTRAINT_NAME), Aspect::Presence, true);
            }
            S::VALIDATE_CONSTRAINT => {
                add(constraint(S::CONSTRAINT_NAME_REF), Aspect::Validated, true);
            }
            S::TABLE_RENAME_TO => {
                add(Some(whole(table.clone())), Aspect::Presence, false);
                add(
                    altered.renamed_to(altering).map(whole),
                    Aspect::Presence,
                    true,
                );
            }
            S::ALTER_COLUMN => {
                let changes = [
                    (S::SET_NOT_NULL, Aspect::NotNull, true),
                    (S::DROP_NOT_NULL, Aspect::NotNull, false),
                    (S::SET_DEFAULT, Aspect::Definition, true),
                    (S::DROP_DEFAULT, Aspect::Default, false),
                    (S::SET_TYPE, Aspect::Definition, true),
                ];
                for (kind, aspect, holds) in changes {
                    if tree::child(action, kind).is_some() {
                        add(column(S::COLUMN_NAME_REF), aspect, holds);
                    }
                }
            }
            _ => {}
        }
    }
    effects
}

fn renamed_index(statement: &SyntaxNode) -> Vec<Effect> {
    let index = |name| Object {
        kind: ObjectKind::Index,
        name,
        table: None,
    };
    let names = tree::child(statement, SyntaxKind::INDEX_REF)
        .and_then(|old| QualifiedName::from_node(&old))
        .zip(
            tree::child(statement, SyntaxKind::INDEX_RENAME_TO)
                .and_then(|new| QualifiedName::from_node(&new)),
        );
    let Some((old, new)) = names else {
        return Vec::new();
    };
    let new = QualifiedName::new(old.schema.as_deref(), &new.name);
    vec![
        Effect::new(index(old), Aspect::Presence, false, false),
        Effect::new(index(new), Aspect::Presence, true, false),
    ]
}

/// `alter type t add value 'label'`. A label with escapes of its own is left out.
fn added_label(statement: &SyntaxNode) -> Option<Effect> {
    let value = tree::child(statement, SyntaxKind::ADD_VALUE)?;
    let literal = tree::child(&value, SyntaxKind::LITERAL)?;
    let literal = literal.text().to_string();
    let label = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let object = Object {
        kind: ObjectKind::Type,
        name: QualifiedName::from_node(&tree::child(statement, SyntaxKind::TYPE_NAME_REF)?)?,
        table: None,
    };
    let conditional = tree::child(&value, SyntaxKind::IF_NOT_EXISTS).is_some();
    let label = Aspect::Label(label.replace("''", "'"));
    Some(Effect::new(object, label, true, conditional))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::model::sql::Script;

    /// Each effect in a few words: `+` holds afterwards, `-` does not, `?` is conditional.
    fn effects_of(text: &str) -> Vec<String> {
        let script = Script::parse(
            "f.up.sql",
            &format!("-- outpost: transaction = false\n\n{text}"),
        );
        let script = script.unwrap();
        assert!(script.problems.is_empty(), "{:?}", script.problems);
        let words = |effect: &Effect| {
            format!(
                "{}{} {:?} {}{} {:?}",
                if effect.holds { '+' } else { '-' },
                if effect.conditional { "?" } else { "" },
                effect.object.kind,
                effect
                    .object
                    .table
                    .as_ref()
                    .map(|table| format!("{table}."))
                    .unwrap_or_default(),
                effect.object.name,
                effect.aspect
            )
        };
        script.statements[0]
            .class
            .effects
            .iter()
            .map(words)
            .collect()
    }

    #[test]
    fn what_comes_and_goes_is_named() {
        for (text, expected) in [
            ("create table s.T (a int)", &["+ Table s.t Presence"][..]),
            (
                "create unlogged table if not exists t (a int)",
                &["+? Table t Presence"],
            ),
            ("create table t as select 1 as a", &["+ Table t Presence"]),
            ("create temp table t (a int)", &[]),
            (
                "create or replace view v as select 1",
                &["+ View v Definition"],
            ),
            (
                "create materialized view v as select 1",
                &["+ MaterializedView v Presence"],
            ),
            ("create index i on s.t (a)", &["+ Index s.i Presence"]),
            (
                "create index concurrently if not exists i on t (a)",
                &["+? Index i Presence"],
            ),
            ("create index on t (a)", &[]),
            ("create sequence q", &["+ Sequence q Presence"]),
            ("create type e as enum ('a')", &["+ Type e Presence"]),
            ("create domain d as int", &["+ Type d Presence"]),
            (
                "create function f(a int) returns int language sql as 'select 1'",
                &["+ Function f Presence"],
            ),
            (
                "create trigger g before insert on s.t for each row execute function f()",
                &["+ Trigger s.t.g Presence"],
            ),
            ("create policy p on t", &["+ Policy t.p Presence"]),
            (
                "create extension if not exists hstore",
                &["+? Extension hstore Presence"],
            ),
            ("create schema s", &["+ Schema s Presence"]),
            (
                "drop table if exists a, s.b",
                &["-? Table a Presence", "-? Table s.b Presence"],
            ),
            ("drop index concurrently i", &["- Index i Presence"]),
            ("drop trigger g on t", &["- Trigger t.g Presence"]),
            ("drop function f(int)", &["- Function f Presence"]),
            ("drop schema s cascade", &["- Schema s Presence"]),
            (
                "alter index s.i rename to j",
                &["- Index s.i Presence", "+ Index s.j Presence"],
            ),
            (
                "alter type e add value 'it''s'",
                &["+ Type e Label(\"it's\")"],
            ),
            ("update t set a = 1", &[]),
            ("do 'begin end'", &[]),
            ("comment on table t is 'x'", &[]),
        ] {
            assert_eq!(effects_of(text), expected, "{text}");
        }
    }

    #[test]
    fn each_action_on_a_table_is_an_effect() {
        assert_eq!(
            effects_of(
                "alter table s.t add column if not exists a int references u (x), drop b, \
                 add constraint c check (a > 0), add check (a > 1), drop constraint if exists d, \
                 validate constraint e, alter f set not null, alter g drop not null, \
                 alter h drop default, alter i type bigint, alter j set default 0"
            ),
            [
                "+? Column s.t.a Presence",
                "- Column s.t.b Presence",
                "+ Constraint s.t.c Presence",
                "-? Constraint s.t.d Presence",
                "+ Constraint s.t.e Validated",
                "+ Column s.t.f NotNull",
                "- Column s.t.g NotNull",
                "- Column s.t.h Default",
                "+ Column s.t.i Definition",
                "+ Column s.t.j Definition",
            ]
        );
        for (text, expected) in [
            (
                "alter table s.a rename to b",
                ["- Table s.a Presence", "+ Table s.b Presence"],
            ),
            (
                "alter table t rename a to b",
                ["- Column t.a Presence", "+ Column t.b Presence"],
            ),
            (
                "alter table t rename constraint a to b",
                ["- Constraint t.a Presence", "+ Constraint t.b Presence"],
            ),
        ] {
            assert_eq!(effects_of(text), expected, "{text}");
        }
    }
}
