#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

fn schema(objects: &[(&str, &str, &str)]) -> SchemaObjects {
    let mut schema = SchemaObjects::default();
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

fn found(expected: &SchemaObjects, real: &SchemaObjects) -> Vec<String> {
    let drift = SchemaDrift::new(
        Expected::Replayed(expected.clone()),
        real,
        &DriftConfig::default(),
    );
    assert_eq!(drift.examined, expected.definitions.len() as u64);
    let words = drift.objects.iter().map(|o| o.difference.to_string());
    words.collect()
}

#[test]
fn u17_what_is_missing_unexpected_or_different_is_named() {
    let expected = schema(&[
        ("table public.a", "id bigint", ""),
        ("index public.a_id", "on a (id)", "public.a"),
        ("function public.f()", "select 1", ""),
    ]);
    assert_eq!(found(&expected, &expected), [""; 0]);
    let mut real = schema(&[
        ("table public.a", "id int", ""),
        ("function public.f()", "select 1", ""),
        ("index public.by_hand", "on a (id, id)", "public.a"),
        ("view public.v", "select", ""),
        // Somebody else's.
        ("table other.b", "id bigint", ""),
        ("index other.b_id", "on b (id)", "other.b"),
        ("extension pg_stat_statements", "installed", ""),
        ("schema other", "exists", ""),
        // An operator's.
        ("table public.a_2027", "part", ""),
        ("index public.a_2027_id", "part", "public.a_2027"),
    ]);
    real.partitions = ["table public.a_2027", "index public.a_2027_id"]
        .map(str::to_owned)
        .into();
    assert_eq!(
        found(&expected, &real),
        [
            "index public.a_id is missing",
            "index public.by_hand is unexpected",
            "table public.a is defined differently",
            "view public.v is unexpected",
        ]
    );
}

#[test]
fn a_table_in_the_schema_of_somebody_else_is_watched_where_a_migration_made_it() {
    let expected = schema(&[("table shared.ours", "id", "")]);
    let real = schema(&[
        ("table shared.ours", "id", ""),
        ("trigger shared.ours.t", "on ours", "shared.ours"),
        (
            "trigger elsewhere.theirs.t",
            "on theirs",
            "elsewhere.theirs",
        ),
    ]);
    assert_eq!(
        found(&expected, &real),
        ["trigger shared.ours.t is unexpected"]
    );
    assert_eq!(found(&SchemaObjects::default(), &real), [""; 0]);
}

#[test]
fn a_lock_file_knows_that_a_definition_differs_and_not_how_it_was() {
    let expected = schema(&[("table public.a", "id bigint", "")]);
    let pin = LockedMigration {
        id: "sql/0001_a".parse().unwrap(),
        files: BTreeMap::new(),
        objects: expected.digests(),
    };
    let locked = Expected::Locked {
        pin,
        server_major: Some(17),
    };
    let drift = SchemaDrift::new(
        locked,
        &schema(&[("table public.a", "id int", "")]),
        &DriftConfig::default(),
    );
    let [object] = &drift.objects[..] else {
        panic!("{drift:?}");
    };
    assert_eq!(object.difference.deviation, Deviation::Different);
    assert_eq!(object.recorded, None);
    assert_eq!(object.real.as_deref(), Some("id int"));
}

#[test]
fn what_is_ignored_counts_for_nothing_unless_a_migration_made_it() {
    let expected = schema(&[("table public.a", "id bigint", "")]);
    let real = schema(&[
        ("index public.other_a", "on a (id)", "public.a"),
        ("sequence public.other_seq", "1", ""),
        ("table public.mine", "id int", ""),
        ("table public.other_state", "id int", ""),
    ]);
    let ignore = ["* other_*", "table public.*_state", "table a", "view v"];
    let config = DriftConfig {
        ignore: ignore
            .map(|text| ObjectPattern::parse(text).unwrap())
            .into(),
    };
    let drift = SchemaDrift::new(Expected::Replayed(expected), &real, &config);
    let words: Vec<String> = drift
        .objects
        .iter()
        .map(|o| o.difference.to_string())
        .collect();
    assert_eq!(
        words,
        [
            "table public.a is missing",
            "table public.mine is unexpected"
        ]
    );
    assert_eq!(
        drift.ignored,
        [
            "index public.other_a",
            "sequence public.other_seq",
            "table public.other_state"
        ]
    );
    let unused: Vec<String> = drift.unused.iter().map(ToString::to_string).collect();
    assert_eq!(unused, ["table a", "view v"]);
}
