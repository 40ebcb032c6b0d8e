//! Requests: routed to the node that answers for their key, redirected, repeated, and sorted when they fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value};

use super::slot::key_of;
use super::{Layout, Link, Node, Topology};
use crate::model::event::{Event, Events};
use crate::model::id::MigrationId;
use crate::store::redis::errors::{classify, code, is_broken, is_passing};
use crate::store::{StoreError, StoreErrorKind};

/// Tries of one request, the first included.
const TRIES: u32 = 6;
/// Tries where another node may take over: about a minute, in which a replica is promoted or a slot moved.
const TRIES_OF_MANY: u32 = 22;
/// Redirections that are followed before a try counts as failed.
const REDIRECTIONS: u32 = 5;
/// The first pause between two tries; each further one is twice as long, give or take a half.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The link as one step uses it: its retries are told, and it may be pinned to one node.
#[derive(Clone, Copy)]
pub(in crate::store::redis) struct Session<'a> {
    pub(super) link: &'a Link,
    pub(super) notify: Option<(&'a dyn Events, &'a MigrationId)>,
    pub(super) node: Option<&'a Node>,
}

/// What kept a request from being answered, in part or as a whole.
struct Trouble {
    kind: StoreErrorKind,
    what_next: Next,
}

/// What is to be done about a trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Ask at once: the servers said where.
    Redirected,
    /// Wait, and ask again.
    Wait,
    /// Nothing: the node that was to be asked is no master any more.
    GiveUp,
}

impl<'a> Session<'a> {
    pub(in crate::store::redis) fn error(&self, kind: StoreErrorKind) -> StoreError {
        self.link.error(kind)
    }

    /// The same session, its requests about no key sent to this node.
    pub(in crate::store::redis) fn on<'n>(self, node: &'n Node) -> Session<'n>
    where
        'a: 'n,
    {
        Session {
            node: Some(node),
            ..self
        }
    }

    /// The masters, in the order of their addresses.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotReady`] for a cluster with slots that no node serves.
    pub(in crate::store::redis) async fn masters(&self) -> Result<Vec<Node>, StoreError> {
        let topology = self.settled().await?;
        match topology.uncovered() {
            Some(uncovered) => Err(self.error(StoreErrorKind::NotReady {
                reason: format!("CLUSTERDOWN {uncovered}; every key must be reachable"),
            })),
            None => Ok(topology.masters.clone()),
        }
    }

    /// The topology, asked for as patiently as anything else.
    async fn settled(&self) -> Result<Arc<Topology>, StoreError> {
        let mut attempt = 1;
        loop {
            let kind = match self.link.topology().await {
                Ok(topology) => return Ok(topology),
                Err(kind) => kind,
            };
            attempt = self.again(attempt, kind).await?;
        }
    }

    /// Sends one command that may be sent twice. `doing` names it for messages.
    pub(in crate::store::redis) async fn query<T: FromRedisValue>(
        &self,
        doing: &str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let value = self
            .ask(doing, command)
            .await?
            .map_err(|e| self.refused(doing, &e))?;
        redis::from_redis_value(value).map_err(|e| self.unexpected(doing, &e))
    }

    /// Like [`Self::query`], with an error of the server as a value.
    pub(in crate::store::redis) async fn ask(
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

    /// Sends commands together; each has its own answer or error. On a cluster each goes to the node of its
    /// key, and all nodes work side by side.
    pub(in crate::store::redis) async fn pipeline(
        &self,
        doing: &str,
        pipeline: &Pipeline,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = vec![Value::Nil; pipeline.len()];
        let mut waiting: Vec<usize> = (0..pipeline.len()).collect();
        let (mut attempt, mut redirections) = (1, 0);
        loop {
            let round = self.round(doing, pipeline, &mut waiting, &mut answers);
            let Err(trouble) = round.await else {
                return Ok(answers.into_iter().map(Value::extract_error).collect());
            };
            match trouble.what_next {
                Next::GiveUp => return Err(self.error(trouble.kind)),
                Next::Redirected if redirections < REDIRECTIONS => redirections += 1,
                Next::Redirected | Next::Wait => {
                    redirections = 0;
                    attempt = self.again(attempt, trouble.kind).await?;
                }
            }
        }
    }

    /// Whether the request is worth another try: waits, and gives the number of that try.
    async fn again(&self, attempt: u32, kind: StoreErrorKind) -> Result<u32, StoreError> {
        let first = !self.link.has_met();
        let many = self.link.layout != Layout::Single;
        let unreachable = matches!(kind, StoreErrorKind::Unreachable { .. }) && !first;
        // Outside of a step nobody has waited yet: one more try for a connection that lay idle.
        let tries = match (self.notify.is_some(), many) {
            (false, false) => 2,
            (false, true) => TRIES,
            (true, false) => TRIES,
            (true, true) => TRIES_OF_MANY,
        };
        let moved_on = many && is_demoted(&kind);
        if moved_on {
            self.link.forget_topology().await;
        }
        if attempt >= tries || !(unreachable || moved_on || is_passing(&kind)) {
            return Err(self.error(match kind {
                StoreErrorKind::Unreachable { reason } if !first => {
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
        Ok(attempt + 1)
    }

    /// An answer of another form than the server is known to give.
    pub(in crate::store::redis) fn unexpected(
        &self,
        doing: &str,
        what: &dyn std::fmt::Display,
    ) -> StoreError {
        self.error(super::unexpected(doing, what))
    }

    /// An error of the server, sorted.
    pub(in crate::store::redis) fn refused(&self, doing: &str, error: &RedisError) -> StoreError {
        self.error(classify(error, doing))
    }

    /// Sends every waiting command once, and keeps those waiting that have to be sent again.
    async fn round(
        &self,
        doing: &str,
        pipeline: &Pipeline,
        waiting: &mut Vec<usize>,
        answers: &mut [Value],
    ) -> Result<(), Trouble> {
        let plain = |kind| Trouble {
            kind,
            what_next: Next::Wait,
        };
        let topology = self.link.topology().await.map_err(plain)?;
        if let Some(node) = self.node.filter(|node| !topology.masters.contains(node)) {
            return Err(Trouble {
                kind: StoreErrorKind::Disconnected {
                    reason: format!("{node} is no master any more"),
                },
                what_next: Next::GiveUp,
            });
        }
        if let ([node], true) = (
            topology.masters.as_slice(),
            waiting.len() == pipeline.len() && !self.link.is_cluster(),
        ) {
            // The common case, in which nothing has to be taken apart.
            let got = self.once(doing, node, pipeline).await.map_err(plain)?;
            return self.settle(doing, pipeline, waiting, got, answers).await;
        }
        let mut by_node: BTreeMap<&Node, Vec<usize>> = BTreeMap::new();
        let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
        for index in waiting.iter().copied() {
            let key = commands.get(index).and_then(|command| key_of(command));
            let node = match (key, self.node) {
                (Some(key), _) => self.link.master_of(&topology, key),
                (None, Some(node)) => Ok(node),
                (None, None) => self.link.master_of(&topology, b""),
            };
            match node {
                Ok(node) => by_node.entry(node).or_default().push(index),
                Err(kind) => {
                    self.link.forget_topology().await;
                    return Err(plain(kind));
                }
            }
        }
        let requests = by_node.into_iter().map(|(node, indices)| {
            let mut part = Pipeline::with_capacity(indices.len());
            for command in indices.iter().filter_map(|index| commands.get(*index)) {
                part.add_command((*command).clone());
            }
            async move { (indices, self.once(doing, node, &part).await) }
        });
        let mut trouble = None;
        let mut got: Vec<Option<Value>> = vec![None; pipeline.len()];
        for (indices, answer) in join_all(requests).await {
            match answer {
                Ok(values) => {
                    for (index, value) in indices.into_iter().zip(values) {
                        if let Some(place) = got.get_mut(index) {
                            *place = Some(value);
                        }
                    }
                }
                Err(kind) => trouble = Some(plain(kind)),
            }
        }
        let got = waiting.iter().filter_map(|index| {
            let value = got.get_mut(*index)?.take();
            Some(value)
        });
        let got: Vec<Option<Value>> = got.collect();
        let settled = self
            .settle_some(doing, pipeline, waiting, got, answers)
            .await;
        match (settled, trouble) {
            (Err(found), None) | (_, Some(found)) => Err(found),
            (Ok(()), None) => Ok(()),
        }
    }

    async fn settle(
        &self,
        doing: &str,
        pipeline: &Pipeline,
        waiting: &mut Vec<usize>,
        got: Vec<Value>,
        answers: &mut [Value],
    ) -> Result<(), Trouble> {
        let got = got.into_iter().map(Some).collect();
        self.settle_some(doing, pipeline, waiting, got, answers)
            .await
    }

    /// Takes the answers that stand; what is left waiting has to be sent again.
    async fn settle_some(
        &self,
        doing: &str,
        pipeline: &Pipeline,
        waiting: &mut Vec<usize>,
        got: Vec<Option<Value>>,
        answers: &mut [Value],
    ) -> Result<(), Trouble> {
        let mut trouble: Option<Trouble> = None;
        let mut left = Vec::new();
        for (index, value) in std::mem::take(waiting).into_iter().zip(got) {
            let Some(mut value) = value else {
                left.push(index);
                continue;
            };
            if let Value::ServerError(error) = &value {
                let error: RedisError = error.clone().into();
                match code(&error).as_deref() {
                    Some("ASK") => {
                        let command = pipeline.cmd_iter().nth(index);
                        value = match self.ask_importing(doing, command, &error).await {
                            Ok(value) => value,
                            Err(found) => {
                                trouble = Some(found);
                                left.push(index);
                                continue;
                            }
                        };
                    }
                    Some("MOVED") => {
                        self.link.forget_topology().await;
                        trouble.get_or_insert(Trouble {
                            kind: StoreErrorKind::NotReady {
                                reason: error.to_string(),
                            },
                            what_next: Next::Redirected,
                        });
                        left.push(index);
                        continue;
                    }
                    _ => {}
                }
            }
            if let Some(kind) = unready(&value, self.link.layout != Layout::Single) {
                trouble = Some(Trouble {
                    kind,
                    what_next: Next::Wait,
                });
                left.push(index);
                continue;
            }
            if let Some(place) = answers.get_mut(index) {
                *place = value;
            }
        }
        *waiting = left;
        trouble.map_or(Ok(()), Err)
    }

    /// Asks the node that a slot is being moved to for a key that is there already.
    async fn ask_importing(
        &self,
        doing: &str,
        command: Option<&Cmd>,
        redirection: &RedisError,
    ) -> Result<Value, Trouble> {
        let plain = |kind| Trouble {
            kind,
            what_next: Next::Wait,
        };
        let (Some(command), Some((address, _))) = (command, redirection.redirect_node()) else {
            return Err(plain(classify(redirection, doing)));
        };
        let mut asking = Pipeline::with_capacity(2);
        asking.cmd("ASKING").add_command(command.clone());
        let mut answers = self
            .once(doing, &Node::from(address), &asking)
            .await
            .map_err(plain)?;
        answers
            .pop()
            .ok_or_else(|| plain(classify(redirection, doing)))
    }

    async fn once(
        &self,
        doing: &str,
        node: &Node,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, StoreErrorKind> {
        let mut live = match self.link.connection(node).await {
            Ok(live) => live,
            Err(kind) => {
                self.link.forget_topology().await;
                return Err(kind);
            }
        };
        let answer = live
            .connection
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await;
        match answer {
            Ok(values) => Ok(values),
            Err(error) => {
                if is_broken(&error) {
                    self.link.hang_up(node, live.number).await;
                }
                Err(classify(&error, doing))
            }
        }
    }
}

/// An error by which a server says that it is no master any more.
fn is_demoted(kind: &StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::NotReady { reason } if reason.contains("READONLY"))
}

/// An answer by which the server says that it cannot do it yet, and may in a moment.
fn unready(answer: &Value, many: bool) -> Option<StoreErrorKind> {
    match answer {
        Value::ServerError(error) => {
            let kind = classify(&error.clone().into(), "");
            (is_passing(&kind) || (many && is_demoted(&kind))).then_some(kind)
        }
        _ => None,
    }
}

/// Doubles with each try; the jitter keeps many runners from coming back at once.
fn pause(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE * 2_u32.saturating_pow(attempt.saturating_sub(1).min(5));
    whole.mul_f64(rand::rng().random_range(0.5..1.5))
}
