#![allow(clippy::unwrap_used, clippy::expect_used)]

mod declared;
mod forms;
mod members;
mod time;
use super::*;
use proptest::prelude::*;

fn format(declared: &str) -> Format {
    #[derive(serde::Deserialize)]
    struct Holder {
        f: Format,
    }
    let toml = if declared.starts_with('{') {
        format!("f = {declared}")
    } else {
        format!("f = '{declared}'")
    };
    toml::from_str::<Holder>(&toml).unwrap().f
}

fn conversion(from: &str, to: &str) -> Conversion {
    Conversion::new(format(from), format(to)).unwrap()
}

/// `=` for done, the new value, or `!` and the reason.
fn told(conversion: &Conversion, value: &[u8]) -> String {
    match conversion.apply(value) {
        Outcome::Already => "=".to_owned(),
        Outcome::Converted(value) => String::from_utf8(value).unwrap(),
        Outcome::Neither(misfit) => format!("! {misfit}"),
    }
}

fn check(from: &str, to: &str, cases: &[(&str, &str)]) {
    let conversion = conversion(from, to);
    for (value, expected) in cases {
        let told = told(&conversion, value.as_bytes());
        if let Some(start) = expected.strip_prefix("! ") {
            assert!(
                told.starts_with("! ") && told.contains(start),
                "{from} to {to}: {value} gave {told}"
            );
        } else {
            assert_eq!(told, *expected, "{from} to {to}: {value}");
        }
    }
}

const NO_SUCH: &str = "! no such date";

#[test]
fn what_the_way_back_would_change_is_lossy() {
    let ms = conversion("rfc3339", "unix_ms");
    for (value, lossy) in [
        ("2024-01-01T00:00:00Z", false),
        ("2024-01-01T00:00:00.12Z", false),
        ("2024-01-01T00:00:00.120Z", true),
        ("2024-01-01T00:00:00.1234Z", true),
        ("2024-01-01T00:00:00+00:00", true),
        ("2024-01-01T00:00:00-00:00", true),
        ("2024-01-01T00:00:00+01:00", true),
        ("2024-01-01t00:00:00Z", true),
        ("2024-01-01T00:00:00z", true),
        ("2016-12-31T23:59:60Z", true),
        ("1704067200", false),
        ("rubbish", false),
    ] {
        assert_eq!(ms.loses(value.as_bytes()), lossy, "{value}");
    }
    assert!(conversion("unix_ms", "unix_s").loses(b"1704067200123"));
    assert!(!conversion("unix_ms", "unix_s").loses(b"1704067200000"));
    assert!(conversion("hex", "base64").loses(b"CAFE01"));
    assert!(conversion("float", "int").loses(b"42.00"));
    let replace = conversion("text", r#"{ replace = "a", with = "b" }"#);
    assert!(!replace.loses(b"xax") && replace.loses(b"xab"));
    let drop = conversion("text", r#"{ replace = "a", with = "" }"#);
    assert!(drop.reverse().is_none() && drop.loses(b"xax"));
}

fn formats() -> impl Strategy<Value = Format> {
    let named: Vec<Format> = [
        "rfc3339", "unix_s", "unix_ms", "string", "int", "float", "hex", "base64", "text",
    ]
    .iter()
    .map(|name| name.parse().unwrap())
    .collect();
    prop_oneof![
        3 => proptest::sample::select(named),
        1 => "[ab]{1,2}".prop_map(Format::Prefix),
        1 => "[ab]{1,2}".prop_map(Format::Suffix),
        1 => ("[ab]{1,2}", "[ab]{0,2}").prop_map(|(replace, with)| Format::Replace { replace, with }),
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    let dated = "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?([Zz]|[+-][0-2][0-9]:[0-5][0-9])";
    prop_oneof![
        2 => dated.prop_map(String::into_bytes),
        2 => "-?[0-9]{1,21}".prop_map(String::into_bytes),
        1 => "-?[0-9]{1,4}\\.[0-9]{1,4}(e-?[0-9]{1,3})?".prop_map(String::into_bytes),
        1 => "\"-?[0-9]{1,4}(\\.[0-9]{1,3})?\"".prop_map(String::into_bytes),
        1 => "[a-f0-9]{0,12}".prop_map(String::into_bytes),
        1 => "[ab]{1,6}".prop_map(String::into_bytes),
        1 => "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..24),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn u21_a_converted_value_needs_no_more_work(from in formats(), to in formats(), value in values()) {
        if let Ok(conversion) = Conversion::new(from, to) {
            conversion.doubt(&value);
            if let Outcome::Converted(converted) = conversion.apply(&value) {
                prop_assert_eq!(conversion.apply(&converted), Outcome::Already);
                prop_assert_ne!(&converted, &value);
                if !conversion.loses(&value) {
                    let back = conversion.reverse().unwrap().apply(&converted);
                    prop_assert_eq!(back, Outcome::Converted(value));
                }
            } else {
                prop_assert!(!conversion.loses(&value));
            }
        }
    }

    #[test]
    fn every_millisecond_of_rfc3339s_years_goes_there_and_back(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
        let there = conversion("unix_ms", "rfc3339");
        let value = ms.to_string().into_bytes();
        let Outcome::Converted(text) = there.apply(&value) else { panic!() };
        prop_assert!(!there.loses(&value));
        prop_assert_eq!(there.reverse().unwrap().apply(&text), Outcome::Converted(value));
        // An independent reading; the library's own timestamps end a day before the year 9999 does.
        let text = std::str::from_utf8(&text).unwrap();
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            prop_assert_eq!(timestamp.as_millisecond(), ms);
        }
    }

    #[test]
    fn offsets_agree_with_the_library(
        seconds in -60_000_000_000_i64..=250_000_000_000,
        nanos in 0..1_000_000_000_i32,
        minutes in -1439..=1439_i32,
    ) {
        let at = jiff::Timestamp::new(seconds, 0).unwrap();
        let local = jiff::tz::Offset::from_seconds(minutes * 60).unwrap().to_datetime(at);
        let sign = if minutes < 0 { '-' } else { '+' };
        let text = format!("{local}.{nanos:09}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        let expected = (seconds * 1000 + i64::from(nanos) / 1_000_000).to_string();
        prop_assert_eq!(told(&conversion("rfc3339", "unix_ms"), text.as_bytes()), expected);
    }
}
