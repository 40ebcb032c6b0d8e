//! What a copy takes of the server's memory, and whether there is so much.

use redis::Pipeline;

use super::RedisStore;
use super::keys::BYTES_PER_SOURCE;
use super::link::Session;
use super::read::{allowed, info_field, parsed};
use super::survey::Survey;
use crate::model::redis::declaration::Declaration;
use crate::model::redis::op::Op;
use crate::store::StoreError;

/// What the server says of its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that are left below `maxmemory`.
    pub(super) left: u64,
    /// What the server does when there is none left.
    pub(super) policy: String,
}

impl RedisStore {
    /// Bytes that copying takes: the sampled size of sources whose target is missing, times their number,
    /// and the record of the copies. `None` where the user may not ask for sizes.
    pub(super) async fn extra_bytes(
        &self,
        session: Session<'_>,
        declaration: &Declaration,
        survey: &Survey,
    ) -> Result<Option<u64>, StoreError> {
        let mut extra = 0;
        for step in &declaration.steps {
            let Op::Copy(copy) = &step.op else { continue };
            let sources = survey
                .by_step
                .get(&step.number)
                .copied()
                .unwrap_or_default();
            let sample = survey.sample(step.number);
            let mut pipeline = Pipeline::new();
            for key in sample {
                let target = copy
                    .from
                    .captures(key)
                    .and_then(|captures| copy.to.expand(&captures).ok());
                pipeline
                    .cmd("MEMORY")
                    .arg("USAGE")
                    .arg(key)
                    .cmd("EXISTS")
                    .arg(target.unwrap_or_default());
            }
            let mut answers = session
                .pipeline("asking for the size of keys", &pipeline)
                .await?
                .into_iter();
            let mut bytes = 0;
            while let (Some(size), Some(there)) = (answers.next(), answers.next()) {
                let Some(size) = allowed::<Option<u64>>(session, size)? else {
                    return Ok(None);
                };
                if parsed::<i64>(session, there)? == 0 {
                    bytes += size.unwrap_or_default();
                }
            }
            if let Ok(sampled) = u64::try_from(sample.len())
                && sampled > 0
            {
                extra += bytes * sources / sampled + sources * BYTES_PER_SOURCE;
            }
        }
        Ok(Some(extra))
    }

    /// The room that the server has; `None` where it has no limit, or the user may not ask.
    pub(super) async fn room(&self, session: Session<'_>) -> Result<Option<Room>, StoreError> {
        let masters = session.masters().await?;
        let mut room: Option<Room> = None;
        for node in &masters {
            let Some(info) = self.info(session.on(node), "memory").await? else {
                return Ok(None);
            };
            let number = |name| info_field(&info, name).and_then(|value| value.parse::<u64>().ok());
            let (Some(limit), Some(used)) = (
                number("maxmemory").filter(|limit| *limit > 0),
                number("used_memory"),
            ) else {
                continue;
            };
            let left = limit.saturating_sub(used);
            // Keys are spread evenly, so the fullest master sets the measure for all of them.
            if room.as_ref().is_none_or(|room| left < room.left) {
                let policy = info_field(&info, "maxmemory_policy").unwrap_or_default();
                room = Some(Room { left, policy });
            }
        }
        let count = u64::try_from(masters.len()).unwrap_or(1);
        Ok(room.map(|room| Room {
            left: room.left.saturating_mul(count),
            ..room
        }))
    }
}

impl Room {
    /// Whether the server makes room by evicting any key, the sources of the copies included.
    pub(super) fn evicts(&self) -> bool {
        self.policy.starts_with("allkeys")
    }

    /// Why so many more bytes do not fit; `None` where they do.
    pub(super) fn refuses(&self, extra: u64) -> Option<String> {
        if extra <= self.left {
            return None;
        }
        let consequence = if self.evicts() {
            format!(
                "; under the policy {} the server would evict the very keys that are being copied",
                self.policy
            )
        } else {
            String::new()
        };
        Some(format!(
            "the copies take about {} more bytes, and maxmemory leaves {}{consequence}",
            extra, self.left
        ))
    }
}
