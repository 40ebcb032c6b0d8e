//! The record of which sources were copied: made when a step first runs, dropped when nothing needs it.

use std::collections::BTreeMap;

use super::RedisStore;
use super::deed::Direction;
use super::keys::SOURCES_PER_BUCKET;
use super::link::{SLOTS, Session, slot};
use super::member::Member;
use super::scripts::{self, Call};
use crate::model::plan::Step;
use crate::store::{Lease, Run, StoreError};

/// Keys of the tool's own that are removed in one call.
const DROP_BATCH: usize = 200;

impl RedisStore {
    /// The buckets that record which sources were copied; their number is fixed when the step first runs.
    pub(super) async fn prepare_buckets(
        &self,
        member: &Member<'_>,
        run: &Run<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let (step, declaration, session) = (member.step, member.declaration, member.deed.session);
        let direction = member.deed.direction;
        if declaration.copies().next().is_none() || direction != Direction::Forward {
            return self.bucket_count(session, &step.id).await;
        }
        let places = if self.link.is_cluster() {
            u64::from(SLOTS)
        } else {
            1
        };
        let answer = Call::fenced(&scripts::BUCKETS, &self.keys, run.lease)
            .key(self.keys.copied(&step.id))
            .arg((member.expected / places / SOURCES_PER_BUCKET + 1).to_string())
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
        let names = self.keys.buckets(&step.id, buckets);
        for names in names.chunks(DROP_BATCH) {
            self.drop_own(session, run.lease, names, doing).await?;
        }
        let mut names = vec![self.keys.copied(&step.id)];
        if direction == Direction::Back {
            names.push(self.keys.exceptions(&step.id));
        }
        self.drop_own(session, run.lease, &names, doing).await
    }

    /// Removes keys of our own: in one call, or on a cluster in one for each slot.
    pub(super) async fn drop_own(
        &self,
        session: Session<'_>,
        lease: &Lease,
        names: &[String],
        doing: &str,
    ) -> Result<(), StoreError> {
        let mut by_slot: BTreeMap<Option<u16>, Call> = BTreeMap::new();
        for name in names {
            let slot = self.link.is_cluster().then(|| slot(name.as_bytes()));
            let call = by_slot
                .remove(&slot)
                .unwrap_or_else(|| Call::on_keys(&scripts::DROP, &self.keys, lease, slot));
            by_slot.insert(slot, call.key(name.as_str()));
        }
        let calls: Vec<Call> = by_slot.into_values().collect();
        self.run_calls(session, lease, &calls, doing)
            .await
            .map(drop)
    }
}
