//! The rights that docs/permissions.md lists are enough, and none of them is too many.

use outpost::sandbox::RedisServer;

use crate::support::project::{Ended, Project, legacy_tenants, redis_content};
use crate::support::{
    Database, fresh_database, fresh_redis, query_one_text, redis_cmd, sql, try_redis_cmd,
};

const PERMISSIONS: &str = include_str!("../../docs/permissions.md");
const PASSWORD: &str = "w0rd-of-few-rights";

/// The statements about a role in docs/permissions.md, without their comments.
fn documented_sql(role: &str) -> Vec<String> {
    let blocks = PERMISSIONS.split("```sql").skip(1);
    let block = blocks
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains(role));
    let lines = block.unwrap().lines().filter(|line| !line.is_empty());
    let statement = |line: &str| line.split(';').next().unwrap().to_owned();
    lines.map(statement).collect()
}

/// The words of the rules for a user in docs/permissions.md.
fn documented_acl(user: &str) -> Vec<String> {
    let start = format!("ACL SETUSER {user} on >password ");
    let rules = PERMISSIONS
        .lines()
        .find_map(|line| line.strip_prefix(&start));
    rules.unwrap().split(' ').map(str::to_owned).collect()
}

/// The same statements with one thing less: a statement, or one of the rights that it grants.
fn each_with_less(statements: &[String]) -> Vec<(String, Vec<String>)> {
    let mut less = Vec::new();
    for (at, statement) in statements.iter().enumerate() {
        let rights = statement
            .strip_prefix("grant ")
            .and_then(|s| s.split_once(" on "));
        let rights: Vec<&str> =
            rights.map_or_else(Vec::new, |(rights, _)| rights.split(", ").collect());
        let mut with = |what: String, instead: Option<String>| {
            let mut changed = statements.to_vec();
            changed.splice(at..=at, instead);
            less.push((what, changed));
        };
        if statement.starts_with("create role") {
            continue;
        }
        match rights.as_slice() {
            [] | [_] => with(format!("without `{statement}`"), None),
            rights => {
                for right in rights {
                    let others: Vec<&str> = rights.iter().copied().filter(|r| r != right).collect();
                    let (_, object) = statement.split_once(" on ").unwrap();
                    let instead = format!("grant {} on {object}", others.join(", "));
                    with(format!("without {right} in `{statement}`"), Some(instead));
                }
            }
        }
    }
    less
}

/// A database that golang-migrate brought to its first version, as a superuser.
fn migrated_database() -> Database {
    let database = fresh_database();
    sql(
        &database,
        "create table accounts (id bigint primary key); insert into accounts values (1), (2);
         create table schema_migrations (version bigint not null primary key, dirty boolean not null);
         insert into schema_migrations values (1, false)",
    );
    database
}

/// Makes a role by the documented statements, under a name of the test's own, and answers its URL.
fn role(database: &Database, role: &str, statements: &[String]) -> String {
    let own = format!("{role}_{}", database.name);
    for statement in statements {
        sql(database, &statement.replace(role, &own));
    }
    sql(database, &format!("alter role {own} password '{PASSWORD}'"));
    let superuser = format!("select rolsuper::text from pg_roles where rolname = '{own}'");
    assert_eq!(query_one_text(database, &superuser), "false");
    let (_, rest) = database.url.rsplit_once('@').unwrap();
    format!("postgres://{own}:{PASSWORD}@{rest}")
}

fn accounts(url: &str) -> Project {
    Project::empty()
        .file(
            "schema/versions.toml",
            "[[version]]
name = \"1\"
add = [\"sql/0001_accounts\"]
             [[version]]
name = \"2\"
extends = \"1\"
             add = [\"sql/0002_name\", \"sql/0003_index\", \"sql/0004_orders\"]
",
        )
        .file(
            "schema/sql/0001_accounts.up.sql",
            "create table accounts (id bigint primary key);",
        )
        .file(
            "schema/sql/0001_accounts.verify.sql",
            "select count(id) >= 0 from accounts;",
        )
        .file(
            "schema/sql/0002_name.up.sql",
            "alter table accounts add name text; update accounts set name = 'n';",
        )
        .file(
            "schema/sql/0002_name.down.sql",
            "alter table accounts drop name;",
        )
        .file(
            "schema/sql/0002_name.cleanup.sql",
            "alter table accounts alter name set not null;",
        )
        .file(
            "schema/sql/0003_index.up.sql",
            "-- outpost: transaction = false
create index concurrently accounts_name on accounts (name);",
        )
        .file(
            "schema/sql/0003_index.down.sql",
            "-- outpost: transaction = false
drop index concurrently accounts_name;",
        )
        .file(
            "schema/sql/0004_orders.up.sql",
            "create table orders (account bigint references accounts);",
        )
        .file("schema/sql/0004_orders.down.sql", "drop table orders;")
        .version("2")
        .postgres_url(url)
        .more(
            "[compat]
golang_migrate = \"schema_migrations\"",
        )
}

/// Runs commands until one fails.
fn all_of(project: &Project, commands: &[&str]) -> Result<(), Ended> {
    for command in commands {
        let ended = project.migrate(command);
        if ended.code != Some(0) {
            return Err(ended);
        }
    }
    Ok(())
}

const WRITES: [&str; 7] = [
    "plan -out plan.bin",
    "apply plan.bin",
    "verify",
    "cleanup --yes",
    "apply --yes --to 1",
    "apply --yes",
    "unlock",
];

#[test]
fn a_postgres_role_applies_with_the_documented_rights_and_no_fewer() {
    let statements = documented_sql("outpost_writer");
    let database = migrated_database();
    let project = accounts(&role(&database, "outpost_writer", &statements));
    all_of(&project, &WRITES).unwrap();
    assert!(
        project
            .statuses()
            .values()
            .all(|status| status == "applied")
    );
    let row = "select version || ' ' || dirty from schema_migrations";
    assert_eq!(query_one_text(&database, row), "4 false");
    // And what is for bad days.
    let half_done =
        "-- outpost: transaction = false\ncreate index concurrently b on accounts (nonsense);";
    project.write("schema/sql/0005_broken.up.sql", half_done);
    project
        .migrate("apply --yes --to latest")
        .exits(1)
        .says("nonsense");
    let resolve = "resolve sql/0005_broken --rolled-back --yes";
    project.migrate(resolve).ok();
    sql(
        &database,
        "insert into outpost.lease (token, id, holder, since, expires_at) values
           (99, 'other', '{\"user\": \"u\", \"host\": \"h\", \"pid\": 1, \"plan\": \"p\"}', now(), now() + interval '30 seconds')",
    );
    project.migrate("unlock other --yes --force").ok();

    // The other way to a ledger.
    let database = migrated_database();
    let on_database = format!(
        "grant create on database {} to outpost_writer",
        database.name
    );
    let create = |s: &String| match s.starts_with("create schema outpost") {
        true => on_database.clone(),
        false => s.clone(),
    };
    let others: Vec<String> = statements.iter().map(create).collect();
    let project = accounts(&role(&database, "outpost_writer", &others));
    all_of(&project, &WRITES).unwrap();

    for (what, statements) in each_with_less(&statements) {
        let database = migrated_database();
        let project = accounts(&role(&database, "outpost_writer", &statements));
        let ended = all_of(&project, &WRITES).expect_err(&what).exits(1);
        let of_rights = ["SQLSTATE 42501", "permission denied"];
        let said = of_rights.iter().any(|words| ended.stderr.contains(words));
        assert!(said, "{what}: {}", ended.stderr);
    }
}

#[test]
fn c09_a_postgres_role_reads_with_the_documented_rights_and_no_fewer() {
    const READS: [&str; 6] = ["list", "plan", "verify", "history", "graph", "unlock"];
    let statements = documented_sql("outpost_reader");
    // Before the first apply there is no ledger to be granted.
    let database = migrated_database();
    let early: Vec<String> = statements
        .iter()
        .filter(|statement| !statement.contains("schema outpost"))
        .cloned()
        .collect();
    let project = accounts(&role(&database, "outpost_reader", &early));
    all_of(&project, &READS).unwrap();

    let applied = || {
        let database = migrated_database();
        accounts(&database.url).migrate("apply --yes").ok();
        database
    };
    let database = applied();
    let project = accounts(&role(&database, "outpost_reader", &statements));
    all_of(&project, &READS).unwrap();
    project.run(&["serve", "--", "true"]).ok();
    // These look at no table of the application's.
    let ledger = statements.iter().filter(|s| !s.contains("on accounts"));
    let ledger: Vec<String> = ledger.cloned().collect();
    let other = applied();
    let of_ledger = accounts(&role(&other, "outpost_reader", &ledger));
    all_of(&of_ledger, &["list", "history", "graph", "unlock"]).unwrap();
    of_ledger.run(&["serve", "--", "true"]).ok();
    project
        .migrate("cleanup --yes")
        .exits(1)
        .says("permission denied");

    for (what, statements) in each_with_less(&statements) {
        let database = applied();
        let project = accounts(&role(&database, "outpost_reader", &statements));
        all_of(&project, &READS)
            .expect_err(&what)
            .refuses(1, &["permission denied"]);
    }
}

/// A Redis user by these rules, on a server with some keys, and its URL.
fn redis_user(rules: &[String]) -> (RedisServer, String) {
    let redis = fresh_redis();
    for id in 0..20 {
        let key = format!("a:{id}");
        redis_cmd(
            &redis,
            &[
                "HSET",
                &key,
                "at",
                "2024-05-01T10:00:00Z",
                "old",
                "1",
                "spare",
                "1",
            ],
        );
        redis_cmd(
            &redis,
            &["SET", &format!("mortal:{id}"), "v", "EX", "100000"],
        );
        redis_cmd(&redis, &["SET", &format!("immortal:{id}"), "v"]);
        redis_cmd(&redis, &["SET", &format!("gone:{id}"), "v"]);
    }
    // So many fields that it is copied in parts.
    let fields: Vec<String> = (0..2500).map(|n| format!("f{n}")).collect();
    let mut large = vec!["HSET", "a:large", "at", "2024-05-01T10:00:00Z", "old", "1"];
    large.extend(["spare", "1"]);
    large.extend(fields.iter().flat_map(|field| [field.as_str(), "v"]));
    redis_cmd(&redis, &large);
    let mut command: Vec<&str> = vec![
        "ACL",
        "SETUSER",
        "few",
        "reset",
        "on",
        ">w0rd-of-few-rights",
    ];
    command.extend(rules.iter().map(String::as_str));
    redis_cmd(&redis, &command);
    let (_, rest) = redis.url().rsplit_once('@').unwrap();
    let url = format!("redis://few:{PASSWORD}@{rest}");
    (redis, url)
}

/// Every operation but `command`, whose rights are those of its words.
fn all_operations(url: &str) -> Project {
    let versions = "
        [[version]]
        name = \"0\"
        add = []
        [[version]]
        name = \"1\"
        extends = \"0\"
        add = [\"redis/0001_copy\", \"redis/0002_convert\", \"redis/0003_set\", \"redis/0004_rename\"]
        [[version]]
        name = \"2\"
        extends = \"1\"
        add = [\"redis/0005_remove\", \"redis/0006_keys\"]";
    let migrations = [
        (
            "0001_copy",
            "scope = 'a:<id>'\n[[step]]\ncopy = 'a:<id>'\nto = 'b:<id>'\ntype = 'hash'",
        ),
        (
            "0002_convert",
            "scope = 'b:<id>'\n[[step]]\nconvert = 'at'\nin = 'b:<id>'\nfrom_format = 'rfc3339'\nto_format = 'unix_ms'",
        ),
        (
            "0003_set",
            "scope = 'b:<id>'\n[[step]]\nset = { entity = 'b' }\nin = 'b:<id>'",
        ),
        (
            "0004_rename",
            "scope = 'b:<id>'\n[[step]]\nrename_field = 'old'\nto = 'new'\nin = 'b:<id>'",
        ),
        (
            "0005_remove",
            "scope = 'b:<id>'\n[[step]]\nremove_field = 'spare'\nin = 'b:<id>'",
        ),
        (
            "0006_keys",
            "scope = ['mortal:<id>', 'immortal:<id>', 'gone:<id>']
             [[step]]\nexpire = 'immortal:<id>'\nafter = '1h'
             [[step]]\npersist = 'mortal:<id>'
             [[step]]\ndelete = 'gone:<id>'\ntype = 'string'",
        ),
    ];
    let project = Project::empty().file("schema/versions.toml", versions);
    let project = migrations.iter().fold(project, |project, (name, text)| {
        project.file(&format!("schema/redis/{name}.toml"), text)
    });
    project.version("2").redis_url(url)
}

const REDIS_WRITES: [&str; 8] = [
    "plan -out plan.bin --to 1",
    "apply plan.bin",
    "verify",
    "apply --yes --to 0",
    "apply --yes --to 1",
    "cleanup --yes",
    "apply --yes",
    "verify",
];

#[test]
fn a_redis_user_applies_with_the_documented_rights_and_no_fewer() {
    let rules = documented_acl("outpost_writer");
    let (redis, url) = redis_user(&rules);
    let project = all_operations(&url);
    all_of(&project, &REDIS_WRITES).unwrap();
    assert!(
        project
            .statuses()
            .values()
            .all(|status| status == "applied")
    );
    assert_eq!(
        redis_content(&redis)
            .keys()
            .filter(|key| key.starts_with("a:"))
            .count(),
        0
    );
    let lock = r#"{"id":"other","holder":{"user":"u","host":"h","pid":1,"plan":"p"},"since":"2026-01-01T00:00:00Z"}"#;
    redis_cmd(
        &redis,
        &["SET", ".outpost:migration_lock", lock, "PX", "30000"],
    );
    project.migrate("unlock other --yes --force").ok();

    for rule in rules.iter().filter(|rule| rule.starts_with('+')) {
        let fewer: Vec<String> = rules
            .iter()
            .filter(|other| *other != rule)
            .cloned()
            .collect();
        let (_redis, url) = redis_user(&fewer);
        let ended = all_of(&all_operations(&url), &REDIS_WRITES).expect_err(rule);
        if rule == "+del" {
            // What cannot be deleted is the lease, so the next run meets it.
            ended.exits(5).says("the lease is held by");
            continue;
        }
        let ended = ended.exits(1).says("permission denied");
        if !rule.starts_with("+@") {
            ended.says(&format!(
                "no permissions to run the '{}' command",
                &rule[1..]
            ));
        }
    }
}

/// The patterns of docs/permissions.md for a user that is not to see every key.
fn documented_patterns(prefix: &str) -> Vec<String> {
    let (_, narrow) = PERMISSIONS.split_once("To narrow `~*`").unwrap();
    let code = narrow.split('`').skip(1).step_by(2);
    let patterns = code.filter(|code| code.starts_with('~'));
    patterns
        .map(|pattern| pattern.replace("${prefix}", prefix))
        .collect()
}

#[test]
fn a_redis_user_may_be_kept_to_the_keys_that_migrations_name() {
    let rights: Vec<String> = documented_acl("outpost_writer")
        .into_iter()
        .filter(|rule| rule != "~*")
        .collect();
    let scopes = ["~tenant:*", "~t0:tenant:*"].map(str::to_owned);
    for (prefix, keys) in [("", ""), ("t0:", "deployment_id = \"t0\"")] {
        let project = |url: &str| {
            Project::outpost_schema()
                .redis_url(url)
                .redis_keys(keys)
                .more("[compat]\noutpost_redis = true")
        };
        let patterns = documented_patterns(prefix);
        assert_eq!(patterns.len(), 4);
        let rules: Vec<String> = [&patterns, scopes.as_slice(), &rights].concat();
        let (redis, url) = redis_user(&rules);
        legacy_tenants(&redis, 20);
        let commands = ["apply --yes", "verify", "cleanup --yes", "verify", "unlock"];
        all_of(&project(&url), &commands).unwrap();
        let foreign = try_redis_cmd(&url, &["GET", "immortal:1"]).unwrap_err();
        assert_eq!(foreign.code(), Some("NOPERM"), "{foreign}");

        for pattern in &patterns {
            let fewer = rules.iter().filter(|rule| *rule != pattern);
            let (redis, url) = redis_user(&fewer.cloned().collect::<Vec<_>>());
            legacy_tenants(&redis, 5);
            let ended = project(&url).migrate("apply --yes").exits(1);
            ended.says("permission denied");
        }
    }
}
