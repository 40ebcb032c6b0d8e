//! One connection and the simple queries that go through it.
//!
//! A session serves one operation and is then dropped, or made new again (`reuse.rs`): nothing of its state
//! can leak into the next one, whatever the statements of a migration set.

use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::address::{CONNECT_TIMEOUT, Target};
use super::{errors, tls};
use crate::store::{StoreError, StoreErrorKind};

/// How often a cancel request is repeated: one that meets the server between two statements is lost.
const CANCEL_AGAIN: Duration = Duration::from_secs(1);

/// How long the server may take to answer a cancel request before the connection is given up.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
pub(super) struct Session {
    client: Client,
    tls: MakeRustlsConnect,
    shown: String,
    database: String,
}

/// A row as text.
pub(super) type Row = Vec<Option<String>>;

/// What a server says while it carries a message out.
pub(super) enum Said {
    /// A row of a command's answer.
    Row(Row),
    /// A command is done.
    Completed,
}

/// How a message ended.
pub(super) enum Sent {
    /// The server answered it in full.
    Done,
    /// The server or the driver refused it.
    Failed(Error),
    /// It was cancelled at the caller's wish, and the server says so.
    Cancelled,
    /// It was to be cancelled, and the server did not say what became of it.
    Unanswered,
}

/// The fields of a row.
///
/// # Errors
/// Text that is no UTF-8, which a database in SQL_ASCII may hold.
fn fields(row: &SimpleQueryRow) -> Result<Row, Error> {
    (0..row.len())
        .map(|i| Ok(row.try_get(i)?.map(str::to_owned)))
        .collect()
}

/// How long to wait for a session: the limit for a TCP connection to each host, and once more for the handshake.
fn patience(config: &Config) -> Duration {
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    let limit = config
        .get_connect_timeout()
        .copied()
        .unwrap_or(CONNECT_TIMEOUT);
    limit.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX).saturating_add(1))
}

impl Session {
    /// Connects.
    pub(super) async fn open(target: &Target) -> Result<Self, StoreError> {
        let fail = |kind| errors::at(&target.shown, kind);
        let tls = tls::connector(target.tls, &target.files)
            .map_err(|problem| fail(StoreErrorKind::Tls(problem)))?;
        // The driver's own limit ends with the TCP connection; what answers nothing on it would be waited for
        // without end.
        let patience = patience(&target.config);
        let (client, connection) =
            tokio::time::timeout(patience, target.config.connect(tls.clone()))
                .await
                .map_err(|_| fail(errors::no_answer(patience)))?
                .map_err(|e| fail(errors::while_connecting(&e, &target.database)))?;
        // It ends by itself when the client is dropped; its error is the client's error too.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self {
            client,
            tls,
            shown: target.shown.clone(),
            database: target.database.clone(),
        })
    }

    /// Names an error of this connection. `doing` completes "while ...".
    pub(super) fn error(&self, doing: &str, error: &Error) -> StoreError {
        errors::at(
            &self.shown,
            errors::while_doing(error, doing, &self.database),
        )
    }

    /// Where it goes, for messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Runs statements and returns the rows of each.
    pub(super) async fn results(&self, sql: &str) -> Result<Vec<Vec<Row>>, Error> {
        let mut sets = Vec::new();
        let mut rows = Vec::new();
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::Row(row) => rows.push(fields(&row)?),
                SimpleQueryMessage::CommandComplete(_) => sets.push(std::mem::take(&mut rows)),
                _ => {}
            }
        }
        Ok(sets)
    }

    /// Runs statements and returns all their rows.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<Row>, Error> {
        Ok(self.results(sql).await?.into_iter().flatten().collect())
    }

    /// Runs statements, giving what the server says to `see` as it comes, until they end or `cancel` is cancelled.
    pub(super) async fn send(
        &self,
        sql: &str,
        cancel: &CancellationToken,
        mut see: impl FnMut(Said) + Send,
    ) -> Sent {
        let stream = match self.client.simple_query_raw(sql).await {
            Ok(stream) => stream,
            Err(error) => return Sent::Failed(error),
        };
        pin_mut!(stream);
        let mut take = |message| {
            match message {
                SimpleQueryMessage::Row(row) => see(Said::Row(fields(&row)?)),
                SimpleQueryMessage::CommandComplete(_) => see(Said::Completed),
                _ => {}
            }
            Ok(())
        };
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = cancel.cancelled() => break,
            };
            match message {
                None => return Sent::Done,
                Some(message) => {
                    if let Err(error) = message.and_then(&mut take) {
                        return Sent::Failed(error);
                    }
                }
            }
        }
        let ending = async {
            loop {
                let message = tokio::select! {
                    message = stream.next() => message,
                    () = self.keep_cancelling() => continue,
                };
                match message {
                    None => return Sent::Done,
                    Some(Err(error)) if errors::is_cancelled(&error) => return Sent::Cancelled,
                    Some(message) => {
                        if let Err(error) = message.and_then(&mut take) {
                            return Sent::Failed(error);
                        }
                    }
                }
            }
        };
        tokio::time::timeout(CANCEL_PATIENCE, ending)
            .await
            .unwrap_or(Sent::Unanswered)
    }

    /// Asks the server to cancel what runs, and waits a moment.
    async fn keep_cancelling(&self) {
        // A request that does not arrive is repeated like one that comes too early.
        let _ = self
            .client
            .cancel_token()
            .cancel_query(self.tls.clone())
            .await;
        tokio::time::sleep(CANCEL_AGAIN).await;
    }

    /// Ends a failed transaction, so that a pooler can use the server's connection again.
    pub(super) async fn roll_back(&self) {
        // Where even this fails, the server rolls back when the connection ends.
        let _ = self.client.batch_execute("rollback").await;
    }
}
