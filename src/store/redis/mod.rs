//! Redis and Valkey. Only this module names the driver.
//!
//! A migration's keys are found by SCAN, classified exactly, read in pipelines and written by scripts that
//! check the lease and what was read in the same atomic unit. So every batch may be sent twice, every step
//! may be interrupted, and a write of the application in between is never lost.

mod across;
mod apply;
mod author;
mod calls;
mod command;
mod compare;
mod deed;
mod direct;
mod errors;
mod estimate;
mod fences;
mod keys;
mod large;
mod large_moves;
mod lease;
mod ledger;
mod link;
mod member;
mod memory;
mod moves;
mod observe;
mod ours;
mod pace;
mod passes;
mod payload;
mod place;
mod prepare;
mod read;
mod record;
mod rehearse;
mod scan;
mod scripts;
mod slots;
mod survey;
mod verify;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use self::fences::Fences;
use self::keys::Keys;
use self::link::Link;
use self::ours::Ours;
pub use self::pace::Limits;
pub use self::rehearse::{KeySnapshot, SampledKeys};
use crate::model::config::{PlanConfig, RedisConfig};
use crate::model::event::Events;
use crate::model::history::{Failure, HistoryEntry};
use crate::model::id::{MigrationId, StoreKind};
use crate::model::lease::{Holder, LeaseInfo};
use crate::model::migration::{Content, Migration};
use crate::model::plan::{Plan, Step, StepContent, StepEvidence};
use crate::model::redis::declaration::Declaration;
use crate::model::report::Done;
use crate::model::state::StoreState;
use crate::model::verification::Verification;
use crate::store::{Lease, Observe, Run, Store, StoreError, StoreErrorKind};

/// A Redis server, and the deployment in it that is migrated.
pub struct RedisStore {
    link: Link,
    keys: Keys,
    deployment_id: String,
    database: u32,
    fences: Fences,
    limits: Limits,
    /// Changes to the tool's own keys.
    ours: Arc<Ours>,
}

impl RedisStore {
    /// A store that connects when it is first asked for something. TLS files are read now, relative to
    /// `folder`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Tls`] for files that cannot be read, [`StoreErrorKind::Server`] for an address that
    /// the driver does not take.
    pub fn new(config: &RedisConfig, plan: &PlanConfig, folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            link: Link::new(config, folder)?,
            keys: Keys::new(plan.prefix(), config.cluster),
            deployment_id: config.deployment_id.clone().unwrap_or_default(),
            database: config.database,
            fences: Fences::default(),
            limits: Limits::default(),
            ours: Arc::default(),
        })
    }

    /// The same store, worked no harder than these limits allow.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The declaration of a planned step; `None` for one that only writes the ledger.
    ///
    /// # Errors
    /// A declaration that this version does not read.
    pub fn declaration(
        &self,
        step: &Step,
        config: &PlanConfig,
    ) -> Result<Option<Declaration>, StoreError> {
        let StepContent::Redis(content) = &step.content else {
            return Ok(None);
        };
        self.parse(step, &content.path, &content.text, config)
            .map(Some)
    }

    /// What may have changed the copies of a step that is cleaned up.
    fn later(&self, step: &Step, config: &PlanConfig) -> Result<Vec<Declaration>, StoreError> {
        let StepContent::Redis(content) = &step.content else {
            return Ok(Vec::new());
        };
        let later = content.later.iter();
        later
            .map(|other| self.parse(step, &other.path, &other.text, config))
            .collect()
    }

    fn parse(
        &self,
        step: &Step,
        path: &str,
        text: &str,
        config: &PlanConfig,
    ) -> Result<Declaration, StoreError> {
        Declaration::parse(path, text, config).map_err(|e| {
            self.link.error(StoreErrorKind::Keys {
                id: step.id.clone(),
                findings: vec![e.to_string()],
            })
        })
    }

    /// The name of the marker of earlier tools, for a step that carries its declaration.
    fn compat_name(&self, step: &Step, run: &Run<'_>) -> Result<Option<String>, StoreError> {
        let declaration = self.declaration(step, &run.plan.decision.config)?;
        Ok(declaration.and_then(|declaration| declaration.compat_name))
    }
}

#[async_trait]
impl Store for RedisStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Redis
    }

    fn address(&self) -> String {
        self.link.address().to_owned()
    }

    async fn observe(&self, what: &Observe) -> Result<StoreState, StoreError> {
        self.read_state(what).await
    }

    async fn verify(
        &self,
        migration: &Migration,
        later: &[&Migration],
        events: &dyn Events,
    ) -> Result<Verification, StoreError> {
        match &migration.content {
            Content::Redis(redis) => {
                let later: Vec<Declaration> = later
                    .iter()
                    .filter_map(|migration| match &migration.content {
                        Content::Redis(redis) => Some(redis.declaration.clone()),
                        Content::Sql(_) => None,
                    })
                    .collect();
                self.verify_declaration(&migration.id, &redis.declaration, &later, events)
                    .await
            }
            Content::Sql(_) => Ok(Verification::default()),
        }
    }

    async fn estimate(
        &self,
        steps: &[&Step],
        plan: &PlanConfig,
    ) -> Result<Vec<StepEvidence>, StoreError> {
        let mut evidence = Vec::with_capacity(steps.len());
        for step in steps {
            evidence.push(self.estimate_step(step, plan).await?);
        }
        Ok(evidence)
    }

    async fn acquire(&self, id: &str, holder: &Holder) -> Result<Lease, StoreError> {
        self.take_lease(id, holder).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.renew_lease(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.release_lease(lease).await
    }

    async fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
        self.read_lease(self.link.session()).await
    }

    async fn break_lease(&self, id: &str) -> Result<(), StoreError> {
        self.remove_lease(id).await
    }

    async fn run(&self, step: &Step, run: &Run<'_>) -> Result<Done, StoreError> {
        self.run_step(step, run).await
    }

    fn shares(&self, step: &Step, plan: &Plan) -> bool {
        self.can_share(step, plan)
    }

    async fn run_together(&self, steps: &[&Step], run: &Run<'_>) -> Vec<Result<Done, StoreError>> {
        self.run_steps(steps, run).await
    }

    async fn record_failure(
        &self,
        step: &Step,
        run: &Run<'_>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        self.record_failed(step, run, error).await
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read_history().await
    }

    async fn failures(
        &self,
        of: &BTreeSet<MigrationId>,
    ) -> Result<BTreeMap<MigrationId, Failure>, StoreError> {
        self.read_failures(of).await
    }
}
