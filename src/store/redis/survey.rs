//! Which key is whose: every key of a page classified exactly, before and while anything is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::RedisStore;
use super::link::{Session, slot};
use crate::model::id::MigrationId;
use crate::model::redis::declaration::{self, Class, Declaration};
use crate::model::redis::findings::Findings;
use crate::model::redis::op::{Item, Sort};
use crate::store::{StoreError, StoreErrorKind};

/// Keys that are kept as a sample of a copying step's sources.
const SAMPLE: usize = 64;

/// What was counted over all keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Survey {
    /// Keys in scope, the tool's own not counted.
    pub(super) in_scope: u64,
    /// Keys that an ignore pattern matches.
    pub(super) ignored: u64,
    /// Keys by the number of their step.
    pub(super) by_step: BTreeMap<usize, u64>,
    /// Keys that are not accounted for.
    pub(super) findings: Findings,
    /// A few keys of each step, evenly spread over the scan.
    samples: BTreeMap<usize, Sample>,
}

/// A few of many keys, evenly spread over the order in which they come.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) keys: Vec<Vec<u8>>,
    /// Keys that came by.
    pub(super) of: u64,
    every: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            of: 0,
            every: 1,
        }
    }
}

impl Sample {
    /// Lets a key come by.
    pub(super) fn pass(&mut self, key: &[u8]) {
        if self.of.is_multiple_of(self.every) {
            if self.keys.len() == SAMPLE {
                let mut kept = 0;
                self.keys.retain(|_| {
                    kept += 1;
                    kept % 2 == 1
                });
                self.every *= 2;
            }
            if self.of.is_multiple_of(self.every) {
                self.keys.push(key.to_vec());
            }
        }
        self.of += 1;
    }
}

impl Survey {
    /// The sampled keys of a step.
    pub(super) fn sample(&self, step: usize) -> &[Vec<u8>] {
        self.samples.get(&step).map_or(&[], |sample| &sample.keys)
    }

    fn count(&mut self, step: usize, key: &[u8]) {
        *self.by_step.entry(step).or_default() += 1;
        self.samples.entry(step).or_default().pass(key);
    }
}

impl RedisStore {
    /// Sorts keys by their step, and counts the others.
    pub(super) fn sort<'d>(
        &self,
        session: Session<'_>,
        declaration: &'d Declaration,
        keys: &[Vec<u8>],
        survey: &mut Survey,
    ) -> Result<BTreeMap<usize, Vec<Item<'d>>>, StoreError> {
        let mut items: BTreeMap<usize, Vec<Item<'d>>> = BTreeMap::new();
        for key in keys.iter().filter(|key| !self.keys.is_own(key)) {
            let class = declaration.classify(key);
            if matches!(class, Class::OutOfScope) {
                continue;
            }
            survey.in_scope += 1;
            match class {
                Class::OutOfScope => {}
                Class::Ignored => survey.ignored += 1,
                Class::Unaccounted => survey.findings.add(Sort::Unaccounted, key, ""),
                Class::Ambiguous(steps) => {
                    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
                    survey.findings.add(
                        Sort::Ambiguous,
                        key,
                        &format!("steps {}", steps.join(" and ")),
                    );
                }
                Class::Step(step, captures) => {
                    let item = Item::new(step, &captures)
                        .map_err(|e| session.unexpected("filling in a template", &e))?;
                    if let Some(target) = item
                        .target
                        .as_deref()
                        .filter(|target| self.is_taken(declaration, target))
                    {
                        let target = crate::model::redis::printable::printable(target);
                        survey
                            .findings
                            .add(Sort::BadTarget, key, &format!("onto {target}"));
                        continue;
                    }
                    survey.count(step.number, key);
                    items.entry(step.number).or_default().push(item);
                }
            }
        }
        Ok(items)
    }

    /// Whether a key's target lies in another slot, so that no script can work on both.
    pub(super) fn crosses(&self, item: &Item<'_>) -> bool {
        let target = item.target.as_deref();
        self.link.is_cluster() && target.is_some_and(|target| slot(&item.key) != slot(target))
    }

    /// Whether a target is a key that must not be written: a step's own, or the tool's.
    fn is_taken(&self, declaration: &Declaration, target: &[u8]) -> bool {
        self.keys.is_own(target)
            || matches!(
                declaration.classify(target),
                Class::Step(..) | Class::Ambiguous(_)
            )
    }

    /// Classifies every key for each of some migrations, and reads none.
    pub(super) async fn survey(
        &self,
        session: Session<'_>,
        declarations: &[&Declaration],
    ) -> Result<Vec<Survey>, StoreError> {
        let fresh = || -> Vec<Survey> { declarations.iter().map(|_| Survey::default()).collect() };
        let surveys = Mutex::new(fresh());
        let lock = || surveys.lock().unwrap_or_else(PoisonError::into_inner);
        if declarations.iter().any(|d| !d.scope.is_empty()) {
            let glob = declaration::scan_glob(declarations.iter().flat_map(|d| &d.scope));
            let work = |keys: Vec<Vec<u8>>| -> BoxFuture<'_, Result<(), StoreError>> {
                let sorted = declarations.iter().zip(lock().iter_mut()).try_for_each(
                    |(declaration, survey)| {
                        self.sort(session, declaration, &keys, survey).map(drop)
                    },
                );
                Box::pin(async { sorted })
            };
            self.go_undisturbed(session, glob, &work, &|| *lock() = fresh())
                .await?;
        }
        Ok(surveys.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The error of a migration whose keys are not as declared.
pub(super) fn keys_error(
    session: Session<'_>,
    id: &MigrationId,
    findings: Vec<String>,
) -> StoreError {
    session.error(StoreErrorKind::Keys {
        id: id.clone(),
        findings,
    })
}
