#![allow(clippy::unwrap_used, clippy::expect_used)]

mod declared;
mod relations;
use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn found(text: &str, key: &str) -> Option<Vec<(String, String)>> {
    let pattern = pattern(text);
    let captures = pattern.captures(key.as_bytes())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Some(
        captures
            .iter()
            .map(|(name, bytes)| (name.to_owned(), text(bytes)))
            .collect(),
    )
}

#[test]
fn keys_are_matched_whole_with_declared_captures() {
    type Case = (
        &'static str,
        &'static str,
        Option<&'static [(&'static str, &'static str)]>,
    );
    let cases: &[Case] = &[
        ("tenant:<id>", "tenant:a", Some(&[("id", "a")])),
        ("tenant:<id>", "tenant:", None),
        ("tenant:<id>", "tenant:a:b", None),
        ("tenant:<id>", "tenant:{a}", None),
        ("tenant:<id>", "xtenant:a", None),
        (
            "tenant:{<id>}:tenant",
            "tenant:{a:b}:tenant",
            Some(&[("id", "a:b")]),
        ),
        ("tenant:{<id>}:tenant", "tenant:{}:tenant", None),
        ("tenant:{<id>}:tenant", "tenant:{a}b}:tenant", None),
        ("{x<id>}", "{xa:b}", None),
        ("{<id>x}", "{a:bx}", None),
        ("<all..>", "", Some(&[("all", "")])),
        ("<all..>", "a:{b}:\n", Some(&[("all", "a:{b}:\n")])),
        (
            "tenant:<id>:destination:<d..>",
            "tenant:a:destination:",
            Some(&[("id", "a"), ("d", "")]),
        ),
        (
            "tenant:<id>:destination:<d..>",
            "tenant:a:destination:b:c",
            Some(&[("id", "a"), ("d", "b:c")]),
        ),
        ("a*?[b]\\<x>", "a*?[b]\\1", Some(&[("x", "1")])),
        ("a*", "ab", None),
        // The shortest that lets the whole match.
        ("<a..>:<b..>", "1:2:3", Some(&[("a", "1"), ("b", "2:3")])),
        ("<a..>:<b>", "1:2:3", Some(&[("a", "1:2"), ("b", "3")])),
        (
            "<a..>:x<b>:<c>",
            ":xa:b:xc:d",
            Some(&[("a", ":xa:b"), ("b", "c"), ("c", "d")]),
        ),
        ("<a>x<b>x", "axbxx", Some(&[("a", "a"), ("b", "bx")])),
        ("<a>--<b>", "a----", Some(&[("a", "a"), ("b", "--")])),
        ("<a>ab", "abab", Some(&[("a", "ab")])),
        // Twice means equal.
        ("<a>:<a>", "x:x", Some(&[("a", "x")])),
        ("<a>:<a>", "x:y", None),
        ("<a>:<a>", "x:xx", None),
        ("<a..>-<a..>", "a-b-a-b", Some(&[("a", "a-b")])),
        ("<a..>-<a..>", "-", Some(&[("a", "")])),
        ("<a..>-<a..>", "a-b-a", None),
        ("{<a>}<x..>:<a>", "{b:c}::b", None),
        (
            "<a..>:<b..>:<a..>",
            "1:2:3:1:2",
            Some(&[("a", "1:2"), ("b", "3")]),
        ),
        (
            "<x..>=<a>=<y..>=<a>",
            "=b=c=d=c",
            Some(&[("x", "=b"), ("a", "c"), ("y", "d")]),
        ),
    ];
    for (text, key, expected) in cases {
        let expected = expected.map(|pairs| {
            pairs
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), (*bytes).to_owned()))
                .collect::<Vec<_>>()
        });
        assert_eq!(found(text, key), expected, "{text} on {key}");
    }
}

#[test]
fn u33_ids_that_contain_a_suffix_are_not_matched() {
    assert!(!pattern("tenant:<id>").matches(b"tenant:a:destinations"));
    assert!(!pattern("tenant:<id>").matches(b"tenant:a:tenant"));
    assert!(!pattern("tenant:<id>:destinations").matches(b"tenant:x:destinations:destination:d"));
    assert!(!pattern("tenant:<id>:destinations").matches(b"tenant:a:destinations:destinations"));
}

#[test]
fn u22_an_id_with_a_colon_is_matched_in_a_hash_tag_only() {
    assert!(!pattern("tenant:<id>:destinations").matches(b"tenant:a:b:destinations"));
    assert!(pattern("tenant:{<id>}:destinations").matches(b"tenant:{a:b}:destinations"));
}

#[test]
fn keys_are_bytes() {
    let pattern = pattern("k:<id>");
    let captures = pattern.captures(b"k:\xff\x00").unwrap();
    assert_eq!(captures.get("id"), Some(&b"\xff\x00"[..]));
    assert_eq!(captures.get("other"), None);
}

#[test]
fn globs_cover_and_stay_narrow() {
    for (text, glob) in [
        ("tenant:<id>", "tenant:[^:{}]*"),
        ("tenant:{<id>}:tenant", "tenant:{[^{}]*}:tenant"),
        ("tenant:<rest..>", "tenant:*"),
        ("a*?[^-]\\", "a\\*\\?\\[^-]\\\\"),
    ] {
        assert_eq!(String::from_utf8(pattern(text).glob()).unwrap(), glob);
    }
    assert!(!globbed(
        &pattern("tenant:<id>").glob(),
        b"tenant:{a}:tenant"
    ));
}

#[test]
fn matching_ends_quickly_on_hostile_keys() {
    let key = vec![b'x'; 100_000];
    let open = pattern("<a..>x<b..>x<c..>x<d..>x<e..>y<f..>");
    assert!(!open.matches(&key));
    let mut almost = key.clone();
    almost.push(b'y');
    assert!(open.matches(&almost));
    // Past its bound a pattern with two open captures used twice gives a no.
    assert!(!pattern("<a..>x<b..>x<a..>y<b..>x<c..>x").matches(&key));
    assert!(!pattern("<a..>x<b..>x<a..>x<b..>z<c..>x").matches(&almost));
}

/// The first match in the order of capture lengths, by trying everything.
fn tried(parts: &[Part], key: &[u8], spans: &mut Vec<Option<Vec<u8>>>) -> bool {
    match parts.split_first() {
        None => key.is_empty(),
        Some((Part::Literal(bytes), rest)) => key
            .strip_prefix(bytes.as_slice())
            .is_some_and(|key| tried(rest, key, spans)),
        Some((Part::Capture { slot, class }, rest)) => {
            for end in class.shortest()..=key.len() {
                let (own, after) = key.split_at(end);
                let before = spans[*slot].clone();
                if !own.iter().all(|byte| class.admits(*byte))
                    || before.as_deref().is_some_and(|old| old != own)
                {
                    continue;
                }
                spans[*slot] = Some(own.to_vec());
                if tried(rest, after, spans) {
                    return true;
                }
                spans[*slot] = before;
            }
            false
        }
    }
}

/// Redis' rules for a glob, read from its documentation: `*`, `?`, `[...]`, `[^...]`, `\`.
fn globbed(glob: &[u8], key: &[u8]) -> bool {
    match (glob, key) {
        ([], _) => key.is_empty(),
        ([b'*', rest @ ..], _) => (0..=key.len()).any(|skip| globbed(rest, &key[skip..])),
        (_, []) => false,
        ([b'?', rest @ ..], [_, key @ ..]) => globbed(rest, key),
        ([b'\\', own, rest @ ..], [byte, key @ ..]) => own == byte && globbed(rest, key),
        ([b'[', class @ ..], [byte, key @ ..]) => {
            let close = class.iter().position(|byte| *byte == b']').unwrap();
            let (set, rest) = (&class[..close], &class[close + 1..]);
            let hit = match set {
                [b'^', set @ ..] => !set.contains(byte),
                set => set.contains(byte),
            };
            hit && globbed(rest, key)
        }
        ([own, rest @ ..], [byte, key @ ..]) => own == byte && globbed(rest, key),
    }
}

fn texts() -> impl Strategy<Value = String> {
    let capture = prop_oneof![
        3 => prop_oneof![Just("<a>"), Just("<b>"), Just("<c>")],
        2 => prop_oneof![Just("<a..>"), Just("<b..>"), Just("<d..>")],
        1 => prop_oneof![Just("{<a>}"), Just("{<e>}"), Just("{<f..>}")],
    ];
    let literal = "[x:*?\\[\\\\y]{1,2}";
    proptest::collection::vec((capture, literal), 0..4).prop_flat_map(move |pairs| {
        let text: String = pairs
            .iter()
            .flat_map(|(capture, literal)| [*capture, literal.as_str()])
            .collect();
        (Just(text), "[x:*]{0,2}", proptest::option::of(Just("<z>")))
            .prop_map(|(text, head, tail)| head + &text + tail.unwrap_or_default())
            .prop_filter("not empty", |text| !text.is_empty())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_match_is_the_shortest_from_the_left(text in texts(), key in "[x:*?\\[\\\\y{}]{0,9}") {
        let pattern = pattern(&text);
        let mut spans = vec![None; pattern.names.len()];
        let expected = tried(&pattern.parts, key.as_bytes(), &mut spans).then_some(spans);
        let found = pattern.captures(key.as_bytes()).map(|captures| {
            pattern.names.iter().map(|name| captures.get(name).map(<[u8]>::to_vec)).collect::<Vec<_>>()
        });
        prop_assert_eq!(&found, &expected);
        if found.is_some() {
            prop_assert!(globbed(&pattern.glob(), key.as_bytes()));
        }
    }

    #[test]
    fn the_glob_covers_every_key_of_the_pattern(
        text in texts(),
        values in proptest::collection::vec("[a-c*?\\[\\\\^\\]é-]{1,4}", 6),
    ) {
        let pattern = pattern(&text);
        let mut key = Vec::new();
        for part in &pattern.parts {
            match part {
                Part::Literal(bytes) => key.extend(bytes),
                Part::Capture { slot, .. } => key.extend(values[*slot].as_bytes()),
            }
        }
        prop_assert!(pattern.matches(&key));
        prop_assert!(globbed(&pattern.glob(), &key));
    }

    #[test]
    fn relations_agree_with_keys(a in texts(), b in texts(), key in "[x:y{}]{0,6}") {
        let (a, b) = (pattern(&a), pattern(&b));
        let (in_a, in_b) = (a.matches(key.as_bytes()), b.matches(key.as_bytes()));
        match overlaps(&a, &b) {
            Some(key) => prop_assert!(a.matches(&key) && b.matches(&key)),
            None => prop_assert!(a.repeats_a_capture() || b.repeats_a_capture() || !(in_a && in_b)),
        }
        match inclusion(&a, &[&b]) {
            Inclusion::Inside => prop_assert!(!in_a || in_b),
            Inclusion::Outside(key) => prop_assert!(a.matches(&key) && !b.matches(&key)),
            Inclusion::Unknown => prop_assert!(a.repeats_a_capture() || b.repeats_a_capture()),
        }
    }

    #[test]
    fn parsing_never_panics(text in "[<>{}$.:a1é* ]{0,24}", any in any::<String>()) {
        for text in [&text, &any] {
            let vars = |name: &str| (name == "a").then(|| "{<".to_owned());
            if let Ok(pattern) = Pattern::parse_with(text, &vars) {
                prop_assert_eq!(pattern.source(), text.as_str());
                pattern.matches(text.as_bytes());
            }
            let _ = Template::parse_key(text, &vars);
            let _ = Template::parse_value(text, &vars);
        }
    }
}
