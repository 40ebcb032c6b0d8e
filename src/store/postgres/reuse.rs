//! Connections that serve one step after another.
//!
//! A step must not depend on what ran before it on the same connection: a resumed run begins with a new one.
//! So nothing of a session outlives its step (`discard all`), and where the defaults that a new session
//! would begin with were changed meanwhile, by this plan or by somebody else, a new one is opened.

use std::time::Duration;

use super::PostgresStore;
use super::session::Session;
use crate::store::StoreError;

/// How long a connection that lay idle may take to answer before a new one is opened: the network may have
/// forgotten it without a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `alter role … set` and `alter database … set` give to a new session.
const DEFAULTS: &str = "select coalesce(md5(string_agg(s::text, ',' order by s::text)), '') \
     from pg_catalog.pg_db_role_setting s";

/// A connection and the defaults that it began with.
pub(super) struct Reusable {
    pub(super) session: Session,
    defaults: String,
}

impl PostgresStore {
    /// A connection for a step: one that another step gave back, as good as new, or a new one.
    pub(super) async fn connect_for_step(&self) -> Result<Reusable, StoreError> {
        while let Some(idle) = self.pop_idle() {
            // One that cannot be made new again is dropped; opening says what is wrong, if anything is.
            if let Ok(true) = tokio::time::timeout(PATIENCE, idle.refresh()).await {
                return Ok(idle);
            }
        }
        let session = self.connect().await?;
        let defaults = defaults(&session)
            .await
            .map_err(|e| session.error("reading the defaults of sessions", &e))?;
        Ok(Reusable { session, defaults })
    }

    /// Takes back a connection whose last message was answered in full.
    pub(super) fn give_back(&self, reusable: Reusable) {
        self.idle().push(reusable);
    }

    fn pop_idle(&self) -> Option<Reusable> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reusable>> {
        // A list of connections is as good after a panic as before it.
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Reusable {
    /// Makes the session new again; whether it is.
    async fn refresh(&self) -> bool {
        // Two messages, since `discard all` refuses company, and one round trip: both are on their way
        // before the first is answered.
        let (discarded, defaults) =
            tokio::join!(self.session.rows("discard all"), defaults(&self.session));
        discarded.is_ok() && defaults.is_ok_and(|now| now == self.defaults)
    }
}

async fn defaults(session: &Session) -> Result<String, tokio_postgres::Error> {
    let rows = session.rows(DEFAULTS).await?;
    Ok(rows
        .into_iter()
        .flatten()
        .next()
        .flatten()
        .unwrap_or_default())
}
