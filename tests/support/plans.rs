//! Arbitrary plans: every shape that the types allow, sense or no sense.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use outpost::model::checksum::Checksum;
use outpost::model::config::{AdoptMissing, PlanConfig, PlanPostgres, PlanRedis};
use outpost::model::drift::{Deviation, KeyDrift, ObjectDifference, PinnedDrift};
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lint::{Finding, Level};
use outpost::model::plan::{
    Action, ComingKeys, Decision, Evidence, KeyCounts, KeyTime, LaterContent, LockTaken, Origin,
    Outcome, PlannedStatement, Purpose, RecordedEntry, RecordedStatus, RecordedStore, RedisContent,
    Rehearsal, RehearsalServer, Resolution, SqlContent, StatementImpact, StatementRehearsal, Step,
    StepContent, StepEvidence, StepRehearsal, TableImpact, TableSize, Warning, WarningKind,
    WayBack,
};
use outpost::model::sql::{
    ConcurrentIndex, IndexAction, LockMode, QualifiedName, Risk, RiskKind, TableWork,
};
use outpost::model::state::{
    Fingerprint, GolangMigrate, GolangVersion, Legacy, Marker, MarkerStatus, StoreIdentity,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Short texts of any characters, and now and then a long one.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => any::<String>(),
        2 => select(vec![String::new(), "\0".to_owned(), "\u{feff}é✓🦀\r\n".to_owned()]),
        1 => (1usize..70_000).prop_map(|n| "ü".repeat(n)),
    ]
}

fn word() -> impl Strategy<Value = String> {
    "[a-z\u{e9}\u{4e2d}]{0,12}"
}

fn kind() -> impl Strategy<Value = StoreKind> {
    select(vec![StoreKind::Sql, StoreKind::Redis])
}

fn id() -> impl Strategy<Value = MigrationId> {
    (kind(), 0u64..100, "[a-z]{1,8}")
        .prop_map(|(kind, n, name)| MigrationId::new(kind, &format!("{n:04}_{name}")).unwrap())
}

fn ids() -> impl Strategy<Value = BTreeSet<MigrationId>> {
    btree_set(id(), 0..4)
}

fn checksum() -> impl Strategy<Value = Checksum> {
    any::<[u8; 32]>().prop_map(Checksum::from_digest)
}

fn config() -> impl Strategy<Value = PlanConfig> {
    let postgres = (any::<u64>(), any::<u64>()).prop_map(|(lock, statement)| PlanPostgres {
        lock_timeout_ms: lock,
        statement_timeout_ms: statement,
    });
    let redis = (of(word()), any::<u32>(), any::<bool>(), vec(word(), 0..3)).prop_map(
        |(deployment_id, database, cluster, ignore)| PlanRedis {
            deployment_id,
            database,
            cluster,
            ignore,
        },
    );
    let missing = of(select(vec![AdoptMissing::Keep, AdoptMissing::Copy]));
    (
        of(postgres),
        of(redis),
        btree_map(word(), text(), 0..3),
        of(word()),
        any::<bool>(),
        missing,
    )
        .prop_map(
            |(postgres, redis, vars, golang_migrate, outpost_redis, adopt_missing)| PlanConfig {
                postgres,
                redis,
                vars,
                golang_migrate,
                outpost_redis,
                adopt_missing,
            },
        )
}

fn identity() -> impl Strategy<Value = StoreIdentity> {
    prop_oneof![
        (of(word()), word(), of(word())).prop_map(|(system_identifier, database, ledger)| {
            StoreIdentity::Postgres {
                system_identifier,
                database,
                ledger,
            }
        }),
        (word(), any::<u32>(), of(word())).prop_map(|(deployment_id, database, ledger)| {
            StoreIdentity::Redis {
                deployment_id,
                database,
                ledger,
            }
        }),
    ]
}

fn legacy() -> impl Strategy<Value = Legacy> {
    let row =
        (any::<u64>(), any::<bool>()).prop_map(|(version, dirty)| GolangVersion { version, dirty });
    let golang = (word(), of(row)).prop_map(|(table, row)| GolangMigrate { table, row });
    let status = prop_oneof![
        Just(MarkerStatus::Applied),
        Just(MarkerStatus::NotApplicable),
        text().prop_map(MarkerStatus::Other),
    ];
    let marker = (status, of(text())).prop_map(|(status, reason)| Marker { status, reason });
    (of(golang), btree_map(word(), marker, 0..3)).prop_map(|(golang_migrate, markers)| Legacy {
        golang_migrate,
        markers,
    })
}

fn recorded() -> impl Strategy<Value = RecordedStore> {
    let status = select(vec![
        RecordedStatus::Applied,
        RecordedStatus::Cleaned,
        RecordedStatus::Skipped,
        RecordedStatus::Applying,
        RecordedStatus::Reverting,
        RecordedStatus::Cleaning,
    ]);
    let entry =
        (status, checksum()).prop_map(|(status, checksum)| RecordedEntry { status, checksum });
    (
        identity(),
        btree_map(id(), entry, 0..4),
        legacy(),
        of(word().prop_map(Fingerprint)),
    )
        .prop_map(|(identity, entries, legacy, fingerprint)| RecordedStore {
            identity,
            entries,
            legacy,
            fingerprint,
        })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Apply),
        of(text()).prop_map(|data_loss| Action::Revert { data_loss }),
        Just(Action::Cleanup),
        text().prop_map(|proof| Action::Adopt { proof }),
        text().prop_map(|reason| Action::Skip { reason }),
        checksum().prop_map(|recorded| Action::AcceptEdit { recorded }),
        Just(Action::Resolve(Resolution::Applied)),
        Just(Action::Resolve(Resolution::RolledBack)),
    ]
}

fn name() -> impl Strategy<Value = QualifiedName> {
    (of(word()), word()).prop_map(|(schema, name)| QualifiedName { schema, name })
}

fn statement() -> impl Strategy<Value = PlannedStatement> {
    let risk_kind = select(vec![
        RiskKind::FullTableWrite,
        RiskKind::Rewrite,
        RiskKind::AccessExclusive,
        RiskKind::BlocksWrites,
        RiskKind::DropsData,
    ]);
    let risk = (risk_kind, of(name()), text()).prop_map(|(kind, table, sentence)| Risk {
        kind,
        table,
        sentence,
    });
    let index_action = select(vec![
        IndexAction::Create,
        IndexAction::Drop,
        IndexAction::Reindex,
    ]);
    let index = (index_action, of(name()), of(name()), any::<bool>()).prop_map(
        |(action, index, table, if_not_exists)| ConcurrentIndex {
            action,
            index,
            table,
            if_not_exists,
        },
    );
    (
        text(),
        any::<u32>(),
        word(),
        vec(name(), 0..3),
        vec(name(), 0..2),
        vec(risk, 0..3),
        of(index),
    )
        .prop_map(
            |(text, line, verb, tables, creates, risks, concurrent_index)| PlannedStatement {
                text,
                line,
                verb,
                tables,
                creates,
                risks,
                concurrent_index,
            },
        )
}

fn content() -> impl Strategy<Value = StepContent> {
    let sql = (
        (
            word(),
            checksum(),
            any::<bool>(),
            of(any::<u64>()),
            any::<u64>(),
        ),
        vec(statement(), 0..4),
        vec(statement(), 0..2),
        of(text()),
    )
        .prop_map(
            |((path, checksum, transaction, lock, statement), statements, verify, down)| {
                StepContent::Sql(SqlContent {
                    path,
                    checksum,
                    transaction,
                    lock_timeout_ms: lock,
                    statement_timeout_ms: statement,
                    statements,
                    verify,
                    down,
                })
            },
        );
    let later = vec((word(), text()), 0..2);
    let redis =
        (word(), text(), any::<bool>(), later).prop_map(|(path, text, allow_lossy, later)| {
            StepContent::Redis(RedisContent {
                path,
                text,
                allow_lossy,
                later: later
                    .into_iter()
                    .map(|(path, text)| LaterContent { path, text })
                    .collect(),
            })
        });
    prop_oneof![sql, redis, Just(StepContent::Record)]
}

fn step() -> impl Strategy<Value = Step> {
    (
        id(),
        action(),
        of(text()),
        checksum(),
        ids(),
        any::<bool>(),
        any::<bool>(),
        content(),
    )
        .prop_map(
            |(id, action, description, checksum, after, resumes, out_of_order, content)| Step {
                id,
                action,
                description,
                checksum,
                after,
                resumes,
                out_of_order,
                content,
            },
        )
}

pub fn decision() -> impl Strategy<Value = Decision> {
    let purpose = select(vec![Purpose::Migrate, Purpose::Cleanup, Purpose::Resolve]);
    (
        (purpose, text(), of(kind()), ids()),
        config(),
        vec(id(), 0..4),
        vec(text(), 0..3),
        btree_map(kind(), recorded(), 0..=2),
        of(btree_set(word(), 0..4)),
        vec(step(), 0..4),
    )
        .prop_map(
            |(
                (purpose, version, only, left_out),
                config,
                numbered,
                markers,
                recorded,
                owned,
                steps,
            )| {
                Decision {
                    purpose,
                    version,
                    only,
                    left_out,
                    config,
                    numbered,
                    markers,
                    recorded,
                    owned,
                    steps,
                }
            },
        )
}

pub fn evidence() -> impl Strategy<Value = Evidence> {
    let step = (
        vec(table_size(), 0..3),
        vec(vec(impact(), 0..3), 0..3),
        of(keys()),
        of(step_rehearsal()),
        vec(warning(), 0..3),
    )
        .prop_map(
            |(tables, statements, keys, rehearsal, warnings)| StepEvidence {
                tables,
                statements: statements
                    .into_iter()
                    .map(|tables| StatementImpact { tables })
                    .collect(),
                keys,
                rehearsal,
                warnings,
            },
        );
    let store = select(vec![StoreKind::Sql, StoreKind::Redis]);
    (
        text(),
        btree_map(id(), step, 0..3),
        btree_map(store, rehearsal(), 0..2),
        vec(finding(), 0..3),
        of(drift()),
        of(vec(key_drift(), 0..3)),
    )
        .prop_map(
            |(tool, steps, rehearsal, lint, drift, redis_drift)| Evidence {
                tool,
                steps,
                rehearsal,
                lint,
                drift,
                redis_drift,
            },
        )
}

fn key_drift() -> impl Strategy<Value = KeyDrift> {
    (
        id(),
        text(),
        any::<u64>(),
        text(),
        any::<u64>(),
        vec(text(), 0..3),
    )
        .prop_map(|(id, check, examined, unit, found, findings)| KeyDrift {
            id,
            check,
            examined,
            unit,
            found,
            findings,
        })
}

fn finding() -> impl Strategy<Value = Finding> {
    (
        word(),
        select(vec![Level::Note, Level::Warn, Level::Error]),
        of(id()),
        text(),
        of(any::<u32>()),
        text(),
        of(text()),
    )
        .prop_map(|(rule, level, id, file, line, message, advice)| Finding {
            rule,
            level,
            id,
            file,
            line: line.map(|line| line as usize),
            message,
            advice,
        })
}

fn drift() -> impl Strategy<Value = PinnedDrift> {
    let deviation = select(vec![
        Deviation::Missing,
        Deviation::Unexpected,
        Deviation::Different,
    ]);
    let object =
        (text(), deviation).prop_map(|(object, deviation)| ObjectDifference { object, deviation });
    (id(), of(any::<u32>()), of(any::<u32>()), vec(object, 0..3)).prop_map(
        |(after, expected_server, server, objects)| PinnedDrift {
            after,
            expected_server,
            server,
            objects,
        },
    )
}

fn table_size() -> impl Strategy<Value = TableSize> {
    (word(), of(any::<u64>()), any::<u64>()).prop_map(|(table, rows, bytes)| TableSize {
        table,
        rows,
        bytes,
    })
}

fn lock_mode() -> impl Strategy<Value = LockMode> {
    select(vec![
        LockMode::AccessShare,
        LockMode::RowShare,
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ])
}

fn impact() -> impl Strategy<Value = TableImpact> {
    let work = select(vec![
        TableWork::None,
        TableWork::SomeRows,
        TableWork::Removed,
        TableWork::Scan,
        TableWork::EveryRow,
        TableWork::Rewrite,
    ]);
    (
        word(),
        any::<bool>(),
        lock_mode(),
        any::<u64>(),
        work,
        of(text()),
    )
        .prop_map(
            |(table, created_here, lock, partitions, work, why)| TableImpact {
                table,
                created_here,
                lock,
                partitions,
                work,
                why,
            },
        )
}

fn keys() -> impl Strategy<Value = KeyCounts> {
    let time = any::<[u64; 3]>().prop_map(|[read_per_second, least_ms, most_ms]| KeyTime {
        read_per_second,
        least_ms,
        most_ms,
    });
    let coming =
        (any::<u64>(), vec(id(), 1..3)).prop_map(|(at_most, by)| ComingKeys { at_most, by });
    (
        any::<[u64; 4]>(),
        of(any::<u64>()),
        of(any::<u64>()),
        of(time),
        of(coming),
    )
        .prop_map(|(n, extra_bytes, bytes, time, coming)| KeyCounts {
            in_scope: n[0],
            to_do: n[1],
            done: n[2],
            ignored: n[3],
            extra_bytes,
            bytes,
            time,
            coming,
        })
}

fn warning() -> impl Strategy<Value = Warning> {
    let kind = select(vec![
        WarningKind::DataLoss,
        WarningKind::Blocking,
        WarningKind::Rewrite,
        WarningKind::Irreversible,
        WarningKind::NoVerification,
        WarningKind::Memory,
        WarningKind::Unaccounted,
        WarningKind::Rehearsal,
        WarningKind::Other,
    ]);
    (kind, text(), of(any::<u32>())).prop_map(|(kind, message, line)| Warning {
        kind,
        message,
        line,
    })
}

fn rehearsal() -> impl Strategy<Value = Rehearsal> {
    let origin = prop_oneof![
        Just(Origin::Empty),
        vec(id(), 0..3).prop_map(|migrations| Origin::Replayed { migrations }),
        any::<u64>().prop_map(|keys| Origin::Sampled { keys }),
    ];
    (
        select(vec![RehearsalServer::Throwaway, RehearsalServer::Given]),
        word(),
        of(word()),
        origin,
        vec(text(), 0..3),
        of(text()),
    )
        .prop_map(
            |(server, version, target_version, origin, differences, failed)| Rehearsal {
                server,
                version,
                target_version,
                origin,
                differences,
                failed,
            },
        )
}

fn step_rehearsal() -> impl Strategy<Value = StepRehearsal> {
    let outcome = prop_oneof![
        Just(Outcome::Done),
        text().prop_map(|reason| Outcome::Failed { reason }),
        text().prop_map(|reason| Outcome::NotRun { reason }),
    ];
    let lock = (word(), lock_mode()).prop_map(|(relation, mode)| LockTaken { relation, mode });
    let statement = (
        any::<u64>(),
        vec(lock, 0..3),
        vec(word(), 0..2),
        vec(word(), 0..2),
    )
        .prop_map(|(ms, locks, rewritten, indexes_built)| StatementRehearsal {
            ms,
            locks,
            rewritten,
            indexes_built,
        });
    let way_back = prop_oneof![
        Just(WayBack::Exact),
        vec(text(), 0..3).prop_map(|differences| WayBack::Differs { differences }),
        text().prop_map(|reason| WayBack::Failed { reason }),
        text().prop_map(|reason| WayBack::Absent { reason }),
    ];
    (
        outcome,
        any::<u64>(),
        vec(statement, 0..3),
        of(any::<u64>()),
        of(way_back),
    )
        .prop_map(|(outcome, ms, statements, keys, way_back)| StepRehearsal {
            outcome,
            ms,
            statements,
            keys,
            way_back,
        })
}
