//! Reading commands need rights to read, and nothing else; they leave no trace.

use std::collections::BTreeMap;

use outpost::sandbox::RedisServer;

use crate::support::project::{Project, database_content, legacy_tenants, redis_content};
use crate::support::{
    Database, fresh_database, fresh_redis, query_one_text, redis_cmd, sql, try_sql,
};

/// The URL of a role that can only SELECT, and only what is there and will be.
fn reader(database: &Database) -> String {
    let role = format!("reader_{}", database.name);
    sql(
        database,
        &format!(
            "create role {role} login password 'only-reads'; alter role {role} set default_transaction_read_only = on;
             grant pg_read_all_data to {role}; revoke all on schema public from public; grant usage on schema public to {role}"
        ),
    );
    let (_, rest) = database.url.rsplit_once('@').unwrap();
    let url = format!("postgres://{role}:only-reads@{rest}");
    assert!(try_sql(url.as_str(), "create table t ()").is_err());
    url
}

/// The URL of a Redis user with `+@read +@connection`.
fn redis_reader(redis: &RedisServer, categories: &[&str]) -> String {
    let mut command = vec!["ACL", "SETUSER", "reader", "on", ">only-reads", "~*", "&*"];
    command.extend(categories);
    redis_cmd(redis, &command);
    let (_, rest) = redis.url().rsplit_once('@').unwrap();
    format!("redis://reader:only-reads@{rest}")
}

type Content = (BTreeMap<String, String>, BTreeMap<String, String>);

fn content(database: &Database, redis: &RedisServer) -> Content {
    (database_content(database), redis_content(redis))
}

const READS: [&str; 16] = [
    "list",
    "list --format json",
    "plan",
    "plan --format json",
    "plan -out plan.bin",
    "show plan.bin",
    "verify",
    "verify --format json",
    "drift --against lock",
    "history",
    "history --format json",
    "graph",
    "graph --format dot",
    "graph --format svg",
    "unlock",
    "plan --to 0.12",
];

fn reads_leave_no_trace(categories: &[&str]) {
    let (database, redis) = (fresh_database(), fresh_redis());
    legacy_tenants(&redis, 30);
    let (sql_url, redis_url) = (reader(&database), redis_reader(&redis, categories));
    let reading = || {
        Project::outpost_schema()
            .postgres_url(&sql_url)
            .redis_url(&redis_url)
    };
    let owner = Project::outpost(&database, &redis);

    let (project, virgin) = (reading(), content(&database, &redis));
    for arguments in READS {
        project.migrate(arguments).ok();
    }
    project.run(&["serve", "--", "true"]).exits(3);
    assert_eq!(
        content(&database, &redis),
        virgin,
        "a virgin database stays one"
    );

    owner.migrate("apply --yes --to 0.14").ok();
    let (project, halfway) = (reading(), content(&database, &redis));
    for arguments in READS {
        project.migrate(arguments).ok();
    }
    project.run(&["serve", "--", "true"]).exits(3);
    project.migrate("list --exit-code").exits(3);
    assert_eq!(content(&database, &redis), halfway);

    owner.apply();
    let (project, applied) = (reading(), content(&database, &redis));
    for arguments in READS {
        project.migrate(arguments).ok();
    }
    project.run(&["serve", "--", "true"]).ok();
    project.migrate("cleanup -out cleanup.bin").ok();
    assert_eq!(content(&database, &redis), applied);

    // What they plan is what the owner plans, and a plan of the reader's can be applied by the owner.
    let plan = |project: &Project| {
        let json = project.migrate("plan --to 0.12 --format json").ok().json();
        json["digest"].to_string()
    };
    assert_eq!(
        plan(&reading()),
        plan(&owner),
        "one decision, whoever reads"
    );

    // And a writer with a reader's rights is refused, and changes nothing.
    project.migrate("apply plan.bin").ok();
    project.migrate("apply --yes --to 0.12").exits(1);
    assert_eq!(content(&database, &redis), applied);
}

#[test]
fn c09_u03_reading_commands_need_rights_to_read_alone() {
    reads_leave_no_trace(&["+@read", "+@connection"]);
}

#[test]
fn c09_the_right_to_ask_for_memory_is_optional() {
    reads_leave_no_trace(&["+@read", "+@connection", "+info"]);
}

#[test]
fn u03_a_read_creates_no_ledger_and_no_key() {
    let (database, redis) = (fresh_database(), fresh_redis());
    let project = Project::outpost(&database, &redis);
    for arguments in READS {
        project.migrate(arguments).ok();
    }
    let schemas = "select count(*) from pg_namespace where nspname = 'outpost'";
    assert_eq!(query_one_text(&database, schemas), "0");
    assert_eq!(redis_cmd(&redis, &["DBSIZE"]), redis::Value::Int(0));
}
