//! Where a pass is: checkpoints, and what a cursor is worth after a pause.

use std::time::Instant;

use super::RedisStore;
use super::deed::{Deed, Direction};
use super::link::Session;
use crate::model::plan::Step;
use crate::model::state::{Checkpoint, Doing, LedgerStatus, ScanCursor};
use crate::store::{Run, StoreError, StoreErrorKind};

/// Keys between two checkpoints.
const CHECKPOINT_EVERY: u64 = 5_000;

/// Where a pass is, for checkpoints and progress.
pub(super) struct Place {
    pub(super) pass: u32,
    pub(super) total: u64,
    pub(super) examined: u64,
    /// Examined when the last checkpoint was written.
    pub(super) saved: u64,
    pub(super) told: Instant,
    /// The run of the server that cursors belong to, as of this connection.
    pub(super) run_id: Option<String>,
    pub(super) generation: u64,
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

impl RedisStore {
    /// Writes a checkpoint where one is due, and stops where the user wants it.
    pub(super) async fn save(
        &self,
        deed: Deed<'_>,
        step: &Step,
        place: &mut Place,
        cursor: u64,
        sound: bool,
    ) -> Result<(), StoreError> {
        let cancelled = deed.run.cancel.is_cancelled();
        if !cancelled && place.examined - place.saved < CHECKPOINT_EVERY {
            return Ok(());
        }
        place.saved = place.examined;
        let doing = deed.direction.doing();
        // A key that was found wanting must be met again, so then there is no going on from here.
        let cursors = match &place.run_id {
            Some(run_id) if sound && cursor != 0 => vec![ScanCursor {
                run_id: run_id.clone(),
                cursor,
            }],
            _ => Vec::new(),
        };
        let checkpoint = Checkpoint {
            statements_done: 0,
            keys_done: place.examined,
            cursors,
        };
        self.checkpoint(deed.session, step, deed.run, doing, checkpoint)
            .await?;
        if cancelled {
            return Err(deed.session.error(StoreErrorKind::Cancelled));
        }
        Ok(())
    }

    /// Whether the server still is the one that gave the cursor.
    pub(super) async fn is_same_server(
        &self,
        session: Session<'_>,
        place: &mut Place,
    ) -> Result<bool, StoreError> {
        let generation = self.link.generation();
        if generation == place.generation {
            return Ok(true);
        }
        let run_id = self.run_id(session).await?;
        let same = run_id.is_some() && run_id == place.run_id;
        place.generation = generation;
        place.run_id = run_id;
        Ok(same)
    }

    /// The cursor to go on from, if an earlier run of this plan left one and the server is the same;
    /// `None` where no run of this plan began the step.
    pub(super) async fn resume_at(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        doing: Doing,
    ) -> Result<Option<u64>, StoreError> {
        let Some(entry) = self.read_ledger(session).await?.entries.remove(&step.id) else {
            return Ok(None);
        };
        if entry.plan != run.plan.digest.hex() || entry.status != (LedgerStatus::Partial { doing })
        {
            return Ok(None);
        }
        let run_id = self.run_id(session).await?;
        let cursors = entry.checkpoint.unwrap_or_default().cursors;
        let cursor = cursors
            .iter()
            .find(|cursor| Some(&cursor.run_id) == run_id.as_ref());
        Ok(Some(cursor.map_or(0, |cursor| cursor.cursor)))
    }
}
