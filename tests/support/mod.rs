//! What the integration tests share: throwaway servers, and short ways to talk to them.
//!
//! Servers that are not installed fail the run; nothing is skipped.
// Each test binary uses a part of it.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

pub mod fake_redis;
pub mod project;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outpost::sandbox::{PostgresServer, RedisBuilder, RedisServer, Sandbox, SandboxError};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The servers that all tests of one process share. They go with the process.
pub struct Servers {
    sandbox: Sandbox,
}

impl Servers {
    pub fn postgres(&self) -> &PostgresServer {
        self.sandbox
            .postgres()
            .expect("servers() starts a Postgres")
    }

    pub fn redis(&self) -> &RedisServer {
        self.sandbox.redis().expect("servers() starts a Redis")
    }
}

pub fn servers() -> &'static Servers {
    static SERVERS: LazyLock<Servers> = LazyLock::new(|| Servers {
        sandbox: started(Sandbox::start()),
    });
    &SERVERS
}

/// A database of a test's own, in the shared Postgres.
#[derive(Debug, Clone)]
pub struct Database {
    pub url: String,
    pub name: String,
}

pub fn fresh_database() -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let postgres = servers().postgres();
    sql(postgres.url(), &format!("CREATE DATABASE {name}"));
    let (server, _) = postgres
        .url()
        .rsplit_once('/')
        .expect("the URL ends with a database");
    let database = Database {
        url: format!("{server}/{name}"),
        name,
    };
    // As Postgres 15 and later have it from the start.
    sql(&database, "revoke create on schema public from public");
    database
}

/// A Redis of a test's own.
pub fn fresh_redis() -> RedisServer {
    started(RedisServer::start())
}

/// A Redis of a test's own, with settings: `fresh_redis_with(|r| r.directive("maxmemory 4mb"))`.
pub fn fresh_redis_with(settings: impl FnOnce(RedisBuilder) -> RedisBuilder) -> RedisServer {
    started(settings(RedisServer::builder()).start())
}

/// The server, or a failure that says what to install.
pub fn started<T>(result: Result<T, SandboxError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}\n{}", error.hint().unwrap_or_default()))
}

/// Anything that names a Postgres database.
pub trait PostgresUrl: Sync {
    fn postgres_url(&self) -> &str;
}

impl PostgresUrl for Database {
    fn postgres_url(&self) -> &str {
        &self.url
    }
}

impl PostgresUrl for PostgresServer {
    fn postgres_url(&self) -> &str {
        self.url()
    }
}

impl PostgresUrl for str {
    fn postgres_url(&self) -> &str {
        self
    }
}

/// Runs statements, separated by `;`, and panics with the first error.
pub fn sql(database: &(impl PostgresUrl + ?Sized), statements: &str) {
    try_sql(database, statements)
        .unwrap_or_else(|error| panic!("{}\n{statements}", detail(&error)));
}

/// Runs statements, separated by `;`.
pub fn try_sql(
    database: &(impl PostgresUrl + ?Sized),
    statements: &str,
) -> Result<(), tokio_postgres::Error> {
    query(database, statements).map(drop)
}

/// The columns of the rows of a query as text, `NULL` as `None`.
pub fn query_rows(
    database: &(impl PostgresUrl + ?Sized),
    statement: &str,
) -> Vec<Vec<Option<String>>> {
    query(database, statement).unwrap_or_else(|error| panic!("{}\n{statement}", detail(&error)))
}

/// The first column of the only row as text; panics when there is not exactly one row, or it is `NULL`.
pub fn query_one_text(database: &(impl PostgresUrl + ?Sized), statement: &str) -> String {
    let rows = query_rows(database, statement);
    match rows.as_slice() {
        [row] => row
            .first()
            .cloned()
            .flatten()
            .unwrap_or_else(|| panic!("NULL from {statement}")),
        _ => panic!("{} rows from {statement}", rows.len()),
    }
}

type Rows = Vec<Vec<Option<String>>>;

fn query(
    database: &(impl PostgresUrl + ?Sized),
    statements: &str,
) -> Result<Rows, tokio_postgres::Error> {
    block_on(async {
        let (client, connection) = tokio_postgres::connect(database.postgres_url(), NoTls).await?;
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(statements).await;
        drop(client);
        // Only when the backend is told to go is the database free for DROP DATABASE and the like.
        let _ = connection.await;
        let rows = messages?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    })
}

fn detail(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// On a thread of its own, so that it works in a `#[tokio::test]` as well.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(future)
        });
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Sends one command and panics on an error reply.
pub fn redis_cmd(server: &RedisServer, command: &[&str]) -> redis::Value {
    try_redis_cmd(server.url(), command).unwrap_or_else(|error| panic!("{error}\n{command:?}"))
}

/// Sends one command to the server of a URL.
pub fn try_redis_cmd(url: &str, command: &[&str]) -> redis::RedisResult<redis::Value> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let mut request = redis::Cmd::new();
    request.arg(command);
    request.query(&mut connection)
}

/// The reply to one command as text; panics when it is no text.
pub fn redis_text(server: &RedisServer, command: &[&str]) -> String {
    let reply = redis_cmd(server, command);
    redis::from_redis_value(reply).unwrap_or_else(|error| panic!("{error}\n{command:?}"))
}

/// A field of `INFO`.
pub fn redis_info(server: &RedisServer, field: &str) -> String {
    let text = redis_text(server, &["INFO", "everything"]);
    let fields: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    fields
        .get(field)
        .unwrap_or_else(|| panic!("INFO has no field {field}"))
        .to_string()
}

/// Waits until the condition holds, and panics if it does not within a minute.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
