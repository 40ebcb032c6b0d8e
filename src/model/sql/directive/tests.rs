#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Directives, DirectiveError> {
    Directives::parse("f.up.sql", text)
}

#[test]
fn every_directive_is_read() {
    let text = "\u{feff}-- What this does\r\n\r\n/* a /* nested */ comment */\n\
        -- outpost: requires = [\"redis/0001_hash_tags\", \"sql/0001_init\"]\n\
        --outpost:root=true\n  -- outpost: transaction = false # why\n\
        -- outpost: lock_timeout = \"500ms\"\n-- outpost: statement_timeout = \"0\"\n\
        -- outpost: vars = true\n-- outpost: data_loss = 'all of it'\n\
        -- outpost: description = \"adds -- a table\"\n-- outpost: parse = false\nselect 1;";
    let directives = parse(text).unwrap();
    assert_eq!(
        directives.requires,
        ["redis/0001_hash_tags", "sql/0001_init"]
    );
    assert!(directives.root && directives.vars);
    assert!(!directives.transaction && !directives.parse);
    assert_eq!(directives.lock_timeout, Some(Duration::from_millis(500)));
    assert_eq!(directives.statement_timeout, Some(Duration::ZERO));
    assert_eq!(directives.data_loss.as_deref(), Some("all of it"));
    assert_eq!(directives.description.as_deref(), Some("adds -- a table"));
    assert_eq!(directives.allow, []);
    assert_eq!(directives.lines["requires"], 4);
    assert_eq!(directives.lines["parse"], 12);
}

#[test]
fn allow_alone_may_be_repeated() {
    let text =
        "-- outpost: allow = { a = \"x\", \"b-c\" = \"y\" }\n-- outpost: allow = { a = \"z\" }";
    let allow = parse(text).unwrap().allow;
    let read: Vec<(&str, &str, usize)> = allow
        .iter()
        .map(|allow| (&*allow.rule, &*allow.reason, allow.line))
        .collect();
    assert_eq!(read, [("a", "x", 1), ("b-c", "y", 1), ("a", "z", 2)]);
}

#[test]
fn files_without_directives_get_the_defaults() {
    for text in [
        "",
        "\n",
        "select 1",
        "-- outpost is great",
        "-- Outpost: a table",
        "/* -- outpost: x */",
        "-- outposts: x",
    ] {
        assert_eq!(parse(text), Ok(Directives::default()), "{text}");
    }
}

#[test]
fn what_cannot_be_followed_is_an_error_with_its_line() {
    for (text, expected) in [
        (
            "\n-- outpost: transactoin = false",
            "f.up.sql:2: there is no directive `transactoin`; did you mean `transaction`?",
        ),
        (
            "-- outpost: zzzzzzzz = 1",
            "f.up.sql:1: there is no directive `zzzzzzzz`",
        ),
        (
            "-- outpost: root = true\n\n-- outpost: root = true",
            "f.up.sql:3: directive `root` was already given on line 1",
        ),
        (
            "-- outpost: transaction = \"false\"",
            "takes true or false, found string",
        ),
        (
            "-- outpost: requires = \"a\"",
            "takes an array of strings, found string",
        ),
        (
            "-- outpost: requires = [1]",
            "takes an array of strings, found integer",
        ),
        (
            "-- outpost: lock_timeout = 5",
            "takes a string such as \"2s\", found integer",
        ),
        (
            "-- outpost: lock_timeout = \"5\"",
            "directive `lock_timeout`: `5` has no unit",
        ),
        (
            "-- outpost: description = true",
            "takes a string, found boolean",
        ),
        (
            "-- outpost: creates a table",
            "f.up.sql:1: a directive is one `key = value` in TOML",
        ),
        (
            "-- outpost: allow = [\"a-rule\"]",
            "takes a table of rules and reasons, such as { \"rule\" = \"why\" }, found array",
        ),
        ("-- outpost: allow = { a-rule = 1 }", "found integer"),
        ("-- outpost:", "there is no `key = value`"),
        (
            "-- outpost: root = true, vars = true",
            "f.up.sql:1: a directive is one",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), near in "(-- outpost: [a-z=\\[\\]\"' .{}#é]{0,12}\n|/\\*|\\*/|[ \r\n;]){0,6}") {
        let _ = parse(&text);
        let _ = parse(&near);
    }
}
