use super::*;

#[test]
fn errors_say_the_column_and_the_kind() {
    use PatternErrorKind as Kind;
    let name = |name: &str| Kind::InvalidName {
        name: name.to_owned(),
    };
    let cases = [
        ("", 1, Kind::Empty),
        ("é:<id", 3, Kind::UnclosedCapture),
        ("a<b<c>", 2, Kind::UnclosedCapture),
        ("a>b", 2, Kind::StrayClose),
        ("a<>", 2, name("")),
        ("a<..>", 2, name("..")),
        ("<1a>", 1, name("1a")),
        ("<a b>", 1, name("a b")),
        ("<a...>", 1, name("a...")),
        (
            "x<a><b..>",
            5,
            Kind::AdjacentCaptures {
                first: "a".into(),
                second: "b".into(),
            },
        ),
        ("a{<id>", 2, Kind::UnclosedBrace),
        ("a}{", 2, Kind::StrayBrace),
        ("a${b", 2, Kind::UnclosedVariable),
        (
            "${}",
            1,
            Kind::InvalidVariable {
                name: String::new(),
            },
        ),
        ("ab${c}", 3, Kind::UnknownVariable { name: "c".into() }),
    ];
    for (text, column, kind) in cases {
        let error = Pattern::parse(text).unwrap_err();
        assert_eq!((error.column, &error.kind), (column, &kind), "{text}");
        assert_eq!(error.text, text);
        assert!(
            error.to_string().contains(&format!("column {column}")),
            "{error}"
        );
    }
    let long = Pattern::parse(&"k".repeat(MAX_BYTES + 1)).unwrap_err();
    assert_eq!(
        long.kind,
        Kind::TooLong {
            bytes: MAX_BYTES + 1,
            limit: MAX_BYTES
        }
    );
    let many = Pattern::parse(&"<a>:".repeat(MAX_CAPTURES + 1)).unwrap_err();
    assert_eq!(
        many.kind,
        Kind::TooManyCaptures {
            limit: MAX_CAPTURES
        }
    );
}

#[test]
fn variables_are_literal_whatever_they_hold() {
    let hostile = |name: &str| match name {
        "prefix" => Some("<id>{*${x}".to_owned()),
        "open" => Some("{".to_owned()),
        "close" => Some("}".to_owned()),
        "none" => Some(String::new()),
        _ => None,
    };
    let pattern = Pattern::parse_with("${prefix}:<id>", &hostile).unwrap();
    assert!(pattern.matches(b"<id>{*${x}:1"));
    assert!(!pattern.matches(b"2{*${x}:1"));
    assert_eq!(pattern.to_string(), "${prefix}:<id>");
    assert_eq!(pattern.glob(), b"<id>{\\*${x}:[^:{}]*");
    // Only braces as written make a hash tag.
    let given = Pattern::parse_with("${open}<id>${close}", &hostile).unwrap();
    assert!(given.matches(b"{a}") && !given.matches(b"{a:b}"));
    let error = Pattern::parse_with("<a>${none}<b>", &hostile).unwrap_err();
    assert!(matches!(
        error.kind,
        PatternErrorKind::AdjacentCaptures { .. }
    ));
    let error = Pattern::parse_with("${none}", &hostile).unwrap_err();
    assert_eq!(error.kind, PatternErrorKind::Empty);
    let error = Template::parse_value("<id>${nope}", &hostile).unwrap_err();
    assert_eq!(
        error.kind,
        PatternErrorKind::UnknownVariable {
            name: "nope".into()
        }
    );
    assert_eq!(
        error.hint().unwrap(),
        "define `nope` under [vars] in outpost.toml"
    );
}

#[test]
fn templates_put_captures_in() {
    let source = pattern("tenant:<id>:destination:<dest..>");
    let target = Template::parse_key("tenant:{<id>}:destination:<dest..>", &|_| None).unwrap();
    target.check_against(&source).unwrap();
    let captures = source.captures(b"tenant:a:destination:x:y").unwrap();
    assert_eq!(
        target.expand(&captures).unwrap(),
        b"tenant:{a}:destination:x:y"
    );
    let guard = Template::parse_value("<id><dest>{", &|_| None).unwrap();
    assert_eq!(guard.expand(&captures).unwrap(), b"ax:y{");
    assert_eq!(guard.names().collect::<Vec<_>>(), ["id", "dest"]);
    assert_eq!(
        Template::parse_value("", &|_| None)
            .unwrap()
            .expand(&captures)
            .unwrap(),
        b""
    );
    assert!(Template::parse_key("", &|_| None).is_err());
    assert!(Template::parse_key("a{<id>", &|_| None).is_err());
}

#[test]
fn a_template_names_the_capture_that_the_pattern_lacks() {
    let source = pattern("tenant:<id>:<dest..>");
    let template = Template::parse_key("t:{<idd>}", &|_| None).unwrap();
    let error = template.check_against(&source).unwrap_err();
    let known = vec!["id".to_owned(), "dest".to_owned()];
    assert_eq!(
        error.kind,
        PatternErrorKind::UnknownCapture {
            name: "idd".into(),
            known
        }
    );
    assert_eq!(error.column, 4);
    assert_eq!(error.hint().unwrap(), "did you mean `<id>`?");
    let captures = source.captures(b"tenant:a:").unwrap();
    assert_eq!(template.expand(&captures).unwrap_err(), error);
}
