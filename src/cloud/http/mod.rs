//! The guarded HTTP client that all providers share: which addresses may be dialled ([`guard`]), which certificates are
//! trusted ([`tls`]), how much of an answer is taken ([`body`]), retries, rates and concurrency. Knows no provider.

pub mod account;
mod account_limits;
pub mod body;
mod budget;
mod client_state;
pub mod clients;
mod connector;
mod global_limits;
pub mod guard;
mod gzip;
mod pool;
mod request;
mod reset;
pub mod resolve;
mod retry;
mod shared_rate;
pub mod tls;

use std::sync::Arc;

pub use account::AccountClient;
pub use account_limits::AccountLimits;
pub use client_state::{ClientState, Demands, RefusedLogins};
pub use clients::ClientProblem;
pub(crate) use clients::client_config;
pub use global_limits::Capacity;
pub use guard::{Policy, Prefix};
pub use request::{ApiRequest, RequestBody};
pub(crate) use reset::retry_after;
pub use shared_rate::{PublishedLimits, RateGroup, RateLimit, RateShare};
pub use tls::{CaBundleProblem, check_ca_bundle};

use crate::limits::ProcessLimits;
use crate::telemetry::AccountMeter;
use clients::Clients;
use global_limits::GlobalLimits;
use resolve::{Lookup, SystemLookup};
use shared_rate::SharedRates;

/// What the requests of all accounts share. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    policy: Arc<Policy>,
    clients: Arc<Clients>,
    limits: Arc<GlobalLimits>,
    rates: Arc<SharedRates>,
    process: ProcessLimits,
}

impl Http {
    /// A stack under the administrator's policy.
    pub fn new(policy: Policy) -> Self {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// As [`Self::new`], with another resolver than the system's.
    pub fn with_lookup(policy: Policy, lookup: Arc<dyn Lookup>) -> Self {
        let (policy, capacity) = (Arc::new(policy), Capacity::default());
        let clients = Arc::new(Clients::new(Arc::clone(&policy), lookup, capacity.idle_connections));
        let limits = Arc::new(GlobalLimits::new(capacity));
        Self { policy, clients, limits, rates: Arc::default(), process: ProcessLimits::default() }
    }

    /// The same within the limits of the process.
    #[must_use]
    pub fn within(self, process: ProcessLimits) -> Self {
        let mut capacity = process.answers.map_or_else(Capacity::default, Capacity::of_answers);
        if let Some(files) = process.files {
            capacity = capacity.within_files(files);
        }
        Self { process, ..self.with_capacity(capacity) }
    }

    /// The same with another capacity.
    #[must_use]
    pub fn with_capacity(self, capacity: Capacity) -> Self {
        let clients = Arc::new(self.clients.with_max_idle(capacity.idle_connections));
        Self { clients, limits: Arc::new(GlobalLimits::new(capacity)), ..self }
    }

    /// What the administrator allows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the process may hold.
    pub fn process(&self) -> &ProcessLimits {
        &self.process
    }

    /// A client for one account of this namespace. It trusts its own CA bundle (PEM) alone or, without one, the system's
    /// certificates.
    pub fn account(
        &self,
        namespace: &str,
        limits: AccountLimits,
        ca_bundle: Option<&Arc<[u8]>>,
        meter: AccountMeter,
    ) -> Result<AccountClient, ClientProblem> {
        Ok(AccountClient {
            policy: Arc::clone(&self.policy),
            namespace: namespace.into(),
            client: self.clients.get(ca_bundle)?,
            quota: self.limits.account(namespace),
            workers: self.process.workers.of(namespace),
            memory: self.process.memory.holder(namespace, ""),
            limits,
            state: Arc::new(ClientState::new(limits)),
            rate: None,
            endpoint_host: None,
            meter,
        })
    }

    /// The same client, which keeps limits that its cloud publishes together with all clients of the same token or user.
    #[must_use]
    pub fn limited(&self, client: AccountClient, published: &PublishedLimits) -> AccountClient {
        AccountClient { rate: Some(self.rate(published)), ..client }
    }

    /// A share of what all accounts of a token or user may send together.
    pub fn rate(&self, published: &PublishedLimits) -> RateShare {
        self.rates.share(published)
    }
}
