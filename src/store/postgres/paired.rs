//! A statement of a step outside a transaction that needs none: it shares a transaction of its own with its
//! checkpoint, so that no interruption comes between the two and has it run twice.

use super::PostgresStore;
use super::checkpoint::is_checkpoint;
use super::transaction::{Limits, Work};
use crate::model::plan::{PlannedStatement, SqlContent, Step};
use crate::model::sql::Script;
use crate::store::{Run, StoreError, StoreErrorKind};

/// What Postgres says to a statement that refuses a transaction, although its text did not tell: one of an
/// extension, or a procedure or DO block that commits by itself.
const REFUSALS: [&str; 2] = ["25001", "2D000"];

impl PostgresStore {
    /// Runs a statement together with its checkpoint, the `number`-th; false, and nothing has happened,
    /// where the statement refuses a transaction.
    pub(super) async fn run_with_checkpoint(
        &self,
        step: &Step,
        content: &SqlContent,
        statement: &PlannedStatement,
        record: &[String],
        number: usize,
        run: &Run<'_>,
    ) -> Result<bool, StoreError> {
        if !may_share(&content.path, statement) {
            return Ok(false);
        }
        let work = Work {
            step,
            statements: std::slice::from_ref(statement),
            limits: Limits {
                lock_ms: content.lock_timeout_ms.unwrap_or(0),
                statement_ms: content.statement_timeout_ms,
            },
            record: record.to_vec(),
        };
        let digest = run.plan.digest.hex();
        let outcome = self
            .carry_out(&work, run, |entry| is_checkpoint(entry, number, &digest))
            .await;
        match outcome {
            Ok(()) => Ok(true),
            Err(error) if refuses(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the text of a statement has nothing against a transaction. What the parser does not know is left
/// alone.
pub(super) fn may_share(file: &str, statement: &PlannedStatement) -> bool {
    let Ok(script) = Script::parse(file, &statement.text) else {
        return false;
    };
    script.problems.is_empty()
        && matches!(script.statements.as_slice(), [only] if only.class.outside_transaction.is_none())
}

/// Whether a statement failed since it refuses a transaction.
pub(super) fn refuses(error: &StoreError) -> bool {
    matches!(&error.kind, StoreErrorKind::Statement(error) if REFUSALS.contains(&error.code.as_str()))
}
