//! One execution: two servers, runs of `engine::apply`, and the messages between them. Nothing moves unless
//! the explorer says what.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use outpost::engine::{Applied, ApplyError, ApplyOptions, Stores, apply};
use outpost::model::event::NoEvents;
use outpost::model::id::StoreKind;
use outpost::model::lease::{Holder, LEASE_RENEWAL};
use outpost::store::memory::{Answer, MemoryStore, Request, Server, Wire};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::judge::Judge;
use crate::scenario::Scenario;

/// A message: the run that sent it, and how many that run had sent before.
pub type Key = (usize, usize);

/// Which way one thing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A message arrives, and so does its answer.
    Deliver(Key),
    /// A message whose sender does not wait for it any more arrives after all.
    Late(Key),
    /// The connection breaks; the message is on its way, and may arrive at once, later or never.
    Cut(Key),
    /// A run is killed; what it sent is on its way.
    Kill(usize),
    /// The user interrupts a run.
    Interrupt(usize),
    /// The lease runs out, its holder being frozen, or dead.
    Expire(StoreKind),
    /// An operator removes the lease.
    Break(StoreKind),
    /// Time passes until leases are renewed.
    Tick,
    /// Nothing more disturbs: what is left is run to its end.
    Settle,
}

impl Action {
    /// The run that goes on with this.
    pub fn run(self) -> Option<usize> {
        match self {
            Self::Deliver((run, _)) | Self::Cut((run, _)) => Some(run),
            _ => None,
        }
    }
}

/// How much may happen.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Runs that are started, two of them at a time.
    pub runs: usize,
    /// Disturbances: killed runs, broken connections, leases that run out under a live run,
    /// leases that are broken, interruptions.
    pub faults: usize,
    /// How often a run is left waiting although it could go on.
    pub preemptions: usize,
    /// How often the time to renew leases comes.
    pub ticks: usize,
}

/// What is left of the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub faults: usize,
    pub preemptions: usize,
    pub ticks: usize,
}

impl Left {
    /// Whether everything that may happen with `other` left may happen with this.
    pub fn covers(self, other: Self) -> bool {
        self.faults >= other.faults
            && self.preemptions >= other.preemptions
            && self.ticks >= other.ticks
    }
}

type Sender = oneshot::Sender<Result<Answer, String>>;

struct Message {
    key: Key,
    store: StoreKind,
    request: Request,
    /// Where the answer goes, while somebody waits for it.
    answer: Option<Sender>,
}

impl Message {
    fn waited_for(&self) -> bool {
        self.answer
            .as_ref()
            .is_some_and(|answer| !answer.is_closed())
    }
}

/// The messages that were sent and have not arrived.
#[derive(Default)]
struct Net {
    messages: Vec<Message>,
    sent: BTreeMap<usize, usize>,
}

/// A run's end of the net.
struct Link {
    run: usize,
    net: Arc<Mutex<Net>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link of run {}", self.run)
    }
}

fn lock(net: &Mutex<Net>) -> MutexGuard<'_, Net> {
    net.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Wire for Link {
    async fn carry(&self, server: &Arc<Server>, request: Request) -> Result<Answer, String> {
        let (answer, waits) = oneshot::channel();
        {
            let mut net = lock(&self.net);
            let sent = net.sent.entry(self.run).or_default();
            let key = (self.run, *sent);
            *sent += 1;
            net.messages.push(Message {
                key,
                store: server.kind(),
                request,
                answer: Some(answer),
            });
        }
        match waits.await {
            Ok(answer) => answer,
            // The world is being taken down.
            Err(_) => std::future::pending().await,
        }
    }
}

pub type Outcome = Result<Applied, ApplyError>;

struct Runner {
    task: Option<JoinHandle<Outcome>>,
    cancel: CancellationToken,
    /// Hash of each answer that it got, by message.
    answers: BTreeMap<usize, u64>,
    interrupted: bool,
}

pub struct World<'s> {
    scenario: &'s Scenario,
    bounds: Bounds,
    pub servers: BTreeMap<StoreKind, MemoryStore>,
    net: Arc<Mutex<Net>>,
    runners: Vec<Runner>,
    judge: Judge<'s>,
    left: Left,
    last: Option<usize>,
    settled: bool,
    tells: bool,
    /// What happened, in words, where it was asked for.
    pub told: Vec<String>,
}

/// The id of a run's lease.
pub fn lease_id(run: usize) -> String {
    format!("run {run}")
}

impl<'s> World<'s> {
    pub async fn new(scenario: &'s Scenario, bounds: Bounds, tells: bool) -> Self {
        let mut world = Self {
            scenario,
            bounds,
            servers: scenario.servers(),
            net: Arc::default(),
            runners: Vec::new(),
            judge: Judge::new(scenario),
            left: Left {
                faults: bounds.faults,
                preemptions: bounds.preemptions,
                ticks: bounds.ticks,
            },
            last: None,
            settled: false,
            tells,
            told: Vec::new(),
        };
        world.start_next();
        world.come_to_rest().await;
        world
    }

    /// Two runs at a time; the next one begins when one is over.
    fn start_next(&mut self) {
        while self.runners.len() < self.bounds.runs && self.alive().count() < 2 {
            self.start();
        }
    }

    fn start(&mut self) {
        let run = self.runners.len();
        let link: Arc<dyn Wire> = Arc::new(Link {
            run,
            net: self.net.clone(),
        });
        let stores = self.servers.values().fold(Stores::new(), |stores, server| {
            stores.with(Arc::new(server.client(link.clone())))
        });
        let options = ApplyOptions {
            holder: Holder {
                user: "ann".to_owned(),
                host: "host".to_owned(),
                pid: 1,
                plan: String::new(),
                signer: None,
            },
            lease_id: lease_id(run),
            parallelism: self.scenario.parallelism,
            lock_wait: None,
        };
        let cancel = CancellationToken::new();
        let (plan, token) = (self.scenario.plan.clone(), cancel.clone());
        let task = async move { apply(&stores, &plan, &options, &NoEvents, &token).await };
        self.runners.push(Runner {
            task: Some(tokio::spawn(task)),
            cancel,
            answers: BTreeMap::new(),
            interrupted: false,
        });
    }

    fn alive(&self) -> impl Iterator<Item = usize> {
        let runners = self.runners.iter().enumerate();
        runners
            .filter(|(_, runner)| runner.task.is_some())
            .map(|(run, _)| run)
    }

    /// Lets every run go on until it waits for an answer. Time stands still meanwhile.
    async fn come_to_rest(&mut self) {
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
    }

    pub fn left(&self) -> Left {
        self.left
    }

    /// Keys of messages: those that somebody waits for, or the others.
    fn keys(&self, waited_for: bool) -> Vec<(Key, bool)> {
        let net = lock(&self.net);
        let mut keys: Vec<(Key, bool)> = net
            .messages
            .iter()
            .filter(|m| m.waited_for() == waited_for)
            .map(|m| (m.key, writes(&m.request)))
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Everything that may happen next.
    pub fn actions(&self) -> Vec<Action> {
        if self.settled {
            return Vec::new();
        }
        let waited = self.keys(true);
        let mut actions = Vec::new();
        let last_waits = waited.iter().any(|((run, _), _)| Some(*run) == self.last);
        let may_go_on = |key: Key| {
            let switches = last_waits && Some(key.0) != self.last;
            !switches || self.left.preemptions > 0
        };
        for (key, _) in waited.iter().filter(|(key, _)| may_go_on(*key)) {
            actions.push(Action::Deliver(*key));
        }
        // The run that went on last goes on first: the first schedule is the plainest one.
        actions.sort_by_key(|action| action.run() != self.last);
        actions.extend(self.keys(false).iter().map(|(key, _)| Action::Late(*key)));
        for kind in self.servers.keys() {
            let Some(holder) = self.judge.may_expire(*kind) else {
                continue;
            };
            let lives = self.runners.get(holder).is_some_and(|r| r.task.is_some());
            // The lease of a run that is over runs out by itself.
            if !lives || self.left.faults > 0 {
                actions.push(Action::Expire(*kind));
            }
            if lives && self.left.faults > 0 {
                actions.push(Action::Break(*kind));
            }
        }
        if self.left.faults > 0 {
            for (key, writes) in &waited {
                if *writes && may_go_on(*key) {
                    actions.push(Action::Cut(*key));
                }
            }
            for run in self.alive() {
                // Between two writes it does not matter when.
                if waited.iter().any(|((of, _), writes)| *of == run && *writes) {
                    actions.push(Action::Kill(run));
                    if !self.runners[run].interrupted {
                        actions.push(Action::Interrupt(run));
                    }
                }
            }
        }
        if self.left.ticks > 0 && self.judge.anybody_holds() {
            actions.push(Action::Tick);
        }
        if waited.is_empty() {
            actions.push(Action::Settle);
        }
        actions
    }

    /// Lets one thing happen.
    ///
    /// # Errors
    /// What must not have come of it.
    pub async fn perform(&mut self, action: Action) -> Result<(), String> {
        self.tell(action);
        self.pay(action);
        match action {
            Action::Deliver(key) => self.deliver(key, true)?,
            Action::Late(key) => self.deliver(key, false)?,
            Action::Cut(key) => self.cut(key),
            Action::Kill(run) => self.kill(run).await,
            Action::Interrupt(run) => {
                self.runners[run].interrupted = true;
                self.runners[run].cancel.cancel();
            }
            Action::Expire(kind) => {
                self.servers[&kind].expire_lease();
                self.judge.expired(kind);
            }
            Action::Break(kind) => {
                let server = self.servers[&kind].server();
                if let Some(holder) = self.judge.may_expire(kind) {
                    let _ = server.handle(&Request::Break(lease_id(holder)));
                    self.judge.broken(kind);
                }
            }
            Action::Tick => tokio::time::advance(LEASE_RENEWAL).await,
            Action::Settle => return self.settle().await,
        }
        self.come_to_rest().await;
        self.collect().await
    }

    fn pay(&mut self, action: Action) {
        let switches = action.run().is_some_and(|run| {
            Some(run) != self.last
                && self
                    .keys(true)
                    .iter()
                    .any(|((of, _), _)| Some(*of) == self.last)
        });
        self.left.preemptions -= usize::from(switches);
        match action {
            Action::Cut(_) | Action::Kill(_) | Action::Interrupt(_) | Action::Break(_) => {
                self.left.faults = self.left.faults.saturating_sub(1)
            }
            Action::Expire(kind) => {
                let holder = self.judge.may_expire(kind);
                let lives = holder.is_some_and(|run| self.runners[run].task.is_some());
                self.left.faults = self.left.faults.saturating_sub(usize::from(lives));
            }
            Action::Tick => self.left.ticks -= 1,
            Action::Deliver(_) | Action::Late(_) | Action::Settle => {}
        }
        if let Some(run) = action.run() {
            self.last = Some(run);
        }
    }

    fn tell(&mut self, action: Action) {
        if !self.tells {
            return;
        }
        let words = |key: Key| {
            let net = lock(&self.net);
            let message = net.messages.iter().find(|m| m.key == key);
            message.map_or_else(String::new, |m| format!("{}: {}", m.store, m.request))
        };
        self.told.push(match action {
            Action::Deliver(key) => format!("run {}, {}", key.0, words(key)),
            Action::Late(key) => format!("run {}, {}: arrives", key.0, words(key)),
            Action::Cut(key) => format!("run {}, {}: the connection breaks", key.0, words(key)),
            Action::Kill(run) => format!("run {run} is killed"),
            Action::Interrupt(run) => format!("run {run} is interrupted"),
            Action::Expire(kind) => format!("{kind}: the lease runs out"),
            Action::Break(kind) => format!("{kind}: the lease is broken"),
            Action::Tick => "ten seconds pass".to_owned(),
            Action::Settle => "everything is run to its end".to_owned(),
        });
    }

    fn cut(&mut self, key: Key) {
        self.judge.disturbed(key.0);
        self.runners[key.0].answers.insert(key.1, 1);
        let mut net = lock(&self.net);
        let message = net.messages.iter_mut().find(|m| m.key == key);
        if let Some(answer) = message.and_then(|m| m.answer.take()) {
            // Nobody waits for it where its run was just stopped.
            let _ = answer.send(Err("cut".to_owned()));
        }
    }

    fn deliver(&mut self, key: Key, answered: bool) -> Result<(), String> {
        let message = {
            let mut net = lock(&self.net);
            let at = net.messages.iter().position(|m| m.key == key);
            at.map(|at| net.messages.remove(at))
        };
        let Some(message) = message else {
            return Err(format!(
                "{key:?} is not there: the run is not deterministic"
            ));
        };
        let server = self.servers[&message.store].server();
        let answer = server.handle(&message.request);
        if answered {
            let mut hasher = DefaultHasher::new();
            format!("{}{answer:?}", message.request).hash(&mut hasher);
            let answers = &mut self.runners[key.0].answers;
            if matches!(message.request, Request::Acquire { .. }) && answer.is_ok() {
                // What a run read before it held a lease decides nothing any more: it reads again.
                answers.clear();
            }
            answers.insert(key.1, hasher.finish());
        }
        let (store, request) = (message.store, &message.request);
        self.judge
            .arrived(key.0, store, request, &answer, answered, &self.servers)?;
        if let Some(waits) = message.answer {
            let _ = waits.send(Ok(answer));
        }
        Ok(())
    }

    async fn kill(&mut self, run: usize) {
        self.judge.killed(run);
        if let Some(task) = self.runners[run].task.take() {
            task.abort();
            let _ = task.await;
        }
        let mut net = lock(&self.net);
        // Its messages go on without it; those that only read make no difference.
        net.messages
            .retain(|m| m.key.0 != run || writes(&m.request));
        for message in &mut net.messages {
            if message.key.0 == run {
                message.answer = None;
            }
        }
    }

    /// Judges the runs that are over, and begins the next one.
    async fn collect(&mut self) -> Result<(), String> {
        for run in 0..self.runners.len() {
            let over = |runner: &mut Runner| runner.task.take_if(|task| task.is_finished());
            let Some(task) = over(&mut self.runners[run]) else {
                continue;
            };
            let outcome = task.await.map_err(|e| format!("run {run} panicked: {e}"))?;
            if self.tells {
                let words = words(&outcome);
                self.told.push(format!("run {run} is over: {words}"));
            }
            self.judge.ended(run, &outcome, &self.servers)?;
            self.drop_what_it_left(run);
        }
        let before = self.runners.len();
        self.start_next();
        if self.runners.len() > before {
            self.come_to_rest().await;
        }
        for run in self.alive() {
            if !self.keys(true).iter().any(|((of, _), _)| *of == run) {
                return Err(format!("run {run} waits for nothing, and is not over"));
            }
        }
        Ok(())
    }

    /// A run that is over, such as one whose heartbeat was stopped, waits for no answer any more.
    fn drop_what_it_left(&mut self, run: usize) {
        for message in &mut lock(&self.net).messages {
            if message.key.0 == run {
                message.answer = None;
            }
        }
    }

    /// One more run, which nobody disturbs, and then everything that is still on its way.
    async fn settle(&mut self) -> Result<(), String> {
        self.settled = true;
        for (kind, server) in &self.servers {
            server.expire_lease();
            self.judge.expired(*kind);
        }
        self.start();
        let run = self.runners.len() - 1;
        loop {
            self.come_to_rest().await;
            let mine = self.keys(true).into_iter().find(|((of, _), _)| *of == run);
            let Some((key, _)) = mine else { break };
            self.tell(Action::Deliver(key));
            self.deliver(key, true)?;
        }
        let task = self.runners[run].task.take();
        let outcome = match task.filter(JoinHandle::is_finished) {
            Some(task) => task.await.map_err(|e| format!("run {run} panicked: {e}"))?,
            None => return Err("the last run waits for nothing, and is not over".to_owned()),
        };
        self.judge.ended(run, &outcome, &self.servers)?;
        self.judge.settled(&outcome, &self.servers)?;
        for (key, _) in self.keys(false) {
            self.tell(Action::Late(key));
            self.deliver(key, false)?;
        }
        self.judge.settled(&outcome, &self.servers)
    }

    /// Equal for two executions that go on in the same ways.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for server in self.servers.values() {
            server.snapshot().hash(&mut hasher);
        }
        for runner in &self.runners {
            // Of a run that is over, nothing matters but what it left on its way.
            if runner.task.is_some() {
                runner.interrupted.hash(&mut hasher);
                runner.answers.hash(&mut hasher);
            }
            runner.task.is_some().hash(&mut hasher);
        }
        let net = lock(&self.net);
        let mut messages: Vec<(Key, bool)> = net
            .messages
            .iter()
            .map(|m| (m.key, m.waited_for()))
            .collect();
        messages.sort_unstable();
        messages.hash(&mut hasher);
        self.judge.fingerprint(&mut hasher);
        self.last.hash(&mut hasher);
        hasher.finish()
    }

    /// Ends every run that is still going on.
    pub async fn take_down(mut self) {
        for runner in &mut self.runners {
            if let Some(task) = runner.task.take() {
                task.abort();
                let _ = task.await;
            }
        }
        lock(&self.net).messages.clear();
        self.come_to_rest().await;
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Ok(Applied::Ran(report)) if report.complete() => "complete".to_owned(),
        Ok(Applied::Ran(report)) => {
            let failed = report.steps.iter().filter_map(|step| match &step.outcome {
                outpost::model::report::StepOutcome::Failed(e) => Some(format!("{}: {e}", step.id)),
                _ => None,
            });
            failed.collect::<Vec<_>>().join("; ")
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

/// Whether a request can change anything.
fn writes(request: &Request) -> bool {
    !matches!(
        request,
        Request::Observe(_)
            | Request::Lease
            | Request::History
            | Request::InPlace(_)
            | Request::Entry(_)
    )
}
