//! What is said and recorded of a step that failed.

use tokio_postgres::Error;
use tokio_postgres::error::ErrorPosition;

use super::errors::{self, private};
use super::script::{Script, excerpt};
use super::session::Session;
use super::{PostgresStore, history, lease};
use crate::model::lease::LEASE_TTL;
use crate::model::plan::{PlannedStatement, Step, StepContent};
use crate::store::error::StatementError;
use crate::store::{Run, StoreError, StoreErrorKind};

impl PostgresStore {
    /// The error of a transaction in the words of its migration.
    pub(super) fn explain(
        &self,
        step: &Step,
        session: &Session,
        script: &Script<'_>,
        passed: usize,
        error: &Error,
    ) -> StoreError {
        let message = || {
            error
                .as_db_error()
                .map_or_else(|| errors::words(error), |db| db.message().to_owned())
        };
        match errors::private_code(error) {
            Some(private::LEASE_LOST) => return self.fail(StoreErrorKind::LeaseLost),
            Some(private::GOLANG_LOCK | private::GOLANG_ROW) => {
                return self.fail(StoreErrorKind::EarlierTool { reason: message() });
            }
            Some(private::TRANSACTION_ENDED | private::NO_ENTRY) => {
                let doing = format!("recording {}", step.id);
                let reason = format!("{}: {}", step.id, message());
                return self.fail(StoreErrorKind::Server { doing, reason });
            }
            _ => {}
        }
        let position = match error.as_db_error().and_then(|db| db.position()) {
            Some(ErrorPosition::Original(position)) => Some(*position),
            _ => None,
        };
        match script.locate(position, passed) {
            Some((statement, line)) => self.statement_error(step, statement, line, error),
            None => session.error(&format!("recording {}", step.id), error),
        }
    }

    /// A failed statement with everything that the server said about it.
    pub(super) fn statement_error(
        &self,
        step: &Step,
        statement: &PlannedStatement,
        line: u32,
        error: &Error,
    ) -> StoreError {
        let db = error.as_db_error();
        let own = |text: Option<&str>| text.map(str::to_owned);
        let file = match &step.content {
            StepContent::Sql(content) => content.path.clone(),
            _ => step.id.to_string(),
        };
        self.fail(StoreErrorKind::Statement(Box::new(StatementError {
            id: step.id.clone(),
            file,
            line,
            statement: excerpt(&statement.text),
            message: db.map_or_else(|| errors::words(error), |db| db.message().to_owned()),
            // The driver's own refusals, such as of COPY FROM STDIN, have no code of the server's.
            code: db.map_or_else(|| "08P01".to_owned(), |db| db.code().code().to_owned()),
            detail: db.and_then(|db| own(db.detail())),
            hint: db.and_then(|db| own(db.hint())),
        })))
    }

    /// Writes into the history that a step failed.
    pub(super) async fn write_failure(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let digest = run.plan.digest.hex();
        let author = self.author(run, &digest);
        let detail = error.to_string().replace('\0', "");
        let sql = [
            "begin isolation level read committed".to_owned(),
            format!("set local lock_timeout = '{}ms'", LEASE_TTL.as_millis()),
            self.quoted(lease::check(run.lease.token()))?,
            self.quoted(lease::still_ours(run.lease.token()))?,
            history::SERIALISE.to_owned(),
            self.quoted(history::append(
                step,
                &author,
                "failed",
                Some(&detail),
                "now()",
            ))?,
            "commit".to_owned(),
        ];
        let session = self.connect().await?;
        if let Err(error) = session.rows(&sql.join(";\n")).await {
            session.roll_back().await;
            return Err(match errors::private_code(&error) {
                Some(private::LEASE_LOST) => self.fail(StoreErrorKind::LeaseLost),
                _ => session.error("recording a failure", &error),
            });
        }
        Ok(())
    }
}
