//! Values to be shown.

use std::collections::{BTreeMap, BTreeSet};

use outpost::model::checksum::Checksum;
use outpost::model::config::{PlanConfig, PlanPostgres, PlanRedis};
use outpost::model::drift::{Deviation, KeyDrift, ObjectDifference, PinnedDrift};
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::lease::{Holder, LeaseInfo};
use outpost::model::lint::{Finding, Level};
use outpost::model::plan::{
    Action, Decision, Evidence, KeyCounts, KeyTime, LockTaken, Origin, Outcome, Plan,
    PlannedStatement, Purpose, RecordedEntry, RecordedStatus, RecordedStore, RedisContent,
    Rehearsal, RehearsalServer, Resolution, SqlContent, StatementImpact, StatementRehearsal, Step,
    StepContent, StepEvidence, StepRehearsal, TableImpact, TableSize, Warning, WarningKind,
    WayBack,
};
use outpost::model::sql::{LockMode, QualifiedName, TableWork};
use outpost::model::state::{
    Fingerprint, GolangMigrate, GolangVersion, Legacy, StoreIdentity, StoreState,
};
use outpost::model::status::{MigrationStatus, Status};

pub fn id(text: &str) -> MigrationId {
    text.parse().unwrap()
}

pub fn step(id_text: &str, action: Action, content: StepContent) -> Step {
    Step {
        id: id(id_text),
        action,
        description: None,
        checksum: Checksum::of_content(id_text),
        after: BTreeSet::new(),
        resumes: false,
        out_of_order: false,
        content,
    }
}

pub fn statement(line: u32, verb: &str, text: &str) -> PlannedStatement {
    PlannedStatement {
        text: text.to_owned(),
        line,
        verb: verb.to_owned(),
        tables: vec![QualifiedName::new(None, "attempts")],
        creates: Vec::new(),
        risks: Vec::new(),
        concurrent_index: None,
    }
}

pub fn sql(path: &str, transaction: bool, statements: Vec<PlannedStatement>) -> SqlContent {
    SqlContent {
        path: path.to_owned(),
        checksum: Checksum::of_content(path),
        transaction,
        lock_timeout_ms: transaction.then_some(5000),
        statement_timeout_ms: 0,
        statements,
        verify: Vec::new(),
        down: None,
    }
}

fn config() -> PlanConfig {
    PlanConfig {
        postgres: Some(PlanPostgres {
            lock_timeout_ms: 5000,
            statement_timeout_ms: 0,
        }),
        redis: Some(PlanRedis {
            deployment_id: None,
            database: 0,
            cluster: false,
            ignore: Vec::new(),
        }),
        vars: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
        golang_migrate: Some("schema_migrations".to_owned()),
        outpost_redis: true,
        adopt_missing: None,
    }
}

pub fn postgres_identity(ledger: bool) -> StoreIdentity {
    StoreIdentity::Postgres {
        system_identifier: Some("7301234567890123456".to_owned()),
        database: "outpost".to_owned(),
        ledger: ledger.then(|| "0b9c1f2e-6a52-4a77-9d3c-7a1f0c2d4e55".to_owned()),
    }
}

pub fn redis_identity(deployment: &str) -> StoreIdentity {
    StoreIdentity::Redis {
        deployment_id: deployment.to_owned(),
        database: 0,
        ledger: None,
    }
}

pub fn plan_of(
    purpose: Purpose,
    steps: Vec<Step>,
    evidence: BTreeMap<MigrationId, StepEvidence>,
) -> Plan {
    let entry = RecordedEntry {
        status: RecordedStatus::Applied,
        checksum: Checksum::of_content("x"),
    };
    let postgres = RecordedStore {
        identity: postgres_identity(true),
        entries: BTreeMap::from([(id("sql/0001_init"), entry)]),
        legacy: Legacy {
            golang_migrate: Some(GolangMigrate {
                table: "schema_migrations".to_owned(),
                row: Some(GolangVersion {
                    version: 1,
                    dirty: false,
                }),
            }),
            markers: BTreeMap::new(),
        },
        fingerprint: Some(Fingerprint("sha256:00ff".to_owned())),
    };
    let redis = RecordedStore {
        identity: redis_identity(""),
        entries: BTreeMap::new(),
        legacy: Legacy::default(),
        fingerprint: None,
    };
    let decision = Decision {
        purpose,
        version: "1.2".to_owned(),
        only: None,
        left_out: BTreeSet::new(),
        config: config(),
        numbered: vec![id("sql/0001_init")],
        markers: vec!["001_hash_tags".to_owned()],
        recorded: BTreeMap::from([(StoreKind::Sql, postgres), (StoreKind::Redis, redis)]),
        owned: None,
        steps,
    };
    Plan::new(
        decision,
        Evidence {
            tool: "0.1.0".to_owned(),
            steps: evidence,
            ..Evidence::default()
        },
    )
    .unwrap()
}

pub const HASH_TAGS: &str = "\
description = \"Put tenant ids in hash tags\"
scope = \"tenant:<rest..>\"
ignore = [\"tenant:{<id>}:<rest..>\"]

[[step]]
copy = \"tenant:<id>\"
to = \"tenant:{<id>}:tenant\"
type = \"hash\"
fields = { id = \"<id>\" }
";

/// A plan in which every action occurs.
pub fn every_action() -> Plan {
    let mut revert = step(
        "sql/0012_rejected",
        Action::Revert {
            data_loss: Some("the column attempts.code and what is in it".to_owned()),
        },
        StepContent::Sql(sql(
            "sql/0012_rejected.down.sql",
            true,
            vec![statement(
                1,
                "alter table",
                "ALTER TABLE attempts DROP COLUMN code",
            )],
        )),
    );
    revert.description = Some("Why an attempt was rejected".to_owned());
    let mut denormalize = step(
        "sql/0005_denormalize_attempts",
        Action::Apply,
        StepContent::Sql(SqlContent {
            verify: Vec::new(),
            down: Some("ALTER TABLE attempts DROP COLUMN tenant_id".to_owned()),
            ..sql(
                "sql/0005_denormalize_attempts.up.sql",
                true,
                vec![
                    statement(
                        3,
                        "alter table",
                        "ALTER TABLE attempts\n    ADD COLUMN tenant_id text",
                    ),
                    statement(
                        12,
                        "update",
                        "UPDATE attempts a\nSET tenant_id = e.tenant_id\nFROM events e\nWHERE e.id = a.event_id AND a.tenant_id IS NULL",
                    ),
                ],
            )
        }),
    );
    denormalize.description = Some(
        "Keep what attempts need of their events beside them, so that lists need no join"
            .to_owned(),
    );
    denormalize.after.insert(id("sql/0012_rejected"));
    denormalize.out_of_order = true;
    let mut index = step(
        "sql/0006_attempt_index",
        Action::Apply,
        StepContent::Sql(sql(
            "sql/0006_attempt_index.up.sql",
            false,
            vec![statement(
                2,
                "create index concurrently",
                "CREATE INDEX CONCURRENTLY attempts_tenant ON attempts (tenant_id)",
            )],
        )),
    );
    index.resumes = true;
    index
        .after
        .extend([id("sql/0012_rejected"), id("sql/0005_denormalize_attempts")]);
    let mut hash_tags = step(
        "redis/0001_hash_tags",
        Action::Apply,
        StepContent::Redis(RedisContent {
            path: "redis/0001_hash_tags.toml".to_owned(),
            text: HASH_TAGS.to_owned(),
            allow_lossy: false,
            later: Vec::new(),
        }),
    );
    hash_tags.description = Some("Put tenant ids in hash tags".to_owned());
    hash_tags.after.insert(id("sql/0006_attempt_index"));
    let cleanup = step(
        "sql/0004_delivery_manual_attempt",
        Action::Cleanup,
        StepContent::Sql(SqlContent {
            verify: vec![statement(
                1,
                "select",
                "SELECT count(*) = 0 FROM deliveries WHERE manual IS NULL",
            )],
            ..sql(
                "sql/0004_delivery_manual_attempt.cleanup.sql",
                true,
                vec![statement(1, "drop table", "DROP TABLE deliveries_old")],
            )
        }),
    );
    let adopt = step(
        "sql/0002_delivery_response",
        Action::Adopt {
            proof: "the schema has the fingerprint pinned for sql/0002_delivery_response"
                .to_owned(),
        },
        StepContent::Record,
    );
    let skip = step(
        "redis/0002_timestamps",
        Action::Skip {
            reason: "deployment_id is \"\", and only_if wants \"eu\"".to_owned(),
        },
        StepContent::Record,
    );
    let edit = step(
        "sql/0003_event_delivery_index",
        Action::AcceptEdit {
            recorded: Checksum::of_content("before"),
        },
        StepContent::Record,
    );
    let decided = step(
        "redis/0003_entity",
        Action::Resolve(Resolution::RolledBack),
        StepContent::Record,
    );
    let evidence = BTreeMap::from([
        (
            id("sql/0012_rejected"),
            StepEvidence {
                warnings: vec![warning(
                    WarningKind::DataLoss,
                    "the revert loses data: the column attempts.code",
                    None,
                )],
                ..StepEvidence::default()
            },
        ),
        (
            id("sql/0005_denormalize_attempts"),
            StepEvidence {
                tables: vec![
                    TableSize {
                        table: "public.attempts".to_owned(),
                        rows: Some(1_234_567),
                        bytes: 327_155_712,
                    },
                    TableSize {
                        table: "public.events".to_owned(),
                        rows: None,
                        bytes: 8192,
                    },
                ],
                rehearsal: Some(StepRehearsal {
                    outcome: Outcome::Done,
                    ms: 1_234,
                    statements: vec![
                        StatementRehearsal {
                            ms: 3,
                            locks: vec![LockTaken {
                                relation: "public.attempts".to_owned(),
                                mode: LockMode::AccessExclusive,
                            }],
                            rewritten: vec!["public.attempts".to_owned()],
                            indexes_built: vec!["public.attempts_pkey".to_owned()],
                        },
                        StatementRehearsal::default(),
                    ],
                    keys: None,
                    way_back: Some(WayBack::Differs {
                        differences: vec!["index public.attempts_at is missing".to_owned()],
                    }),
                }),
                statements: vec![
                    StatementImpact {
                        tables: vec![TableImpact {
                            partitions: 3,
                            ..impact(
                                "public.attempts",
                                LockMode::AccessExclusive,
                                TableWork::None,
                            )
                        }],
                    },
                    StatementImpact {
                        tables: vec![
                            TableImpact {
                                created_here: true,
                                ..impact("fresh", LockMode::AccessExclusive, TableWork::Rewrite)
                            },
                            TableImpact {
                                why: Some("a reason, <b>in words</b>".to_owned()),
                                ..impact(
                                    "public.attempts",
                                    LockMode::RowExclusive,
                                    TableWork::EveryRow,
                                )
                            },
                            impact("public.events", LockMode::AccessShare, TableWork::SomeRows),
                        ],
                    },
                ],
                warnings: vec![
                    warning(
                        WarningKind::Rewrite,
                        "every row of public.attempts is written (about 1,234,567 rows)",
                        Some(12),
                    ),
                    warning(
                        WarningKind::Blocking,
                        "writes to public.attempts (about 1,234,567 rows) wait while it runs",
                        Some(12),
                    ),
                    warning(
                        WarningKind::Rehearsal,
                        "its way back does not bring back what was there: index public.attempts_at is missing",
                        None,
                    ),
                    warning(
                        WarningKind::NoVerification,
                        "no .verify.sql proves that it worked",
                        None,
                    ),
                ],
                ..StepEvidence::default()
            },
        ),
        (
            id("redis/0001_hash_tags"),
            StepEvidence {
                keys: Some(KeyCounts {
                    in_scope: 1_000_000,
                    to_do: 10_000,
                    done: 989_999,
                    ignored: 1,
                    extra_bytes: Some(52_428_800),
                    bytes: Some(1_048_576),
                    time: Some(KeyTime {
                        read_per_second: 120_000,
                        least_ms: 8_333,
                        most_ms: 70_000,
                    }),
                    coming: None,
                }),
                rehearsal: Some(StepRehearsal {
                    outcome: Outcome::Done,
                    ms: 12,
                    statements: Vec::new(),
                    keys: Some(64),
                    way_back: Some(WayBack::Differs {
                        differences: vec!["key tenant:1 has another time to live".to_owned()],
                    }),
                }),
                ..StepEvidence::default()
            },
        ),
    ]);
    let mut plan = plan_of(
        Purpose::Migrate,
        vec![
            revert,
            denormalize,
            index,
            hash_tags,
            cleanup,
            adopt,
            skip,
            edit,
            decided,
        ],
        evidence,
    );
    plan.evidence.rehearsal = BTreeMap::from([
        (
            StoreKind::Sql,
            Rehearsal {
                server: RehearsalServer::Throwaway,
                version: "15.8".to_owned(),
                target_version: Some("16".to_owned()),
                origin: Origin::Replayed {
                    migrations: vec![id("sql/0001_init"), id("sql/0012_rejected")],
                },
                differences: vec!["table public.by_<hand> is missing".to_owned()],
                failed: None,
            },
        ),
        (
            StoreKind::Redis,
            Rehearsal {
                server: RehearsalServer::Throwaway,
                version: "7.0.15".to_owned(),
                target_version: Some("8.2.3".to_owned()),
                origin: Origin::Sampled { keys: 64 },
                differences: vec!["2 large keys were left out of the sample".to_owned()],
                failed: None,
            },
        ),
    ]);
    plan.evidence.lint = vec![
        finding(
            "adding-required-field",
            Level::Warn,
            "sql/0005_denormalize_attempts",
            Some(4),
        ),
        finding(
            "full-table-write",
            Level::Warn,
            "sql/0005_denormalize_attempts",
            Some(14),
        ),
        finding(
            "require-table-schema",
            Level::Note,
            "sql/0005_denormalize_attempts",
            Some(3),
        ),
        finding("lock-edited", Level::Error, "sql/0006_attempt_index", None),
        finding("lock-removed", Level::Error, "sql/0007_gone", None),
    ];
    plan.evidence.drift = Some(PinnedDrift {
        after: id("sql/0012_rejected"),
        expected_server: Some(17),
        server: Some(16),
        objects: [
            ("index public.attempts_at", Deviation::Missing),
            ("table public.by_<hand>", Deviation::Unexpected),
            ("table public.events", Deviation::Different),
        ]
        .map(|(object, deviation)| ObjectDifference {
            object: object.to_owned(),
            deviation,
        })
        .into(),
    });
    plan.evidence.redis_drift = Some(vec![KeyDrift {
        id: id("redis/0001_carts"),
        check: "every copy is as its source".to_owned(),
        examined: 20_000,
        unit: "key".to_owned(),
        found: 12,
        findings: (1..=10)
            .map(|at| format!("cart:{{{at}}}:<items> has no field `total`"))
            .collect(),
    }]);
    plan
}

/// What a rule found in the file of a migration.
pub fn finding(rule: &str, level: Level, id_text: &str, line: Option<usize>) -> Finding {
    Finding {
        rule: rule.to_owned(),
        level,
        id: Some(id(id_text)),
        file: format!("{id_text}.up.sql"),
        line,
        message: format!("what {rule} <finds> there, in words"),
        advice: Some(format!("what to do about {rule}, and not to do")),
    }
}

fn impact(table: &str, lock: LockMode, work: TableWork) -> TableImpact {
    TableImpact {
        table: table.to_owned(),
        created_here: false,
        lock,
        partitions: 0,
        work,
        why: None,
    }
}

pub fn warning(kind: WarningKind, message: &str, line: Option<u32>) -> Warning {
    Warning {
        kind,
        message: message.to_owned(),
        line,
    }
}

pub fn status(id_text: &str, status: Status) -> MigrationStatus {
    let recorded = matches!(
        status,
        Status::Applied { .. } | Status::Edited | Status::Ahead
    );
    MigrationStatus {
        failed: None,
        id: id(id_text),
        description: Some(format!("What {} is for", id(id_text).base_name())),
        status,
        at: recorded.then(|| "2026-01-02T03:04:05.678901Z".to_owned()),
        by: recorded.then(|| "anna@build-7".to_owned()),
        version: Some("0.12".to_owned()),
        requires: BTreeSet::new(),
        in_catalog: true,
        out_of_order: false,
    }
}

pub fn lease(expires_in_ms: i64) -> LeaseInfo {
    LeaseInfo {
        id: "5f0e2d".to_owned(),
        token: 7,
        holder: Some(Holder {
            user: "anna".to_owned(),
            host: "build-7".to_owned(),
            pid: 4711,
            plan: "ab".repeat(32),
            signer: None,
        }),
        since: "2026-01-02T03:04:05Z".to_owned(),
        expires_in_ms,
    }
}

pub fn state(identity: StoreIdentity) -> StoreState {
    StoreState {
        identity,
        ledger: BTreeMap::new(),
        legacy: Legacy::default(),
        schema: None,
        lease: None,
        proofs: BTreeMap::new(),
        not_applicable: BTreeMap::new(),
    }
}
