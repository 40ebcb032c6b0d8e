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
            "scope = \"a:<b..>\"\n[[step]]\nscript = \"x.lua\"",
            3,
            "`script` is not supported",
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
            "copies to keys that step 1 works on",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\n[[step]]\ndelete = \"c:<x>\"",
            "copies to keys that step 2 works on",
        ),
        (
            "scope = \"<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"",
            "that nothing accounts for, such as c:",
        ),
        (
            "scope = \"a:<b..>\"\n[[step]]\ncopy = \"a:<b>\"\nto = \"c:<b>\"\n[[step]]\ncopy = \"a:x:<b>\"\nto = \"c:<b>\"",
            "both copy to keys such as c:",
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
