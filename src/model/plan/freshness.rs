//! Whether the stores still are where a plan was made from.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::{MigrationId, StoreKind};
use crate::model::plan::{
    Action, Decision, Plan, RecordedEntry, RecordedStatus, RecordedStore, Resolution, Step,
};
use crate::model::state::{Doing, LedgerEntry, LedgerStatus, StoreState};

/// How the observed state relates to the one that the plan was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// It is the same; no step has begun.
    Fresh,
    /// It is the same but for steps of this very plan, these being done.
    Resumed(BTreeSet<MigrationId>),
    /// Every step of the plan is done, and nothing came after it.
    Spent,
    /// It is another one.
    Stale(Vec<Difference>),
}

/// One difference between the state planned from and the observed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The plan is for another database.
    OtherDatabase {
        /// The store.
        store: StoreKind,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
    /// The plan needs a store that is not configured here.
    StoreMissing {
        /// The store.
        store: StoreKind,
    },
    /// A migration stands elsewhere.
    Entry {
        /// The migration.
        id: MigrationId,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
    /// A step is done although one that it requires is not.
    OutOfTurn {
        /// The step that is done.
        id: MigrationId,
        /// The one that is not.
        missing: MigrationId,
    },
    /// An earlier tool wrote its record.
    Legacy {
        /// The store.
        store: StoreKind,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
    /// The real schema was changed.
    Fingerprint {
        /// The store.
        store: StoreKind,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OtherDatabase {
                store,
                planned,
                found,
            } => {
                write!(
                    f,
                    "{store}: the plan is for another database: planned {planned}; found {found}"
                )
            }
            Self::StoreMissing { store } => {
                write!(
                    f,
                    "{store}: the plan touches this store, which outpost.toml does not configure"
                )
            }
            Self::Entry { id, planned, found } => {
                write!(f, "{id}: planned from {planned}, found {found}")
            }
            Self::OutOfTurn { id, missing } => {
                write!(
                    f,
                    "{id} is done although {missing}, which it requires, is not"
                )
            }
            Self::Legacy {
                store,
                planned,
                found,
            } => {
                write!(
                    f,
                    "{store}: an earlier tool's record changed: planned from {planned}, found {found}"
                )
            }
            Self::Fingerprint {
                store,
                planned,
                found,
            } => {
                write!(
                    f,
                    "{store}: the schema changed: planned from {planned}, found {found}"
                )
            }
        }
    }
}

/// Where one step stands.
#[derive(PartialEq, Eq)]
enum Progress {
    NotStarted,
    Begun,
    Done,
    Elsewhere,
}

impl Plan {
    /// Compares the stores with what the plan was made from. Only what is *recorded* is compared: keys
    /// and rows come and go while a plan waits for its review.
    /// `states` must hold the real schema of each store of which the plan has a fingerprint.
    pub fn freshness(&self, states: &BTreeMap<StoreKind, StoreState>) -> Freshness {
        let digest = self.digest.hex();
        let recorded: BTreeMap<StoreKind, RecordedStore> = states
            .iter()
            .map(|(store, state)| (*store, state.recorded(self.decision.owned.as_ref())))
            .collect();
        // A store of which nothing is recorded cannot be compared, so nothing may run there.
        let mut differences: Vec<Difference> = self
            .decision
            .touched()
            .into_iter()
            .filter(|store| !self.decision.recorded.contains_key(store))
            .map(|store| Difference::StoreMissing { store })
            .collect();
        let mut done = BTreeSet::new();
        let mut begun = false;
        for (store, planned) in &self.decision.recorded {
            let (Some(found), Some(state)) = (recorded.get(store), states.get(store)) else {
                if self.decision.touched().contains(store) {
                    differences.push(Difference::StoreMissing { store: *store });
                }
                continue;
            };
            if !planned.identity.same_database(&found.identity) {
                differences.push(other_database(*store, planned, found));
                continue;
            }
            let ids: BTreeSet<&MigrationId> = planned
                .entries
                .keys()
                .chain(found.entries.keys())
                .chain(
                    self.decision
                        .steps
                        .iter()
                        .map(|s| &s.id)
                        .filter(|id| id.store() == *store),
                )
                .collect();
            for id in ids {
                let before = planned.entries.get(id);
                let now = found.entries.get(id);
                let progress = match self.decision.step(id) {
                    Some(step) => progress(step, before, now, state.ledger.get(id), &digest),
                    None if before == now => Progress::NotStarted,
                    None => Progress::Elsewhere,
                };
                match progress {
                    Progress::NotStarted => {}
                    Progress::Begun => begun = true,
                    Progress::Done => {
                        begun = true;
                        done.insert(id.clone());
                    }
                    Progress::Elsewhere => differences.push(Difference::Entry {
                        id: id.clone(),
                        planned: describe(before),
                        found: describe(now),
                    }),
                }
            }
        }
        for step in self.decision.steps.iter().filter(|s| done.contains(&s.id)) {
            for missing in step.after.difference(&done) {
                differences.push(Difference::OutOfTurn {
                    id: step.id.clone(),
                    missing: missing.clone(),
                });
            }
        }
        differences.extend(self.other_differences(&recorded, begun));
        match differences {
            found if !found.is_empty() => Freshness::Stale(found),
            _ if done.len() == self.decision.steps.len() && !done.is_empty() => Freshness::Spent,
            _ if begun => Freshness::Resumed(done),
            _ => Freshness::Fresh,
        }
    }

    /// Ledger identity, earlier tools' records and fingerprints. The last two are changed by the plan's
    /// own steps, so they are compared only while none of them has begun.
    fn other_differences(
        &self,
        recorded: &BTreeMap<StoreKind, RecordedStore>,
        begun: bool,
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (store, planned) in &self.decision.recorded {
            let Some(found) = recorded.get(store) else {
                continue;
            };
            let recreated = planned.identity.ledger() != found.identity.ledger()
                && planned.identity.ledger().is_some();
            if recreated && planned.identity.same_database(&found.identity) {
                differences.push(other_database(*store, planned, found));
            }
            if begun {
                continue;
            }
            if planned.legacy != found.legacy {
                differences.push(Difference::Legacy {
                    store: *store,
                    planned: planned.legacy.to_string(),
                    found: found.legacy.to_string(),
                });
            }
            if planned.fingerprint.is_some() && planned.fingerprint != found.fingerprint {
                let words = |f: &RecordedStore| {
                    f.fingerprint
                        .as_ref()
                        .map_or_else(|| "none".to_owned(), ToString::to_string)
                };
                differences.push(Difference::Fingerprint {
                    store: *store,
                    planned: words(planned),
                    found: words(found),
                });
            }
        }
        differences
    }
}

fn other_database(store: StoreKind, planned: &RecordedStore, found: &RecordedStore) -> Difference {
    Difference::OtherDatabase {
        store,
        planned: planned.identity.to_string(),
        found: found.identity.to_string(),
    }
}

fn progress(
    step: &Step,
    before: Option<&RecordedEntry>,
    now: Option<&RecordedEntry>,
    entry: Option<&LedgerEntry>,
    digest: &str,
) -> Progress {
    let ours = entry.is_some_and(|e| e.plan == digest);
    let now_at = now.map(|e| e.status);
    let outcome = match step.action {
        // Only the checksum changes: what was cleaned stays cleaned, what was skipped stays skipped.
        Action::AcceptEdit { .. } => before.map(|e| e.status),
        _ => step.action.outcome(),
    };
    if ours && now_at == outcome {
        return Progress::Done;
    }
    if ours && now_at == step.action.unfinished() {
        return Progress::Begun;
    }
    if before == now {
        Progress::NotStarted
    } else {
        Progress::Elsewhere
    }
}

impl Action {
    /// Where the ledger says the migration stands once the step is done; `None` for no entry. An accepted
    /// edit leaves the migration where it stands, which is `Applied` unless the entry said otherwise.
    pub fn outcome(&self) -> Option<RecordedStatus> {
        match self {
            Self::Apply
            | Self::Adopt { .. }
            | Self::AcceptEdit { .. }
            | Self::Resolve(Resolution::Applied) => Some(RecordedStatus::Applied),
            Self::Cleanup => Some(RecordedStatus::Cleaned),
            Self::Skip { .. } => Some(RecordedStatus::Skipped),
            Self::Revert { .. } | Self::Resolve(Resolution::RolledBack) => None,
        }
    }

    fn unfinished(&self) -> Option<RecordedStatus> {
        match self {
            Self::Apply => Some(RecordedStatus::Applying),
            Self::Revert { .. } => Some(RecordedStatus::Reverting),
            Self::Cleanup => Some(RecordedStatus::Cleaning),
            _ => self.outcome(),
        }
    }
}

fn describe(entry: Option<&RecordedEntry>) -> String {
    match entry {
        None => "no record".to_owned(),
        Some(e) => format!("{} with checksum {}", e.status, e.checksum.short()),
    }
}

impl std::fmt::Display for RecordedStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Applied => "applied",
            Self::Cleaned => "applied and cleaned up",
            Self::Skipped => "skipped",
            Self::Applying => "being applied",
            Self::Reverting => "being reverted",
            Self::Cleaning => "being cleaned up",
        })
    }
}

impl LedgerEntry {
    /// The entry as far as it decides anything; `None` for one that only remembers a revert.
    pub fn recorded(&self) -> Option<RecordedEntry> {
        let status = match self.status {
            LedgerStatus::Applied { cleaned: false, .. } => RecordedStatus::Applied,
            LedgerStatus::Applied { cleaned: true, .. } => RecordedStatus::Cleaned,
            LedgerStatus::Skipped { .. } => RecordedStatus::Skipped,
            LedgerStatus::Partial {
                doing: Doing::Apply,
            } => RecordedStatus::Applying,
            LedgerStatus::Partial {
                doing: Doing::Revert,
            } => RecordedStatus::Reverting,
            LedgerStatus::Partial {
                doing: Doing::Cleanup,
            } => RecordedStatus::Cleaning,
            LedgerStatus::Reverted => return None,
        };
        Some(RecordedEntry {
            status,
            checksum: self.checksum,
        })
    }
}

impl StoreState {
    /// What a plan records of this store. `owned` are the objects that the schema folder owns.
    pub fn recorded(&self, owned: Option<&BTreeSet<String>>) -> RecordedStore {
        RecordedStore {
            identity: self.identity.clone(),
            entries: self
                .ledger
                .iter()
                .filter_map(|(id, entry)| Some((id.clone(), entry.recorded()?)))
                .collect(),
            legacy: self.legacy.clone(),
            fingerprint: self.schema.as_ref().map(|s| s.fingerprint(owned)),
        }
    }
}

impl Decision {
    /// Steps that can be run together once `done` is done: those that share, are not in `started`, and
    /// require nothing else than what is done or comes before them among these.
    pub fn together<'a>(
        &'a self,
        done: &BTreeSet<MigrationId>,
        started: &BTreeSet<MigrationId>,
        shares: &dyn Fn(&Step) -> bool,
    ) -> Vec<&'a Step> {
        let mut reached = done.clone();
        let mut together = Vec::new();
        for step in &self.steps {
            if !started.contains(&step.id) && step.after.is_subset(&reached) && shares(step) {
                reached.insert(step.id.clone());
                together.push(step);
            }
        }
        together
    }

    /// Steps whose requirements are all in `done`, and that are not in `done` themselves.
    pub fn ready<'a>(&'a self, done: &BTreeSet<MigrationId>) -> Vec<&'a Step> {
        self.steps
            .iter()
            .filter(|s| !done.contains(&s.id) && s.after.is_subset(done))
            .collect()
    }
}
