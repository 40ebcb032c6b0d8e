//! What must hold, checked after everything that happens. The judge keeps books of its own: it takes from
//! the servers what they did, never who was allowed to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher};

use outpost::engine::{Applied, ApplyError};
use outpost::model::id::{MigrationId, StoreKind};
use outpost::model::plan::{Step, StepContent};
use outpost::model::report::StepOutcome;
use outpost::model::state::{LedgerEntry, LedgerStatus};
use outpost::store::memory::{Answer, MemoryStore, Part, Reply, Request, Write};
use outpost::store::{StoreError, StoreErrorKind};

use crate::scenario::{Left, Scenario};
use crate::world::Outcome;

type Servers = BTreeMap<StoreKind, MemoryStore>;

/// The lease of a store, by the judge's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Held {
    by: usize,
    token: u64,
    expired: bool,
}

/// What is known of a run.
#[derive(Debug, Default, Hash)]
struct Known {
    /// Steps that it recorded as done.
    recorded: BTreeSet<MigrationId>,
    /// Those of which it got the answer.
    heard: BTreeSet<MigrationId>,
    /// Steps of which the run wrote anything.
    wrote: BTreeSet<MigrationId>,
    /// A write was refused, since the lease had been lost.
    refused: bool,
    /// A renewal was refused.
    not_renewed: bool,
    /// It was killed, or one of its connections broke.
    disturbed: bool,
}

pub struct Judge<'s> {
    scenario: &'s Scenario,
    held: BTreeMap<StoreKind, Held>,
    runs: BTreeMap<usize, Known>,
    /// Runs of which nothing needs to be known any more.
    over: BTreeSet<usize>,
}

impl<'s> Judge<'s> {
    pub fn new(scenario: &'s Scenario) -> Self {
        Self {
            scenario,
            held: BTreeMap::new(),
            runs: BTreeMap::new(),
            over: BTreeSet::new(),
        }
    }

    /// Who holds a lease that has not run out.
    pub fn may_expire(&self, store: StoreKind) -> Option<usize> {
        let held = self.held.get(&store).filter(|held| !held.expired);
        held.map(|held| held.by)
    }

    pub fn anybody_holds(&self) -> bool {
        !self.held.is_empty()
    }

    pub fn expired(&mut self, store: StoreKind) {
        if let Some(held) = self.held.get_mut(&store) {
            held.expired = true;
        }
    }

    pub fn broken(&mut self, store: StoreKind) {
        self.held.remove(&store);
    }

    pub fn disturbed(&mut self, run: usize) {
        if let Some(known) = self.known(run) {
            known.disturbed = true;
        }
    }

    pub fn killed(&mut self, run: usize) {
        self.runs.remove(&run);
        self.over.insert(run);
    }

    /// What is known of a run that goes on.
    fn known(&mut self, run: usize) -> Option<&mut Known> {
        (!self.over.contains(&run)).then(|| self.runs.entry(run).or_default())
    }

    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        self.held.hash(hasher);
        self.runs.hash(hasher);
    }

    /// A request reached its server.
    pub fn arrived(
        &mut self,
        run: usize,
        store: StoreKind,
        request: &Request,
        answer: &Answer,
        answered: bool,
        servers: &Servers,
    ) -> Result<(), String> {
        let refused = matches!(answer, Err(StoreErrorKind::LeaseLost));
        match request {
            Request::Acquire { .. } if answer.is_ok() => {
                let other = self.may_expire(store).filter(|by| *by != run);
                if let Some(other) = other {
                    return Err(format!(
                        "{store}: run {run} got the lease that run {other} holds"
                    ));
                }
                let held = Held {
                    by: run,
                    token: token(answer).unwrap_or_default(),
                    expired: false,
                };
                self.held.insert(store, held);
            }
            Request::Renew(_) | Request::Raise(_) => {
                let held = self.held.get_mut(&store).filter(|held| held.by == run);
                match held {
                    Some(held) if answer.is_ok() => {
                        held.expired = false;
                        held.token = token(answer).unwrap_or(held.token);
                    }
                    None if answer.is_ok() => {
                        return Err(format!("{store}: run {run} renewed a lease that it lost"));
                    }
                    _ => {}
                }
                if let Some(known) = self.known(run) {
                    known.not_renewed |= refused && answered;
                }
            }
            Request::Release(_) if self.held.get(&store).is_some_and(|h| h.by == run) => {
                self.held.remove(&store);
            }
            Request::Write(write) if answer.is_ok() => {
                self.wrote(run, store, write, answered, servers)?;
            }
            Request::Write(write) => {
                let held = self.held.get(&store).filter(|held| held.by == run);
                let mine = held.is_some();
                let valid = held.is_some_and(|h| !h.expired && h.token == write.fence.token);
                if refused && valid {
                    return Err(format!(
                        "{store}: run {run} holds its lease, and is refused ({write})"
                    ));
                }
                // The book-keeping of a failure is no reason for one.
                let counts = answered && !mine && !matches!(write.part, Part::Failed(_));
                if let Some(known) = self.known(run).filter(|_| refused && counts) {
                    known.refused = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn wrote(
        &mut self,
        run: usize,
        store: StoreKind,
        write: &Write,
        answered: bool,
        servers: &Servers,
    ) -> Result<(), String> {
        if self.held.get(&store).is_none_or(|held| held.by != run) {
            return Err(format!(
                "{store}: run {run} wrote ({write}) although it had lost its lease"
            ));
        }
        if let Some(known) = self.known(run) {
            known.wrote.insert(write.step.id.clone());
            if matches!(write.part, Part::Whole | Part::Finish | Part::Record) {
                known.recorded.insert(write.step.id.clone());
                if answered {
                    known.heard.insert(write.step.id.clone());
                }
            }
        }
        if !matches!(write.part, Part::Failed(_)) {
            for before in &write.step.after {
                if !is_applied(servers[&before.store()].ledger().get(before)) {
                    let id = &write.step.id;
                    return Err(format!("{id} began before {before}, which it requires"));
                }
            }
        }
        self.agree(store, &servers[&store])
    }

    /// Effects and records of one store say the same, and nothing happened twice.
    fn agree(&self, store: StoreKind, server: &MemoryStore) -> Result<(), String> {
        let (effects, parts) = (server.effects(), server.part_effects());
        for list in [&effects, &parts] {
            let once: BTreeSet<&String> = list.iter().collect();
            if once.len() != list.len() {
                return Err(format!("{store}: something happened twice: {list:?}"));
            }
        }
        let ledger = server.ledger();
        let steps = &self.scenario.plan.decision.steps;
        for step in steps.iter().filter(|step| step.id.store() == store) {
            let (id, entry) = (&step.id, ledger.get(&step.id));
            let done = effects.contains(&format!("{} {id}", step.action.name()));
            if done != is_applied(entry) {
                return Err(format!(
                    "{id}: done is {done}, but what is recorded is {entry:?}"
                ));
            }
            let begins = format!("{} {id}, ", step.action.name());
            let made = parts.iter().filter(|p| p.starts_with(&begins)).count();
            self.parts_agree(step, made, entry)?;
        }
        Ok(())
    }

    fn parts_agree(
        &self,
        step: &Step,
        made: usize,
        entry: Option<&LedgerEntry>,
    ) -> Result<(), String> {
        let id = &step.id;
        let checkpoint = entry.and_then(|entry| entry.checkpoint.clone());
        let agrees = match (&step.content, checkpoint) {
            (StepContent::Sql(sql), _) if sql.transaction => made == 0,
            (StepContent::Sql(sql), None) if is_applied(entry) => made == sql.statements.len(),
            (StepContent::Sql(_), checkpoint) => {
                made == checkpoint.map_or(0, |c| c.statements_done)
            }
            (StepContent::Redis(_), None) if is_applied(entry) => made as u64 == self.scenario.keys,
            // Keys are done before their checkpoint; the next run finds them done.
            (StepContent::Redis(_), checkpoint) => {
                made as u64 >= checkpoint.map_or(0, |c| c.keys_done)
            }
            (StepContent::Record, _) => made == 0,
        };
        match agrees {
            true => Ok(()),
            false => Err(format!("{id}: {made} of its parts are done, but {entry:?}")),
        }
    }

    /// A run is over: what it says is so.
    pub fn ended(
        &mut self,
        run: usize,
        outcome: &Outcome,
        servers: &Servers,
    ) -> Result<(), String> {
        let known = self.runs.remove(&run).unwrap_or_default();
        self.over.insert(run);
        let applied = |id: &MigrationId| is_applied(servers[&id.store()].ledger().get(id));
        match outcome {
            Ok(Applied::Ran(report)) => {
                let mut says_lost = false;
                for step in &report.steps {
                    let id = &step.id;
                    let so = match &step.outcome {
                        StepOutcome::Done(_) => applied(id) && known.recorded.contains(id),
                        StepOutcome::AlreadyDone => applied(id) && !known.wrote.contains(id),
                        StepOutcome::NotStarted => !known.wrote.contains(id),
                        StepOutcome::Failed(error) => {
                            says_lost |= is_lost(error);
                            !known.heard.contains(id)
                        }
                    };
                    if !so {
                        return Err(format!("run {run} reports {id} as {:?}", step.outcome));
                    }
                }
                let failed = report.failed() > 0;
                if known.refused && !says_lost {
                    return Err(format!("run {run} lost its lease and does not report it"));
                }
                if known.not_renewed && !report.complete() && !failed {
                    return Err(format!(
                        "run {run} lost its lease, stopped, and says no reason"
                    ));
                }
            }
            Ok(Applied::Already) => {
                let steps = &self.scenario.plan.decision.steps;
                if let Some(step) = steps.iter().find(|step| !applied(&step.id)) {
                    return Err(format!(
                        "run {run} calls the plan applied; {} is not",
                        step.id
                    ));
                }
            }
            Ok(Applied::NothingToDo) => {
                return Err(format!("run {run} found nothing to do"));
            }
            Err(ApplyError::Stale(differences)) => {
                return Err(format!("run {run} calls the plan stale: {differences:?}"));
            }
            Err(ApplyError::Store(_)) if !known.wrote.is_empty() => {
                return Err(format!("run {run} says that it did not begin, and it did"));
            }
            Err(ApplyError::Store(_)) => {}
        }
        for (store, held) in &self.held {
            if held.by == run && !known.disturbed {
                return Err(format!("{store}: run {run} is over and keeps its lease"));
            }
        }
        Ok(())
    }

    /// After a last run that nobody disturbed, everything is as if nobody ever had.
    pub fn settled(&self, outcome: &Outcome, servers: &Servers) -> Result<(), String> {
        match outcome {
            Ok(Applied::Already) => {}
            Ok(Applied::Ran(report)) if report.complete() => {}
            other => return Err(format!("the last run did not come to its end: {other:?}")),
        }
        for (store, server) in servers {
            let left = Left::of(server);
            if self
                .scenario
                .expected
                .get(store)
                .is_some_and(|e| *e != left)
            {
                return Err(format!(
                    "{store}: not as after an undisturbed run: {left:?}"
                ));
            }
            let history = match server.server().handle(&Request::History) {
                Ok(Reply::History(history)) => history,
                other => return Err(format!("{store}: no history, but {other:?}")),
            };
            for step in &self.scenario.plan.decision.steps {
                let id = step.id.to_string();
                let of_it = history.iter().filter(|e| e.id == id && e.outcome == "done");
                let expected = usize::from(step.id.store() == *store);
                if of_it.count() != expected || history.iter().any(|e| !e.intact) {
                    return Err(format!("{id}: its history is {history:?}"));
                }
            }
        }
        Ok(())
    }
}

fn is_applied(entry: Option<&LedgerEntry>) -> bool {
    entry.is_some_and(|entry| matches!(entry.status, LedgerStatus::Applied { .. }))
}

/// Of a lease that was taken or raised.
fn token(answer: &Answer) -> Option<u64> {
    match answer {
        Ok(Reply::Token(token)) => Some(*token),
        _ => None,
    }
}

fn is_lost(error: &StoreError) -> bool {
    error.kind == StoreErrorKind::LeaseLost
}
