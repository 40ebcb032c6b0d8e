//! What the catalog says of the tables, views and indexes that statements name: read from its tables alone,
//! by no function that would wait behind an ALTER TABLE.

use std::collections::{BTreeMap, BTreeSet};

use super::PostgresStore;
use super::quote::literal;
use super::session::{Row, Session};
use crate::model::sql::QualifiedName;
use crate::store::StoreError;

/// A relation's number in the catalog, as text.
pub(super) type Oid = String;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// By the names that were asked for.
    by_name: BTreeMap<QualifiedName, Oid>,
    found: BTreeMap<Oid, Relation>,
    /// Foreign keys of the named tables, and those that lead to them.
    pub(super) foreign_keys: Vec<ForeignKey>,
    columns: BTreeMap<(Oid, String), Column>,
    /// The server's major version.
    pub(super) major: u32,
}

/// A table, a view or an index.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) oid: Oid,
    /// Qualified.
    pub(super) name: String,
    /// Estimated; `None` where it was never analysed.
    pub(super) rows: Option<u64>,
    /// On disk, with partitions and indexes.
    pub(super) bytes: u64,
    pub(super) partitions: u64,
    /// Whether it has rows of its own or in partitions: no view and no index.
    pub(super) is_table: bool,
    /// For an index: its table.
    pub(super) index_of: Option<Oid>,
    /// For an index: whether all of its columns are NOT NULL.
    pub(super) index_not_null: bool,
    pub(super) default_partition: Option<Oid>,
}

/// A foreign key.
#[derive(Debug)]
pub(super) struct ForeignKey {
    pub(super) name: String,
    pub(super) by: Oid,
    pub(super) to: Oid,
    pub(super) columns: Vec<String>,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    /// As `format_type` writes it.
    pub(super) of_type: String,
    /// Whether it is NOT NULL, or a valid CHECK constraint says so.
    pub(super) not_null: bool,
}

impl Relations {
    /// The relation of this name.
    pub(super) fn named(&self, name: &QualifiedName) -> Option<&Relation> {
        self.found.get(self.by_name.get(name)?)
    }

    /// The relation with this number.
    pub(super) fn get(&self, oid: &str) -> Option<&Relation> {
        self.found.get(oid)
    }

    /// All tables among what was found.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Relation> {
        self.found.values().filter(|relation| relation.is_table)
    }

    /// A column of a table.
    pub(super) fn column(&self, table: &Relation, column: &str) -> Option<&Column> {
        self.columns.get(&(table.oid.clone(), column.to_owned()))
    }
}

impl PostgresStore {
    /// Looks up relations by name, with what hangs together with them. A name without a schema is looked for
    /// where a statement of this connection would.
    pub(super) async fn relations(
        &self,
        names: &BTreeSet<QualifiedName>,
    ) -> Result<Relations, StoreError> {
        if names.is_empty() {
            return Ok(Relations::default());
        }
        let session = self.reading(DOING).await?;
        let relations = self.read_relations(&session, names).await;
        session.roll_back().await;
        relations
    }

    async fn read_relations(
        &self,
        session: &Session,
        names: &BTreeSet<QualifiedName>,
    ) -> Result<Relations, StoreError> {
        let mut wanted = Vec::new();
        for name in names {
            wanted.push(self.quoted(literal(&name.quoted()))?);
        }
        let sql = format!(
            "select current_setting('server_version_num')::int / 10000, to_regclass(n.name)::oid \
             from unnest(array[{}]) with ordinality as n (name, place) order by n.place",
            wanted.join(", ")
        );
        let mut relations = Relations::default();
        for (name, row) in names.iter().zip(rows(session, &sql).await?) {
            let [major, oid] = <[_; 2]>::try_from(row).unwrap_or_default();
            relations.major = number(&major).unwrap_or_default();
            relations.by_name.extend(oid.map(|oid| (name.clone(), oid)));
        }
        let oids: BTreeSet<&str> = relations.by_name.values().map(String::as_str).collect();
        if oids.is_empty() {
            return Ok(relations);
        }
        let oids = list(oids);
        relations.foreign_keys = foreign_keys(session, &oids).await?;
        relations.columns = columns(session, &oids).await?;
        let ends = relations
            .foreign_keys
            .iter()
            .flat_map(|key| [&key.by, &key.to]);
        let all = list(relations.by_name.values().chain(ends).map(String::as_str));
        relations.found = sizes(session, &all).await?;
        Ok(relations)
    }
}

const DOING: &str = "reading table sizes";

async fn rows(session: &Session, sql: &str) -> Result<Vec<Row>, StoreError> {
    session
        .rows(sql)
        .await
        .map_err(|e| session.error(DOING, &e))
}

fn list<'a>(oids: impl IntoIterator<Item = &'a str>) -> String {
    let each: BTreeSet<&str> = oids.into_iter().collect();
    each.into_iter().collect::<Vec<_>>().join(", ")
}

fn number<T: std::str::FromStr>(text: &Option<String>) -> Option<T> {
    text.as_deref()?.parse().ok()
}

/// Names that the catalog gave as an array of JSON.
fn names(json: &Option<String>) -> Vec<String> {
    let parsed = json
        .as_deref()
        .and_then(|json| serde_json::from_str(json).ok());
    parsed.unwrap_or_default()
}

/// The foreign keys of some tables, and those that lead to them, directly or by way of others.
async fn foreign_keys(session: &Session, oids: &str) -> Result<Vec<ForeignKey>, StoreError> {
    let sql = format!(
        "with recursive reached (oid) as (\
           select oid from pg_catalog.pg_class where oid in ({oids}) \
           union select k.conrelid from reached r \
             join pg_catalog.pg_constraint k on k.confrelid = r.oid and k.contype = 'f') \
         select k.conname, k.conrelid, k.confrelid, \
           (select json_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a \
             where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) \
         from pg_catalog.pg_constraint k where k.contype = 'f' \
           and (k.conrelid in (select oid from reached) or k.confrelid in (select oid from reached)) \
         order by k.oid"
    );
    let keys = rows(session, &sql).await?.into_iter().filter_map(|row| {
        let [name, by, to, columns] = <[_; 4]>::try_from(row).ok()?;
        Some(ForeignKey {
            name: name?,
            by: by?,
            to: to?,
            columns: names(&columns),
        })
    });
    Ok(keys.collect())
}

/// The stored form of a CHECK of one column for IS NOT NULL. The function that words it would wait for the
/// table's lock.
const IS_NOT_NULL: &str = r"^\{NULLTEST :arg \{VAR [^}]*\} :nulltesttype 1 ";

async fn columns(
    session: &Session,
    oids: &str,
) -> Result<BTreeMap<(Oid, String), Column>, StoreError> {
    // From Postgres 18 on, NOT NULL is a constraint of its own and may be unchecked; `attnotnull` is set all
    // the same, and SET NOT NULL then checks it.
    let sql = format!(
        "select a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
           (a.attnotnull and not exists (select from pg_catalog.pg_constraint n \
              where n.conrelid = a.attrelid and n.contype = 'n' and n.conkey = array[a.attnum] \
              and not n.convalidated)) \
           or exists (select from pg_catalog.pg_constraint c \
             where c.conrelid = a.attrelid and c.contype = 'c' and c.convalidated \
             and c.conkey = array[a.attnum] and c.conbin::text ~ '{IS_NOT_NULL}') \
         from pg_catalog.pg_attribute a where a.attrelid in ({oids}) and a.attnum > 0 and not a.attisdropped"
    );
    let columns = rows(session, &sql).await?.into_iter().filter_map(|row| {
        let [table, name, of_type, not_null] = <[_; 4]>::try_from(row).ok()?;
        let column = Column {
            of_type: of_type?,
            not_null: not_null.as_deref() == Some("t"),
        };
        Some(((table?, name?), column))
    });
    Ok(columns.collect())
}

/// Names and sizes of relations, of the tables of those that are indexes, and of default partitions.
async fn sizes(session: &Session, oids: &str) -> Result<BTreeMap<Oid, Relation>, StoreError> {
    let sql = format!(
        "with recursive asked as (select c.oid, i.indrelid, p.partdefid from pg_catalog.pg_class c \
           left join pg_catalog.pg_index i on i.indexrelid = c.oid \
           left join pg_catalog.pg_partitioned_table p on p.partrelid = c.oid where c.oid in ({oids})), \
         wanted as (select oid from asked union select indrelid from asked where indrelid is not null \
           union select partdefid from asked where partdefid <> 0), \
         tree as (select oid as root, oid from wanted \
           union select t.root, i.inhrelid from tree t join pg_catalog.pg_inherits i on i.inhparent = t.oid), \
         part as (select t.root, c.oid, c.relkind, c.reltuples, c.reltoastrelid from tree t \
           join pg_catalog.pg_class c on c.oid = t.oid), \
         piece as (select root, oid from part union select root, reltoastrelid from part where reltoastrelid <> 0), \
         file as (select root, oid from piece union \
           select p.root, i.indexrelid from piece p join pg_catalog.pg_index i on i.indrelid = p.oid) \
         select w.oid, format('%I.%I', n.nspname, c.relname), \
           (select sum(p.reltuples)::bigint from part p \
             where p.root = w.oid and p.relkind in ('r', 'm') and p.reltuples >= 0), \
           (select coalesce(sum(f.relpages::bigint), 0) * current_setting('block_size')::bigint from file x \
             join pg_catalog.pg_class f on f.oid = x.oid where x.root = w.oid), \
           (select count(*) - 1 from part p where p.root = w.oid), \
           c.relkind in ('r', 'p', 'm', 'f'), i.indrelid, \
           not exists (select from pg_catalog.pg_attribute a where a.attrelid = i.indrelid \
             and a.attnum = any (i.indkey::int2[]) and not a.attnotnull), \
           (select partdefid from pg_catalog.pg_partitioned_table p where p.partrelid = w.oid and p.partdefid <> 0) \
         from wanted w join pg_catalog.pg_class c on c.oid = w.oid \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         left join pg_catalog.pg_index i on i.indexrelid = w.oid"
    );
    let found = rows(session, &sql).await?.into_iter().filter_map(|row| {
        let [
            oid,
            name,
            rows,
            bytes,
            partitions,
            is_table,
            index_of,
            not_null,
            default,
        ] = <[_; 9]>::try_from(row).ok()?;
        let oid = oid?;
        let relation = Relation {
            oid: oid.clone(),
            name: name?,
            rows: number(&rows),
            bytes: number(&bytes)?,
            partitions: number(&partitions)?,
            is_table: is_table.as_deref() == Some("t"),
            index_of,
            index_not_null: not_null.as_deref() == Some("t"),
            default_partition: default,
        };
        Some((oid, relation))
    });
    Ok(found.collect())
}
