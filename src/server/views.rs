//! Accounts as JSON, for people and scripts. Units as in the metrics; what is not known is left out.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::collector::registry::Listed;
use crate::exposition::page::{InstanceEntry, ServiceEntry};

/// `GET /accounts`.
#[derive(Debug, Serialize)]
pub(super) struct Accounts {
    pub(super) accounts: Vec<Summary>,
}

/// How one account stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) provider: &'static str,
    /// The condition's reason and message.
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) services: usize,
    pub(super) instances: usize,
    /// Seconds since the end of the last collection that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age_seconds: Option<f64>,
    pub(super) metrics_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) legacy_metrics_path: Option<String>,
}

/// `GET /accounts/{namespace}/{name}` without its services: [`super::detail`] adds them one by one, as they may be many.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    account: Summary,
    services: [(); 0],
}

/// A service without its instances, for the same reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desired_instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running_instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    instances: [(); 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    name: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    timestamp_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_usage_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_utilization_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_usage_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_utilization_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_receive_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_receive_errors: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_transmit_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_transmit_errors: Option<f64>,
}

/// All accounts as they stand at `now`.
pub(super) fn accounts(accounts: &[Listed], now: SystemTime) -> Accounts {
    Accounts { accounts: accounts.iter().map(|account| summary(account, now)).collect() }
}

/// One account as it stands at `now`.
pub(super) fn detail(account: &Listed, now: SystemTime) -> Detail {
    Detail { account: summary(account, now), services: [] }
}

fn summary(account: &Listed, now: SystemTime) -> Summary {
    let id = account.id();
    let page = account.snapshot().map(|snapshot| &snapshot.page);
    let services = page.map(|page| &page.services[..]).unwrap_or_default();
    let legacy = account.targets().iter().find(|target| target.legacy);
    Summary {
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        provider: account.provider(),
        reason: account.reason(),
        message: account.message(),
        services: services.len(),
        instances: services.iter().map(|service| service.instances.len()).sum(),
        age_seconds: page.and_then(|page| page.gauges.last_success).map(|at| age(at, now)),
        metrics_path: id.metrics_path(),
        legacy_metrics_path: legacy.map(|target| target.path.clone()),
    }
}

/// Seconds from a time since the epoch to `now`, in milliseconds' steps; 0 if the clock was set back since.
fn age(at: f64, now: SystemTime) -> f64 {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    ((now - at).max(0.0) * 1000.0).round() / 1000.0
}

/// What a cloud says of a service.
pub(super) fn service(entry: &ServiceEntry) -> Service {
    let facts = &entry.facts;
    Service {
        name: facts.name.clone(),
        application: facts.application.clone(),
        status: facts.status.clone(),
        desired_instances: facts.desired_instances,
        running_instances: facts.running_instances,
        image: facts.image.clone(),
        image_tag: facts.image_tag.clone(),
        size: facts.size.clone(),
        region: facts.region.clone(),
        instances: [],
    }
}

/// What a cloud says of an instance, with its newest sample.
pub(super) fn instance(entry: &InstanceEntry) -> Instance {
    Instance {
        name: entry.facts.name.clone(),
        id: entry.facts.id.clone(),
        start_time_seconds: entry.facts.started_at,
        sample: entry.sample.as_ref().map(|sample| Sample {
            timestamp_seconds: sample.timestamp,
            cpu_usage_seconds: sample.cpu_usage_nanoseconds.map(|used| used / 1e9),
            cpu_utilization_ratio: sample.cpu_utilization_percent.map(|percent| percent / 100.0),
            memory_usage_bytes: sample.memory_usage_bytes,
            memory_utilization_ratio: sample.memory_utilization_percent.map(|percent| percent / 100.0),
            network_receive_bytes: sample.receive_bytes,
            network_receive_errors: sample.receive_errors,
            network_transmit_bytes: sample.transmit_bytes,
            network_transmit_errors: sample.transmit_errors,
        }),
    }
}
