//! Plans that are signed: by this tool and by OpenSSH's, checked by either, required or not, and recorded.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::Value;

use crate::support::project::{Ended, Project, database_content};
use crate::support::{fresh_database, fresh_redis, query_one_text, redis_cmd, sql, wait_until};
use crate::terminal::terminal;

/// Runs ssh-keygen in the project's folder; its standard input is a file of that folder.
fn ssh_keygen(project: &Project, input: Option<&str>, arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(arguments);
    project.prepare(&mut command);
    if let Some(input) = input {
        command.stdin(File::open(project.path(input)).unwrap());
    }
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("ssh-keygen: {e}; scripts/install-servers --tests installs it"));
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Makes a key pair `NAME` and `NAME.pub`, and gives the public key.
fn new_key(project: &Project, name: &str, kind: &[&str]) -> String {
    let arguments = [&["-q", "-C", "", "-f", name], kind].concat();
    ssh_keygen(project, None, &arguments);
    let text = fs::read_to_string(project.path(&format!("{name}.pub"))).unwrap();
    text.trim().to_owned()
}

/// Puts a kept private key into the project's folder, and gives its public key.
fn kept_key(project: &Project, name: &str) -> String {
    let kept = format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
    let key = project.path(name);
    fs::copy(kept, &key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(&key)
        .output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

const ED25519: [&str; 4] = ["-t", "ed25519", "-N", ""];

/// One table, and nothing else.
fn small() -> Project {
    Project::empty()
        .file("schema/sql/0001_a.up.sql", "create table a (id bigint);\n")
        .file("schema/sql/0001_a.down.sql", "drop table a;\n")
}

fn signature_of(project: &Project, arguments: &str) -> Value {
    let shown = project.migrate(&format!("show plan.bin --format json {arguments}"));
    shown.ok().json()["signature"].clone()
}

#[test]
fn outpost_and_ssh_keygen_accept_each_others_signatures_by_every_kind_of_key() {
    let database = fresh_database();
    let project = small().postgres(&database);
    let keys = [
        ("ed25519", new_key(&project, "ed25519", &ED25519)),
        (
            "rsa",
            new_key(&project, "rsa", &["-t", "rsa", "-b", "2048", "-N", ""]),
        ),
        ("ecdsa256", kept_key(&project, "ecdsa256")),
        ("ecdsa384", kept_key(&project, "ecdsa384")),
        ("ecdsa521", kept_key(&project, "ecdsa521")),
    ];
    for (name, key) in keys {
        let line = format!(
            "alice@example.com namespaces=\"git,outpost-plan\",valid-after=\"20200101Z\" {key}\n"
        );
        project.write("allowed", &line);
        let signed = project.migrate(&format!("plan -out plan.bin --sign {name}"));
        if name == "ecdsa521" {
            signed.refuses(
                1,
                &[
                    "a private key of OpenSSH's that outpost cannot read",
                    "ssh-keygen -Y sign",
                ],
            );
            project
                .migrate("plan -out plan.bin")
                .ok()
                .says("plan.bin.sig is of an older plan: sign the new one, or remove it");
        } else {
            signed.ok().says("Signed with").says("plan.bin.sig");
            let verify = [
                "-Y",
                "verify",
                "-f",
                "allowed",
                "-I",
                "alice@example.com",
                "-n",
                "outpost-plan",
                "-s",
                "plan.bin.sig",
            ];
            ssh_keygen(&project, Some("plan.bin"), &verify);
        }

        // ssh-keygen would ask before it writes over an older one.
        fs::remove_file(project.path("plan.bin.sig")).unwrap();
        let sign = [
            "-q",
            "-Y",
            "sign",
            "-n",
            "outpost-plan",
            "-f",
            name,
            "plan.bin",
        ];
        ssh_keygen(&project, None, &sign);
        let signature = signature_of(&project, "--allowed-signers allowed");
        assert_eq!(signature["status"], "good", "{signature}");
        assert_eq!(signature["signer"], "alice@example.com");
        let kind_of_key = key.split(' ').next().unwrap();
        assert_eq!(signature["key"]["kind"], kind_of_key);
    }
}

/// Changes one byte of a file, in its middle.
fn change(path: PathBuf) {
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_plan_is_refused_unless_an_allowed_signer_signed_these_very_bytes() {
    let database = fresh_database();
    let project = small()
        .postgres(&database)
        .more("[signing]\nallowed_signers = \"keys/allowed\"\nrequired = true");
    fs::create_dir(project.path("keys")).unwrap();
    let alice = new_key(&project, "alice", &ED25519);
    let mallory = new_key(&project, "mallory", &ED25519);
    let allow = |line: &str| project.write("keys/allowed", &format!("# signers\n{line}\n"));
    allow(&format!("alice {alice}"));
    let before = database_content(&database);

    // What is made and applied in one go is signed by nobody.
    for command in ["apply --yes", "cleanup --yes"] {
        let words = ["plans have to be signed here", "--sign KEY"];
        project.migrate(command).refuses(7, &words);
    }

    project.migrate("plan -out plan.bin").ok();
    assert_eq!(signature_of(&project, "")["status"], "none");
    let words = [
        "plan.bin is not applied: it is not signed",
        "ssh-keygen -Y sign",
    ];
    project.migrate("apply plan.bin").refuses(7, &words);

    let sign = |key: &str| {
        project
            .migrate(&format!("plan -out plan.bin --sign {key}"))
            .ok()
    };
    sign("mallory");
    let shown = signature_of(&project, "");
    assert_eq!(shown["status"], "unknown_key", "{shown}");
    project.migrate("apply plan.bin").refuses(
        7,
        &[
            "which",
            "keys/allowed does not name",
            "in a reviewed change",
        ],
    );
    // The flag stands for the list, and trusts whom it names.
    project.write("others", &format!("mallory {mallory}\n"));
    let shown = signature_of(&project, "--allowed-signers others");
    assert_eq!(shown["signer"], "mallory");

    let other_purpose = ["-q", "-Y", "sign", "-n", "git", "-f", "alice", "plan.bin"];
    fs::remove_file(project.path("plan.bin.sig")).unwrap();
    ssh_keygen(&project, None, &other_purpose);
    project.migrate("apply plan.bin").refuses(
        7,
        &["is for the namespace \"git\", not for \"outpost-plan\""],
    );

    // Not even decoded: whatever is in it, nobody signed it.
    sign("alice");
    change(project.path("plan.bin"));
    project.migrate("apply plan.bin").refuses(
        7,
        &[
            "the plan or the signature was changed since",
            "do not apply it",
        ],
    );

    sign("alice");
    project.write("plan.bin.sig", "signed, alice\n");
    project
        .migrate("apply plan.bin")
        .refuses(7, &["is no SSH signature"]);
    let shown = signature_of(&project, "");
    assert_eq!(shown["status"], "refused");
    // What is there and cannot be read is an error, and not "unsigned".
    fs::remove_file(project.path("plan.bin.sig")).unwrap();
    symlink(project.path("schema"), project.path("plan.bin.sig")).unwrap();
    project
        .migrate("apply plan.bin")
        .exits(1)
        .says("cannot read the signature");
    fs::remove_file(project.path("plan.bin.sig")).unwrap();

    sign("alice");
    allow(&format!("alice valid-before=\"20200101Z\" {alice}"));
    project
        .migrate("apply plan.bin")
        .refuses(7, &["valid until 2020-01-01T00:00:00Z", "keys/allowed:2"]);
    allow(&format!("alice valid-after=\"29990101Z\" {alice}"));
    project
        .migrate("apply plan.bin")
        .refuses(7, &["not valid before 2999-01-01T00:00:00Z"]);
    allow(&format!("alice namespaces=\"git\" {alice}"));
    project
        .migrate("apply plan.bin")
        .refuses(7, &["allows for \"git\" only"]);
    allow(&format!("alice cert-authority {alice}"));
    project.migrate("apply plan.bin").refuses(
        1,
        &["keys/allowed:2: the option cert-authority is not supported"],
    );
    fs::remove_file(project.path("keys/allowed")).unwrap();
    project
        .migrate("apply plan.bin")
        .exits(1)
        .says("cannot read the allowed signers");
    assert_eq!(database_content(&database), before, "nothing was changed");

    allow(&format!("alice {alice}"));
    let applied = project.migrate("apply plan.bin").ok();
    assert!(
        applied
            .stderr
            .contains("Signed by alice (ssh-ed25519 SHA256:"),
        "{applied:?}"
    );
}

#[test]
fn the_history_of_both_stores_says_who_signed_and_keeps_its_chain() {
    let (database, redis) = (fresh_database(), fresh_redis());
    redis_cmd(&redis, &["SET", "x:1", "a"]);
    let migration = "description = \"b\"\nscope = \"x:<rest..>\"\n\
                     [[step]]\ncopy = \"x:<id>\"\nto = \"y:<id>\"\ntype = \"string\"\n";
    let project = small()
        .file("schema/redis/0001_b.toml", migration)
        .postgres(&database)
        .redis(&redis);
    let key = new_key(&project, "key", &ED25519);
    project.write("allowed", &format!("alice@example.com {key}\n"));
    // First unsigned, in ledgers that know no signers yet.
    project.apply();
    sql(&database, "alter table outpost.history drop column signer");
    project.migrate("history").ok();
    assert!(!project.migrate("history").ok().stdout.contains("signed by"));

    project
        .migrate("cleanup -out plan.bin --sign key")
        .ok()
        .says("Signed with");
    project.write("schema/sql/0002_c.up.sql", "create table c (id bigint);\n");
    project.write("schema/sql/0002_c.down.sql", "drop table c;\n");
    project
        .migrate("apply plan.bin --allowed-signers allowed")
        .ok();
    project.migrate("plan -out plan.bin --sign key").ok();
    project
        .migrate("apply plan.bin --allowed-signers allowed")
        .ok();
    // And unsigned again: a list that requires nothing refuses nothing.
    project.write("schema/sql/0003_d.up.sql", "create table d (id bigint);\n");
    project.write("schema/sql/0003_d.down.sql", "drop table d;\n");
    project.apply();

    let history = project.migrate("history --format json").ok().json();
    let signers = |store: usize| -> Vec<String> {
        let entries = history["stores"][store]["entries"].as_array().unwrap();
        let signer = |e: &Value| e["signer"].as_str().unwrap_or("-").to_owned();
        entries.iter().map(signer).collect()
    };
    for (store, expected) in [(0, &[false, true, false][..]), (1, &[false, true])] {
        let found = signers(store);
        let signed: Vec<bool> = found.iter().map(|s| s != "-").collect();
        assert_eq!(signed, expected, "{history}");
        let signer = found.iter().find(|s| *s != "-").unwrap();
        assert!(
            signer.starts_with("alice@example.com (ssh-ed25519 SHA256:"),
            "{signer}"
        );
    }
    project
        .migrate("history")
        .ok()
        .says("signed by")
        .says("alice@example.com");

    sql(
        &database,
        "alter table outpost.history disable trigger append_only;
         update outpost.history set signer = 'bob' where signer is not null",
    );
    assert_eq!(
        query_one_text(
            &database,
            "select count(*) from outpost.history where signer = 'bob'"
        ),
        "1"
    );
    project.migrate("history").exits(6).says("not intact");
}

/// Runs a command on a terminal. The passphrase is typed once it is asked for: what came before is thrown
/// away, as every such prompt does.
fn on_a_terminal(project: &Project, arguments: &[&str], typed: &str) -> Ended {
    let (mut terminal, side) = terminal(None);
    let mut command = project.command(arguments);
    command.stdin(Stdio::from(side.try_clone().unwrap()));
    command.stderr(Stdio::from(side));
    command.stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    // Its side of the terminal is closed when the child ends, and not before.
    drop(command);
    let mut seen = read_until(&mut terminal, "Passphrase of the key");
    wait_until("the terminal shows nothing that is typed", || {
        !tcgetattr(&terminal)
            .unwrap()
            .local_flags
            .contains(LocalFlags::ECHO)
    });
    terminal.write_all(typed.as_bytes()).unwrap();
    seen.push_str(&read_until(&mut terminal, "\0"));
    let mut ended = project.wait(child);
    ended.stderr = seen;
    ended
}

/// What is shown until the words are seen, or to the end: reading fails once the other side is closed.
fn read_until(terminal: &mut File, words: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while let Ok(1) = terminal.read(&mut byte) {
        text.push(byte[0]);
        if text.ends_with(words.as_bytes()) {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_key_is_opened_on_a_terminal_and_refused_where_it_cannot_be() {
    let database = fresh_database();
    let project = small().postgres(&database);
    let protected = ["-t", "ed25519", "-a", "1", "-N", "open sesame"];
    let public = new_key(&project, "protected", &protected);
    project.write("allowed", &format!("alice {public}\n"));
    let arguments = ["migrate", "plan", "-out", "plan.bin", "--sign", "protected"];

    let ended = on_a_terminal(&project, &arguments, "open sesame\n").ok();
    assert!(
        ended
            .stderr
            .contains("Passphrase of the key ssh-ed25519 SHA256:"),
        "{ended:?}"
    );
    let shown = signature_of(&project, "--allowed-signers allowed");
    assert_eq!(shown["status"], "good", "{shown}");

    fs::remove_file(project.path("plan.bin")).unwrap();
    on_a_terminal(&project, &arguments, "open barley\n")
        .exits(1)
        .says("the passphrase is wrong");
    project
        .migrate("plan -out plan.bin --sign protected")
        .refuses(
            1,
            &["has a passphrase, and there is no terminal", "ssh-agent"],
        );
    project
        .migrate("plan -out plan.bin --sign protected.pub")
        .refuses(1, &["cannot sign with protected.pub: it is a public key"]);
    project
        .migrate("plan -out plan.bin --sign outpost.toml")
        .refuses(1, &["it is no private key"]);
    project
        .migrate("plan -out plan.bin --sign nothing")
        .exits(1)
        .says("cannot read the key nothing");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(project.path("protected"), mode).unwrap();
    project
        .migrate("plan -out plan.bin --sign protected")
        .refuses(
            1,
            &["is open to others: its mode is 0644", "chmod 600 protected"],
        );
    project
        .migrate("plan -out /dev/null --sign protected")
        .exits(1);
    project.migrate("plan --sign protected").exits(64);
    assert!(!project.path("plan.bin").exists(), "nothing was written");
}
