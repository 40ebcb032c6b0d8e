use super::*;

#[test]
fn conversions_that_make_no_sense_are_errors() {
    let error = Conversion::new(Format::Hex, Format::Int).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hex does not convert to int; from hex there is: base64, text"
    );
    let error = Conversion::new(Format::Rfc3339, Format::Rfc3339).unwrap_err();
    assert!(
        error.to_string().ends_with("there is: unix_s, unix_ms"),
        "{error}"
    );
    let error = Conversion::new(Format::Text, Format::Int).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(r#"{ replace = "…", with = "…" }"#),
        "{error}"
    );
    let edit = Format::Replace {
        replace: "a".into(),
        with: "bab".into(),
    };
    let error = Conversion::new(Format::Text, edit.clone()).unwrap_err();
    assert_eq!(error, ConvertError::Endless { edit });
    for edit in [Format::Prefix(String::new()), Format::Suffix(String::new())] {
        assert_eq!(
            Conversion::new(Format::Text, edit.clone()),
            Err(ConvertError::EmptyEdit { edit })
        );
    }
    assert_eq!(
        "unix_mss".parse::<Format>().unwrap_err().hint().unwrap(),
        "did you mean `unix_ms`?"
    );
}

#[test]
fn declarations_of_formats_are_strict() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Holder {
        f: Format,
    }
    for (declared, error) in [
        (r#""unixms""#, "did you mean `unix_ms`?"),
        (r#"{ prefix = "a", suffix = "b" }"#, "a text edit is one of"),
        (r#"{ replace = "a" }"#, "a text edit is one of"),
        (r#"{}"#, "a text edit is one of"),
        (r#"{ prefx = "a" }"#, "unknown field `prefx`"),
        (r#"{ prefix = "" }"#, "has an empty text"),
        ("3", "the name of a value format"),
    ] {
        let told = toml::from_str::<Holder>(&format!("f = {declared}"))
            .err()
            .unwrap()
            .to_string();
        assert!(told.contains(error), "{declared}: {told}");
    }
    for declared in [
        "rfc3339",
        r#"{ prefix = "a\"b" }"#,
        r#"{ replace = "a", with = "" }"#,
    ] {
        let holder = Holder {
            f: format(declared),
        };
        assert_eq!(holder.f.to_string(), declared);
        let written = serde_json::to_string(&holder).unwrap();
        assert_eq!(
            serde_json::from_str::<Holder>(&written).unwrap().f,
            holder.f
        );
    }
}
