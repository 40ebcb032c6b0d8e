#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ssh_key::private::Ed25519Keypair;
use ssh_key::public::{DsaPublicKey, RsaPublicKey};
use ssh_key::{Algorithm, LineEnding, Mpint, PrivateKey, Signature};

use super::*;
use crate::model::secret::Secret;

const PLAN: &[u8] = b"the bytes of a plan";

/// 2026-11-28, noon, in UTC.
fn noon() -> Zoned {
    "2026-11-28T12:00:00Z[UTC]".parse().unwrap()
}

fn private(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn public(seed: u8) -> String {
    private(seed).public_key().to_openssh().unwrap()
}

fn pem(key: &PrivateKey) -> String {
    key.to_openssh(LineEnding::LF).unwrap().to_string()
}

fn signature(seed: u8, namespace: &str, bytes: &[u8]) -> String {
    let signed = private(seed).sign(namespace, HashAlg::Sha512, bytes);
    signed.unwrap().to_pem(LineEnding::LF).unwrap()
}

fn list(text: &str) -> Result<AllowedSigners, AllowedSignersError> {
    AllowedSigners::parse("allowed", text, &TimeZone::UTC)
}

fn judged(signature: &str, allowed: &str) -> Judgement {
    let allowed = list(allowed).unwrap();
    judge(PLAN, Some(signature.as_bytes()), Some(&allowed), &noon())
}

#[test]
fn a_plan_is_signed_by_whom_the_list_names() {
    let key = SigningKey::parse(pem(&private(1)).as_bytes()).unwrap();
    let signed = key.sign(PLAN).unwrap();
    let signer = judged(
        &signed.text,
        &format!(
            "# who may sign\n\nbob@example.com {}\nalice@example.com,ops {} a comment\n",
            public(2),
            public(1)
        ),
    )
    .unwrap();
    assert_eq!(signer.principals, "alice@example.com,ops");
    assert_eq!(signer.key, signed.key);
    assert_eq!(
        signer.to_string(),
        format!(
            "alice@example.com,ops (ssh-ed25519 {})",
            private(1).fingerprint(HashAlg::Sha256)
        )
    );
}

#[test]
fn the_options_of_a_line_decide_whether_its_key_counts() {
    let signature = signature(1, NAMESPACE, PLAN);
    for (options, expected) in [
        (r#"namespaces="outpost-plan""#, Ok(())),
        (r#"NAMESPACES="git,outpost-*""#, Ok(())),
        (r#"namespaces="git, outpost-pla?""#, Ok(())),
        (r#"namespaces="*""#, Ok(())),
        (r#"namespaces="git""#, Err("for \"git\" only")),
        (r#"namespaces="outpost""#, Err("for \"outpost\" only")),
        (
            r#"namespaces="*an,!outpost*""#,
            Err("for \"*an,!outpost*\" only"),
        ),
        (r#"valid-after="20261128""#, Ok(())),
        (r#"valid-after="202611281200Z""#, Ok(())),
        (
            r#"valid-after="20261128120001""#,
            Err("not valid before 2026-11-28T12:00:01Z (allowed:1)"),
        ),
        (r#"valid-before="20261129""#, Ok(())),
        (r#"valid-before="20261128120000utc""#, Ok(())),
        (
            r#"valid-before="202611281159""#,
            Err("valid until 2026-11-28T11:59:00Z (allowed:1)"),
        ),
        (
            r#"namespaces="outpost-plan",valid-after="20260101",valid-before="20270101Z""#,
            Ok(()),
        ),
    ] {
        let found = judged(&signature, &format!("alice {options} {}", public(1)));
        match (found, expected) {
            (Ok(signer), Ok(())) => assert_eq!(signer.principals, "alice"),
            (Err(refusal), Err(words)) => {
                assert!(refusal.to_string().contains(words), "{options}: {refusal}");
            }
            (found, _) => panic!("{options}: {found:?}"),
        }
    }
}

#[test]
fn times_without_a_zone_are_those_of_the_place() {
    let signature = signature(1, NAMESPACE, PLAN);
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    let text = format!("alice valid-before=\"202611281300\" {}", public(1));
    let allowed = AllowedSigners::parse("allowed", &text, &zone).unwrap();
    let found = judge(PLAN, Some(signature.as_bytes()), Some(&allowed), &noon());
    assert!(
        matches!(&found, Err(Refusal::Expired { until, .. }) if until == "2026-11-28T11:00:00Z")
    );
}

#[test]
fn one_of_several_lines_with_a_key_is_enough_and_the_first_gives_the_reason() {
    let signature = signature(1, NAMESPACE, PLAN);
    let (key, other) = (public(1), public(2));
    let expired = format!("alice valid-before=\"20260101\" {key}\n");
    let elsewhere = format!("alice namespaces=\"git\" {key}\n");
    let signer = judged(&signature, &format!("{expired}{elsewhere}carol {key}\n"));
    assert_eq!(signer.unwrap().principals, "carol");
    let refused = judged(&signature, &format!("bob {other}\n{expired}{elsewhere}"));
    assert!(
        matches!(refused, Err(Refusal::Expired { line: 2, .. })),
        "{refused:?}"
    );
}

#[test]
fn every_other_signature_is_refused_and_says_what_to_do() {
    let allowed = list(&format!("alice {}", public(1))).unwrap();
    let good = signature(1, NAMESPACE, PLAN);
    // A letter in the middle of the text, which is in the signature itself or in the key.
    let mut changed = good.clone();
    let at = good.len() / 2;
    let letter = if &good[at..=at] == "A" { "B" } else { "A" };
    changed.replace_range(at..=at, letter);
    for (signature, allowed, expected) in [
        (None, Some(&allowed), "it is not signed"),
        (Some(String::new()), Some(&allowed), "no SSH signature"),
        (
            Some("\0\u{1b}[2J".to_owned()),
            Some(&allowed),
            "no SSH signature",
        ),
        (
            Some(good[..good.len() / 2].to_owned()),
            Some(&allowed),
            "no SSH signature",
        ),
        (
            Some(signature(1, "git", PLAN)),
            Some(&allowed),
            "for the namespace \"git\", not for \"outpost-plan\"",
        ),
        (
            Some(signature(1, NAMESPACE, b"the bytes of a Plan")),
            Some(&allowed),
            "does not fit",
        ),
        (Some(signature(1, NAMESPACE, b"")), None, "does not fit"),
        (Some(changed), Some(&allowed), ""),
        (
            Some(signature(3, NAMESPACE, PLAN)),
            Some(&allowed),
            "which allowed does not name",
        ),
        (Some(good), None, "no allowed signers are configured"),
    ] {
        let refusal = judge(
            PLAN,
            signature.as_deref().map(str::as_bytes),
            allowed,
            &noon(),
        )
        .unwrap_err();
        assert!(refusal.to_string().contains(expected), "{refusal}");
        assert!(!refusal.hint("plan.bin").is_empty());
    }
}

#[test]
fn keys_that_are_weak_or_cannot_be_checked_are_refused_by_name() {
    let number = |bytes: usize| Mpint::from_positive_bytes(&vec![0xff; bytes]).unwrap();
    let rsa = |bytes: usize| {
        KeyData::Rsa(RsaPublicKey {
            e: Mpint::from_positive_bytes(&[1, 0, 1]).unwrap(),
            n: number(bytes),
        })
    };
    let rsa_signature = || {
        let algorithm = Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        };
        Signature::new(algorithm, vec![1; 256]).unwrap()
    };
    let dsa = KeyData::Dsa(DsaPublicKey {
        p: number(128),
        q: number(20),
        g: number(128),
        y: number(128),
    });
    for (key, signature, expected) in [
        (
            rsa(128),
            rsa_signature(),
            "its length of 1024 bits is not between 2048 and 4096",
        ),
        (
            rsa(1024),
            rsa_signature(),
            "its length of 8192 bits is not between 2048 and 4096",
        ),
        (
            dsa,
            Signature::new(Algorithm::Dsa, vec![1; 40]).unwrap(),
            "ssh-dss cannot be checked",
        ),
    ] {
        let signature = SshSig::new(key, NAMESPACE, HashAlg::Sha512, signature).unwrap();
        let text = signature.to_pem(LineEnding::LF).unwrap();
        let refusal = judged(&text, "").unwrap_err();
        assert!(
            matches!(refusal, Refusal::Unsupported { .. }),
            "{refusal:?}"
        );
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
}

#[test]
fn a_line_that_cannot_be_used_is_named_with_its_number() {
    let key = public(1);
    for (line, expected) in [
        ("alice".to_owned(), "there is no key after the principals"),
        (
            "\"\" ssh-ed25519 AAAA".to_owned(),
            "the principals are empty",
        ),
        (format!("a\u{1b}[31mb {key}"), "hold a control character"),
        (format!("\"alice {key}"), "a quotation mark is not closed"),
        (
            "alice ssh-ed25519 !!!!".to_owned(),
            "the key cannot be read",
        ),
        ("alice ssh-ed25519".to_owned(), "the key cannot be read"),
        ("alice namespaces=\"git\"".to_owned(), "there is no key"),
        (
            format!("alice cert-authority {key}"),
            "the option cert-authority is not supported",
        ),
        (
            format!("alice namespaces=\"a\",Cert-Authority {key}"),
            "the option cert-authority is not supported",
        ),
        (
            format!("alice no-touch-required {key}"),
            "there is no option `no-touch-required`",
        ),
        (
            format!("alice namespaces=git {key}"),
            "the option namespaces has no value in quotation marks",
        ),
        (
            format!("alice valid-after {key}"),
            "the option valid-after has no value",
        ),
        (
            format!("alice namespaces=\"a\",namespaces=\"b\" {key}"),
            "the option namespaces is given twice",
        ),
        (
            format!("alice valid-after=\"2026\" {key}"),
            "valid-after=\"2026\" is no time",
        ),
        (
            format!("alice valid-after=\"20261301\" {key}"),
            "valid-after=\"20261301\" is no time",
        ),
        (
            format!("alice valid-before=\"+2026112\" {key}"),
            "is no time",
        ),
        (
            format!("alice valid-after=\"20260102\",valid-before=\"20260102\" {key}"),
            "the key is never valid",
        ),
    ] {
        let error = list(&format!("# first\n\nbob {key}\n{line}\n")).unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("allowed", 4), "{error}");
        assert!(error.to_string().contains(expected), "{line}: {error}");
        assert!(!error.hint().is_empty());
    }
    for line in [
        format!("\"alice the first,bob\" {key}"),
        format!("  alice\t{key}  "),
        format!("alice valid-before=\"20270101Z\" {key} comment with \"quotes"),
    ] {
        list(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

#[test]
fn a_protected_key_signs_once_its_passphrase_is_given() {
    // Made by `ssh-keygen -t ed25519 -N 'open sesame'`, for this test alone.
    let text = include_bytes!("tests/protected_key");
    let locked = || SigningKey::parse(text).unwrap();
    assert!(locked().is_locked());
    assert!(matches!(locked().sign(PLAN), Err(KeyProblem::Unusable(_))));
    let wrong = locked().unlock(&Secret::new("open barley"));
    assert!(matches!(wrong, Err(KeyProblem::Passphrase)));
    let key = locked().unlock(&Secret::new("open sesame")).unwrap();
    assert!(!key.is_locked());
    assert!(!format!("{key:?}{:?}", locked()).contains("sesame"));
    let signed = key.sign(PLAN).unwrap();
    let found = judge(PLAN, Some(signed.text.as_bytes()), None, &noon());
    assert_eq!(found, Err(Refusal::NobodyAllowed { key: signed.key }));
}

#[test]
fn what_is_no_private_key_is_called_what_it_is() {
    let good = pem(&private(1));
    for (text, expected) in [
        (public(1), "it is a public key"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_owned(),
            "it is a public key",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n".to_owned(),
            "in the form RSA PRIVATE KEY, not in OpenSSH's",
        ),
        (
            good[..good.len() / 2].to_owned(),
            "a private key of OpenSSH's that outpost cannot read",
        ),
        (String::new(), "it is no private key"),
        ("\u{1b}[2J\0".to_owned(), "it is no private key"),
    ] {
        let problem = SigningKey::parse(text.as_bytes()).unwrap_err();
        assert!(problem.to_string().contains(expected), "{text}: {problem}");
        assert!(!problem.hint().is_empty());
    }
}

/// Pieces of a list, of a key and of a signature, to get past the first check with what is thrown at the readers.
fn near_valid() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "alice".to_owned(),
        " ".to_owned(),
        "\"".to_owned(),
        "\\".to_owned(),
        ",".to_owned(),
        "=".to_owned(),
        "\n".to_owned(),
        "namespaces=\"git,!outpost*\"".to_owned(),
        "valid-before=\"20270101Z\"".to_owned(),
        "cert-authority".to_owned(),
        "ssh-ed25519 ".to_owned(),
        public(1),
        pem(&private(1)),
        signature(1, NAMESPACE, PLAN),
        "-----BEGIN SSH SIGNATURE-----\n".to_owned(),
        "-----END SSH SIGNATURE-----\n".to_owned(),
    ]);
    let piece = prop_oneof![4 => piece, 1 => any::<String>()];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_is_read_is_used_or_refused(text in near_valid(), namespaces in "[a-z*?!,-]{0,24}") {
        let _ = list(&text);
        let _ = SigningKey::parse(text.as_bytes());
        let _ = judge(PLAN, Some(text.as_bytes()), None, &noon());
        let line = format!("alice namespaces=\"{namespaces}\" {}\n", public(1));
        let found = judged(&signature(1, NAMESPACE, PLAN), &line);
        let counts = matches!(found, Ok(_) | Err(Refusal::NotForPlans { .. }));
        prop_assert!(counts, "{found:?}");
    }
}
