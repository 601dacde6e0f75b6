//! An account as a validated plain value: whatever is in it holds, and nobody checks it again.
//!
//! Shared by the controller, standalone and check. Knows the custom resource, never Kubernetes' API.

pub mod admission;
mod id;
mod interval;
mod problem;
pub mod resolve;
pub mod secret;
pub mod target;
pub mod uncollected;

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::http::AccountLimits;
use crate::cloud::{ProviderAccount, ServiceFilter};

pub use id::AccountId;
pub use problem::{Problem, Subject};
pub use resolve::resolve;
pub use secret::{SecretData, SecretRead};
pub use target::{Target, omitted_labels, targets};
pub use uncollected::Uncollected;

/// One account, ready to be collected, in parts that are compared apart: a change of one leaves alone what the others
/// carry.
#[derive(Debug, Clone)]
pub struct Account {
    /// Namespace and name.
    pub id: AccountId,
    /// The object's UID: a new object of the same name is another account.
    pub uid: String,
    /// How to reach the cloud. While it stays equal, so does the client with its session and rate.
    pub connection: Connection,
    /// When to collect.
    pub schedule: Schedule,
    /// Which services to collect.
    pub selection: ServiceFilter,
    /// What to expose.
    pub exposition: Exposition,
    /// What Prometheus scrapes, as the ServiceMonitor or the list at `/sd` says.
    pub targets: Vec<Target>,
    /// Of what it was made. Does not count where accounts are compared: a Secret may be written anew with the same values.
    pub origin: Origin,
}

// By hand, since one field does not count.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        let Self { id, uid, connection, schedule, selection, exposition, targets, origin: _ } = self;
        (id, uid, connection, schedule) == (&other.id, &other.uid, &other.connection, &other.schedule)
            && (selection, exposition, targets) == (&other.selection, &other.exposition, &other.targets)
    }
}

/// Of which versions of its object and Secret an account was made, where that is known. Two replicas know by that whether they
/// mean the same connection, and tell each other no credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The object's generation, which each change of its spec changes.
    pub generation: Option<i64>,
    /// The `resourceVersion` of the Secret with the credentials.
    pub secret: Option<Arc<str>>,
}

impl Origin {
    /// Whether both are known to be of the same spec.
    pub fn has_same_spec(&self, other: &Self) -> bool {
        self.generation.is_some() && self.generation == other.generation
    }

    /// Whether both are known to have the same credentials, for the same spec.
    pub fn has_same_credentials(&self, other: &Self) -> bool {
        self.has_same_spec(other) && self.secret.is_some() && self.secret == other.secret
    }
}

impl Account {
    /// Whether the values collected for `before` also belong to this account: it is the same object, and it queries the
    /// same account of the same cloud.
    pub fn inherits_state(&self, before: &Self) -> bool {
        self.uid == before.uid
            && self.connection.provider.cloud_account() == before.connection.provider.cloud_account()
    }

    /// Whether a collection of `other` is one of this account too, so that a change from one to the other need not
    /// interrupt it: they differ at most in how the values are exposed and scraped.
    pub fn is_collected_like(&self, other: &Self) -> bool {
        (&self.uid, &self.connection, &self.schedule, &self.selection)
            == (&other.uid, &other.connection, &other.schedule, &other.selection)
    }
}

/// All that a cloud's client is made of.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Which account at which cloud, with its credentials.
    pub provider: Arc<dyn ProviderAccount>,
    /// Certificates to trust in PEM form, in place of the system's.
    pub ca_bundle: Option<Arc<[u8]>>,
    /// How hard the cloud may be queried.
    pub limits: AccountLimits,
}

impl Hash for Connection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { provider, ca_bundle, limits } = self;
        (&**provider, ca_bundle, limits).hash(state);
    }
}

// By hand, since the derive cannot compare trait objects (rust-lang/rust#31740).
impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        let Self { provider, ca_bundle, limits } = self;
        **provider == *other.provider && *ca_bundle == other.ca_bundle && *limits == other.limits
    }
}

/// When to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From the start of one cycle to the start of the next.
    pub interval: Duration,
    /// How long the last values stay when they cannot be fetched again.
    pub stale_after: Duration,
}

/// What to expose of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposition {
    /// Which families.
    pub names: Names,
    /// Whether samples carry the cloud's own timestamps.
    pub source_timestamps: bool,
    /// The most series to expose.
    pub max_series: usize,
}

/// Which families are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `caas_…`.
    Modern,
    /// The four legacy gauges only.
    Legacy,
    /// Both, each on its own path.
    Both,
}

impl Names {
    /// Whether the `caas_instance_…` and `caas_service_…` families are served.
    pub fn modern(self) -> bool {
        self != Self::Legacy
    }

    /// Whether the four legacy gauges are served.
    pub fn legacy(self) -> bool {
        self != Self::Modern
    }
}
