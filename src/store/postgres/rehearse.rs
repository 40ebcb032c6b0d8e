//! Runs a step's statements the way apply does, in a database that nobody else uses, and looks at what each
//! one did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::impact::Reading;
use super::session::{Row, Session};
use super::{PostgresStore, errors, paired};
use crate::model::plan::{
    LockTaken, PlannedStatement, SqlContent, StatementRehearsal, Step, StepContent,
};
use crate::model::sql::LockMode;
use crate::store::StoreError;

/// How often it is looked what a statement outside of a transaction waits for.
const LOOK: Duration = Duration::from_millis(5);

/// After so long, a statement that waits for none of the tables which are held back is let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// The application's relations, with the file of each.
const RELATIONS: &str = "select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relfilenode, i.indrelid \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    left join pg_catalog.pg_index i on i.indexrelid = c.oid \
    where c.relkind in ('r', 'p', 'm', 'v', 'f', 'i', 'I') and c.relpersistence <> 't' \
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'outpost')";

/// What a step did.
#[derive(Debug)]
pub struct Tried {
    /// What each statement did, as far as they ran.
    pub statements: Vec<StatementRehearsal>,
    /// How long they took together, milliseconds.
    pub ms: u64,
    /// The statement that failed, if one did.
    pub failed: Option<StoreError>,
}

/// The relations at one moment.
type Relations = BTreeMap<String, Relation>;

#[derive(Debug)]
struct Relation {
    name: String,
    kind: String,
    file: String,
    index_of: Option<String>,
}

impl Relation {
    fn is_index(&self) -> bool {
        matches!(self.kind.as_str(), "i" | "I")
    }
}

/// How a statement alone ended.
type Ended = Result<StatementRehearsal, StoreError>;

impl PostgresStore {
    /// Runs the statements of a step: in one transaction that is committed, or one by one. Nothing is
    /// recorded in a ledger.
    ///
    /// # Errors
    /// A server that does not answer. What a statement does wrong is part of the result.
    pub async fn rehearse(&self, step: &Step) -> Result<Tried, StoreError> {
        let StepContent::Sql(content) = &step.content else {
            return Ok(Tried {
                statements: Vec::new(),
                ms: 0,
                failed: None,
            });
        };
        let session = self.connect().await?;
        let there = relations(&session).await?;
        let begun = Instant::now();
        let mut statements = Vec::new();
        let failed = match content.transaction {
            true => {
                let all: Vec<&PlannedStatement> = content.statements.iter().collect();
                self.together(&session, step, content, &all, &there, &mut statements)
                    .await
            }
            false => {
                self.one_by_one(&session, step, content, &there, &mut statements)
                    .await
            }
        };
        let failed = match failed {
            Err(error) if is_of_statement(&error) => Some(error),
            other => {
                other?;
                None
            }
        };
        Ok(Tried {
            statements,
            ms: millis(begun.elapsed()),
            failed,
        })
    }

    /// Statements in one transaction.
    async fn together(
        &self,
        session: &Session,
        step: &Step,
        content: &SqlContent,
        statements: &[&PlannedStatement],
        there: &Relations,
        done: &mut Vec<StatementRehearsal>,
    ) -> Result<(), StoreError> {
        let begin = format!(
            "begin isolation level read committed; set local statement_timeout = '{}ms'",
            content.statement_timeout_ms
        );
        session
            .rows(&begin)
            .await
            .map_err(|e| session.error("beginning a transaction", &e))?;
        let tried = async {
            let mut held = BTreeMap::new();
            for statement in statements {
                let before = relations(session).await?;
                let begun = Instant::now();
                let sent = session.rows(&statement.text).await;
                let ms = millis(begun.elapsed());
                sent.map_err(|e| self.of_statement(session, step, statement, &e))?;
                let after = relations(session).await?;
                let now = locks(session).await?;
                let mut taken = now.clone();
                taken
                    .retain(|relation, mode| held.get(relation).is_none_or(|known| *known < *mode));
                held = now;
                done.push(seen(ms, statement, there, &before, &after, taken));
            }
            if let Some(last) = statements.last() {
                session
                    .rows("set constraints all immediate; commit")
                    .await
                    .map_err(|e| self.of_statement(session, step, last, &e))?;
            }
            Ok(())
        };
        let outcome = tried.await;
        // After a commit there is nothing to roll back, which is no error.
        session.roll_back().await;
        outcome
    }

    async fn one_by_one(
        &self,
        session: &Session,
        step: &Step,
        content: &SqlContent,
        there: &Relations,
        done: &mut Vec<StatementRehearsal>,
    ) -> Result<(), StoreError> {
        for statement in &content.statements {
            if paired::may_share(&content.path, statement) {
                let alone = self
                    .together(session, step, content, &[statement], there, done)
                    .await;
                match alone {
                    Err(error) if paired::refuses(&error) => {}
                    other => {
                        other?;
                        continue;
                    }
                }
            }
            done.push(self.alone(step, statement, there).await?);
        }
        Ok(())
    }

    /// A statement outside of any transaction. Its locks are gone when it ends, so others hold its tables
    /// back: what it asks for shows while it waits.
    async fn alone(&self, step: &Step, statement: &PlannedStatement, there: &Relations) -> Ended {
        let session = self.connect().await?;
        let watcher = self.connect().await?;
        let before = relations(&session).await?;
        let pid = session
            .rows("select pg_backend_pid()")
            .await
            .map_err(|e| session.error("asking for the session's number", &e))?
            .into_iter()
            .flatten()
            .next()
            .flatten()
            .unwrap_or_default();
        let mut holders = self.hold(statement, &before).await?;
        let mut taken = BTreeMap::new();
        let begun = Instant::now();
        let mut waited = Duration::ZERO;
        let sent = {
            let running = session.rows(&statement.text);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    sent = &mut running => break sent,
                    () = tokio::time::sleep(LOOK) => {}
                }
                let looked = Instant::now();
                for (relation, mode, granted) in locks_of(&watcher, &pid).await? {
                    let strongest = taken.entry(relation.clone()).or_insert(mode);
                    *strongest = mode.max(*strongest);
                    if !granted && let Some(holder) = holders.remove(&relation) {
                        holder.roll_back().await;
                    }
                }
                if begun.elapsed() > PATIENCE {
                    for holder in std::mem::take(&mut holders).into_values() {
                        holder.roll_back().await;
                    }
                }
                waited += looked.elapsed();
            }
        };
        let ms = millis(begun.elapsed().saturating_sub(waited));
        sent.map_err(|e| self.of_statement(&session, step, statement, &e))?;
        let after = relations(&session).await?;
        Ok(seen(ms, statement, there, &before, &after, taken))
    }

    /// Locks each table that a statement names, each in a session of its own, against what keeps others
    /// waiting. VACUUM begins with a weaker lock, which must not be taken for all that it asks for.
    async fn hold(
        &self,
        statement: &PlannedStatement,
        before: &Relations,
    ) -> Result<BTreeMap<String, Session>, StoreError> {
        let names = Reading::of(statement).names();
        let named = self.relations(&names).await?;
        let oids: BTreeSet<&String> = names
            .iter()
            .filter_map(|name| named.named(name))
            .map(|relation| relation.index_of.as_ref().unwrap_or(&relation.oid))
            .collect();
        let mut holders = BTreeMap::new();
        for oid in oids {
            let Some(table) = before
                .get(oid)
                .filter(|table| matches!(table.kind.as_str(), "r" | "p"))
            else {
                continue;
            };
            let session = self.connect().await?;
            session
                .rows(&format!(
                    "begin; lock table only {} in share update exclusive mode",
                    table.name
                ))
                .await
                .map_err(|e| session.error("holding a table back", &e))?;
            holders.insert(oid.clone(), session);
        }
        Ok(holders)
    }

    /// The error of a statement, with its line; what is no statement's fault stays what it is.
    fn of_statement(
        &self,
        session: &Session,
        step: &Step,
        statement: &PlannedStatement,
        error: &tokio_postgres::Error,
    ) -> StoreError {
        if errors::is_broken(error) {
            return session.error(&format!("rehearsing {}", step.id), error);
        }
        self.statement_error(step, statement, statement.line, error)
    }
}

fn is_of_statement(error: &StoreError) -> bool {
    matches!(error.kind, crate::store::StoreErrorKind::Statement(_))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a statement did to relations that were there before its step.
fn seen(
    ms: u64,
    statement: &PlannedStatement,
    there: &Relations,
    before: &Relations,
    after: &Relations,
    taken: BTreeMap<String, LockMode>,
) -> StatementRehearsal {
    let mut locks: Vec<LockTaken> = taken
        .into_iter()
        .filter_map(|(oid, mode)| {
            let relation = before.get(&oid).filter(|_| there.contains_key(&oid))?;
            let shows = !relation.is_index() || mode.blocks_writes();
            shows.then(|| LockTaken {
                relation: relation.name.clone(),
                mode,
            })
        })
        .collect();
    locks.sort();
    let mut rewritten = Vec::new();
    let mut indexes_built = Vec::new();
    for (oid, relation) in after {
        let new_file = match before.get(oid) {
            Some(earlier) => earlier.file != relation.file && relation.file != "0",
            None => relation.is_index(),
        };
        let old_table = relation.index_of.as_ref().unwrap_or(oid);
        if !new_file || !there.contains_key(old_table) {
            continue;
        }
        match relation.is_index() {
            true => indexes_built.push(relation.name.clone()),
            // TRUNCATE takes a new file to have an empty one.
            false if statement.verb != "truncate" => rewritten.push(relation.name.clone()),
            false => {}
        }
    }
    rewritten.sort();
    indexes_built.sort();
    StatementRehearsal {
        ms,
        locks,
        rewritten,
        indexes_built,
    }
}

async fn relations(session: &Session) -> Result<Relations, StoreError> {
    let rows = session
        .rows(RELATIONS)
        .await
        .map_err(|e| session.error("reading the catalog", &e))?;
    let found = rows.into_iter().filter_map(|row| {
        let [oid, name, kind, file, index_of] = <[_; 5]>::try_from(row).ok()?;
        let relation = Relation {
            name: name?,
            kind: kind?,
            file: file?,
            index_of,
        };
        Some((oid?, relation))
    });
    Ok(found.collect())
}

/// The locks of this session's transaction, the strongest of each relation.
async fn locks(session: &Session) -> Result<BTreeMap<String, LockMode>, StoreError> {
    let mut held = BTreeMap::new();
    for (relation, mode, _) in locks_of(session, "pg_backend_pid()").await? {
        let strongest = held.entry(relation).or_insert(mode);
        *strongest = mode.max(*strongest);
    }
    Ok(held)
}

/// The locks that a session holds or waits for, with whether it holds them. `pid` is its number, or an
/// expression for it.
async fn locks_of(
    session: &Session,
    pid: &str,
) -> Result<Vec<(String, LockMode, bool)>, StoreError> {
    let sql = format!(
        "select relation, mode, granted from pg_catalog.pg_locks where locktype = 'relation' \
         and database = (select oid from pg_catalog.pg_database where datname = current_database()) \
         and pid = {pid}"
    );
    let rows: Vec<Row> = session
        .rows(&sql)
        .await
        .map_err(|e| session.error("looking at locks", &e))?;
    let locks = rows.into_iter().filter_map(|row| {
        let [relation, mode, granted] = <[_; 3]>::try_from(row).ok()?;
        let mode = LockMode::from_pg_locks(&mode?)?;
        Some((relation?, mode, granted.as_deref() == Some("t")))
    });
    Ok(locks.collect())
}
