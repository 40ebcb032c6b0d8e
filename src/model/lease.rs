//! The lock that an apply holds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a lease lives without renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(30);

/// How often its holder renews it.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(10);

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// User name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Hex digest of the plan that is being applied.
    pub plan: String,
    /// Who signed that plan, where a signature was checked. For the history alone, which outlives the lease.
    #[serde(skip)]
    pub signer: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plan = self.plan.get(..12).unwrap_or(&self.plan);
        write!(
            f,
            "{}@{}, pid {}, plan {plan}",
            self.user, self.host, self.pid
        )
    }
}

/// A lease as its store shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseInfo {
    /// Its id, which `unlock` takes; new for every run.
    pub id: String,
    /// Its fencing token; grows with every change of holder.
    pub token: u64,
    /// The holder; `None` for a lock that an earlier tool wrote.
    pub holder: Option<Holder>,
    /// Since when it is held, RFC 3339 in UTC, by the store's clock.
    pub since: String,
    /// Milliseconds until it expires, by the store's clock; negative once it has expired.
    pub expires_in_ms: i64,
}

impl LeaseInfo {
    /// Whether it has run out, so that anybody may take it over.
    pub fn expired(&self) -> bool {
        self.expires_in_ms <= 0
    }

    /// Whether its holder has renewed it within the last renewal period and a half: a live run.
    pub fn being_renewed(&self) -> bool {
        let renewed_ago = LEASE_TTL.as_millis() as i64 - self.expires_in_ms;
        renewed_ago < (LEASE_RENEWAL.as_millis() as i64 * 3) / 2
    }
}
