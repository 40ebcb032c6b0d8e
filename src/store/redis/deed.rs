//! One step's batch of keys: the script that does it, undoes it or cleans up after it, and its answers.

use std::time::Instant;

use redis::Value;

use super::RedisStore;
use super::keys::SourceDigest;
use super::link::Session;
use super::pace::Pace;
use super::scripts::{self, Call};
use crate::model::id::MigrationId;
use crate::model::redis::findings::Findings;
use crate::model::redis::op::{
    Change, Decision, Exception, Item, KeyType, Must, OnConflict, Op, Sort, Work,
};
use crate::store::{Run, StoreError};

/// Which way a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Apply.
    Forward,
    /// Revert.
    Back,
    /// Clean up.
    Clean,
}

/// What all batches of a step share.
#[derive(Clone, Copy)]
pub(super) struct Deed<'a> {
    pub(super) store: &'a RedisStore,
    pub(super) session: Session<'a>,
    pub(super) run: &'a Run<'a>,
    pub(super) id: &'a MigrationId,
    pub(super) direction: Direction,
    pub(super) allow_lossy: bool,
    /// Buckets of the record of copies; none is recorded when it is unknown.
    pub(super) buckets: Option<u64>,
    /// Whether the server knows hash fields with times to live of their own.
    pub(super) field_ttls: bool,
}

/// What came of some batches.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Keys written.
    pub(super) written: u64,
    /// Keys that were changed by somebody else in between; the next pass looks at them again.
    pub(super) contended: u64,
    /// Values left as they are, as `on_error = "record"` allows.
    pub(super) excepted: u64,
    /// What a revert or a cleanup left in place.
    pub(super) kept: u64,
    /// A few of those.
    pub(super) kept_samples: Vec<Vec<u8>>,
    /// Keys that are not as declared.
    pub(super) findings: Findings,
}

impl Deed<'_> {
    /// Deals with keys of one step, in batches of the right size.
    pub(super) async fn keys(
        &self,
        items: &[Item<'_>],
        pace: &mut Pace,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let mut rest = items;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(pace.size().min(rest.len()));
            if batch.iter().any(|item| item.strays().is_some()) {
                let sound = self.without_strays(batch, tally);
                self.batch(&sound, pace, tally).await?;
            } else {
                self.batch(batch, pace, tally).await?;
            }
            rest = after;
        }
        Ok(())
    }

    /// The keys that may be dealt with; the others are findings.
    fn without_strays<'d>(&self, items: &[Item<'d>], tally: &mut Tally) -> Vec<Item<'d>> {
        let mut sound = Vec::with_capacity(items.len());
        for item in items {
            match item.strays() {
                Some(problem) => {
                    tally
                        .findings
                        .add(problem.sort(), &item.key, &problem.to_string())
                }
                None => sound.push(item.clone()),
            }
        }
        sound
    }

    async fn batch(
        &self,
        items: &[Item<'_>],
        pace: &mut Pace,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let Some(first) = items.first() else {
            return Ok(());
        };
        if matches!(
            (&first.step.op, self.direction),
            (Op::Convert(_), Direction::Forward | Direction::Back)
        ) {
            return self.convert(items, pace, tally).await;
        }
        if let Op::Script(script) = &first.step.op {
            return self.script(script, items, pace, tally).await;
        }
        let Some(call) = self.call(items) else {
            return Ok(());
        };
        let started = Instant::now();
        let answers = self.answers(&call).await?;
        pace.took(items.len(), started.elapsed());
        self.count(items, &answers, tally).await
    }

    /// The script for a batch; `None` where this direction has nothing to do.
    fn call(&self, items: &[Item<'_>]) -> Option<Call> {
        use Direction::{Back, Clean, Forward};
        let fenced = |script| Call::fenced(script, &self.store.keys, self.run.lease);
        let flag = |on: bool| if on { "1" } else { "0" };
        let all = |call: Call| {
            items
                .iter()
                .fold(call, |call, item| call.key(item.key.as_slice()))
        };
        let kind = |kind: Option<KeyType>| kind.map_or("", KeyType::name);
        Some(match (&items.first()?.step.op, self.direction) {
            (Op::Copy(op), Forward) => {
                let conflict = OnConflict::NAMED
                    .iter()
                    .find(|(_, known)| *known == op.on_conflict);
                let mut call = fenced(&scripts::COPY)
                    .arg(kind(op.kind))
                    .arg(conflict.map_or("keep", |(name, _)| *name))
                    .arg(op.guards.len().to_string());
                for guard in &op.guards {
                    let sign = match guard.must {
                        Must::Be => '=',
                        Must::NotBe => '!',
                    };
                    call = call.arg(format!("{sign}{}", guard.field));
                }
                for item in items {
                    let digest = SourceDigest::of(&item.key);
                    call = self.pair(call, item, &digest).arg(digest.field);
                    for value in &item.values {
                        call = call.arg(value.as_slice());
                    }
                }
                call
            }
            (Op::Copy(_), Back) => items.iter().fold(fenced(&scripts::UNCOPY), |call, item| {
                self.pair(call, item, &SourceDigest::of(&item.key))
            }),
            (Op::Copy(_), Clean) => items.iter().fold(fenced(&scripts::CLEAN), |call, item| {
                let digest = SourceDigest::of(&item.key);
                self.pair(call, item, &digest).arg(digest.field)
            }),
            (Op::Rename(op), Forward | Back) => {
                let call = fenced(&scripts::RENAME).arg(kind(op.kind));
                items.iter().fold(call, |call, item| {
                    call.key(item.key.as_slice())
                        .key(item.target.as_deref().unwrap_or_default())
                })
            }
            (Op::Set(op), Forward | Back) => {
                let script = if self.direction == Forward {
                    &scripts::SET
                } else {
                    &scripts::UNSET
                };
                let mut call = all(fenced(script))
                    .arg(flag(self.field_ttls))
                    .arg(flag(op.overwrite))
                    .arg(op.fields.len().to_string());
                let fields = op.fields.iter().map(|(field, _)| field.as_bytes());
                let values = items
                    .iter()
                    .flat_map(|item| item.values.iter().map(Vec::as_slice));
                for part in fields.chain(values) {
                    call = call.arg(part);
                }
                call
            }
            (Op::RenameField(op), Forward | Back) => all(fenced(&scripts::FIELDS))
                .arg(flag(self.field_ttls))
                .arg(op.from.as_str())
                .arg(op.to.as_str()),
            (Op::RemoveField(op), Forward) => all(fenced(&scripts::FIELDS))
                .arg(flag(self.field_ttls))
                .arg(op.field.as_str())
                .arg(""),
            (Op::Expire(op), Forward) => all(fenced(&scripts::EXPIRY)).arg(op.ttl_ms.to_string()),
            (Op::Persist(_), Forward) => all(fenced(&scripts::EXPIRY)).arg(""),
            (Op::Delete(op), Forward) => all(fenced(&scripts::DELETE)).arg(kind(op.kind)),
            _ => return None,
        })
    }

    /// Adds a copy's source, target and bucket.
    fn pair(&self, call: Call, item: &Item<'_>, digest: &SourceDigest) -> Call {
        let bucket = digest.bucket(self.buckets.unwrap_or(1));
        call.key(item.key.as_slice())
            .key(item.target.as_deref().unwrap_or_default())
            .key(self.store.keys.bucket(self.id, bucket))
    }

    /// Reads, decides, and changes each key only where its fields still hold what was read.
    async fn convert(
        &self,
        items: &[Item<'_>],
        pace: &mut Pace,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let views = self.store.views(self.session, self.id, None, items).await?;
        let mut call = Call::fenced(&scripts::CONVERT, &self.store.keys, self.run.lease)
            .arg(if self.field_ttls { "1" } else { "0" });
        let mut written: Vec<Item<'_>> = Vec::new();
        let mut excepted = Vec::new();
        for (item, view) in items.iter().zip(&views) {
            let changes = match item.decide(view) {
                Decision::Gone | Decision::Done => continue,
                Decision::Refused(problem) => {
                    tally
                        .findings
                        .add(problem.sort(), &item.key, &problem.to_string());
                    continue;
                }
                Decision::Excepted(exceptions) => {
                    excepted.push((item, exceptions));
                    continue;
                }
                Decision::Work(Work::Convert {
                    changes,
                    exceptions,
                }) => {
                    excepted.push((item, exceptions));
                    changes
                }
                Decision::Work(_) => continue,
            };
            let fields = item.step.op.fields();
            let name = |change: &Change| fields.get(change.field).copied().unwrap_or_default();
            if let Some(lossy) = changes
                .iter()
                .find(|change| change.lossy && !self.allow_lossy)
            {
                tally.findings.add(Sort::Lossy, &item.key, name(lossy));
                continue;
            }
            call = call.key(item.key.as_slice()).arg(changes.len().to_string());
            for change in &changes {
                call = call
                    .arg(name(change))
                    .arg(optional(change.old.as_deref()))
                    .arg(optional(change.new.as_deref()));
            }
            written.push(item.clone());
        }
        self.except(&excepted, tally).await?;
        if written.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let answers = self.answers(&call).await?;
        pace.took(items.len(), started.elapsed());
        self.count(&written, &answers, tally).await
    }

    /// Records values that stay as they are.
    async fn except(
        &self,
        excepted: &[(&Item<'_>, Vec<Exception>)],
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let mut call = Call::fenced(&scripts::PUT, &self.store.keys, self.run.lease)
            .key(self.store.keys.exceptions(self.id));
        let mut any = false;
        for (item, exceptions) in excepted {
            let fields = item.step.op.fields();
            for exception in exceptions {
                let field = fields.get(exception.field).copied().unwrap_or_default();
                let name = [item.key.as_slice(), field.as_bytes()].join(&0);
                call = call.arg(name).arg(exception.misfit.to_string());
                tally.excepted += 1;
                any = true;
            }
        }
        if any {
            call.run(self.session, "recording exceptions").await?;
        }
        Ok(())
    }

    async fn answers(&self, call: &Call) -> Result<Vec<Vec<u8>>, StoreError> {
        let doing = "writing keys";
        self.list(call.run(self.session, doing).await?, doing)
    }

    /// One answer for each key.
    pub(super) fn list(&self, answer: Value, doing: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        match answer {
            Value::Array(values) => values
                .into_iter()
                .map(|value| {
                    redis::from_redis_value(value).map_err(|e| self.session.unexpected(doing, &e))
                })
                .collect(),
            _ => Err(self.session.unexpected(doing, &"no list")),
        }
    }

    pub(super) async fn count(
        &self,
        items: &[Item<'_>],
        answers: &[Vec<u8>],
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        if items.len() != answers.len() {
            return Err(self
                .session
                .unexpected("writing keys", &"not one answer for each key"));
        }
        let mut refused = Vec::new();
        for (item, answer) in items.iter().zip(answers) {
            match answer.as_slice() {
                b"written" => tally.written += 1,
                b"changed" => tally.contended += 1,
                b"refused" => refused.push(item.clone()),
                b"uneven" => tally.findings.add(Sort::FieldTimes, &item.key, ""),
                b"undone" => tally.findings.add(
                    Sort::Script,
                    &item.key,
                    "the step's check still asks for work",
                ),
                b"kept" => {
                    tally.kept += 1;
                    if tally.kept_samples.len() < crate::model::verification::SAMPLES {
                        tally.kept_samples.push(item.key.clone());
                    }
                }
                _ => {}
            }
        }
        // The script says that it refused; why is read afterwards, and may have passed by then.
        let views = self
            .store
            .views(self.session, self.id, self.buckets, &refused)
            .await?;
        for (item, view) in refused.iter().zip(&views) {
            match item.decide(view) {
                Decision::Refused(problem) => {
                    tally
                        .findings
                        .add(problem.sort(), &item.key, &problem.to_string())
                }
                _ => tally.contended += 1,
            }
        }
        Ok(())
    }
}

/// A value behind `=`, or nothing for an absent field: an empty value is another thing.
fn optional(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        Some(value) => [b"=", value].concat(),
        None => Vec::new(),
    }
}
