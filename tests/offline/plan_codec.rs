//! Plan files: what is written comes back, and nothing else is ever read as a plan.

use outpost::model::codec::{CodecError, FORMAT, MAGIC, MAX_PAYLOAD};
use outpost::model::plan::{Evidence, Plan, StepEvidence};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::folder::{self, Project, State};

/// Frame and trailer of a payload, as `docs/plan-format.md` has them.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    bytes.extend_from_slice(payload);
    let trailer = Sha256::digest(&bytes);
    bytes.extend_from_slice(&trailer);
    bytes
}

/// A CBOR item's head: major type and argument, in the shortest form.
fn head(major: u8, argument: u64) -> Vec<u8> {
    let major = major << 5;
    match argument {
        0..24 => vec![major | argument as u8],
        24..0x100 => vec![major | 24, argument as u8],
        0x100..0x1_0000 => [&[major | 25], (argument as u16).to_be_bytes().as_slice()].concat(),
        0x1_0000..0x1_0000_0000 => {
            [&[major | 26], (argument as u32).to_be_bytes().as_slice()].concat()
        }
        _ => [&[major | 27], argument.to_be_bytes().as_slice()].concat(),
    }
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

fn payload(decision: &[u8], evidence: &[u8]) -> Vec<u8> {
    [head(4, 2), byte_string(decision), byte_string(evidence)].concat()
}

/// The two parts of a plan file, found without any help of the reader under test.
fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut rest = &bytes[MAGIC.len() + 10..bytes.len() - 32];
    assert_eq!(rest[0], 0x82);
    rest = &rest[1..];
    let mut next = || {
        assert_eq!(rest[0] >> 5, 2);
        let (length, skip) = match rest[0] & 31 {
            n @ 0..24 => (usize::from(n), 1),
            24 => (usize::from(rest[1]), 2),
            25 => (usize::from(u16::from_be_bytes([rest[1], rest[2]])), 3),
            _ => panic!("a small plan"),
        };
        let part = rest[skip..skip + length].to_vec();
        rest = &rest[skip + length..];
        part
    };
    let both = (next(), next());
    assert!(rest.is_empty());
    both
}

fn small() -> Plan {
    let project = Project::new("sql/0001_a redis/0001_x<-sql/0001_a");
    let mut plan = folder::sealed(project.plan_latest(&State::empty()).unwrap());
    plan.evidence = Evidence {
        tool: "1.0.0".to_owned(),
        steps: [(folder::id("sql/0001_a"), StepEvidence::default())].into(),
        ..Evidence::default()
    };
    plan
}

fn refused(bytes: &[u8]) -> CodecError {
    Plan::decode(bytes).expect_err("this must be refused")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_shape_of_plan_comes_back(
        decision in crate::plans::decision(),
        evidence in crate::plans::evidence(),
    ) {
        let plan = Plan::new(decision, evidence).unwrap();
        let bytes = plan.encode().unwrap();
        let back = Plan::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &plan);
        prop_assert_eq!(back.encode().unwrap(), bytes);
    }

    #[test]
    fn the_digest_is_of_the_decision_alone(
        decision in crate::plans::decision(),
        one in crate::plans::evidence(),
        other in crate::plans::evidence(),
    ) {
        let one = Plan::new(decision.clone(), one).unwrap();
        let other = Plan::new(decision, other).unwrap();
        prop_assert_eq!(one.digest, other.digest);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Plan::decode(&noise);
        prop_assert!(Plan::decode(&framed(&noise)).is_err());
        prop_assert!(Plan::decode(&framed(&payload(&noise, &noise))).is_err());
    }

    /// Damage that somebody made fit the checksum.
    #[test]
    fn damage_inside_a_right_frame_is_refused_or_another_plan(at in any::<u16>(), bit in 0u8..8) {
        let (decision, evidence) = parts(&small().encode().unwrap());
        let mut damaged = decision.clone();
        let at = usize::from(at) % damaged.len();
        damaged[at] ^= 1 << bit;
        if let Ok(plan) = Plan::decode(&framed(&payload(&damaged, &evidence))) {
            prop_assert_ne!(plan.digest, small().digest);
            prop_assert_ne!(plan.decision, small().decision);
        }
    }
}

#[test]
fn the_digest_is_the_sha256_of_the_decisions_bytes() {
    let plan = small();
    let (decision, _) = parts(&plan.encode().unwrap());
    let expected: [u8; 32] = Sha256::digest(&decision).into();
    assert_eq!(plan.digest.0, expected);
    assert_eq!(plan.digest.hex(), hex::encode(expected));
    assert_eq!(
        Plan::decode(&plan.encode().unwrap()).unwrap().digest.0,
        expected
    );
}

#[test]
fn the_frame_is_the_one_that_is_specified() {
    let bytes = small().encode().unwrap();
    let (decision, evidence) = parts(&bytes);
    assert_eq!(bytes, framed(&payload(&decision, &evidence)));
    assert!(bytes.starts_with(b"OUTPOST PLAN\n\x00\x02"));
}

#[test]
fn every_flipped_bit_is_refused() {
    let whole = small().encode().unwrap();
    assert!(whole.len() > 500, "not a plan of nothing");
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let error = refused(&bytes);
            let header = MAGIC.len() + 10;
            let fits = match at {
                _ if at < MAGIC.len() => error == CodecError::NotAPlan,
                _ if at < MAGIC.len() + 2 => matches!(error, CodecError::UnknownFormat { .. }),
                _ if at < header => matches!(
                    error,
                    CodecError::Truncated { .. }
                        | CodecError::Oversized { .. }
                        | CodecError::TrailingBytes { .. }
                ),
                _ => error == CodecError::Damaged,
            };
            assert!(fits, "byte {at}, bit {bit}: {error}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let whole = small().encode().unwrap();
    assert_eq!(refused(&[]), CodecError::Empty);
    for length in 1..whole.len() {
        let error = refused(&whole[..length]);
        assert!(
            matches!(error, CodecError::Truncated { found, expected }
                if found == length as u64 && expected > found),
            "{length}: {error}"
        );
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let whole = small().encode().unwrap();
    for extra in [1, 2, 32, 4096] {
        let bytes = [whole.clone(), vec![0; extra]].concat();
        assert_eq!(
            refused(&bytes),
            CodecError::TrailingBytes {
                extra: extra as u64
            }
        );
    }
}

#[test]
fn what_is_no_plan_is_refused_with_a_message_that_says_which() {
    let whole = small().encode().unwrap();
    let announcing = |length: u64| {
        let mut bytes = whole.clone();
        bytes[MAGIC.len() + 2..MAGIC.len() + 10].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let mut future = whole.clone();
    future[MAGIC.len()..MAGIC.len() + 2].copy_from_slice(&7u16.to_be_bytes());
    for (bytes, expected) in [
        (b"{\"a\": 1}".to_vec(), CodecError::NotAPlan),
        (b"OUTPOST PLAN\r\n".to_vec(), CodecError::NotAPlan),
        (vec![0; 4096], CodecError::NotAPlan),
        (future, CodecError::UnknownFormat { found: 7 }),
        (
            announcing(MAX_PAYLOAD + 1),
            CodecError::Oversized {
                announced: MAX_PAYLOAD + 1,
            },
        ),
        (
            announcing(u64::MAX),
            CodecError::Oversized {
                announced: u64::MAX,
            },
        ),
    ] {
        let error = refused(&bytes);
        assert_eq!(error, expected);
        assert!(error.hint().is_some());
    }
}

fn malformed(bytes: &[u8]) -> &'static str {
    match refused(bytes) {
        CodecError::Malformed { part, .. } => part,
        other => panic!("{other}"),
    }
}

#[test]
fn a_right_frame_around_anything_but_a_plan_is_refused() {
    let (decision, evidence) = parts(&small().encode().unwrap());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "payload"),
        ("a number", head(0, 7), "payload"),
        (
            "one part",
            [head(4, 1), byte_string(&decision)].concat(),
            "payload",
        ),
        (
            "three parts",
            [
                head(4, 3),
                byte_string(&decision),
                byte_string(&evidence),
                byte_string(&[]),
            ]
            .concat(),
            "payload",
        ),
        (
            "bytes after it",
            [payload(&decision, &evidence), vec![0]].concat(),
            "payload",
        ),
        (
            "an array of unknown length",
            [
                vec![0x9f],
                byte_string(&decision),
                byte_string(&evidence),
                vec![0xff],
            ]
            .concat(),
            "payload",
        ),
        (
            "a length in more bytes than it needs",
            [
                vec![0x82, 0x5b],
                (decision.len() as u64).to_be_bytes().to_vec(),
                decision.clone(),
                byte_string(&evidence),
            ]
            .concat(),
            "payload",
        ),
        ("no decision", payload(&[], &evidence), "decision"),
        ("no evidence", payload(&decision, &[]), "evidence"),
        ("parts exchanged", payload(&evidence, &decision), "decision"),
        (
            "bytes after the decision",
            payload(&[decision.clone(), vec![0]].concat(), &evidence),
            "decision",
        ),
        (
            "bytes after the evidence",
            payload(&decision, &[evidence.clone(), vec![0xf6]].concat()),
            "evidence",
        ),
        (
            "a decision without its last field",
            payload(&decision[..decision.len() - 1], &evidence),
            "decision",
        ),
    ];
    for (name, payload, part) in cases {
        assert_eq!(malformed(&framed(&payload)), part, "{name}");
    }
}

#[test]
fn one_plan_has_one_encoding() {
    let (decision, evidence) = parts(&small().encode().unwrap());
    // The map that the decision is, with its length in one byte more.
    assert_eq!(decision[0] >> 5, 5);
    let longer = [vec![5 << 5 | 24, decision[0] & 31], decision[1..].to_vec()].concat();
    assert_eq!(malformed(&framed(&payload(&longer, &evidence))), "decision");
    // And of unknown length.
    let open = [vec![0xbf], decision[1..].to_vec(), vec![0xff]].concat();
    assert_eq!(malformed(&framed(&payload(&open, &evidence))), "decision");
    // A field that no version has.
    let more = [
        head(5, u64::from(decision[0] & 31) + 1),
        decision[1..].to_vec(),
        [head(3, 4), b"more".to_vec(), vec![0xf6]].concat(),
    ]
    .concat();
    assert_eq!(malformed(&framed(&payload(&more, &evidence))), "decision");
}

/// Whatever is announced and however deep it is nested: refused, with the stack and the memory of a test.
#[test]
fn hostile_payloads_are_refused() {
    let (decision, evidence) = parts(&small().encode().unwrap());
    // "steps" and whatever comes after it is replaced: the reader is inside of known types by then.
    let key = [head(3, 5), b"steps".to_vec()].concat();
    let at = decision
        .windows(key.len())
        .position(|w| w == key)
        .expect("a decision has steps")
        + key.len();
    let inside = |value: Vec<u8>| [decision[..at].to_vec(), value].concat();
    let depth = 1_000_000;
    let action = [
        head(4, 1),
        head(5, 2),
        [
            head(3, 2),
            b"id".to_vec(),
            head(3, 10),
            b"sql/0001_a".to_vec(),
        ]
        .concat(),
        [head(3, 6), b"action".to_vec()].concat(),
    ]
    .concat();
    let nested = |open: Vec<u8>| [action.clone(), open.repeat(depth)].concat();
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("deep arrays", [0x81].repeat(depth)),
        ("deep maps", [0xa1, 0x61, b'a'].repeat(depth)),
        ("deep tags", [0xc1].repeat(depth)),
        ("deep arrays of unknown length", [0x9f].repeat(depth)),
        ("a huge array", head(4, u64::MAX)),
        ("a huge map", head(5, u64::MAX)),
        ("a huge text", head(3, u64::MAX)),
        ("a huge byte string", head(2, u64::MAX - 1)),
        ("a huge array of steps", inside(head(4, 1 << 40))),
        ("deep arrays in an action", inside(nested(vec![0x81]))),
        (
            "deep maps in an action",
            inside(nested(vec![0xa1, 0x61, b'a'])),
        ),
        (
            "a huge map in an action",
            inside([action.clone(), head(5, u64::MAX)].concat()),
        ),
        (
            "a huge text in an action",
            inside([action.clone(), head(5, 1), head(3, u64::MAX)].concat()),
        ),
    ];
    for (name, bytes) in hostile {
        let error = refused(&framed(&bytes));
        assert!(
            matches!(error, CodecError::Malformed { .. }),
            "{name}: {error}"
        );
        let error = refused(&framed(&payload(&bytes, &evidence)));
        assert!(
            matches!(
                error,
                CodecError::Malformed {
                    part: "decision",
                    ..
                }
            ),
            "{name}: {error}"
        );
        let error = refused(&framed(&payload(&decision, &bytes)));
        assert!(
            matches!(
                error,
                CodecError::Malformed {
                    part: "evidence",
                    ..
                }
            ),
            "{name}: {error}"
        );
    }
}
