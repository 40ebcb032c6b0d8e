//! Every operation and every family of conversions through the same phases, by the real command: planned,
//! applied, applied again, verified, damaged, verified, reverted. A row is an operation.

use std::collections::BTreeMap;

use outpost::sandbox::RedisServer;

use crate::cluster::RedisCluster;
use crate::support::project::{Ended, Project};
use crate::support::{fresh_redis, fresh_redis_with};

/// What must be taken as it is, in a name: bytes that no screen must see raw (a glob's, an escape sequence, no
/// UTF-8, nothing), and what would end a string of Lua or a request of the protocol.
const ODD: &str = concat!(
    r"*[x]?\x1b[31m\x0a\x00\xff",
    r"'..redis.call('FLUSHALL')..'",
    r#""]]redis.call("FLUSHALL")--"#,
    r"\x0d\x0a*1\x0d\x0a$8\x0d\x0aFLUSHALL\x0d\x0a",
);
/// A moment to live until, milliseconds: far enough, and told apart to the last digit.
const UNTIL: &str = "33000000000123";

/// One operation.
struct Row {
    /// The steps, and what else is at the top of the file.
    text: String,
    /// Commands that make the keys. Words are split at spaces; `""` is empty, `\xNN` a byte.
    before: Vec<String>,
    /// Keys that the plan finds something to do for.
    to_do: u64,
    /// Commands and what they answer once it is applied.
    after: Vec<(&'static str, String)>,
    /// A command that damages one key, and one that repairs it.
    damage: (String, String),
    /// The exit code of a verification after the damage, and what it names.
    verified: (i32, &'static str),
    /// Why it cannot be reverted, where it cannot.
    irreversible: Option<&'static str>,
}

fn rows() -> BTreeMap<&'static str, Row> {
    let scope = "scope = \"a:<rest..>\"";
    let hash = |fields: &str| {
        vec![
            format!("HSET a:1 {fields}"),
            format!("PEXPIREAT a:1 {UNTIL}"),
            format!("HSET a:{ODD} {fields}"),
        ]
    };
    let row = |step: &str, before: Vec<String>| Row {
        text: format!("{scope}\n[[step]]\n{step}\n"),
        before,
        to_do: 2,
        after: vec![("EXISTS a:none", "0".to_owned())],
        damage: ("HSET a:1 f damaged".to_owned(), "HSET a:1 f v".to_owned()),
        verified: (6, "a:1"),
        irreversible: None,
    };
    let damaged = |row: Row, damage: &str, repair: &str, named: &'static str| Row {
        damage: (damage.to_owned(), repair.to_owned()),
        verified: (6, named),
        ..row
    };
    let after = |row: Row, probes: &[(&'static str, &str)]| Row {
        after: probes
            .iter()
            .map(|(command, answer)| (*command, (*answer).to_owned()))
            .collect(),
        ..row
    };
    let lost = |row: Row, reason: &'static str| Row {
        irreversible: Some(reason),
        ..row
    };
    let mut rows = BTreeMap::new();

    let copy = row(
        "copy = \"a:<x>\"\nto = \"b:{<x>}\"\ntype = \"hash\"",
        hash(r#"f v \xfe\x0a """#),
    );
    rows.insert(
        "copy",
        Row {
            // A copy that differs may be newer than its source, so it is told and fails nothing.
            verified: (0, "a:1: its target differs"),
            damage: (
                "HSET b:{1} f damaged".to_owned(),
                "HSET b:{1} f v".to_owned(),
            ),
            ..after(
                copy,
                &[
                    ("HGET b:{1} f", "v"),
                    (r"HSTRLEN b:{1} \xfe\x0a", "0"),
                    ("PEXPIRETIME b:{1}", UNTIL),
                ],
            )
        },
    );

    let mut keys = hash(r#"f v \xfe\x0a """#);
    keys.extend([
        format!("SET a:s {ODD}"),
        format!("PEXPIREAT a:s {UNTIL}"),
        "RPUSH a:l 1 2".to_owned(),
    ]);
    let rename = row("rename = \"a:<x>\"\nto = \"b:{<x>}\"", keys);
    rows.insert(
        "rename",
        Row {
            to_do: 4,
            ..damaged(
                after(
                    rename,
                    &[
                        ("EXISTS a:1", "0"),
                        ("HGET b:{1} f", "v"),
                        ("PEXPIRETIME b:{1}", UNTIL),
                        ("PEXPIRETIME b:{s}", UNTIL),
                        ("LLEN b:{l}", "2"),
                    ],
                ),
                "SET a:again x",
                "DEL a:again",
                "a:again: it still has its old name",
            )
        },
    );

    rows.insert(
        "set",
        damaged(
            after(
                row("set = { k = \"<x>!\" }\nin = \"a:<x>\"", hash("f v")),
                &[("HGET a:1 k", "1!"), ("PEXPIRETIME a:1", UNTIL)],
            ),
            "HDEL a:1 k",
            "HSET a:1 k 1!",
            "missing: a:1: k",
        ),
    );
    rows.insert(
        "set, overwriting",
        lost(
            damaged(
                after(
                    row(
                        "set = { f = \"w\" }\nin = \"a:<x>\"\noverwrite = true",
                        hash("f v"),
                    ),
                    &[("HGET a:1 f", "w")],
                ),
                "HSET a:1 f v",
                "HSET a:1 f w",
                "a:1: another value than declared",
            ),
            "it overwrites values",
        ),
    );
    rows.insert(
        "rename_field",
        damaged(
            after(
                row(
                    "rename_field = \"f\"\nto = \"g\"\nin = \"a:<x>\"",
                    hash(r"f \xff"),
                ),
                &[("HEXISTS a:1 f", "0"), ("HSTRLEN a:1 g", "1")],
            ),
            "HSET a:1 f v",
            "HDEL a:1 f",
            "a:1: it has both f and g",
        ),
    );
    rows.insert(
        "remove_field",
        lost(
            damaged(
                row("remove_field = \"f\"\nin = \"a:<x>\"", hash("f v g w")),
                "HSET a:1 f v",
                "HDEL a:1 f",
                "a:1: f is still there",
            ),
            "it removes values",
        ),
    );
    rows.insert(
        "expire",
        lost(
            damaged(
                row("expire = \"a:<x>\"\nafter = \"900d\"", hash("f v")),
                "PERSIST a:1",
                "PEXPIRE a:1 1000000",
                "a:1: another time to live",
            ),
            "times to live before it are not kept",
        ),
    );
    rows.insert(
        "persist",
        lost(
            Row {
                to_do: 1,
                ..damaged(
                    after(
                        row("persist = \"a:<x>\"", hash("f v")),
                        &[("PTTL a:1", "-1")],
                    ),
                    "PEXPIRE a:1 1000000",
                    "PERSIST a:1",
                    "a:1: another time to live",
                )
            },
            "times to live before it are not kept",
        ),
    );
    rows.insert(
        "delete",
        lost(
            damaged(
                after(
                    row("delete = \"a:<x>\"", hash("f v")),
                    &[("EXISTS a:1", "0")],
                ),
                "SET a:new x",
                "DEL a:new",
                "a:new: it is still there",
            ),
            "it deletes keys",
        ),
    );
    rows.insert(
        "command",
        Row {
            text: "[[step]]\ncommand = [\"SET\", \"index\", \"<1>\"]\ncheck = [\"GET\", \"index\"]\nundo = [\"DEL\", \"index\"]\n"
                .replace("<1>", "one"),
            to_do: 1,
            ..damaged(
                after(row("", Vec::new()), &[("GET index", "one")]),
                "DEL index",
                "SET index one",
                "its check fails",
            )
        },
    );
    rows.insert(
        "script",
        damaged(
            after(
                row(SCRIPT, hash("v 1")),
                &[("HGET a:1 v", "2"), ("HGET a:1 name", "1")],
            ),
            "HSET a:1 v 1",
            "HSET a:1 v 2",
            "a:1: the step's check asks for work",
        ),
    );
    rows.insert(
        "script, without undo",
        lost(
            damaged(
                row(&SCRIPT[..SCRIPT.find("undo").unwrap()], hash("v 1")),
                "HSET a:1 v 1",
                "HSET a:1 v 2",
                "a:1: the step's check asks for work",
            ),
            "it has no `undo`",
        ),
    );

    let split = "convert = \"p\"\nin = \"a:<x>\"\nfrom_format = \"json\"\nto_format = { fields = { name = \"string\", age = \"int\", tags = \"json\" } }";
    let object = r#"{"name":"n\u0000\"","age":-7,"tags":[1,\x20{"a":null}]}"#;
    rows.insert(
        "convert json",
        damaged(
            after(
                row(split, hash(&format!("p {object}"))),
                &[
                    ("HEXISTS a:1 p", "0"),
                    ("HGET a:1 name", "n\0\""),
                    ("HGET a:1 age", "-7"),
                    ("HGET a:1 tags", "[1, {\"a\":null}]"),
                    ("PEXPIRETIME a:1", UNTIL),
                ],
            ),
            r#"HSET a:new p {"name":"x"}"#,
            "DEL a:new",
            "a:new: p in the old form",
        ),
    );
    let join = "convert = \"p\"\nin = \"a:<x>\"\nfrom_format = { fields = { name = \"string\", age = \"int\" } }\nto_format = \"json\"";
    rows.insert(
        "convert to json",
        damaged(
            after(
                row(join, hash(r#"name \x22q\x22 age 7 other \xff"#)),
                &[
                    ("HGET a:1 p", r#"{"name":"\"q\"","age":7}"#),
                    ("HEXISTS a:1 name", "0"),
                    ("HSTRLEN a:1 other", "1"),
                ],
            ),
            "HSET a:new age 1",
            "DEL a:new",
            "a:new: age in the old form",
        ),
    );
    for (name, from, to, old, new) in [
        (
            "rfc3339 to unix_ms",
            "'rfc3339'",
            "'unix_ms'",
            "2024-01-02T03:04:05Z",
            "1704164645000",
        ),
        (
            "rfc3339 to unix_s",
            "'rfc3339'",
            "'unix_s'",
            "2024-01-02T03:04:05Z",
            "1704164645",
        ),
        (
            "unix_s to unix_ms",
            "'unix_s'",
            "'unix_ms'",
            "1704164645",
            "1704164645000",
        ),
        (
            "unix_ms to rfc3339",
            "'unix_ms'",
            "'rfc3339'",
            "1704164645000",
            "2024-01-02T03:04:05Z",
        ),
        ("string to int", "'string'", "'int'", "\"42\"", "42"),
        ("int to string", "'int'", "'string'", "42", "\"42\""),
        ("int to float", "'int'", "'float'", "42", "42.0"),
        ("hex to base64", "'hex'", "'base64'", "00ff10", "AP8Q"),
        ("base64 to hex", "'base64'", "'hex'", "AP8Q", "00ff10"),
        (
            "text to hex",
            "'text'",
            "'hex'",
            "zürich!",
            "7ac3bc7269636821",
        ),
        ("prefix", "'text'", "{ prefix = 'p-' }", "x", "p-x"),
        ("no prefix", "{ prefix = 'p-' }", "'text'", "p-x", "x"),
        ("suffix", "'text'", "{ suffix = '-s' }", "x", "x-s"),
        (
            "replace",
            "'text'",
            "{ replace = 'old', with = 'new' }",
            "an old one",
            "an new one",
        ),
    ] {
        let step = format!(
            "convert = [\"c\", \"u\"]\nin = \"a:<x>\"\nfrom_format = {from}\nto_format = {to}"
        );
        let (old, word) = (old.replace(' ', r"\x20"), new.replace(' ', r"\x20"));
        let converted = Row {
            after: vec![
                ("HGET a:1 c", new.to_owned()),
                ("HEXISTS a:1 u", "0".to_owned()),
                ("PEXPIRETIME a:1", UNTIL.to_owned()),
            ],
            ..row(&step, hash(&format!("c {old} other \\xff")))
        };
        let (damage, repair) = (format!("HSET a:1 c {old}"), format!("HSET a:1 c {word}"));
        rows.insert(
            name,
            damaged(converted, &damage, &repair, "a:1: c in the old form"),
        );
    }
    rows
}

const SCRIPT: &str = r#"
in     = "a:<x>"
type   = "hash"
args   = ["<x>"]
script = """
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'v', '2', 'name', ARGV[i])
end
"""
check  = """
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('HGET', key, 'v') ~= '2'
end
return answers
"""
undo   = """
for _, key in ipairs(KEYS) do
  redis.call('HSET', key, 'v', '1')
  redis.call('HDEL', key, 'name')
end
"""
"#;

#[test]
fn u21_u24_u31_every_operation_goes_there_and_back_in_the_same_phases() {
    let redis = fresh_redis();
    for (name, row) in rows() {
        send(&redis, "FLUSHALL");
        for command in &row.before {
            send(&redis, command);
        }
        let before = snapshot(&redis);
        let project = project(&redis, &row.text);
        let plan = project.migrate("plan --format json").ok().json();
        let keys = &plan["steps"][0]["keys"];
        assert_eq!(keys["to_do"], row.to_do, "{name}: {keys}");
        assert_eq!(snapshot(&redis), before, "{name}: a plan writes nothing");

        shown(project.apply());
        for (command, answer) in &row.after {
            assert_eq!(
                &asked(&redis, command),
                answer.as_bytes(),
                "{name}: {command}"
            );
        }
        let applied = snapshot(&redis);
        // As if it had never been applied: then nothing is left to do for it either.
        send(&redis, "HDEL {outpost}:ledger redis/0001_it");
        let plan = project.migrate("plan --format json").ok().json();
        assert_eq!(plan["steps"][0]["keys"]["to_do"], 0, "{name}: {plan}");
        project.apply();
        assert_eq!(snapshot(&redis), applied, "{name}: a second apply");

        shown(project.migrate("verify").ok());
        let (damage, repair) = &row.damage;
        send(&redis, damage);
        let (code, named) = row.verified;
        shown(project.migrate("verify").exits(code).says(named));
        send(&redis, repair);
        project.migrate("verify").ok();

        let back = project.migrate("apply --yes --to none");
        match row.irreversible {
            None => {
                back.ok();
                assert_eq!(snapshot(&redis), before, "{name}: back");
            }
            Some(reason) => {
                shown(back.exits(1).says(reason));
            }
        }
    }
}

#[test]
fn u27_a_hash_of_many_fields_is_copied_with_all_of_them() {
    let redis = fresh_redis();
    let mut connection = connect(&redis);
    let mut fields = BTreeMap::new();
    for n in 0..20_000_u32 {
        let field = [&b"\xff\x0a"[..], &n.to_be_bytes()].concat();
        fields.insert(
            field,
            if n % 7 == 0 {
                Vec::new()
            } else {
                n.to_le_bytes().to_vec()
            },
        );
    }
    for part in fields.iter().collect::<Vec<_>>().chunks(1000) {
        let mut command = redis::cmd("HSET");
        command.arg("a:1");
        for (field, value) in part {
            command.arg(&field[..]).arg(&value[..]);
        }
        let () = command.query(&mut connection).unwrap();
    }
    for step in ["copy", "rename"] {
        let text =
            format!("scope = \"a:<x..>\"\n[[step]]\n{step} = \"a:<x>\"\nto = \"{step}:{{<x>}}\"\n");
        project(&redis, &text).apply();
        let found: BTreeMap<Vec<u8>, Vec<u8>> = redis::cmd("HGETALL")
            .arg(format!("{step}:{{1}}"))
            .query(&mut connection)
            .unwrap();
        assert_eq!(found, fields);
        send(&redis, "DEL {outpost}:ledger");
    }
    assert_eq!(asked(&redis, "EXISTS a:1"), b"0");
}

#[test]
fn u24_fields_keep_times_to_live_of_their_own_where_the_server_knows_such() {
    let redis = fresh_redis();
    let mut connection = connect(&redis);
    let mut until = redis::cmd("HPEXPIREAT");
    until.arg("a:1").arg(UNTIL).arg("FIELDS").arg(1).arg("f");
    let mut times = |key: &str, field: &str| -> Option<Vec<i64>> {
        let mut command = redis::cmd("HPEXPIRETIME");
        command
            .arg(key)
            .arg("FIELDS")
            .arg(2)
            .arg(field)
            .arg("other");
        command.query(&mut connection).ok()
    };
    // Before Redis 7.4 and Valkey 9 there are none, and all else is the same.
    let known = times("a:1", "f").is_some();
    let convert =
        "convert = \"f\"\nin = \"a:<x>\"\nfrom_format = \"text\"\nto_format = { prefix = \"p-\" }";
    let set = "set = { f = \"w\" }\nin = \"a:<x>\"\noverwrite = true";
    let rename_field = "rename_field = \"f\"\nto = \"g\"\nin = \"a:<x>\"";
    for (step, key, field, value) in [
        (convert, "a:1", "f", "p-v"),
        (set, "a:1", "f", "w"),
        (rename_field, "a:1", "g", "v"),
        ("copy = \"a:<x>\"\nto = \"b:<x>\"", "b:1", "f", "v"),
        ("rename = \"a:<x>\"\nto = \"b:<x>\"", "b:1", "f", "v"),
    ] {
        // As many fields as are dealt with in one go, and more.
        for more in [0, 2500] {
            send(&redis, "FLUSHALL");
            send(&redis, "HSET a:1 f v other x");
            let fields: Vec<String> = (0..more).map(|n| format!("more{n} {n}")).collect();
            for fields in fields.chunks(1000) {
                send(&redis, &format!("HSET a:1 {}", fields.join(" ")));
            }
            if known {
                until.exec(&mut connect(&redis)).unwrap();
            }
            let text = format!("scope = \"a:<x..>\"\n[[step]]\n{step}\n");
            project(&redis, &text).apply();
            let name = format!("{more} more fields, {step}");
            assert_eq!(
                asked(&redis, &format!("HGET {key} {field}")),
                value.as_bytes(),
                "{name}"
            );
            assert_eq!(
                asked(&redis, &format!("HLEN {key}")),
                (more + 2).to_string().as_bytes(),
                "{name}"
            );
            let expected = vec![UNTIL.parse().unwrap(), -1];
            assert_eq!(times(key, field), known.then_some(expected), "{name}");
        }
    }
}

#[test]
fn u25_a_renaming_never_overwrites_a_key_in_either_direction() {
    let redis = fresh_redis();
    let text = "scope = \"a:<x..>\"\n[[step]]\nrename = \"a:<x>\"\nto = \"b:<x>\"\n";
    let project = project(&redis, text);
    for command in ["SET a:1 old", "SET a:2 old", "SET b:2 new"] {
        send(&redis, command);
    }
    for arguments in ["plan", "apply --yes"] {
        project
            .migrate(arguments)
            .refuses(1, &["1 key has its target in place already: a:2"]);
    }
    assert_eq!(asked(&redis, "GET b:2"), b"new");
    send(&redis, "DEL b:2");
    project.apply();
    send(&redis, "SET a:1 again");
    for arguments in ["plan --to none", "apply --yes --to none"] {
        project
            .migrate(arguments)
            .refuses(1, &["1 key has its target in place already: b:1"]);
    }
    assert_eq!(asked(&redis, "GET a:1"), b"again");
    send(&redis, "DEL a:1");
    project.migrate("apply --yes --to none").ok();
    assert_eq!(asked(&redis, "GET a:1"), b"old");
    assert_eq!(asked(&redis, "GET a:2"), b"old");
}

#[test]
fn u22_keys_whose_new_name_would_not_lead_back_are_named_and_left() {
    let redis = fresh_redis();
    let text =
        "scope = \"a:<x..>\"\n[[step]]\nrename = \"a:<x..>-<y..>\"\nto = \"b:<y..>-<x..>\"\n";
    let project = project(&redis, text);
    for command in ["SET a:1-2 x", "SET a:1-2-3 y"] {
        send(&redis, command);
    }
    for arguments in ["plan", "apply --yes"] {
        project
            .migrate(arguments)
            .refuses(1, &["a:1-2-3 (its new name would be read back as a:3-1-2)"]);
    }
    assert_eq!(asked(&redis, "GET a:1-2-3"), b"y");
}

#[test]
fn u31_json_that_does_not_fit_stops_the_step_or_is_recorded_and_keeps_being_named() {
    let step = "scope = \"a:<x..>\"\n[[step]]\nconvert = \"p\"\nin = \"a:<x>\"\nfrom_format = \"json\"\nto_format = { fields = { name = \"string\" } }\n";
    for (value, taken, said) in [
        (
            r#"{"name":"n","other":1}"#,
            "-",
            "p: it has a member other, which is not listed",
        ),
        (
            r#"{"name":"n","name":"m"}"#,
            "-",
            "p: it has the member name twice",
        ),
        (r#"{"name":1}"#, "-", "p: name is not of the type string"),
        ("[]", "-", "p: it is no JSON object"),
        ("{}", "-", "p: it is a JSON object without members"),
        (
            r#"{"name":"n"}"#,
            "m",
            "name: it is there already, and holds something else",
        ),
    ] {
        let redis = fresh_redis();
        send(&redis, &format!("HSET a:1 p {value}"));
        send(&redis, r#"HSET a:2 p {"name":"fine"}"#);
        if taken != "-" {
            send(&redis, &format!("HSET a:1 name {taken}"));
        }
        let before = snapshot(&redis);
        let strict = project(&redis, step);
        for arguments in ["plan", "apply --yes"] {
            strict.migrate(arguments).refuses(1, &["a:1", said]);
        }
        assert_eq!(asked(&redis, "HGET a:1 p"), value.as_bytes());
        let redis = fresh_redis();
        for (key, fields) in [("a:1", value), ("a:2", r#"{"name":"fine"}"#)] {
            send(&redis, &format!("HSET {key} p {fields}"));
        }
        if taken != "-" {
            send(&redis, &format!("HSET a:1 name {taken}"));
        }
        let lenient = project(&redis, &format!("{step}on_error = \"record\"\n"));
        lenient.apply();
        lenient.migrate("verify").ok().says(&format!("a:1: {said}"));
        assert_eq!(asked(&redis, "HGET a:1 p"), value.as_bytes());
        assert_eq!(asked(&redis, "HGET a:2 name"), b"fine");
        lenient.migrate("apply --yes --to none").ok();
        assert_eq!(snapshot(&redis), before);
    }
}

#[test]
fn json_that_would_not_come_back_byte_for_byte_is_counted_in_the_plan() {
    let redis = fresh_redis();
    let text = "scope = \"a:<x..>\"\n[[step]]\nconvert = \"p\"\nin = \"a:<x>\"\nfrom_format = \"json\"\nto_format = { fields = { name = \"string\", age = \"int\" } }\n";
    send(&redis, r#"HSET a:1 p {"age":1,"name":"n"}"#);
    send(&redis, r#"HSET a:2 p {"name":"n"}"#);
    let project = project(&redis, text);
    project
        .migrate("plan")
        .ok()
        .says("1 key with values that the way back would not restore");
    project.apply();
    project.migrate("apply --yes --to none").ok();
    assert_eq!(asked(&redis, "HGET a:1 p"), br#"{"name":"n","age":1}"#);
}

#[test]
fn u30_writes_of_the_application_while_json_is_split_are_neither_lost_nor_undone() {
    // The application knows both forms, and writes the one that it finds.
    const WRITE: &str = r#"
        if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        if redis.call('HEXISTS', KEYS[1], 'p') == 1 then
            return redis.call('HSET', KEYS[1], 'p', '{"name":"' .. ARGV[1] .. '"}')
        end
        return redis.call('HSET', KEYS[1], 'name', ARGV[1])"#;
    const KEYS: u32 = 3000;
    let redis = fresh_redis();
    let mut connection = connect(&redis);
    let mut pipe = redis::pipe();
    for n in 0..KEYS {
        let value = format!("{{\"name\":\"{n}\"}}");
        pipe.cmd("HSET").arg(format!("a:{n}")).arg("p").arg(value);
    }
    let () = pipe.query(&mut connection).unwrap();
    let text = "scope = \"a:<x..>\"\n[[step]]\nconvert = \"p\"\nin = \"a:<x>\"\nfrom_format = \"json\"\nto_format = { fields = { name = \"string\" } }\n";
    let project = project(&redis, text);
    let mut expected: BTreeMap<u32, Option<String>> =
        (0..KEYS).map(|n| (n, Some(n.to_string()))).collect();
    let mut apply = project.background("apply --yes");
    let mut written = 0_u32;
    while apply.try_wait().unwrap().is_none() {
        // Any order will do that does not follow SCAN's.
        let n = written.wrapping_mul(2_654_435_761) % KEYS;
        let key = format!("a:{n}");
        if written.is_multiple_of(7) {
            let () = redis::cmd("DEL").arg(&key).query(&mut connection).unwrap();
            expected.insert(n, None);
        } else if expected[&n].is_some() {
            let mut write = redis::cmd("EVAL");
            write.arg(WRITE).arg(1).arg(&key).arg(format!("w{written}"));
            let () = write.query(&mut connection).unwrap();
            expected.insert(n, Some(format!("w{written}")));
        }
        written += 1;
    }
    project.wait(apply).ok();
    for (n, value) in expected {
        let found: BTreeMap<String, String> = redis::cmd("HGETALL")
            .arg(format!("a:{n}"))
            .query(&mut connection)
            .unwrap();
        let expected = value.map(|value| ("name".to_owned(), value));
        assert_eq!(found, expected.into_iter().collect(), "a:{n} of {written}");
    }
}

/// A declaration with one script step over `a:<x>`.
fn script(script: &str, check: &str, more: &str) -> String {
    format!(
        "scope = \"a:<x..>\"\n[[step]]\nscript = \"\"\"\n{script}\n\"\"\"\ncheck = \"\"\"\n{check}\n\"\"\"\nin = \"a:<x>\"\n{more}\n"
    )
}

const ALL: &str = "local all = {} for i = 1, #KEYS do all[i] = 1 end return all";
const NONE: &str = "local none = {} for i = 1, #KEYS do none[i] = false end return none";

#[test]
fn lua_that_fails_or_answers_something_else_is_named_with_its_step_and_text() {
    let redis = fresh_redis();
    send(&redis, r"HSET a:1 v 1");
    send(&redis, r"SET a:\xff s");
    for (text, planned, said) in [
        (
            script("retrun 1", ALL, ""),
            true,
            "step 1 (script over a:<x>): its `script` failed: script:1:",
        ),
        (
            script("return 1", "x y", ""),
            true,
            "its `check` failed: check:1:",
        ),
        (
            script("return 1", ALL, "undo = \"+\""),
            true,
            "its `undo` failed: undo:1:",
        ),
        (
            script("return 1", "\n\nerror('no')", ""),
            true,
            "its `check` failed: check:3: no",
        ),
        (
            script("return 1", "return redis.call('LLEN', KEYS[1])", ""),
            true,
            "WRONGTYPE",
        ),
        (
            script("return 1", "return 1", ""),
            true,
            "its `check` answered a number, not a list",
        ),
        (
            script("return 1", "return {}", ""),
            true,
            "its `check` answered nil for a:",
        ),
        (
            script("return 1", "return {1, 2}", ""),
            true,
            "its `check` answered",
        ),
        (
            script("return 1", "return {1, 0, 1}", ""),
            true,
            "its `check` answered 3 entries for 2 keys",
        ),
        (
            script("error('a\\\\nb')", ALL, ""),
            false,
            "its `script` failed: script:1: a\\x0ab",
        ),
        (
            script(
                "return redis.call('HGET', KEYS[1], 'v') .. nothing",
                ALL,
                "",
            ),
            false,
            "its `script` failed:",
        ),
        (
            script("return 1", ALL, ""),
            false,
            "2 keys are not as the step's script should have left them",
        ),
    ] {
        let before = snapshot(&redis);
        let project = project(&redis, &text);
        if planned {
            shown(project.migrate("plan").refuses(1, &[said]));
        } else {
            project.migrate("plan").ok();
        }
        fails(&project, &[said]);
        assert_eq!(snapshot(&redis), before, "{text}");
        send(&redis, "DEL {outpost}:ledger");
    }
    // Before Redis 7 nothing keeps a check from writing.
    let mut known = redis::cmd("EVAL_RO");
    if known
        .arg("return 1")
        .arg(0)
        .exec(&mut connect(&redis))
        .is_ok()
    {
        let before = snapshot(&redis);
        let text = script("return 1", "redis.call('SET', KEYS[1], 'x')", "");
        let writes = project(&redis, &text).migrate("plan");
        shown(writes.refuses(1, &["its `check` failed:"]));
        assert_eq!(snapshot(&redis), before);
    }
}

#[test]
fn a_script_sees_its_keys_and_arguments_and_nothing_of_the_tool() {
    let redis = fresh_redis();
    for key in ["a:1", "a:2", "a:3"] {
        send(&redis, &format!("SET {key} old"));
    }
    send(&redis, "SET a:3 new");
    let text = script(
        "for _, name in ipairs({'ours', 'ask', 'add', 'batch', 'there', 'needs'}) do
           assert(not pcall(function() return _G[name] end))
         end
         assert(#KEYS == 2 and #ARGV == 4)
         for i, key in ipairs(KEYS) do
           assert(ARGV[2 * i - 1] .. ARGV[2 * i] == key)
           redis.call('SET', key, 'new')
         end",
        "local answers = {}
         for i, key in ipairs(KEYS) do
           answers[i] = redis.call('GET', key) == 'old' and 1 or 0
           KEYS[i] = 'another'
         end
         return answers",
        "args = [\"a:\", \"<x>\"]",
    );
    let project = project(&redis, &text);
    let plan = project.migrate("plan --format json").ok().json();
    assert_eq!(plan["steps"][0]["keys"]["to_do"], 2);
    assert_eq!(plan["steps"][0]["keys"]["done"], 1);
    project.apply();
    assert_eq!(asked(&redis, "GET a:1"), b"new");
}

#[test]
fn a_cleanup_of_a_script_removes_what_verification_has_proven_unneeded() {
    let redis = fresh_redis();
    send(&redis, "HSET a:1 old v");
    send(&redis, "HSET a:2 old w new w");
    let text = script(
        "for _, key in ipairs(KEYS) do redis.call('HSET', key, 'new', redis.call('HGET', key, 'old')) end",
        "local answers = {} for i, key in ipairs(KEYS) do answers[i] = redis.call('HEXISTS', key, 'new') == 0 end return answers",
        "cleanup = \"local gone = {} for i, key in ipairs(KEYS) do gone[i] = redis.call('HDEL', key, 'old') end return gone\"",
    );
    let project = project(&redis, &text);
    project.apply();
    assert_eq!(asked(&redis, "HGET a:1 old"), b"v");
    project.migrate("cleanup --yes").ok();
    assert_eq!(asked(&redis, "HEXISTS a:1 old"), b"0");
    assert_eq!(asked(&redis, "HGET a:1 new"), b"v");
    assert_eq!(asked(&redis, "HEXISTS a:2 old"), b"0");
    project.migrate("verify").ok();
}

#[test]
fn a_script_that_does_not_end_is_stopped_where_the_server_can_stop_it() {
    let redis = fresh_redis_with(|redis| redis.directive("lua-time-limit 100"));
    send(&redis, "SET a:1 old");
    for (text, planned) in [
        (script("return 1", "while true do end", ""), true),
        (script("while true do pcall(error) end", ALL, ""), false),
    ] {
        let project = project(&redis, &text);
        let arguments = if planned { "plan" } else { "apply --yes" };
        let said = "did not end within 5 s; it was stopped by SCRIPT KILL, and wrote nothing";
        let ended = project.migrate(arguments).exits(1);
        ended.says("step 1").says(said);
        // A script that catches errors catches the one that ends it too, for a moment.
        crate::support::wait_until("the server is free again", || {
            crate::support::try_redis_cmd(redis.url(), &["PING"]).is_ok()
        });
        assert_eq!(asked(&redis, "GET a:1"), b"old");
        send(&redis, "DEL {outpost}:ledger");
    }
}

#[test]
fn a_script_that_has_written_and_does_not_end_is_left_to_the_operator() {
    let mut redis = fresh_redis_with(|redis| redis.directive("lua-time-limit 100"));
    send(&redis, "SET a:1 old");
    let text = script(
        "redis.call('SET', KEYS[1], 'new') while true do end",
        "return {redis.call('GET', KEYS[1]) == 'old'}",
        "",
    );
    fails(
        &project(&redis, &text),
        &[
            "since it has written, SCRIPT KILL cannot stop it (UNKILLABLE)",
            "SHUTDOWN NOSAVE",
        ],
    );
    // It would not listen to anything less.
    redis.kill().unwrap();
}

#[test]
fn c09_a_check_is_asked_with_rights_to_read_and_that_to_run_reading_scripts() {
    let redis = fresh_redis();
    send(&redis, "SET a:1 old");
    send(
        &redis,
        "ACL SETUSER reader on >password ~* +@read +@connection",
    );
    let port = redis
        .url()
        .rsplit(':')
        .next()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let url = format!("redis://reader:password@127.0.0.1:{port}/0");
    let text = script("return 1", NONE, "");
    let reader = Project::empty()
        .redis_url(&url)
        .file("schema/redis/0001_it.toml", &text);
    reader
        .migrate("plan")
        .refuses(1, &["permission denied while reading a script", "'eval"]);
    let mut grant = redis::Cmd::new();
    grant.arg(words("ACL SETUSER reader +eval_ro"));
    if grant.exec(&mut connect(&redis)).is_err() {
        // Before Redis 7 there is no script that only reads.
        send(&redis, "ACL SETUSER reader +eval");
    }
    let plan = reader.migrate("plan --format json").ok().json();
    assert_eq!(plan["steps"][0]["keys"]["done"], 1);
}

#[test]
fn on_a_cluster_scripts_json_and_renamings_work_on_the_keys_of_one_slot_at_a_time() {
    let cluster = RedisCluster::start();
    let keys = || (0..300).map(|n| format!("a:{{{n}}}"));
    cluster.load(keys().map(|key| {
        ["HSET", &key, "p", r#"{"name":"n"}"#, "v", "1"]
            .map(str::to_owned)
            .to_vec()
    }));
    let split = "scope = \"a:<x..>\"\n[[step]]\nconvert = \"p\"\nin = \"a:<x..>\"\nfrom_format = \"json\"\nto_format = { fields = { name = \"string\" } }\n";
    let bump = format!(
        "scope = \"a:<x..>\"\n[[step]]{}",
        SCRIPT.replace("a:<x>", "a:{<x>}")
    );
    let rename = "scope = \"a:<x..>\"\n[[step]]\nrename = \"a:{<x>}\"\nto = \"b:{<x>}:b\"\n";
    let held = || -> BTreeMap<String, String> {
        let keys = cluster.keyspace().into_iter();
        keys.filter(|(key, _)| key.starts_with("a:") || key.starts_with("b:"))
            .map(|(key, held)| (key, held.value))
            .collect()
    };
    let before = held();
    for (text, after) in [
        (split, r#"{"name": "n", "v": "1"}"#),
        (&bump, r#""v": "2"}"#),
        (rename, r#"}", "v": "1"}"#),
    ] {
        let project = migrating(Project::empty().redis_cluster(&cluster.urls()), text);
        let plan = project.migrate("plan --format json").ok().json();
        assert_eq!(plan["steps"][0]["keys"]["to_do"], 300, "{text}");
        project.apply();
        let applied = held();
        assert_eq!(applied.len(), 300);
        for (key, value) in &applied {
            assert!(value.ends_with(after), "{key}: {value}");
            assert_eq!(key.starts_with("b:"), text == rename, "{key}");
        }
        project.migrate("verify").ok();
        project.migrate("apply --yes --to none").ok();
        assert_eq!(held(), before, "{text}");
    }
}

/// A project with one migration, and a version `none` without it.
fn project(redis: &RedisServer, text: &str) -> Project {
    migrating(Project::empty().redis(redis), text)
}

fn migrating(project: Project, text: &str) -> Project {
    project.file("schema/redis/0001_it.toml", text).file(
        "schema/versions.toml",
        "[[version]]\nname = \"none\"\nadd = []\n",
    )
}

/// A refused apply: the run says why on both streams.
#[track_caller]
fn fails(project: &Project, words: &[&str]) {
    let ended = shown(project.migrate("apply --yes").exits(1));
    words.iter().fold(ended, |ended, words| ended.says(words));
}

/// Nothing that moves the cursor or hides is printed, whatever keys and values hold.
#[track_caller]
fn shown(ended: Ended) -> Ended {
    for text in [&ended.stdout, &ended.stderr] {
        let raw = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(raw, None, "{ended:?}");
    }
    ended
}

fn connect(redis: &RedisServer) -> redis::Connection {
    redis::Client::open(redis.url())
        .and_then(|client| client.get_connection())
        .unwrap()
}

/// The words of a command: split at spaces, `""` is empty, `\xNN` a byte.
fn words(command: &str) -> Vec<Vec<u8>> {
    command.split(' ').map(word).collect()
}

fn word(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = if text == "\"\"" { "" } else { text };
    while let Some((before, after)) = rest.split_once(r"\x") {
        bytes.extend(before.bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend(rest.bytes());
    bytes
}

#[track_caller]
fn send(redis: &RedisServer, command: &str) -> redis::Value {
    let mut request = redis::Cmd::new();
    request.arg(words(command));
    request
        .query(&mut connect(redis))
        .unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The answer as bytes, numbers written out.
#[track_caller]
fn asked(redis: &RedisServer, command: &str) -> Vec<u8> {
    if let Some(key) = command.strip_prefix("PEXPIRETIME ") {
        let at = expires_at(&mut connect(redis), &word(key));
        return at.to_string().into_bytes();
    }
    match send(redis, command) {
        redis::Value::BulkString(bytes) => bytes,
        redis::Value::Int(number) => number.to_string().into_bytes(),
        other => panic!("{command}: {other:?}"),
    }
}

/// When a key expires, Unix ms; -1 for never. As PEXPIRETIME says, which is there from Redis 7.0.
fn expires_at(connection: &mut redis::Connection, key: &[u8]) -> i64 {
    const AT: &str = "
        while true do
          local before, left, after = redis.call('TIME'), redis.call('PTTL', KEYS[1]), redis.call('TIME')
          local ms = before[1] * 1000 + math.floor(before[2] / 1000)
          if ms == after[1] * 1000 + math.floor(after[2] / 1000) then
            return string.format('%.0f', left < 0 and left or ms + left)
          end
        end";
    let mut command = redis::cmd("EVAL");
    command.arg(AT).arg(1).arg(key);
    command.query(connection).unwrap()
}

/// Every key of the application byte for byte: when it expires, and what it holds.
fn snapshot(redis: &RedisServer) -> BTreeMap<Vec<u8>, (i64, Vec<Vec<u8>>)> {
    let mut connection = connect(redis);
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let own = |key: &Vec<u8>| key.windows(7).any(|part| part == b"outpost");
    keys.into_iter()
        .filter(|key| !own(key))
        .map(|key| {
            let expires = expires_at(&mut connection, &key);
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).unwrap();
            let read = match kind.as_str() {
                "hash" => redis::cmd("HGETALL").arg(&key).clone(),
                "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).clone(),
                _ => redis::cmd("GET").arg(&key).clone(),
            };
            let mut content: Vec<Vec<u8>> = match read.query(&mut connection).unwrap() {
                redis::Value::BulkString(bytes) => vec![bytes],
                value => redis::from_redis_value(value).unwrap(),
            };
            if kind == "hash" {
                let mut pairs: Vec<Vec<Vec<u8>>> =
                    content.chunks(2).map(<[Vec<u8>]>::to_vec).collect();
                pairs.sort();
                content = pairs.concat();
            }
            (key, (expires, content))
        })
        .collect()
}
