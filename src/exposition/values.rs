//! One account's values as the collector hands them over: the input of rendering and of the JSON.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::labels::LabelSet;
use crate::cloud::model::{InstanceFacts, Sample, ServiceFacts};

/// One account's values after one cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountValues {
    /// `account_namespace` and `account`.
    pub labels: LabelSet,
    /// What the collector says of the account.
    pub gauges: AccountGauges,
    /// The provider's name.
    pub provider: &'static str,
    /// The words that the provider has for a service's status. Each service with a status has a series of each, so that a
    /// change is a 0 and a 1 rather than a series that ends; another word is a further series of 1.
    pub status_words: &'static [&'static str],
    /// Services in the order in which they were first seen, so that a limit keeps the oldest.
    pub services: Vec<ServiceEntry>,
}

/// What the collector itself says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountGauges {
    /// Whether the last cycle succeeded, wholly or in part.
    pub up: bool,
    /// When the last cycle ended, in seconds since the epoch.
    pub last_collection: f64,
    /// When the last cycle that succeeded ended, in seconds since the epoch.
    pub last_success: Option<f64>,
    /// How long the last cycle took, in seconds.
    pub last_duration: f64,
    /// From the start of one cycle to the start of the next, in seconds, as it is kept.
    pub interval: f64,
    /// The requests that all accounts of the token or user need, as a share of what the cloud's limits let them spend.
    pub request_budget: Option<f64>,
}

/// A service as it is exposed.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceEntry {
    /// The account's labels, `application` where there is one, and `service_name`.
    pub labels: LabelSet,
    /// What the inventory says.
    pub facts: Arc<ServiceFacts>,
    /// The newest values of the service as a whole that are not stale.
    pub sample: Option<Sample>,
    /// Instances in the order in which they were first seen.
    pub instances: Vec<InstanceEntry>,
}

/// An instance as it is exposed.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceEntry {
    /// The service's labels, `instance_name` and `instance_id`.
    pub labels: LabelSet,
    /// What the inventory says.
    pub facts: Arc<InstanceFacts>,
    /// The newest values that are not stale.
    pub sample: Option<Sample>,
}
