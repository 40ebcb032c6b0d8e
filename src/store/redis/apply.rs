//! Steps over keys: what comes before the first key is written, the passes, and what comes after the last.
//!
//! Several steps may share their passes; record and failure stay each one's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use redis::Value;

use super::RedisStore;
use super::deed::{Deed, Direction, Tally};
use super::link::Session;
use super::ours::Ours;
use super::pace::Pace;
use super::survey::{Survey, keys_error};
use crate::model::event::{Event, NoEvents};
use crate::model::plan::{Action, Plan, Step};
use crate::model::redis::declaration::Declaration;
use crate::model::redis::op::Op;
use crate::model::redis::printable::printable;
use crate::model::report::Done;
use crate::model::state::Checkpoint;
use crate::store::{Run, StoreError, StoreErrorKind};

/// One step in a pass.
pub(super) struct Member<'a> {
    pub(super) step: &'a Step,
    pub(super) deed: Deed<'a>,
    pub(super) declaration: &'a Declaration,
    /// Steps of the same group that it requires.
    pub(super) requires: BTreeSet<usize>,
    /// About how many keys it goes over.
    pub(super) expected: u64,
    started_at: String,
    progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) done: Done,
    pub(super) survey: Survey,
    /// What the last pass came to.
    pub(super) last: Tally,
    pub(super) failed: Option<StoreError>,
}

impl Member<'_> {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fail(&self, error: StoreError) {
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
        let ours: Arc<Ours> = Arc::default();
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
                expected: 0,
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
                    ours: Arc::clone(&ours),
                    tally: Mutex::default(),
                },
            });
        }
        if members.is_empty() {
            return Ok(steps.iter().map(|_| Ok(Done::default())).collect());
        }
        let cursors = self.prepare(&mut members, run).await?;
        if members.iter().any(|m| !m.declaration.scope.is_empty()) {
            self.passes(&members, &ours, run, cursors).await?;
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
        let surveys = match self.must_survey(session, members).await? {
            true => {
                let declarations: Vec<&Declaration> =
                    members.iter().map(|m| m.declaration).collect();
                let surveys = run
                    .cancel
                    .run_until_cancelled(self.survey(session, &declarations))
                    .await
                    .ok_or_else(|| session.error(StoreErrorKind::Cancelled))??;
                surveys.into_iter().map(Some).collect()
            }
            false => vec![None; members.len()],
        };
        let field_ttls = self.knows_field_ttls(session).await?;
        let mut resumed = Vec::new();
        for (member, survey) in members.iter_mut().zip(surveys) {
            member.deed.field_ttls = field_ttls;
            member.expected = match &survey {
                Some(survey) => survey.in_scope,
                None => self.expected(session, member.step, run).await?,
            };
            match self.begin(member, run, survey.as_ref()).await {
                Ok(cursors) => resumed.push(cursors),
                Err(error) => member.fail(error),
            }
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

    /// Whether all keys have to be looked at before the first one is written: where a key that turns up
    /// undeclared would come too late, because what was done to others cannot be undone, and where copies
    /// must fit below a limit of memory. Elsewhere each key is looked at when its turn comes.
    async fn must_survey(
        &self,
        session: Session<'_>,
        members: &[Member<'_>],
    ) -> Result<bool, StoreError> {
        let forward = || {
            let forward = members
                .iter()
                .filter(|member| member.deed.direction == Direction::Forward);
            forward.map(|member| member.declaration)
        };
        if forward().any(|declaration| declaration.irreversible().is_some()) {
            return Ok(true);
        }
        Ok(forward().any(Declaration::has_cleanup) && self.room(session).await?.is_some())
    }

    /// About how many keys a step goes over: as many as the plan found, or as there are.
    async fn expected(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
    ) -> Result<u64, StoreError> {
        let evidence = run.plan.evidence.steps.get(&step.id);
        match evidence.and_then(|evidence| evidence.keys.as_ref()) {
            Some(keys) => Ok(keys.in_scope),
            None => self.key_count(session).await,
        }
    }

    async fn begin(
        &self,
        member: &mut Member<'_>,
        run: &Run<'_>,
        survey: Option<&Survey>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let (step, declaration, session) = (member.step, member.declaration, member.deed.session);
        let direction = member.deed.direction;
        match (direction, survey) {
            (Direction::Forward, Some(survey)) if !survey.findings.is_empty() => {
                return Err(keys_error(session, &step.id, survey.findings.sentences()));
            }
            (Direction::Forward, Some(survey)) => {
                self.refuse_without_room(session, declaration, survey)
                    .await?
            }
            (Direction::Clean, _) => self.refuse_unverified(session, step, declaration).await?,
            (Direction::Forward, None) | (Direction::Back, _) => {}
        }
        let doing = direction.doing();
        let resumed = self.resume_at(session, step, run, doing).await?;
        if resumed.is_none() {
            self.checkpoint(session, step, run, doing, Checkpoint::default())
                .await?;
        }
        member.deed.buckets = self.prepare_buckets(member, run).await?;
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
