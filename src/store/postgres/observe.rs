//! What is recorded in the database, and its real schema: read in one read-only transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::session::Session;
use super::{PostgresStore, lease, ledger};
use crate::model::state::{Legacy, SchemaObjects, StoreIdentity, StoreState};
use crate::store::{Observe, StoreError};

const OBJECTS: &str = include_str!("objects.sql");

impl PostgresStore {
    pub(super) async fn observe_all(&self, what: &Observe) -> Result<StoreState, StoreError> {
        let session = self.reading("reading the ledger").await?;
        let uuid = ledger::identity(&session).await?;
        let (ledger, lease) = match &uuid {
            Some(_) => (
                ledger::entries(&session, None).await?,
                lease::read(&session).await?,
            ),
            None => (BTreeMap::new(), None),
        };
        let golang = self.golang(&session).await?;
        let golang_migrate = match &golang {
            Some(table) => table.read(&session).await?,
            None => None,
        };
        let identity = identity(&session, uuid).await?;
        let schema = match what.schema {
            true => Some(objects(&session, golang.and_then(|table| table.oid)).await?),
            false => None,
        };
        session.roll_back().await;
        Ok(StoreState {
            identity,
            ledger,
            legacy: Legacy {
                golang_migrate,
                ..Legacy::default()
            },
            schema,
            lease,
            proofs: BTreeMap::new(),
            not_applicable: BTreeMap::new(),
        })
    }
}

async fn identity(session: &Session, ledger: Option<String>) -> Result<StoreIdentity, StoreError> {
    let failed = |e: tokio_postgres::Error| session.error("reading the database's identity", &e);
    let sql = "select current_database(), \
               has_function_privilege('pg_catalog.pg_control_system()', 'execute')";
    let rows = session.rows(sql).await.map_err(failed)?;
    let column = |i: usize| rows.first().and_then(|row| row.get(i).cloned().flatten());
    let system_identifier = if column(1).as_deref() == Some("t") {
        let sql = "select system_identifier from pg_catalog.pg_control_system()";
        let rows = session.rows(sql).await.map_err(failed)?;
        rows.into_iter().flatten().next().flatten()
    } else {
        None
    };
    Ok(StoreIdentity::Postgres {
        system_identifier,
        database: column(0).unwrap_or_default(),
        ledger,
    })
}

/// Every object of the schema. `without` is the oid of golang-migrate's table, which is no part of it.
async fn objects(session: &Session, without: Option<String>) -> Result<SchemaObjects, StoreError> {
    // Before it is changed for the query below.
    let path = session
        .rows("select unnest(current_schemas(false))")
        .await
        .map_err(|e| session.error("reading the search path", &e))?;
    let search_path = path.into_iter().flatten().flatten().collect();
    let sql = format!(
        "set local search_path = pg_catalog;\n{}",
        OBJECTS.replace("$golang", without.as_deref().unwrap_or("0"))
    );
    let rows = session
        .rows(&sql)
        .await
        .map_err(|e| session.error("reading the schema", &e))?;
    let mut definitions = BTreeMap::new();
    let mut partitions = BTreeSet::new();
    let mut attached = BTreeMap::new();
    for row in rows {
        if let Ok([Some(object), Some(definition), partition, on]) = <[_; 4]>::try_from(row) {
            if let Some(relation) = on {
                attached.insert(object.clone(), relation);
            }
            if partition.as_deref() == Some("t") {
                partitions.insert(object.clone());
            }
            definitions.insert(object, definition);
        }
    }
    let version = session
        .rows("select current_setting('server_version_num')::int / 10000")
        .await
        .map_err(|e| session.error("reading the server's version", &e))?;
    let server_major = version
        .into_iter()
        .flatten()
        .next()
        .flatten()
        .and_then(|v| v.parse().ok());
    Ok(SchemaObjects {
        definitions,
        partitions,
        attached,
        server_major,
        search_path,
    })
}
