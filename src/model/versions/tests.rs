#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

const FILE: &str = "schema/versions.toml";

const GOOD: &str = r#"
[[version]]
name = "0.12"
add = ["sql/0001_init", "redis/0001_hash_tags"]

[[version]]
name = "0.14"
extends = "0.13"

[[version]]
name = "0.13"
extends = "0.12"
add = ["sql/0002_more"]
"#;

fn ids(names: &[&str]) -> BTreeSet<MigrationId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn a_version_holds_what_it_adds_and_what_its_bases_hold() {
    let versions = Versions::parse(FILE, GOOD).unwrap();
    let all = ids(&["sql/0009_unreleased"]);
    for (name, expected) in [
        ("0.12", ids(&["sql/0001_init", "redis/0001_hash_tags"])),
        (
            "0.13",
            ids(&["sql/0001_init", "redis/0001_hash_tags", "sql/0002_more"]),
        ),
        (
            "0.14",
            ids(&["sql/0001_init", "redis/0001_hash_tags", "sql/0002_more"]),
        ),
        ("latest", all.clone()),
    ] {
        assert_eq!(versions.resolve(name, &all).unwrap(), expected, "{name}");
    }
    assert_eq!(
        versions.names().collect::<Vec<_>>(),
        ["0.12", "0.14", "0.13"]
    );
    assert_eq!(
        versions.declared_in(&"sql/0002_more".parse().unwrap()),
        Some("0.13")
    );
    assert_eq!(
        versions.declared_in(&"sql/0009_unreleased".parse().unwrap()),
        None
    );
}

#[test]
fn without_a_file_latest_is_the_only_version() {
    let versions = Versions::single_latest();
    let all = ids(&["sql/0001_init"]);
    assert_eq!(versions.resolve("latest", &all).unwrap(), all);
    let error = versions.resolve("1.2", &all).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no version `1.2`; known are latest"
    );
    assert!(error.hint().unwrap().contains("only `latest`"));
}

#[test]
fn an_unknown_version_names_the_nearest_and_the_known_ones() {
    let versions = Versions::parse(FILE, GOOD).unwrap();
    let error = versions.resolve("0.15", &BTreeSet::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no version `0.15`; known are 0.12, 0.14, 0.13, latest"
    );
    assert_eq!(error.hint().unwrap(), "did you mean `0.12`?");
}

#[test]
fn every_bad_file_is_refused_with_its_line() {
    let add = "[[version]]\nname = \"1\"\nadd = [\"sql/0001_a\"]\n";
    for (text, line, message, hint) in [
        ("[[version]\n".to_owned(), 1, "column", "mend"),
        ("versions = 1\n".to_owned(), 1, "no key `versions`", "`version`"),
        ("[[versoin]]\n".to_owned(), 1, "no key `versoin`", "`version`"),
        ("[version]\nname = \"1\"\n".to_owned(), 1, "must be an array of tables", "write"),
        ("\n[[version]]\nadd = []\n".to_owned(), 2, "`name` is missing in [version]", "add `name"),
        ("[[version]]\nname = 1\n".to_owned(), 2, "must be a string", "write"),
        ("[[version]]\nname = \"1\"\nextend = \"0\"\n".to_owned(), 3, "no key `extend`", "`extends`"),
        ("[[version]]\nname = \"latest\"\n".to_owned(), 2, "cannot be declared", "release"),
        ("[[version]]\nname = \"a b\"\n".to_owned(), 2, "white space", "use"),
        ("[[version]]\nname = \"1\"\nadd = [\n\"sql/../x\"]\n".to_owned(), 4, "not a migration id", "such as"),
        (format!("{add}[[version]]\nname = \"1\"\n"), 5, "already declared on line 2", "rename"),
        (
            "[[version]]\nname = \"1\"\nadd = [\"sql/1_a\",\n\"sql/1_a\"]\n".to_owned(),
            4,
            "adds sql/1_a again: `1` adds it on line 3",
            "remove it from `1`",
        ),
        (
            format!("{add}[[version]]\nname = \"2\"\nextends = \"1\"\nadd = [\"sql/0001_a\"]\n"),
            7,
            "`2` adds sql/0001_a again: `1` adds it on line 3",
            "remove it from `2`",
        ),
        (format!("{add}[[version]]\nname = \"2.0\"\nextends = \"1.x\"\n"), 6, "not declared", "declare `1.x`"),
        ("[[version]]\nname = \"1\"\nextends = \"latest\"\n".to_owned(), 3, "not declared", "cannot extend"),
        ("[[version]]\nname = \"1\"\nextends = \"1\"\n".to_owned(), 3, "circle: 1 -> 1", "remove one"),
        (
            "[[version]]\nname = \"z\"\nextends = \"a\"\n[[version]]\nname = \"a\"\nextends = \"b\"\n\
             [[version]]\nname = \"b\"\nextends = \"a\"\n"
                .to_owned(),
            9,
            "circle: a -> b -> a",
            "remove one",
        ),
    ] {
        let error = Versions::parse(FILE, &text).expect_err(&text);
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("{FILE}:{line}: ")), "{shown}");
        assert!(shown.contains(message), "{shown}");
        assert!(error.hint().unwrap().contains(hint), "{shown}: {:?}", error.hint());
    }
}

#[test]
fn the_catalog_must_hold_every_id_and_the_version_every_requirement() {
    let versions = Versions::parse(FILE, GOOD).unwrap();
    let all = ids(&[
        "sql/0001_init",
        "redis/0001_hash_tags",
        "sql/0002_more",
        "sql/0003_late",
    ]);
    let requires = |id: &str, needs: &str| BTreeMap::from([(id.parse().unwrap(), ids(&[needs]))]);

    assert_eq!(versions.validate(&all, &BTreeMap::new()), Ok(()));
    assert_eq!(
        versions.validate(&all, &requires("sql/0002_more", "redis/0001_hash_tags")),
        Ok(())
    );

    let fewer = ids(&["sql/0001_init", "redis/0001_hash_tag", "sql/0002_more"]);
    let error = versions.validate(&fewer, &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "schema/versions.toml:4: version `0.12` adds redis/0001_hash_tags, which is not in the catalog"
    );
    assert_eq!(error.hint().unwrap(), "did you mean `redis/0001_hash_tag`?");

    for (id, needs, line) in [
        ("sql/0001_init", "sql/0002_more", 4),
        ("sql/0002_more", "sql/0003_late", 13),
    ] {
        let error = versions.validate(&all, &requires(id, needs)).unwrap_err();
        assert_eq!(error.line, Some(line));
        assert!(
            error
                .to_string()
                .contains(&format!("adds {id}, which requires {needs}")),
            "{error}"
        );
        assert!(error.hint().unwrap().contains(needs));
    }
}

proptest! {
    #[test]
    fn parsing_any_text_never_panics(text in "(?s).*") {
        let _ = Versions::parse(FILE, &text);
    }

    #[test]
    fn any_extends_ends_in_a_set_or_an_error(bases in proptest::collection::vec(0..6_u8, 1..6)) {
        let text: String = bases
            .iter()
            .enumerate()
            .map(|(i, base)| format!("[[version]]\nname = \"v{i}\"\nextends = \"v{base}\"\n"))
            .collect();
        // Every version extends another, so there is always a circle or a missing base.
        prop_assert!(Versions::parse(FILE, &text).is_err());
    }
}
