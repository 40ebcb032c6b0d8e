use super::*;

#[test]
fn numbers_are_moved_digit_by_digit() {
    check(
        "string",
        "int",
        &[
            (r#""42""#, "42"),
            (r#""-7""#, "-7"),
            (r#""\u0034""#, "4"),
            ("42", "="),
            (r#""042""#, "! neither"),
            (r#"" 42""#, "! neither"),
            (r#""4.0""#, "! neither"),
            (r#""9223372036854775808""#, "! range of int"),
            ("9223372036854775808", "! range of int"),
            ("-9223372036854775808", "="),
            ("4.0", "! neither"),
            ("abc", "! neither"),
            ("\"", "! neither"),
            ("\"a\"b\"", "! neither"),
            (r#""""#, "! neither"),
        ],
    );
    check(
        "int",
        "string",
        &[
            ("42", r#""42""#),
            (r#""x""#, "="),
            ("4.2", "! neither"),
            ("99999999999999999999", "! range"),
        ],
    );
    check(
        "string",
        "float",
        &[
            (r#""4.20""#, "4.20"),
            (r#""42""#, "42"),
            ("42", "="),
            ("1e5", "="),
            (r#""1e999""#, "! neither"),
            (r#""NaN""#, "! neither"),
        ],
    );
    check(
        "float",
        "string",
        &[
            ("4.20", r#""4.20""#),
            ("42", r#""42""#),
            (r#""a""#, "="),
            ("inf", "! neither"),
        ],
    );
    check(
        "int",
        "float",
        &[
            ("42", "42.0"),
            ("9007199254740993", "9007199254740993.0"),
            ("42.5", "="),
            ("4e1", "="),
        ],
    );
    check(
        "float",
        "int",
        &[
            ("42.0", "42"),
            ("-0.0", "0"),
            ("4.2e1", "42"),
            ("420.0e-1", "42"),
            ("1E+3", "1000"),
            ("0e99999999999999999999", "0"),
            ("9223372036854775807.0", "9223372036854775807"),
            ("9223372036854775808.0", "! range of int"),
            ("1e300", "! range of int"),
            ("1e999", "! neither"),
            ("4.5", "! fraction"),
            ("1e-99999999999999999999", "! fraction"),
            ("00.5", "! neither"),
            (".5", "! neither"),
            ("5.", "! neither"),
            ("1e", "! neither"),
            ("1e--1", "! neither"),
            ("1e+-1", "! neither"),
            ("42", "="),
        ],
    );
}

#[test]
fn encodings_are_told_apart() {
    check(
        "hex",
        "base64",
        &[
            ("68690a", "aGkK"),
            ("aGkK", "="),
            ("zz", "! neither"),
            ("69b71d", "! could not be told"),
        ],
    );
    check(
        "base64",
        "hex",
        &[
            ("aGkK", "68690a"),
            ("cafe", "="),
            ("aGkK=", "! neither"),
            ("aGk", "! neither"),
        ],
    );
    check(
        "text",
        "hex",
        &[
            ("hi", "6869"),
            ("6869", "="),
            ("cafe", "63616665"),
            ("a\u{1}", "! neither"),
        ],
    );
    check(
        "hex",
        "text",
        &[
            ("6869", "hi"),
            ("hi", "="),
            ("36383639", "! could not be told"),
            ("cafe", "="),
        ],
    );
    check(
        "text",
        "base64",
        &[("hi\n", "aGkK"), ("aGkK", "="), ("test", "dGVzdA==")],
    );
    check("base64", "text", &[("dGVzdA==", "test"), ("aGkK", "hi\n")]);
    assert!(conversion("hex", "text").doubt(b"cafe").is_some());
    assert!(conversion("hex", "text").doubt(b"6869").is_none());
    assert_eq!(
        told(&conversion("text", "hex"), b"\xff"),
        "! it is neither text nor hex"
    );
}

#[test]
fn text_edits_are_done_once() {
    let (x, y) = (r#"{ prefix = "x_" }"#, r#"{ prefix = "x_y_" }"#);
    check(
        "text",
        x,
        &[
            ("a", "x_a"),
            ("x_a", "="),
            ("", "! empty"),
            ("a\0", "! neither"),
        ],
    );
    check(
        x,
        "text",
        &[
            ("x_a", "a"),
            ("a", "="),
            ("x_x_a", "! could not be told"),
            ("x_", "! could not be told"),
        ],
    );
    check(
        x,
        y,
        &[("x_a", "x_y_a"), ("x_y_a", "="), ("a", "! neither")],
    );
    check(
        y,
        x,
        &[
            ("x_y_a", "x_a"),
            ("x_a", "="),
            ("x_y_y_a", "! could not be told"),
        ],
    );
    check(
        "text",
        r#"{ suffix = ".v2" }"#,
        &[("a", "a.v2"), ("a.v2", "=")],
    );
    check(
        r#"{ suffix = ".v1" }"#,
        r#"{ suffix = ".v2" }"#,
        &[("a.v1", "a.v2"), ("a.v2", "="), ("a", "! neither")],
    );
    check(
        "text",
        r#"{ replace = "ab", with = "" }"#,
        &[
            ("xaby", "xy"),
            ("xy", "="),
            ("aabb", "! could not be told"),
            ("ab", "! could not be told"),
        ],
    );
    check(
        "text",
        r#"{ replace = "http://", with = "https://" }"#,
        &[("http://a http://b", "https://a https://b")],
    );
}
