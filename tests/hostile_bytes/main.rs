//! Whatever is read from outside, in forms that nobody meant: no panic, no stack that overflows, no memory
//! without bounds, no end that never comes. See docs/reliability.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod campaign;
#[path = "../support/folder.rs"]
mod folder;
mod mutate;
mod nodes;
mod servers;
mod writes;

use std::sync::LazyLock;

use outpost::model::codec::{FORMAT, MAGIC};
use outpost::model::config::{Config, PlanConfig, SchemaConfig};
use outpost::model::duration::parse_duration;
use outpost::model::id::MigrationId;
use outpost::model::lint::LintConfig;
use outpost::model::lock::Lock;
use outpost::model::plan::{Evidence, Plan};
use outpost::model::redis::convert::{Conversion, Format};
use outpost::model::redis::declaration::Declaration;
use outpost::model::redis::pattern::{Pattern, Template};
use outpost::model::redis::printable::printable;
use outpost::model::sql::Script;
use outpost::model::versions::Versions;
use sha2::{Digest as _, Sha256};

use campaign::{Target, run, seeds};
use folder::{Project, State};

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Whoever shows an error asks for its words and its hint.
fn shown<T, E: std::fmt::Display + std::fmt::Debug>(result: Result<T, E>) {
    if let Err(error) = result {
        assert!(!format!("{error}{error:?}").is_empty());
    }
}

const TOML: &[&str] = &[
    "[[version]]",
    "[schema]",
    "[vars]",
    "\"\"\"",
    "'''",
    "= {",
    "[a.b]",
    "${A:-b}",
];

const CONFIG: Target = Target {
    name: "config",
    longest: 50_000,
    costs: 1,
    endings: &["outpost.toml"],
    words: TOML,
    read: |bytes| {
        let text = text(bytes);
        let env = |name: &str| (!name.contains("MISSING")).then(|| "redis://u:p@h:1/2".to_owned());
        shown(Config::parse("outpost.toml", &text, &env));
        shown(PlanConfig::parse_offline("outpost.toml", &text, &env));
        shown(LintConfig::parse("outpost.toml", &text, &env));
        shown(SchemaConfig::parse("outpost.toml", &text, &env));
    },
};

const VERSIONS: Target = Target {
    name: "versions",
    longest: 50_000,
    costs: 1,
    endings: &["versions.toml"],
    words: TOML,
    read: |bytes| shown(Versions::parse("versions.toml", &text(bytes))),
};

const LOCK: Target = Target {
    name: "lock",
    longest: 50_000,
    costs: 1,
    endings: &["outpost.lock"],
    words: TOML,
    read: |bytes| shown(Lock::parse("outpost.lock", &text(bytes))),
};

const SQL: Target = Target {
    name: "sql",
    longest: 2_000,
    costs: 10,
    endings: &[".sql"],
    words: &[
        "-- outpost: transaction = false\n",
        "-- outpost: requires = [\"redis/0001_a\"]\n",
        "-- outpost: vars = true\n",
        "BEGIN;",
        "COMMIT;",
        "CREATE INDEX CONCURRENTLY i ON t (a);",
        "$body$",
        "E'\\''",
        "U&\"d!0061\"",
        "/* /* */",
        "COPY t FROM STDIN;\n\\.\n",
        "DO $$ BEGIN END $$;",
        "ALTER TABLE t ADD COLUMN c int DEFAULT 0,",
    ],
    read: |bytes| {
        let text = text(bytes);
        let vars = [("name".to_owned(), "value".to_owned())].into();
        shown(Script::parse("a.sql", &text));
        if let Ok(script) = Script::parse_with_vars("a.sql", &text, &vars) {
            for (statement, _) in script.risks() {
                assert!(!statement.excerpt().is_empty());
            }
        }
    },
};

const REDIS: Target = Target {
    name: "redis",
    longest: 50_000,
    costs: 1,
    endings: &[
        "redis/0001_hash_tags.toml",
        "redis/0002_timestamps.toml",
        "redis/0003_entity.toml",
    ],
    words: &[
        "[[step]]",
        "copy = \"<a>\"",
        "to = \"{<a>}\"",
        "convert = [\"a\"]",
        "<a..>",
        "scope = \"<a..>\"",
        "fields = {",
        "on_conflict = \"fail\"",
    ],
    read: |bytes| {
        shown(Declaration::parse(
            "a.toml",
            &text(bytes),
            &folder::config(),
        ))
    },
};

/// A pattern or template in the first line, keys in the others.
const PATTERNS: Target = Target {
    name: "patterns",
    longest: 1_000,
    costs: 4,
    endings: &[],
    words: &[
        "<a>",
        "<a..>",
        "{<a>}",
        "<a><a>",
        "${p}",
        ":",
        "<b..><a..>",
        "aaaaaaaaaaaaaaaa",
    ],
    read: |bytes| {
        let mut lines = bytes.split(|b| *b == b'\n');
        let first = text(lines.next().unwrap_or_default()).into_owned();
        let variables = |name: &str| (name == "p").then(|| "prefix:".to_owned());
        shown(Template::parse_key(&first, &variables));
        shown(Template::parse_value(&first, &variables));
        let Ok(pattern) = Pattern::parse_with(&first, &variables) else {
            return;
        };
        let glob = pattern.glob();
        assert!(glob.len() <= 4 * first.len() + 64, "{}", glob.len());
        for key in lines.chain([bytes]) {
            pattern.matches(key);
        }
    },
};

/// Every form into every other.
const VALUES: Target = Target {
    name: "values",
    longest: 50_000,
    costs: 1,
    endings: &[],
    words: &[
        "2024-05-01T12:00:00Z",
        "+23:59",
        "-0000",
        "1e308",
        "NaN",
        "==",
        "\"",
        "0x",
        "9999-12-31T23:59:60Z",
    ],
    read: |bytes| {
        assert!(printable(bytes).len() < 4096);
        let name = text(bytes);
        shown(parse_duration(&name));
        shown(name.parse::<MigrationId>());
        shown(name.parse::<Format>());
        let names = [
            "rfc3339", "unix_s", "unix_ms", "string", "int", "float", "hex", "base64", "text",
        ];
        let formats: Vec<Format> = names.iter().map(|name| name.parse().unwrap()).collect();
        for from in &formats {
            for to in &formats {
                let Ok(conversion) = Conversion::new(from.clone(), to.clone()) else {
                    continue;
                };
                conversion.apply(bytes);
                conversion.loses(bytes);
                conversion.doubt(bytes);
            }
        }
    },
};

const PLAN: Target = Target {
    name: "plan",
    longest: 200_000,
    costs: 1,
    endings: &[],
    words: &[],
    read: |bytes| {
        shown(Plan::decode(bytes));
        // With a frame that fits, so that what is inside is read.
        shown(Plan::decode(&framed(bytes)));
    },
};

/// A frame around a payload.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_be_bytes());
    bytes.extend((payload.len() as u64).to_be_bytes());
    bytes.extend(payload);
    let trailer = Sha256::digest(&bytes);
    bytes.extend(trailer);
    bytes
}

/// The parts of a payload, their announced lengths being right.
fn payload(decision: &[u8], evidence: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82];
    for part in [decision, evidence] {
        bytes.push(0x5a);
        bytes.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

#[test]
fn no_configuration_breaks_its_reader() {
    run(&CONFIG, &seeds(&CONFIG));
}

#[test]
fn no_version_file_breaks_its_reader() {
    run(&VERSIONS, &seeds(&VERSIONS));
}

#[test]
fn no_lock_file_breaks_its_reader() {
    run(&LOCK, &seeds(&LOCK));
}

#[test]
fn no_sql_breaks_its_reader() {
    run(&SQL, &seeds(&SQL));
}

#[test]
fn no_redis_migration_breaks_its_reader() {
    run(&REDIS, &seeds(&REDIS));
}

#[test]
fn no_pattern_and_no_key_breaks_matching() {
    run(&PATTERNS, &seeds(&PATTERNS));
}

#[test]
fn no_value_breaks_a_conversion() {
    run(&VALUES, &seeds(&VALUES));
}

#[test]
fn no_plan_file_breaks_its_reader() {
    let project = Project::new("sql/0001_a redis/0001_x<-sql/0001_a sql/0002_b<-redis/0001_x");
    let plan = folder::sealed(project.plan_latest(&State::empty()).unwrap());
    let file = plan.encode().unwrap();
    // The frame is 23 bytes before the payload and 32 after it.
    let inside = file[23..file.len() - 32].to_vec();
    assert!(Plan::decode(&framed(&inside)).is_ok());
    let mut all = seeds(&PLAN);
    all.extend([file, inside]);
    run(&PLAN, &all);
}

/// A decision and evidence as they are written.
static PARTS_WRITTEN: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let project = Project::new("sql/0001_a redis/0001_x<-sql/0001_a");
    let decision = project.plan_latest(&State::empty()).unwrap();
    [
        cbor4ii::serde::to_vec(Vec::new(), &decision).unwrap(),
        cbor4ii::serde::to_vec(Vec::new(), &Evidence::default()).unwrap(),
    ]
});

/// Each part beside a good other one: the decision is read first.
const PARTS: Target = Target {
    name: "plan_parts",
    longest: 200_000,
    costs: 1,
    endings: &[],
    words: &[],
    read: |bytes| {
        let [decision, evidence] = &*PARTS_WRITTEN;
        shown(Plan::decode(&framed(&payload(bytes, evidence))));
        shown(Plan::decode(&framed(&payload(decision, bytes))));
    },
};

/// Inside a payload whose own lengths fit, each part is CBOR that somebody else may have written.
#[test]
fn no_decision_and_no_evidence_breaks_its_reader() {
    let mut all = [seeds(&PLAN), seeds(&PARTS)].concat();
    all.extend(PARTS_WRITTEN.clone());
    run(&PARTS, &all);
}

#[test]
#[should_panic(expected = "and mend it")]
fn a_reader_that_panics_is_found() {
    const FRAGILE: Target = Target {
        name: "fragile",
        longest: 50_000,
        costs: 1,
        endings: &[],
        words: &[],
        read: |bytes| assert!(bytes.len() < 100),
    };
    run(&FRAGILE, &[b"a".repeat(90)]);
}

#[test]
fn memory_is_limited_indeed() {
    campaign::limit();
    let mut bytes: Vec<u8> = Vec::new();
    assert!(bytes.try_reserve_exact(1 << 30).is_err());
    assert!(bytes.try_reserve_exact(1 << 20).is_ok());
}
