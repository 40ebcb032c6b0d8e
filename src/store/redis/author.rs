//! Lua of the author's: asked what it would do, run, and stopped where it does not end.

use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::timeout;

use super::RedisStore;
use super::deed::{Deed, Direction, Tally};
use super::errors::code;
use super::link::Session;
use super::pace::Pace;
use super::scripts::{self, Call};
use crate::model::id::MigrationId;
use crate::model::redis::declaration::{Declaration, Step};
use crate::model::redis::op::{Item, KeyType, KeyView, Op, Script};
use crate::store::{StoreError, StoreErrorKind};

/// How long a batch may take. Servers begin to answer others after as long (`busy-reply-threshold`), and a
/// batch is meant to take a thousandth of it.
const LIMIT: Duration = Duration::from_secs(5);
/// Tries of a batch that did not answer in time, although the server ran no script then.
const TRIES: u32 = 3;
/// Keys that a check is asked about in one call.
const CHECKED: usize = 50;

/// What became of a script that did not end.
enum Stopped {
    /// The server stopped it; it had written nothing.
    Killed,
    /// It had written, so the server does not stop it.
    Unkillable,
    /// There was none: the answer was lost, or late for another reason.
    None,
    /// The server would not, for this reason.
    Refused(String),
}

impl RedisStore {
    /// What is known of the keys of a script's step: their types, and what its check says.
    pub(super) async fn script_views(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        script: &Script,
        items: &[Item<'_>],
    ) -> Result<Vec<KeyView>, StoreError> {
        let mut views = Vec::with_capacity(items.len());
        for batch in items.chunks(CHECKED) {
            let Some(first) = batch.first() else { continue };
            let call = arguments(
                Call::new(&scripts::CHECK)
                    .arg(script.kind.map_or("", KeyType::name))
                    .arg(script.check.as_str()),
                script,
                batch,
            );
            let doing = "asking a script's check";
            let answer = self
                .supervised(session, id, first.step, doing, &call, true)
                .await?;
            let said: Vec<String> =
                redis::from_redis_value(answer).map_err(|e| session.unexpected(doing, &e))?;
            views.extend(said.chunks(2).map(|said| KeyView {
                kind: said.first().and_then(|kind| KeyType::from_reply(kind)),
                needs_work: said.get(1).is_some_and(|needs| needs == "1"),
                ..KeyView::default()
            }));
        }
        Ok(views)
    }

    /// Lets the server read the Lua of every step, so that a slip of the pen is found while planning.
    pub(super) async fn compile(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        declaration: &Declaration,
    ) -> Result<(), StoreError> {
        for step in &declaration.steps {
            let Op::Script(script) = &step.op else {
                continue;
            };
            let call = script
                .texts()
                .fold(Call::new(&scripts::COMPILE), |call, (name, text)| {
                    call.arg(name).arg(text)
                });
            self.supervised(session, id, step, "reading a script", &call, true)
                .await?;
        }
        Ok(())
    }

    /// Runs a call that holds Lua of the author's. What does not end in time is stopped.
    async fn supervised(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        step: &Step,
        doing: &str,
        call: &Call,
        reading: bool,
    ) -> Result<Value, StoreError> {
        let failed = |reason: String| {
            session.error(StoreErrorKind::Script {
                id: id.clone(),
                step: step.number,
                operation: step.op.to_string(),
                reason,
            })
        };
        for _ in 0..TRIES {
            let answer = async {
                if reading {
                    call.ask_reading(session, doing).await
                } else {
                    call.ask(session, doing).await
                }
            };
            let Ok(answer) = timeout(LIMIT, answer).await else {
                let seconds = LIMIT.as_secs();
                return Err(failed(match self.stop().await {
                    Stopped::None => continue,
                    Stopped::Killed => format!(
                        "a batch did not end within {seconds} s; it was stopped by SCRIPT KILL, and wrote nothing"
                    ),
                    Stopped::Unkillable => format!(
                        "a batch did not end within {seconds} s, and since it has written, SCRIPT KILL cannot stop it (UNKILLABLE); the server answers nobody until it ends: wait for that, or restart the server, where SHUTDOWN NOSAVE loses what is not on disk"
                    ),
                    Stopped::Refused(reason) => format!(
                        "a batch did not end within {seconds} s, and could not be stopped: {reason}; an operator has to run SCRIPT KILL"
                    ),
                }));
            };
            return match answer? {
                Ok(value) => Ok(value),
                Err(error) if code(&error).as_deref() == Some("AUTHORLUA") => {
                    Err(failed(error.detail().unwrap_or_default().to_owned()))
                }
                Err(error) => Err(session.refused(doing, &error)),
            };
        }
        Err(session.error(StoreErrorKind::Disconnected {
            reason: format!("no answer within {} s while {doing}", LIMIT.as_secs()),
        }))
    }

    /// Stops the script that the server is running, over a connection of its own: the others wait for it.
    async fn stop(&self) -> Stopped {
        match self.link.aside(redis::cmd("SCRIPT").arg("KILL")).await {
            Ok(_) => Stopped::Killed,
            Err(error) => match code(&error).as_deref() {
                Some("NOTBUSY") => Stopped::None,
                Some("UNKILLABLE") => Stopped::Unkillable,
                Some(_) => Stopped::Refused(error.to_string()),
                // No connection: whoever waits for the answer finds that out, and tries again.
                None => Stopped::None,
            },
        }
    }
}

impl Deed<'_> {
    /// Runs the text for this direction over a batch.
    pub(super) async fn script(
        &self,
        script: &Script,
        items: &[Item<'_>],
        pace: &mut Pace,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let (name, text) = match self.direction {
            Direction::Forward => ("script", Some(&script.run)),
            Direction::Back => ("undo", script.undo.as_ref()),
            Direction::Clean => ("cleanup", script.cleanup.as_ref()),
        };
        let (Some(first), Some(text)) = (items.first(), text) else {
            return Ok(());
        };
        let call = Call::fenced(&scripts::SCRIPT, &self.store.keys, self.run.lease)
            .arg(script.kind.map_or("", KeyType::name))
            .arg(script.check.as_str())
            .arg(name)
            .arg(text.as_str());
        let call = arguments(call, script, items);
        let started = Instant::now();
        let answer = self
            .store
            .supervised(
                self.session,
                self.id,
                first.step,
                "running a script",
                &call,
                false,
            )
            .await?;
        pace.took(items.len(), started.elapsed());
        let answers = self.list(answer, "running a script")?;
        self.count(items, &answers, tally).await
    }
}

/// Adds each item's key, and their arguments with the number that each has.
fn arguments(call: Call, script: &Script, items: &[Item<'_>]) -> Call {
    let call = call.arg(script.args.len().to_string());
    items.iter().fold(call, |call, item| {
        let call = call.key(item.key.as_slice());
        let values = item.values.iter();
        values.fold(call, |call, value| call.arg(value.as_slice()))
    })
}
