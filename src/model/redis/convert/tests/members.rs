use super::*;

fn members() -> Members {
    let list = [
        ("name", MemberType::String),
        ("age", MemberType::Int),
        ("rate", MemberType::Float),
        ("on", MemberType::Bool),
        ("tags", MemberType::Json),
    ];
    Members::new(
        list.map(|(name, kind)| (name.to_owned(), kind))
            .into_iter()
            .collect(),
    )
    .unwrap()
}

/// The members' texts, `-` for an absent one; or `!` and the reason.
fn split(object: &[u8]) -> String {
    match members().split(object) {
        Ok(texts) => {
            let text = |text: &Option<Vec<u8>>| match text {
                Some(text) => String::from_utf8(text.clone()).unwrap(),
                None => "-".to_owned(),
            };
            texts.iter().map(text).collect::<Vec<_>>().join("|")
        }
        Err(misfit) => format!("! {misfit}"),
    }
}

#[test]
fn u31_an_object_becomes_the_texts_of_its_members_or_says_why_not() {
    for (object, expected) in [
        (r#"{"name":"a","age":3}"#, "a|3|-|-|-"),
        (r#" { "age" : -9 , "name":"" } "#, "|-9|-|-|-"),
        (r#"{"name":"\u0061\"\n"}"#, "a\"\n|-|-|-|-"),
        (
            r#"{"rate":1.50,"on":true,"tags":[1, {"b":2,"a":2}]}"#,
            r#"-|-|1.50|true|[1, {"b":2,"a":2}]"#,
        ),
        (r#"{"tags":null}"#, "-|-|-|-|null"),
        ("{}", "! it is a JSON object without members"),
        ("[]", "! it is no JSON object"),
        ("", "! it is no JSON object"),
        (r#"{"name":"a"} x"#, "! it is no JSON object"),
        (r#"{"name":"a""#, "! it is no JSON object"),
        (
            r#"{"name":"a","name":"b"}"#,
            "! it has the member name twice",
        ),
        (
            r#"{"name":"a","n\u0061me":"b"}"#,
            "! it has the member name twice",
        ),
        (
            r#"{"other\u0007":1}"#,
            r"! it has a member other\x07, which is not listed",
        ),
        (r#"{"name":null}"#, "! name is not of the type string"),
        (r#"{"name":1}"#, "! name is not of the type string"),
        (r#"{"age":"3"}"#, "! age is not of the type int"),
        (r#"{"age":3.0}"#, "! age is not of the type int"),
        (
            r#"{"age":9223372036854775808}"#,
            "! age is not of the type int",
        ),
        (r#"{"rate":1e999}"#, "! rate is not of the type float"),
        (r#"{"on":1}"#, "! on is not of the type bool"),
    ] {
        let told = split(object.as_bytes());
        assert!(told.starts_with(expected), "{object} gave {told}");
    }
    assert_eq!(split(b"{\"name\":\"\xff\"}"), "! it is no JSON object");
}

#[test]
fn u31_texts_become_one_object_in_the_declared_order_or_say_why_not() {
    for (texts, expected) in [
        (
            ["a\"", "-3", "1.50", "false", "[1, 2]"].map(Some),
            Ok(r#"{"name":"a\"","age":-3,"rate":1.50,"on":false,"tags":[1, 2]}"#),
        ),
        ([None, Some("0"), None, None, None], Ok(r#"{"age":0}"#)),
        ([None, Some("007"), None, None, None], Err("age is not")),
        ([None, Some("-0"), None, None, None], Err("age is not")),
        ([None, Some(""), None, None, None], Err("age is not")),
        ([None, None, Some("NaN"), None, None], Err("rate is not")),
        ([None, None, None, Some("True"), None], Err("on is not")),
        ([None, None, None, None, Some("[1,")], Err("tags is not")),
        ([None, None, None, None, Some(" 1")], Err("tags is not")),
        (
            [None, None, None, None, Some("1,\"x\":2")],
            Err("tags is not"),
        ),
    ] {
        let bytes = texts.map(|text| text.map(|text| text.as_bytes().to_vec()));
        match (members().join(&bytes), expected) {
            (Ok(joined), Ok(expected)) => assert_eq!(String::from_utf8(joined).unwrap(), expected),
            (Err((_, misfit)), Err(said)) => {
                assert!(misfit.to_string().starts_with(said), "{texts:?}: {misfit}")
            }
            (found, _) => panic!("{texts:?}: {found:?}"),
        }
    }
    let broken = [Some(b"\xff".to_vec()), None, None, None, None];
    assert!(members().join(&broken).is_err());
}

proptest! {
    #[test]
    fn what_was_put_together_comes_apart_again(
        name in any::<Option<String>>(),
        age in any::<Option<i64>>(),
        rate in proptest::option::of(proptest::num::f64::NORMAL),
        on in any::<bool>(),
    ) {
        let text = |text: Option<String>| text.map(String::into_bytes);
        let texts = [
            text(name),
            text(age.map(|age| age.to_string())),
            text(rate.map(|rate| serde_json::Value::from(rate).to_string())),
            text(Some(on.to_string())),
            None,
        ];
        let joined = members().join(&texts).unwrap();
        prop_assert_eq!(members().split(&joined).unwrap(), texts.to_vec());
    }
}
