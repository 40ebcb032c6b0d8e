//! `plan --rehearse` as a person runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use outpost::sandbox::{PostgresServer, RedisServer};
use serde_json::{Value, json};

use crate::keyspace::keyspace;
use crate::support::project::{Project, database_content};
use crate::support::{
    Database, fresh_database, fresh_redis, query_one_text, redis_cmd, sql, started, wait_until,
};

/// How many databases of rehearsals a server has.
const LEFT: &str = "select count(*) from pg_database where datname like 'outpost_rehearsal%'";

/// A project whose first migration is applied.
fn project(database: &Database) -> Project {
    let project = Project::empty()
        .postgres(database)
        .file(
            "schema/sql/0001_init.up.sql",
            "create table orders (id int primary key, total int);\n\
             create table lines (order_id int references orders (id), n int);\n",
        )
        .file(
            "schema/sql/0001_init.down.sql",
            "drop table lines; drop table orders;\n",
        );
    project.apply();
    sql(
        database,
        "insert into orders select i, i from generate_series(1, 100) i",
    );
    project
}

fn step<'a>(plan: &'a Value, id: &str) -> &'a Value {
    plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["id"] == id)
        .unwrap_or_else(|| panic!("{id} in {plan}"))
}

/// What the rehearsal saw of a step's statement.
fn seen<'a>(plan: &'a Value, id: &str, statement: usize) -> &'a Value {
    &step(plan, id)["sql"]["statements"][statement]["rehearsal"]
}

#[test]
fn u18_a_rehearsal_shows_locks_rewrites_and_whether_the_way_back_leads_back() {
    let database = fresh_database();
    let project = project(&database)
        .file(
            "schema/sql/0002_token.up.sql",
            "create table fresh (order_id int references orders (id));\n\
             alter table orders add column token float not null default random();\n\
             alter table orders add column note text not null default 'x';\n",
        )
        .file(
            "schema/sql/0002_token.down.sql",
            "alter table orders drop column note, drop column token;\ndrop table fresh;\n",
        )
        .file(
            "schema/sql/0003_index.up.sql",
            "-- outpost: transaction = false\n\
             create index concurrently orders_total on orders (total);\n\
             alter table lines add column price int;\n\
             vacuum lines;\n",
        )
        .file(
            "schema/sql/0003_index.down.sql",
            "-- outpost: transaction = false\n\
             drop index concurrently orders_total;\nalter table lines drop column price;\n",
        )
        .file(
            "schema/sql/0004_halves.up.sql",
            "create table half (i int);\ncreate sequence other_half;\ntruncate lines;\n",
        )
        .file("schema/sql/0004_halves.down.sql", "drop table half;\n")
        .file(
            "schema/sql/0005_rest.up.sql",
            "alter table lines rename to rows;\n",
        );
    sql(&database, "create table by_hand (i int)");
    let before = database_content(&database);
    let plain = project.migrate("plan --format json").ok().json();
    let plan = project
        .migrate("plan --rehearse -out plan.bin --format json")
        .ok()
        .json();
    assert_eq!(before, database_content(&database));

    // Evidence, and nothing else.
    assert_eq!(plan["digest"], plain["digest"]);
    assert_eq!(plain["rehearsal"], json!([]));
    let held = &plan["rehearsal"][0];
    assert_eq!(held["server"], "throwaway", "{held}");
    assert_eq!(held["origin"], "replayed");
    assert_eq!(held["migrations"], json!(["sql/0001_init"]));
    assert_eq!(
        held["differences"],
        json!(["table public.by_hand is missing"])
    );
    assert_eq!(held["failed"], Value::Null);

    let lock = |relation: &str, mode: &str| json!({"relation": relation, "mode": mode});
    assert_eq!(
        seen(&plan, "sql/0002_token", 0)["locks"],
        json!([lock("public.orders", "share_row_exclusive")])
    );
    let token = seen(&plan, "sql/0002_token", 1);
    assert_eq!(token["rewritten"], json!(["public.orders"]), "{token}");
    assert!(
        token["locks"]
            .as_array()
            .unwrap()
            .contains(&lock("public.orders", "access_exclusive")),
        "{token}"
    );
    let note = seen(&plan, "sql/0002_token", 2);
    assert_eq!(
        (&note["rewritten"], &note["locks"]),
        (&json!([]), &json!([])),
        "held already: {note}"
    );
    assert_eq!(
        step(&plan, "sql/0002_token")["rehearsal"]["way_back"]["kind"],
        "exact"
    );

    let index = seen(&plan, "sql/0003_index", 0);
    assert_eq!(
        index["locks"],
        json!([lock("public.orders", "share_update_exclusive")])
    );
    assert_eq!(index["indexes_built"], json!(["public.orders_total"]));
    assert_eq!(
        seen(&plan, "sql/0003_index", 1)["locks"],
        json!([lock("public.lines", "access_exclusive")])
    );
    assert_eq!(
        seen(&plan, "sql/0003_index", 2)["locks"],
        json!([lock("public.lines", "share_update_exclusive")])
    );
    assert_eq!(
        step(&plan, "sql/0003_index")["rehearsal"]["way_back"]["kind"],
        "exact"
    );

    let halves = step(&plan, "sql/0004_halves");
    assert_eq!(halves["rehearsal"]["way_back"]["kind"], "differs");
    assert_eq!(
        halves["rehearsal"]["way_back"]["differences"],
        json!(["sequence public.other_half is there as well"])
    );
    assert_eq!(
        seen(&plan, "sql/0004_halves", 2)["rewritten"],
        json!([]),
        "emptied only"
    );
    let rest = &step(&plan, "sql/0005_rest")["rehearsal"];
    assert_eq!(rest["way_back"]["kind"], "absent", "{rest}");

    // All of it is in the file, and on every screen.
    for format in ["text", "markdown", "html"] {
        project
            .migrate(&format!("show plan.bin --format {format}"))
            .ok()
            .says("its way back does not bring back what was there: sequence public.other")
            .says("wrote public.orders anew")
            .says("its way back brings back exactly what was there");
    }
    project.migrate("apply plan.bin").ok();
}

#[test]
fn u18_a_statement_that_fails_in_the_rehearsal_is_named_and_the_plan_is_kept() {
    let database = fresh_database();
    let elsewhere = started(PostgresServer::start());
    let project = project(&database)
        .file(
            "schema/sql/0002_bad.up.sql",
            "create table good (i int);\nalter table orders add column a int;\n\nalter table missing add column b int;\n",
        )
        .file("schema/sql/0003_later.up.sql", "create table later (i int);\n");
    let url = elsewhere.url();
    project
        .migrate(&format!("plan -out plan.bin --detailed-exitcode --rehearse-url {url}"))
        .exits(1)
        .says("the rehearsal failed at statement 3 of sql/0002_bad: sql/0002_bad.up.sql:4: relation \"missing\" does not exist")
        .says("hint: plan.bin is written all the same");
    let plan = project.migrate("show plan.bin --format json").ok().json();
    assert_eq!(plan["rehearsal"][0]["server"], "given");
    let bad = step(&plan, "sql/0002_bad");
    assert_eq!(bad["rehearsal"]["outcome"], "failed");
    assert_eq!(bad["sql"]["statements"][2]["rehearsal"], Value::Null);
    assert_eq!(
        seen(&plan, "sql/0002_bad", 1)["locks"][0]["relation"],
        "public.orders"
    );
    assert!(
        bad["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|w| w["kind"] == "rehearsal"),
        "{bad}"
    );
    let later = &step(&plan, "sql/0003_later")["rehearsal"];
    assert_eq!(later["outcome"], "not_run");
    assert_eq!(
        later["reason"],
        "sql/0002_bad, which it comes after, was not done"
    );

    sql(elsewhere.url(), "create role guest login password 'guest'");
    let (_, host) = url.rsplit_once('@').unwrap();
    let guest = format!("postgres://guest:guest@{host}");
    project
        .migrate(&format!("plan --rehearse-url {guest}"))
        .refuses(1, &["permission denied", "the role needs CREATEDB"]);
    project
        .migrate(&format!("plan --rehearse-url {}", database.url))
        .refuses(1, &["on the server of the database that is to be migrated"]);
    project
        .migrate("plan --rehearse-url postgres://nobody@127.0.0.1:1/x")
        .refuses(1, &["cannot connect", "--rehearse-url"]);
    assert_eq!(query_one_text(elsewhere.url(), LEFT), "0");
}

const MOVE: &str = "scope = \"tenant:<rest..>\"\nignore = [\"tenant:{<id>}\"]\n\n[[step]]\n\
    copy = \"tenant:<id>\"\nto = \"tenant:{<id>}\"\ntype = \"hash\"\n";
const TIMES: &str = "scope = \"tenant:{<id>}\"\n\n[[step]]\nconvert = [\"made\"]\nin = \"tenant:{<id>}\"\n\
    from_format = \"rfc3339\"\nto_format = \"unix_ms\"\n";
const KIND: &str = "scope = \"tenant:{<id>}\"\n\n[[step]]\n\
    set = { kind = \"tenant\" }\nin = \"tenant:{<id>}\"\n";

/// Tenants in the old form, of which one in three expires.
fn tenants(redis: &RedisServer, times: &[&str]) {
    for (n, time) in times.iter().enumerate() {
        let key = format!("tenant:{n}");
        redis_cmd(redis, &["HSET", &key, "made", time, "note", "a \u{7f} b"]);
        if n % 3 == 0 {
            redis_cmd(redis, &["PEXPIRE", &key, "86400000"]);
        }
    }
}

fn keys(redis: &RedisServer) -> Project {
    Project::empty()
        .redis(redis)
        .file("schema/redis/0001_move.toml", MOVE)
        .file("schema/redis/0002_times.toml", TIMES)
        .file("schema/redis/0003_kind.toml", KIND)
}

#[test]
fn redis_steps_are_rehearsed_over_a_sample_there_and_back() {
    let redis = fresh_redis();
    tenants(&redis, &["2024-01-02T03:04:05.678Z"; 100]);
    redis_cmd(&redis, &["SET", "elsewhere", "stays"]);
    let project = keys(&redis);
    let before = keyspace(redis.url());
    let plain = project.migrate("plan --format json").ok().json();
    let plan = project
        .migrate("plan --rehearse -out plan.bin --format json")
        .ok()
        .json();
    assert!(keyspace(redis.url()) == before, "the target was written");
    assert_eq!(plan["digest"], plain["digest"]);

    let held = &plan["rehearsal"][0];
    assert_eq!(
        (&held["store"], &held["server"]),
        (&json!("redis"), &json!("throwaway"))
    );
    assert_eq!(
        (&held["origin"], &held["keys"]),
        (&json!("sampled"), &json!(64))
    );
    assert_eq!(held["differences"], json!([]));
    for id in ["redis/0001_move", "redis/0002_times", "redis/0003_kind"] {
        let seen = &step(&plan, id)["rehearsal"];
        assert_eq!(seen["outcome"], "done", "{seen}");
        // Each goes over what the one before it made.
        assert_eq!(seen["keys"], 64, "{seen}");
        assert_eq!(seen["way_back"]["kind"], "exact", "{seen}");
    }
    for format in ["text", "markdown", "html"] {
        project
            .migrate(&format!("show plan.bin --format {format}"))
            .ok()
            .says("over a sample of 64 keys")
            .says("rehearsed on a sample, changing 64 keys");
    }
    project.migrate("apply plan.bin").ok();
    let project = project.file(
        "schema/versions.toml",
        "[[version]]\nname = \"moved\"\nadd = [\"redis/0001_move\"]\n\n[[version]]\nname = \"all\"\n\
         extends = \"moved\"\nadd = [\"redis/0002_times\", \"redis/0003_kind\"]\n",
    );
    let back = project
        .migrate("plan --to moved --rehearse --format json")
        .ok();
    let back = back.json();
    let seen = &step(&back, "redis/0003_kind")["rehearsal"];
    assert_eq!(seen["outcome"], "not_run");
    assert_eq!(
        seen["reason"],
        "over keys, only what is applied is rehearsed"
    );
}

#[test]
fn what_goes_wrong_with_keys_in_a_rehearsal_is_named() {
    let redis = fresh_redis();
    // What is below a millisecond is lost, so that the way back brings something else.
    tenants(
        &redis,
        &["2024-01-02T03:04:05.678901234Z", "2024-01-02T03:04:05Z"],
    );
    redis_cmd(&redis, &["RPUSH", "large", "x"]);
    let long: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
    let mut push = vec!["RPUSH", "queue:1"];
    push.extend(long.iter().map(String::as_str));
    redis_cmd(&redis, &push);
    let project = keys(&redis)
        .file(
            "schema/redis/0004_break.toml",
            "scope = \"queue:<id>\"\n\n[[step]]\nscript = \"redis.call('GET', 'absent') error('no')\"\n\
             check = \"local all = {} for i = 1, #KEYS do all[i] = 1 end return all\"\nin = \"queue:<id>\"\n",
        )
        .file("schema/redis/0005_after.toml", "requires = [\"redis/0004_break\"]\n\
             scope = \"none:<id>\"\n\n[[step]]\ndelete = \"none:<id>\"\n");
    redis_cmd(&redis, &["RPUSH", "queue:2", "a"]);
    project
        .migrate("plan -out plan.bin --rehearse")
        .exits(1)
        .says("the rehearsal failed at redis/0004_break: ")
        .says("hint: plan.bin is written all the same");
    let plan = project.migrate("show plan.bin --format json").ok().json();
    assert_eq!(
        plan["rehearsal"][0]["differences"],
        json!(["1 large key was left out of the sample"])
    );
    let times = &step(&plan, "redis/0002_times")["rehearsal"]["way_back"];
    assert_eq!(times["kind"], "differs", "{times}");
    assert_eq!(
        times["differences"],
        json!(["key tenant:{0} holds something else"])
    );
    let kind = &step(&plan, "redis/0003_kind")["rehearsal"];
    assert_eq!(kind["way_back"]["kind"], "exact");
    let broken = step(&plan, "redis/0004_break");
    assert_eq!(broken["rehearsal"]["outcome"], "failed");
    let warned = broken["warnings"].as_array().unwrap().iter();
    assert_eq!(warned.filter(|w| w["kind"] == "rehearsal").count(), 1);
    let after = &step(&plan, "redis/0005_after")["rehearsal"];
    assert_eq!(after["outcome"], "not_run");

    // Who may not read whole values still gets a plan, with the reason.
    let rights = [
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">pw",
        "~*",
        "+@read",
        "+@connection",
        "+eval_ro",
        "-dump",
    ];
    redis_cmd(&redis, &rights);
    let (_, host) = redis.url().rsplit_once('@').unwrap();
    let blind = project.redis_url(&format!("redis://reader:pw@{host}"));
    let plan = blind.migrate("plan --rehearse --format json").ok().json();
    let seen = &step(&plan, "redis/0001_move")["rehearsal"];
    assert_eq!(seen["outcome"], "not_run");
    assert!(seen["reason"].as_str().unwrap().contains("dump"), "{seen}");
    assert_eq!(plan["rehearsal"], json!([]));
}

#[test]
fn an_interrupted_rehearsal_leaves_no_server_and_no_folder() {
    let database = fresh_database();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let project = project(&database)
        .file("schema/sql/0002_slow.up.sql", "select pg_sleep(600);\n")
        .env("TMPDIR", folder.path().to_str().unwrap());
    let entries = || -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let child = project.background("plan -out plan.bin --rehearse");
        // Its database is made right before the steps.
        wait_until("the rehearsal runs", || {
            let bases = entries().into_iter().map(|home| home.join("data/base"));
            bases
                .filter_map(|base| fs::read_dir(base).ok())
                .any(|base| base.count() > 3)
        });
        let pid = fs::read_to_string(entries()[0].join("data/postmaster.pid")).unwrap();
        let server: i32 = pid.lines().next().unwrap().parse().unwrap();
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let code = 128 + signal as i32;
        project.wait(child).exits(code);
        wait_until("the folder is gone", || entries().is_empty());
        assert!(
            kill(Pid::from_raw(server), None).is_err(),
            "the server runs on"
        );
        assert!(!project.path("plan.bin").exists());
    }
}

#[test]
fn u18_an_interrupted_rehearsal_leaves_nothing_on_a_given_server() {
    let database = fresh_database();
    let elsewhere = started(PostgresServer::start());
    let project = project(&database).file(
        "schema/sql/0002_wait.up.sql",
        "create table waits (i int);\nselect pg_sleep(600);\n",
    );
    let child = project.background(&format!("plan --rehearse-url {}", elsewhere.url()));
    let running = "select count(*) from pg_stat_activity where state = 'active' \
                   and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()";
    wait_until("the rehearsal runs", || {
        query_one_text(elsewhere.url(), running) == "1"
    });
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    project.wait(child).exits(143);
    assert_eq!(query_one_text(elsewhere.url(), LEFT), "0");
    assert_eq!(query_one_text(elsewhere.url(), running), "0");
}

#[test]
fn u18_a_revert_is_rehearsed_from_where_the_target_is() {
    let database = fresh_database();
    let project = project(&database)
        .file(
            "schema/sql/0002_note.up.sql",
            "alter table orders add column note text;\n",
        )
        .file(
            "schema/sql/0002_note.down.sql",
            "alter table orders drop column note;\n",
        )
        .file(
            "schema/versions.toml",
            "[[version]]\nname = \"none\"\nadd = []\n\n\
             [[version]]\nname = \"1\"\nadd = [\"sql/0001_init\", \"sql/0002_note\"]\n",
        )
        .version("1");
    project.apply();
    let plan = project
        .migrate("plan --to none --rehearse --format json")
        .ok()
        .json();
    let held = &plan["rehearsal"][0];
    assert_eq!(
        held["migrations"],
        json!(["sql/0001_init", "sql/0002_note"])
    );
    assert_eq!(held["differences"], json!([]), "{held}");
    assert_eq!(
        seen(&plan, "sql/0002_note", 0)["locks"],
        json!([{"relation": "public.orders", "mode": "access_exclusive"}])
    );
    for id in ["sql/0001_init", "sql/0002_note"] {
        let rehearsal = &step(&plan, id)["rehearsal"];
        assert_eq!(rehearsal["outcome"], "done", "{rehearsal}");
        assert_eq!(rehearsal["way_back"]["kind"], "absent");
        assert_eq!(
            rehearsal["way_back"]["reason"],
            "it is the way back of another step"
        );
    }
}

#[test]
fn u18_what_is_adopted_is_in_place_before_the_first_rehearsed_step() {
    let database = fresh_database();
    sql(
        &database,
        "create table orders (id int primary key);
         create table schema_migrations (version bigint not null primary key, dirty boolean not null);
         insert into schema_migrations values (1, false)",
    );
    let project = Project::empty()
        .postgres(&database)
        .more("[compat]\ngolang_migrate = \"schema_migrations\"\n")
        .file(
            "schema/sql/0001_init.up.sql",
            "create table orders (id int primary key);\n",
        )
        .file(
            "schema/sql/0001_init.verify.sql",
            "select 'orders is missing' where to_regclass('orders') is null;\n",
        )
        .file(
            "schema/sql/0002_note.up.sql",
            "alter table orders add column note text;\n",
        );
    let plan = project.migrate("plan --rehearse --format json").ok().json();
    let held = &plan["rehearsal"][0];
    assert_eq!(held["migrations"], json!(["sql/0001_init"]), "{held}");
    assert_eq!(step(&plan, "sql/0001_init")["action"], "adopt");
    assert_eq!(
        step(&plan, "sql/0001_init")["rehearsal"],
        Value::Null,
        "nothing of it is run"
    );
    assert_eq!(
        step(&plan, "sql/0002_note")["rehearsal"]["outcome"],
        "done",
        "{plan}"
    );
}
