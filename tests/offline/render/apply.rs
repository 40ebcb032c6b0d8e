use outpost::model::event::{Event, Events as _};
use outpost::model::id::StoreKind;
use outpost::model::plan::PlanDigest;
use outpost::model::report::{Done, Report, StepOutcome, StepReport};
use outpost::render::{JsonLines, Lines, Style, already_applied, report, report_json};
use outpost::store::error::StatementError;
use outpost::store::{StoreError, StoreErrorKind};

use super::golden::{COLOUR, NARROW, WIDE, golden, shown};
use super::values::id;

fn failure() -> StoreError {
    StoreError {
        store: StoreKind::Sql,
        address: "localhost:5432/outpost".to_owned(),
        kind: StoreErrorKind::Statement(Box::new(StatementError {
            id: id("sql/0005_denormalize_attempts"),
            file: "sql/0005_denormalize_attempts.up.sql".to_owned(),
            line: 12,
            statement: "UPDATE attempts a\nSET tenant_id = e.tenant_id".to_owned(),
            message: "column \"tenant_id\" does not exist\x1b[2J".to_owned(),
            code: "42703".to_owned(),
            detail: None,
            hint: Some("Perhaps you meant to reference the column \"a.tenant\".".to_owned()),
        })),
    }
}

fn steps(outcomes: Vec<StepOutcome<StoreError>>) -> Report<StoreError> {
    let names = [
        ("sql/0004_delivery_manual_attempt", "apply"),
        ("redis/0001_hash_tags", "apply"),
        ("sql/0005_denormalize_attempts", "apply"),
        ("sql/0006_attempt_index", "apply"),
        ("redis/0002_timestamps", "skip"),
    ];
    let steps = names
        .into_iter()
        .zip(outcomes)
        .map(|((name, action), outcome)| StepReport {
            id: id(name),
            action,
            outcome,
        })
        .collect();
    Report {
        plan: PlanDigest([0xab; 32]),
        steps,
    }
}

fn done() -> StepOutcome<StoreError> {
    StepOutcome::Done(Done {
        ms: 61_000,
        changed: 10_000,
        examined: 1_000_000,
        passes: 2,
    })
}

#[test]
fn a_failure_in_the_third_of_five_steps_says_what_was_done_and_how_to_go_on() {
    let value = steps(vec![
        StepOutcome::AlreadyDone,
        done(),
        StepOutcome::Failed(failure()),
        StepOutcome::NotStarted,
        StepOutcome::NotStarted,
    ]);
    let resume = "outpost migrate apply plan.bin";
    golden("apply-failed-100.txt", |out| {
        report(out, WIDE, &value, resume)
    });
    golden("apply-failed-40.txt", |out| {
        report(out, NARROW, &value, resume)
    });
    golden("apply-failed-colour.txt", |out| {
        report(out, COLOUR, &value, resume)
    });
    golden("apply-failed.json", |out| report_json(out, &value, resume));
}

#[test]
fn a_complete_run_needs_no_resuming() {
    let sql_done = || {
        StepOutcome::Done(Done {
            ms: 40,
            changed: 1,
            ..Done::default()
        })
    };
    let value = steps(vec![
        sql_done(),
        done(),
        sql_done(),
        sql_done(),
        StepOutcome::Done(Done::default()),
    ]);
    golden("apply-done.txt", |out| {
        report(out, WIDE, &value, "outpost migrate apply plan.bin")
    });
    golden("apply-done.json", |out| {
        report_json(out, &value, "outpost migrate apply plan.bin")
    });
    golden("apply-already.txt", |out| {
        already_applied(out, WIDE, value.plan)
    });
}

#[test]
fn an_interrupted_run_is_not_called_a_failure() {
    let value = steps(vec![
        done(),
        done(),
        StepOutcome::NotStarted,
        StepOutcome::NotStarted,
        StepOutcome::NotStarted,
    ]);
    golden("apply-interrupted.txt", |out| {
        report(out, WIDE, &value, "outpost migrate apply plan.bin")
    });
}

fn events() -> Vec<Event> {
    let sql = id("sql/0005_denormalize_attempts");
    let redis = id("redis/0001_hash_tags");
    let progress = |done, pass| Event::Progress {
        id: redis.clone(),
        done,
        total: 10_000,
        changed: done / 2,
        pass,
    };
    vec![
        Event::WaitingForLease {
            store: StoreKind::Sql,
            holder: "bob@ci\x1b[2J, pid 1, plan cd".to_owned(),
        },
        Event::LeaseTaken {
            store: StoreKind::Sql,
            token: 8,
        },
        Event::RunStarted {
            plan: "ab".repeat(32),
            steps: 5,
            already_done: 1,
        },
        Event::StepStarted {
            id: redis.clone(),
            action: "apply",
        },
        progress(10, 1),
        progress(1_000, 1),
        progress(1_500, 1),
        progress(9_000, 1),
        progress(12_000, 1),
        progress(5_000, 2),
        Event::StepStarted {
            id: sql.clone(),
            action: "apply",
        },
        Event::StatementStarted {
            id: sql.clone(),
            number: 1,
            of: 2,
            verb: "create index concurrently".to_owned(),
        },
        Event::Retry {
            id: sql.clone(),
            attempt: 1,
            of: 10,
            reason: "canceling statement due to lock timeout".to_owned(),
            wait_ms: 350,
        },
        Event::Note {
            id: redis.clone(),
            message: "12 values of another form were recorded as exceptions".to_owned(),
        },
        Event::StepFinished {
            id: redis,
            action: "apply",
            ms: 3_249,
            changed: 5_000,
        },
        Event::StepFailed {
            id: sql,
            action: "apply",
            error: failure().to_string(),
            hint: failure().hint(),
            interrupted: false,
        },
        Event::RunFinished {
            done: 1,
            failed: 1,
            not_started: 2,
        },
    ]
}

fn lines(style: Style) -> Vec<u8> {
    let lines = Lines::new(Vec::new(), style);
    events().into_iter().for_each(|event| lines.emit(event));
    lines.finish().unwrap()
}

#[test]
fn without_a_terminal_events_are_plain_lines_and_progress_is_sparse() {
    golden("events-100.txt", |out| out.write_all(&lines(WIDE)));
    golden("events-colour.txt", |out| out.write_all(&lines(COLOUR)));
}

#[test]
fn c12_each_event_is_a_line_of_json() {
    let emit = || {
        let lines = JsonLines::new(Vec::new());
        events().into_iter().for_each(|event| lines.emit(event));
        lines.finish().unwrap()
    };
    golden("events.jsonl", |out| out.write_all(&emit()));
    for line in shown(|out| out.write_all(&emit())).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["format_version"], 1);
        assert!(value["event"].is_string());
    }
}

#[test]
fn a_reader_that_goes_away_stops_the_lines_and_not_the_run() {
    #[derive(Debug)]
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::new(Gone, WIDE);
    events().into_iter().for_each(|event| lines.emit(event));
    assert_eq!(
        lines.finish().unwrap_err().kind(),
        std::io::ErrorKind::BrokenPipe
    );
}
