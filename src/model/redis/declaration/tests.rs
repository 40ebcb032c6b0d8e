#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;

use super::*;
use crate::model::config::PlanRedis;

pub(crate) fn config(deployment_id: &str) -> PlanConfig {
    PlanConfig {
        postgres: None,
        redis: Some(PlanRedis {
            deployment_id: (!deployment_id.is_empty()).then(|| deployment_id.to_owned()),
            database: 0,
            cluster: false,
            ignore: vec!["tenant:skip:<rest..>".to_owned()],
        }),
        vars: BTreeMap::from([("star".to_owned(), "a*<x>".to_owned())]),
        golang_migrate: None,
        outpost_redis: true,
        adopt_missing: None,
    }
}

fn parse(text: &str) -> Result<Declaration, DeclarationError> {
    Declaration::parse("redis/0001_a.toml", text, &config(""))
}

const HASH_TAGS: &str = r#"
description = "d"
compat_name = "001_hash_tags"
only_if = { deployment_id = "" }
scope = "tenant:<rest..>"
ignore = ["tenant:{<id>}:<rest..>"]

[[step]]
copy = "tenant:<id>"
to = "tenant:{<id>}:tenant"
type = "hash"
fields = { id = "<id>" }

[[step]]
copy = "tenant:<id>:destination:<dest..>"
to = "tenant:{<id>}:destination:<dest..>"
type = "hash"
"#;

fn without_ignore() -> PlanConfig {
    let mut config = config("");
    config.redis.as_mut().unwrap().ignore.clear();
    config
}

fn hash_tags() -> Declaration {
    Declaration::parse("f", HASH_TAGS, &without_ignore()).unwrap()
}

#[test]
fn a_declaration_gives_back_what_was_written() {
    let declaration = hash_tags();
    assert_eq!(declaration.compat_name.as_deref(), Some("001_hash_tags"));
    assert_eq!(
        declaration.operations(),
        [
            "copy tenant:<id> -> tenant:{<id>}:tenant (hash)",
            "copy tenant:<id>:destination:<dest..> -> tenant:{<id>}:destination:<dest..> (hash)"
        ]
    );
    assert_eq!(declaration.irreversible(), None);
    assert!(declaration.has_cleanup());
    assert_eq!(declaration.scan_glob(), b"tenant:*");
    assert_eq!(declaration.not_applicable(&config("")), None);
    let reason = declaration.not_applicable(&config("dp_1")).unwrap();
    assert_eq!(
        reason,
        "it is for a deployment without a deployment id, and this is one with deployment id \"dp_1\""
    );
}

#[test]
fn u22_u33_every_key_is_classified_by_its_whole_form() {
    let declaration = hash_tags();
    let class = |key: &[u8]| match declaration.classify(key) {
        Class::OutOfScope => "out".to_owned(),
        Class::Ignored => "ignored".to_owned(),
        Class::Step(step, _) => step.number.to_string(),
        Class::Unaccounted => "unaccounted".to_owned(),
        Class::Ambiguous(steps) => format!("{steps:?}"),
    };
    for (key, expected) in [
        ("tenant:a", "1"),
        ("tenant:a:tenant", "unaccounted"),
        ("tenant:a:destination:d", "2"),
        ("tenant:a:destination:d:e", "2"),
        ("tenant:a:destination:", "2"),
        ("tenant:a:destinations", "unaccounted"),
        ("tenant:{a:b}:tenant", "ignored"),
        ("tenant:{a}", "unaccounted"),
        ("tenant:", "unaccounted"),
        ("other", "out"),
        ("tenan", "out"),
    ] {
        assert_eq!(class(key.as_bytes()), expected, "{key}");
    }
    assert_eq!(class(b"tenant:\xff\x00"), "1");
}

#[test]
fn variables_are_literal_and_the_prefix_is_the_deployment_id() {
    let text = "scope = \"${prefix}<rest..>\"\n[[step]]\ndelete = \"${prefix}${star}:<id>\"\n";
    let config = PlanConfig {
        redis: None,
        ..config("")
    };
    let declaration = Declaration::parse("f", text, &config).unwrap();
    assert!(matches!(declaration.classify(b"a*<x>:1"), Class::Step(..)));
    let mut with_id = super::tests::config("dp");
    with_id.redis.as_mut().unwrap().ignore.clear();
    let declaration = Declaration::parse("f", text, &with_id).unwrap();
    assert!(matches!(
        declaration.classify(b"dp:a*<x>:1"),
        Class::Step(..)
    ));
    assert!(matches!(
        declaration.classify(b"a*<x>:1"),
        Class::OutOfScope
    ));
    assert_eq!(declaration.scan_glob(), b"dp:*");
}

#[test]
fn broken_files_are_refused_with_line_and_reason() {
    for (text, line, said) in [
        ("", 1, "there is no [[step]]"),
        ("scoope = \"a\"", 1, "there is no key `scoope`"),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncoppy = \"a:<b>\"\nto = \"x\"",
            3,
            "`coppy` is none",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\ntyp = \"hash\"",
            5,
            "there is no key `typ`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\ndelete = \"a:<b>\"",
            4,
            "two operations",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrenam = \"a:<b>\"\nto = \"c:<b>\"",
            3,
            "`renam` is none",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b>:<c>\"\nto = \"c:<b>\"",
            4,
            "does not use <c>",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b>\"\nto = \"c:<d>:<b>\"",
            4,
            "captures no `d`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b>:<c>\"\nto = \"c:<b><c>\"",
            4,
            "cannot be read back",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:{<b>\"\nto = \"c:<b>\"",
            3,
            "never closed",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b>\"\nto = \"c:<b>}\"",
            4,
            "closes no brace",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nscript = \"return 1\"\nin = \"a:<b>\"",
            2,
            "`check` is missing",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nscript = \" \"\ncheck = \"return {}\"\nin = \"a:<b>\"",
            3,
            "`script` is empty",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nscript = \"return 1\"\ncheck = \"#!lua flags=no-writes\"\nin = \"a:<b>\"",
            4,
            "`check` begins with a shebang line",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nscript = \"return 1\"\ncheck = \"return {}\"\nin = \"a:<b>\"\nargs = [\"<c>\"]",
            6,
            "captures no `c`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nscript = \"return 1\"\ncheck = \"return {}\"\nkeys = \"a:<b>\"",
            5,
            "there is no key `keys`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = [\"f\", \"g\"]\nin = \"a:<b>\"\nfrom_format = \"json\"\nto_format = { fields = { x = \"int\" } }",
            2,
            "takes one field",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = \"f\"\nin = \"a:<b>\"\nfrom_format = \"json\"\nto_format = { fields = {} }",
            6,
            "`to_format.fields` is empty",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = \"f\"\nin = \"a:<b>\"\nfrom_format = \"json\"\nto_format = { fields = { f = \"int\" } }",
            3,
            "the member f would take the place",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = \"f\"\nin = \"a:<b>\"\nfrom_format = \"json\"\nto_format = { fields = { x = \"itn\" } }",
            6,
            "cannot be \"itn\"",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = \"f\"\nin = \"a:<b>\"\nfrom_format = { fields = { x = \"int\" } }\nto_format = \"hex\"",
            2,
            "converts from json and to json alone",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = \"f\"\nin = \"a:<b>\"\nfrom_format = \"json\"\nto_format = \"int\"",
            2,
            "json does not convert to int; from json there is: { fields = { … } }",
        ),
        ("[[step]]\ndelete = \"a:<b>\"", 1, "`scope` is missing"),
        (
            "scope = \"a:<b\"\n[[step]]\ndelete = \"a:<b>\"",
            1,
            "never closed",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<x>\"",
            4,
            "captures no `x`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>:<c>\"\nto = \"c:<b>\"",
            4,
            "does not use <c>",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\ntype = \"hsh\"",
            5,
            "cannot be \"hsh\"",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\nfields = { id = \"<b>\" }",
            2,
            "needs `type = \"hash\"`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = [\"f\"]\nin = \"a:<b>\"\nfrom_format = \"rfc\"\nto_format = \"unix_ms\"",
            5,
            "no value format is called `rfc`",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nconvert = [\"f\", \"f\"]\nin = \"a:<b>\"\nfrom_format = \"rfc3339\"\nto_format = \"unix_ms\"",
            3,
            "names f twice",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nset = {}\nin = \"a:<b>\"",
            2,
            "`set` is empty",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nexpire = \"a:<b>\"\nafter = \"0s\"",
            4,
            "not a time",
        ),
        ("[[step]]\ncommand = [\"FT.CREATE\"]", 1, "`check` is empty"),
        (
            "compat_name = \"a:run:1\"\n[[step]]\ncommand = [\"A\"]\ncheck = [\"B\"]",
            1,
            "`compat_name`",
        ),
        (
            "requires = [\"0001\"]\n[[step]]\ncommand = [\"A\"]\ncheck = [\"B\"]",
            1,
            "`requires`",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.problem.to_string().contains(said), "{text}\n{error}");
        assert_eq!(error.line, line, "{text}\n{error}");
    }
}

#[test]
fn overlaps_and_gaps_that_patterns_show_are_errors_with_an_example() {
    for (text, said) in [
        (
            "scope = \"a:<b..>\"\n[[step]]\ndelete = \"a:<b>\"\n[[step]]\ndelete = \"a:<b..>\"",
            "step 1 and step 2 both match keys such as a:",
        ),
        (
            "scope = \"a:<b..>\"\nignore = \"a:x\"\n[[step]]\ndelete = \"a:<b>\"",
            "both match keys such as a:x",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ndelete = \"b:<b>\"",
            "outside of `scope`, such as b:",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"a:<b>\"",
            "targets of step 1 (copy) are keys that step 1 works on",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\n[[step]]\ndelete = \"c:<x>\"",
            "targets of step 1 (copy) are keys that step 2 works on",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"",
            "that nothing accounts for, such as c:",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\n[[step]]\ncopy = \"a:x:<b>\"\nto = \"c:<b>\"",
            "step 1 and step 2 have the same targets, such as c:",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\nrename = \"a:<b>\"\nto = \"a:<b>\"",
            "targets of step 1 (rename) are keys that step 1 works on",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\nrename = \"a:<b>\"\nto = \"c:<b>\"\n[[step]]\npersist = \"c:<x>\"",
            "targets of step 1 (rename) are keys that step 2 works on",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\nrename = \"a:<b>\"\nto = \"c:<b>\"",
            "that nothing accounts for, such as c:",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b>\"\nto = \"c:<b>\"\n[[step]]\ncopy = \"a:x:<b>\"\nto = \"c:<b>\"",
            "step 1 and step 2 have the same targets, such as c:",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b..>\"\nto = \"c:<b..>\"\n[[step]]\nscript = \"return 1\"\ncheck = \"return {}\"\nin = \"a:<b>\"",
            "step 1 and step 2 both match keys such as a:",
        ),
    ] {
        let error = Declaration::parse("f", text, &without_ignore()).expect_err(text);
        assert!(error.problem.to_string().contains(said), "{text}\n{error}");
        assert!(error.hint().is_some());
    }
    let error = parse(HASH_TAGS).expect_err("outpost.toml ignores tenant:skip:…");
    assert!(
        error
            .to_string()
            .contains("`ignore` pattern tenant:skip:<rest..>"),
        "{error}"
    );
}

#[test]
fn a_step_that_cannot_be_undone_is_named() {
    for (step, said) in [
        (
            "delete = \"a:<b>\"",
            "step 1 (delete a:<b>) cannot be undone: it deletes keys",
        ),
        (
            "persist = \"a:<b>\"",
            "step 1 (persist a:<b>) cannot be undone",
        ),
        (
            "set = { x = \"1\" }\nin = \"a:<b>\"\noverwrite = true",
            "it overwrites values",
        ),
    ] {
        let declaration = parse(&format!("scope = \"a:<b..>\"\n[[step]]\n{step}")).unwrap();
        let reason = declaration.irreversible().expect(step);
        assert!(reason.contains(said), "{reason}");
    }
}

#[test]
fn several_scopes_share_one_glob() {
    for (scope, glob) in [
        (r#"["a:b:<x>", "a:c:<x..>"]"#, "a:*"),
        (r#"["a*:b<x>", "a*:c"]"#, "a\\*:*"),
        (r#"["a*<x..>", "a?<x..>"]"#, "a*"),
        (r#"["x", "y"]"#, "*"),
        (r#""only""#, "only"),
    ] {
        let text = format!("scope = {scope}\n[[step]]\ncommand = [\"A\"]\ncheck = [\"B\"]");
        let found = parse(&text).unwrap().scan_glob();
        assert_eq!(String::from_utf8(found).unwrap(), glob, "{scope}");
    }
}

#[test]
fn a_misspelled_operation_is_told_the_nearest_one() {
    for (key, nearest) in [
        ("coppy", "copy"),
        ("rename_feild", "rename_field"),
        ("scirpt", "script"),
        ("renam", "rename"),
    ] {
        let text = format!("scope = \"a:<b..>\"\n[[step]]\n{key} = \"a:<b>\"");
        let hint = parse(&text).expect_err(&text).hint();
        assert_eq!(hint.unwrap(), format!("did you mean `{nearest}`?"));
    }
}

#[test]
fn the_reverse_of_a_renaming_looks_at_the_keys_where_they_went() {
    let text = "scope = \"a:<b..>\"\n[[step]]\nrename = \"a:<b>:<c..>\"\nto = \"z:{<b>}:<c..>\"\n[[step]]\nconvert = \"f\"\nin = \"a:<b>\"\nfrom_format = \"json\"\nto_format = { fields = { x = \"int\" } }";
    let declaration = parse(text).unwrap();
    assert_eq!(declaration.irreversible(), None);
    assert!(!declaration.has_cleanup());
    let reversed = declaration.reversed();
    assert_eq!(
        reversed.operations(),
        [
            "rename z:{<b>}:<c..> -> a:<b>:<c..>",
            "convert f in a:<b> from { fields = { x = \"int\" } } to json"
        ]
    );
    assert_eq!(reversed.scan_glob(), b"*");
    let Class::Step(step, captures) = reversed.classify(b"z:{1}:2:3") else {
        panic!("the scope covers the new names");
    };
    let item = crate::model::redis::op::Item::new(step, &captures).unwrap();
    assert_eq!(item.target.unwrap(), b"a:1:2:3");
    // The old names are nobody's business on the way back.
    assert!(matches!(reversed.classify(b"a:1:2"), Class::Unaccounted));
    assert_eq!(reversed.reversed().operations(), declaration.operations());
}

#[test]
fn a_script_says_what_it_can_undo_and_clean_up() {
    let script = "script = \"return 1\"\ncheck = \"return {}\"\nin = \"a:<b>\"\ntype = \"hash\"";
    for (more, reason, cleans) in [
        ("", Some("it has no `undo`"), false),
        ("\nundo = \"return 1\"", None, false),
        ("\nundo = \"return 1\"\ncleanup = \"return {}\"", None, true),
    ] {
        let text = format!("scope = \"a:<b..>\"\n[[step]]\n{script}{more}");
        let declaration = parse(&text).unwrap();
        assert_eq!(declaration.operations(), ["script over a:<b> (hash)"]);
        assert_eq!(declaration.has_cleanup(), cleans);
        match reason {
            Some(reason) => assert!(declaration.irreversible().unwrap().contains(reason)),
            None => assert_eq!(declaration.irreversible(), None),
        }
    }
}
