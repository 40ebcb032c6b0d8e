use super::*;

#[test]
fn patterns_that_share_keys_are_found() {
    for (a, b, key) in [
        ("tenant:<id>", "tenant:<id>:destinations", None),
        ("tenant:<id>", "tenant:{<id>}:tenant", None),
        (
            "tenant:<id>:destinations",
            "tenant:<id>:destination:<dest..>",
            None,
        ),
        ("tenant:<id>", "tenant:<rest..>", Some("tenant:a")),
        (
            "tenant:{<id>}:destination:<d..>",
            "tenant:{<id>}:<x>:y",
            Some("tenant:{a}:destination:y"),
        ),
        ("<a..>b", "c<a..>", Some("cb")),
        ("a", "a", Some("a")),
        ("a", "b", None),
        ("{<a>}:<a>", "{<b>}:<c>", Some("{a}:a")),
        ("<a..>", "<b..>", Some("")),
    ] {
        let (a, b) = (pattern(a), pattern(b));
        for example in [overlaps(&a, &b), overlaps(&b, &a)] {
            assert_eq!(example.as_deref(), key.map(str::as_bytes), "{a} and {b}");
        }
    }
}

#[test]
fn patterns_that_leave_the_scope_are_found() {
    for (scope, inner, example) in [
        ("tenant:<rest..>", "tenant:<id>:destination:<d..>", None),
        ("tenant:<rest..>", "tenant:{<id>}:tenant", None),
        ("tenant:<rest..>", "tenan<x>", Some("tenana")),
        ("tenant:<id>", "tenant:<id..>", Some("tenant:")),
        ("{<id>}", "{<id..>}", Some("{}")),
        ("<a..>:<b..>", "<x>:<y>", None),
        ("<a>x<b..>", "<a>xx", None),
        ("<a>", "<a>b<c>", None),
        ("<a>b<c>", "<a>", Some("a")),
    ] {
        let (scope, inner) = (pattern(scope), pattern(inner));
        assert_eq!(
            contains(&scope, &inner),
            example.is_none(),
            "{inner} in {scope}"
        );
        let found = outside(&inner, &scope).map(|key| String::from_utf8(key).unwrap());
        assert_eq!(found.as_deref(), example, "{inner} in {scope}");
    }
}

#[test]
fn several_scopes_count_together() {
    let all = pattern("t:<x..>");
    let halves = [
        pattern("t:"),
        pattern("t:<a>"),
        pattern("t:<a..>:<b..>"),
        pattern("t:<a..>{<b..>}<c..>"),
    ];
    let halves: Vec<&Pattern> = halves.iter().collect();
    assert_eq!(inclusion(&all, &[]), Inclusion::Outside(b"t:".to_vec()));
    let Inclusion::Outside(key) = inclusion(&all, &halves) else {
        panic!()
    };
    assert!(all.matches(&key) && halves.iter().all(|half| !half.matches(&key)));
    assert_eq!(inclusion(&pattern("t:<q>:"), &halves), Inclusion::Inside);
}

#[test]
fn a_capture_used_twice_is_never_a_proof() {
    let twice = pattern("<a>:<a>");
    assert_eq!(
        inclusion(&pattern("<a>:<b>"), &[&twice]),
        Inclusion::Unknown
    );
    assert!(contains(&pattern("<a>:<b>"), &twice));
    assert!(!contains(&twice, &twice));
}

#[test]
fn relations_end_quickly_on_hostile_patterns() {
    let texts = [
        "<a..>x".repeat(5) + &"x".repeat(200),
        (0..MAX_CAPTURES)
            .map(|n| format!("<a{n}>x"))
            .collect::<String>()
            + &"xy".repeat(100),
        (0..MAX_CAPTURES)
            .map(|n| format!("<a{n}..>:{{<b>}}").replace("<b>", "q"))
            .collect(),
        "ab".repeat(100) + "<z..>",
        "<z..>".to_owned() + &"ab".repeat(500),
    ];
    let patterns: Vec<Pattern> = texts.iter().map(|text| pattern(text)).collect();
    for a in &patterns {
        for b in &patterns {
            if let Some(key) = overlaps(a, b) {
                assert!(a.matches(&key) && b.matches(&key));
            }
            if let Inclusion::Outside(key) = inclusion(a, &[b]) {
                assert!(a.matches(&key) && !b.matches(&key));
            }
        }
    }
}
