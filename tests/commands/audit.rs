//! What an audit asks for: a history that was tampered with is named, and nothing that a server says reaches a
//! terminal raw.

use outpost::sandbox::RedisServer;

use crate::support::project::{Ended, Project};
use crate::support::{fresh_database, fresh_redis, query_one_text, redis_cmd, sql};

/// Three migrations of each store, which do next to nothing.
fn three_of_each(mut project: Project) -> Project {
    for number in 1..=3 {
        project = project
            .file(
                &format!("schema/sql/000{number}_t.up.sql"),
                &format!("create table t{number} (n int);\n"),
            )
            .file(
                &format!("schema/redis/000{number}_k.toml"),
                &format!(
                    "[[step]]\ncommand = [\"SET\", \"k{number}\", \"v\"]\ncheck = [\"GET\", \"k{number}\"]\n"
                ),
            );
    }
    project
}

/// The command says what is wrong and exits with 6, in both forms.
fn tampered(project: &Project, what: &str, words: &str) {
    let ended = project.migrate("history").exits(6);
    assert!(
        crate::support::project::flat(&format!("{}{}", ended.stdout, ended.stderr)).contains(words),
        "{what}: {words}\n{ended:?}"
    );
    let json = project.migrate("history --format json").exits(6).json();
    let intact = |store: &serde_json::Value| store["intact"].as_bool().unwrap();
    let stores = json["stores"].as_array().unwrap();
    assert_eq!(stores.iter().filter(|s| !intact(s)).count(), 1, "{what}");
}

#[test]
fn a_history_that_was_edited_cut_or_reordered_in_postgres_is_named() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = three_of_each(Project::empty().postgres(&database).redis(&redis));
    project.apply();
    project.migrate("history").ok();
    sql(
        &database,
        "alter table outpost.history disable trigger all; create table saved as select * from outpost.history",
    );
    let removed = |ids: &str| format!("no entry explains what the ledger has of {ids}");
    let broken = |at: &str| format!("the chain of hashes is broken at {at}:");
    for (what, change, words) in [
        (
            "an edit",
            "update outpost.history set actor = 'eve' where seq = 2",
            broken("2"),
        ),
        (
            "an edit of the last",
            "update outpost.history set plan = 'x' where seq = 3",
            broken("3"),
        ),
        (
            "one deleted from the middle",
            "delete from outpost.history where seq = 2",
            broken("3"),
        ),
        (
            "the first deleted",
            "delete from outpost.history where seq = 1",
            broken("2"),
        ),
        (
            "the last deleted",
            "delete from outpost.history where seq = 3",
            removed("sql/0003_t"),
        ),
        (
            "all deleted",
            "delete from outpost.history",
            removed("sql/0001_t, sql/0002_t, sql/0003_t"),
        ),
        (
            "two exchanged",
            "update outpost.history set seq = seq + 10; \
             update outpost.history set seq = case seq when 11 then 2 when 12 then 1 else 3 end",
            broken("1, 2, 3"),
        ),
        (
            "one put in between",
            "update outpost.history set seq = seq + 1 where seq = 3; insert into outpost.history \
             select (jsonb_populate_record(h, '{\"seq\": 3, \"actor\": \"eve\"}')).* from outpost.history h where seq = 2",
            broken("3, 4"),
        ),
    ] {
        sql(&database, change);
        tampered(&project, what, &words);
        sql(
            &database,
            "delete from outpost.history; insert into outpost.history select * from saved",
        );
        project.migrate("history").ok();
    }

    // No column may be left out of the hash, also of those that are empty in this entry.
    let columns = query_one_text(
        &database,
        "select string_agg(column_name || ':' || data_type, ',') from information_schema.columns \
         where table_schema = 'outpost' and table_name = 'history' and column_name <> 'seq'",
    );
    assert_eq!(columns.split(',').count(), 13, "{columns}");
    for column in columns.split(',') {
        let (name, kind) = column.split_once(':').unwrap();
        let other = match (name, kind) {
            ("outcome", _) => "'failed'".to_owned(),
            (_, "text") => format!("coalesce({name}, '') || 'x'"),
            _ => format!("{name} + interval '1 second'"),
        };
        let edit = format!("update outpost.history set {name} = {other} where seq = 2");
        sql(&database, &edit);
        tampered(&project, name, "the chain of hashes is broken at 2");
        sql(
            &database,
            "delete from outpost.history; insert into outpost.history select * from saved",
        );
    }
    project.migrate("history").ok();
}

type Entries = Vec<(String, Vec<String>)>;

fn entries(redis: &RedisServer) -> Entries {
    let value = redis_cmd(redis, &["XRANGE", "{outpost}:history", "-", "+"]);
    redis::from_redis_value(value).unwrap()
}

fn write(redis: &RedisServer, entries: &Entries) {
    redis_cmd(redis, &["DEL", "{outpost}:history"]);
    for (id, fields) in entries {
        let mut command = vec!["XADD", "{outpost}:history", id];
        command.extend(fields.iter().map(String::as_str));
        redis_cmd(redis, &command);
    }
}

#[test]
fn a_history_that_was_edited_cut_or_reordered_in_redis_is_named() {
    let redis = fresh_redis();
    let project = three_of_each(Project::empty().postgres(&fresh_database()).redis(&redis));
    project.apply();
    project.migrate("history").ok();
    let saved = entries(&redis);
    let ids: Vec<&str> = saved.iter().map(|(id, _)| id.as_str()).collect();
    let broken = |at: &[&str]| format!("the chain of hashes is broken at {}:", at.join(", "));
    let removed = |ids: &str| format!("no entry explains what the ledger has of {ids}");
    type Change = fn(&mut Entries);
    let changes: [(&str, Change, String); 8] = [
        (
            "an edit",
            |entries| {
                let at = entries[1]
                    .1
                    .iter()
                    .position(|word| word == "actor")
                    .unwrap();
                entries[1].1[at + 1] = "eve".to_owned();
            },
            broken(&ids[1..2]),
        ),
        (
            "one deleted from the middle",
            |entries| drop(entries.remove(1)),
            broken(&ids[2..]),
        ),
        (
            "the first deleted",
            |entries| drop(entries.remove(0)),
            broken(&ids[1..2]),
        ),
        (
            "the last deleted",
            |entries| drop(entries.pop()),
            removed("redis/0003_k"),
        ),
        (
            "all deleted",
            Vec::clear,
            removed("redis/0001_k, redis/0002_k, redis/0003_k"),
        ),
        (
            "two exchanged",
            |entries| {
                let first = entries[0].1.clone();
                entries[0].1 = std::mem::replace(&mut entries[1].1, first);
            },
            broken(&ids),
        ),
        (
            "one put in between",
            |entries| {
                let (id, fields) = entries[1].clone();
                let (ms, number) = id.split_once('-').unwrap();
                let next: u64 = number.parse().unwrap();
                entries.insert(2, (format!("{ms}-{}", next + 1), fields));
            },
            format!(
                "the chain of hashes is broken at {}-",
                ids[1].split_once('-').unwrap().0
            ),
        ),
        (
            "one put behind the last",
            |entries| {
                let (_, fields) = entries[2].clone();
                entries.push(("99999999999999-0".to_owned(), fields));
            },
            broken(&["99999999999999-0"]),
        ),
    ];
    for (what, change, words) in changes {
        let mut changed = saved.clone();
        change(&mut changed);
        write(&redis, &changed);
        tampered(&project, what, &words);
        write(&redis, &saved);
        project.migrate("history").ok();
    }

    // No field may be left out of the hash, and none may be added to an entry.
    let names: Vec<String> = saved[1].1.iter().step_by(2).cloned().collect();
    assert!(
        names.iter().any(|name| name == "hash") && names.len() > 8,
        "{names:?}"
    );
    let words = format!("the chain of hashes is broken at {}", ids[1]);
    for (at, name) in names.iter().enumerate() {
        let mut changed = saved.clone();
        let value = &mut changed[1].1[2 * at + 1];
        match name.as_str() {
            "outcome" => "failed".clone_into(value),
            // A time must stay one, to be shown.
            name if name.ends_with("_at") => *value = value.replace('Z', "0Z"),
            _ => value.push('x'),
        }
        write(&redis, &changed);
        let record = name == "record";
        match record {
            // What a repeated request is known by; no reader asks for it.
            true => drop(project.migrate("history").ok()),
            false => tampered(&project, name, &words),
        }
    }
    let mut signed = saved.clone();
    signed[1].1.extend(["signer".to_owned(), "eve".to_owned()]);
    write(&redis, &signed);
    tampered(&project, "a signer", &words);
}

/// An entry of a stream cannot be edited where it is, but it can be deleted, and either end can be trimmed.
#[test]
fn a_stream_that_was_trimmed_or_has_an_entry_less_is_named() {
    let redis = fresh_redis();
    let project = three_of_each(Project::empty().postgres(&fresh_database()).redis(&redis));
    project.apply();
    let saved = entries(&redis);
    let ids: Vec<&str> = saved.iter().map(|(id, _)| id.as_str()).collect();
    let broken = |at: &str| format!("the chain of hashes is broken at {at}:");
    let removed = |ids: &str| format!("no entry explains what the ledger has of {ids}");
    for (command, words) in [
        (&["XDEL", ids[0]][..], broken(ids[1])),
        (&["XDEL", ids[1]], broken(ids[2])),
        (&["XDEL", ids[2]], removed("redis/0003_k")),
        (
            &["XDEL", ids[1], ids[2]],
            removed("redis/0002_k, redis/0003_k"),
        ),
        (&["XTRIM", "MAXLEN", "1"], broken(ids[2])),
        (&["XTRIM", "MINID", ids[1]], broken(ids[1])),
        (
            &["XTRIM", "MAXLEN", "0"],
            removed("redis/0001_k, redis/0002_k, redis/0003_k"),
        ),
        (
            &["DEL"],
            removed("redis/0001_k, redis/0002_k, redis/0003_k"),
        ),
    ] {
        let (name, rest) = command.split_first().unwrap();
        redis_cmd(&redis, &[&[*name, "{outpost}:history"], rest].concat());
        tampered(&project, &command.join(" "), &words);
        write(&redis, &saved);
    }
    project.migrate("history").ok();
}

/// Nothing but the ledger knows of an end that is gone, and the ledger has no record of a failure.
#[test]
fn of_an_end_that_was_cut_off_what_was_done_is_missed_and_what_failed_is_not() {
    let redis = fresh_redis();
    let project = three_of_each(Project::empty().postgres(&fresh_database()).redis(&redis));
    project.apply();
    project.write(
        "schema/redis/0004_k.toml",
        "[[step]]\ncommand = [\"LPUSH\", \"k1\", \"v\"]\ncheck = [\"GET\", \"k4\"]\n",
    );
    project.migrate("apply --yes").exits(1);
    let saved = entries(&redis);
    assert_eq!(saved.len(), 4, "{saved:?}");
    project.migrate("history").ok().says("redis/0004_k");
    redis_cmd(&redis, &["XDEL", "{outpost}:history", &saved[3].0]);
    project.migrate("history").ok();
    redis_cmd(&redis, &["XDEL", "{outpost}:history", &saved[2].0]);
    tampered(
        &project,
        "the last that was done",
        "no entry explains what the ledger has of redis/0003_k",
    );
}

/// Neither stream holds a character that acts on a terminal, and the words are there to be read.
fn tame(ended: Ended, words: &str) {
    for text in [&ended.stdout, &ended.stderr] {
        let raw = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(raw), "{}: {text:?}", ended.command);
    }
    ended.says(words);
}

#[test]
fn c16_what_servers_say_never_reaches_the_terminal_raw() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::empty()
        .postgres(&database)
        .redis(&redis)
        .file(
            "schema/sql/0001_fails.up.sql",
            "create table \"odd\x1b[2J\" (n int);\n\
             do $$ begin raise notice E'\\x1b[31mnoted\\x07'; raise exception E'\\x1b[2J\\x07\\u202egone'; end $$;\n",
        )
        .file(
            "schema/redis/0001_fails.toml",
            "scope = \"k:<x>\"\n\n[[step]]\nin = \"k:<x>\"\ncheck = \"return {1}\"\nscript = \"error('\\\\27[2J\\\\7went')\"\n",
        );
    redis_cmd(&redis, &["SET", "k:\x1b[2J", "v"]);
    for only in ["sql", "redis"] {
        let said = if only == "sql" { "gone" } else { "went" };
        for format in ["text", "json"] {
            let command = format!("apply --yes --only {only} --format {format}");
            tame(project.migrate(&command).exits(1), said);
        }
        // What failed is told again by the history; the table has no room for all of it.
        tame(project.migrate("history").ok(), "0001_fails");
        tame(project.migrate("history --format json").ok(), said);
    }
    sql(
        &database,
        "create table \"odd\x1b[2J\" (n int); create table \"\u{202e}t\" (n int)",
    );
    for command in ["plan", "plan --format json", "list", "verify --format json"] {
        let ended = project.migrate(command);
        tame(ended, "0001_fails");
    }
}
