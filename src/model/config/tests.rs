#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::model::id::StoreKind;
use proptest::prelude::*;

const FILE: &str = "outpost.toml";

/// The shortest valid file; cases put more after it.
const MINIMAL: &str = "[schema]\nversion = \"1.2\"\n[redis]\nurl = \"redis://cache\"\n";

const FULL: &str = r#"
[schema]
path = "db"
version = "${VERSION:-1.2}"

[postgres]
url = "${DATABASE_URL}"
direct_url = "${DIRECT_URL:-}"
lock_timeout = "2s"
statement_timeout = "10m"
sslrootcert = "ca.pem"
sslcert = "c.pem"
sslkey = "${KEY_FILE}"

[redis]
url = ["rediss://n1", "rediss://:${REDIS_PASSWORD}@n2:7000"]
cluster = true
deployment_id = "blue"
ignore = ["${prefix}alert:*", "${region}:<rest..>", "${KIND}:*", "$${x}"]
ca = "rca.pem"

[vars]
region = "eu-${ZONE:-1}"
quoted = "${QUOTED}"

[serve]
command = ["outpost-server", "--token=${REDIS_PASSWORD}"]
ahead = "refuse"

[compat]
golang_migrate = "public.schema_migrations"
outpost_redis = true

[adopt]
missing = "keep"

[signing]
allowed_signers = "${KEY_FILE}"
required = true
"#;

fn env(name: &str) -> Option<String> {
    Some(
        match name {
            "DATABASE_URL" => "postgres://outpost:hunter2@db/app",
            "REDIS_PASSWORD" | "PGPASSWORD" => "hunter2",
            "KEY_FILE" => "k.pem",
            "KIND" => "rsmq",
            "QUOTED" => "a\"b'\n[redis]\n${KIND}",
            "EMPTY" => "",
            "NOT_A_TIME" => "hunter2",
            _ => return None,
        }
        .to_owned(),
    )
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(FILE, text, &env)
}

#[test]
fn every_key_is_read() {
    let config = parse(FULL).unwrap();
    assert_eq!(config.schema.path, PathBuf::from("db"));
    assert_eq!(config.schema.version, "1.2");
    let postgres = config.postgres.as_ref().unwrap();
    assert_eq!(
        postgres.endpoint.url.expose(),
        "postgres://outpost:hunter2@db/app"
    );
    assert_eq!(postgres.endpoint.address.store, StoreKind::Sql);
    assert_eq!(
        postgres.endpoint.address.to_string(),
        "postgres at db:5432, database app, user outpost"
    );
    assert_eq!(postgres.direct, None);
    assert_eq!(postgres.lock_timeout, Duration::from_secs(2));
    assert_eq!(postgres.statement_timeout, Duration::from_secs(600));
    let redis = config.redis.as_ref().unwrap();
    assert_eq!(redis.nodes[1].url.expose(), "rediss://:hunter2@n2:7000");
    assert_eq!(redis.prefix(), "blue:");
    assert!(redis.cluster && redis.uses_tls);
    assert_eq!(
        redis.ignore,
        ["${prefix}alert:*", "${region}:<rest..>", "rsmq:*", "${x}"]
    );
    assert_eq!(config.vars["region"], "eu-1");
    assert_eq!(config.vars["quoted"], "a\"b'\n[redis]\n${KIND}");
    assert_eq!(config.serve.command[1].expose(), "--token=hunter2");
    assert_eq!(config.serve.ahead, Ahead::Refuse);
    assert_eq!(
        config.compat.golang_migrate.as_deref(),
        Some("public.schema_migrations")
    );
    assert!(config.compat.outpost_redis);
    assert_eq!(config.adopt.missing, Some(AdoptMissing::Keep));
    let signing = SigningConfig {
        allowed_signers: Some(PathBuf::from("k.pem")),
        required: true,
    };
    assert_eq!(config.signing, signing);
    assert_eq!(SigningConfig::parse(FILE, FULL, &env), Ok(signing));
}

#[test]
fn u16_certificate_files_are_read_for_both_stores() {
    let config = parse(FULL).unwrap();
    let tls = config.postgres.unwrap().tls;
    assert_eq!(tls.ca, Some("ca.pem".into()));
    assert_eq!(
        (tls.cert, tls.key),
        (Some("c.pem".into()), Some("k.pem".into()))
    );
    assert_eq!(config.redis.unwrap().tls.ca, Some("rca.pem".into()));
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.schema.path, PathBuf::from("schema"));
    assert_eq!(config.postgres, None);
    let redis = config.redis.unwrap();
    assert_eq!(
        (redis.database, redis.cluster, redis.uses_tls),
        (0, false, false)
    );
    assert_eq!(redis.prefix(), "");
    assert_eq!(config.serve, ServeConfig::default());
    assert_eq!(config.compat, CompatConfig::default());
    assert_eq!(config.adopt, AdoptConfig::default());
    assert_eq!(config.signing, SigningConfig::default());
    let text = "[schema]\nversion=\"1\"\n[postgres]\nurl = \"host=h\"\n";
    let postgres = parse(text).unwrap().postgres.unwrap();
    assert_eq!(postgres.lock_timeout, Duration::from_secs(5));
    assert_eq!(postgres.statement_timeout, Duration::ZERO);
}

#[test]
fn empty_optional_values_are_absent() {
    let text = format!(
        "{MINIMAL}deployment_id = \"${{EMPTY}}\"\nca = \"${{NONE:-}}\"\n\
         [postgres]\nurl = \"host=h\"\ndirect_url = \"${{EMPTY}}\"\nsslcert = \"\"\n"
    );
    let config = parse(&text).unwrap();
    let postgres = config.postgres.unwrap();
    assert_eq!(postgres.direct, None);
    assert_eq!(postgres.tls, TlsFiles::default());
    let redis = config.redis.unwrap();
    assert_eq!(
        (redis.deployment_id, redis.tls),
        (None, TlsFiles::default())
    );
}

#[test]
fn c13_a_database_that_is_ahead_is_warned_of_unless_the_file_says_otherwise() {
    assert_eq!(parse(MINIMAL).unwrap().serve.ahead, Ahead::Warn);
    for (word, ahead) in [
        ("allow", Ahead::Allow),
        ("warn", Ahead::Warn),
        ("refuse", Ahead::Refuse),
    ] {
        let text = format!("{MINIMAL}[serve]\nahead = \"{word}\"\n");
        assert_eq!(parse(&text).unwrap().serve.ahead, ahead);
    }
}

#[test]
fn u15_nothing_but_the_stores_addresses_is_needed() {
    let asked = std::cell::RefCell::new(Vec::new());
    let env = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        Some("redis://cache".to_owned())
    };
    let text = "[schema]\nversion = \"1\"\n[redis]\nurl = \"${REDIS_URL}\"\n";
    Config::parse(FILE, text, &env).unwrap();
    assert!(asked.borrow().iter().all(|name| name == "REDIS_URL"));
}

#[test]
fn the_schema_alone_is_read_without_the_stores_variables() {
    let schema = SchemaConfig::parse(FILE, FULL, &|_| None).unwrap();
    assert_eq!(schema.version, "1.2");
    let error = Config::parse(FILE, FULL, &|_| None).unwrap_err();
    assert!(error.to_string().contains("DATABASE_URL"));
}

/// Cases after `MINIMAL`, whose four lines come first.
#[test]
fn every_bad_line_is_refused_with_file_line_and_hint() {
    for (more, line, message, hint) in [
        // Shape.
        (
            "[postgress]\nurl = \"host=h\"",
            5,
            "no section [postgress]",
            "did you mean [postgres]?",
        ),
        ("[zzz]", 5, "no section [zzz]", "the sections are [schema]"),
        (
            "clustr = true",
            5,
            "no key `clustr` in [redis]",
            "did you mean `cluster`?",
        ),
        (
            "[redis.tls]\nca = \"x\"",
            5,
            "no key `tls` in [redis]",
            "the keys are",
        ),
        (
            "[postgres]\nurl = \"host=h\"\nlock_timout = \"1s\"",
            7,
            "`lock_timout`",
            "`lock_timeout`?",
        ),
        (
            "[serve]\nahed = \"warn\"",
            6,
            "`ahed` in [serve]",
            "`ahead`?",
        ),
        (
            "[compat]\ngolang_migrat = \"x\"",
            6,
            "`golang_migrat`",
            "`golang_migrate`?",
        ),
        ("[adopt]\nmising = \"x\"", 6, "`mising`", "`missing`?"),
        (
            "cluster = \"yes\"",
            5,
            "`redis.cluster` must be true or false, not string",
            "write",
        ),
        (
            "deployment_id = 1",
            5,
            "must be a string, not integer",
            "write",
        ),
        (
            "ignore = [\n\"a\",\n1]",
            7,
            "`redis.ignore[1]` must be a string",
            "write",
        ),
        (
            "[compat]\ngolang_migrate = false",
            6,
            "must be a string, not boolean",
            "write",
        ),
        ("[vars]\nx = 1", 6, "`vars.x` must be a string", "write"),
        (
            "[vars.x]",
            5,
            "`vars.x` must be a string, not table",
            "write",
        ),
        (
            "[serve]\ncommand = \"x\"",
            6,
            "must be an array of strings",
            "write",
        ),
        (
            "[postgres]\nlock_timeout = \"1s\"",
            5,
            "`url` is missing in [postgres]",
            "add `url",
        ),
        ("url = \"redis://other\"", 5, "duplicate key", "mend"),
        ("deployment_id = blue", 5, "column 17", "mend"),
        // References.
        (
            "deployment_id = \"${NONE}\"",
            5,
            "`redis.deployment_id` needs the environment variable NONE",
            "set NONE",
        ),
        (
            "deployment_id = \"${NONE\"",
            5,
            "`${` without its `}`",
            "$${",
        ),
        (
            "deployment_id = \"${a b}\"",
            5,
            "no variable name",
            "${NAME}",
        ),
        (
            "deployment_id = \"${A:-${B}}\"",
            5,
            "cannot hold another",
            "${NAME}",
        ),
        (
            "[serve]\ncommand = [\"a\",\n\"${NONE}\"]",
            7,
            "`serve.command[1]` needs",
            "set NONE",
        ),
        ("[vars]\nx = \"${NONE}\"", 6, "`vars.x` needs", "set NONE"),
        (
            "ignore = [\"${prefixx}\"]",
            5,
            "needs the environment variable prefixx",
            "set prefixx",
        ),
        // Values.
        (
            "[postgres]\nurl = \"${EMPTY}\"",
            6,
            "`postgres.url` is empty: EMPTY is not set",
            "set EMPTY",
        ),
        (
            "[postgres]\nurl = \"${NONE:-}${EMPTY}\"",
            6,
            "NONE and EMPTY are not set",
            "set NONE or EMPTY",
        ),
        (
            "[postgres]\nurl = \"\"",
            6,
            "`postgres.url` is empty",
            "a value",
        ),
        (
            "ignore = [\"\"]",
            5,
            "`redis.ignore[0]` is empty",
            "a value",
        ),
        (
            "deployment_id = \"{a}\"",
            5,
            "an id without braces",
            "write an id",
        ),
        (
            "[serve]\nahead = \"refused\"",
            6,
            "expected allow, warn or refuse",
            "did you mean \"refuse\"?",
        ),
        (
            "[serve]\nahead = \"no\"",
            6,
            "expected allow, warn or refuse",
            "write allow",
        ),
        (
            "[adopt]\nmissing = \"drop\"",
            6,
            "expected keep or copy",
            "write keep",
        ),
        (
            "[signing]\nrequired = true",
            6,
            "`signing.required` is set without `signing.allowed_signers`",
            "set `signing.allowed_signers`",
        ),
        (
            "[signing]\nallowed_signers = \"${EMPTY}\"",
            6,
            "`signing.allowed_signers` is empty",
            "set EMPTY",
        ),
        ("[signing]\nrequire = true", 6, "`require`", "`required`?"),
        (
            "[compat]\ngolang_migrate = \"\"",
            6,
            "`compat.golang_migrate` is empty",
            "a value",
        ),
        (
            "[compat]\ngolang_migrate = \"a.b.c\"",
            6,
            "the name of a table",
            "write",
        ),
        (
            "[vars]\n\"a b\" = \"x\"",
            6,
            "`a b` cannot name a variable",
            "letters",
        ),
        (
            "[vars]\nprefix = \"x\"",
            6,
            "`vars.prefix` is taken",
            "another",
        ),
        // Contradictions.
        (
            "ca = \"x\"",
            5,
            "`redis.ca` is set, but `redis.url` does not use TLS",
            "rediss://",
        ),
        (
            "cert = \"x\"",
            5,
            "`redis.cert` is set without `redis.key`",
            "set `redis.key`",
        ),
        (
            "key = \"x\"",
            5,
            "`redis.key` is set without `redis.cert`",
            "set `redis.cert`",
        ),
        (
            "[postgres]\nurl = \"host=h\"\nsslcert = \"x\"",
            7,
            "without `postgres.sslkey`",
            "set",
        ),
    ] {
        let text = format!("{MINIMAL}{more}\n");
        let error = parse(&text).expect_err(more);
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("{FILE}:{line}: ")),
            "{more}: {shown}"
        );
        assert!(shown.contains(message), "{more}: {shown}");
        assert!(
            error.hint().unwrap().contains(hint),
            "{more}: {:?}",
            error.hint()
        );
    }
}

#[test]
fn time_limits_are_whole_milliseconds_that_postgres_can_hold() {
    for (limit, accepted) in [
        ("0", true),
        ("500ms", true),
        ("2m", true),
        ("24h", true),
        ("5", false),
        ("", false),
        ("-1s", false),
        ("fast", false),
        ("999999h", false),
        ("99999999999999999999s", false),
        ("${NOT_A_TIME}", false),
    ] {
        for key in ["lock_timeout", "statement_timeout"] {
            let text = format!("{MINIMAL}[postgres]\nurl = \"host=h\"\n{key} = \"{limit}\"\n");
            match parse(&text) {
                Ok(_) => assert!(accepted, "{limit}"),
                Err(error) => {
                    assert!(!accepted, "{limit}: {error}");
                    assert!(error.to_string().starts_with("outpost.toml:7: "), "{error}");
                    assert!(!error.to_string().contains("hunter2"), "{error}");
                }
            }
        }
    }
}

#[test]
fn u04_a_file_without_a_store_or_with_two_of_a_kind_is_an_error() {
    for (text, message) in [
        (
            "[schema]\nversion = \"1\"\n",
            "outpost.toml:1: no store is configured",
        ),
        ("", "outpost.toml:1: no store is configured"),
        (
            "[redis]\nurl = \"redis://h\"\n",
            "outpost.toml:1: there is no [schema] section",
        ),
        (
            "[schema]\n[redis]\nurl = \"redis://h\"\n",
            "outpost.toml:1: `version` is missing in [schema]",
        ),
        (
            "[[postgres]]\nurl = \"host=a\"\n[[postgres]]\nurl = \"host=b\"\n",
            "outpost.toml:1: `postgres` must be a table, not array",
        ),
        (
            "[postgres]\nurl = \"host=a\"\n[postgres]\nurl = \"host=b\"\n",
            "outpost.toml:3: column 2: duplicate key",
        ),
        (
            "version = \"1\"\n",
            "outpost.toml:1: there is no key `version`",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn contradictions_between_the_url_and_the_cluster_are_refused() {
    for (redis, message) in [
        ("url = [\"redis://a\"]", "`redis.cluster` is not true"),
        ("url = []\ncluster = true", "`redis.url` is empty"),
        (
            "url = \"redis://a/2\"\ncluster = true",
            "`redis.url` selects database 2",
        ),
        (
            "url = [\"redis://a\", \"redis://b/1\"]\ncluster = true",
            "`redis.url[1]` selects database 1",
        ),
        (
            "url = [\"redis://a\", \"rediss://b\"]\ncluster = true",
            "`redis.url[1]` and the first node do not agree",
        ),
        (
            "url = \"rediss://main\"\nsentinels = [\"redis://s\"]",
            "`redis.sentinels[0]` and the first node do not agree",
        ),
        (
            "url = \"unix:///s\"\ncluster = true",
            "`redis.url` is a Unix socket",
        ),
        (
            "url = \"memcached://h\"",
            "`redis.url` is not a usable address: it must start with redis://",
        ),
        ("url = \"http://h\"", "it must start with"),
    ] {
        let error = parse(&format!("[schema]\nversion = \"1\"\n[redis]\n{redis}\n")).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().is_some());
    }
    let single = "[schema]\nversion = \"1\"\n[redis]\nurl = \"redis://a/0\"\ncluster = true\n";
    assert!(parse(single).unwrap().redis.unwrap().cluster);
}

#[test]
fn c16_a_password_written_into_the_file_is_refused_without_showing_it() {
    for (url, refused) in [
        ("postgres://u:hunter2@h/d", true),
        ("postgres://u:hunter2${REDIS_PASSWORD}@h/d", true),
        ("postgres://u:${NONE:-hunter2}@h/d", true),
        ("${DATABASE_URL:-postgres://u:hunter2@h/d}", true),
        ("postgres://h/d?user=u&password=hunter2", true),
        ("host=h user=u password=hunter2", true),
        ("host=h user=u password='hunter2'", true),
        ("postgres://u:hunter2@h:bad/d", true),
        ("postgres://u:${REDIS_PASSWORD}@h/d", false),
        ("host=h password=${REDIS_PASSWORD}", false),
        ("${DATABASE_URL}", false),
        ("${NONE:-postgres://u@h:5432/d}", false),
        ("postgres://${NONE:-u}@${NONE:-h}:${NONE:-5432}/d", false),
    ] {
        for key in ["url", "url = \"host=h\"\ndirect_url"] {
            let text = format!("[schema]\nversion = \"1\"\n[postgres]\n{key} = \"{url}\"\n");
            let result = parse(&text);
            assert!(!format!("{result:?}").contains("hunter2"), "{result:?}");
            match result {
                Ok(_) => assert!(!refused, "{url}"),
                Err(error) => {
                    assert!(refused, "{url}: {error}");
                    assert!(
                        error
                            .to_string()
                            .contains("has a password written into the file"),
                        "{error}"
                    );
                    assert_eq!(error.line, if key == "url" { 4 } else { 5 });
                    assert!(error.hint().unwrap().contains("environment"));
                }
            }
        }
    }
    let redis = "[schema]\nversion = \"1\"\n[redis]\nurl = \"redis://:hunter2@h\"\n";
    assert!(matches!(
        *parse(redis).unwrap_err().problem,
        ConfigProblem::LiteralPassword { .. }
    ));
}

#[test]
fn c08_credentials_do_not_get_into_what_plans_hold() {
    for (more, line) in [
        ("[vars]\nx = \"${DATABASE_URL}\"", 6),
        ("[vars]\nx = \"see ${DATABASE_URL} there\"", 6),
        ("[vars]\nx = \"https://token@example.com\"", 6),
        ("[vars]\nx = \"host=h password=pw\"", 6),
        ("[compat]\ngolang_migrate = \"${DATABASE_URL}\"", 6),
        ("deployment_id = \"${DATABASE_URL}\"", 5),
        ("ignore = [\"${DATABASE_URL}\"]", 5),
        (
            "[postgres]\nurl = \"host=h password=${REDIS_PASSWORD}\"\n[vars]\nx = \"${REDIS_PASSWORD}\"",
            8,
        ),
        (
            "[postgres]\nurl = \"postgres://u:${REDIS_PASSWORD}@h\"\n[vars]\nx = \"${REDIS_PASSWORD:-}\"",
            8,
        ),
        (
            "sentinels = [\"redis://:${REDIS_PASSWORD}@s\"]\n[vars]\nx = \"${REDIS_PASSWORD}\"",
            7,
        ),
        (
            "[postgres]\nurl = \"postgres://u@h/d\"\n[vars]\nx = \"${PGPASSWORD}\"",
            8,
        ),
    ] {
        let error = parse(&format!("{MINIMAL}{more}\n")).expect_err(more);
        assert_eq!(error.line, line, "{error}");
        assert!(
            matches!(
                *error.problem,
                ConfigProblem::Credentials { .. } | ConfigProblem::SecretVariable { .. }
            ),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let plan = serde_json::to_string(&parse(FULL).unwrap().plan_relevant()).unwrap();
    assert!(!plan.contains("hunter2"), "{plan}");
}

#[test]
fn a_variable_may_share_a_name_of_a_host_with_a_url() {
    let text = format!(
        "{MINIMAL}[postgres]\nurl = \"postgres://u:${{REDIS_PASSWORD}}@${{KIND}}/d\"\n[vars]\nhost = \"${{KIND}}\"\n"
    );
    assert_eq!(parse(&text).unwrap().vars["host"], "rsmq");
}

#[test]
fn the_part_for_plans_survives_a_round_trip_and_tells_changes() {
    let config = parse(FULL).unwrap();
    let plan = config.plan_relevant();
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<PlanConfig>(&json).unwrap(), plan);
    assert_eq!(plan.lock_timeout(), Duration::from_secs(2));
    assert_eq!(plan.statement_timeout(), Duration::from_secs(600));
    assert_eq!(plan.prefix(), "blue:");
    for (from, to) in [
        ("\"2s\"", "\"3s\""),
        ("\"10m\"", "\"11m\""),
        ("\"blue\"", "\"green\""),
        ("alert:*", "alarm:*"),
        ("eu-", "us-"),
        ("public.schema", "other.schema"),
        ("outpost_redis = true", "outpost_redis = false"),
        ("\"keep\"", "\"copy\""),
    ] {
        assert_ne!(
            parse(&FULL.replace(from, to)).unwrap().plan_relevant(),
            plan,
            "{from}"
        );
    }
    for (from, to) in [
        ("n1", "n3"),
        ("\"refuse\"", "\"allow\""),
        ("k.pem", "l.pem"),
    ] {
        assert_eq!(
            parse(&FULL.replace(from, to)).unwrap().plan_relevant(),
            plan,
            "{from}"
        );
    }
}

#[test]
fn malformed_toml_shows_line_column_and_text() {
    let error = parse(&format!("{MINIMAL}cluster = = true\n")).unwrap_err();
    let shown = error.to_string();
    assert!(shown.starts_with("outpost.toml:5: column 11: "), "{shown}");
    assert!(shown.ends_with("in `cluster = = true`"), "{shown}");
}

/// Fragments of outpost.toml, to get past the first check with what is thrown at the parser.
fn near_toml() -> impl Strategy<Value = String> {
    let fragment = proptest::sample::select(vec![
        "[schema]\n",
        "[postgres]\n",
        "[redis]\n",
        "[vars]\n",
        "[serve]\n",
        "[compat]\n",
        "[adopt]\n",
        "[lint.rules]\n",
        "[drift]\n",
        "[signing]\n",
        "version = \"1\"\n",
        "url = ",
        "direct_url = ",
        "cluster = true\n",
        "ignore = ",
        "x = ",
        "ahead = ",
        "command = ",
        "golang_migrate = ",
        "lock_timeout = ",
        "\"${PW}\"\n",
        "\"${URL}\"\n",
        "\"postgres://u:${PW}@h/d\"\n",
        "\"redis://:${PW}@h\"\n",
        "[\"${PW}\", \"${URL}\"]\n",
        "\"${PW:-\"\n",
        "\"${\"\n",
        "\"é$${\"\n",
        "= \n",
        "\"",
    ]);
    proptest::collection::vec(fragment, 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn parsing_any_text_never_panics(text in "(?s).*") {
        let _ = parse(&text);
    }

    #[test]
    fn c16_no_error_shows_a_value_of_the_environment(
        text in near_toml(),
        password in "[zq]{6}[a-z0-9%@:/?#'\" \n]{0,6}",
    ) {
        let url = format!("postgres://u:{password}@h/d");
        let env = |name: &str| match name {
            "PW" => Some(password.clone()),
            "URL" => Some(url.clone()),
            _ => None,
        };
        if let Err(error) = Config::parse(FILE, &text, &env) {
            let shown = format!("{error} {error:?} {:?}", error.hint());
            prop_assert!(!shown.contains(&password[..6]), "{}", shown);
        }
    }

    #[test]
    fn c16_no_configuration_shows_a_password(password in "[zq]{6}[a-z0-9%:/?#'\" ]{0,6}") {
        let env = |name: &str| match name {
            "PG" => Some(format!("postgres://u:{password}@h/d")),
            "RD" => Some(format!("rediss://:{password}@h/1")),
            "PW" => Some(password.clone()),
            _ => None,
        };
        let text = "[schema]\nversion = \"1\"\n[postgres]\nurl = \"${PG}\"\ndirect_url = \"host=h password='${PW}'\"\n\
                    [redis]\nurl = \"${RD}\"\n[serve]\ncommand = [\"x\", \"${PW}\"]\n";
        let shown = match Config::parse(FILE, text, &env) {
            Ok(config) => format!("{config:?} {:?}", config.plan_relevant()),
            Err(error) => format!("{error} {error:?} {:?}", error.hint()),
        };
        prop_assert!(!shown.contains(&password[..6]), "{}", shown);
    }
}
