//! Where a pass is: checkpoints, progress, and the cursors that an earlier run left.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::RedisStore;
use super::deed::Direction;
use super::member::Member;
use super::scan::Walk;
use crate::model::event::Event;
use crate::model::plan::Step;
use crate::model::state::{Checkpoint, Doing, LedgerStatus, ScanCursor};
use crate::store::{Run, StoreError, StoreErrorKind};

use super::link::Session;

/// Keys between two checkpoints.
const CHECKPOINT_EVERY: u64 = 5_000;
/// Time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Where a pass is, for checkpoints and progress.
pub(super) struct Place {
    pub(super) pass: u32,
    pub(super) total: u64,
    marks: Mutex<Marks>,
}

struct Marks {
    examined: u64,
    /// Examined when the last checkpoint was written.
    saved: u64,
    told: Instant,
}

impl Direction {
    /// What a ledger says of a step that runs this way and is not finished.
    pub(super) fn doing(self) -> Doing {
        match self {
            Self::Forward => Doing::Apply,
            Self::Back => Doing::Revert,
            Self::Clean => Doing::Cleanup,
        }
    }
}

impl Place {
    pub(super) fn new(pass: u32, total: u64) -> Self {
        Self {
            pass,
            total,
            marks: Mutex::new(Marks {
                examined: 0,
                saved: 0,
                told: Instant::now(),
            }),
        }
    }

    /// Counts keys that were looked at.
    pub(super) fn examined(&self, keys: usize) {
        self.lock().examined += u64::try_from(keys).unwrap_or_default();
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RedisStore {
    /// Called whenever all pages up to a place were worked on: reports progress, writes a checkpoint where
    /// one is due, and stops where the user wants it.
    pub(super) async fn reached(
        &self,
        members: &[Member<'_>],
        run: &Run<'_>,
        place: &Place,
        walk: &Walk,
    ) -> Result<(), StoreError> {
        let cancelled = run.cancel.is_cancelled();
        let (due, tell, examined) = {
            let mut marks = place.lock();
            let due = cancelled || marks.examined - marks.saved >= CHECKPOINT_EVERY;
            if due {
                marks.saved = marks.examined;
            }
            let over = walk.positions().iter().all(|position| position.ended);
            let tell = over || marks.told.elapsed() >= PROGRESS_EVERY;
            if tell {
                marks.told = Instant::now();
            }
            (due, tell, marks.examined)
        };
        for member in members.iter().filter(|member| member.is_going()) {
            if tell {
                run.events.emit(Event::Progress {
                    id: member.step.id.clone(),
                    done: examined,
                    total: place.total.max(examined),
                    changed: member.changed(),
                    pass: place.pass,
                });
            }
            if due {
                self.save(member, run, walk, examined).await?;
            }
        }
        match members.first() {
            Some(member) if cancelled => Err(member.deed.session.error(StoreErrorKind::Cancelled)),
            _ => Ok(()),
        }
    }

    async fn save(
        &self,
        member: &Member<'_>,
        run: &Run<'_>,
        walk: &Walk,
        examined: u64,
    ) -> Result<(), StoreError> {
        let cursors = walk.positions().into_iter().filter_map(|position| {
            Some(ScanCursor {
                run_id: position.run_id?,
                cursor: position.cursor,
            })
        });
        let checkpoint = Checkpoint {
            statements_done: 0,
            keys_done: examined,
            // A key that was found wanting must be met again, so then there is no going on from here.
            cursors: if member.is_sound() {
                cursors.filter(|cursor| cursor.cursor != 0).collect()
            } else {
                Vec::new()
            },
        };
        let doing = member.deed.direction.doing();
        self.checkpoint(member.deed.session, member.step, run, doing, checkpoint)
            .await
    }

    /// The cursors to go on from, by the run of the server, if an earlier run of this plan left any; `None`
    /// where no run of this plan began the step.
    pub(super) async fn resume_at(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        doing: Doing,
    ) -> Result<Option<BTreeMap<String, u64>>, StoreError> {
        let Some(entry) = self.read_ledger(session).await?.entries.remove(&step.id) else {
            return Ok(None);
        };
        if entry.plan != run.plan.digest.hex() || entry.status != (LedgerStatus::Partial { doing })
        {
            return Ok(None);
        }
        let cursors = entry.checkpoint.unwrap_or_default().cursors.into_iter();
        Ok(Some(
            cursors
                .map(|cursor| (cursor.run_id, cursor.cursor))
                .collect(),
        ))
    }
}
