//! The reading commands but `plan`, and the gate.

use outpost::model::config::Ahead;
use outpost::model::half_done::{
    FileEvidence, Found, HalfDone, KeyEvidence, Order, StatementEvidence, Trace,
};
use outpost::model::history::HistoryEntry;
use outpost::model::id::StoreKind;
use outpost::model::lock::{Lock, LockFinding, LockedMigration};
use outpost::model::plan::{KeyCounts, Resolution};
use outpost::model::sql::{Aspect, Object, ObjectKind, QualifiedName};
use outpost::model::state::{
    Checkpoint, Doing, GolangMigrate, GolangVersion, LedgerEntry, LedgerStatus, Proof, StoreState,
};
use outpost::model::status::{Gate, MigrationStatus, Status};
use outpost::model::verification::{Check, CheckOutcome};
use outpost::render::{
    ListView, ResolveView, StoreHistory, Style, created, error, gate, gate_ahead, gate_json,
    gate_waiting, hint, history, history_json, leases, leases_json, list, list_hint, list_json,
    lock_findings, lock_findings_json, locked, question, resolve, resolve_json, unlocked, verify,
    verify_json,
};

use super::golden::{COLOUR, NARROW, WIDE, golden, shown};
use super::values::{id, lease, postgres_identity, redis_identity, state, status};

fn every_status() -> Vec<MigrationStatus> {
    let mut late = status("sql/0006_attempt_index", Status::Pending);
    late.out_of_order = true;
    let mut unknown = status("redis/0009_future", Status::Ahead);
    unknown.in_catalog = false;
    unknown.description = None;
    unknown.version = None;
    vec![
        status("sql/0001_init", Status::Applied { cleaned: true }),
        status(
            "sql/0002_delivery_response",
            Status::Applied { cleaned: false },
        ),
        status("sql/0003_event_delivery_index", Status::Edited),
        status("sql/0004_delivery_manual_attempt", Status::Dirty),
        status(
            "sql/0005_denormalize_attempts",
            Status::Interrupted {
                doing: Doing::Apply,
            },
        ),
        late,
        status("redis/0001_hash_tags", Status::Unadopted),
        status(
            "redis/0002_timestamps",
            Status::Skipped {
                reason: "deployment_id is \"eu\"".to_owned(),
            },
        ),
        status("redis/0003_entity", Status::Unwanted),
        status("redis/0004_x", Status::Unconfigured),
        unknown,
        status(
            "redis/0005_live",
            Status::Running {
                doing: Doing::Revert,
            },
        ),
    ]
}

fn stores() -> (StoreState, StoreState) {
    let mut postgres = state(postgres_identity(true));
    postgres.lease = Some(lease(27_000));
    postgres
        .ledger
        .insert(id("sql/0001_init"), entry(LedgerStatus::Reverted));
    let doing = Doing::Apply;
    postgres.ledger.insert(
        id("sql/0005_denormalize_attempts"),
        entry(LedgerStatus::Partial { doing }),
    );
    postgres.legacy.golang_migrate = Some(GolangMigrate {
        table: "schema_migrations".to_owned(),
        row: Some(GolangVersion {
            version: 4,
            dirty: true,
        }),
    });
    (postgres, state(redis_identity("dp_1")))
}

fn entry(status: LedgerStatus) -> LedgerEntry {
    LedgerEntry {
        status,
        checksum: outpost::model::checksum::Checksum::of_content("x"),
        plan: "ab".repeat(32),
        at: "2026-01-02T03:04:05Z".to_owned(),
        actor: "anna".to_owned(),
        checkpoint: None,
        down: None,
    }
}

#[test]
fn c06_c12_list_shows_every_status_and_who_holds_the_lease() {
    let (postgres, redis) = stores();
    let migrations = every_status();
    let view = ListView {
        version: "1.2",
        stores: vec![
            ("localhost:5432/outpost".to_owned(), &postgres),
            ("localhost:6379/0".to_owned(), &redis),
        ],
        migrations: &migrations,
    };
    golden("list-100.txt", |out| list(out, WIDE, &view));
    golden("list-40.txt", |out| list(out, NARROW, &view));
    golden("list-colour.txt", |out| list(out, COLOUR, &view));
    golden("list.json", |out| list_json(out, &view));
    // A pipe has no width: every column is there, and nothing is cut.
    let piped = Style {
        whole: true,
        ..NARROW
    };
    let piped = shown(|out| list(out, piped, &view));
    assert!(!piped.contains('…'), "{piped}");
    for heading in ["version", "when", "by", "description"] {
        assert!(piped.contains(heading), "{heading} is not in {piped}");
    }
    golden("list-hint.txt", |out| list_hint(out, WIDE, &view));
}

#[test]
fn list_hints_at_the_most_urgent_and_at_nothing_when_all_is_well() {
    let pending = [status("sql/0001_init", Status::Pending)];
    let edited = [pending[0].clone(), status("sql/0002_b", Status::Edited)];
    let well = [status("sql/0001_init", Status::Applied { cleaned: false })];
    for (migrations, words) in [
        (&pending[..], "outpost migrate plan -out plan.bin"),
        (&edited[..], "sql/0002_b was edited"),
        (&well[..], ""),
        (&[], ""),
    ] {
        let view = ListView {
            version: "1.2",
            stores: Vec::new(),
            migrations,
        };
        let text = shown(|out| list_hint(out, WIDE, &view));
        assert_eq!(text.is_empty(), words.is_empty(), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let none = ListView {
        version: "latest",
        stores: Vec::new(),
        migrations: &[],
    };
    assert_eq!(shown(|out| list(out, WIDE, &none)), "No migrations.\n");
}

#[test]
fn verify_tells_what_was_not_checked_from_what_is_right() {
    let mut copied = Check::new(
        Some(id("redis/0001_hash_tags")),
        "copy tenant:<id> to tenant:{<id>}:tenant",
        "key",
    );
    copied.examined = 10_000;
    let mut drift = Check::new(None, "the schema has its pinned fingerprint", "object");
    drift.examined = 57;
    for at in 0..14 {
        drift.fail(format!("table public.t{at} is missing\x1b[2J"));
    }
    let mut nothing = Check::new(
        Some(id("sql/0002_delivery_response")),
        "its verification",
        "query",
    );
    nothing.outcome = CheckOutcome::Unchecked;
    nothing.findings.push("it has no .verify.sql".to_owned());
    let checks = [copied, drift, nothing];
    golden("verify-100.txt", |out| verify(out, WIDE, &checks));
    golden("verify-40.txt", |out| verify(out, NARROW, &checks));
    golden("verify-colour.txt", |out| verify(out, COLOUR, &checks));
    golden("verify.json", |out| verify_json(out, &checks));
    golden("verify-none.txt", |out| verify(out, WIDE, &[]));
}

fn closed(
    blocking: Vec<MigrationStatus>,
    ahead: Vec<MigrationStatus>,
    unknown: Option<GolangVersion>,
) -> Gate {
    Gate {
        version: "1.2".to_owned(),
        blocking,
        ahead,
        unknown,
        policy: Ahead::Refuse,
    }
}

#[test]
fn the_gate_says_what_is_pending_and_which_command_to_run() {
    let all = every_status();
    let pick = |names: &[usize]| names.iter().map(|at| all[*at].clone()).collect::<Vec<_>>();
    let pending = closed(pick(&[5, 6]), Vec::new(), None);
    golden("gate-pending-100.txt", |out| gate(out, WIDE, &pending));
    golden("gate-pending-40.txt", |out| gate(out, NARROW, &pending));
    golden("gate-pending-colour.txt", |out| gate(out, COLOUR, &pending));
    golden("gate-pending.json", |out| gate_json(out, &pending));
    golden("gate-dirty.txt", |out| {
        gate(out, WIDE, &closed(pick(&[3, 4]), Vec::new(), None))
    });
    golden("gate-edited.txt", |out| {
        gate(out, WIDE, &closed(pick(&[2]), Vec::new(), None))
    });
    let ahead = closed(
        Vec::new(),
        pick(&[10]),
        Some(GolangVersion {
            version: 99,
            dirty: false,
        }),
    );
    golden("gate-ahead.txt", |out| gate(out, WIDE, &ahead));
    golden("gate-ahead-warning.txt", |out| {
        gate_ahead(out, WIDE, &ahead)
    });
    golden("gate-waiting.txt", |out| {
        gate_waiting(out, WIDE, &pending)?;
        gate_waiting(out, WIDE, &ahead)
    });
    golden("gate-ahead.json", |out| gate_json(out, &ahead));
    let dirty = closed(
        Vec::new(),
        Vec::new(),
        Some(GolangVersion {
            version: 99,
            dirty: true,
        }),
    );
    golden("gate-unknown-dirty.txt", |out| gate(out, WIDE, &dirty));
}

#[test]
fn history_shows_every_entry_and_where_the_chain_is_broken() {
    let one = |seq: &str, outcome: &str, detail: Option<&str>| HistoryEntry {
        seq: seq.to_owned(),
        id: "sql/0005_denormalize_attempts".to_owned(),
        action: "apply".to_owned(),
        outcome: outcome.to_owned(),
        detail: detail.map(str::to_owned),
        plan: "ab".repeat(32),
        signer: None,
        actor: "anna".to_owned(),
        host: "build-7".to_owned(),
        tool: "0.1.0".to_owned(),
        started_at: "2026-01-02T03:04:05.1Z".to_owned(),
        ended_at: "2026-01-02T03:04:08.3Z".to_owned(),
        previous: String::new(),
        hash: "cd".repeat(32),
        intact: true,
    };
    let broken = HistoryEntry {
        intact: false,
        ..one("2", "done", None)
    };
    let sql = vec![one("1", "failed", Some("lock timeout\n\x1b[2J")), broken];
    let store = |store, entries, unexplained| StoreHistory {
        store,
        entries,
        unexplained,
    };
    let removed = vec![id("redis/0001_hash_tags"), id("redis/0002_timestamps")];
    let value = [
        store(StoreKind::Sql, sql, Vec::new()),
        store(StoreKind::Redis, Vec::new(), removed),
    ];
    golden("history-100.txt", |out| history(out, WIDE, &value));
    golden("history-40.txt", |out| history(out, NARROW, &value));
    golden("history.json", |out| history_json(out, &value));

    let signed = HistoryEntry {
        signer: Some("alice@example.com (ssh-ed25519 SHA256:dGhpcyBpcyBubyBrZXk)".to_owned()),
        ..one("2", "done", None)
    };
    let signed = vec![one("1", "done", None), signed];
    let value = [store(StoreKind::Sql, signed, Vec::new())];
    golden("history-signed.txt", |out| history(out, WIDE, &value));
}

#[test]
fn c06_unlock_shows_the_holder_its_age_and_whether_it_lives() {
    let mut old = lease(-5_000);
    old.holder = None;
    old.id = "old tool's\x1b[2J".to_owned();
    let value = [
        (StoreKind::Sql, Some(lease(27_000))),
        (StoreKind::Redis, Some(old)),
    ];
    golden("leases-100.txt", |out| leases(out, WIDE, &value));
    golden("leases-40.txt", |out| leases(out, NARROW, &value));
    golden("leases.json", |out| leases_json(out, &value));
    let quiet = [
        (StoreKind::Sql, Some(lease(9_000))),
        (StoreKind::Redis, None),
    ];
    golden("leases-quiet.txt", |out| leases(out, WIDE, &quiet));
}

/// A statement of a file that may be half done, with the object that it makes or drops.
fn evidence(text: &str, traces: Vec<Trace>, order: Option<Order>) -> StatementEvidence {
    StatementEvidence {
        line: 3,
        text: text.to_owned(),
        recorded: false,
        traces,
        order,
    }
}

fn trace(kind: ObjectKind, table: Option<&str>, name: &str, aspect: Aspect, found: Found) -> Trace {
    let of = |name| QualifiedName::new(Some("public"), name);
    let object = Object {
        kind,
        name: match table {
            Some(_) => QualifiedName::new(None, name),
            None => of(name),
        },
        table: table.map(of),
    };
    Trace {
        object,
        aspect,
        holds: true,
        found,
    }
}

/// Every way in which a statement can stand, and what is said of it.
fn half_done() -> HalfDone {
    use Aspect::{Default, Definition, Label, NotNull, Presence, Validated};
    use ObjectKind::{Column, Constraint, Index, Table, Type, View};
    let drop = |mut trace: Trace| {
        trace.holds = false;
        trace
    };
    let column = |name, aspect, found| trace(Column, Some("attempts"), name, aspect, found);
    let constraint = |aspect, found| trace(Constraint, Some("attempts"), "positive", aspect, found);
    let mut recorded = evidence("create table attempts (id int)", Vec::new(), None);
    recorded.recorded = true;
    let statements = vec![
        recorded,
        evidence(
            "alter table attempts\n  add column manual boolean, alter id set not null,\n  alter note drop default",
            vec![
                column("manual", Presence, Found::InPlace),
                column("id", NotNull, Found::InPlace),
                drop(column("note", Default, Found::InPlace)),
            ],
            None,
        ),
        evidence(
            "update attempts set manual = false",
            Vec::new(),
            Some(Order::EarlierMissing(4)),
        ),
        evidence(
            "create index manual_idx on attempts (manual)",
            vec![trace(Index, None, "manual_idx", Presence, Found::Absent)],
            None,
        ),
        evidence(
            "create index concurrently other_idx on attempts (other)",
            vec![trace(Index, None, "other_idx", Presence, Found::Invalid)],
            None,
        ),
        evidence(
            "alter table attempts add constraint positive check (n > 0) not valid, validate constraint positive",
            vec![
                constraint(Presence, Found::InPlace),
                constraint(Validated, Found::Missing),
            ],
            None,
        ),
        evidence(
            "alter type kind add value 'odd\u{1b}[2J'",
            vec![trace(
                Type,
                None,
                "kind",
                Label("odd\u{1b}[2J".to_owned()),
                Found::Missing,
            )],
            None,
        ),
        evidence(
            "create or replace view recent as select 1",
            vec![trace(
                View,
                None,
                "recent",
                Definition,
                Found::Unclear(None),
            )],
            None,
        ),
        evidence(
            "alter table attempts alter id type bigint",
            vec![column(
                "id",
                Definition,
                Found::Unclear(Some("integer not null".to_owned())),
            )],
            Some(Order::LaterInPlace(11)),
        ),
        evidence(
            "create table scratch (id int)",
            vec![trace(Table, None, "scratch", Presence, Found::Undone(11))],
            None,
        ),
        evidence(
            "drop table older, \"odd\u{1b}[2J\"",
            vec![
                drop(trace(Table, None, "older", Presence, Found::InPlace)),
                drop(trace(Table, None, "odd\u{1b}[2J", Presence, Found::Missing)),
            ],
            None,
        ),
    ];
    HalfDone {
        files: vec![FileEvidence {
            id: id("sql/0004_delivery_manual_attempt"),
            path: "sql/0004_delivery_manual_attempt.up.sql".to_owned(),
            doing: Doing::Apply,
            statements,
        }],
        keys: None,
    }
}

#[test]
fn c01_resolve_shows_what_was_found_before_it_asks() {
    let (mut postgres, redis) = stores();
    let dirty = id("sql/0004_delivery_manual_attempt");
    let findings = vec![
        "3 of 4 objects are as they are after sql/0004_delivery_manual_attempt".to_owned(),
        "index public.manual_idx is missing".to_owned(),
    ];
    postgres
        .proofs
        .insert(dirty.clone(), Proof::Disproven(findings));
    let found = half_done();
    let view = |resolution| ResolveView {
        id: &dirty,
        state: &postgres,
        found: &found,
        resolution,
    };
    let rolled_back = view(Resolution::RolledBack);
    golden("resolve-dirty.txt", |out| resolve(out, WIDE, &rolled_back));
    golden("resolve-dirty-colour.txt", |out| {
        resolve(out, COLOUR, &rolled_back)
    });
    golden("resolve-dirty.json", |out| resolve_json(out, &rolled_back));
    golden("resolve-dirty-40.txt", |out| {
        resolve(out, NARROW, &view(Resolution::Applied))
    });

    let half = id("sql/0005_denormalize_attempts");
    if let Some(entry) = postgres.ledger.get_mut(&half) {
        entry.checkpoint = Some(Checkpoint {
            statements_done: 2,
            ..Checkpoint::default()
        });
    }
    // The way back of another one, which golang-migrate may have been at.
    let mut found = half_done();
    found.files[0].statements.truncate(1);
    found.files[0].doing = Doing::Revert;
    golden("resolve-half.txt", |out| {
        let view = ResolveView {
            id: &half,
            state: &postgres,
            found: &found,
            resolution: Resolution::Applied,
        };
        resolve(out, WIDE, &view)
    });

    let counts = KeyCounts {
        in_scope: 1200,
        to_do: 1,
        done: 1199,
        ..KeyCounts::default()
    };
    let refused = vec!["user:\u{1b}[2J: seen is in neither form".to_owned()];
    for (name, keys) in [
        (
            "counted",
            KeyEvidence::Counted(Doing::Apply, counts.clone()),
        ),
        ("cleanup", KeyEvidence::Counted(Doing::Cleanup, counts)),
        ("refused", KeyEvidence::Refused(Doing::Revert, refused)),
    ] {
        let found = HalfDone {
            files: Vec::new(),
            keys: Some(keys),
        };
        let view = ResolveView {
            id: &id("redis/0003_entity"),
            state: &redis,
            found: &found,
            resolution: Resolution::RolledBack,
        };
        golden(&format!("resolve-keys-{name}.txt"), |out| {
            resolve(out, WIDE, &view)
        });
        golden(&format!("resolve-keys-{name}.json"), |out| {
            resolve_json(out, &view)
        });
    }
    golden("question.txt", |out| {
        question(
            out,
            WIDE,
            "Record sql/0005_denormalize_attempts as applied?",
        )
    });
}

#[test]
fn an_error_says_what_happened_and_what_to_do_next() {
    let message = "sql/0005.up.sql:12: column \"x\" does not exist, which takes more than one line on a narrow terminal\n  in: UPDATE attempts\n      SET x = 1";
    for (name, style) in [("100", WIDE), ("40", NARROW), ("colour", COLOUR)] {
        golden(&format!("error-{name}.txt"), |out| {
            error(
                out,
                style,
                message,
                Some("correct the migration and plan again"),
            )
        });
    }
    golden("hint.txt", |out| {
        hint(out, WIDE, "outpost migrate list shows the ids")
    });
}

#[test]
fn short_answers_name_what_was_written_pinned_and_broken() {
    let checksum = outpost::model::checksum::Checksum::of_content;
    let path = std::path::Path::new("schema/outpost.lock");
    let lock = Lock {
        format: 1,
        postgres: Some(15),
        migrations: vec![LockedMigration {
            id: id("sql/0001_init"),
            files: [("sql/0001_init.up.sql".to_owned(), checksum("x"))].into(),
            objects: [("table public.events".to_owned(), "00ff".to_owned())].into(),
        }],
    };
    let findings = [
        LockFinding::Edited {
            path: "sql/0001_init.up.sql\x1b[2J".to_owned(),
            pinned: checksum("x"),
            found: checksum("y"),
        },
        LockFinding::Reordered {
            id: id("sql/0002_b"),
        },
    ];
    golden("notes.txt", |out| {
        created(
            out,
            WIDE,
            &id("sql/0011_x"),
            &["schema/sql/0011_x.up.sql".into()],
        )?;
        locked(out, WIDE, path, &lock)?;
        lock_findings(out, WIDE, &findings)?;
        lock_findings(out, WIDE, &[])?;
        unlocked(out, WIDE, "5f0e2d\x1b[2J")
    });
    golden("lock-check-40.txt", |out| {
        lock_findings(out, NARROW, &findings)
    });
    golden("lock-check.json", |out| lock_findings_json(out, &findings));
}
