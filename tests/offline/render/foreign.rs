//! What stores, files and runners say, on every screen that is not a plan's: nothing of it acts on a terminal.

use std::collections::BTreeMap;

use outpost::model::drift::{
    Deviation, Drift, Expected, ObjectDifference, ObjectDrift, SchemaDrift,
};
use outpost::model::event::{Event, Events};
use outpost::model::history::{Failure, HistoryEntry};
use outpost::model::id::StoreKind;
use outpost::model::lock::{LockFinding, LockedMigration};
use outpost::model::plan::PlanDigest;
use outpost::model::report::{Report, StepOutcome, StepReport};
use outpost::model::signing::{KeyName, Signer};
use outpost::model::status::{Gate, Status};
use outpost::model::verification::Check;
use outpost::render::{
    Lines, StoreHistory, Style, created, drift, drift_json, gate, gate_json, gate_waiting, hint,
    history, history_json, leases, leases_json, list, list_json, lock_findings, lock_findings_json,
    older_signature, remark, report, report_json, signed, signed_by, unlocked, verify, verify_json,
    warning,
};
use outpost::store::{StoreError, StoreErrorKind};

use super::golden::{NARROW, WIDE, shown};
use super::values::{id, lease, postgres_identity, state, status};

const NASTY: &str = "it\x1b[2J\x07\u{9b}31m\u{202e}\u{200b}\rends";

/// No colours were asked for, so nothing but line ends may be left.
fn assert_tame(what: &str, text: &str) {
    let acts = |c: char| {
        (c.is_control() && c != '\n') || matches!(u32::from(c), 0x200b..=0x200f | 0x202a..=0x202e)
    };
    assert!(!text.contains(acts), "{what}: {text:?}");
    assert!(text.contains("it\\"), "{what} does not say it: {text:?}");
}

const STYLES: [Style; 2] = [WIDE, NARROW];

type Change = fn(&mut HistoryEntry);

fn nasty() -> String {
    NASTY.to_owned()
}

#[test]
fn c16_what_a_history_and_a_lease_hold_is_shown_tame() {
    let one = |change: Change| {
        let mut entry = HistoryEntry {
            seq: "1".to_owned(),
            id: "i".to_owned(),
            action: "a".to_owned(),
            outcome: "done".to_owned(),
            detail: None,
            plan: "p".to_owned(),
            signer: None,
            actor: "u".to_owned(),
            host: "h".to_owned(),
            tool: "t".to_owned(),
            started_at: "2026-01-02T03:04:05.1Z".to_owned(),
            ended_at: "2026-01-02T03:04:08.3Z".to_owned(),
            previous: String::new(),
            hash: String::new(),
            intact: false,
        };
        change(&mut entry);
        [StoreHistory {
            store: StoreKind::Sql,
            entries: vec![entry],
            unexplained: Vec::new(),
        }]
    };
    let each: [(&str, Change); 9] = [
        ("seq", |e| e.seq = nasty()),
        ("id", |e| e.id = nasty()),
        ("action", |e| e.action = nasty()),
        ("outcome", |e| e.outcome = nasty()),
        ("detail", |e| e.detail = Some(nasty())),
        ("plan", |e| e.plan = nasty()),
        ("signer", |e| e.signer = Some(nasty())),
        ("actor", |e| e.actor = nasty()),
        ("started_at", |e| e.started_at = nasty()),
    ];
    for (what, change) in each {
        let value = one(change);
        assert_tame(what, &shown(|out| history(out, Style::plain(300), &value)));
        assert_tame(what, &shown(|out| history_json(out, &value)));
    }
    let mut failed = status("sql/0001_a", Status::Pending);
    failed.failed = Some(Failure {
        action: "apply".to_owned(),
        at: nasty(),
        error: nasty(),
    });
    let failed = [failed];
    let view = outpost::render::ListView {
        version: "1",
        stores: Vec::new(),
        migrations: &failed,
    };
    for style in STYLES {
        assert_tame("failure", &shown(|out| list(out, style, &view)));
    }
    assert_tame("failure", &shown(|out| list_json(out, &view)));
    let mut held = lease(20_000);
    held.id = nasty();
    let value = [(StoreKind::Sql, Some(held.clone()))];
    assert_tame("lease", &shown(|out| leases_json(out, &value)));
    let mut store = state(postgres_identity(true));
    store.lease = Some(held);
    for style in STYLES {
        assert_tame("lease", &shown(|out| leases(out, style, &value)));
        let view = outpost::render::ListView {
            version: "1",
            stores: vec![("h".to_owned(), &store)],
            migrations: &[],
        };
        assert_tame("list", &shown(|out| list(out, style, &view)));
    }
}

#[test]
fn c16_what_a_run_says_is_shown_tame() {
    let error = || StoreError {
        store: StoreKind::Sql,
        address: "h".to_owned(),
        kind: StoreErrorKind::NoDatabase { database: nasty() },
    };
    let a = || id("sql/0001_a");
    for style in STYLES {
        for event in [
            Event::WaitingForLease {
                store: StoreKind::Sql,
                holder: nasty(),
            },
            Event::RunStarted {
                plan: nasty(),
                steps: 1,
                already_done: 0,
            },
            Event::StatementStarted {
                id: a(),
                number: 1,
                of: 1,
                verb: nasty(),
            },
            Event::Retry {
                id: a(),
                attempt: 1,
                of: 2,
                reason: nasty(),
                wait_ms: 1,
            },
            Event::Note {
                id: a(),
                message: nasty(),
            },
            Event::StepFailed {
                id: a(),
                action: "apply",
                error: nasty(),
                hint: None,
                interrupted: false,
            },
        ] {
            let what = format!("{event:?}");
            let lines = Lines::new(Vec::new(), style);
            lines.emit(event);
            let text = String::from_utf8(lines.finish().unwrap()).unwrap();
            assert_tame(&what, &text);
        }
        let failed = Report {
            plan: PlanDigest([0xab; 32]),
            steps: vec![StepReport {
                id: a(),
                action: "apply",
                outcome: StepOutcome::Failed(error()),
            }],
        };
        let text = shown(|out| report(out, style, &failed, "apply"));
        assert_tame("report", &text);
        // In the error and in its hint.
        assert_eq!(text.matches("it\\").count(), 2, "{text}");
        assert_tame("report", &shown(|out| report(out, style, &failed, NASTY)));
        assert_tame("report", &shown(|out| report_json(out, &failed, NASTY)));
    }
}

#[test]
fn c16_what_checks_find_is_shown_tame() {
    let named = |name: &str, finding: &str| {
        let mut check = Check::new(None, name, "key");
        check.fail(finding);
        [check]
    };
    for style in STYLES {
        for checks in [named(NASTY, "f"), named("n", NASTY)] {
            assert_tame("verify", &shown(|out| verify(out, style, &checks)));
            assert_tame("verify", &shown(|out| verify_json(out, &checks)));
            let drifted = Drift {
                schema: None,
                redis: Some(checks.to_vec()),
                caveats: Vec::new(),
            };
            assert_tame("drift", &shown(|out| drift(out, style, &drifted)));
        }
        let object = |object: &str, recorded: &str, real: &str| Drift {
            schema: Some(SchemaDrift {
                expected: Expected::Locked {
                    pin: LockedMigration {
                        id: id("sql/0001_a"),
                        files: BTreeMap::new(),
                        objects: BTreeMap::new(),
                    },
                    server_major: None,
                },
                server_major: None,
                examined: 1,
                objects: vec![ObjectDrift {
                    difference: ObjectDifference {
                        object: object.to_owned(),
                        deviation: Deviation::Different,
                    },
                    recorded: Some(recorded.to_owned()),
                    real: Some(real.to_owned()),
                }],
                ignored: Vec::new(),
                unused: Vec::new(),
            }),
            redis: None,
            caveats: Vec::new(),
        };
        for drifted in [
            object(NASTY, "a", "b"),
            object("o", NASTY, "b"),
            object("o", "a", NASTY),
        ] {
            assert_tame("drift", &shown(|out| drift(out, style, &drifted)));
            assert_tame("drift", &shown(|out| drift_json(out, &drifted)));
        }
        let findings = [LockFinding::Removed { path: nasty() }];
        assert_tame("lock", &shown(|out| lock_findings(out, style, &findings)));
        assert_tame("lock", &shown(|out| lock_findings_json(out, &findings)));
        let mut pending = status("sql/0001_a", Status::Pending);
        pending.description = Some(nasty());
        let mut closed = Gate {
            version: "1".to_owned(),
            blocking: vec![pending],
            ahead: Vec::new(),
            unknown: None,
            policy: Default::default(),
        };
        assert_tame("gate", &shown(|out| gate(out, Style::plain(300), &closed)));
        assert_tame("gate", &shown(|out| gate_json(out, &closed)));
        closed.version = nasty();
        assert_tame("gate", &shown(|out| gate(out, style, &closed)));
        assert_tame("gate", &shown(|out| gate_waiting(out, style, &closed)));
    }
}

#[test]
fn c16_names_of_files_keys_and_leases_are_shown_tame() {
    let key = || KeyName {
        kind: "ssh-ed25519".to_owned(),
        fingerprint: "SHA256:x".to_owned(),
    };
    let signer = Signer {
        principals: nasty(),
        key: key(),
    };
    let path = std::path::Path::new(NASTY);
    for style in STYLES {
        assert_tame("remark", &shown(|out| remark(out, style, NASTY)));
        assert_tame("warning", &shown(|out| warning(out, style, NASTY)));
        assert_tame("hint", &shown(|out| hint(out, style, NASTY)));
        assert_tame("unlocked", &shown(|out| unlocked(out, style, NASTY)));
        assert_tame("signed", &shown(|out| signed(out, style, path, &key())));
        assert_tame("signed by", &shown(|out| signed_by(out, style, &signer)));
        let older = shown(|out| older_signature(out, style, path));
        assert_tame("older signature", &older);
        let files = [path.to_owned()];
        let new = shown(|out| created(out, style, &id("sql/0001_a"), &files));
        assert_tame("created", &new);
    }
}
