//! `outpost.toml` as written: known keys, right types, nothing replaced or judged.

use crate::model::document::{Document, ShapeError, Table, Text};

/// The sections of outpost.toml. A new one is added here, to `RawConfig` and to its reader.
const SECTIONS: [&str; 10] = [
    "schema", "postgres", "redis", "vars", "serve", "compat", "adopt", "lint", "drift", "signing",
];

/// The file as written.
#[derive(Debug)]
pub(super) struct RawConfig {
    pub(super) schema: Option<RawSchema>,
    pub(super) postgres: Option<RawPostgres>,
    pub(super) redis: Option<RawRedis>,
    pub(super) vars: Vec<RawVar>,
    pub(super) serve: RawServe,
    pub(super) compat: RawCompat,
    pub(super) adopt: RawAdopt,
    pub(super) lint: RawLint,
    pub(super) drift: RawDrift,
    pub(super) signing: RawSigning,
}

#[derive(Debug)]
pub(super) struct RawSchema {
    pub(super) path: Option<Text>,
    pub(super) version: Text,
}

#[derive(Debug)]
pub(super) struct RawPostgres {
    pub(super) url: Text,
    pub(super) direct_url: Option<Text>,
    pub(super) lock_timeout: Option<Text>,
    pub(super) statement_timeout: Option<Text>,
    pub(super) tls: RawTls,
}

#[derive(Debug)]
pub(super) struct RawRedis {
    pub(super) url: Vec<Text>,
    /// The line of `[redis]`.
    pub(super) line: u32,
    /// Whether `url` is a list, even one of a single node.
    pub(super) listed: bool,
    pub(super) cluster: bool,
    pub(super) sentinels: Vec<Text>,
    pub(super) deployment_id: Option<Text>,
    pub(super) ignore: Vec<Text>,
    pub(super) tls: RawTls,
}

#[derive(Debug)]
pub(super) struct RawTls {
    pub(super) ca: Option<Text>,
    pub(super) cert: Option<Text>,
    pub(super) key: Option<Text>,
    /// The full names of the last two, for messages about an absent one.
    pub(super) pair: [&'static str; 2],
}

#[derive(Debug)]
pub(super) struct RawVar {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) value: Text,
}

#[derive(Debug, Default)]
pub(super) struct RawServe {
    pub(super) command: Vec<Text>,
    pub(super) ahead: Option<Text>,
}

#[derive(Debug, Default)]
pub(super) struct RawCompat {
    pub(super) golang_migrate: Option<Text>,
    pub(super) outpost_redis: bool,
}

#[derive(Debug, Default)]
pub(super) struct RawAdopt {
    pub(super) missing: Option<Text>,
}

#[derive(Debug, Default)]
pub(super) struct RawLint {
    /// Level by rule.
    pub(super) rules: Vec<RawVar>,
    pub(super) allow: Vec<RawAllow>,
}

#[derive(Debug, Default)]
pub(super) struct RawDrift {
    pub(super) ignore: Vec<Text>,
}

#[derive(Debug, Default)]
pub(super) struct RawSigning {
    pub(super) allowed_signers: Option<Text>,
    /// Whether signatures are required, and the line that says so.
    pub(super) required: Option<(bool, u32)>,
}

#[derive(Debug)]
pub(super) struct RawAllow {
    pub(super) migration: String,
    pub(super) line: u32,
    /// Reason by rule.
    pub(super) rules: Vec<RawVar>,
}

impl RawConfig {
    pub(super) fn read(text: &str) -> Result<Self, ShapeError> {
        let document = Document::parse(text)?;
        let root = document.root();
        root.allow_only(&SECTIONS)?;
        Ok(Self {
            schema: section(&root, "schema", schema)?,
            postgres: section(&root, "postgres", postgres)?,
            redis: section(&root, "redis", redis)?,
            vars: section(&root, "vars", vars)?.unwrap_or_default(),
            serve: section(&root, "serve", serve)?.unwrap_or_default(),
            compat: section(&root, "compat", compat)?.unwrap_or_default(),
            adopt: section(&root, "adopt", adopt)?.unwrap_or_default(),
            lint: section(&root, "lint", lint)?.unwrap_or_default(),
            drift: section(&root, "drift", drift)?.unwrap_or_default(),
            signing: section(&root, "signing", signing)?.unwrap_or_default(),
        })
    }
}

fn section<T>(
    root: &Table<'_>,
    name: &str,
    read: fn(&Table<'_>) -> Result<T, ShapeError>,
) -> Result<Option<T>, ShapeError> {
    root.table(name)?.map(|table| read(&table)).transpose()
}

fn schema(table: &Table<'_>) -> Result<RawSchema, ShapeError> {
    table.allow_only(&["path", "version"])?;
    Ok(RawSchema {
        path: table.string("path")?,
        version: table.required_string("version")?,
    })
}

fn postgres(table: &Table<'_>) -> Result<RawPostgres, ShapeError> {
    table.allow_only(&[
        "url",
        "direct_url",
        "lock_timeout",
        "statement_timeout",
        "sslrootcert",
        "sslcert",
        "sslkey",
    ])?;
    Ok(RawPostgres {
        url: table.required_string("url")?,
        direct_url: table.string("direct_url")?,
        lock_timeout: table.string("lock_timeout")?,
        statement_timeout: table.string("statement_timeout")?,
        tls: RawTls {
            ca: table.string("sslrootcert")?,
            cert: table.string("sslcert")?,
            key: table.string("sslkey")?,
            pair: ["postgres.sslcert", "postgres.sslkey"],
        },
    })
}

fn redis(table: &Table<'_>) -> Result<RawRedis, ShapeError> {
    table.allow_only(&[
        "url",
        "cluster",
        "sentinels",
        "deployment_id",
        "ignore",
        "ca",
        "cert",
        "key",
    ])?;
    let listed = table.is_array("url");
    Ok(RawRedis {
        url: if listed {
            table.strings("url")?.unwrap_or_default()
        } else {
            vec![table.required_string("url")?]
        },
        line: table.line(),
        listed,
        cluster: table.boolean("cluster")?.is_some_and(|(on, _)| on),
        sentinels: table.strings("sentinels")?.unwrap_or_default(),
        deployment_id: table.string("deployment_id")?,
        ignore: table.strings("ignore")?.unwrap_or_default(),
        tls: RawTls {
            ca: table.string("ca")?,
            cert: table.string("cert")?,
            key: table.string("key")?,
            pair: ["redis.cert", "redis.key"],
        },
    })
}

fn vars(table: &Table<'_>) -> Result<Vec<RawVar>, ShapeError> {
    let mut vars = Vec::new();
    for (name, line) in table.keys() {
        vars.push(RawVar {
            name: name.to_owned(),
            line,
            value: table.required_string(name)?,
        });
    }
    Ok(vars)
}

fn serve(table: &Table<'_>) -> Result<RawServe, ShapeError> {
    table.allow_only(&["command", "ahead"])?;
    Ok(RawServe {
        command: table.strings("command")?.unwrap_or_default(),
        ahead: table.string("ahead")?,
    })
}

fn compat(table: &Table<'_>) -> Result<RawCompat, ShapeError> {
    table.allow_only(&["golang_migrate", "outpost_redis"])?;
    Ok(RawCompat {
        golang_migrate: table.string("golang_migrate")?,
        outpost_redis: table.boolean("outpost_redis")?.is_some_and(|(on, _)| on),
    })
}

fn adopt(table: &Table<'_>) -> Result<RawAdopt, ShapeError> {
    table.allow_only(&["missing"])?;
    Ok(RawAdopt {
        missing: table.string("missing")?,
    })
}

fn drift(table: &Table<'_>) -> Result<RawDrift, ShapeError> {
    table.allow_only(&["ignore"])?;
    Ok(RawDrift {
        ignore: table.strings("ignore")?.unwrap_or_default(),
    })
}

fn signing(table: &Table<'_>) -> Result<RawSigning, ShapeError> {
    table.allow_only(&["allowed_signers", "required"])?;
    Ok(RawSigning {
        allowed_signers: table.string("allowed_signers")?,
        required: table.boolean("required")?,
    })
}

fn lint(table: &Table<'_>) -> Result<RawLint, ShapeError> {
    table.allow_only(&["rules", "allow"])?;
    let mut allow = Vec::new();
    if let Some(migrations) = table.table("allow")? {
        for (migration, line) in migrations.keys() {
            allow.push(RawAllow {
                migration: migration.to_owned(),
                line,
                rules: section(&migrations, migration, vars)?.unwrap_or_default(),
            });
        }
    }
    Ok(RawLint {
        rules: section(table, "rules", vars)?.unwrap_or_default(),
        allow,
    })
}
