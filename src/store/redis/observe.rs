//! What is recorded in a deployment's keyspace, by reading commands alone.

use std::collections::BTreeMap;

use super::RedisStore;
use super::link::Session;
use crate::model::state::{Legacy, Marker, MarkerStatus, StoreIdentity, StoreState};
use crate::store::{Observe, StoreError, StoreErrorKind};

impl RedisStore {
    pub(super) async fn read_state(&self, what: &Observe) -> Result<StoreState, StoreError> {
        let session = self.link.session();
        self.refuse_other_layout(session).await?;
        let ledger = self.read_ledger(session).await?;
        Ok(StoreState {
            identity: StoreIdentity::Redis {
                deployment_id: self.deployment_id.clone(),
                database: self.database,
                ledger: ledger.uuid,
            },
            ledger: ledger.entries,
            legacy: Legacy {
                golang_migrate: None,
                markers: self.markers(session, &what.markers).await?,
            },
            schema: None,
            lease: self.read_lease(session).await?,
            proofs: BTreeMap::new(),
            not_applicable: BTreeMap::new(),
        })
    }

    /// The markers of earlier tools. A key that holds something else than they wrote is an error: it must
    /// not count as "not applied".
    async fn markers(
        &self,
        session: Session<'_>,
        names: &[String],
    ) -> Result<BTreeMap<String, Marker>, StoreError> {
        let doing = "reading the markers of earlier tools";
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("HGETALL").arg(self.keys.marker(name));
        }
        let mut markers = BTreeMap::new();
        for (name, answer) in names.iter().zip(session.pipeline(doing, &pipeline).await?) {
            let broken = |reason: &str| {
                let reason = format!("{} {reason}", self.keys.marker(name));
                session.error(StoreErrorKind::Ledger { reason })
            };
            let value = match answer {
                Ok(value) => value,
                Err(error) if error.code() == Some("WRONGTYPE") => {
                    return Err(broken("is not a hash"));
                }
                Err(error) => return Err(session.refused(doing, &error)),
            };
            let fields: BTreeMap<String, String> = redis::from_redis_value(value)
                .map_err(|_| broken("holds something that is no text"))?;
            if fields.is_empty() {
                continue;
            }
            let status = fields
                .get("status")
                .ok_or_else(|| broken("has no status"))?;
            let status = match status.as_str() {
                "applied" => MarkerStatus::Applied,
                "not_applicable" => MarkerStatus::NotApplicable,
                other => MarkerStatus::Other(other.to_owned()),
            };
            for time in ["applied_at", "checked_at"]
                .iter()
                .filter_map(|field| fields.get(*field))
            {
                if time.parse::<jiff::Timestamp>().is_err() && time.parse::<u64>().is_err() {
                    return Err(broken(
                        "has a time that is neither RFC 3339 nor a number of seconds",
                    ));
                }
            }
            markers.insert(
                name.clone(),
                Marker {
                    status,
                    reason: fields.get("reason").cloned(),
                },
            );
        }
        Ok(markers)
    }

    /// Refuses a server that is laid out otherwise than outpost.toml says. HELLO is open to every user that
    /// may connect.
    pub(super) async fn refuse_other_layout(&self, session: Session<'_>) -> Result<(), StoreError> {
        if self.link.is_cluster() {
            // Asks for the slots, which a server that is no node of a cluster refuses.
            return session.masters().await.map(drop);
        }
        let doing = "asking what the server is";
        let Ok(answer) = session.ask(doing, &redis::cmd("HELLO")).await? else {
            // Before Redis 6 there is no HELLO; a cluster of that age answers our first key with MOVED.
            return Ok(());
        };
        let is_cluster = match answer {
            redis::Value::Array(parts) => parts.chunks(2).any(
                |pair| matches!(pair, [name, value] if is(name, "mode") && is(value, "cluster")),
            ),
            redis::Value::Map(pairs) => pairs
                .iter()
                .any(|(name, value)| is(name, "mode") && is(value, "cluster")),
            _ => false,
        };
        if is_cluster {
            let reason =
                "the server is a node of a cluster, and outpost.toml says nothing of one: set `cluster = true`"
                    .to_owned();
            return Err(session.error(StoreErrorKind::Server {
                doing: doing.to_owned(),
                reason,
            }));
        }
        Ok(())
    }
}

fn is(value: &redis::Value, text: &str) -> bool {
    match value {
        redis::Value::BulkString(bytes) => bytes == text.as_bytes(),
        redis::Value::SimpleString(found) => found == text,
        _ => false,
    }
}
