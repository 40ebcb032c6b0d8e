//! The connection: made once, made anew when it breaks, and asked through one place that retries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value,
};
use tokio::sync::Mutex;

use super::errors::{classify, connecting, is_broken, is_passing};
use crate::model::event::{Event, Events};
use crate::model::id::{MigrationId, StoreKind};
use crate::store::{StoreError, StoreErrorKind};

/// Tries of one request, the first included.
const TRIES: u32 = 6;
/// The first pause between two tries; each further one is twice as long, give or take a half.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Far beyond any batch, so that only a dead server runs into it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The connection to one server.
pub(super) struct Link {
    client: Client,
    address: String,
    live: Mutex<Option<MultiplexedConnection>>,
    /// Connections made so far.
    generation: AtomicU64,
}

/// The link as one step uses it: its retries are told.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    link: &'a Link,
    notify: Option<(&'a dyn Events, &'a MigrationId)>,
}

impl Link {
    pub(super) fn new(client: Client, address: String) -> Self {
        Self {
            client,
            address,
            live: Mutex::new(None),
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections were made: another number than before means that the server may be another.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// For requests outside of a step.
    pub(super) fn session(&self) -> Session<'_> {
        Session {
            link: self,
            notify: None,
        }
    }

    /// For the requests of a step.
    pub(super) fn session_of<'a>(
        &'a self,
        events: &'a dyn Events,
        id: &'a MigrationId,
    ) -> Session<'a> {
        Session {
            link: self,
            notify: Some((events, id)),
        }
    }

    pub(super) fn error(&self, kind: StoreErrorKind) -> StoreError {
        StoreError {
            store: StoreKind::Redis,
            address: self.address.clone(),
            kind,
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreErrorKind> {
        let mut live = self.live.lock().await;
        if let Some(connection) = live.as_ref() {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| connecting(&e))?;
        self.generation.fetch_add(1, Ordering::SeqCst);
        *live = Some(connection.clone());
        Ok(connection)
    }

    /// Sends one command over a connection of its own, while the other may be held up. The next request makes
    /// that one anew.
    pub(super) async fn aside(&self, command: &Cmd) -> RedisResult<Value> {
        self.hang_up(self.generation()).await;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        // A busy server takes no SELECT, and what is sent here is not about a database.
        let server = self.client.get_connection_info();
        let whole = server.redis_settings().clone().set_db(0);
        let client = Client::open(server.clone().set_redis_settings(whole))?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        command.query_async(&mut connection).await
    }

    /// Forgets the connection of this generation, so that the next request makes a new one.
    async fn hang_up(&self, generation: u64) {
        let mut live = self.live.lock().await;
        if self.generation() == generation {
            *live = None;
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn error(&self, kind: StoreErrorKind) -> StoreError {
        self.link.error(kind)
    }

    /// Sends one command that may be sent twice. `doing` names it for messages.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        doing: &str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let value = self.send(doing, Request::One(command)).await?;
        redis::from_redis_value(value).map_err(|e| self.unexpected(doing, &e))
    }

    /// Like [`Self::query`], with an error of the server as a value.
    pub(super) async fn ask(
        &self,
        doing: &str,
        command: &Cmd,
    ) -> Result<RedisResult<Value>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command.clone());
        let mut answers = self.pipeline(doing, &pipeline).await?;
        answers
            .pop()
            .ok_or_else(|| self.unexpected(doing, &"no answer"))
    }

    /// Sends reading commands together; each has its own answer or error.
    pub(super) async fn pipeline(
        &self,
        doing: &str,
        pipeline: &Pipeline,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let value = self.send(doing, Request::Many(pipeline)).await?;
        let Value::Array(values) = value else {
            return Err(self.unexpected(doing, &"an answer that is no list"));
        };
        Ok(values.into_iter().map(Value::extract_error).collect())
    }

    /// An answer of another form than the server is known to give.
    pub(super) fn unexpected(&self, doing: &str, what: &dyn std::fmt::Display) -> StoreError {
        self.error(StoreErrorKind::Server {
            doing: doing.to_owned(),
            reason: format!("unexpected answer while {doing}: {what}"),
        })
    }

    /// An error of the server, sorted.
    pub(super) fn refused(&self, doing: &str, error: &RedisError) -> StoreError {
        self.error(classify(error, doing))
    }

    async fn send(&self, doing: &str, request: Request<'_>) -> Result<Value, StoreError> {
        let mut attempt = 1;
        loop {
            let fresh = self.link.generation() == 0;
            let kind = match self.once(doing, request).await {
                Ok(value) => return Ok(value),
                Err(kind) => kind,
            };
            let unreachable = matches!(kind, StoreErrorKind::Unreachable { .. }) && !fresh;
            // Outside of a step nobody has waited yet: one more try for a connection that lay idle.
            let tries = if self.notify.is_some() { TRIES } else { 2 };
            if attempt >= tries || !(unreachable || is_passing(&kind)) {
                return Err(self.error(match kind {
                    StoreErrorKind::Unreachable { reason } if !fresh => {
                        StoreErrorKind::Disconnected { reason }
                    }
                    kind => kind,
                }));
            }
            let wait = pause(attempt);
            if let Some((events, id)) = self.notify {
                events.emit(Event::Retry {
                    id: id.clone(),
                    attempt,
                    of: tries,
                    reason: kind.to_string(),
                    wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                });
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn once(&self, doing: &str, request: Request<'_>) -> Result<Value, StoreErrorKind> {
        let mut connection = self.link.connection().await?;
        let generation = self.link.generation();
        let answer = match request {
            Request::One(command) => command.query_async::<Value>(&mut connection).await,
            Request::Many(pipeline) => connection
                .send_packed_commands(pipeline, 0, pipeline.len())
                .await
                .map(Value::Array),
        };
        match answer {
            Ok(value) => match unready(&value) {
                Some(kind) => Err(kind),
                None => Ok(value),
            },
            Err(error) => {
                if is_broken(&error) {
                    self.link.hang_up(generation).await;
                }
                Err(classify(&error, doing))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Request<'r> {
    One(&'r Cmd),
    Many(&'r Pipeline),
}

/// An answer among several by which the server says that it is only just coming up: all are asked again.
fn unready(answers: &Value) -> Option<StoreErrorKind> {
    let Value::Array(answers) = answers else {
        return None;
    };
    answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) => {
            let kind = classify(&error.clone().into(), "");
            is_passing(&kind).then_some(kind)
        }
        _ => None,
    })
}

/// Doubles with each try; the jitter keeps many runners from coming back at once.
fn pause(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE * 2_u32.saturating_pow(attempt.saturating_sub(1).min(5));
    whole.mul_f64(rand::rng().random_range(0.5..1.5))
}
