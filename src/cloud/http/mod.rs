//! The wire that all providers share: which addresses may be asked ([`guard`]), whom to trust ([`tls`]), how much of an
//! answer is taken ([`limits`]), what is sent again, how fast and how much at once. Knows no provider.

pub mod account;
mod budget;
pub mod clients;
pub mod guard;
pub mod limits;
mod places;
mod pool;
mod request;
mod reset;
pub mod resolve;
mod retry;
pub mod tls;

use std::sync::Arc;

pub use account::{AccountClient, AccountLimits};
pub use clients::ClientProblem;
pub use guard::{Policy, Prefix};
pub use places::Bounds;
pub use request::{ApiRequest, RequestBody};
pub use tls::{CaBundleProblem, check_ca_bundle};

use crate::telemetry::AccountMeter;
use budget::Budget;
use clients::Clients;
use places::Places;
use resolve::{Lookup, SystemLookup};

/// What all accounts of the process share on the wire. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    policy: Arc<Policy>,
    clients: Arc<Clients>,
    places: Arc<Places>,
}

impl Http {
    /// The process's wire, under the administrator's policy.
    pub fn new(policy: Policy) -> Self {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// As [`Self::new`], resolving names in another way than the system's.
    pub fn with_lookup(policy: Policy, lookup: Arc<dyn Lookup>) -> Self {
        let policy = Arc::new(policy);
        let clients = Arc::new(Clients::new(Arc::clone(&policy), lookup));
        Self { policy, clients, places: Arc::new(Places::new(Bounds::default())) }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn bounded(self, bounds: Bounds) -> Self {
        Self { places: Arc::new(Places::new(bounds)), ..self }
    }

    /// What the administrator allows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A client for one account, which trusts its own bundle (PEM) alone or, without one, the system's certificates.
    pub fn account(
        &self,
        limits: AccountLimits,
        ca_bundle: Option<&[u8]>,
        meter: AccountMeter,
    ) -> Result<AccountClient, ClientProblem> {
        Ok(AccountClient {
            policy: Arc::clone(&self.policy),
            client: self.clients.get(ca_bundle)?,
            places: Arc::clone(&self.places),
            own: self.places.account(),
            limits,
            budget: Budget::new(limits.requests_per_second, limits.max_concurrent),
            meter,
        })
    }
}
