//! A connection of one's own that watches keys: what is committed on it happens only where they did not change.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, Value};

use super::deed::{Answer, Deed};
use super::errors::classify;
use super::scripts::Call;
use crate::store::StoreError;

const DOING: &str = "copying a large value";

/// A connection that watches a key: what is committed on it happens only where the key did not change.
pub(super) struct Watch<'d> {
    deed: &'d Deed<'d>,
    connection: MultiplexedConnection,
}

impl<'d> Watch<'d> {
    /// A connection to the master of a key; nothing is watched yet.
    pub(super) async fn new(deed: &'d Deed<'d>, key: &[u8]) -> Result<Self, StoreError> {
        let connection = deed.store.link.private_connection(key).await;
        Ok(Self {
            deed,
            connection: connection.map_err(|kind| deed.session.error(kind))?,
        })
    }

    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, StoreError> {
        let value: Value = command
            .query_async(&mut self.connection)
            .await
            .map_err(|e| self.deed.session.error(classify(&e, DOING)))?;
        redis::from_redis_value(value).map_err(|e| self.deed.session.unexpected(DOING, &e))
    }

    async fn send(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        let answers = self
            .connection
            .send_packed_commands(&pipeline, 0, pipeline.len())
            .await;
        answers.map_err(|e| self.deed.session.error(classify(&e, DOING)))
    }

    /// Ends the watch, and says whether the key is as it was when it began.
    pub(super) async fn is_unchanged(&mut self) -> Result<bool, StoreError> {
        self.ask::<()>(&redis::cmd("MULTI")).await?;
        let commands = ["PING", "EXEC"].map(redis::cmd);
        let answers = self.send(commands.to_vec()).await?;
        Ok(matches!(answers.last(), Some(Value::Array(_))))
    }

    /// Runs a call only where the watched key is as it was when the watch began.
    pub(super) async fn commit(&mut self, call: &Call) -> Result<Answer, StoreError> {
        // By itself: were it refused, what follows would run without its condition.
        self.ask::<()>(&redis::cmd("MULTI")).await?;
        let commands = vec![call.in_full(), redis::cmd("EXEC")];
        match self.send(commands).await?.pop() {
            Some(Value::Array(mut replies)) => self.answer(call, replies.pop()),
            Some(Value::Nil) => Ok(Answer::Changed),
            other => self.answer(call, other),
        }
    }

    /// Runs a call that makes a key, and watches the key from that moment on: a server carries out what
    /// arrives together on one connection without anything in between.
    pub(super) async fn place_and_watch(
        &mut self,
        call: &Call,
        key: &[u8],
    ) -> Result<Answer, StoreError> {
        let mut watch = redis::cmd("WATCH");
        watch.arg(key);
        let answers = self.send(vec![call.in_full(), watch]).await?;
        self.answer(call, answers.into_iter().next())
    }

    fn answer(&self, call: &Call, reply: Option<Value>) -> Result<Answer, StoreError> {
        let reply = reply
            .unwrap_or(Value::Nil)
            .extract_error()
            .map_err(|e| call.refused(self.deed.session, DOING, &e))?;
        self.deed.reply(reply).map(|(answer, _)| answer)
    }
}
