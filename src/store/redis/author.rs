//! Lua of the author's: asked what it would do, run, and stopped where it does not end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::timeout;

use super::RedisStore;
use super::calls::{Part, named};
use super::deed::{Answer, Deed, Direction};
use super::errors::code;
use super::link::{Session, slot};
use super::scripts::{self, Call};
use crate::model::id::MigrationId;
use crate::model::redis::declaration::{Declaration, Step};
use crate::model::redis::op::{Item, KeyType, KeyView, Op, Script};
use crate::store::{Lease, StoreError, StoreErrorKind};

/// How long a batch may take. Servers begin to answer others after as long (`busy-reply-threshold`), and a
/// batch is meant to take a thousandth of it.
const LIMIT: Duration = Duration::from_secs(5);
/// Tries of a batch that did not answer in time, although the server ran no script then.
const TRIES: u32 = 3;
/// Keys that a check is asked about in one call.
const CHECKED: usize = 50;

/// Calls that hold Lua of the author's.
struct Calls<'c> {
    step: &'c Step,
    doing: &'c str,
    calls: &'c [Call],
    /// The lease of those that write; the others only read.
    lease: Option<&'c Lease>,
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
        let doing = "asking a script's check";
        let mut views = vec![KeyView::default(); items.len()];
        let mut by_slot: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
        for (place, item) in items.iter().enumerate() {
            let slot = self.link.is_cluster().then(|| slot(&item.key));
            by_slot.entry(slot).or_default().push(place);
        }
        for places in by_slot.values().flat_map(|places| places.chunks(CHECKED)) {
            let batch: Vec<&Item<'_>> = places.iter().filter_map(|p| items.get(*p)).collect();
            let Some(first) = batch.first() else { continue };
            let call = Call::new(&scripts::CHECK)
                .arg(named(script.kind))
                .arg(script.check.as_str());
            let calls = Calls {
                step: first.step,
                doing,
                calls: &[arguments(call, script, &batch)],
                lease: None,
            };
            let answers = self.supervised(session, id, calls).await?;
            let answer = answers.into_iter().next().unwrap_or(Value::Nil);
            let said: Vec<String> =
                redis::from_redis_value(answer).map_err(|e| session.unexpected(doing, &e))?;
            for (place, said) in places.iter().zip(said.chunks(2)) {
                if let Some(view) = views.get_mut(*place) {
                    view.kind = said.first().and_then(|kind| KeyType::from_reply(kind));
                    view.needs_work = said.get(1).is_some_and(|needs| needs == "1");
                }
            }
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
            let calls = Calls {
                step,
                doing: "reading a script",
                calls: &[call],
                lease: None,
            };
            self.supervised(session, id, calls).await?;
        }
        Ok(())
    }

    /// Runs calls. What does not end in time is stopped.
    async fn supervised(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        run: Calls<'_>,
    ) -> Result<Vec<Value>, StoreError> {
        let failed = |reason: String| {
            session.error(StoreErrorKind::Script {
                id: id.clone(),
                step: run.step.number,
                operation: run.step.op.to_string(),
                reason,
            })
        };
        for _ in 0..TRIES {
            let answers = async {
                if let Some(lease) = run.lease {
                    return self.run_calls(session, lease, run.calls, run.doing).await;
                }
                let mut answers = Vec::with_capacity(run.calls.len());
                for call in run.calls {
                    answers.push(call.run_reading(session, run.doing).await?);
                }
                Ok(answers)
            };
            match timeout(LIMIT, answers).await {
                Ok(answers) => {
                    return answers.map_err(|error| match said_by_author(&error) {
                        Some(reason) => failed(reason),
                        None => error,
                    });
                }
                Err(_) => {
                    if let Some(reason) = self.stop(run.calls).await {
                        return Err(failed(reason));
                    }
                }
            }
        }
        Err(session.error(StoreErrorKind::Disconnected {
            reason: format!("no answer within {} s while {}", LIMIT.as_secs(), run.doing),
        }))
    }

    /// Stops the scripts that the servers of these calls are running, over connections of their own, and
    /// tells what came of it; `None` where there was none, so that the answer was late or lost.
    async fn stop(&self, calls: &[Call]) -> Option<String> {
        let late = format!("a batch did not end within {} s", LIMIT.as_secs());
        let mut kill = redis::cmd("SCRIPT");
        kill.arg("KILL");
        for call in calls {
            let Some(answer) = self.link.aside(call.any_key(), &kill).await else {
                continue;
            };
            let error = match answer {
                Ok(_) => {
                    return Some(format!(
                        "{late}; it was stopped by SCRIPT KILL, and wrote nothing"
                    ));
                }
                Err(error) => error,
            };
            match code(&error).as_deref() {
                Some("NOTBUSY") | None => {}
                Some("UNKILLABLE") => {
                    return Some(format!(
                        "{late}, and since it has written, SCRIPT KILL cannot stop it (UNKILLABLE); the server answers nobody until it ends: wait for that, or restart the server, where SHUTDOWN NOSAVE loses what is not on disk"
                    ));
                }
                Some(_) => {
                    return Some(format!(
                        "{late}, and could not be stopped: {error}; an operator has to run SCRIPT KILL"
                    ));
                }
            }
        }
        None
    }
}

impl Deed<'_> {
    /// Runs the text for this direction over a batch.
    pub(super) async fn script(
        &self,
        script: &Script,
        items: &[Item<'_>],
    ) -> Result<Vec<Answer>, StoreError> {
        let (name, text) = match self.direction {
            Direction::Forward => ("script", Some(&script.run)),
            Direction::Back => ("undo", script.undo.as_ref()),
            Direction::Clean => ("cleanup", script.cleanup.as_ref()),
        };
        let (Some(first), Some(text)) = (items.first(), text) else {
            return Ok(Vec::new());
        };
        let parts = self.by_slot(items).into_iter().map(|(slot, places)| {
            let some: Vec<&Item<'_>> = places.iter().filter_map(|p| items.get(*p)).collect();
            let call = self
                .on_keys(&scripts::SCRIPT, slot)
                .arg(named(script.kind))
                .arg(script.check.as_str())
                .arg(name)
                .arg(text.as_str());
            let call = arguments(call, script, &some);
            Part { call, places }
        });
        let (calls, places): (Vec<Call>, Vec<Vec<usize>>) =
            parts.map(|part| (part.call, part.places)).unzip();
        let sent = Instant::now();
        let run = Calls {
            step: first.step,
            doing: "running a script",
            calls: &calls,
            lease: Some(self.run.lease),
        };
        let values = self.store.supervised(self.session, self.id, run).await?;
        self.pace.took(items.len(), sent.elapsed());
        let answers = self.parsed(self.in_order(items.len(), places, values)?)?;
        self.count(items, &answers).await?;
        Ok(answers)
    }
}

/// What a text of the author's said as an error, by the code that our scripts put before it.
fn said_by_author(error: &StoreError) -> Option<String> {
    let StoreErrorKind::Server { reason, .. } = &error.kind else {
        return None;
    };
    let (_, said) = reason.split_once("AUTHORLUA")?;
    Some(said.trim_start_matches(['"', ':', ' ']).to_owned())
}

/// Adds each item's key, and their arguments with the number that each has.
fn arguments(call: Call, script: &Script, items: &[&Item<'_>]) -> Call {
    let call = call.arg(script.args.len().to_string());
    items.iter().fold(call, |call, item| {
        let call = call.key(item.key.as_slice());
        let values = item.values.iter();
        values.fold(call, |call, value| call.arg(value.as_slice()))
    })
}
