//! What a step would meet, by the same classification and the same decision as apply: reading only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use redis::Pipeline;

use super::RedisStore;
use super::link::Session;
use super::read::allowed;
use super::survey::{Sample, Survey, keys_error};
use crate::model::config::PlanConfig;
use crate::model::plan::{Action, KeyCounts, KeyTime, Step, StepEvidence, Warning, WarningKind};
use crate::model::redis::declaration::Declaration;
use crate::model::redis::findings::Findings;
use crate::model::redis::op::{Decision, Item, KeyView, Op, Recorded, Sort, Work};
use crate::model::units::counted;
use crate::store::StoreError;

/// What was decided of all keys of a step.
#[derive(Debug, Default)]
struct Outlook {
    to_do: u64,
    done: u64,
    excepted: u64,
    lossy: u64,
    /// Sources to be cleaned up whose copy is gone.
    copyless: u64,
    findings: Findings,
    /// Keys that need work, by step.
    work: BTreeMap<usize, Sample>,
}

/// Keys of which the speed of reading tells something.
const ENOUGH: u64 = 1_000;

impl RedisStore {
    pub(super) async fn estimate_step(
        &self,
        step: &Step,
        plan: &PlanConfig,
    ) -> Result<StepEvidence, StoreError> {
        let session = self.link.session();
        let Some(declaration) = self.declaration(step, plan)? else {
            return Ok(StepEvidence::default());
        };
        let mut survey = Survey::default();
        let mut outlook = Outlook::default();
        let declaration = match step.action {
            Action::Revert { .. } => declaration.reversed(),
            _ => declaration,
        };
        self.compile(session, &step.id, &declaration).await?;
        self.refuse_split(session, &step.id, &declaration).await?;
        let begun = Instant::now();
        if !declaration.scope.is_empty() {
            self.look(session, step, &declaration, &mut survey, &mut outlook)
                .await?;
        }
        let took = begun.elapsed();
        let mut warnings = Vec::new();
        if matches!(step.action, Action::Revert { .. }) && !outlook.findings.is_empty() {
            return Err(keys_error(session, &step.id, outlook.findings.sentences()));
        }
        if outlook.lossy > 0 {
            let message = format!(
                "{} with values that the way back would not restore",
                counted(outlook.lossy, "key")
            );
            warnings.push(Warning {
                kind: WarningKind::DataLoss,
                message,
                line: None,
            });
        }
        if outlook.copyless > 0 {
            let message = format!(
                "{} whose copy was deleted since it was made: nothing else holds that",
                counted(outlook.copyless, "source")
            );
            warnings.push(Warning {
                kind: WarningKind::DataLoss,
                message,
                line: None,
            });
        }
        if step.action != Action::Cleanup {
            let back = matches!(step.action, Action::Revert { .. });
            for command in declaration.steps.iter().filter_map(|s| match &s.op {
                Op::Command(command) => Some(command),
                _ => None,
            }) {
                let counter = if self.checked(session, command).await? == back {
                    &mut outlook.to_do
                } else {
                    &mut outlook.done
                };
                *counter += 1;
            }
        }
        let mut extra_bytes = Some(0);
        if step.action == Action::Apply {
            let mut refused = survey.findings.sentences();
            refused.extend(outlook.findings.sentences());
            if !refused.is_empty() {
                return Err(keys_error(session, &step.id, refused));
            }
            if outlook.excepted > 0 {
                let message = format!(
                    "{} with values in neither form; they stay, and are recorded",
                    counted(outlook.excepted, "key")
                );
                warnings.push(Warning {
                    kind: WarningKind::Other,
                    message,
                    line: None,
                });
            }
            if declaration.has_cleanup() {
                extra_bytes = self.extra_bytes(session, &declaration, &survey).await?;
                warnings.extend(self.memory_warning(session, extra_bytes).await?);
            }
            if let Some(reason) = declaration.irreversible() {
                warnings.push(Warning {
                    kind: WarningKind::Irreversible,
                    message: reason,
                    line: None,
                });
            }
        }
        let keys = KeyCounts {
            in_scope: survey.in_scope,
            to_do: outlook.to_do,
            done: outlook.done,
            ignored: survey.ignored,
            extra_bytes,
            bytes: self.bytes(session, &outlook.work).await?,
            time: time(survey.in_scope, outlook.to_do, took),
            coming: None,
        };
        Ok(StepEvidence {
            keys: Some(keys),
            warnings,
            ..StepEvidence::default()
        })
    }

    async fn look(
        &self,
        session: Session<'_>,
        step: &Step,
        declaration: &Declaration,
        survey: &mut Survey,
        outlook: &mut Outlook,
    ) -> Result<(), StoreError> {
        let buckets = self.bucket_count(session, &step.id).await?;
        let lossy_allowed = step.may_lose();
        let state = Mutex::new((survey, outlook));
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |keys: Vec<Vec<u8>>| -> BoxFuture<'_, Result<(), StoreError>> {
            let sorted = self.sort(session, declaration, &keys, lock().0);
            Box::pin(async move {
                for items in sorted?.values() {
                    let views = self.views(session, &step.id, buckets, items).await?;
                    let outlook = &mut lock().1;
                    for (item, view) in items.iter().zip(&views) {
                        outlook.count(&step.action, item, view, lossy_allowed);
                    }
                }
                Ok(())
            })
        };
        let reset = || {
            let mut state = lock();
            *state.0 = Survey::default();
            *state.1 = Outlook::default();
        };
        self.go_undisturbed(session, declaration.scan_glob(), &work, &reset)
            .await
    }

    /// The memory of keys, from a sample of each step's; `None` where the user may not ask for sizes.
    async fn bytes(
        &self,
        session: Session<'_>,
        work: &BTreeMap<usize, Sample>,
    ) -> Result<Option<u64>, StoreError> {
        let mut total = 0;
        for sample in work.values().filter(|sample| !sample.keys.is_empty()) {
            let mut pipeline = Pipeline::new();
            for key in &sample.keys {
                pipeline.cmd("MEMORY").arg("USAGE").arg(key);
            }
            let answers = session
                .pipeline("asking for the size of keys", &pipeline)
                .await?;
            let mut bytes = 0;
            for answer in answers {
                match allowed::<Option<u64>>(session, answer)? {
                    Some(size) => bytes += size.unwrap_or_default(),
                    None => return Ok(None),
                }
            }
            let sampled = u64::try_from(sample.keys.len()).unwrap_or(u64::MAX);
            total += u64::try_from(u128::from(bytes) * u128::from(sample.of) / u128::from(sampled))
                .unwrap_or(u64::MAX);
        }
        Ok(Some(total))
    }

    async fn memory_warning(
        &self,
        session: Session<'_>,
        extra: Option<u64>,
    ) -> Result<Option<Warning>, StoreError> {
        let warning = |message: String| Warning {
            kind: WarningKind::Memory,
            message,
            line: None,
        };
        let Some(extra) = extra else {
            return Ok(Some(warning(
                "how much memory the copies take is unknown: the user may not ask for sizes"
                    .to_owned(),
            )));
        };
        Ok(self
            .room(session)
            .await?
            .and_then(|room| room.refuses(extra))
            .map(warning))
    }
}

/// How long a step may take, from how long it took to read its keys.
fn time(read: u64, to_do: u64, took: Duration) -> Option<KeyTime> {
    let micros = took.as_micros().max(1);
    if to_do == 0 || read < ENOUGH {
        return None;
    }
    let per_second = u64::try_from(u128::from(read) * 1_000_000 / micros).ok()?;
    Some(KeyTime::from_speed(per_second, read, to_do))
}

impl Outlook {
    fn count(&mut self, action: &Action, item: &Item<'_>, view: &KeyView, lossy_allowed: bool) {
        let before = self.to_do;
        self.judge(action, item, view, lossy_allowed);
        if self.to_do > before {
            self.work
                .entry(item.step.number)
                .or_default()
                .pass(&item.key);
        }
    }

    fn judge(&mut self, action: &Action, item: &Item<'_>, view: &KeyView, lossy_allowed: bool) {
        let decision = item.decide(view);
        match action {
            Action::Cleanup => {
                let left = match item.step.op {
                    Op::Script(_) => item.step.op.has_cleanup() && decision == Decision::Done,
                    _ => item.step.op.has_cleanup() && decision != Decision::Gone,
                };
                let was_copied = view.recorded == Some(Recorded::Copied);
                self.copyless += u64::from(left && was_copied && !view.target);
                *if left {
                    &mut self.to_do
                } else {
                    &mut self.done
                } += 1;
                return;
            }
            // What a revert takes back is what apply finds done.
            Action::Revert { .. }
                if matches!(item.step.op, Op::Copy(_) | Op::Set(_) | Op::Script(_)) =>
            {
                let there = match item.step.op {
                    Op::Copy(_) => view.target,
                    _ => decision == Decision::Done,
                };
                *if there {
                    &mut self.to_do
                } else {
                    &mut self.done
                } += 1;
                return;
            }
            _ => {}
        }
        match decision {
            Decision::Gone => {}
            Decision::Done => self.done += 1,
            Decision::Excepted(_) => {
                self.done += 1;
                self.excepted += 1;
            }
            Decision::Refused(problem) => {
                self.findings
                    .add(problem.sort(), &item.key, &problem.to_string())
            }
            Decision::Work(Work::Convert {
                changes,
                exceptions,
            }) => {
                self.to_do += 1;
                self.excepted += u64::from(!exceptions.is_empty());
                if let Some(lossy) = changes.iter().find(|change| change.lossy) {
                    self.lossy += 1;
                    if !lossy_allowed {
                        let fields = item.step.op.fields();
                        self.findings.add(
                            Sort::Lossy,
                            &item.key,
                            fields.get(lossy.field).copied().unwrap_or_default(),
                        );
                    }
                }
            }
            Decision::Work(_) => self.to_do += 1,
        }
    }
}
