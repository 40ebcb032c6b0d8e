//! Renamings on a cluster whose old and new name lie in different slots: no script may name both.
//!
//! What is about to be renamed is listed beside the ledger. The value is written under its new name, together
//! with a record in that slot; then the old name is removed where it still holds what was read, together with
//! a record in its own slot; then the records go, and the entries in the list. Whatever interrupts this, list
//! and records say what was done, and the next run settles it before anything else. Where the old name changed
//! or went meanwhile, the new one is taken back, unless somebody has changed that, too.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::across::{Held, ROUNDS, decided, pick, places, together};
use super::deed::{Answer, Deed};
use super::scripts::{self, Call};
use crate::model::redis::op::{Decision, Item, KeyType, Work};
use crate::store::StoreError;

const DOING: &str = "renaming keys to other slots";
/// How long the records live of a renaming that no run ever goes on with.
const RECORD_LIVES: Duration = Duration::from_secs(30 * 24 * 3600);
/// Stands in the place of a digest for a source that is watched while it moves.
const WATCHED: &str = "watched";
/// Entries of the list that are read at once.
const LISTED: u32 = 200;

/// An old name and a new one.
#[derive(Clone, Copy)]
pub(super) struct Move<'m> {
    pub(super) source: &'m [u8],
    pub(super) target: &'m [u8],
}

impl<'m> Move<'m> {
    pub(super) fn of(item: &'m Item<'_>) -> Self {
        Self {
            source: &item.key,
            target: item.target.as_deref().unwrap_or_default(),
        }
    }
}

/// A key that has its new name, and may have its old one.
struct Begun<'m> {
    place: usize,
    names: Move<'m>,
    /// What tells the source as it was read, and by which run.
    mark: String,
}

impl Deed<'_> {
    /// Deals with a batch of renamings, each in the way that its two slots allow.
    pub(super) async fn renames(
        &self,
        kind: Option<KeyType>,
        items: &[Item<'_>],
    ) -> Result<Vec<Answer>, StoreError> {
        let (across, within) = self.by_reach(items);
        let here = pick(items, &within);
        let found = self.answers(here.len(), self.calls(&here)).await?;
        let there = pick(items, &across);
        let further = match there.is_empty() {
            true => Vec::new(),
            false => self.rename_across(kind, &there).await?,
        };
        let answers = together((within, found), (across, further));
        self.count(items, &answers).await?;
        Ok(answers)
    }

    async fn rename_across(
        &self,
        kind: Option<KeyType>,
        items: &[Item<'_>],
    ) -> Result<Vec<Answer>, StoreError> {
        let views = self.store.views(self.session, self.id, None, items).await?;
        let mut answers = decided(items, &views);
        let mut todo = places(items, &views, |item, view| {
            item.decide(view) == Decision::Work(Work::Rename)
        });
        let listed: Vec<Move<'_>> = todo
            .iter()
            .filter_map(|p| items.get(*p).map(Move::of))
            .collect();
        self.list(&listed).await?;
        for _ in 0..ROUNDS {
            let values = self.values(kind, items, &todo).await?;
            let begun = self.move_in(items, &todo, &values, &mut answers).await?;
            todo = self.move_out(&begun, &mut answers).await?;
        }
        enter(&mut answers, &todo, Answer::Changed);
        for (item, answer) in items.iter().zip(&mut answers) {
            if *answer == Answer::Large {
                *answer = self.move_in_parts(item).await?;
            }
        }
        self.unlist(&listed).await?;
        Ok(answers)
    }

    /// Settles what an earlier run began and did not end.
    pub(super) async fn settle_moves(&self) -> Result<(), StoreError> {
        let list = self.store.keys.moves(self.id);
        let mut cursor = 0;
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(&list).arg(cursor).arg("COUNT").arg(LISTED);
            let (next, listed): (u64, BTreeMap<Vec<u8>, Vec<u8>>) =
                self.session.query(DOING, &command).await?;
            let names: Vec<Move<'_>> = listed
                .iter()
                .map(|(source, target)| Move { source, target })
                .collect();
            self.settle(&names).await?;
            self.unlist(&names).await?;
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn settle(&self, names: &[Move<'_>]) -> Result<(), StoreError> {
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for (place, names) in names.iter().copied().enumerate() {
            match self.mark_of(names).await? {
                Some(mark) if mark.starts_with(WATCHED) => {
                    self.settle_watched(names, &mark).await?
                }
                Some(mark) => begun.push(Begun { place, names, mark }),
                None => ended.push(names),
            }
        }
        // Those that changed keep both names only where both changed, which the passes will tell.
        self.move_out(&begun, &mut []).await?;
        self.forget_moves(&ended).await
    }

    /// What is recorded of a source whose renaming was begun.
    pub(super) async fn mark_of(&self, names: Move<'_>) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(self.moving(names));
        let record: Option<String> = self.session.query(DOING, &command).await?;
        Ok(record.and_then(|record| Some(record.split_once(' ')?.0.to_owned())))
    }

    /// Writes values under their new names, where nothing has those. Gives the ones for which that was done.
    async fn move_in<'m>(
        &self,
        items: &'m [Item<'_>],
        places: &[usize],
        values: &[Held],
        answers: &mut [Answer],
    ) -> Result<Vec<Begun<'m>>, StoreError> {
        let (mut begun, mut calls) = (Vec::new(), Vec::new());
        for (place, value) in places.iter().copied().zip(values) {
            match (value, items.get(place).map(Move::of)) {
                (Held::Gone, _) | (_, None) => enter(answers, &[place], Answer::Gone),
                (Held::Odd(odd), _) => enter(answers, &[place], *odd),
                (
                    Held::There {
                        payload,
                        expires_at,
                    },
                    Some(names),
                ) => {
                    let sha = sha1_smol::Sha1::from(payload).digest().to_string();
                    let mark = self.mark(&sha, *expires_at);
                    let call = self.at_new_name(&scripts::MOVE_IN, names);
                    calls.push(
                        call.arg(payload.as_slice())
                            .arg(expires_at.to_string())
                            .arg(mark.as_str())
                            .arg(RECORD_LIVES.as_millis().to_string()),
                    );
                    begun.push(Begun { place, names, mark });
                }
            }
        }
        let replies = self.run_moves(&calls).await?;
        let mut written = Vec::new();
        for (begun, reply) in begun.into_iter().zip(replies) {
            match self.reply(reply)?.0 {
                Answer::Written => written.push(begun),
                other => enter(answers, &[begun.place], other),
            }
        }
        Ok(written)
    }

    /// Removes old names that still hold what was read, and takes the new ones back of others. Gives the places
    /// of those that have to be dealt with again.
    async fn move_out(
        &self,
        begun: &[Begun<'_>],
        answers: &mut [Answer],
    ) -> Result<Vec<usize>, StoreError> {
        let calls: Vec<Call> = begun
            .iter()
            .map(|begun| self.at_old_name(begun.names, &begun.mark))
            .collect();
        let replies = self.run_moves(&calls).await?;
        let (mut done, mut back, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for (begun, reply) in begun.iter().zip(replies) {
            let answer = self.reply(reply)?.0;
            enter(answers, &[begun.place], answer);
            if answer == Answer::Written {
                done.push(begun.names);
                continue;
            }
            back.push(self.take_back(begun.names, &begun.mark, false));
            if answer == Answer::Changed {
                again.push(begun.place);
            }
        }
        self.run_moves(&back).await?;
        self.forget_moves(&done).await?;
        Ok(again)
    }

    /// Removes the records of renamings that are done: first the one by which they are found.
    pub(super) async fn forget_moves(&self, names: &[Move<'_>]) -> Result<(), StoreError> {
        let (session, lease) = (self.session, self.run.lease);
        let moving: Vec<String> = names.iter().map(|names| self.moving(*names)).collect();
        self.store.drop_own(session, lease, &moving, DOING).await?;
        let moved = names.iter().map(|it| self.store.keys.moved(it.source));
        let moved: Vec<String> = moved.collect();
        self.store.drop_own(session, lease, &moved, DOING).await
    }

    async fn list(&self, names: &[Move<'_>]) -> Result<(), StoreError> {
        let put = |call: Call, it: &Move<'_>| call.arg(it.source).arg(it.target);
        self.in_list(&scripts::PUT, names, put).await
    }

    async fn unlist(&self, names: &[Move<'_>]) -> Result<(), StoreError> {
        let take = |call: Call, it: &Move<'_>| call.arg(it.source);
        self.in_list(&scripts::TAKE, names, take).await
    }

    async fn in_list(
        &self,
        script: &'static std::sync::LazyLock<scripts::Script>,
        names: &[Move<'_>],
        add: impl Fn(Call, &Move<'_>) -> Call,
    ) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let keys = &self.store.keys;
        let call = Call::fenced(script, keys, self.run.lease).key(keys.moves(self.id));
        let call = names.iter().fold(call, add);
        call.run(self.session, DOING).await.map(drop)
    }

    pub(super) async fn run_moves(&self, calls: &[Call]) -> Result<Vec<Value>, StoreError> {
        self.store
            .run_calls(self.session, self.run.lease, calls, DOING)
            .await
    }

    /// What tells a source that was read by this run.
    fn mark(&self, sha: &str, expires_at: u64) -> String {
        format!("{sha}:{expires_at}:{}", self.run.lease.token())
    }

    /// The same for one that this run watches.
    pub(super) fn watched_mark(&self) -> String {
        self.mark(WATCHED, 0)
    }

    /// The call that gives a value in parts its new name.
    pub(super) fn place_part(
        &self,
        names: Move<'_>,
        expires_at: u64,
        elements: u64,
        mark: &str,
    ) -> Call {
        self.on_keys(&scripts::MOVE_PART, self.slot_of(names.target))
            .key(self.store.keys.part(names.target))
            .key(names.target)
            .key(self.moving(names))
            .arg(expires_at.to_string())
            .arg(mark)
            .arg(RECORD_LIVES.as_millis().to_string())
            .arg(elements.to_string())
    }

    /// The call that removes an old name.
    pub(super) fn at_old_name(&self, names: Move<'_>, mark: &str) -> Call {
        self.on_keys(&scripts::MOVE_OUT, self.slot_of(names.source))
            .key(names.source)
            .key(self.store.keys.moved(names.source))
            .arg(mark)
            .arg(RECORD_LIVES.as_millis().to_string())
    }

    /// The call that takes a new name back.
    pub(super) fn take_back(&self, names: Move<'_>, mark: &str, watched: bool) -> Call {
        self.at_new_name(&scripts::MOVE_BACK, names)
            .arg(mark)
            .arg(super::calls::flag(watched))
    }

    fn at_new_name(&self, script: &'static scripts::KeyScript, names: Move<'_>) -> Call {
        self.on_keys(script, self.slot_of(names.target))
            .key(names.target)
            .key(self.moving(names))
    }

    fn moving(&self, names: Move<'_>) -> String {
        self.store.keys.moving(names.source, names.target)
    }
}

/// Enters one answer for some places; nothing where nobody asked for answers.
fn enter(answers: &mut [Answer], places: &[usize], answer: Answer) {
    for place in places {
        if let Some(known) = answers.get_mut(*place) {
            *known = answer;
        }
    }
}
