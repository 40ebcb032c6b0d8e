//! Databases that are made to try something in, and removed.

use super::PostgresStore;
use super::quote::identifier;
use super::session::Session;
use crate::model::state::StoreIdentity;
use crate::store::{Observe, Store as _, StoreError};

/// What the names of scratch databases begin with.
const PREFIX: &str = "outpost_rehearsal_";

/// What the name of a copy has at its end.
const COPY: &str = "_copy";

/// The first version whose DROP DATABASE ends the sessions that are left in it.
const FORCE: u32 = 13;

/// A database that is made to try something in. It stays until [`Scratch::remove`].
#[derive(Debug)]
pub struct Scratch {
    /// The database itself.
    pub store: PostgresStore,
    name: String,
}

/// A server, as far as it concerns those who try something on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version, such as `15.8`.
    pub version: String,
    /// Its major version.
    pub major: u32,
}

impl PostgresStore {
    /// Makes an empty database on the same server.
    ///
    /// # Errors
    /// [`StoreErrorKind::Permission`](crate::store::StoreErrorKind::Permission) where the role may not
    /// create databases.
    pub async fn scratch(&self) -> Result<Scratch, StoreError> {
        let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        self.make(name, "template0").await
    }

    /// Which version the server has.
    ///
    /// # Errors
    /// A server that cannot be asked.
    pub async fn server(&self) -> Result<ServerFacts, StoreError> {
        let session = self.connect().await?;
        facts(&session).await
    }

    /// Whether this is a database of the same server as another one's. Where the role may not ask for the
    /// server's identifier, hosts and ports tell.
    ///
    /// # Errors
    /// A server that cannot be asked.
    pub async fn is_beside(
        &self,
        other: &StoreIdentity,
        address: &str,
    ) -> Result<bool, StoreError> {
        let own = self.observe(&Observe::default()).await?.identity;
        let system = |identity: &StoreIdentity| match identity {
            StoreIdentity::Postgres {
                system_identifier, ..
            } => system_identifier.clone(),
            StoreIdentity::Redis { .. } => None,
        };
        Ok(match (system(&own), system(other)) {
            (Some(own), Some(other)) => own == other,
            _ => hosts(&self.shown) == hosts(address),
        })
    }

    async fn make(&self, name: String, template: &str) -> Result<Scratch, StoreError> {
        let session = self.connect_directly().await?;
        let template = self.quoted(identifier(template))?;
        session
            .rows(&format!("create database {name} template {template}"))
            .await
            .map_err(|e| session.error("creating a scratch database", &e))?;
        Ok(Scratch {
            store: self.on_database(&name),
            name,
        })
    }

    /// The same server with another database, past any pooler.
    fn on_database(&self, name: &str) -> Self {
        let mut target = self.direct.as_ref().unwrap_or(&self.target).clone();
        target.config.dbname(name);
        name.clone_into(&mut target.database);
        target.shown = format!("{}, database {name}", hosts(&target.shown));
        Self::from_targets(target, None, None)
    }
}

impl Scratch {
    /// The database again, with connections of its own: those that it keeps would hinder a copy.
    pub fn another(&self) -> PostgresStore {
        self.store.on_database(&self.name)
    }

    /// Makes a database with the same content, of which there can be one at a time. `admin` is the store that
    /// made this one.
    ///
    /// # Errors
    /// As [`PostgresStore::scratch`].
    pub async fn copy(&self, admin: &PostgresStore) -> Result<Self, StoreError> {
        admin.make(format!("{}{COPY}", self.name), &self.name).await
    }

    /// Removes the database, and the copy of it that an interrupted rehearsal left. `admin` is the store that made it.
    ///
    /// # Errors
    /// A database that is left; the error names it.
    pub async fn remove(self, admin: &PostgresStore) -> Result<(), StoreError> {
        let session = admin.connect_directly().await?;
        let name = &self.name;
        let force = match facts(&session).await?.major >= FORCE {
            true => " with (force)",
            false => "",
        };
        for name in [format!("{name}{COPY}"), name.clone()] {
            session
                .rows(&format!("drop database if exists {name}{force}"))
                .await
                .map_err(|e| session.error(&format!("dropping the scratch database {name}"), &e))?;
        }
        Ok(())
    }
}

async fn facts(session: &Session) -> Result<ServerFacts, StoreError> {
    let sql = "select current_setting('server_version'), current_setting('server_version_num')::int / 10000";
    let rows = session
        .rows(sql)
        .await
        .map_err(|e| session.error("reading the server's version", &e))?;
    let text = |column: usize| rows.first()?.get(column)?.as_deref();
    Ok(ServerFacts {
        // Packages add words of their own: `15.8 (Debian 15.8-0+deb12u1)`.
        version: text(0)
            .and_then(|version| version.split_whitespace().next())
            .unwrap_or_default()
            .to_owned(),
        major: text(1)
            .and_then(|major| major.parse().ok())
            .unwrap_or_default(),
    })
}

/// The part of a shown address before its database.
fn hosts(shown: &str) -> &str {
    shown.split(", database ").next().unwrap_or(shown)
}
