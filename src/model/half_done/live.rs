//! Looks up in the real schema what a statement calls by its name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::sql::{Aspect, Object, ObjectKind, QualifiedName};
use crate::model::state::SchemaObjects;

/// The real schema, by the kinds and the unquoted names of its objects.
pub(super) struct Live<'a> {
    objects: BTreeMap<(&'a str, Vec<String>), &'a str>,
    search_path: &'a [String],
}

/// What an aspect of an object is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Now {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// The object is not there.
    Absent,
    /// The index is there, and INVALID.
    Invalid,
    /// The object is there; whether it is the one that is meant, its name does not tell. With the column as it is
    /// now, where it is one.
    Unclear(Option<String>),
}

impl<'a> Live<'a> {
    pub(super) fn new(schema: &'a SchemaObjects) -> Self {
        const KINDS: [(&str, &str); 14] = [
            ("foreign table ", "table"),
            ("materialized view ", "materialized view"),
            ("table ", "table"),
            ("constraint ", "constraint"),
            ("index ", "index"),
            ("view ", "view"),
            ("sequence ", "sequence"),
            ("type ", "type"),
            ("function ", "function"),
            ("procedure ", "procedure"),
            ("trigger ", "trigger"),
            ("policy ", "policy"),
            ("extension ", "extension"),
            ("schema ", "schema"),
        ];
        let objects = schema.definitions.iter().filter_map(|(name, definition)| {
            let (kind, name) = KINDS
                .iter()
                .find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(prefix)?)))?;
            Some(((kind, parts(name)), definition.as_str()))
        });
        Self {
            objects: objects.collect(),
            search_path: &schema.search_path,
        }
    }

    /// The schema of a name: that which is written, or the first in the search path that has it; where nothing has
    /// it, the one in which it would be made.
    fn schema_of(&self, kind: ObjectKind, name: &QualifiedName) -> String {
        let first = || self.search_path.first().cloned();
        let has = |schema: &&String| {
            let path = vec![(*schema).clone(), name.name.clone()];
            self.objects.contains_key(&(word(kind), path))
        };
        name.schema
            .clone()
            .or_else(|| self.search_path.iter().find(has).cloned())
            .or_else(first)
            .unwrap_or_else(|| "public".to_owned())
    }

    /// The object by its whole name, so that two names of one object are the same.
    pub(super) fn resolve(&self, object: &Object) -> Object {
        let mut object = object.clone();
        match (&mut object.table, object.kind) {
            (Some(table), _) => table.schema = Some(self.schema_of(ObjectKind::Table, table)),
            (None, ObjectKind::Extension | ObjectKind::Schema) => {}
            (None, kind) => object.name.schema = Some(self.schema_of(kind, &object.name)),
        }
        object
    }

    /// The object's definition where it is there; `object` is a resolved one.
    fn definition(&self, object: &Object) -> Option<&'a str> {
        let mut path: Vec<String> = Vec::new();
        if let Some(table) = &object.table {
            path.extend(table.schema.clone());
            path.push(table.name.clone());
        }
        path.extend(object.name.schema.clone());
        path.push(object.name.name.clone());
        if object.kind == ObjectKind::Column {
            path.pop();
            return self.objects.get(&("table", path)).copied();
        }
        self.objects.get(&(word(object.kind), path)).copied()
    }

    /// What an aspect of a resolved object is now.
    pub(super) fn look(&self, object: &Object, aspect: &Aspect) -> Now {
        let Some(definition) = self.definition(object) else {
            return Now::Absent;
        };
        let of = |holds| if holds { Now::Holds } else { Now::Fails };
        match (object.kind, aspect) {
            (ObjectKind::Column, aspect) => {
                let table: Value = serde_json::from_str(definition).unwrap_or_default();
                let Some(column) = table["columns"].get(&object.name.name) else {
                    return Now::Absent;
                };
                match aspect {
                    Aspect::Presence => Now::Holds,
                    Aspect::NotNull => of(column["not_null"] == true),
                    Aspect::Default => of(column["default"].is_string()),
                    _ => Now::Unclear(Some(column_words(column))),
                }
            }
            // Others of the same name may have other arguments.
            (ObjectKind::Function | ObjectKind::Procedure, _) | (_, Aspect::Definition) => {
                Now::Unclear(None)
            }
            (ObjectKind::Index, Aspect::Presence) if definition.ends_with(" INVALID") => {
                Now::Invalid
            }
            (_, Aspect::Validated) => of(!definition.ends_with(" NOT VALID")),
            (_, Aspect::Label(label)) => {
                let labels = definition.strip_prefix("enum ").unwrap_or_default();
                let labels: Vec<String> = serde_json::from_str(labels).unwrap_or_default();
                of(labels.contains(label))
            }
            (_, Aspect::Presence) => Now::Holds,
            (_, Aspect::NotNull | Aspect::Default) => Now::Unclear(None),
        }
    }
}

/// How the catalog's listing calls a kind.
fn word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table | ObjectKind::Column => "table",
        ObjectKind::Constraint => "constraint",
        ObjectKind::Index => "index",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView => "materialized view",
        ObjectKind::Sequence => "sequence",
        ObjectKind::Type => "type",
        ObjectKind::Function => "function",
        ObjectKind::Procedure => "procedure",
        ObjectKind::Trigger => "trigger",
        ObjectKind::Policy => "policy",
        ObjectKind::Extension => "extension",
        ObjectKind::Schema => "schema",
    }
}

/// A column as it is now: `bigint not null default 0`.
fn column_words(column: &Value) -> String {
    let mut words = column["type"].as_str().unwrap_or_default().to_owned();
    if column["not_null"] == true {
        words.push_str(" not null");
    }
    if let Some(default) = column["default"].as_str() {
        words.push_str(&format!(" default {default}"));
    }
    words
}

/// The parts of a name as the server writes it, without their quotes and without a function's arguments.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                push(&mut parts, '"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            '(' if !quoted => break,
            c => push(&mut parts, c),
        }
    }
    parts
}

fn push(parts: &mut [String], c: char) {
    if let Some(last) = parts.last_mut() {
        last.push(c);
    }
}
