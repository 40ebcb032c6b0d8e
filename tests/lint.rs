//! `outpost migrate lint` as a person runs it: on files alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

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
    std::fs::create_dir_all(folder.path().join("schema/sql")).unwrap();
    for (path, text) in files {
        std::fs::write(folder.path().join("schema").join(path), text).unwrap();
    }
    folder
}

/// Exit code and standard output.
fn lint(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::cargo_bin("outpost")
        .unwrap()
        .current_dir(folder)
        .args(["migrate", "lint"])
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
