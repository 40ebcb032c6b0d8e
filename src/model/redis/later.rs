//! What a copy has become by now: its source, with what migrations that came later made of its fields.
//!
//! A copy that was converted after it was made equals its source no more, and is no less proven: what those
//! migrations decide about the source's fields is what they decided about the copy's.

use std::collections::BTreeMap;

use super::declaration::{Class, Declaration};
use super::op::{Decision, Item, KeyType, KeyView, Op, Work};

/// The fields of a hash and their values.
pub type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

/// The hash that the copy at `key` should be, when its source holds `fields` and these migrations were
/// applied since, in their order. `None` where that does not follow from the fields: one of them deletes,
/// renames or copies such keys, runs a script over them, or would refuse these values.
pub fn expected(later: &[Declaration], key: &[u8], mut fields: Fields) -> Option<Fields> {
    for declaration in later {
        match declaration.classify(key) {
            Class::OutOfScope | Class::Ignored => {}
            Class::Step(step, captures) => apply(&Item::new(step, &captures).ok()?, &mut fields)?,
            Class::Unaccounted | Class::Ambiguous(_) => return None,
        }
    }
    Some(fields)
}

/// Does to some fields what a step would do to a hash that holds them; `None` where that cannot be told.
fn apply(item: &Item<'_>, fields: &mut Fields) -> Option<()> {
    let names = item.step.op.fields();
    let view = KeyView {
        kind: Some(KeyType::Hash),
        fields: names
            .iter()
            .map(|name| fields.get(name.as_bytes()).cloned())
            .collect(),
        ..KeyView::default()
    };
    let named = |place: usize| Some(names.get(place)?.as_bytes().to_vec());
    match (item.decide(&view), &item.step.op) {
        (Decision::Done | Decision::Excepted(_) | Decision::Work(Work::Expiry), _) => {}
        (Decision::Work(Work::Convert { changes, .. }), _) => {
            for change in changes {
                let name = named(change.field)?;
                match change.new {
                    Some(value) => fields.insert(name, value),
                    None => fields.remove(&name),
                };
            }
        }
        (Decision::Work(Work::Set), Op::Set(set)) => {
            for (name, value) in names.iter().zip(&item.values) {
                let name = name.as_bytes().to_vec();
                if set.overwrite || !fields.contains_key(&name) {
                    fields.insert(name, value.clone());
                }
            }
        }
        (Decision::Work(Work::RenameField), _) => {
            let value = fields.remove(&named(0)?)?;
            fields.insert(named(1)?, value);
        }
        (Decision::Work(Work::RemoveField), _) => {
            fields.remove(&named(0)?);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::config::PlanConfig;

    fn declared(text: &str) -> Declaration {
        let config = PlanConfig {
            postgres: None,
            redis: None,
            vars: BTreeMap::new(),
            golang_migrate: None,
            outpost_redis: false,
            adopt_missing: None,
        };
        let text = format!("scope = \"new:<id>\"\n{text}");
        Declaration::parse("redis/0002_later.toml", &text, &config).unwrap()
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn each_operation_on_fields_does_to_the_source_what_it_did_to_the_copy() {
        let table = [
            (
                "[[step]]\nconvert = [\"at\"]\nin = \"new:<id>\"\nfrom_format = \"rfc3339\"\nto_format = \"unix_ms\"",
                vec![("at", "2024-01-01T00:00:00Z"), ("x", "1")],
                Some(vec![("at", "1704067200000"), ("x", "1")]),
            ),
            (
                "[[step]]\nset = { kind = \"of <id>\", x = \"2\" }\nin = \"new:<id>\"",
                vec![("x", "1")],
                Some(vec![("kind", "of a"), ("x", "1")]),
            ),
            (
                "[[step]]\nset = { x = \"2\" }\noverwrite = true\nin = \"new:<id>\"",
                vec![("x", "1")],
                Some(vec![("x", "2")]),
            ),
            (
                "[[step]]\nrename_field = \"x\"\nto = \"y\"\nin = \"new:<id>\"",
                vec![("x", "1")],
                Some(vec![("y", "1")]),
            ),
            (
                "[[step]]\nremove_field = \"x\"\nin = \"new:<id>\"",
                vec![("x", "1"), ("y", "1")],
                Some(vec![("y", "1")]),
            ),
            (
                "[[step]]\nexpire = \"new:<id>\"\nafter = \"1h\"",
                vec![("x", "1")],
                Some(vec![("x", "1")]),
            ),
            // What cannot be told from the fields is no proof.
            ("[[step]]\ndelete = \"new:<id>\"", vec![("x", "1")], None),
            (
                "[[step]]\nconvert = [\"at\"]\nin = \"new:<id>\"\nfrom_format = \"rfc3339\"\nto_format = \"unix_ms\"",
                vec![("at", "never")],
                None,
            ),
        ];
        for (text, source, wanted) in table {
            let found = expected(&[declared(text)], b"new:a", fields(&source));
            assert_eq!(found, wanted.as_deref().map(fields), "{text}");
        }
    }

    #[test]
    fn migrations_follow_one_another_and_leave_other_keys_alone() {
        let first = declared("[[step]]\nrename_field = \"x\"\nto = \"y\"\nin = \"new:<id>\"");
        let second = declared("[[step]]\nset = { y = \"2\" }\noverwrite = true\nin = \"new:<id>\"");
        let both = [first, second];
        let source = || fields(&[("x", "1")]);
        assert_eq!(
            expected(&both, b"new:a", source()),
            Some(fields(&[("y", "2")]))
        );
        assert_eq!(expected(&both, b"other:a", source()), Some(source()));
        assert_eq!(expected(&[], b"new:a", source()), Some(source()));
    }
}
