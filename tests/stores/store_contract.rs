//! The promises that every store keeps, for each of the stores.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use outpost::model::config::Config;
use outpost::model::id::StoreKind;
use outpost::sandbox::RedisServer;
use outpost::store::Store;
use outpost::store::memory::MemoryStore;
use outpost::store::postgres::PostgresStore;
use outpost::store::redis::RedisStore;

use crate::contract::Subject;
use crate::support::{Database, fresh_database, fresh_redis};

struct Memory(Arc<MemoryStore>);

impl Memory {
    fn new(kind: StoreKind) -> Self {
        Self(Arc::new(MemoryStore::new(kind)))
    }
}

#[async_trait]
impl Subject for Memory {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }

    async fn expire_lease(&self) {
        self.0.expire_lease();
    }
}

struct Postgres(Database);

#[async_trait]
impl Subject for Postgres {
    fn store(&self) -> Arc<dyn Store> {
        let config = config("[postgres]", &self.0.url);
        let postgres = config.postgres.unwrap();
        Arc::new(PostgresStore::new(&postgres, None, Path::new("/")).unwrap())
    }

    async fn expire_lease(&self) {
        crate::support::sql(
            &self.0,
            "update outpost.lease set expires_at = clock_timestamp() - interval '1 second'",
        );
    }
}

struct Redis(RedisServer);

#[async_trait]
impl Subject for Redis {
    fn store(&self) -> Arc<dyn Store> {
        let config = config("[redis]", self.0.url());
        let plan = config.plan_relevant();
        Arc::new(RedisStore::new(&config.redis.unwrap(), &plan, Path::new("/")).unwrap())
    }

    /// Both locks are keys with a time to live: they go when it is over.
    async fn expire_lease(&self) {
        let locks = ["DEL", ".outpost:migration_lock", ".outpost:migration:lock"];
        crate::support::redis_cmd(&self.0, &locks);
    }
}

fn config(section: &str, url: &str) -> Config {
    let text = format!("[schema]\nversion = \"latest\"\n{section}\nurl = \"${{URL}}\"\n");
    Config::parse("outpost.toml", &text, &|_| Some(url.to_owned())).unwrap()
}

crate::store_contract!(memory_sql, Memory::new(StoreKind::Sql));
crate::store_contract!(memory_redis, Memory::new(StoreKind::Redis));
crate::store_contract!(postgres, Postgres(fresh_database()));
crate::store_contract!(redis, Redis(fresh_redis()));
