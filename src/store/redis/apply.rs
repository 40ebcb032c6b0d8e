//! Steps over keys: passes until one finds nothing to do, each interrupted and resumed at will.
//!
//! Several steps may share their passes. Each page of keys is given to one after the other, in the plan's
//! order, and a key that one of them makes goes to the next at once; record and failure stay each one's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use redis::Value;

use super::RedisStore;
use super::deed::{Deed, Direction, Tally};
use super::direct::{self, Bundle};
use super::link::Session;
use super::pace::Pace;
use super::place::Place;
use super::survey::{Survey, keys_error};
use crate::model::event::{Event, NoEvents};
use crate::model::plan::{Action, Plan, Step};
use crate::model::redis::declaration::{self, Declaration};
use crate::model::redis::op::Op;
use crate::model::redis::printable::printable;
use crate::model::report::Done;
use crate::model::state::Checkpoint;
use crate::store::{Run, StoreError, StoreErrorKind};

/// Passes until one finds nothing to do; an application that writes the old form on and on never lets that
/// happen.
const PASSES: u32 = 10;
/// Passes besides those, in which masters came or went.
const DISTURBED_PASSES: u32 = 20;

/// One step in a pass.
pub(super) struct Member<'a> {
    pub(super) step: &'a Step,
    pub(super) deed: Deed<'a>,
    declaration: &'a Declaration,
    /// Steps of the same group that it requires.
    requires: BTreeSet<usize>,
    started_at: String,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    done: Done,
    survey: Survey,
    /// What the last pass came to.
    last: Tally,
    failed: Option<StoreError>,
}

impl Member<'_> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: StoreError) {
        self.progress().failed.get_or_insert(error);
    }

    /// What came of its work. An error that is its own fails it alone; one of the servers is passed on.
    pub(super) fn own<T>(&self, outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(error) if is_own(&error.kind) => {
                self.fail(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it has not failed.
    pub(super) fn is_going(&self) -> bool {
        self.progress().failed.is_none()
    }

    /// Whether all keys of this pass so far were as declared.
    pub(super) fn is_sound(&self) -> bool {
        self.deed.tally().findings.is_empty() && self.progress().survey.findings.is_empty()
    }

    /// Keys changed so far.
    pub(super) fn changed(&self) -> u64 {
        self.progress().done.changed + self.deed.tally().written
    }
}

/// Whether an error is about what a step does, and not about the servers or the run.
fn is_own(kind: &StoreErrorKind) -> bool {
    matches!(
        kind,
        StoreErrorKind::Permission { .. }
            | StoreErrorKind::Server { .. }
            | StoreErrorKind::Keys { .. }
            | StoreErrorKind::Script { .. }
    )
}

/// Which way a step over keys runs; `None` for one that only writes the ledger.
fn direction(action: &Action) -> Option<Direction> {
    match action {
        Action::Apply => Some(Direction::Forward),
        Action::Revert { .. } => Some(Direction::Back),
        Action::Cleanup => Some(Direction::Clean),
        _ => None,
    }
}

impl RedisStore {
    pub(super) async fn run_step(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        let mut outcomes = self.run_steps(&[step], run).await;
        match outcomes.pop() {
            Some(outcome) => outcome,
            None => Ok(Done::default()),
        }
    }

    /// Whether a step may share its passes. What it does must be possible to undo: should an earlier step of
    /// the group fail, this one has been at work already on keys that its requirement never finished.
    pub(super) fn can_share(&self, step: &Step, plan: &Plan) -> bool {
        let declaration = match (&step.action, self.declaration(step, &plan.decision.config)) {
            (Action::Apply, Ok(Some(declaration))) => declaration,
            _ => return false,
        };
        let simple = |op: &Op| {
            matches!(
                op,
                Op::Copy(_) | Op::Convert(_) | Op::Set(_) | Op::RenameField(_)
            )
        };
        declaration.irreversible().is_none()
            && declaration.steps.iter().all(|step| simple(&step.op))
    }

    /// Runs steps that share their passes, in the plan's order. Gives what came of each.
    pub(super) async fn run_steps(
        &self,
        steps: &[&Step],
        run: &Run<'_>,
    ) -> Vec<Result<Done, StoreError>> {
        let started = Instant::now();
        let outcomes = self.run_all(steps, run).await;
        let mut outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            // What befalls the servers befalls every step.
            Err(error) => steps.iter().map(|_| Err(error.clone())).collect(),
        };
        for done in outcomes.iter_mut().flatten() {
            done.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        outcomes
    }

    async fn run_all(
        &self,
        steps: &[&Step],
        run: &Run<'_>,
    ) -> Result<Vec<Result<Done, StoreError>>, StoreError> {
        let config = &run.plan.decision.config;
        let mut declarations = Vec::with_capacity(steps.len());
        for step in steps {
            let declaration = self.declaration(step, config)?;
            declarations.push(match (direction(&step.action), declaration) {
                (Some(Direction::Back), Some(declaration)) => Some(declaration.reversed()),
                (Some(_), declaration) => declaration,
                (None, _) => None,
            });
        }
        let pace = Pace::new(self.limits);
        let mut members: Vec<Member<'_>> = Vec::new();
        for (step, declaration) in steps.iter().copied().zip(&declarations) {
            let session = self.link.session_of(run.events, &step.id);
            let started_at = self.now(session).await?;
            let Some((direction, declaration)) = direction(&step.action).zip(declaration.as_ref())
            else {
                self.record(session, step, run, &started_at).await?;
                continue;
            };
            let requires = members
                .iter()
                .enumerate()
                .filter(|(_, earlier)| step.after.contains(&earlier.step.id))
                .map(|(index, _)| index)
                .collect();
            members.push(Member {
                step,
                declaration,
                requires,
                started_at,
                progress: Mutex::default(),
                deed: Deed {
                    store: self,
                    session,
                    run,
                    id: &step.id,
                    direction,
                    allow_lossy: step.may_lose(),
                    later: self.later(step, config)?,
                    buckets: None,
                    field_ttls: false,
                    pace: &pace,
                    tally: Mutex::default(),
                },
            });
        }
        if members.is_empty() {
            return Ok(steps.iter().map(|_| Ok(Done::default())).collect());
        }
        let cursors = self.prepare(&mut members, run).await?;
        if members.iter().any(|m| !m.declaration.scope.is_empty()) {
            self.passes(&members, run, cursors).await?;
        }
        let mut outcomes: Vec<Result<Done, StoreError>> = Vec::with_capacity(members.len());
        for member in &members {
            let outcome = self.finish(member, &members, run).await;
            if let Err(error) = &outcome {
                member.fail(error.clone());
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// All that comes before the first key is written. Gives the cursors to go on from.
    async fn prepare(
        &self,
        members: &mut [Member<'_>],
        run: &Run<'_>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let Some(first) = members.first() else {
            return Ok(BTreeMap::new());
        };
        let session = first.deed.session;
        let declarations: Vec<&Declaration> = members.iter().map(|m| m.declaration).collect();
        let surveys = run
            .cancel
            .run_until_cancelled(self.survey(session, &declarations))
            .await
            .ok_or_else(|| session.error(StoreErrorKind::Cancelled))??;
        let field_ttls = self.knows_field_ttls(session).await?;
        let mut resumed = Vec::new();
        for (member, survey) in members.iter_mut().zip(surveys) {
            member.deed.field_ttls = field_ttls;
            match self.begin(member, run, &survey).await {
                Ok(cursors) => resumed.push(cursors),
                Err(error) => member.fail(error),
            }
            member.progress().survey = survey;
        }
        if run.cancel.is_cancelled() {
            return Err(session.error(StoreErrorKind::Cancelled));
        }
        // A cursor is good for all only where all were there.
        let shared = resumed.first().cloned().unwrap_or_default();
        Ok(if resumed.iter().all(|cursors| *cursors == shared) {
            shared
        } else {
            BTreeMap::new()
        })
    }

    async fn begin(
        &self,
        member: &mut Member<'_>,
        run: &Run<'_>,
        survey: &Survey,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let (step, declaration, session) = (member.step, member.declaration, member.deed.session);
        let direction = member.deed.direction;
        match direction {
            // Before the first write: nothing is half done for keys that could have been known.
            Direction::Forward if !survey.findings.is_empty() => {
                return Err(keys_error(session, &step.id, survey.findings.sentences()));
            }
            Direction::Forward => {
                self.refuse_without_room(session, declaration, survey)
                    .await?
            }
            Direction::Clean => self.refuse_unverified(session, step, declaration).await?,
            Direction::Back => {}
        }
        let doing = direction.doing();
        let resumed = self.resume_at(session, step, run, doing).await?;
        if resumed.is_none() {
            self.checkpoint(session, step, run, doing, Checkpoint::default())
                .await?;
        }
        member.deed.buckets = self
            .prepare_buckets(session, step, run, declaration, direction, survey)
            .await?;
        if self.link.is_cluster() {
            member.deed.settle_moves().await?;
        }
        let ran = match direction {
            Direction::Forward => {
                self.commands(session, &step.id, declaration, run, true)
                    .await?
            }
            Direction::Back => self.undo_commands(session, declaration, run, false).await?,
            Direction::Clean => 0,
        };
        member.progress().done.changed += ran;
        Ok(resumed.unwrap_or_default())
    }

    /// A cleanup removes only what verification has proven.
    async fn refuse_unverified(
        &self,
        session: Session<'_>,
        step: &Step,
        declaration: &Declaration,
    ) -> Result<(), StoreError> {
        let verification = self
            .verify_declaration(&step.id, declaration, &[], &NoEvents)
            .await?;
        if !verification.failed() {
            return Ok(());
        }
        let findings = verification
            .checks
            .iter()
            .filter(|check| check.failed())
            .flat_map(|check| &check.findings);
        Err(session.error(StoreErrorKind::Unverified {
            id: step.id.clone(),
            findings: findings.cloned().collect(),
        }))
    }

    /// Passes over all keys until one finds nothing to do.
    async fn passes(
        &self,
        members: &[Member<'_>],
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
            .map(|member| member.progress().survey.in_scope)
            .max()
            .unwrap_or_default();
        let (mut pass, mut disturbed) = (1, 0);
        loop {
            if self.link.is_cluster() {
                self.refuse_open_slots(session).await?;
            }
            let walk = self.walk(session, glob.clone(), &cursors).await?;
            // A pass that began at a checkpoint says nothing of the keys before it.
            let whole = walk.positions().iter().all(|position| position.cursor == 0);
            cursors.clear();
            let place = Place::new(pass, total);
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
            let mut quiet = whole && !walk.is_disturbed();
            for member in members.iter().filter(|member| member.is_going()) {
                quiet &= self.end_of_pass(member, pass);
            }
            self.fail_dependents(members);
            if quiet || !members.iter().any(Member::is_going) {
                return Ok(());
            }
            if walk.is_disturbed() {
                self.fences.forget();
                disturbed += 1;
            } else {
                pass += 1;
            }
            if pass > PASSES || disturbed > DISTURBED_PASSES {
                self.exhaust(members);
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

    /// Counts what a pass came to. Answers whether it found nothing to do.
    fn end_of_pass(&self, member: &Member<'_>, pass: u32) -> bool {
        let tally = std::mem::take(&mut *member.deed.tally());
        let session = member.deed.session;
        let mut progress = member.progress();
        progress.done.passes = pass;
        progress.done.changed += tally.written;
        let quiet = tally.written == 0 && tally.contended == 0;
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
        progress.last = tally;
        quiet
    }

    /// A step whose requirement failed cannot be called applied.
    fn fail_dependents(&self, members: &[Member<'_>]) {
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

    fn exhaust(&self, members: &[Member<'_>]) {
        for member in members.iter().filter(|member| member.is_going()) {
            let (written, contended) = {
                let progress = member.progress();
                (progress.last.written, progress.last.contended)
            };
            if written + contended > 0 {
                member.fail(member.deed.session.error(StoreErrorKind::Exhausted {
                    id: member.step.id.clone(),
                    attempts: PASSES,
                    reason: "every pass over the keys found something to do: the application still writes the old form".to_owned(),
                }));
            }
        }
        self.fail_dependents(members);
    }

    /// All that comes after the last key, and the record.
    async fn finish(
        &self,
        member: &Member<'_>,
        members: &[Member<'_>],
        run: &Run<'_>,
    ) -> Result<Done, StoreError> {
        self.fail_dependents(members);
        if let Some(error) = member.progress().failed.clone() {
            return Err(error);
        }
        let (step, declaration, session) = (member.step, member.declaration, member.deed.session);
        let direction = member.deed.direction;
        let last = member.progress().last.clone();
        self.tell(step, run, direction, &last);
        let ran = match direction {
            Direction::Forward => {
                self.commands(session, &step.id, declaration, run, false)
                    .await?
            }
            Direction::Back => self.undo_commands(session, declaration, run, true).await?,
            Direction::Clean => 0,
        };
        if direction != Direction::Forward {
            self.forget(session, step, run, direction).await?;
        }
        self.record(session, step, run, &member.started_at).await?;
        let mut done = member.progress().done;
        done.changed += ran;
        Ok(done)
    }

    async fn refuse_without_room(
        &self,
        session: Session<'_>,
        declaration: &Declaration,
        survey: &Survey,
    ) -> Result<(), StoreError> {
        if !declaration.has_cleanup() {
            return Ok(());
        }
        let Some(room) = self.room(session).await? else {
            return Ok(());
        };
        let extra = self
            .extra_bytes(session, declaration, survey)
            .await?
            .unwrap_or_default();
        match room.refuses(extra) {
            Some(_) if self.limits.ignore_memory && !room.evicts() => Ok(()),
            Some(reason) => Err(session.error(StoreErrorKind::NoRoom {
                reason,
                evicts: room.evicts(),
            })),
            None => Ok(()),
        }
    }

    /// Whether hash fields can have times to live of their own on this server.
    async fn knows_field_ttls(&self, session: Session<'_>) -> Result<bool, StoreError> {
        let doing = "asking for the server's commands";
        let answer: Vec<Value> = session
            .query(doing, redis::cmd("COMMAND").arg("INFO").arg("HPEXPIRETIME"))
            .await?;
        Ok(!matches!(answer.as_slice(), [] | [Value::Nil]))
    }

    /// Tells what was left as it is.
    fn tell(&self, step: &Step, run: &Run<'_>, direction: Direction, tally: &Tally) {
        let note = |message: String| {
            run.events.emit(Event::Note {
                id: step.id.clone(),
                message,
            })
        };
        if tally.excepted > 0 {
            note(format!(
                "{} values fit neither form, and were recorded as exceptions",
                tally.excepted
            ));
        }
        if tally.kept > 0 {
            let samples: Vec<String> = tally
                .kept_samples
                .iter()
                .map(|key| printable(key))
                .collect();
            let why = match direction {
                Direction::Clean => {
                    "were kept: they were not copied by this migration, and their targets differ"
                }
                _ => "were kept as they are: what they were turned into has changed since",
            };
            note(format!(
                "{} keys {why}, such as {}",
                tally.kept,
                samples.join(", ")
            ));
        }
    }
}
