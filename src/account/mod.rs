//! An account as a validated plain value: whatever is in it holds, and nobody checks it again.
//!
//! Shared by the controller, standalone and check. Knows the custom resource, never Kubernetes' API.

pub mod admission;
pub mod resolve;
pub mod secret;
pub mod target;
pub mod uncollected;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::api::{ConditionType, Finding, Reason};
use crate::cloud::http::AccountLimits;
use crate::cloud::{Credentials, ServiceFilter};

pub use resolve::resolve;
pub use secret::{SecretData, SecretRead};
pub use target::{Target, targets};
pub use uncollected::Uncollected;

/// Which account: namespace and name of its CaasAccount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    /// The CaasAccount's namespace.
    pub namespace: Arc<str>,
    /// The CaasAccount's name.
    pub name: Arc<str>,
}

impl AccountId {
    /// The account of this namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The path under which the account's series are served.
    pub fn metrics_path(&self) -> String {
        format!("/accounts/{}/{}/metrics", self.namespace, self.name)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// One account, ready to be collected, in parts that are compared apart: a change of one leaves alone what the others
/// carry.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Which cloud, and where.
    pub provider: Provider,
    /// The user and password, or the token.
    pub credentials: Credentials,
    /// Certificates to trust in PEM form, in place of the system's.
    pub ca_bundle: Option<Arc<[u8]>>,
    /// How hard the cloud may be queried.
    pub limits: AccountLimits,
}

/// The provider with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Provider {
    /// Alauda's v1 API.
    Alauda(crate::cloud::alauda::Settings),
}

impl Provider {
    /// The provider's key under `spec.provider`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alauda(_) => "alauda",
        }
    }

    /// The API's base address.
    pub fn endpoint(&self) -> &Url {
        match self {
            Self::Alauda(settings) => &settings.endpoint,
        }
    }

    /// The words that the provider has for a service's status.
    pub fn status_words(&self) -> &'static [&'static str] {
        match self {
            Self::Alauda(_) => crate::cloud::alauda::STATUS_WORDS,
        }
    }

    /// Which account at which cloud: alike for all that ask for the same services.
    pub fn cloud_account(&self) -> String {
        match self {
            Self::Alauda(settings) => format!("alauda {} {}", settings.endpoint, settings.namespace),
        }
    }
}

/// Why a CaasAccount is no [`Account`] yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Problem {
    /// Which condition does not hold.
    pub condition: ConditionType,
    /// Why.
    pub reason: Reason,
    /// A whole sentence that says what to do, naming object and key; never a value of a Secret.
    pub message: String,
}

impl Problem {
    /// The problem of this reason, on the condition that the reason belongs to.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { condition: reason.condition(), reason, message: message.into() }
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        Self::new(problem.reason, problem.message)
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
    /// The article's four gauges only.
    Legacy,
    /// Both, each on its own path.
    Both,
}

impl Names {
    /// Whether the `caas_instance_…` and `caas_service_…` families are served.
    pub fn modern(self) -> bool {
        self != Self::Legacy
    }

    /// Whether the article's four gauges are served.
    pub fn legacy(self) -> bool {
        self != Self::Modern
    }
}
