//! Verification: every query of a `.verify.sql`, read-only, over all its rows.

use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use super::quote::literal;
use super::session::{Row, Said, Sent, Session};
use super::{PostgresStore, READ_LOCK_TIMEOUT, errors};
use crate::model::id::MigrationId;
use crate::model::migration::{Content, Migration, SqlMigration};
use crate::model::plan::{PlannedStatement, SqlContent, Step};
use crate::model::sql::IndexAction;
use crate::model::verification::{Check, CheckOutcome, Verification};
use crate::store::error::StatementError;
use crate::store::{StoreError, StoreErrorKind};

/// How many characters of a row a finding shows.
const ROW_SHOWN: usize = 200;

/// Where a query stands, for messages.
struct Place<'a> {
    id: &'a MigrationId,
    file: &'a str,
}

impl PostgresStore {
    pub(super) async fn verify_migration(
        &self,
        migration: &Migration,
    ) -> Result<Verification, StoreError> {
        let Content::Sql(sql) = &migration.content else {
            return Ok(Verification::default());
        };
        let id = &migration.id;
        let connection = self.connect_for_step().await?;
        let session = &connection.session;
        let mut checks = Vec::new();
        match &sql.verify {
            None => {
                let mut check = Check::new(Some(id.clone()), ".verify.sql", "query");
                check.outcome = CheckOutcome::Unchecked;
                checks.push(check);
            }
            Some(file) => {
                let place = Place {
                    id,
                    file: &file.path,
                };
                let queries: Vec<PlannedStatement> =
                    file.script.statements.iter().map(Into::into).collect();
                for query in &queries {
                    let name = match queries.len() {
                        1 => ".verify.sql".to_owned(),
                        _ => format!(".verify.sql, line {}", query.line),
                    };
                    checks.push(self.check_query(session, &place, query, name).await?);
                }
            }
        }
        checks.extend(self.check_indexes(session, id, sql).await?);
        self.give_back(connection);
        Ok(Verification {
            checks,
            ..Verification::default()
        })
    }

    /// Before a cleanup removes anything, its migration's verification must hold.
    pub(super) async fn check_before_cleanup(
        &self,
        step: &Step,
        content: &SqlContent,
    ) -> Result<(), StoreError> {
        if content.verify.is_empty() {
            return Ok(());
        }
        let session = self.connect().await?;
        let file = format!(
            "{}.verify.sql",
            content.path.trim_end_matches(".cleanup.sql")
        );
        let place = Place {
            id: &step.id,
            file: &file,
        };
        let mut findings = Vec::new();
        for query in &content.verify {
            let check = self
                .check_query(&session, &place, query, String::new())
                .await?;
            findings.extend(check.findings);
        }
        if findings.is_empty() {
            return Ok(());
        }
        Err(self.fail(StoreErrorKind::Unverified {
            id: step.id.clone(),
            findings,
        }))
    }

    /// Runs one query. No row passes, and so does a row of nothing but true.
    async fn check_query(
        &self,
        session: &Session,
        place: &Place<'_>,
        query: &PlannedStatement,
        name: String,
    ) -> Result<Check, StoreError> {
        let mut check = Check::new(Some(place.id.clone()), name, "query");
        check.examined = 1;
        let begin = format!("begin read only; {READ_LOCK_TIMEOUT}");
        session
            .rows(&begin)
            .await
            .map_err(|e| session.error("verifying", &e))?;
        let at = format!("{}:{}", place.file, query.line);
        let sent = session
            .send(&query.text, &CancellationToken::new(), |said| {
                if let Said::Row(row) = said
                    && !row.iter().all(|value| value.as_deref() == Some("t"))
                {
                    check.fail(format!("{at}: {}", shown(&row)));
                }
            })
            .await;
        session.roll_back().await;
        let Sent::Failed(error) = sent else {
            return Ok(check);
        };
        // What is not there is a finding; what may not be read, or does not answer, is an error.
        let missing = error.code().is_some_and(|code| {
            let missing = [
                &SqlState::UNDEFINED_TABLE,
                &SqlState::UNDEFINED_COLUMN,
                &SqlState::UNDEFINED_FUNCTION,
                &SqlState::UNDEFINED_OBJECT,
                &SqlState::INVALID_SCHEMA_NAME,
            ];
            missing.contains(&code)
        });
        if missing {
            check.fail(format!("{at}: {}", errors::words(&error)));
            return Ok(check);
        }
        let Some(db) = error.as_db_error().filter(|db| {
            !errors::is_broken(&error)
                && *db.code() != SqlState::INSUFFICIENT_PRIVILEGE
                && *db.code() != SqlState::LOCK_NOT_AVAILABLE
        }) else {
            return Err(session.error(&format!("verifying {}", place.id), &error));
        };
        Err(
            self.fail(StoreErrorKind::Statement(Box::new(StatementError {
                id: place.id.clone(),
                file: place.file.to_owned(),
                line: query.line,
                statement: super::script::excerpt(&query.text),
                message: db.message().to_owned(),
                code: db.code().code().to_owned(),
                detail: db.detail().map(str::to_owned),
                hint: db.hint().map(str::to_owned),
            }))),
        )
    }

    /// An index that the migration built concurrently, and that still exists, must be valid.
    async fn check_indexes(
        &self,
        session: &Session,
        id: &MigrationId,
        sql: &SqlMigration,
    ) -> Result<Option<Check>, StoreError> {
        let statements: Vec<PlannedStatement> =
            sql.up.script.statements.iter().map(Into::into).collect();
        let mut names = Vec::new();
        for index in statements
            .iter()
            .filter_map(|s| s.concurrent_index.as_ref())
        {
            if let (IndexAction::Create, Some(name)) = (index.action, &index.index) {
                names.push(format!(
                    "to_regclass({})",
                    self.quoted(literal(&name.quoted()))?
                ));
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        let mut check = Check::new(Some(id.clone()), "indexes are valid", "index");
        check.examined = names.len() as u64;
        let invalid = session
            .rows(&format!(
                "select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_index i \
                 join pg_catalog.pg_class c on c.oid = i.indexrelid \
                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where not i.indisvalid and c.oid in ({}) order by 1",
                names.join(", ")
            ))
            .await
            .map_err(|e| session.error("looking at indexes", &e))?;
        for name in invalid.into_iter().flatten().flatten() {
            check.fail(format!("index {name} is INVALID"));
        }
        Ok(Some(check))
    }
}

/// A row on one line, printable and cut to a readable length.
fn shown(row: &Row) -> String {
    let values: Vec<String> = row
        .iter()
        .map(|value| {
            value
                .as_deref()
                .map_or_else(|| "null".to_owned(), |v| v.escape_debug().to_string())
        })
        .collect();
    let line = format!("({})", values.join(", "));
    match line.char_indices().nth(ROW_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
