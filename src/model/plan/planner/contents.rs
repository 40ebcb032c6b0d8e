//! What a step carries: statements or a declaration, complete.

use crate::model::id::MigrationId;
use crate::model::migration::{Content, Migration, SqlFile};
use crate::model::plan::planner::Planner;
use crate::model::plan::{LaterContent, PlanError, RedisContent, SqlContent, StepContent};

impl Planner<'_> {
    pub(super) fn sql_content(
        &self,
        file: &SqlFile,
        down: Option<&SqlFile>,
    ) -> Result<SqlContent, PlanError> {
        refuse_syntax(file)?;
        let transaction = file.script.directives.transaction;
        let lock_timeout = if transaction {
            Some(file.lock_timeout(self.desired.config.lock_timeout()))
        } else {
            file.script.directives.lock_timeout
        };
        Ok(SqlContent {
            path: file.path.clone(),
            checksum: file.checksum,
            transaction,
            lock_timeout_ms: lock_timeout.map(millis),
            statement_timeout_ms: millis(
                file.statement_timeout(self.desired.config.statement_timeout()),
            ),
            statements: file.script.statements.iter().map(Into::into).collect(),
            verify: Vec::new(),
            down: down.map(|d| d.text.clone()),
        })
    }

    /// The declaration of a Redis migration, also where only its record is written: the markers of earlier
    /// tools go by a name that it holds. Nothing for SQL.
    pub(super) fn declaration(&self, migration: &Migration) -> StepContent {
        match &migration.content {
            Content::Redis(redis) => StepContent::Redis(RedisContent {
                path: redis.path.clone(),
                text: redis.text.clone(),
                allow_lossy: self.desired.allow_lossy,
                later: Vec::new(),
            }),
            Content::Sql(_) => StepContent::Record,
        }
    }

    pub(super) fn cleanup_content(&self, migration: &Migration) -> Result<StepContent, PlanError> {
        let Content::Sql(sql) = &migration.content else {
            let mut content = self.declaration(migration);
            if let StepContent::Redis(redis) = &mut content {
                redis.later = self.later(&migration.id);
            }
            return Ok(content);
        };
        let Some(cleanup) = &sql.cleanup else {
            return Ok(StepContent::Record);
        };
        let mut content = self.sql_content(cleanup, None)?;
        if let Some(verify) = &sql.verify {
            refuse_syntax(verify)?;
            content.verify = verify.script.statements.iter().map(Into::into).collect();
        }
        Ok(StepContent::Sql(content))
    }

    /// What may have changed the copies of a migration since.
    fn later(&self, id: &MigrationId) -> Vec<LaterContent> {
        let ids = self.graph.later(id, &self.observed.applied());
        let declared = ids
            .iter()
            .filter_map(|id| match &self.catalog.get(id)?.content {
                Content::Redis(redis) => Some(LaterContent {
                    path: redis.path.clone(),
                    text: redis.text.clone(),
                }),
                Content::Sql(_) => None,
            });
        declared.collect()
    }
}

fn refuse_syntax(file: &SqlFile) -> Result<(), PlanError> {
    match file.syntax_problem() {
        None => Ok(()),
        Some(problem) => Err(PlanError::Syntax {
            file: problem.file.clone(),
            line: u32::try_from(problem.line).unwrap_or(u32::MAX),
            message: problem.message.clone(),
        }),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
