//! Steps over keys: passes until one finds nothing to do, each interrupted and resumed at will.

use std::time::{Duration, Instant};

use redis::Value;

use super::RedisStore;
use super::deed::{Deed, Direction, Tally};
use super::link::Session;
use super::pace::Pace;
use super::place::Place;
use super::survey::{Survey, keys_error};
use crate::model::event::{Event, NoEvents};
use crate::model::plan::{Action, Step};
use crate::model::redis::declaration::Declaration;
use crate::model::redis::printable::printable;
use crate::model::report::Done;
use crate::model::state::Checkpoint;
use crate::store::{Run, StoreError, StoreErrorKind};

/// Passes until one finds nothing to do; an application that writes the old form on and on never lets that
/// happen.
const PASSES: u32 = 10;
/// Time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

impl RedisStore {
    pub(super) async fn run_step(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        let session = self.link.session_of(run.events, &step.id);
        let started = Instant::now();
        let started_at = self.now(session).await?;
        let declaration = self.declaration(step, &run.plan.decision.config)?;
        let mut done = match (&step.action, declaration) {
            (Action::Apply, Some(declaration)) => {
                self.carry_out(session, step, run, &declaration, Direction::Forward)
                    .await?
            }
            (Action::Revert { .. }, Some(declaration)) => {
                self.carry_out(session, step, run, &declaration.reversed(), Direction::Back)
                    .await?
            }
            (Action::Cleanup, Some(declaration)) => {
                self.refuse_unverified(session, step, &declaration).await?;
                self.carry_out(session, step, run, &declaration, Direction::Clean)
                    .await?
            }
            _ => Done::default(),
        };
        self.record(session, step, run, &started_at).await?;
        done.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(done)
    }

    /// A cleanup removes only what verification has proven.
    async fn refuse_unverified(
        &self,
        session: Session<'_>,
        step: &Step,
        declaration: &Declaration,
    ) -> Result<(), StoreError> {
        let verification = self
            .verify_declaration(&step.id, declaration, &NoEvents)
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

    async fn carry_out(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        declaration: &Declaration,
        direction: Direction,
    ) -> Result<Done, StoreError> {
        let doing = direction.doing();
        let survey = run
            .cancel
            .run_until_cancelled(self.survey(session, declaration))
            .await
            .ok_or_else(|| session.error(StoreErrorKind::Cancelled))??;
        if direction == Direction::Forward {
            // Before the first write: nothing is half done for keys that could have been known.
            if !survey.findings.is_empty() {
                return Err(keys_error(session, &step.id, survey.findings.sentences()));
            }
            self.refuse_without_room(session, declaration, &survey)
                .await?;
        }
        let resumed = self.resume_at(session, step, run, doing).await?;
        if resumed.is_none() {
            self.checkpoint(session, step, run, doing, Checkpoint::default())
                .await?;
        }
        let deed = Deed {
            store: self,
            session,
            run,
            id: &step.id,
            direction,
            allow_lossy: step.may_lose(),
            buckets: self
                .buckets(session, step, run, declaration, direction, &survey)
                .await?,
            field_ttls: self.knows_field_ttls(session).await?,
        };
        let mut done = Done::default();
        match direction {
            Direction::Forward => {
                done.changed += self
                    .commands(session, &step.id, declaration, run, true)
                    .await?
            }
            Direction::Back => {
                done.changed += self.undo_commands(session, declaration, run, false).await?
            }
            Direction::Clean => {}
        }
        if !declaration.scope.is_empty() {
            let tally = self
                .passes(
                    deed,
                    step,
                    declaration,
                    survey.in_scope,
                    resumed.unwrap_or_default(),
                    &mut done,
                )
                .await?;
            self.tell(step, run, direction, &tally);
        }
        match direction {
            Direction::Forward => {
                done.changed += self
                    .commands(session, &step.id, declaration, run, false)
                    .await?
            }
            Direction::Back => {
                done.changed += self.undo_commands(session, declaration, run, true).await?
            }
            Direction::Clean => {}
        }
        if direction != Direction::Forward {
            self.forget(session, step, run, direction).await?;
        }
        Ok(done)
    }

    /// Passes over all keys until one finds nothing to do.
    async fn passes(
        &self,
        deed: Deed<'_>,
        step: &Step,
        declaration: &Declaration,
        total: u64,
        mut cursor: u64,
        done: &mut Done,
    ) -> Result<Tally, StoreError> {
        let session = deed.session;
        let mut pace = Pace::default();
        for _ in 0..3 {
            let sent = Instant::now();
            session
                .query::<Value>("asking for an answer", &redis::cmd("PING"))
                .await?;
            pace.way(sent.elapsed());
        }
        for pass in 1..=PASSES {
            // A pass that began at a checkpoint says nothing of the keys before it.
            let whole = cursor == 0;
            let mut place = Place {
                pass,
                total,
                examined: 0,
                saved: 0,
                told: Instant::now(),
                generation: self.link.generation(),
                run_id: self.run_id(session).await?,
            };
            let tally = self
                .pass(deed, step, declaration, cursor, &mut place, &mut pace, done)
                .await?;
            cursor = 0;
            done.passes = pass;
            if !tally.findings.is_empty() {
                return Err(keys_error(session, &step.id, tally.findings.sentences()));
            }
            if whole && tally.written == 0 && tally.contended == 0 {
                return Ok(tally);
            }
        }
        Err(session.error(StoreErrorKind::Exhausted {
            id: step.id.clone(),
            attempts: PASSES,
            reason: "every pass over the keys found something to do: the application still writes the old form".to_owned(),
        }))
    }

    #[allow(clippy::too_many_arguments)]
    async fn pass(
        &self,
        deed: Deed<'_>,
        step: &Step,
        declaration: &Declaration,
        cursor: u64,
        place: &mut Place,
        pace: &mut Pace,
        done: &mut Done,
    ) -> Result<Tally, StoreError> {
        let session = deed.session;
        let glob = declaration.scan_glob();
        let mut tally = Tally::default();
        let mut survey = Survey::default();
        let mut page = self.page(session, cursor, &glob).await?;
        loop {
            let examined = u64::try_from(page.keys.len()).unwrap_or(u64::MAX);
            let before = tally.written;
            let work = async {
                let sorted = self.sort(session, declaration, &page.keys, &mut survey)?;
                for items in sorted.values() {
                    deed.keys(items, pace, &mut tally).await?;
                }
                Ok(())
            };
            let (next, ()) = self.page_after(session, page.cursor, &glob, work).await?;
            place.examined += examined;
            done.examined += examined;
            done.changed += tally.written - before;
            let sound = tally.findings.is_empty() && survey.findings.is_empty();
            self.save(deed, step, place, page.cursor, sound).await?;
            if place.told.elapsed() >= PROGRESS_EVERY || next.is_none() {
                place.told = Instant::now();
                deed.run.events.emit(Event::Progress {
                    id: step.id.clone(),
                    done: place.examined,
                    total: place.total.max(place.examined),
                    changed: done.changed,
                    pass: place.pass,
                });
            }
            match next {
                Some(next) if self.is_same_server(session, place).await? => page = next,
                // Another run of the server orders its keys otherwise: a cursor of the one before would
                // miss some.
                Some(_) => page = self.page(session, 0, &glob).await?,
                None => break,
            }
        }
        if deed.direction == Direction::Forward && !survey.findings.is_empty() {
            return Err(keys_error(session, &step.id, survey.findings.sentences()));
        }
        Ok(tally)
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
            Some(reason) => Err(session.error(StoreErrorKind::NotReady { reason })),
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
