//! What stands in one account's bodies: the input of rendering.

use std::sync::Arc;

use super::labels::LabelSet;
use crate::cloud::model::{InstanceFacts, Sample, ServiceFacts};

/// One account's series before they are text.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// `account_namespace` and `account`.
    pub labels: LabelSet,
    /// What the collector says of the account.
    pub gauges: AccountGauges,
    /// Services in the order in which they were first seen, so that a limit keeps the oldest.
    pub services: Vec<ServiceEntry>,
}

/// What the collector itself says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AccountGauges {
    /// Whether the last cycle succeeded, wholly or in part.
    pub up: bool,
    /// When the last cycle ended, in seconds since the epoch.
    pub last_collection: f64,
    /// When the last cycle that succeeded ended, in seconds since the epoch.
    pub last_success: Option<f64>,
    /// How long the last cycle took, in seconds.
    pub last_duration: f64,
}

/// A service as it is exposed.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceEntry {
    /// The account's labels and `service_name`.
    pub labels: LabelSet,
    /// What the inventory says.
    pub facts: Arc<ServiceFacts>,
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
