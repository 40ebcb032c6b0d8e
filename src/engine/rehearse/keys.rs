//! Runs the Redis steps of a plan in a throwaway server, over a sample of the target's keys.

use tokio_util::sync::CancellationToken;

use super::seen::{Seen, not_run};
use super::{RehearsalError, differing};
use crate::model::event::NoEvents;
use crate::model::id::StoreKind;
use crate::model::lease::Holder;
use crate::model::plan::{
    Action, Decision, Evidence, Origin, Outcome, Plan, Rehearsal, RehearsalServer, Step,
    StepContent, StepRehearsal, WayBack,
};
use crate::model::redis::declaration::Declaration;
use crate::model::report::Done;
use crate::store::redis::{KeySnapshot, RedisStore};
use crate::store::{Run, Store as _, StoreError};

/// Why steps that revert or clean up are not tried: a sample lacks the records that they go by.
const FORWARD_ONLY: &str = "over keys, only what is applied is rehearsed";

/// What Redis steps are rehearsed with.
pub struct KeyStage<'a> {
    /// The target, which is only read.
    pub target: &'a RedisStore,
    /// The throwaway server.
    pub server: &'a RedisStore,
    /// Another logical database of it, in which the way back is tried.
    pub aside: &'a RedisStore,
    /// Who rehearses.
    pub holder: Holder,
}

/// Whether a decision runs any Redis step.
pub fn has_keys(decision: &Decision) -> bool {
    decision.steps.iter().any(runs_redis)
}

fn runs_redis(step: &Step) -> bool {
    matches!(step.content, StepContent::Redis(_)) && !step.action.is_record_only()
}

/// Says in the evidence why the Redis steps of a plan were not rehearsed.
pub fn no_keys(decision: &Decision, evidence: &mut Evidence, reason: &str) {
    let mut seen = Seen::new(evidence);
    for step in decision.steps.iter().filter(|step| runs_redis(step)) {
        seen.enter(step, not_run(reason));
    }
}

/// Rehearses the Redis steps of a decision over some of the target's keys, and adds what was seen to its evidence.
/// Does nothing for a plan without any.
///
/// # Errors
/// [`RehearsalError`] where the target or the throwaway server fails, or the user interrupts.
pub async fn rehearse_keys(
    stage: &KeyStage<'_>,
    decision: &Decision,
    evidence: &mut Evidence,
    cancel: &CancellationToken,
) -> Result<(), RehearsalError> {
    if !has_keys(decision) {
        return Ok(());
    }
    tokio::select! {
        outcome = stage.hold(decision, evidence) => outcome,
        () = cancel.cancelled() => Err(RehearsalError::Interrupted),
    }
}

impl KeyStage<'_> {
    async fn hold(
        &self,
        decision: &Decision,
        evidence: &mut Evidence,
    ) -> Result<(), RehearsalError> {
        let steps: Vec<&Step> = decision.steps.iter().filter(|s| runs_redis(s)).collect();
        let applied: Vec<&Step> = steps
            .iter()
            .copied()
            .filter(|step| step.action == Action::Apply)
            .collect();
        if applied.is_empty() {
            no_keys(decision, evidence, FORWARD_ONLY);
            return Ok(());
        }
        let sampled = self.target.sample(&applied, &decision.config).await?;
        let keys = sampled.len() as u64;
        let mut rehearsal = Rehearsal {
            server: RehearsalServer::Throwaway,
            version: self.server.server_version().await?.unwrap_or_default(),
            target_version: self.target.server_version().await?,
            origin: match keys {
                0 => Origin::Empty,
                keys => Origin::Sampled { keys },
            },
            differences: match sampled.large {
                0 => Vec::new(),
                1 => vec!["1 large key was left out of the sample".to_owned()],
                large => vec![format!("{large} large keys were left out of the sample")],
            },
            failed: None,
        };
        match self.server.fill(&sampled).await {
            Ok(()) => self.run(&steps, decision, evidence).await?,
            // Values of a newer server than this machine has.
            Err(error) => rehearsal.failed = Some(error.kind.to_string()),
        }
        evidence.rehearsal.insert(StoreKind::Redis, rehearsal);
        Ok(())
    }

    async fn run(
        &self,
        steps: &[&Step],
        decision: &Decision,
        evidence: &mut Evidence,
    ) -> Result<(), RehearsalError> {
        // What runs alone is the decision as it is; its evidence would tell how many keys there are elsewhere.
        let plan = Plan::new(decision.clone(), Evidence::default())
            .map_err(|error| RehearsalError::Plan(error.to_string()))?;
        let mut seen = Seen::new(evidence);
        let mut before = self.server.snapshot().await?;
        for step in steps {
            let tried = match (seen.obstacle(step), &step.action) {
                (Some(reason), _) => not_run(reason),
                (None, Action::Apply) => self.try_step(step, &plan, &mut before).await?,
                (None, _) => not_run(FORWARD_ONLY),
            };
            seen.enter(step, tried);
        }
        Ok(())
    }

    async fn try_step(
        &self,
        step: &Step,
        plan: &Plan,
        before: &mut KeySnapshot,
    ) -> Result<StepRehearsal, RehearsalError> {
        let done = self.run_alone(self.server, step, plan).await?;
        let after = self.server.snapshot().await?;
        let earlier = std::mem::replace(before, after);
        Ok(match done {
            Ok(done) => StepRehearsal {
                outcome: Outcome::Done,
                ms: done.ms,
                statements: Vec::new(),
                keys: Some(done.changed),
                way_back: Some(self.way_back(step, plan, &earlier).await?),
            },
            Err(error) => StepRehearsal {
                outcome: Outcome::Failed {
                    reason: error.kind.to_string(),
                },
                ms: 0,
                statements: Vec::new(),
                keys: Some(0),
                way_back: None,
            },
        })
    }

    /// Runs a step under a lease of its own. What the step does wrong is the inner error.
    async fn run_alone(
        &self,
        store: &RedisStore,
        step: &Step,
        plan: &Plan,
    ) -> Result<Result<Done, StoreError>, StoreError> {
        let id = uuid::Uuid::new_v4().to_string();
        let lease = store.acquire(&id, &self.holder).await?;
        let run = Run {
            lease: &lease,
            plan,
            events: &NoEvents,
            cancel: &CancellationToken::new(),
        };
        let done = store.run(step, &run).await;
        store.release(&lease).await?;
        Ok(done)
    }

    /// Undoes a step in a copy of the keys, and compares with what was there before it.
    async fn way_back(
        &self,
        step: &Step,
        plan: &Plan,
        before: &KeySnapshot,
    ) -> Result<WayBack, RehearsalError> {
        let irreversible = self
            .server
            .declaration(step, &plan.decision.config)?
            .as_ref()
            .and_then(Declaration::irreversible);
        if let Some(reason) = irreversible {
            return Ok(WayBack::Absent { reason });
        }
        let revert = Step {
            action: Action::Revert { data_loss: None },
            resumes: false,
            ..step.clone()
        };
        self.server.copy_into(self.aside).await?;
        Ok(match self.run_alone(self.aside, &revert, plan).await? {
            Err(error) => WayBack::Failed {
                reason: error.kind.to_string(),
            },
            Ok(_) => differing(before.differences(&self.aside.snapshot().await?)),
        })
    }
}
