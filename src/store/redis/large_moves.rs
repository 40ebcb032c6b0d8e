//! Renamings of large values between slots: they grow in parts under a name of our own, as large copies do,
//! while the old name is watched.

use redis::Cmd;

use super::deed::{Answer, Deed};
use super::large::{PART, PART_BYTES, TRIES, settled};
use super::moves::Move;
use super::watch::Watch;
use crate::model::redis::op::{Item, KeyType, Sort};
use crate::store::{StoreError, StoreErrorKind};

impl Deed<'_> {
    /// Gives one large value its new name.
    pub(super) async fn move_in_parts(&self, item: &Item<'_>) -> Result<Answer, StoreError> {
        for _ in 0..TRIES {
            let names = Move::of(item);
            // What the try before this one left, where its connection broke.
            if let Some(mark) = self.mark_of(names).await? {
                self.settle_watched(names, &mark).await?;
            }
            match settled(self.try_to_move(item).await)? {
                Answer::Changed => {}
                answer => return Ok(answer),
            }
        }
        Ok(Answer::Changed)
    }

    async fn try_to_move(&self, item: &Item<'_>) -> Result<Answer, StoreError> {
        let names = Move::of(item);
        let mut source = self.watch(names.source).await?;
        let kind: String = source.ask(redis::cmd("TYPE").arg(names.source)).await?;
        let Some(kind) = KeyType::from_reply(&kind) else {
            return Ok(Answer::Gone);
        };
        self.grow(item, "", Vec::new()).await?;
        let elements = match self.grow_all(&mut source, item, kind).await? {
            Ok(elements) => elements,
            Err(reason) => {
                let findings = &mut self.tally().findings;
                findings.add(Sort::TooLarge, names.source, reason);
                return Ok(Answer::Done);
            }
        };
        let expires_at = self.expires_at(&mut source, names.source).await?;
        let mark = self.watched_mark();
        let place = self.place_part(names, expires_at, elements, &mark);
        self.raise(names).await?;
        let mut target = Watch::new(self, names.target).await?;
        match target.place_and_watch(&place, names.target).await? {
            Answer::Written => self.remove_watched(names, &mark, source, target).await,
            other => Ok(other),
        }
    }

    /// Ends the renaming of a large value that has its new name since an earlier run. Nobody has watched the two
    /// since, so the old one goes only where they are equal.
    pub(super) async fn settle_watched(
        &self,
        names: Move<'_>,
        mark: &str,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            match settled(self.try_to_settle(names, mark).await)? {
                Answer::Changed => {}
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    async fn try_to_settle(&self, names: Move<'_>, mark: &str) -> Result<Answer, StoreError> {
        let mut source = self.watch(names.source).await?;
        let mut target = self.watch(names.target).await?;
        let there: bool = source.ask(redis::cmd("EXISTS").arg(names.source)).await?;
        if !there {
            return self.forget_moves(&[names]).await.map(|()| Answer::Gone);
        }
        if !self.are_equal(&mut source, &mut target, names).await? {
            // From now on a name that is taken, which the passes will tell.
            let forget = self.take_back(names, mark, false);
            return self.run_moves(&[forget]).await.map(|_| Answer::Done);
        }
        self.remove_watched(names, mark, source, target).await
    }

    /// Removes the old name where it did not change since it is watched.
    async fn remove_watched(
        &self,
        names: Move<'_>,
        mark: &str,
        mut source: Watch<'_>,
        mut target: Watch<'_>,
    ) -> Result<Answer, StoreError> {
        self.raise(names).await?;
        let answer = source.commit(&self.at_old_name(names, mark)).await?;
        if answer == Answer::Written {
            self.forget_moves(&[names]).await?;
            return Ok(answer);
        }
        // Taken back, unless the application writes the new name by now: then that is its own.
        let back = self.take_back(names, mark, true);
        if target.commit(&back).await? == Answer::Changed {
            let forget = self.take_back(names, mark, false);
            self.run_moves(&[forget]).await?;
        }
        Ok(answer)
    }

    /// Raises the fences of both slots.
    async fn raise(&self, names: Move<'_>) -> Result<(), StoreError> {
        let slots = [names.source, names.target].map(|name| self.slot_of(name));
        let slots = slots.into_iter().flatten().collect();
        self.store.raise(self.session, self.run.lease, &slots).await
    }

    /// Whether two large values are the same, read part by part.
    async fn are_equal(
        &self,
        source: &mut Watch<'_>,
        target: &mut Watch<'_>,
        names: Move<'_>,
    ) -> Result<bool, StoreError> {
        let (key, other) = (names.source, names.target);
        let left: String = source.ask(redis::cmd("TYPE").arg(key)).await?;
        let right: String = target.ask(redis::cmd("TYPE").arg(other)).await?;
        let times = [
            self.expires_at(source, key).await?,
            self.expires_at(target, other).await?,
        ];
        let (Some(kind), true) = (
            KeyType::from_reply(&left),
            left == right && times[0] == times[1],
        ) else {
            return Ok(false);
        };
        let about = |word: &str, key: &[u8]| {
            let mut command = redis::cmd(word);
            command.arg(key);
            command
        };
        let size = super::compare::size_command(kind);
        let elements: u64 = source.ask(&about(size, key)).await?;
        if elements != target.ask::<u64>(&about(size, other)).await? {
            return Ok(false);
        }
        let (scan, ask) = match kind {
            KeyType::String => {
                return self
                    .are_equal_by_range(source, target, names, "GETRANGE", PART_BYTES)
                    .await;
            }
            KeyType::List => {
                return self
                    .are_equal_by_range(source, target, names, "LRANGE", PART as u64)
                    .await;
            }
            KeyType::Hash => ("HSCAN", "HMGET"),
            KeyType::Set => ("SSCAN", "SMISMEMBER"),
            KeyType::SortedSet => ("ZSCAN", "ZMSCORE"),
            KeyType::Stream | KeyType::Other => return Ok(false),
        };
        let mut cursor: u64 = 0;
        loop {
            self.go_on()?;
            let mut command = about(scan, key);
            command.arg(cursor).arg("COUNT").arg(PART);
            let (next, part): (u64, Vec<Vec<u8>>) = source.ask(&command).await?;
            let step = if kind == KeyType::Set { 1 } else { 2 };
            let mut asked = about(ask, other);
            asked.arg(part.iter().step_by(step).collect::<Vec<_>>());
            let same = part.is_empty()
                || match kind {
                    KeyType::Set => {
                        let there: Vec<bool> = target.ask(&asked).await?;
                        there.iter().all(|there| *there)
                    }
                    KeyType::SortedSet => {
                        let found: Vec<Option<f64>> = target.ask(&asked).await?;
                        let scores = part.iter().skip(1).step_by(2);
                        scores.zip(found).all(|(score, found)| {
                            let score = str::from_utf8(score).ok().and_then(|s| s.parse().ok());
                            score.is_some() && score == found
                        })
                    }
                    _ => {
                        let found: Vec<Option<Vec<u8>>> = target.ask(&asked).await?;
                        let values = part.iter().skip(1).step_by(2);
                        values
                            .zip(&found)
                            .all(|(value, found)| Some(value) == found.as_ref())
                    }
                };
            if !same || next == 0 {
                return Ok(same);
            }
            cursor = next;
        }
    }

    async fn are_equal_by_range(
        &self,
        source: &mut Watch<'_>,
        target: &mut Watch<'_>,
        names: Move<'_>,
        word: &str,
        part: u64,
    ) -> Result<bool, StoreError> {
        let range = |key: &[u8], from: u64| -> Cmd {
            let mut command = redis::cmd(word);
            command.arg(key).arg(from).arg(from + part - 1);
            command
        };
        let mut from = 0;
        loop {
            self.go_on()?;
            let left: redis::Value = source.ask(&range(names.source, from)).await?;
            if left != target.ask(&range(names.target, from)).await? {
                return Ok(false);
            }
            match left {
                redis::Value::BulkString(bytes) if bytes.is_empty() => return Ok(true),
                redis::Value::Array(elements) if elements.is_empty() => return Ok(true),
                _ => from += part,
            }
        }
    }

    fn go_on(&self) -> Result<(), StoreError> {
        match self.run.cancel.is_cancelled() {
            true => Err(self.session.error(StoreErrorKind::Cancelled)),
            false => Ok(()),
        }
    }
}
