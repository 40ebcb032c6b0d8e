//! The ledger and the history: what is recorded, and in what form.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::RedisStore;
use super::link::{Session, slot};
use super::scripts::{self, Call};
use crate::model::history::{Failure, HistoryEntry};
use crate::model::id::MigrationId;
use crate::model::plan::{Action, Resolution, Step};
use crate::model::state::{Checkpoint, Doing, HowApplied, LedgerEntry, LedgerStatus};
use crate::store::{Run, StoreError, StoreErrorKind};

/// The form of the ledger that this version reads and writes.
const FORMAT: &str = "1";

/// The named values of a history entry, in the order in which they are hashed.
const HISTORY: [&str; 10] = [
    "id",
    "action",
    "outcome",
    "detail",
    "plan",
    "actor",
    "host",
    "tool",
    "started_at",
    "ended_at",
];

/// The value that is hashed behind these, in the entries of a plan that was signed.
const SIGNER: &str = "signer";

/// The ledger as read.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) uuid: Option<String>,
    pub(super) entries: BTreeMap<MigrationId, LedgerEntry>,
}

/// What becomes of the marker of earlier tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Untouched,
    Applied,
    NotApplicable { reason: String },
    Gone,
}

impl RedisStore {
    /// The server's clock, RFC 3339 in UTC.
    pub(super) async fn now(&self, session: Session<'_>) -> Result<String, StoreError> {
        let doing = "asking for the time";
        let (seconds, micros): (i64, i64) = session.query(doing, &redis::cmd("TIME")).await?;
        jiff::Timestamp::from_microsecond(seconds.saturating_mul(1_000_000).saturating_add(micros))
            .map(|time| time.to_string())
            .map_err(|e| session.unexpected(doing, &e))
    }

    /// Reads the ledger. One that is not there is empty; one that cannot be read is an error.
    pub(super) async fn read_ledger(&self, session: Session<'_>) -> Result<Ledger, StoreError> {
        let doing = "reading the ledger";
        let broken = |reason: String| session.error(StoreErrorKind::Ledger { reason });
        let key = self.keys.ledger();
        let fields: Vec<(String, Vec<u8>)> =
            match session.ask(doing, redis::cmd("HGETALL").arg(&key)).await? {
                Ok(value) => {
                    redis::from_redis_value(value).map_err(|e| broken(format!("{key}: {e}")))?
                }
                Err(error) if error.code() == Some("WRONGTYPE") => {
                    return Err(broken(format!("{key} is not a hash")));
                }
                Err(error) => return Err(session.refused(doing, &error)),
            };
        let mut ledger = Ledger::default();
        for (field, value) in fields {
            match field.as_str() {
                "uuid" => ledger.uuid = Some(String::from_utf8_lossy(&value).into_owned()),
                "format" if value == FORMAT.as_bytes() => {}
                "format" => {
                    return Err(broken(format!(
                        "{key} has format {}",
                        String::from_utf8_lossy(&value)
                    )));
                }
                id => {
                    let id: MigrationId = id.parse().map_err(|e| broken(format!("{key}: {e}")))?;
                    let entry = serde_json::from_slice(&value)
                        .map_err(|e| broken(format!("{key}, {id}: {e}")))?;
                    ledger.entries.insert(id, entry);
                }
            }
        }
        Ok(ledger)
    }

    /// An entry as this run writes it.
    pub(super) async fn entry(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        status: LedgerStatus,
        checkpoint: Option<Checkpoint>,
    ) -> Result<LedgerEntry, StoreError> {
        Ok(LedgerEntry {
            status,
            checksum: step.checksum,
            plan: run.plan.digest.hex(),
            at: self.now(session).await?,
            actor: run.lease.holder.user.clone(),
            checkpoint,
            down: None,
        })
    }

    /// Says how far the step got.
    pub(super) async fn checkpoint(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        doing: Doing,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        let status = LedgerStatus::Partial { doing };
        let entry = self
            .entry(session, step, run, status, Some(checkpoint))
            .await?;
        Call::fenced(&scripts::CHECKPOINT, &self.keys, run.lease)
            .counted(&self.ours)
            .key(self.keys.ledger())
            .arg(step.id.to_string())
            .arg(json(session, &entry)?)
            .arg(entry.plan.as_str())
            .confirmed(session, "writing a checkpoint")
            .await
    }

    /// Records the end of a step: ledger, history and marker in one atomic unit.
    pub(super) async fn record(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        started_at: &str,
    ) -> Result<(), StoreError> {
        let before = self.read_ledger(session).await?.entries.remove(&step.id);
        let status = status_after(&step.action, before.as_ref());
        let entry = self.entry(session, step, run, status, None).await?;
        let text = json(session, &entry)?;
        let detail = match &step.action {
            Action::Skip { reason } => reason.clone(),
            Action::Adopt { proof } => proof.clone(),
            _ => String::new(),
        };
        self.append(session, step, run, Some(text), "done", &detail, started_at)
            .await
    }

    /// Writes to the history that a step failed; the ledger stays.
    pub(super) async fn record_failed(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let session = self.link.session();
        let now = self.now(session).await?;
        self.append(session, step, run, None, "failed", &error.to_string(), &now)
            .await
    }

    #[allow(clippy::too_many_arguments)]
    async fn append(
        &self,
        session: Session<'_>,
        step: &Step,
        run: &Run<'_>,
        entry: Option<Vec<u8>>,
        outcome: &str,
        detail: &str,
        started_at: &str,
    ) -> Result<(), StoreError> {
        let now = self.now(session).await?;
        let (mark, name) = match (&entry, self.compat_name(step, run)?) {
            (Some(_), Some(name)) if run.plan.decision.config.outpost_redis => {
                (mark_after(&step.action), name)
            }
            _ => (Mark::Untouched, String::new()),
        };
        let (mark, reason) = match &mark {
            Mark::Untouched => ("", ""),
            Mark::Applied => ("applied", ""),
            Mark::NotApplicable { reason } => ("not_applicable", reason.as_str()),
            Mark::Gone => ("gone", ""),
        };
        let holder = &run.lease.holder;
        let (id, plan) = (step.id.to_string(), run.plan.digest.hex());
        let values: [&str; HISTORY.len()] = [
            &id,
            step.action.name(),
            outcome,
            detail,
            &plan,
            &holder.user,
            &holder.host,
            env!("CARGO_PKG_VERSION"),
            started_at,
            &now,
        ];
        let mut beside = mark;
        if self.link.is_cluster() && !mark.is_empty() {
            // The marker lies in a slot of its own. It is written first: all that it says is done by then,
            // and a run that is interrupted here does both again.
            let marker = self.keys.marker(&name);
            let call = Call::on_keys(
                &scripts::MARK,
                &self.keys,
                run.lease,
                Some(slot(marker.as_bytes())),
            )
            .key(marker)
            .arg(mark)
            .arg(now.as_str())
            .arg(reason);
            let doing = "writing a marker";
            for answer in self.run_calls(session, run.lease, &[call], doing).await? {
                scripts::confirm(session, doing, &answer)?;
            }
            beside = "";
        }
        let marker = if self.link.is_cluster() {
            self.keys.ledger()
        } else {
            self.keys.marker(&name)
        };
        let mut call = Call::fenced(&scripts::RECORD, &self.keys, run.lease)
            .key(self.keys.ledger())
            .key(self.keys.history())
            .key(marker)
            .arg(id.as_str())
            .arg(entry.unwrap_or_default())
            .arg(beside)
            .arg(now.as_str())
            .arg(reason)
            .arg(uuid::Uuid::new_v4().to_string());
        for (name, value) in HISTORY.into_iter().zip(values) {
            call = call.arg(name).arg(value);
        }
        if let Some(signer) = &holder.signer {
            call = call.arg(SIGNER).arg(signer.as_str());
        }
        call.confirmed(session, "recording the step").await
    }

    /// Of these migrations those whose last entry is a failure, among the newest entries: a stream has no index,
    /// and a failure that somebody asks about is no old one.
    pub(super) async fn read_failures(
        &self,
        of: &BTreeSet<MigrationId>,
    ) -> Result<BTreeMap<MigrationId, Failure>, StoreError> {
        const NEWEST: u64 = 1000;
        let session = self.link.session();
        let doing = "reading the history";
        let mut command = redis::cmd("XREVRANGE");
        let history = self.keys.history();
        command
            .arg(history)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(NEWEST);
        let value: Value = session.query(doing, &command).await?;
        let entries: Vec<(String, BTreeMap<String, String>)> =
            redis::from_redis_value(value).map_err(|e| session.unexpected(doing, &e))?;
        let mut last = BTreeMap::new();
        for (_, fields) in entries {
            let text = |name: &str| fields.get(name).map_or("", String::as_str);
            if let Ok(id) = text("id").parse::<MigrationId>() {
                let (outcome, action) = (text("outcome"), text("action"));
                last.entry(id).or_insert_with(|| {
                    Failure::new(outcome, action, text("ended_at"), Some(text("detail")))
                });
            }
        }
        last.retain(|id, _| of.contains(id));
        Ok(last
            .into_iter()
            .filter_map(|(id, failure)| Some((id, failure?)))
            .collect())
    }

    /// The history, oldest first, each entry's hash computed again.
    pub(super) async fn read_history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let session = self.link.session();
        let doing = "reading the history";
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys.history()).arg("-").arg("+");
        let value: Value = session.query(doing, &command).await?;
        let entries: Vec<(String, BTreeMap<String, String>)> =
            redis::from_redis_value(value).map_err(|e| session.unexpected(doing, &e))?;
        let mut previous = String::new();
        let mut history = Vec::with_capacity(entries.len());
        for (seq, mut fields) in entries {
            let mut text = format!("{}:{previous}", previous.len());
            for name in HISTORY {
                let value = fields.get(name).map_or("", String::as_str);
                text.push_str(&format!("{}:{value}", value.len()));
            }
            let signer = fields.remove(SIGNER);
            if let Some(value) = &signer {
                text.push_str(&format!("{}:{value}", value.len()));
            }
            let mut take = |name: &str| fields.remove(name).unwrap_or_default();
            let (hash, before) = (take("hash"), take("previous"));
            let intact =
                before == previous && hash == sha1_smol::Sha1::from(&text).digest().to_string();
            history.push(HistoryEntry {
                seq,
                id: take("id"),
                action: take("action"),
                outcome: take("outcome"),
                detail: Some(take("detail")).filter(|detail| !detail.is_empty()),
                plan: take("plan"),
                signer,
                actor: take("actor"),
                host: take("host"),
                tool: take("tool"),
                started_at: take("started_at"),
                ended_at: take("ended_at"),
                previous: before,
                hash: hash.clone(),
                intact,
            });
            previous = hash;
        }
        Ok(history)
    }
}

fn json(session: Session<'_>, entry: &LedgerEntry) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(entry).map_err(|e| {
        session.error(StoreErrorKind::Ledger {
            reason: e.to_string(),
        })
    })
}

/// Where a migration stands once the step is done.
fn status_after(action: &Action, before: Option<&LedgerEntry>) -> LedgerStatus {
    let how_before = match before.map(|entry| &entry.status) {
        Some(LedgerStatus::Applied { how, .. }) => *how,
        _ => HowApplied::Run,
    };
    match action {
        Action::Apply => LedgerStatus::Applied {
            how: HowApplied::Run,
            cleaned: false,
        },
        Action::Adopt { .. } => LedgerStatus::Applied {
            how: HowApplied::Adopted,
            cleaned: false,
        },
        Action::Resolve(Resolution::Applied) => LedgerStatus::Applied {
            how: HowApplied::Resolved,
            cleaned: false,
        },
        Action::Cleanup => LedgerStatus::Applied {
            how: how_before,
            cleaned: true,
        },
        Action::AcceptEdit { .. } => before.map_or(
            LedgerStatus::Applied {
                how: HowApplied::Run,
                cleaned: false,
            },
            |entry| entry.status.clone(),
        ),
        Action::Skip { reason } => LedgerStatus::Skipped {
            reason: reason.clone(),
        },
        Action::Revert { .. } | Action::Resolve(Resolution::RolledBack) => LedgerStatus::Reverted,
    }
}

/// What the step makes of the marker of earlier tools.
fn mark_after(action: &Action) -> Mark {
    match action {
        Action::Apply | Action::Resolve(Resolution::Applied) => Mark::Applied,
        Action::Revert { .. } | Action::Resolve(Resolution::RolledBack) => Mark::Gone,
        Action::Skip { reason } => Mark::NotApplicable {
            reason: reason.clone(),
        },
        // An adopted one is there; the others change nothing about it.
        Action::Adopt { .. } | Action::Cleanup | Action::AcceptEdit { .. } => Mark::Untouched,
    }
}
