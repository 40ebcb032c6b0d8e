//! How far a step outside a transaction has come: written to the ledger after each statement, and read when a
//! run resumes.

use super::ledger::{self, rfc3339};
use super::quote::literal;
use super::transaction::{Limits, Work};
use super::{PostgresStore, history};
use crate::model::event::Event;
use crate::model::lease::LEASE_TTL;
use crate::model::plan::{SqlContent, Step};
use crate::model::state::{Doing, LedgerEntry, LedgerStatus};
use crate::store::{Run, StoreError};

/// How far an earlier run of the same file came.
pub(super) struct Reached {
    /// Statements that are done.
    pub(super) done: usize,
    /// Whether an earlier run began, so that it may have sent the next statement too.
    pub(super) begun: bool,
    /// The time by the server's clock, as a literal.
    pub(super) now: String,
}

impl Reached {
    fn nothing(now: String) -> Self {
        Self {
            done: 0,
            begun: false,
            now,
        }
    }
}

impl PostgresStore {
    /// Where to go on.
    pub(super) async fn checkpoint(
        &self,
        step: &Step,
        content: &SqlContent,
        doing: Doing,
        run: &Run<'_>,
    ) -> Result<Reached, StoreError> {
        let session = self.connect().await?;
        let reading = "reading the checkpoint";
        let sql = format!(
            "select {}, m.statements_done, m.content from (select 1) as always \
             left join outpost.migration m on m.id = {} and m.status = 'partial'",
            rfc3339("clock_timestamp()"),
            self.quoted(literal(&step.id.to_string()))?,
        );
        let rows = session
            .rows(&sql)
            .await
            .map_err(|e| session.error(reading, &e))?;
        let column = |i: usize| rows.first().and_then(|row| row.get(i).cloned().flatten());
        let now = format!(
            "{}::timestamptz",
            self.quoted(literal(&column(0).unwrap_or_default()))?
        );
        let entry = self.entry(&session, &step.id).await?;
        if !entry.is_some_and(|e| e.status == LedgerStatus::Partial { doing }) {
            return Ok(Reached::nothing(now));
        }
        let done = column(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        let edited = column(2) != Some(content.checksum.to_string());
        if edited && done > 0 {
            run.events.emit(Event::Note {
                id: step.id.clone(),
                message: format!(
                    "{} was edited since {done} of its statements were run; beginning with the first one again",
                    content.path
                ),
            });
        }
        Ok(Reached {
            done: if edited { 0 } else { done },
            begun: true,
            now,
        })
    }

    /// Writes a checkpoint in a transaction of its own.
    pub(super) async fn write_checkpoint(
        &self,
        step: &Step,
        content: &SqlContent,
        doing: Doing,
        done: usize,
        run: &Run<'_>,
    ) -> Result<(), StoreError> {
        let work = Work {
            step,
            statements: &[],
            limits: bookkeeping(),
            record: self.checkpoint_record(step, content, doing, done, run)?,
        };
        self.carry_out(&work, run, |entry| {
            is_checkpoint(entry, done, &run.plan.digest.hex())
        })
        .await
    }

    /// The commands that write a checkpoint.
    pub(super) fn checkpoint_record(
        &self,
        step: &Step,
        content: &SqlContent,
        doing: Doing,
        done: usize,
        run: &Run<'_>,
    ) -> Result<Vec<String>, StoreError> {
        let digest = run.plan.digest.hex();
        let author = self.author(run, &digest);
        let partial = ledger::partial(step, doing, done, &content.checksum, &author);
        Ok(vec![history::SERIALISE.to_owned(), self.quoted(partial)?])
    }
}

/// Whether an entry says that so many statements are done.
pub(super) fn is_checkpoint(entry: Option<&LedgerEntry>, done: usize, digest: &str) -> bool {
    entry.is_some_and(|entry| {
        entry.plan == digest
            && entry
                .checkpoint
                .as_ref()
                .is_some_and(|checkpoint| checkpoint.statements_done == done)
    })
}

/// Limits of transactions that only keep the books.
pub(super) fn bookkeeping() -> Limits {
    Limits {
        lock_ms: u64::try_from(LEASE_TTL.as_millis()).unwrap_or(u64::MAX),
        statement_ms: 0,
    }
}
