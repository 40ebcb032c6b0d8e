//! Steps over keys: what comes before the first key is written, the passes, and what comes after the last.
//!
//! Several steps may share their passes; record and failure stay each one's own.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::RedisStore;
use super::deed::{Deed, Direction, Tally};
use super::member::Member;
use super::ours::Ours;
use super::pace::Pace;
use crate::model::event::Event;
use crate::model::plan::{Action, Plan, Resolution, Step};
use crate::model::redis::op::Op;
use crate::model::redis::printable::printable;
use crate::model::report::Done;
use crate::model::units::counted;
use crate::store::{Run, StoreError};

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
                if step.action == Action::Resolve(Resolution::RolledBack) {
                    // What was copied once is not copied again, and the next apply is to begin anew.
                    self.forget(session, step, run, Direction::Back).await?;
                }
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
                "recorded {} in neither form as exceptions",
                counted(tally.excepted, "value")
            ));
        }
        if tally.kept > 0 {
            let samples: Vec<String> = tally
                .kept_samples
                .iter()
                .map(|key| printable(key))
                .collect();
            let why = match direction {
                Direction::Clean => "not copied by this migration, whose targets differ",
                _ => "whose new form has changed since",
            };
            note(format!(
                "kept {} {why}, such as {}",
                counted(tally.kept, "key"),
                samples.join(", ")
            ));
        }
    }
}
