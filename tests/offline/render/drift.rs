//! `drift`: with definitions from a replay, and with the digests of a lock file.

use outpost::model::drift::{Drift, DriftConfig, Expected, ObjectPattern, SchemaDrift};
use outpost::model::lock::LockedMigration;
use outpost::model::state::SchemaObjects;
use outpost::model::verification::Check;
use outpost::render::{drift, drift_hint, drift_json};

use super::golden::{COLOUR, NARROW, WIDE, golden, shown};
use super::values::id;

const EVENTS: &str = r#"{"kind": "r", "persistence": "p", "row_security": false, "columns": {
    "id": {"type": "bigint", "not_null": true, "identity": "a"},
    "name": {"type": "text", "not_null": true},
    "note": {"type": "text", "not_null": false},
    "time": {"type": "timestamp with time zone", "default": "now()", "not_null": true}}}"#;

fn schema(objects: &[(&str, &str, &str)], server_major: u32) -> SchemaObjects {
    let mut schema = SchemaObjects {
        server_major: Some(server_major),
        ..SchemaObjects::default()
    };
    for (object, definition, on) in objects {
        schema
            .definitions
            .insert((*object).to_owned(), (*definition).to_owned());
        if !on.is_empty() {
            schema
                .attached
                .insert((*object).to_owned(), (*on).to_owned());
        }
    }
    schema
}

fn recorded() -> SchemaObjects {
    schema(
        &[
            ("table public.events", EVENTS, ""),
            (
                "index public.events_name",
                "CREATE INDEX events_name ON public.events USING btree (name)",
                "public.events",
            ),
            (
                "function public.shout(text)",
                "CREATE OR REPLACE FUNCTION public.shout(text)\n RETURNS text\n LANGUAGE sql\nAS $function$\n  select upper($1)\n$function$\n",
                "",
            ),
        ],
        17,
    )
}

fn real(server_major: u32) -> SchemaObjects {
    let changed = EVENTS.replace(
        r#""name": {"type": "text", "not_null": true}"#,
        r#""name": {"type": "character varying(20)", "not_null": false}"#,
    );
    schema(
        &[
            ("table public.events", &changed, ""),
            (
                "index public.by_hand",
                "CREATE INDEX by_hand ON public.events USING btree (lower(name), id) WHERE (name IS NOT NULL)",
                "public.events",
            ),
            (
                "function public.shout(text)",
                "CREATE OR REPLACE FUNCTION public.shout(text)\n RETURNS text\n LANGUAGE sql\nAS $function$\n  select \u{1b}[2J$1\n$function$\n",
                "",
            ),
        ],
        server_major,
    )
}

fn checks() -> Vec<Check> {
    let mut kept = Check::new(Some(id("redis/0001_times")), "values are converted", "key");
    kept.examined = 1_200;
    let mut broken = Check::new(Some(id("redis/0002_state")), "fields are set", "key");
    broken.examined = 1_200;
    broken.fail("cart:7: field state is missing");
    vec![kept, broken]
}

/// An index of somebody else, and what nobody has.
fn ignoring() -> DriftConfig {
    let ignore = ["index public.by_*", "table other_\u{1b}[2Jtool_state"];
    DriftConfig {
        ignore: ignore
            .map(|text| ObjectPattern::parse(text).unwrap())
            .into(),
    }
}

fn everything() -> Drift {
    let mut half_done = Check::new(None, "nothing is half done", "record");
    half_done.fail("sql/0004_index: an apply was begun and not finished");
    Drift {
        schema: Some(SchemaDrift::new(
            Expected::Replayed(recorded()),
            &real(16),
            &DriftConfig::default(),
        )),
        redis: Some(checks()),
        caveats: vec![half_done],
    }
}

#[test]
fn u17_what_drifted_is_shown_object_by_object() {
    let found = everything();
    golden("drift-100.txt", |out| drift(out, WIDE, &found));
    golden("drift-40.txt", |out| drift(out, NARROW, &found));
    golden("drift-colour.txt", |out| drift(out, COLOUR, &found));
    golden("drift.json", |out| drift_json(out, &found));
    golden("drift-hint.txt", |out| drift_hint(out, WIDE));
    let pin = LockedMigration {
        id: id("sql/0003_shout"),
        files: Default::default(),
        objects: recorded().digests(),
    };
    let locked = Drift {
        schema: Some(SchemaDrift::new(
            Expected::Locked {
                pin,
                server_major: Some(17),
            },
            &real(17),
            &ignoring(),
        )),
        redis: None,
        caveats: Vec::new(),
    };
    golden("drift-lock.txt", |out| drift(out, WIDE, &locked));
    golden("drift-lock-40.txt", |out| drift(out, NARROW, &locked));
    golden("drift-lock.json", |out| drift_json(out, &locked));
}

#[test]
fn without_drift_one_line_says_what_was_compared() {
    let mut found = Drift {
        schema: Some(SchemaDrift::new(
            Expected::Replayed(recorded()),
            &recorded(),
            &DriftConfig::default(),
        )),
        redis: Some(checks()[..1].to_vec()),
        caveats: Vec::new(),
    };
    assert!(!found.found());
    golden("drift-none.txt", |out| drift(out, WIDE, &found));
    found.schema = None;
    found.redis = Some(Vec::new());
    assert_eq!(
        shown(|out| drift(out, WIDE, &found)),
        "No drift: no Redis migration applied.\n"
    );
    found.redis = None;
    assert_eq!(
        shown(|out| drift(out, WIDE, &found)),
        "No drift: nothing is recorded yet.\n"
    );
}
