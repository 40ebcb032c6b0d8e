//! Passes over all keys, until it is certain that none is left.
//!
//! Each page of keys is given to one step after the other, in the plan's order, and a key that one of them
//! makes goes to the next at once.

use std::collections::{BTreeMap, BTreeSet};

use super::RedisStore;
use super::deed::{Direction, Tally};
use super::direct::{self, Bundle};
use super::member::Member;
use super::ours::{self, Ours};
use super::place::Place;
use super::survey::{Survey, keys_error};
use crate::model::redis::declaration::{self, Declaration};
use crate::model::redis::op::Op;
use crate::store::{Run, StoreError, StoreErrorKind};

const STILL_WRITTEN: &str =
    "every pass over the keys found something to do: the application still writes the old form";
const ALWAYS_DISTURBED: &str =
    "masters came or went, or connections broke, during every pass over the keys";

/// Passes until one finds nothing to do; an application that writes the old form on and on never lets that
/// happen.
const PASSES: u32 = 10;
/// Passes besides those, in which masters came or went, or answers were lost.
const DISTURBED_PASSES: u32 = 20;

/// Whether what a pass over the keys did need not be looked at again, unless somebody else changed them. A
/// script of the author's may leave work behind that only its check sees.
fn settles(declaration: &Declaration) -> bool {
    !declaration
        .steps
        .iter()
        .any(|step| matches!(step.op, Op::Script(_)))
}

impl RedisStore {
    /// Passes over all keys until one finds nothing to do, or did all there was while nobody else changed
    /// anything on the server.
    pub(super) async fn passes(
        &self,
        members: &[Member<'_>],
        ours: &Ours,
        run: &Run<'_>,
        mut cursors: BTreeMap<String, u64>,
    ) -> Result<(), StoreError> {
        let Some(first) = members.first() else {
            return Ok(());
        };
        let session = first.deed.session;
        let glob = declaration::scan_glob(members.iter().flat_map(|m| &m.declaration.scope));
        let total = members
            .iter()
            .map(|member| member.expected)
            .max()
            .unwrap_or_default();
        let settles = members.iter().all(|member| settles(member.declaration));
        let (mut pass, mut disturbed) = (1, 0);
        loop {
            if self.link.is_cluster() {
                self.refuse_open_slots(session).await?;
            }
            let before = match settles {
                true => self.changes(session).await?,
                false => None,
            };
            if before.is_some() {
                ours.begin();
                self.ours.begin();
            }
            let unanswered = self.link.unanswered();
            let walk = self.walk(session, glob.clone(), &cursors).await?;
            // A pass that began at a checkpoint says nothing of the keys before it.
            let whole = walk.positions().iter().all(|position| position.cursor == 0);
            cursors.clear();
            // What a user is told counts those that are gone over again, too.
            let number = pass + disturbed;
            let place = Place::new(number, total);
            for member in members {
                member.deed.pace.way(walk.way);
                *member.deed.tally() = Tally::default();
                member.progress().survey = Survey::default();
            }
            self.go(
                session,
                &walk,
                &|keys| Box::pin(self.work_on(members, &place, keys)),
                &|| Box::pin(self.reached(members, run, &place, &walk)),
            )
            .await?;
            let (mut written, mut contended) = (0, 0);
            for member in members.iter().filter(|member| member.is_going()) {
                let tally = self.end_of_pass(member, number);
                written += tally.written;
                contended += tally.contended;
            }
            self.fail_dependents(members);
            if !members.iter().any(Member::is_going) {
                return Ok(());
            }
            // A copy whose answer was lost is done when it is asked for again, and nobody was given what it made.
            let answered = self.link.unanswered() == unanswered;
            if whole && answered && !walk.is_disturbed() && contended == 0 {
                if written == 0 {
                    return Ok(());
                }
                let after = match before {
                    Some(_) => self.changes(session).await?,
                    None => None,
                };
                if ours::made_all(&[ours, &self.ours], before, after) {
                    return Ok(());
                }
            }
            if walk.is_disturbed() {
                self.fences.forget();
            }
            if walk.is_disturbed() || !answered {
                disturbed += 1;
            } else {
                pass += 1;
            }
            if disturbed > DISTURBED_PASSES {
                self.exhaust(members, disturbed, ALWAYS_DISTURBED, |_| true);
                return Ok(());
            }
            if pass > PASSES {
                self.exhaust(members, PASSES, STILL_WRITTEN, |last| {
                    last.written + last.contended > 0
                });
                return Ok(());
            }
        }
    }

    /// A page of keys, given to one step after the other.
    async fn work_on(
        &self,
        members: &[Member<'_>],
        place: &Place,
        mut keys: Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        place.examined(keys.len());
        let mut known: Option<BTreeSet<Vec<u8>>> = None;
        let mut bundle = Bundle::default();
        for (index, member) in members.iter().enumerate() {
            if !member.is_going() {
                continue;
            }
            let sorted = {
                let mut progress = member.progress();
                progress.done.examined += u64::try_from(keys.len()).unwrap_or_default();
                self.sort(
                    member.deed.session,
                    member.declaration,
                    &keys,
                    &mut progress.survey,
                )?
            };
            let mut made = Vec::new();
            for items in sorted.into_values() {
                let Some(op) = items.first().map(|item| &item.step.op) else {
                    continue;
                };
                let direct = member.deed.is_direct(op);
                if !bundle.is_empty() && (!direct || bundle.collides(index, op)) {
                    direct::carry_out(members, std::mem::take(&mut bundle)).await?;
                }
                if direct {
                    bundle.add(index, op, items);
                } else {
                    made.extend(
                        member
                            .own(member.deed.keys(&items).await)?
                            .unwrap_or_default(),
                    );
                }
            }
            if made.is_empty() || index + 1 == members.len() {
                continue;
            }
            // What was just made is old to the steps that follow, and need not wait for the next pass.
            let known = known.get_or_insert_with(|| keys.iter().cloned().collect());
            for key in made {
                if known.insert(key.clone()) {
                    keys.push(key);
                }
            }
        }
        direct::carry_out(members, bundle).await
    }

    /// Counts what a pass came to, and gives that.
    fn end_of_pass(&self, member: &Member<'_>, pass: u32) -> Tally {
        let tally = std::mem::take(&mut *member.deed.tally());
        let session = member.deed.session;
        let mut progress = member.progress();
        progress.done.passes = pass;
        progress.done.changed += tally.written;
        let found = if !tally.findings.is_empty() {
            tally.findings.sentences()
        } else if member.deed.direction == Direction::Forward {
            progress.survey.findings.sentences()
        } else {
            Vec::new()
        };
        if !found.is_empty() {
            progress.failed = Some(keys_error(session, &member.step.id, found));
        }
        progress.last = tally.clone();
        tally
    }

    /// A step whose requirement failed cannot be called applied.
    pub(super) fn fail_dependents(&self, members: &[Member<'_>]) {
        for member in members.iter().filter(|member| member.is_going()) {
            let failed = member
                .requires
                .iter()
                .filter_map(|index| members.get(*index))
                .find(|required| !required.is_going());
            if let Some(required) = failed {
                let kind = StoreErrorKind::RequirementFailed {
                    id: member.step.id.clone(),
                    required: required.step.id.clone(),
                };
                member.fail(member.deed.session.error(kind));
            }
        }
    }

    /// Gives up on the steps of which nobody can say that no key is left.
    fn exhaust(
        &self,
        members: &[Member<'_>],
        passes: u32,
        reason: &str,
        may_be_left: impl Fn(&Tally) -> bool,
    ) {
        for member in members.iter().filter(|member| member.is_going()) {
            let left = may_be_left(&member.progress().last);
            if left {
                member.fail(member.deed.session.error(StoreErrorKind::Exhausted {
                    id: member.step.id.clone(),
                    attempts: passes,
                    reason: reason.to_owned(),
                }));
            }
        }
        self.fail_dependents(members);
    }
}
