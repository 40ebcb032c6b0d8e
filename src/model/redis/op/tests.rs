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
        Decision::Refused(Problem::OneWay { .. }) => "one way",
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

#[test]
fn a_renaming_needs_work_where_the_old_name_exists_and_the_new_one_is_free() {
    let rename = "rename = \"a:<x>\"\nto = \"to:<x>\"";
    let typed = format!("{rename}\ntype = \"string\"");
    let taken = KeyView {
        target: true,
        ..hash(&[])
    };
    assert_eq!(word(&decide(rename, "a:1", &hash(&[]))), "work");
    assert_eq!(word(&decide(rename, "a:1", &taken)), "conflict");
    assert_eq!(word(&decide(rename, "a:1", &KeyView::default())), "gone");
    assert_eq!(word(&decide(&typed, "a:1", &hash(&[]))), "wrong type");
}

#[test]
fn a_new_name_from_which_the_old_one_does_not_follow_is_refused() {
    let swap = "rename = \"a:<x..>-<y..>\"\nto = \"to:<y..>-<x..>\"";
    for (key, expected) in [
        ("a:1-2", "work"),
        ("a:-", "work"),
        // It would be called to:2-3-1, which is read as x = 3-1.
        ("a:1-2-3", "one way"),
    ] {
        let decision = decide(swap, key, &hash(&[]));
        assert_eq!(word(&decision), expected, "{key}: {decision:?}");
    }
    let Decision::Refused(problem) = decide(swap, "a:1-2-3", &hash(&[])) else {
        panic!("it is refused");
    };
    assert_eq!(
        problem.to_string(),
        "its new name would be read back as a:3-1-2"
    );
}

#[test]
fn a_script_needs_work_where_its_check_says_so() {
    let script = "script = \"return 1\"\ncheck = \"return {}\"\nin = \"a:<x>\"\nargs = [\"<x>!\"]";
    for (needs_work, expected) in [(true, "work"), (false, "done")] {
        let view = KeyView {
            needs_work,
            ..hash(&[])
        };
        assert_eq!(word(&decide(script, "a:1", &view)), expected);
    }
    assert_eq!(word(&decide(script, "a:1", &KeyView::default())), "gone");
}

const SPLIT: &str = "convert = \"p\"\nin = \"a:<x>\"\nfrom_format = \"json\"\nto_format = { fields = { n = \"string\", k = \"int\" } }";
const JOIN: &str = "convert = \"p\"\nin = \"a:<x>\"\nfrom_format = { fields = { n = \"string\", k = \"int\" } }\nto_format = \"json\"";

#[test]
fn u31_json_is_converted_where_it_is_there_and_its_fields_are_free_or_agree() {
    let object = Some(r#"{"n":"v","k":1}"#);
    for (step, fields, expected) in [
        (SPLIT, [None, None, None], "done"),
        (SPLIT, [None, Some("v"), Some("1")], "done"),
        (SPLIT, [object, None, None], "work"),
        (SPLIT, [object, Some("v"), None], "work"),
        (SPLIT, [object, Some("w"), None], "unreadable"),
        (SPLIT, [Some(r#"{"n":"v"}"#), None, Some("1")], "unreadable"),
        (SPLIT, [Some("{}"), None, None], "unreadable"),
        (SPLIT, [Some(""), None, None], "unreadable"),
        (JOIN, [None, None, None], "done"),
        (JOIN, [object, None, None], "done"),
        (JOIN, [None, Some("v"), Some("1")], "work"),
        (JOIN, [object, Some("v"), Some("1")], "work"),
        (JOIN, [object, Some("v"), None], "unreadable"),
        (JOIN, [None, None, Some("x")], "unreadable"),
    ] {
        let decision = decide(step, "a:1", &hash(&fields));
        assert_eq!(word(&decision), expected, "{step} {fields:?} {decision:?}");
        let lenient = format!("{step}\non_error = \"record\"");
        let decision = decide(&lenient, "a:1", &hash(&fields));
        let expected = expected.replace("unreadable", "excepted");
        assert_eq!(word(&decision), expected, "{lenient} {fields:?}");
    }
}

#[test]
fn u30_all_fields_of_a_json_conversion_are_compared_and_a_text_that_would_not_come_back_is_lossy() {
    for (step, fields, new, lossy) in [
        (
            SPLIT,
            [Some(r#"{"n":"v","k":1}"#), None, None],
            [None, Some("v"), Some("1")],
            false,
        ),
        (
            SPLIT,
            [Some(r#"{"n":"v"}"#), None, None],
            [None, Some("v"), None],
            false,
        ),
        (
            SPLIT,
            [Some(r#"{"k":1,"n":"v"}"#), None, None],
            [None, Some("v"), Some("1")],
            true,
        ),
        (
            SPLIT,
            [Some(r#"{"n": "v"}"#), None, None],
            [None, Some("v"), None],
            true,
        ),
        (
            SPLIT,
            [Some(r#"{"n":"v"}"#), Some("v"), None],
            [None, Some("v"), None],
            true,
        ),
        (
            JOIN,
            [None, Some("v"), Some("1")],
            [Some(r#"{"n":"v","k":1}"#), None, None],
            false,
        ),
    ] {
        let view = hash(&fields);
        let Decision::Work(Work::Convert { changes, .. }) = decide(step, "a:1", &view) else {
            panic!("{fields:?}");
        };
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        let old: Vec<_> = changes.iter().map(|change| change.old.clone()).collect();
        let found: Vec<_> = changes.iter().map(|change| change.new.clone()).collect();
        assert_eq!(old, view.fields);
        assert_eq!(found, new.map(bytes));
        assert_eq!(
            changes.iter().any(|change| change.lossy),
            lossy,
            "{fields:?}"
        );
    }
}
