//! One step's batches of keys: what is done with them, undone or cleaned up, and the answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::RedisStore;
use super::calls::{Part, flag};
use super::link::Session;
use super::ours::Ours;
use super::pace::Pace;
use super::scripts::{self, Call};
use crate::model::id::MigrationId;
use crate::model::redis::declaration::Declaration;
use crate::model::redis::findings::Findings;
use crate::model::redis::op::{Change, Decision, Exception, Item, Op, Sort, Work};
use crate::store::{Run, StoreError, StoreErrorKind};

pub(super) const DOING: &str = "writing keys";

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
pub(super) struct Deed<'a> {
    pub(super) store: &'a RedisStore,
    pub(super) session: Session<'a>,
    pub(super) run: &'a Run<'a>,
    pub(super) id: &'a MigrationId,
    pub(super) direction: Direction,
    pub(super) allow_lossy: bool,
    /// For a cleanup: what may have changed the copies since they were made.
    pub(super) later: Vec<Declaration>,
    /// Buckets of the record of copies; none is recorded when it is unknown.
    pub(super) buckets: Option<u64>,
    /// Whether the server knows hash fields with times to live of their own.
    pub(super) field_ttls: bool,
    pub(super) pace: &'a Pace,
    /// What this step, and those that share its passes, changed.
    pub(super) ours: Arc<Ours>,
    pub(super) tally: Mutex<Tally>,
}

/// What came of some batches.
#[derive(Debug, Default, Clone)]
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

/// What a script answered for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Gone,
    Written,
    /// Somebody else was faster.
    Changed,
    Refused,
    Kept,
    /// Too large to be dealt with in one go.
    Large,
    /// Its fields have different times to live, which one field cannot keep.
    Uneven,
    /// A script of the author's did not do what its check asks for.
    Undone,
}

impl Answer {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"done" => Self::Done,
            b"gone" => Self::Gone,
            b"written" => Self::Written,
            b"changed" => Self::Changed,
            b"refused" => Self::Refused,
            b"kept" => Self::Kept,
            b"large" => Self::Large,
            b"uneven" => Self::Uneven,
            b"undone" => Self::Undone,
            _ => return None,
        })
    }
}

impl Deed<'_> {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deals with keys of one step, in batches of the right size. Gives the targets of copies that were
    /// made.
    pub(super) async fn keys(&self, items: &[Item<'_>]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut made = Vec::new();
        let mut rest = items;
        while !rest.is_empty() {
            let size = self.batch_size(rest.len());
            let (batch, after) = rest.split_at(size);
            self.wait_for(size).await?;
            let sound = self.without_strays(batch);
            let batch = sound.as_deref().unwrap_or(batch);
            let answers = self.batch(batch).await?;
            for (item, answer) in batch.iter().zip(&answers) {
                if *answer == Answer::Written {
                    made.extend(item.target.clone());
                }
            }
            rest = after;
        }
        Ok(made)
    }

    /// How many of so many keys the next batch has.
    pub(super) fn batch_size(&self, left: usize) -> usize {
        self.pace.size().min(self.pace.burst()).min(left)
    }

    /// Waits until so many keys may be dealt with.
    pub(super) async fn wait_for(&self, keys: usize) -> Result<(), StoreError> {
        let wait = self.pace.wait(keys);
        if wait.is_zero() {
            return Ok(());
        }
        let waiting = tokio::time::sleep(wait);
        match self.run.cancel.run_until_cancelled(waiting).await {
            Some(()) => Ok(()),
            None => Err(self.session.error(StoreErrorKind::Cancelled)),
        }
    }

    /// The keys that may be dealt with, where there are others, which are findings.
    fn without_strays<'d>(&self, items: &[Item<'d>]) -> Option<Vec<Item<'d>>> {
        let astray = |item: &Item<'_>| item.strays().is_some();
        if !items.iter().any(astray) {
            return None;
        }
        let mut tally = self.tally();
        for item in items {
            if let Some(problem) = item.strays() {
                let (sort, why) = (problem.sort(), problem.to_string());
                tally.findings.add(sort, &item.key, &why);
            }
        }
        Some(items.iter().filter(|item| !astray(item)).cloned().collect())
    }

    async fn batch(&self, items: &[Item<'_>]) -> Result<Vec<Answer>, StoreError> {
        let Some(first) = items.first() else {
            return Ok(Vec::new());
        };
        match (&first.step.op, self.direction) {
            (Op::Convert(_), Direction::Forward | Direction::Back) => {
                self.convert(items).await?;
                Ok(Vec::new())
            }
            (Op::Copy(_), _) => self.copies(items).await,
            (Op::Rename(rename), _) => self.renames(rename.kind, items).await,
            (Op::Script(script), _) => self.script(script, items).await,
            _ => {
                let answers = self.answers(items.len(), self.calls(items)).await?;
                self.count(items, &answers).await?;
                Ok(answers)
            }
        }
    }

    /// Reads, decides, and changes the fields of a key only where they still hold what was read.
    async fn convert(&self, items: &[Item<'_>]) -> Result<(), StoreError> {
        let views = self.store.views(self.session, self.id, None, items).await?;
        // Keys of which the same fields change in the same way go together: their names are said once.
        let mut work: Vec<Alike<'_>> = Vec::new();
        let mut excepted = Vec::new();
        for (item, view) in items.iter().zip(&views) {
            let changes = match item.decide(view) {
                Decision::Gone | Decision::Done => continue,
                Decision::Refused(problem) => {
                    self.tally()
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
            if let Some(lossy) = changes
                .iter()
                .find(|change| change.lossy && !self.allow_lossy)
            {
                let name = fields.get(lossy.field).copied().unwrap_or_default();
                self.tally().findings.add(Sort::Lossy, &item.key, name);
                continue;
            }
            let changed: Vec<(usize, char)> = changes
                .iter()
                .map(|change| (change.field, sign(change)))
                .collect();
            match work.iter_mut().find(|(fields, _)| *fields == changed) {
                Some((_, same)) => same.push((item.clone(), changes)),
                None => work.push((changed, vec![(item.clone(), changes)])),
            }
        }
        self.except(&excepted).await?;
        for (fields, work) in work {
            let (items, changes): (Vec<Item<'_>>, Vec<Vec<Change>>) = work.into_iter().unzip();
            let parts = self.conversions(&fields, &items, &changes);
            let answers = self.answers(items.len(), parts).await?;
            self.count(&items, &answers).await?;
        }
        Ok(())
    }

    /// The calls that change the same fields of some keys.
    fn conversions(
        &self,
        fields: &[(usize, char)],
        items: &[Item<'_>],
        changes: &[Vec<Change>],
    ) -> Vec<Part> {
        let Some(first) = items.first() else {
            return Vec::new();
        };
        let known = first.step.op.fields();
        let parts = self.by_slot(items).into_iter().map(|(slot, places)| {
            let mut call = self
                .on_keys(&scripts::CONVERT, slot)
                .arg(flag(self.field_ttls))
                .arg(fields.len().to_string())
                .arg(fields.iter().map(|(_, sign)| *sign).collect::<String>());
            for (field, _) in fields {
                call = call.arg(known.get(*field).copied().unwrap_or_default());
            }
            for place in &places {
                let (Some(item), Some(changes)) = (items.get(*place), changes.get(*place)) else {
                    continue;
                };
                call = call.key(item.key.as_slice());
                for change in changes {
                    call = call.arg(change.old.as_deref().unwrap_or_default());
                }
                for change in changes {
                    call = call.arg(change.new.as_deref().unwrap_or_default());
                }
            }
            Part { call, places }
        });
        parts.collect()
    }

    /// Records values that stay as they are.
    async fn except(&self, excepted: &[(&Item<'_>, Vec<Exception>)]) -> Result<(), StoreError> {
        let mut call = Call::fenced(&scripts::PUT, &self.store.keys, self.run.lease)
            .counted(&self.ours)
            .key(self.store.keys.exceptions(self.id));
        let mut any = 0;
        for (item, exceptions) in excepted {
            let fields = item.step.op.fields();
            for exception in exceptions {
                let field = fields.get(exception.field).copied().unwrap_or_default();
                let name = [item.key.as_slice(), field.as_bytes()].join(&0);
                call = call.arg(name).arg(exception.misfit.to_string());
                any += 1;
            }
        }
        if any > 0 {
            call.run(self.session, "recording exceptions").await?;
            self.tally().excepted += any;
        }
        Ok(())
    }

    /// Runs calls, and puts their answers into the order of the batch.
    pub(super) async fn answers(
        &self,
        count: usize,
        parts: Vec<Part>,
    ) -> Result<Vec<Answer>, StoreError> {
        let (calls, places): (Vec<Call>, Vec<Vec<usize>>) = parts
            .into_iter()
            .map(|part| (part.call, part.places))
            .unzip();
        let values = self.timed(count, &calls).await?;
        self.parsed(self.in_order(count, places, values)?)
    }

    /// Runs calls about so many keys, and learns from how long they took.
    pub(super) async fn timed(
        &self,
        count: usize,
        calls: &[Call],
    ) -> Result<Vec<redis::Value>, StoreError> {
        let sent = Instant::now();
        let values = self
            .store
            .run_calls(self.session, self.run.lease, calls, DOING)
            .await?;
        self.pace.took(count, sent.elapsed());
        Ok(values)
    }

    /// The answers that words stand for; a place without a call has nothing to do.
    pub(super) fn parsed(&self, words: Vec<Vec<u8>>) -> Result<Vec<Answer>, StoreError> {
        words
            .iter()
            .map(|word| match word.as_slice() {
                b"" => Ok(Answer::Done),
                word => Answer::parse(word)
                    .ok_or_else(|| self.session.unexpected(DOING, &"an unknown answer")),
            })
            .collect()
    }

    /// The answers to calls in the order of the batch.
    pub(super) fn in_order(
        &self,
        count: usize,
        places: Vec<Vec<usize>>,
        values: Vec<redis::Value>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut answers = vec![Vec::new(); count];
        for (places, value) in places.into_iter().zip(values) {
            let words: Vec<Vec<u8>> =
                redis::from_redis_value(value).map_err(|e| self.session.unexpected(DOING, &e))?;
            // A place without a word is one that nothing was asked for.
            if words.len() != places.len() || words.iter().any(Vec::is_empty) {
                let what = "not one answer for each key";
                return Err(self.session.unexpected(DOING, &what));
            }
            for (place, word) in places.into_iter().zip(words) {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = word;
                }
            }
        }
        Ok(answers)
    }

    pub(super) async fn count(
        &self,
        items: &[Item<'_>],
        answers: &[Answer],
    ) -> Result<(), StoreError> {
        let mut refused = Vec::new();
        {
            let mut tally = self.tally();
            for (item, answer) in items.iter().zip(answers) {
                match answer {
                    Answer::Written => tally.written += 1,
                    Answer::Changed | Answer::Large => tally.contended += 1,
                    Answer::Refused => refused.push(item.clone()),
                    Answer::Kept => tally.keep(&item.key),
                    Answer::Uneven => tally.findings.add(Sort::FieldTimes, &item.key, ""),
                    Answer::Undone => tally.findings.add(
                        Sort::Script,
                        &item.key,
                        "the step's check still asks for work",
                    ),
                    Answer::Done | Answer::Gone => {}
                }
            }
        }
        // The script says that it refused; why is read afterwards, and may have passed by then.
        let views = self
            .store
            .views(self.session, self.id, self.buckets, &refused)
            .await?;
        let mut tally = self.tally();
        for (item, view) in refused.iter().zip(&views) {
            match item.decide(view) {
                Decision::Refused(problem) => {
                    tally
                        .findings
                        .add(problem.sort(), &item.key, &problem.to_string());
                }
                _ => tally.contended += 1,
            }
        }
        Ok(())
    }
}

impl Tally {
    fn keep(&mut self, key: &[u8]) {
        self.kept += 1;
        if self.kept_samples.len() < crate::model::verification::SAMPLES {
            self.kept_samples.push(key.to_vec());
        }
    }
}

/// The fields that change, each with its sign, and the keys in which they do, with their changes.
type Alike<'d> = (Vec<(usize, char)>, Vec<(Item<'d>, Vec<Change>)>);

/// What becomes of a field, as the script is told it.
fn sign(change: &Change) -> char {
    match (&change.old, &change.new) {
        (Some(_), Some(_)) => '=',
        (Some(_), None) => '-',
        (None, Some(_)) => '+',
        (None, None) => '.',
    }
}
