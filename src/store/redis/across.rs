//! Copies on a cluster, whose source and target mostly lie in different slots: no script may name both, so
//! the value goes through here, and the source is read again afterwards.

use redis::Value;

use super::calls::{Part, named};
use super::deed::{Answer, Deed, Direction};
use super::keys::SourceDigest;
use super::scripts::{self, Call};
use crate::model::redis::op::{Copy, Decision, Item, KeyType, KeyView, Op, Work};
use crate::store::StoreError;

const READING: &str = "reading keys that go to other slots";
const WRITING: &str = "writing keys that come from other slots";
/// Times that a source which changes under the work is dealt with again in one pass.
pub(super) const ROUNDS: u32 = 4;

/// A value in transit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    Gone,
    /// Another type than declared, or too large to be held at once.
    Odd(Answer),
    There {
        payload: Vec<u8>,
        /// Unix milliseconds; 0 for ever.
        expires_at: u64,
    },
}

impl Deed<'_> {
    /// Deals with a batch of copies, each in the way that its two slots allow.
    pub(super) async fn copies(&self, items: &[Item<'_>]) -> Result<Vec<Answer>, StoreError> {
        let (across, within) = self.by_reach(items);
        let here = pick(items, &within);
        let mut found = self.answers(here.len(), self.calls(&here)).await?;
        if self.direction == Direction::Clean && !self.later.is_empty() {
            self.clean_kept(&here, &mut found).await?;
        }
        let there = pick(items, &across);
        let further = match self.direction {
            _ if there.is_empty() => Vec::new(),
            Direction::Forward => self.copy_across(&there).await?,
            Direction::Back => self.uncopy_across(&there).await?,
            Direction::Clean => self.clean_across(&there).await?,
        };
        let mut answers = together((within, found), (across, further));
        for (item, answer) in items.iter().zip(&mut answers) {
            if let (Answer::Large, Op::Copy(copy)) = (*answer, &item.step.op) {
                *answer = self.copy_in_parts(copy, item).await?;
            }
        }
        self.count(items, &answers).await?;
        Ok(answers)
    }

    /// The places of items that go to another slot, and of those that stay in theirs.
    pub(super) fn by_reach(&self, items: &[Item<'_>]) -> (Vec<usize>, Vec<usize>) {
        let crosses = |place: &usize| items.get(*place).is_some_and(|i| self.store.crosses(i));
        (0..items.len()).partition(crosses)
    }

    async fn copy_across(&self, items: &[Item<'_>]) -> Result<Vec<Answer>, StoreError> {
        let Some(Op::Copy(copy)) = items.first().map(|item| &item.step.op) else {
            return Ok(Vec::new());
        };
        let views = self
            .store
            .views(self.session, self.id, self.buckets, items)
            .await?;
        let mut answers = decided(items, &views);
        // One that is kept has to be recorded as well: what the application deletes later stays deleted.
        let kept: Vec<usize> = places(items, &views, |item, view| {
            view.target && view.recorded.is_none() && item.decide(view) == Decision::Done
        });
        self.restore(copy, items, &kept, &[], &mut answers).await?;
        let mut todo = places(items, &views, |item, view| {
            item.decide(view) == Decision::Work(Work::Copy)
        });
        let mut round = 1;
        while !todo.is_empty() {
            let values = self.values(copy.kind, items, &todo).await?;
            let mut ready = Vec::new();
            for (place, value) in todo.iter().zip(&values) {
                match (value, answers.get_mut(*place)) {
                    (Held::Gone, Some(answer)) => *answer = Answer::Gone,
                    (Held::Odd(odd), Some(answer)) => *answer = *odd,
                    _ => ready.push(*place),
                }
            }
            let values: Vec<Held> = values
                .into_iter()
                .filter(|value| matches!(value, Held::There { .. }))
                .collect();
            let marks = self
                .restore(copy, items, &ready, &values, &mut answers)
                .await?;
            todo = self
                .withdraw_changed(copy, items, &ready, &values, &marks, &mut answers)
                .await?;
            if round == ROUNDS {
                for place in todo.drain(..) {
                    if let Some(answer) = answers.get_mut(place) {
                        *answer = Answer::Changed;
                    }
                }
            }
            round += 1;
        }
        Ok(answers)
    }

    /// What the sources hold now.
    pub(super) async fn values(
        &self,
        kind: Option<KeyType>,
        items: &[Item<'_>],
        places: &[usize],
    ) -> Result<Vec<Held>, StoreError> {
        let calls: Vec<Call> = places
            .iter()
            .filter_map(|place| items.get(*place))
            .map(|item| {
                Call::new(&scripts::PEEK)
                    .key(item.key.as_slice())
                    .arg(named(kind))
            })
            .collect();
        let answers = Call::run_all(&calls, self.session, READING).await?;
        answers
            .into_iter()
            .map(|answer| {
                let value = answer.map_err(|e| self.session.refused(READING, &e))?;
                let (word, payload, expires_at): (String, Vec<u8>, u64) =
                    redis::from_redis_value(value)
                        .map_err(|e| self.session.unexpected(READING, &e))?;
                Ok(match word.as_str() {
                    "gone" => Held::Gone,
                    "refused" => Held::Odd(Answer::Refused),
                    "large" => Held::Odd(Answer::Large),
                    _ => Held::There {
                        payload,
                        expires_at,
                    },
                })
            })
            .collect()
    }

    /// Writes values to their targets, and records it in one atomic unit with that. Without values, records
    /// targets that are kept. Gives what tells the target that was written from a later one.
    async fn restore(
        &self,
        copy: &Copy,
        items: &[Item<'_>],
        places: &[usize],
        values: &[Held],
        answers: &mut [Answer],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let calls: Vec<Call> = places
            .iter()
            .enumerate()
            .filter_map(|(index, place)| Some((index, items.get(*place)?)))
            .map(|(index, item)| {
                let (payload, expires_at) = match values.get(index) {
                    Some(Held::There {
                        payload,
                        expires_at,
                    }) => (payload.as_slice(), *expires_at),
                    _ => (&b""[..], 0),
                };
                self.at_target(&scripts::RESTORE, item)
                    .arg(copy.on_conflict.name())
                    .arg(payload)
                    .arg(expires_at.to_string())
            })
            .collect();
        let replies = self
            .store
            .run_calls(self.session, self.run.lease, &calls, WRITING)
            .await?;
        let mut marks = Vec::with_capacity(replies.len());
        for (place, reply) in places.iter().zip(replies) {
            let (answer, mark) = self.reply(reply)?;
            if let Some(known) = answers.get_mut(*place) {
                *known = answer;
            }
            marks.push(mark);
        }
        Ok(marks)
    }

    /// Reads the sources once more. Where one changed or went while its copy was made, and the copy is still
    /// what was written, the copy is taken back. Gives those that have to be copied again.
    async fn withdraw_changed(
        &self,
        copy: &Copy,
        items: &[Item<'_>],
        places: &[usize],
        values: &[Held],
        marks: &[Vec<u8>],
        answers: &mut [Answer],
    ) -> Result<Vec<usize>, StoreError> {
        let now = self.values(copy.kind, items, places).await?;
        let changed: Vec<(usize, &Vec<u8>, &Held)> = places
            .iter()
            .zip(values)
            .zip(marks)
            .zip(&now)
            .filter(|(((place, before), _), now)| {
                answers.get(**place) == Some(&Answer::Written) && before != now
            })
            .map(|(((place, _), mark), now)| (*place, mark, now))
            .collect();
        let calls: Vec<Call> = changed
            .iter()
            .filter_map(|(place, mark, _)| Some((items.get(*place)?, mark)))
            .map(|(item, mark)| {
                self.at_target(&scripts::WITHDRAW, item)
                    .arg(mark.as_slice())
            })
            .collect();
        let replies = self
            .store
            .run_calls(self.session, self.run.lease, &calls, WRITING)
            .await?;
        let mut again = Vec::new();
        for ((place, _, now), reply) in changed.into_iter().zip(replies) {
            let (answer, _) = self.reply(reply)?;
            // The application already writes the new form: the copy is its own now.
            if answer != Answer::Written {
                continue;
            }
            if let Some(known) = answers.get_mut(place) {
                *known = match now {
                    Held::Gone => Answer::Gone,
                    Held::Odd(odd) => *odd,
                    Held::There { .. } => {
                        again.push(place);
                        Answer::Changed
                    }
                };
            }
        }
        Ok(again)
    }

    /// A call in the slot of an item's target, with its bucket and digest.
    fn at_target(&self, script: &'static scripts::KeyScript, item: &Item<'_>) -> Call {
        let target = item.target.as_deref().unwrap_or_default();
        let digest = SourceDigest::of(&item.key);
        self.on_keys(script, self.slot_of(target))
            .key(target)
            .key(self.bucket(&digest, target))
            .arg(digest.member())
    }

    pub(super) fn reply(&self, reply: Value) -> Result<(Answer, Vec<u8>), StoreError> {
        let (word, mark): (Vec<u8>, Vec<u8>) =
            redis::from_redis_value(reply).map_err(|e| self.session.unexpected(WRITING, &e))?;
        let answer = Answer::parse(&word)
            .ok_or_else(|| self.session.unexpected(WRITING, &"an unknown answer"))?;
        Ok((answer, mark))
    }

    /// Deletes targets that equal their source, and the record of those copies.
    async fn uncopy_across(&self, items: &[Item<'_>]) -> Result<Vec<Answer>, StoreError> {
        let views = self
            .store
            .views(self.session, self.id, self.buckets, items)
            .await?;
        let equal = self.store.equal(self.session, items, &views, &[]).await?;
        let mut answers = Vec::new();
        let mut parts = Vec::new();
        for (place, (item, view)) in items.iter().zip(&views).enumerate() {
            answers.push(
                match (view.target, equal.get(place).and_then(Option::as_ref)) {
                    (false, _) => Answer::Done,
                    (true, None) => Answer::Kept,
                    (true, Some(pair)) => {
                        let target = item.target.as_deref().unwrap_or_default();
                        let digest = SourceDigest::of(&item.key);
                        let call = self
                            .on_keys(&scripts::UNLINK_SAME, self.slot_of(target))
                            .key(target)
                            .key(self.bucket(&digest, target))
                            .arg(pair.target.as_slice())
                            .arg(digest.member());
                        let places = vec![place];
                        parts.push(Part { call, places });
                        Answer::Kept
                    }
                },
            );
        }
        self.merge(items.len(), parts, &mut answers).await?;
        Ok(answers)
    }

    /// Looks again at sources that a script kept, since their targets are other than they are: what later
    /// migrations make of a source is nothing that a script can tell.
    async fn clean_kept(
        &self,
        items: &[Item<'_>],
        answers: &mut [Answer],
    ) -> Result<(), StoreError> {
        let (kept, slots): (Vec<Item<'_>>, Vec<&mut Answer>) = items
            .iter()
            .zip(answers)
            .filter(|(_, answer)| **answer == Answer::Kept)
            .map(|(item, answer)| (item.clone(), answer))
            .unzip();
        if !kept.is_empty() {
            let again = self.clean_across(&kept).await?;
            slots
                .into_iter()
                .zip(again)
                .for_each(|(slot, answer)| *slot = answer);
        }
        Ok(())
    }

    /// Deletes sources whose copy is recorded, or whose target equals them or what later migrations made of
    /// them.
    async fn clean_across(&self, items: &[Item<'_>]) -> Result<Vec<Answer>, StoreError> {
        use crate::model::redis::op::Recorded;
        let views = self
            .store
            .views(self.session, self.id, self.buckets, items)
            .await?;
        let later = &self.later;
        let equal = self.store.equal(self.session, items, &views, later).await?;
        let mut answers = Vec::new();
        let mut parts = Vec::new();
        for (place, (item, view)) in items.iter().zip(&views).enumerate() {
            let on_source = |script| {
                self.on_keys(script, self.slot_of(&item.key))
                    .key(item.key.as_slice())
            };
            let call = match (view, equal.get(place).and_then(Option::as_ref)) {
                (KeyView { kind: None, .. }, _) => {
                    answers.push(Answer::Gone);
                    continue;
                }
                (
                    KeyView {
                        recorded: Some(Recorded::Copied),
                        ..
                    },
                    _,
                ) => Some(on_source(&scripts::DELETE).arg("")),
                (_, Some(pair)) => {
                    Some(on_source(&scripts::UNLINK_SAME).arg(pair.source.as_slice()))
                }
                _ => None,
            };
            answers.push(Answer::Kept);
            if let Some(call) = call {
                let places = vec![place];
                parts.push(Part { call, places });
            }
        }
        self.merge(items.len(), parts, &mut answers).await?;
        Ok(answers)
    }

    /// Runs calls for some places of a batch, and enters their answers.
    async fn merge(
        &self,
        count: usize,
        parts: Vec<Part>,
        answers: &mut [Answer],
    ) -> Result<(), StoreError> {
        let called: Vec<usize> = parts.iter().flat_map(|p| p.places.clone()).collect();
        let found = self.answers(count, parts).await?;
        for place in called {
            if let (Some(known), Some(answer)) = (answers.get_mut(place), found.get(place)) {
                *known = *answer;
            }
        }
        Ok(())
    }
}

pub(super) fn pick<'d>(items: &[Item<'d>], places: &[usize]) -> Vec<Item<'d>> {
    let picked = places.iter().filter_map(|place| items.get(*place).cloned());
    picked.collect()
}

/// The answers of two parts of a batch, in its order.
pub(super) fn together(
    one: (Vec<usize>, Vec<Answer>),
    other: (Vec<usize>, Vec<Answer>),
) -> Vec<Answer> {
    let mut answers = vec![Answer::Done; one.0.len() + other.0.len()];
    for (places, found) in [one, other] {
        for (place, answer) in places.into_iter().zip(found) {
            if let Some(known) = answers.get_mut(place) {
                *known = answer;
            }
        }
    }
    answers
}

/// What can be said of keys before anything is done with them.
pub(super) fn decided(items: &[Item<'_>], views: &[KeyView]) -> Vec<Answer> {
    let decisions = items
        .iter()
        .zip(views)
        .map(|(item, view)| item.decide(view));
    decisions
        .map(|decision| match decision {
            Decision::Gone => Answer::Gone,
            Decision::Refused(_) => Answer::Refused,
            _ => Answer::Done,
        })
        .collect()
}

pub(super) fn places(
    items: &[Item<'_>],
    views: &[KeyView],
    wanted: impl Fn(&Item<'_>, &KeyView) -> bool,
) -> Vec<usize> {
    items
        .iter()
        .zip(views)
        .enumerate()
        .filter(|(_, (item, view))| wanted(item, view))
        .map(|(place, _)| place)
        .collect()
}
