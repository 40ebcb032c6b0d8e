#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::model::config::PlanConfig;
use crate::model::redis::declaration::{Class, Declaration};

/// A view of a hash with these fields.
fn hash(fields: &[Option<&str>]) -> KeyView {
    KeyView {
        kind: Some(KeyType::Hash),
        fields: fields
            .iter()
            .map(|value| value.map(|value| value.as_bytes().to_vec()))
            .collect(),
        ..KeyView::default()
    }
}

fn decide(step: &str, key: &str, view: &KeyView) -> Decision {
    let config = PlanConfig {
        postgres: None,
        redis: None,
        vars: Default::default(),
        golang_migrate: None,
        outpost_redis: false,
        adopt_missing: None,
    };
    let text = format!("scope = \"<rest..>\"\nignore = [\"to:<x..>\"]\n[[step]]\n{step}\n");
    let declaration = Declaration::parse("f", &text, &config).unwrap();
    let Class::Step(step, captures) = declaration.classify(key.as_bytes()) else {
        panic!("{key} is not of the step");
    };
    Item::new(step, &captures).unwrap().decide(view)
}

/// The decision in one word.
fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Gone => "gone",
        Decision::Done => "done",
        Decision::Excepted(_) => "excepted",
        Decision::Work(_) => "work",
        Decision::Refused(Problem::WrongType { .. }) => "wrong type",
        Decision::Refused(Problem::Guard { .. }) => "guard",
        Decision::Refused(Problem::Ambiguous { .. }) => "ambiguous",
        Decision::Refused(Problem::Conflict) => "conflict",
        Decision::Refused(Problem::Unreadable { .. }) => "unreadable",
        Decision::Refused(Problem::BothFields { .. }) => "both",
    }
}

#[test]
fn u21_a_copy_needs_work_where_its_target_is_missing_and_was_not_copied_before() {
    use Recorded::{Copied, Kept};
    for (policy, target, recorded, expected) in [
        ("keep", false, None, "work"),
        ("keep", true, None, "done"),
        ("keep", false, Some(Copied), "done"),
        ("keep", false, Some(Kept), "done"),
        ("keep", true, Some(Copied), "done"),
        ("replace", false, None, "work"),
        ("replace", true, None, "work"),
        ("replace", true, Some(Copied), "done"),
        ("fail", false, None, "work"),
        ("fail", true, None, "conflict"),
        ("fail", true, Some(Copied), "done"),
    ] {
        let step = format!(
            "copy = \"a:<x>\"\nto = \"to:<x>\"\ntype = \"hash\"\nfields = {{ id = \"<x>\" }}\non_conflict = \"{policy}\""
        );
        let view = KeyView {
            target,
            recorded,
            ..hash(&[Some("1")])
        };
        assert_eq!(
            word(&decide(&step, "a:1", &view)),
            expected,
            "{policy} {view:?}"
        );
        // What was dealt with once is not judged again.
        let judged = |problem| if recorded.is_some() { "done" } else { problem };
        assert_eq!(word(&decide(&step, "a:2", &view)), judged("guard"));
        let absent = KeyView {
            fields: vec![None],
            ..view.clone()
        };
        assert_eq!(word(&decide(&step, "a:1", &absent)), judged("guard"));
        let text = KeyView {
            kind: Some(KeyType::String),
            ..view
        };
        assert_eq!(word(&decide(&step, "a:1", &text)), judged("wrong type"));
        assert_eq!(word(&decide(&step, "a:1", &KeyView::default())), "gone");
    }
}

#[test]
fn u21_u31_every_other_operation_says_when_it_needs_work() {
    let convert = "convert = [\"c\", \"u\"]\nin = \"a:<x>\"\nfrom_format = \"rfc3339\"\nto_format = \"unix_ms\"";
    let lenient = format!("{convert}\non_error = \"record\"");
    let old = Some("2024-01-02T03:04:05Z");
    let new = Some("1704164645000");
    let set = "set = { k = \"<x>\" }\nin = \"a:<x>\"";
    let overwrite = format!("{set}\noverwrite = true");
    let rename = "rename_field = \"o\"\nto = \"n\"\nin = \"a:<x>\"";
    let cases: Vec<(&str, KeyView, &str)> = vec![
        (convert, hash(&[None, None]), "done"),
        (convert, hash(&[new, None]), "done"),
        (convert, hash(&[new, old]), "work"),
        (convert, hash(&[Some("x"), old]), "unreadable"),
        (convert, hash(&[Some(""), None]), "unreadable"),
        (&lenient, hash(&[Some("x"), None]), "excepted"),
        (&lenient, hash(&[Some("x"), old]), "work"),
        (set, hash(&[None]), "work"),
        (set, hash(&[Some("1")]), "done"),
        (set, hash(&[Some("2")]), "done"),
        (&overwrite, hash(&[Some("1")]), "done"),
        (&overwrite, hash(&[Some("2")]), "work"),
        (rename, hash(&[Some("v"), None]), "work"),
        (rename, hash(&[None, Some("v")]), "done"),
        (rename, hash(&[None, None]), "done"),
        (rename, hash(&[Some("v"), Some("v")]), "both"),
        (
            "remove_field = \"f\"\nin = \"a:<x>\"",
            hash(&[Some("")]),
            "work",
        ),
        (
            "remove_field = \"f\"\nin = \"a:<x>\"",
            hash(&[None]),
            "done",
        ),
        ("delete = \"a:<x>\"", hash(&[]), "work"),
        (
            "delete = \"a:<x>\"\ntype = \"set\"",
            hash(&[]),
            "wrong type",
        ),
        ("persist = \"a:<x>\"", hash(&[]), "done"),
        ("expire = \"a:<x>\"\nafter = \"1s\"", hash(&[]), "work"),
    ];
    for (step, view, expected) in cases {
        assert_eq!(
            word(&decide(step, "a:1", &view)),
            expected,
            "{step} {view:?}"
        );
    }
    for (ttl, persist, expire) in [
        (Some(500), "work", "done"),
        (Some(1000), "work", "done"),
        (Some(1001), "work", "work"),
    ] {
        let view = KeyView {
            ttl_ms: ttl,
            ..hash(&[])
        };
        assert_eq!(word(&decide("persist = \"a:<x>\"", "a:1", &view)), persist);
        let step = "expire = \"a:<x>\"\nafter = \"1s\"";
        assert_eq!(word(&decide(step, "a:1", &view)), expire, "{ttl:?}");
    }
}

#[test]
fn a_problem_never_shows_the_value_that_could_not_be_read() {
    let convert =
        "convert = [\"c\"]\nin = \"a:<x>\"\nfrom_format = \"rfc3339\"\nto_format = \"unix_ms\"";
    let Decision::Refused(problem) = decide(convert, "a:1", &hash(&[Some("hunter2")])) else {
        panic!("it is unreadable");
    };
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
}
