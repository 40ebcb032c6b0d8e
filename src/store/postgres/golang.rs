//! golang-migrate's table and its advisory lock: read, and kept in its own form.

use super::errors::private;
use super::quote::{HoldsNul, do_block, identifier, literal};
use super::session::Session;
use super::{PostgresStore, errors};
use crate::model::id::StoreKind;
use crate::model::plan::{Action, Plan};
use crate::model::state::{GolangMigrate, GolangVersion, Legacy};
use crate::store::{StoreError, StoreErrorKind};

/// What golang-migrate multiplies its checksum with.
const SALT: u32 = 1_486_364_155;

/// golang-migrate's table, resolved in this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GolangTable {
    /// As configured.
    configured: String,
    schema: String,
    name: String,
    /// Whether the table exists.
    exists: bool,
    /// Its oid where it exists.
    pub(super) oid: Option<String>,
    keys: Vec<u32>,
}

/// The key of golang-migrate's advisory lock.
pub(super) fn lock_key(schema: &str, table: &str, database: &str) -> u32 {
    crc32fast::hash(format!("{schema}\0{table}\0{database}").as_bytes()).wrapping_mul(SALT)
}

impl GolangTable {
    /// Finds the table, in the search path where the configuration names no schema.
    pub(super) async fn resolve(session: &Session, configured: &str) -> Result<Self, StoreError> {
        let nul = |e: HoldsNul| e.at(session.shown());
        let (schema, name) = match configured.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, configured),
        };
        let place = match schema {
            Some(schema) => format!("n.nspname = {}", literal(schema).map_err(nul)?),
            None => "n.nspname = any(current_schemas(false))".to_owned(),
        };
        let sql = format!(
            "select current_database(), current_schema(), t.nspname, t.oid from (select 1) as always \
             left join (select n.nspname, c.oid from pg_catalog.pg_class c \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where {place} and c.relname = {name} and c.relkind in ('r', 'p', 'v') \
             order by array_position(current_schemas(false), n.nspname) limit 1) as t on true",
            name = literal(name).map_err(nul)?,
        );
        let rows = session
            .rows(&sql)
            .await
            .map_err(|e| session.error("looking for golang-migrate's table", &e))?;
        let column = |i: usize| rows.first().and_then(|row| row.get(i).cloned().flatten());
        let database = column(0).unwrap_or_default();
        let current = column(1);
        let found = column(2);
        let home = found
            .clone()
            .or_else(|| schema.map(str::to_owned))
            .or_else(|| current.clone())
            .unwrap_or_else(|| "public".to_owned());
        // Old binaries name the database with and without a slash, and their own current schema.
        let mut schemas = vec![home.clone()];
        schemas.extend(current.filter(|c| *c != home));
        let keys = schemas
            .iter()
            .flat_map(|schema| {
                [
                    lock_key(schema, name, &database),
                    lock_key(schema, name, &format!("/{database}")),
                ]
            })
            .collect();
        Ok(Self {
            configured: configured.to_owned(),
            schema: home,
            name: name.to_owned(),
            exists: found.is_some(),
            oid: column(3),
            keys,
        })
    }

    fn qualified(&self) -> Result<String, HoldsNul> {
        Ok(format!(
            "{}.{}",
            identifier(&self.schema)?,
            identifier(&self.name)?
        ))
    }

    /// Reads the row, for an observation.
    pub(super) async fn read(
        &self,
        session: &Session,
    ) -> Result<Option<GolangMigrate>, StoreError> {
        if !self.exists {
            return Ok(None);
        }
        let table = self.qualified().map_err(|e| e.at(session.shown()))?;
        let rows = session
            .rows(&format!("select version, dirty from {table} limit 3"))
            .await
            .map_err(|e| session.error("reading golang-migrate's table", &e))?;
        let odd =
            |reason: String| errors::at(session.shown(), StoreErrorKind::EarlierTool { reason });
        let row = match rows.as_slice() {
            [] => None,
            [row] => match row.as_slice() {
                [Some(version), Some(dirty)] => Some(GolangVersion {
                    version: version.parse().map_err(|_| {
                        odd(format!(
                            "{} holds version {version}, which is no migration",
                            self.configured
                        ))
                    })?,
                    dirty: dirty == "t",
                }),
                _ => return Err(odd(format!("{} holds a null", self.configured))),
            },
            _ => {
                return Err(odd(format!(
                    "{} holds several rows; golang-migrate keeps one at most",
                    self.configured
                )));
            }
        };
        Ok(Some(GolangMigrate {
            table: self.configured.clone(),
            row,
        }))
    }

    /// Takes golang-migrate's lock shared, so that our own branches do not exclude one another, and reads
    /// its row again under it. The row must be the one that the ledger implies, or the one that the plan
    /// was made from.
    pub(super) fn check(&self, plan: &Plan) -> Result<String, HoldsNul> {
        let locks: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("pg_try_advisory_xact_lock_shared({key})"))
            .collect();
        let name = literal(&self.configured)?;
        let lock = format!(
            "if not ({}) then raise exception using errcode = '{}', message = \
             'golang-migrate is working on this database: it holds its advisory lock'; end if;",
            locks.join(" and "),
            private::GOLANG_LOCK,
        );
        let mut accepted = String::new();
        if let Some(planned) = planned(plan).and_then(|legacy| legacy.golang_migrate.as_ref()) {
            accepted = match planned.row {
                None => "or n = 0".to_owned(),
                Some(row) => format!("or (n = 1 and v = {} and d = {})", row.version, row.dirty),
            };
        }
        let row = if self.exists {
            format!(
                "select count(*), max(version), bool_or(dirty) into n, v, d from {table}; \
                 select i.version, i.dirty into iv, id from ({implied}) i; \
                 if not ((n <= 1 and v is not distinct from iv and d is not distinct from id) {accepted}) then \
                   raise exception using errcode = '{code}', message = {name} || ' holds ' || \
                   case n when 0 then 'no row' when 1 then 'version ' || v || case when d then ', dirty' else '' end \
                   else n || ' rows' end || ', where this ledger implies ' || coalesce('version ' || iv || \
                   case when id then ', dirty' else '' end, 'no row') || \
                   ': golang-migrate, or an older server, wrote it meanwhile'; \
                 end if;",
                table = self.qualified()?,
                implied = implied(plan)?,
                code = private::GOLANG_ROW,
            )
        } else {
            String::new()
        };
        do_block(&format!(
            "declare n bigint; v bigint; d boolean; iv bigint; id boolean; begin {lock} {row} end"
        ))
    }

    /// Writes the row that the ledger implies, in golang-migrate's own form; creates its table.
    pub(super) fn keep(&self, plan: &Plan) -> Result<String, HoldsNul> {
        let table = self.qualified()?;
        do_block(&format!(
            "declare v bigint; d boolean; begin \
             if to_regclass({text}) is null then \
               create table {table} (version bigint not null primary key, dirty boolean not null); end if; \
             select i.version, i.dirty into v, d from ({implied}) i; \
             if (select count(*) from {table}) <> (v is not null)::int or (v is not null and not exists \
               (select from {table} t where t.version = v and t.dirty = d)) then \
               delete from {table}; \
               if v is not null then insert into {table} (version, dirty) values (v, d); end if; \
             end if; end",
            text = literal(&table)?,
            implied = implied(plan)?,
        ))
    }
}

fn planned(plan: &Plan) -> Option<&Legacy> {
    plan.decision
        .recorded
        .get(&StoreKind::Sql)
        .map(|recorded| &recorded.legacy)
}

/// A query for the row that the ledger implies: the highest number whose numbered predecessors are all in
/// place, `version` null for no row. A migration of which the ledger knows nothing yet counts as in place
/// when golang-migrate's row claimed it as the plan was made.
///
/// While a step outside a transaction is half done, the row is dirty at its number, which keeps
/// golang-migrate out; that dirt is ours.
fn implied(plan: &Plan) -> Result<String, HoldsNul> {
    let mut rows = Vec::new();
    for (order, id) in plan.decision.numbered.iter().enumerate() {
        // What the plan applies was merged late, with a lower number: the row never stood for it.
        let applies = plan
            .decision
            .step(id)
            .is_some_and(|step| step.action == Action::Apply);
        let claimed = !applies && planned(plan).is_some_and(|legacy| legacy.claims(id, None));
        rows.push(format!(
            "({order}, {}, {}::bigint, {claimed})",
            literal(&id.to_string())?,
            id.number()
        ));
    }
    if rows.is_empty() {
        return Ok("select null::bigint as version, null::boolean as dirty".to_owned());
    }
    Ok(format!(
        "with numbered (place, id, number, claimed) as (values {rows}), \
         stands as (select u.place, u.number, m.status, m.doing, \
           case when m.id is null then u.claimed else m.status in ('applied', 'skipped') \
           or m.doing = 'cleanup' end as done from numbered u left join outpost.migration m on m.id = u.id), \
         reached as (select max(number) as number from stands \
           where place < coalesce((select min(place) from stands where done is not true), {count})), \
         half as (select min(number) filter (where doing <> 'cleanup') as number, count(*) > 0 as any \
           from stands where status = 'partial') \
         select coalesce(half.number, reached.number) as version, \
         case when coalesce(half.number, reached.number) is not null then half.any end as dirty \
         from reached, half",
        rows = rows.join(", "),
        count = plan.decision.numbered.len(),
    ))
}

impl PostgresStore {
    /// golang-migrate's table, where the configuration names one.
    pub(super) async fn golang(
        &self,
        session: &Session,
    ) -> Result<Option<GolangTable>, StoreError> {
        match &self.golang_table {
            Some(name) => GolangTable::resolve(session, name).await.map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_one_that_golang_migrate_computes() {
        // Computed by hand: crc32("public\0schema_migrations\0postgres") * salt mod 2^32.
        let crc = crc32fast::hash(b"public\0schema_migrations\0postgres");
        let expected = (u64::from(crc) * u64::from(SALT)) % (1 << 32);
        assert_eq!(
            u64::from(lock_key("public", "schema_migrations", "postgres")),
            expected
        );
        assert_ne!(
            lock_key("public", "schema_migrations", "postgres"),
            lock_key("public", "schema_migrations", "/postgres")
        );
    }
}
