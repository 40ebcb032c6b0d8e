//! What comes before the first key of a step is written: looking at the keys, refusing what could not end well, and
//! finding where an earlier run stopped.

use std::collections::BTreeMap;

use redis::Value;

use super::RedisStore;
use super::deed::Direction;
use super::link::Session;
use super::member::Member;
use super::survey::{Survey, keys_error};
use crate::model::event::NoEvents;
use crate::model::plan::Step;
use crate::model::redis::declaration::Declaration;
use crate::model::state::Checkpoint;
use crate::store::{Run, StoreError, StoreErrorKind};

impl RedisStore {
    /// All that comes before the first key is written. Gives the cursors to go on from.
    pub(super) async fn prepare(
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
}
