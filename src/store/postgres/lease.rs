//! The lease: one row, whose token fences every transaction. All times are the server's.

use super::ledger::rfc3339;
use super::quote::{do_block, literal};
use super::session::{Row, Session};
use super::{PostgresStore, errors, history, ledger, orphan};
use crate::model::lease::{Holder, LEASE_TTL, LeaseInfo};
use crate::store::error::StoreError;
use crate::store::{Lease, StoreErrorKind};

/// How often the takeover is tried again when the connection breaks in the middle of it.
const TRIES: u32 = 5;

fn expiry() -> String {
    format!(
        "clock_timestamp() + interval '{} milliseconds'",
        LEASE_TTL.as_millis()
    )
}

/// What opens every transaction that writes: the token must be in the ledger and must not have expired.
///
/// Settings of the transaction's own remember its id and its role; `still_ours` compares them.
pub(super) fn check(token: u64) -> Result<String, super::quote::HoldsNul> {
    do_block(&format!(
        "begin if not exists (select from outpost.lease where token = {token} and expires_at > clock_timestamp()) \
         then raise exception using errcode = '{lost}', message = 'the lease was lost'; end if; \
         perform set_config('outpost.transaction', txid_current()::text, true); \
         perform set_config('outpost.role', current_setting('role'), true); end",
        lost = errors::private::LEASE_LOST,
    ))
}

/// What comes right before the ledger is written: it is still the transaction that `check` opened, and
/// the token's row is held so that a takeover waits for the commit, or has happened and prevents it.
///
/// The limits that the migration chose end here. A statement may have changed the role.
pub(super) fn still_ours(token: u64) -> Result<String, super::quote::HoldsNul> {
    do_block(&format!(
        "begin \
         if current_setting('outpost.transaction', true) is distinct from txid_current()::text then \
           raise exception using errcode = '{ended}', \
             message = 'a statement of the migration ended the transaction'; end if; \
         if current_setting('role') <> current_setting('outpost.role') then \
           perform set_config('role', current_setting('outpost.role'), true); end if; \
         perform set_config('lock_timeout', '{ttl}ms', true); \
         perform set_config('statement_timeout', '0', true); \
         perform 1 from outpost.lease where token = {token} for key share; \
         if not found then raise exception using errcode = '{lost}', message = 'the lease was lost'; end if; \
         end",
        ended = errors::private::TRANSACTION_ENDED,
        lost = errors::private::LEASE_LOST,
        ttl = LEASE_TTL.as_millis(),
    ))
}

/// Who holds the lease; the ledger must exist.
pub(super) async fn read(session: &Session) -> Result<Option<LeaseInfo>, StoreError> {
    let sql = format!(
        "select id, token, holder, {}, \
         (extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint from outpost.lease",
        rfc3339("since")
    );
    let rows = session
        .rows(&sql)
        .await
        .map_err(|e| session.error("reading the lease", &e))?;
    rows.first()
        .map(|row| {
            info(row).ok_or_else(|| {
                let reason = "outpost.lease holds something unknown".to_owned();
                errors::at(session.shown(), StoreErrorKind::Ledger { reason })
            })
        })
        .transpose()
}

fn info(row: &Row) -> Option<LeaseInfo> {
    let text = |column: usize| row.get(column).cloned().flatten();
    Some(LeaseInfo {
        id: text(0)?,
        token: text(1)?.parse().ok()?,
        holder: Some(serde_json::from_str(&text(2)?).ok()?),
        since: text(3)?,
        expires_in_ms: text(4)?.parse().ok()?,
    })
}

impl PostgresStore {
    pub(super) async fn acquire_lease(
        &self,
        id: &str,
        holder: &Holder,
    ) -> Result<Lease, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_acquire(id, holder).await {
                // Asking again with the same id finds the lease that the lost answer was about.
                Err(error)
                    if tries < TRIES
                        && matches!(error.kind, StoreErrorKind::Disconnected { .. }) =>
                {
                    self.pause(tries).await;
                }
                other => return other,
            }
        }
    }

    async fn try_acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        let session = self.connect().await?;
        ledger::ensure(&session).await?;
        if holder.signer.is_some() {
            history::ensure_signer(&session).await?;
        }
        // Looked at first, so that nobody queues behind a run that goes on for hours.
        if let Some(info) = read(&session)
            .await?
            .filter(|info| !info.expired() && info.id != id)
        {
            return Err(self.fail(StoreErrorKind::LeaseHeld(Box::new(info))));
        }
        let server = |reason: String| {
            let doing = "taking the lease".to_owned();
            self.fail(StoreErrorKind::Server { doing, reason })
        };
        let json = serde_json::to_string(holder).map_err(|e| server(e.to_string()))?;
        let expiry = expiry();
        let quoted_id = literal(id).map_err(|e| e.at(session.shown()))?;
        let end_doomed = orphan::end_doomed(&quoted_id).map_err(|e| e.at(session.shown()))?;
        let sql = format!(
            "begin isolation level read committed; set local lock_timeout = '{ttl}ms'; \
             insert into outpost.lease as held (token, id, holder, since, expires_at) \
             values (nextval('outpost.token'), {id}, {json}::jsonb, clock_timestamp(), {expiry}) \
             on conflict (one) do update set token = excluded.token, id = excluded.id, \
             holder = excluded.holder, since = excluded.since, expires_at = {expiry} \
             where held.expires_at <= clock_timestamp() or held.id = excluded.id returning token; commit; {end_doomed}",
            ttl = LEASE_TTL.as_millis(),
            id = quoted_id,
            json = literal(&json).map_err(|e| e.at(session.shown()))?,
        );
        let rows = match session.rows(&sql).await {
            Ok(rows) => rows,
            Err(error) => {
                session.roll_back().await;
                return Err(session.error("taking the lease", &error));
            }
        };
        match rows
            .first()
            .and_then(|row| row.first()?.as_ref()?.parse().ok())
        {
            Some(token) => Ok(Lease::new(id.to_owned(), holder.clone(), token)),
            None => match read(&session).await? {
                Some(info) => Err(self.fail(StoreErrorKind::LeaseHeld(Box::new(info)))),
                None => Err(server(
                    "it was released at the same moment; try again".to_owned(),
                )),
            },
        }
    }

    pub(super) async fn renew_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        // By id: the token may be rising at this moment, and an id belongs to one run for ever. An
        // expired lease that nobody took is still ours.
        let sql = format!(
            "update outpost.lease set expires_at = {} where id = $id returning 1",
            expiry()
        );
        match self.by_id(&sql, &lease.id, "renewing the lease").await? {
            true => Ok(()),
            false => Err(self.fail(StoreErrorKind::LeaseLost)),
        }
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let sql = "delete from outpost.lease where id = $id returning 1";
        self.by_id(sql, &lease.id, "releasing the lease")
            .await
            .map(drop)
    }

    pub(super) async fn break_lease_of(&self, id: &str) -> Result<(), StoreError> {
        let session = self.connect().await?;
        if ledger::identity(&session).await?.is_none() {
            return Err(self.fail(StoreErrorKind::LeaseLost));
        }
        let sql = "delete from outpost.lease where id = $id returning 1";
        match self.by_id(sql, id, "breaking the lease").await? {
            true => Ok(()),
            false => Err(self.fail(StoreErrorKind::LeaseLost)),
        }
    }

    /// Runs a statement on the row with this id; whether there was one.
    async fn by_id(&self, sql: &str, id: &str, doing: &str) -> Result<bool, StoreError> {
        let session = self.connect().await?;
        let id = literal(id).map_err(|e| e.at(session.shown()))?;
        let rows = session
            .rows(&sql.replace("$id", &id))
            .await
            .map_err(|e| session.error(doing, &e))?;
        Ok(!rows.is_empty())
    }

    /// Raises our own token. This waits for a transaction that still holds the old one on its way to its
    /// commit, and keeps one that comes later from committing.
    pub(super) async fn raise_token(
        &self,
        session: &Session,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.raising.lock().await;
        let sql = format!(
            "update outpost.lease set token = nextval('outpost.token'), expires_at = {} \
             where id = $id returning token",
            expiry(),
        );
        let id = literal(&lease.id).map_err(|e| e.at(session.shown()))?;
        let rows = session
            .rows(&sql.replace("$id", &id))
            .await
            .map_err(|e| session.error("raising the lease's token", &e))?;
        match rows
            .first()
            .and_then(|row| row.first()?.as_ref()?.parse().ok())
        {
            Some(token) => {
                lease.raise(token);
                Ok(())
            }
            None => Err(self.fail(StoreErrorKind::LeaseLost)),
        }
    }

    /// Whether the token is another one than `used` by now, because a step of this run raised it.
    pub(super) async fn token_rose(&self, lease: &Lease, used: u64) -> bool {
        let _until_it_is_stored = self.raising.lock().await;
        lease.token() != used
    }
}
