//! `outpost migrate lint` as a person runs it: on files alone.

use std::path::Path;

use assert_cmd::Command;

const CONFIG: &str = "\
[schema]
version = \"latest\"
[postgres]
url = \"${NOWHERE}\"
[redis]
url = \"${NOWHERE_ELSE}\"
";

fn project(config: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("outpost.toml"), config).unwrap();
    for store in ["sql", "redis"] {
        std::fs::create_dir_all(folder.path().join("schema").join(store)).unwrap();
    }
    for (path, text) in files {
        std::fs::write(folder.path().join("schema").join(path), text).unwrap();
    }
    folder
}

/// Exit code and standard output.
fn lint(folder: &Path, arguments: &[&str]) -> (i32, String) {
    migrate(folder, "lint", arguments)
}

fn migrate(folder: &Path, command: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::cargo_bin("outpost")
        .unwrap()
        .current_dir(folder)
        .args(["migrate", command])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!text.is_empty() || !errors.is_empty());
    (output.status.code().unwrap(), format!("{text}{errors}"))
}

#[test]
fn the_exit_code_tells_errors_and_on_request_warnings() {
    let files = [
        ("sql/0001_a.up.sql", "\ndrop table t"),
        ("sql/0001_a.down.sql", "create table t (a int)"),
    ];
    let warned = project(CONFIG, &files);
    let (code, text) = lint(warned.path(), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("warn   sql/0001_a.up.sql:2  ban-drop-table"),
        "{text}"
    );
    assert!(text.ends_with("1 warning, 1 note\n"), "{text}");
    assert_eq!(lint(warned.path(), &["-deny-warnings"]).0, 1);

    let config = format!("{CONFIG}[lint.rules]\nban-drop-table = \"error\"\n");
    let refused = project(&config, &files);
    let (code, json) = lint(refused.path(), &["--format", "json"]);
    assert_eq!(code, 1);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format_version"], 1);
    assert_eq!((&json["errors"], &json["warnings"]), (&1.into(), &0.into()));

    let config =
        format!("{CONFIG}[lint.rules]\nban-drop-table = \"off\"\nmissing-verify = \"off\"\n");
    let (code, text) = lint(project(&config, &files).path(), &["--deny-warnings"]);
    assert_eq!((code, text.as_str()), (0, "nothing to object to\n"));
}

#[test]
fn an_unknown_rule_stops_with_its_line_and_the_nearest() {
    let config = format!("{CONFIG}[lint.rules]\nban-drop-tabel = \"off\"\n");
    let (code, text) = lint(project(&config, &[]).path(), &[]);
    assert_eq!(code, 1);
    assert!(text.contains("outpost.toml:8"), "{text}");
    assert!(text.contains("did you mean `ban-drop-table`?"), "{text}");
}

#[test]
fn outposts_own_schema_has_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let config = CONFIG.replace(
        "[schema]",
        &format!("[schema]\npath = {:?}", schema.display()),
    );
    std::fs::write(folder.path().join("outpost.toml"), config).unwrap();
    let (code, json) = lint(folder.path(), &["--format", "json"]);
    assert_eq!(code, 0, "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["errors"], 0);
    let findings = json["findings"].as_array().unwrap();
    let with = |rule: &str| findings.iter().filter(|f| f["rule"] == rule).count();
    // Every one has a verify and a reverse; the two tables are written anew where the history says so.
    assert_eq!(with("missing-verify") + with("irreversible-step"), 0);
    assert_eq!(with("data-loss-undeclared"), 0);
    assert_eq!(with("changing-column-type"), 4);
}

#[test]
fn u17_c10_edited_removed_added_and_reordered_files_have_names_in_lint_and_in_lock_check() {
    let redis = "scope = \"a:<id>\"\n\n[[step]]\nset = { state = \"open\" }\nin = \"a:<id>\"\n";
    let files = [
        ("sql/0001_a.up.sql", "create table a (id int);\n"),
        ("sql/0002_b.up.sql", "create table b (id int);\n"),
        ("redis/0001_c.toml", redis),
        ("redis/0002_d.toml", &redis.replace("a:", "d:")),
    ];
    let folder = project(CONFIG, &files);
    let path = |file: &str| folder.path().join("schema").join(file);
    let write = |file: &str, text: &str| std::fs::write(path(file), text).unwrap();
    // The names that `lint` and `lock --check` give what they find about the lock file.
    let names = |code: i32| {
        let (exit, text) = migrate(folder.path(), "lock", &["--check", "--format", "json"]);
        assert_eq!(exit, code, "{text}");
        let checked: serde_json::Value = serde_json::from_str(&text).unwrap();
        let (_, text) = lint(folder.path(), &["--format", "json"]);
        let linted: serde_json::Value = serde_json::from_str(&text).unwrap();
        let of = |json: &serde_json::Value, key: &str| {
            let findings = json["findings"].as_array().unwrap().iter();
            let names = findings.map(|finding| finding[key].as_str().unwrap().to_owned());
            let mut names: Vec<String> = names.filter(|name| name.starts_with("lock-")).collect();
            names.sort();
            names
        };
        let names = of(&checked, "name");
        assert_eq!(names, of(&linted, "rule"), "{checked} {linted}");
        names
    };
    // Without a lock file there is nothing for lint to compare with, but CI must not pass.
    let (code, text) = migrate(folder.path(), "lock", &["--check"]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains("! lock-added-without-lock: sql/0001_a.up.sql was added"));
    assert!(text.contains("-> write the lock anew: outpost migrate lock"));

    let (code, text) = migrate(folder.path(), "lock", &[]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(names(0), [""; 0]);
    for (file, text) in &files {
        write(file, &text.replace('\n', "\r\n"));
    }
    assert_eq!(names(0), [""; 0], "an editor's line ends are no edit");

    for (file, text) in [files[0], files[2]] {
        write(
            file,
            &format!("{text}\n# or not\n").replace('#', comment(file)),
        );
        assert_eq!(names(6), ["lock-edited"], "{file}");
        std::fs::remove_file(path(file)).unwrap();
        assert_eq!(names(6), ["lock-removed"], "{file}");
        write(file, text);
    }
    for file in ["sql/0003_e.up.sql", "redis/0003_e.toml"] {
        let text = if file.starts_with("sql") {
            "select 1"
        } else {
            redis
        };
        write(file, text);
        assert_eq!(names(6), ["lock-added-without-lock"], "{file}");
        std::fs::remove_file(path(file)).unwrap();
    }
    // A file of its own keeps its checksum; what it requires decides the order.
    std::fs::write(
        path("outpost.lock"),
        swapped(&std::fs::read_to_string(path("outpost.lock")).unwrap()),
    )
    .unwrap();
    assert_eq!(names(6), ["lock-reordered"]);
    let (code, text) = migrate(folder.path(), "lock", &["--format", "json"]);
    assert_eq!(code, 64, "{text}");
}

fn comment(file: &str) -> &'static str {
    if file.starts_with("sql") { "--" } else { "#" }
}

/// A lock file in which the last two migrations have changed places.
fn swapped(lock: &str) -> String {
    let parts: Vec<&str> = lock.split("[[migration]]").collect();
    let [head @ .., one, other] = &parts[..] else {
        panic!("{lock}");
    };
    let mut parts = head.to_vec();
    parts.extend([*other, *one]);
    parts.join("\n[[migration]]")
}
