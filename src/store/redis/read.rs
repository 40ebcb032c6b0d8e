//! From keys to what is known of them: reading commands alone, in pipelines.

use redis::{Pipeline, RedisResult, Value};

use super::RedisStore;
use super::keys::SourceDigest;
use super::link::Session;
use crate::model::id::MigrationId;
use crate::model::redis::op::{Item, KeyType, KeyView, Op, Recorded};
use crate::store::{StoreError, StoreErrorKind};

const DOING: &str = "reading keys";

impl RedisStore {
    /// What is known of each item's key, in their order. All items are of one step.
    pub(super) async fn views(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        buckets: Option<u64>,
        items: &[Item<'_>],
    ) -> Result<Vec<KeyView>, StoreError> {
        let Some(op) = items.first().map(|item| &item.step.op) else {
            return Ok(Vec::new());
        };
        if let Op::Script(script) = op {
            return self.script_views(session, id, script, items).await;
        }
        let fields = op.fields();
        let mut pipeline = Pipeline::new();
        for item in items {
            if fields.is_empty() {
                pipeline.cmd("TYPE").arg(&item.key);
            } else {
                pipeline.cmd("HMGET").arg(&item.key).arg(&fields);
            }
            if op.reads_ttl() {
                pipeline.cmd("PTTL").arg(&item.key);
            }
            if let Some(target) = &item.target {
                pipeline.cmd("EXISTS").arg(target);
                if let (Op::Rename(_), true) = (op, self.crosses(item)) {
                    pipeline
                        .cmd("EXISTS")
                        .arg(self.keys.moving(&item.key, target));
                }
            }
            if let (Some(buckets), Op::Copy(_)) = (buckets, op) {
                let digest = SourceDigest::of(&item.key);
                let target = item.target.as_deref().unwrap_or_default();
                let bucket = self.keys.bucket(id, digest.bucket(buckets), target);
                pipeline
                    .cmd("SMISMEMBER")
                    .arg(bucket)
                    .arg(digest.member())
                    .arg(format!("-{}", digest.member()));
            }
        }
        let mut answers = session.pipeline(DOING, &pipeline).await?.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Ok(Value::Nil));
        let mut views = Vec::with_capacity(items.len());
        let mut unclear = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut view = KeyView::default();
            let first = next();
            if fields.is_empty() {
                view.kind = KeyType::from_reply(&text(session, first)?);
            } else if self.take_fields(session, first, &mut view)? {
                unclear.push(index);
            }
            if op.reads_ttl() {
                view.ttl_ms = u64::try_from(number(session, next())?).ok();
            }
            if item.target.is_some() {
                view.target = number(session, next())? == 1;
                if let (Op::Rename(_), true) = (op, self.crosses(item)) {
                    let moving = number(session, next())? == 1;
                    view.recorded = moving.then_some(Recorded::Moving);
                }
            }
            if buckets.is_some() && matches!(op, Op::Copy(_)) {
                let marks: (bool, bool) = parsed(session, next())?;
                view.recorded = match marks {
                    (false, _) => None,
                    (true, false) => Some(Recorded::Copied),
                    (true, true) => Some(Recorded::Kept),
                };
            }
            views.push(view);
        }
        self.clear_up(session, items, &unclear, &mut views).await?;
        Ok(views)
    }

    /// Takes the fields that HMGET gave. Answers whether they leave open what the key is: without a value,
    /// or refused for its type.
    fn take_fields(
        &self,
        session: Session<'_>,
        answer: RedisResult<Value>,
        view: &mut KeyView,
    ) -> Result<bool, StoreError> {
        match answer {
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(true),
            answer => {
                view.fields = parsed(session, answer)?;
                view.kind = Some(KeyType::Hash);
                Ok(view.fields.iter().all(Option::is_none))
            }
        }
    }

    /// Asks for the type of the keys whose fields did not tell it.
    async fn clear_up(
        &self,
        session: Session<'_>,
        items: &[Item<'_>],
        unclear: &[usize],
        views: &mut [KeyView],
    ) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        for index in unclear {
            pipeline.cmd("TYPE").arg(&items[*index].key);
        }
        let answers = session.pipeline(DOING, &pipeline).await?;
        for (index, answer) in unclear.iter().zip(answers) {
            views[*index].kind = KeyType::from_reply(&text(session, answer)?);
        }
        Ok(())
    }

    /// The number of buckets in which a migration records its copies; `None` where it recorded none.
    pub(super) async fn bucket_count(
        &self,
        session: Session<'_>,
        id: &MigrationId,
    ) -> Result<Option<u64>, StoreError> {
        session
            .query(
                "reading the record of copies",
                redis::cmd("GET").arg(self.keys.copied(id)),
            )
            .await
    }

    /// The `run_id` of the server, where the user may ask for it.
    pub(super) async fn run_id(&self, session: Session<'_>) -> Result<Option<String>, StoreError> {
        Ok(self
            .info(session, "server")
            .await?
            .and_then(|info| info_field(&info, "run_id")))
    }

    /// How many keys there are in all.
    pub(super) async fn key_count(&self, session: Session<'_>) -> Result<u64, StoreError> {
        let mut count = 0;
        for node in session.masters().await? {
            count += session
                .on(&node)
                .query::<u64>("counting keys", &redis::cmd("DBSIZE"))
                .await?;
        }
        Ok(count)
    }

    /// A section of INFO; `None` where the user may not ask.
    pub(super) async fn info(
        &self,
        session: Session<'_>,
        section: &str,
    ) -> Result<Option<String>, StoreError> {
        let doing = "asking for server information";
        match session.ask(doing, redis::cmd("INFO").arg(section)).await? {
            Ok(value) => redis::from_redis_value(value)
                .map(Some)
                .map_err(|e| session.unexpected(doing, &e)),
            Err(error) => {
                let error = session.refused(doing, &error);
                match error.kind {
                    StoreErrorKind::Permission { .. } => Ok(None),
                    _ => Err(error),
                }
            }
        }
    }
}

/// The value of a field of INFO.
pub(super) fn info_field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(|value| value.trim().to_owned())
    })
}

pub(super) fn parsed<T: redis::FromRedisValue>(
    session: Session<'_>,
    answer: RedisResult<Value>,
) -> Result<T, StoreError> {
    let value = answer.map_err(|e| session.refused(DOING, &e))?;
    redis::from_redis_value(value).map_err(|e| session.unexpected(DOING, &e))
}

/// As [`parsed`], but `None` where the user lacks the right to ask.
pub(super) fn allowed<T: redis::FromRedisValue>(
    session: Session<'_>,
    answer: RedisResult<Value>,
) -> Result<Option<T>, StoreError> {
    match parsed(session, answer) {
        Ok(value) => Ok(Some(value)),
        Err(StoreError {
            kind: StoreErrorKind::Permission { .. },
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn text(session: Session<'_>, answer: RedisResult<Value>) -> Result<String, StoreError> {
    parsed(session, answer)
}

fn number(session: Session<'_>, answer: RedisResult<Value>) -> Result<i64, StoreError> {
    parsed(session, answer)
}
