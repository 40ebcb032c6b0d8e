//! The record of which sources were copied: made when a step first runs, dropped when nothing needs it.

use super::RedisStore;
use super::deed::Direction;
use super::keys::SOURCES_PER_BUCKET;
use super::link::Session;
use super::scripts::{self, Call};
use super::survey::Survey;
use crate::model::plan::Step;
use crate::model::redis::declaration::Declaration;
use crate::store::{Run, StoreError};

/// Keys of the tool's own that are removed in one call.
const DROP_BATCH: u64 = 200;

impl RedisStore {
    /// The buckets that record which sources were copied; their number is fixed when the step first runs.
    pub(super) async fn buckets(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        declaration: &Declaration,
        direction: Direction,
        survey: &Survey,
    ) -> Result<Option<u64>, StoreError> {
        if declaration.copies().next().is_none() || direction != Direction::Forward {
            return self.bucket_count(session, &step.id).await;
        }
        let sources: u64 = survey.by_step.values().sum();
        let answer = Call::fenced(&scripts::BUCKETS, &self.keys, run.lease)
            .key(self.keys.copied(&step.id))
            .arg((sources / SOURCES_PER_BUCKET + 1).to_string())
            .run(session, "preparing the record of copies")
            .await?;
        redis::from_redis_value(answer)
            .map(Some)
            .map_err(|e| session.unexpected("preparing the record of copies", &e))
    }

    /// Removes the record of copies, and after a revert that of exceptions.
    pub(super) async fn forget(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        direction: Direction,
    ) -> Result<(), StoreError> {
        let doing = "removing the record of copies";
        let buckets = self
            .bucket_count(session, &step.id)
            .await?
            .unwrap_or_default();
        let mut from = 0;
        while from < buckets {
            let to = (from + DROP_BATCH).min(buckets);
            let call = Call::fenced(&scripts::DROP, &self.keys, run.lease);
            (from..to)
                .fold(call, |call, n| call.key(self.keys.bucket(&step.id, n)))
                .run(session, doing)
                .await?;
            from = to;
        }
        let mut call =
            Call::fenced(&scripts::DROP, &self.keys, run.lease).key(self.keys.copied(&step.id));
        if direction == Direction::Back {
            call = call.key(self.keys.exceptions(&step.id));
        }
        call.run(session, doing).await.map(drop)
    }
}
