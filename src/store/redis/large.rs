//! Copies of values that would hold the server for too long: they grow in parts under a name of our own, and
//! are renamed into place in the end.
//!
//! The source is watched meanwhile, on a connection of its own. Where it changes, the copy begins anew: what
//! takes the target's name is always the source as it was at one moment.

use std::time::Duration;

use super::deed::{Answer, Deed};
use super::keys::SourceDigest;
use super::scripts::{self, Call};
use super::watch::Watch;
use crate::model::redis::op::{Copy, Item, KeyType, OnConflict, Recorded, Sort};
use crate::store::{StoreError, StoreErrorKind};

const DOING: &str = "copying a large value";
/// Elements of one part.
pub(super) const PART: usize = 500;
/// Bytes of one part of a string.
pub(super) const PART_BYTES: u64 = 1 << 20;
/// Strings beyond this cannot travel as one value: a server takes no more than 512 MB at once, the rest of
/// the request included.
const LARGEST_STRING: u64 = 256 << 20;
/// How long a part lives that nobody goes on with.
const PART_LIVES: Duration = Duration::from_secs(3600);
/// Copies that are begun of a source that changes under them, before it is left for the next pass.
pub(super) const TRIES: u32 = 5;

impl Deed<'_> {
    /// Copies one large value.
    pub(super) async fn copy_in_parts(
        &self,
        copy: &Copy,
        item: &Item<'_>,
    ) -> Result<Answer, StoreError> {
        let items = std::slice::from_ref(item);
        let views = self
            .store
            .views(self.session, self.id, self.buckets, items)
            .await?;
        let Some(view) = views.first() else {
            return Ok(Answer::Gone);
        };
        if matches!(view.recorded, Some(Recorded::Copied | Recorded::Kept)) {
            return Ok(Answer::Done);
        }
        if view.target && copy.on_conflict != OnConflict::Replace {
            // Nothing has to grow for a target that stays; a part of no elements is never placed.
            let keep = self.at_target_of_part(item).arg(copy.on_conflict.name());
            let keep = [keep.arg("0").arg("0")];
            let replies = self
                .store
                .run_calls(self.session, self.run.lease, &keep, DOING)
                .await?;
            let reply = replies.into_iter().next().unwrap_or(redis::Value::Nil);
            return self.reply(reply).map(|(answer, _)| answer);
        }
        for _ in 0..TRIES {
            match settled(self.try_in_parts(copy, item).await)? {
                Answer::Changed => {}
                answer => return Ok(answer),
            }
        }
        Ok(Answer::Changed)
    }

    async fn try_in_parts(&self, copy: &Copy, item: &Item<'_>) -> Result<Answer, StoreError> {
        let key = item.key.as_slice();
        let mut source = self.watch(key).await?;
        let kind: String = source.ask(redis::cmd("TYPE").arg(key)).await?;
        let Some(kind) = KeyType::from_reply(&kind) else {
            return Ok(Answer::Gone);
        };
        self.grow(item, "", Vec::new()).await?;
        let elements = match self.grow_all(&mut source, item, kind).await? {
            Ok(elements) => elements,
            Err(reason) => {
                self.tally().findings.add(Sort::TooLarge, key, reason);
                return Ok(Answer::Done);
            }
        };
        let expires_at = self.expires_at(&mut source, key).await?;
        let place = self
            .at_target_of_part(item)
            .arg(copy.on_conflict.name())
            .arg(expires_at.to_string())
            .arg(elements.to_string());
        self.store
            .raise(
                self.session,
                self.run.lease,
                &place.slot().into_iter().collect(),
            )
            .await?;
        let target = item.target.as_deref().unwrap_or_default();
        if self.slot_of(key) == self.slot_of(target) {
            // On one server the question and the last step are one atomic unit.
            return source.commit(&place).await;
        }
        // Watched anew before the first watch ends, so that no change falls between the two.
        let mut later = self.watch(key).await?;
        if !source.is_unchanged().await? {
            return Ok(Answer::Changed);
        }
        let mut written = Watch::new(self, target).await?;
        let answer = written.place_and_watch(&place, target).await?;
        if answer != Answer::Written || later.is_unchanged().await? {
            return Ok(answer);
        }
        // Taken back, unless the application writes the new form by now: then the copy is its own.
        let digest = SourceDigest::of(key);
        let back = self
            .on_keys(&scripts::DROP_COPY, self.slot_of(target))
            .key(target)
            .key(self.bucket(&digest, target))
            .arg(digest.member());
        match written.commit(&back).await? {
            Answer::Changed => Ok(Answer::Written),
            _ => Ok(Answer::Changed),
        }
    }

    pub(super) async fn watch(&self, key: &[u8]) -> Result<Watch<'_>, StoreError> {
        let mut watch = Watch::new(self, key).await?;
        watch.ask::<()>(redis::cmd("WATCH").arg(key)).await?;
        Ok(watch)
    }

    /// Reads the whole value, part by part. Gives how many elements it has, or why it cannot be copied.
    pub(super) async fn grow_all(
        &self,
        source: &mut Watch<'_>,
        item: &Item<'_>,
        kind: KeyType,
    ) -> Result<Result<u64, &'static str>, StoreError> {
        let key = item.key.as_slice();
        let size = |word: &str| {
            let mut command = redis::cmd(word);
            command.arg(key);
            command
        };
        match kind {
            KeyType::String => {
                let bytes: u64 = source.ask(&size("STRLEN")).await?;
                if bytes > LARGEST_STRING {
                    return Ok(Err(
                        "a string of more than 256 MB; make its target by hand, and go on",
                    ));
                }
                let mut from = 0;
                while from < bytes {
                    let to = from + PART_BYTES - 1;
                    let mut command = redis::cmd("GETRANGE");
                    let part: Vec<u8> = source.ask(command.arg(key).arg(from).arg(to)).await?;
                    self.grow(item, kind.name(), vec![part]).await?;
                    from = to + 1;
                }
                Ok(Ok(bytes))
            }
            KeyType::List => {
                let elements: u64 = source.ask(&size("LLEN")).await?;
                let mut from = 0;
                while from < elements {
                    let to = from + PART as u64 - 1;
                    let mut command = redis::cmd("LRANGE");
                    let part: Vec<Vec<u8>> = source.ask(command.arg(key).arg(from).arg(to)).await?;
                    self.grow(item, kind.name(), part).await?;
                    from = to + 1;
                }
                Ok(Ok(elements))
            }
            KeyType::Hash => {
                self.grow_scanned(source, item, kind, ["HSCAN", "HLEN"])
                    .await
            }
            KeyType::Set => {
                self.grow_scanned(source, item, kind, ["SSCAN", "SCARD"])
                    .await
            }
            KeyType::SortedSet => {
                self.grow_scanned(source, item, kind, ["ZSCAN", "ZCARD"])
                    .await
            }
            KeyType::Stream | KeyType::Other => {
                Ok(Err("a value of a type that cannot be copied in parts"))
            }
        }
    }

    async fn grow_scanned(
        &self,
        source: &mut Watch<'_>,
        item: &Item<'_>,
        kind: KeyType,
        [scan, size]: [&str; 2],
    ) -> Result<Result<u64, &'static str>, StoreError> {
        let key = item.key.as_slice();
        let mut cursor: u64 = 0;
        loop {
            let mut command = redis::cmd(scan);
            command.arg(key).arg(cursor).arg("COUNT").arg(PART);
            let (next, part): (u64, Vec<Vec<u8>>) = source.ask(&command).await?;
            let times = match kind {
                KeyType::Hash => self.field_times(source, key, &part).await?,
                _ => Vec::new(),
            };
            self.grow(item, kind.name(), part).await?;
            self.grow_times(item, times).await?;
            if next == 0 {
                let mut command = redis::cmd(size);
                return source.ask(command.arg(key)).await.map(Ok);
            }
            cursor = next;
        }
    }

    /// The fields among these that have a time to live of their own, each followed by the Unix ms when it ends.
    async fn field_times(
        &self,
        source: &mut Watch<'_>,
        key: &[u8],
        part: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if !self.field_ttls || part.is_empty() {
            return Ok(Vec::new());
        }
        let fields: Vec<&Vec<u8>> = part.iter().step_by(2).collect();
        let mut command = redis::cmd("HPEXPIRETIME");
        command
            .arg(key)
            .arg("FIELDS")
            .arg(fields.len())
            .arg(&fields);
        let times: Vec<i64> = source.ask(&command).await?;
        let mortal = fields.into_iter().zip(times).filter(|(_, time)| *time > 0);
        Ok(mortal
            .flat_map(|(field, time)| [field.clone(), time.to_string().into_bytes()])
            .collect())
    }

    /// Gives fields of the part their times to live.
    async fn grow_times(&self, item: &Item<'_>, times: Vec<Vec<u8>>) -> Result<(), StoreError> {
        if times.is_empty() {
            return Ok(());
        }
        let target = item.target.as_deref().unwrap_or_default();
        let call = self
            .on_keys(&scripts::GROW_TIMES, self.slot_of(target))
            .key(self.store.keys.part(target));
        let call = times.into_iter().fold(call, Call::arg);
        self.store
            .run_calls(self.session, self.run.lease, &[call], DOING)
            .await
            .map(drop)
    }

    /// Adds elements to the part; without a type, begins it anew.
    pub(super) async fn grow(
        &self,
        item: &Item<'_>,
        kind: &str,
        elements: Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        if elements.is_empty() && !kind.is_empty() {
            return Ok(());
        }
        if self.run.cancel.is_cancelled() {
            return Err(self.session.error(StoreErrorKind::Cancelled));
        }
        let target = item.target.as_deref().unwrap_or_default();
        let call = self
            .on_keys(&scripts::GROW_PART, self.slot_of(target))
            .key(self.store.keys.part(target))
            .arg(kind)
            .arg(PART_LIVES.as_millis().to_string());
        let call = elements.into_iter().fold(call, Call::arg);
        self.store
            .run_calls(self.session, self.run.lease, &[call], DOING)
            .await
            .map(drop)
    }

    fn at_target_of_part(&self, item: &Item<'_>) -> Call {
        let target = item.target.as_deref().unwrap_or_default();
        let digest = SourceDigest::of(&item.key);
        self.on_keys(&scripts::PLACE_PART, self.slot_of(target))
            .key(self.store.keys.part(target))
            .key(target)
            .key(self.bucket(&digest, target))
            .arg(digest.member())
    }

    /// When a key expires in Unix milliseconds; 0 for never.
    pub(super) async fn expires_at(
        &self,
        source: &mut Watch<'_>,
        key: &[u8],
    ) -> Result<u64, StoreError> {
        let asked: Result<i64, StoreError> = source.ask(redis::cmd("PEXPIRETIME").arg(key)).await;
        let at = match asked {
            Ok(at) => at,
            // Before Redis 7.0: from what is left, and the server's clock.
            Err(_) => {
                let left: i64 = source.ask(redis::cmd("PTTL").arg(key)).await?;
                let (seconds, micros): (i64, i64) = source.ask(&redis::cmd("TIME")).await?;
                match left {
                    ..0 => 0,
                    left => seconds * 1000 + micros / 1000 + left,
                }
            }
        };
        Ok(u64::try_from(at).unwrap_or_default())
    }
}

/// What came of a try. A connection that broke took what it watched along: that try is as good as one whose
/// source changed.
pub(super) fn settled(tried: Result<Answer, StoreError>) -> Result<Answer, StoreError> {
    match tried {
        Err(StoreError {
            kind: StoreErrorKind::Disconnected { .. } | StoreErrorKind::Unreachable { .. },
            ..
        }) => Ok(Answer::Changed),
        tried => tried,
    }
}
