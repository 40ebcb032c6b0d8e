//! Executes a plan, exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Stores;
use crate::engine::heartbeat::Heartbeat;
use crate::model::event::{Event, Events};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::Holder;
use crate::model::plan::{Difference, Freshness, Plan, Step};
use crate::model::report::{Done, Report, StepOutcome, StepReport};
use crate::model::state::StoreState;
use crate::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};

/// How to apply.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Who applies; the plan's digest is filled in.
    pub holder: Holder,
    /// Id of the lease; new for every run.
    pub lease_id: String,
    /// Steps that may run side by side; at least 1.
    pub parallelism: usize,
    /// How long to wait for somebody else's lease; `None` not to wait.
    pub lock_wait: Option<Duration>,
}

/// What an apply came to.
#[derive(Debug)]
pub enum Applied {
    /// The plan has no steps, and nothing changed since it was made.
    NothingToDo,
    /// The plan was applied before, and nothing came after it.
    Already,
    /// Steps were run; the report says which.
    Ran(Report<StoreError>),
}

/// Why a plan was not begun.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The stores are not where the plan was made from.
    #[error("the plan is stale: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Stale(Vec<Difference>),
    /// A store failed before the first step.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies a plan: takes the leases, compares the stores with the plan, walks the graph, and gives the
/// leases back. A run that finds nothing to do takes no lease.
///
/// Cancelling `cancel` stops running statements, finishes the batch in hand and starts nothing new.
///
/// # Errors
/// Whatever keeps the first step from starting. Once a step was started, its failure is in the report.
pub async fn apply(
    stores: &Stores,
    plan: &Plan,
    options: &ApplyOptions,
    events: &dyn Events,
    cancel: &CancellationToken,
) -> Result<Applied, ApplyError> {
    match compare_without_leases(stores, plan).await? {
        Freshness::Stale(differences) => return Err(ApplyError::Stale(differences)),
        Freshness::Spent => return Ok(Applied::Already),
        _ if plan.decision.is_empty() => return Ok(Applied::NothingToDo),
        Freshness::Fresh | Freshness::Resumed(_) => {}
    }
    let run_cancel = cancel.child_token();
    let mut heartbeat = Heartbeat::new(&run_cancel);
    let outcome =
        match take_leases(stores, plan, options, events, &run_cancel, &mut heartbeat).await {
            Ok(()) => run(stores, plan, options, events, &run_cancel, &heartbeat).await,
            Err(error) => Err(heartbeat.reason(error).into()),
        };
    heartbeat.finish().await;
    outcome
}

/// With the leases held: compares once more, since somebody may have applied meanwhile, and walks.
async fn run(
    stores: &Stores,
    plan: &Plan,
    options: &ApplyOptions,
    events: &dyn Events,
    cancel: &CancellationToken,
    heartbeat: &Heartbeat,
) -> Result<Applied, ApplyError> {
    let already_done = match compare(stores, plan).await? {
        Freshness::Stale(differences) => {
            // One store may have been read before another run took over, and one after it.
            heartbeat.still_held().await?;
            return Err(ApplyError::Stale(differences));
        }
        Freshness::Spent => return Ok(Applied::Already),
        Freshness::Fresh => BTreeSet::new(),
        Freshness::Resumed(done) => done,
    };
    events.emit(Event::RunStarted {
        plan: plan.digest.hex(),
        steps: plan.decision.steps.len(),
        already_done: already_done.len(),
    });
    let report = Walk {
        stores,
        plan,
        events,
        cancel,
        heartbeat,
    }
    .run(already_done, options.parallelism.max(1))
    .await;
    events.emit(Event::RunFinished {
        done: report.done(),
        failed: report.failed(),
        not_started: report.not_started(),
    });
    Ok(Applied::Ran(report))
}

/// How often stores that do not hold still are compared before the leases are taken.
const LOOKS: u32 = 3;

/// Compares while another run may write. One store is read before the other, so a step of that run can be
/// seen without the step before it: a difference counts only if it is still the same when all is read again.
/// Where there is always another one, or the schema is locked, somebody is at work, and the comparison under the
/// leases decides.
async fn compare_without_leases(stores: &Stores, plan: &Plan) -> Result<Freshness, StoreError> {
    let look = async || match compare(stores, plan).await {
        Err(error) if matches!(error.kind, StoreErrorKind::SchemaLocked { .. }) => {
            Ok(Freshness::Resumed(BTreeSet::new()))
        }
        other => other,
    };
    let mut seen = look().await?;
    for _ in 1..LOOKS {
        if !matches!(seen, Freshness::Stale(_)) {
            return Ok(seen);
        }
        let again = look().await?;
        if again == seen {
            return Ok(again);
        }
        seen = again;
    }
    Ok(match seen {
        Freshness::Stale(_) => Freshness::Resumed(BTreeSet::new()),
        other => other,
    })
}

/// Reads the stores that the plan names and compares them with what it was made from.
async fn compare(stores: &Stores, plan: &Plan) -> Result<Freshness, StoreError> {
    let reads = plan
        .decision
        .recorded
        .iter()
        .filter_map(|(kind, recorded)| {
            let store = stores.get(*kind)?;
            let what = Observe {
                markers: plan.decision.markers.clone(),
                schema: recorded.fingerprint.is_some(),
            };
            Some(async move { Ok::<_, StoreError>((*kind, store.observe(&what).await?)) })
        });
    let states: BTreeMap<StoreKind, StoreState> = try_join_all(reads).await?.into_iter().collect();
    Ok(plan.freshness(&states))
}

/// Takes the lease of every store that the plan writes to, Postgres first, so that two runs never wait
/// for each other crosswise. Each is renewed from the moment it is held: the next one may be long in
/// coming.
async fn take_leases(
    stores: &Stores,
    plan: &Plan,
    options: &ApplyOptions,
    events: &dyn Events,
    cancel: &CancellationToken,
    heartbeat: &mut Heartbeat,
) -> Result<(), StoreError> {
    let deadline = options.lock_wait.map(|wait| Instant::now() + wait);
    let holder = Holder {
        plan: plan.digest.hex(),
        ..options.holder.clone()
    };
    for kind in plan.decision.touched() {
        let Some(store) = stores.get(kind) else {
            continue;
        };
        let lease = take_lease(store, &options.lease_id, &holder, deadline, events, cancel).await?;
        events.emit(Event::LeaseTaken {
            store: kind,
            token: lease.token(),
        });
        heartbeat.renew(store.clone(), lease);
    }
    Ok(())
}

async fn take_lease(
    store: &Arc<dyn Store>,
    id: &str,
    holder: &Holder,
    deadline: Option<Instant>,
    events: &dyn Events,
    cancel: &CancellationToken,
) -> Result<Lease, StoreError> {
    let mut announced = false;
    loop {
        let error = match store.acquire(id, holder).await {
            Ok(lease) => return Ok(lease),
            Err(error) => error,
        };
        let StoreErrorKind::LeaseHeld(info) = &error.kind else {
            return Err(error);
        };
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(error);
        }
        if !announced {
            let holder = info
                .holder
                .as_ref()
                .map_or_else(|| "an earlier tool".to_owned(), ToString::to_string);
            events.emit(Event::WaitingForLease {
                store: store.kind(),
                holder,
            });
            announced = true;
        }
        let pause = Duration::from_millis(rand::random_range(100..400));
        if cancel
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return Err(StoreError {
                kind: StoreErrorKind::Cancelled,
                ..error
            });
        }
    }
}

/// The walk over the graph of a plan's steps.
struct Walk<'a> {
    stores: &'a Stores,
    plan: &'a Plan,
    events: &'a dyn Events,
    cancel: &'a CancellationToken,
    heartbeat: &'a Heartbeat,
}

impl Walk<'_> {
    async fn run(&self, mut done: BTreeSet<MigrationId>, parallelism: usize) -> Report<StoreError> {
        let mut outcomes: BTreeMap<MigrationId, StepOutcome<StoreError>> = done
            .iter()
            .map(|id| (id.clone(), StepOutcome::AlreadyDone))
            .collect();
        let mut started = done.clone();
        let mut running = FuturesUnordered::new();
        let mut failed = false;
        loop {
            if !failed && !self.cancel.is_cancelled() {
                for steps in self.next(&done, &started, parallelism, running.len()) {
                    started.extend(steps.iter().map(|step| step.id.clone()));
                    running.push(self.steps(steps));
                }
            }
            let Some(ended) = running.next().await else {
                break;
            };
            for (id, outcome) in ended {
                match outcome {
                    Ok(figures) => {
                        done.insert(id.clone());
                        outcomes.insert(id, StepOutcome::Done(figures));
                    }
                    Err(error) => {
                        failed = true;
                        outcomes.insert(id, StepOutcome::Failed(error));
                    }
                }
            }
        }
        // A lease that is lost between two steps fails the one that would have come next: the report has
        // to say why the run ended.
        if let Some(lost) = self.heartbeat.lost().filter(|_| !failed) {
            let next = self.plan.decision.ready(&done).into_iter().next();
            outcomes.extend(next.map(|step| (step.id.clone(), StepOutcome::Failed(lost))));
        }
        let steps = self.plan.decision.steps.iter().map(|step| StepReport {
            id: step.id.clone(),
            action: step.action.name(),
            outcome: outcomes.remove(&step.id).unwrap_or(StepOutcome::NotStarted),
        });
        Report {
            plan: self.plan.digest,
            steps: steps.collect(),
        }
    }

    /// What can be started now: single steps, and such as a store runs together.
    fn next(
        &self,
        done: &BTreeSet<MigrationId>,
        started: &BTreeSet<MigrationId>,
        parallelism: usize,
        running: usize,
    ) -> Vec<Vec<&Step>> {
        let mut taken = started.clone();
        let mut next = Vec::new();
        for step in self.plan.decision.ready(done) {
            if running + next.len() >= parallelism {
                break;
            }
            if taken.contains(&step.id) {
                continue;
            }
            let steps = if self.shares(step) {
                let kind = step.id.store();
                let shares = |other: &Step| other.id.store() == kind && self.shares(other);
                self.plan.decision.together(done, &taken, &shares)
            } else {
                vec![step]
            };
            taken.extend(steps.iter().map(|step| step.id.clone()));
            next.push(steps);
        }
        next
    }

    fn shares(&self, step: &Step) -> bool {
        let store = self.stores.get(step.id.store());
        store.is_some_and(|store| store.shares(step, self.plan))
    }

    /// Runs one step, or several together. Each is told of by itself.
    async fn steps(&self, steps: Vec<&Step>) -> Vec<(MigrationId, Result<Done, StoreError>)> {
        for step in &steps {
            self.events.emit(Event::StepStarted {
                id: step.id.clone(),
                action: step.action.name(),
            });
        }
        let began = Instant::now();
        let results = self.execute(&steps).await;
        let mut ended = Vec::with_capacity(steps.len());
        for (step, result) in steps.into_iter().zip(results) {
            let result = result.map(|done| Done {
                ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                ..done
            });
            self.tell(step, &result);
            ended.push((step.id.clone(), result));
        }
        ended
    }

    fn tell(&self, step: &Step, result: &Result<Done, StoreError>) {
        let action = step.action.name();
        match result {
            Ok(done) => self.events.emit(Event::StepFinished {
                id: step.id.clone(),
                action,
                ms: done.ms,
                changed: done.changed,
            }),
            Err(error) => self.events.emit(Event::StepFailed {
                id: step.id.clone(),
                action,
                error: error.to_string(),
                hint: error.hint(),
                interrupted: error.kind == StoreErrorKind::Cancelled,
            }),
        }
    }

    async fn execute(&self, steps: &[&Step]) -> Vec<Result<Done, StoreError>> {
        let Some(first) = steps.first() else {
            return Vec::new();
        };
        let kind = first.id.store();
        // Freshness refuses a plan that touches an unconfigured store, and every touched store has its
        // lease by now; the error covers a caller that got past both.
        let (Some(store), Some(lease)) = (self.stores.get(kind), self.heartbeat.lease(kind)) else {
            let missing = StoreError {
                store: kind,
                address: "nowhere".to_owned(),
                kind: StoreErrorKind::LeaseLost,
            };
            return steps.iter().map(|_| Err(missing.clone())).collect();
        };
        let run = Run {
            lease,
            plan: self.plan,
            events: self.events,
            cancel: self.cancel,
        };
        let results = match steps {
            [step] => vec![store.run(step, &run).await],
            steps => store.run_together(steps, &run).await,
        };
        let mut outcomes = Vec::with_capacity(results.len());
        for (step, result) in steps.iter().zip(results) {
            let result = result.map_err(|error| self.heartbeat.reason(error));
            if let Err(error) = &result
                && !matches!(error.kind, StoreErrorKind::LeaseLost)
            {
                // The failure itself is what counts; that it could not be written down changes nothing.
                let _ = store.record_failure(step, &run, error).await;
            }
            outcomes.push(result);
        }
        outcomes
    }
}
