//! The one table of an account's families: rendering and the generated documentation both read it.
//!
//! Knows what a value means and where it stands, not how a line looks.

use super::page::AccountGauges;
use crate::cloud::model::{InstanceFacts, Sample, ServiceFacts};

/// A family: what Prometheus is told of it, and where its values come from.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The name that samples carry, with `_total` for counters and `_info` for infos.
    pub name: &'static str,
    /// What may be done with the values.
    pub kind: Kind,
    /// The base unit that the name ends in (before `_total`), where there is one.
    pub unit: Option<&'static str>,
    /// One sentence for people.
    pub help: &'static str,
    /// How a value is read.
    pub reads: Reads,
}

/// The kinds that a cloud's values need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up, and back to 0 with a new start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1, says its piece in labels; a gauge in the text format.
    Info,
}

/// Where a family's values come from. A value that is not known is `None`, and its series is absent.
#[derive(Debug, Clone, Copy)]
pub enum Reads {
    /// One series an account.
    Account(fn(&AccountFacts<'_>) -> Option<f64>),
    /// One series a service.
    Service(fn(&ServiceFacts) -> Option<f64>),
    /// A series for each of [`STATUSES`] and for the present one, with the label `status`.
    ServiceStatus,
    /// One series a service, with the labels of [`INFO_LABELS`].
    ServiceInfo,
    /// One series an instance.
    Instance(fn(&InstanceFacts) -> Option<f64>),
    /// One series an instance, with its service's [`INFO_LABELS`].
    InstanceInfo,
    /// One series an instance with a sample.
    Sample(fn(&Sample) -> Option<f64>),
}

/// The values that stand on an account itself.
#[derive(Debug, Clone, Copy)]
pub struct AccountFacts<'a> {
    /// What the collector says.
    pub gauges: &'a AccountGauges,
    /// Services that were collected, exposed or not.
    pub services: usize,
    /// Instances that were collected, exposed or not.
    pub instances: usize,
    /// Series that are exposed, these of the account included.
    pub series: usize,
}

/// The statuses that each service with a known status has a series of, so that a change of status
/// is a 0 and a 1 rather than a series that ends. Another word of a cloud's is a further series of 1.
pub const STATUSES: [&str; 4] = ["Running", "Deploying", "Starting", "Stopped"];

/// The label that says which status.
pub const STATUS_LABEL: &str = "status";

/// Reads one label's value from what the inventory says of a service.
pub(super) type ReadLabel = fn(&ServiceFacts) -> Option<&str>;

/// The labels of info families. One that is not known is empty, which Prometheus takes as absent,
/// so that all series of a family have the same labels.
pub const INFO_LABELS: [(&str, ReadLabel); 5] = [
    ("application", |facts| facts.application.as_deref()),
    ("image", |facts| facts.image.as_deref()),
    ("image_tag", |facts| facts.image_tag.as_deref()),
    ("region", |facts| facts.region.as_deref()),
    ("size", |facts| facts.size.as_deref()),
];

/// An account's families, in the order in which they are exposed.
pub fn families() -> &'static [Family] {
    &MODERN
}

/// The four gauges of the article with the names and units that a cloud gives them.
pub fn legacy_families() -> &'static [Family] {
    &LEGACY
}

const NANOSECONDS_PER_SECOND: f64 = 1e9;
const PERCENT: f64 = 100.0;

const fn gauge(name: &'static str, unit: Option<&'static str>, help: &'static str, reads: Reads) -> Family {
    Family { name, kind: Kind::Gauge, unit, help, reads }
}

const fn counter(name: &'static str, unit: Option<&'static str>, help: &'static str, reads: Reads) -> Family {
    Family { name, kind: Kind::Counter, unit, help, reads }
}

const fn info(name: &'static str, help: &'static str, reads: Reads) -> Family {
    Family { name, kind: Kind::Info, unit: None, help, reads }
}

const MODERN: [Family; 22] = [
    gauge(
        "caas_account_up",
        None,
        "Whether the last collection of the account succeeded, wholly or in part (1) or failed (0).",
        Reads::Account(|account| Some(f64::from(u8::from(account.gauges.up)))),
    ),
    gauge(
        "caas_account_services",
        None,
        "Services of the account that are known, including those left out by the limit on series.",
        Reads::Account(|account| Some(account.services as f64)),
    ),
    gauge(
        "caas_account_instances",
        None,
        "Instances of the account that are known, including those left out by the limit on series.",
        Reads::Account(|account| Some(account.instances as f64)),
    ),
    gauge(
        "caas_account_series",
        None,
        "Series of the account that are exposed, legacy ones and the account's own included.",
        Reads::Account(|account| Some(account.series as f64)),
    ),
    gauge(
        "caas_account_last_collection_timestamp_seconds",
        Some("seconds"),
        "When the last collection ended, in seconds since the epoch.",
        Reads::Account(|account| Some(account.gauges.last_collection)),
    ),
    gauge(
        "caas_account_last_success_timestamp_seconds",
        Some("seconds"),
        "When the last collection that succeeded ended, in seconds since the epoch; absent before the first.",
        Reads::Account(|account| account.gauges.last_success),
    ),
    gauge(
        "caas_account_last_collection_duration_seconds",
        Some("seconds"),
        "How long the last collection took.",
        Reads::Account(|account| Some(account.gauges.last_duration)),
    ),
    info(
        "caas_service_info",
        "What the cloud says of a service; what it does not say is an empty label.",
        Reads::ServiceInfo,
    ),
    gauge(
        "caas_service_desired_instances",
        None,
        "Instances that the service should have.",
        Reads::Service(|service| service.desired_instances.map(|count| count as f64)),
    ),
    gauge(
        "caas_service_running_instances",
        None,
        "Instances of the service that run.",
        Reads::Service(|service| service.running_instances.map(|count| count as f64)),
    ),
    gauge(
        "caas_service_status",
        None,
        "1 for the service's present status, 0 for the others of Running, Deploying, Starting, Stopped.",
        Reads::ServiceStatus,
    ),
    info(
        "caas_instance_info",
        "What the cloud says of an instance's service; what it does not say is an empty label.",
        Reads::InstanceInfo,
    ),
    gauge(
        "caas_instance_start_time_seconds",
        Some("seconds"),
        "When the instance started, in seconds since the epoch.",
        Reads::Instance(|instance| instance.started_at),
    ),
    gauge(
        "caas_instance_sample_timestamp_seconds",
        Some("seconds"),
        "When the cloud took the instance's newest measurements, in seconds since the epoch.",
        Reads::Sample(|sample| Some(sample.timestamp)),
    ),
    counter(
        "caas_instance_cpu_usage_seconds_total",
        Some("seconds"),
        "CPU time that the instance has used since it started.",
        Reads::Sample(|sample| sample.cpu_usage_nanoseconds.map(|used| used / NANOSECONDS_PER_SECOND)),
    ),
    gauge(
        "caas_instance_cpu_utilization_ratio",
        Some("ratio"),
        "CPU time since the start over the time since the start, as the cloud averages it; 1 is one core. \
         rate(caas_instance_cpu_usage_seconds_total[5m]) tells the present.",
        Reads::Sample(|sample| sample.cpu_utilization_percent.map(|percent| percent / PERCENT)),
    ),
    gauge(
        "caas_instance_memory_usage_bytes",
        Some("bytes"),
        "Memory in use.",
        Reads::Sample(|sample| sample.memory_usage_bytes),
    ),
    gauge(
        "caas_instance_memory_utilization_ratio",
        Some("ratio"),
        "Memory in use, as a share of what the instance may use.",
        Reads::Sample(|sample| sample.memory_utilization_percent.map(|percent| percent / PERCENT)),
    ),
    counter(
        "caas_instance_network_receive_bytes_total",
        Some("bytes"),
        "Bytes that the instance has received since it started.",
        Reads::Sample(|sample| sample.receive_bytes),
    ),
    counter(
        "caas_instance_network_receive_errors_total",
        None,
        "Errors while the instance received, since it started.",
        Reads::Sample(|sample| sample.receive_errors),
    ),
    counter(
        "caas_instance_network_transmit_bytes_total",
        Some("bytes"),
        "Bytes that the instance has sent since it started.",
        Reads::Sample(|sample| sample.transmit_bytes),
    ),
    counter(
        "caas_instance_network_transmit_errors_total",
        None,
        "Errors while the instance sent, since it started.",
        Reads::Sample(|sample| sample.transmit_errors),
    ),
];

// All four are gauges with the cloud's own units, whatever they measure, as the article has them.
const LEGACY: [Family; 4] = [
    gauge(
        "cpu_cumulative_usage",
        None,
        "CPU time that the instance has used since it started, in nanoseconds.",
        Reads::Sample(|sample| sample.cpu_usage_nanoseconds),
    ),
    gauge(
        "cpu_utilization",
        None,
        "CPU time since the start over the time since the start, as the cloud averages it; 100 is one core.",
        Reads::Sample(|sample| sample.cpu_utilization_percent),
    ),
    gauge(
        "memory_usage",
        None,
        "Memory in use, in bytes.",
        Reads::Sample(|sample| sample.memory_usage_bytes),
    ),
    gauge(
        "memory_utilization",
        None,
        "Memory in use, in percent of what the instance may use.",
        Reads::Sample(|sample| sample.memory_utilization_percent),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_as_their_kind_and_unit_demand() {
        let mut seen = BTreeSet::new();
        for family in families().iter().chain(legacy_families()) {
            assert!(seen.insert(family.name), "{} stands twice", family.name);
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            assert_eq!(family.kind == Kind::Info, family.name.ends_with("_info"), "{}", family.name);
            let base = family.name.trim_end_matches("_total");
            assert!(family.unit.is_none_or(|unit| base.ends_with(unit)), "{}", family.name);
        }
    }

    #[test]
    fn help_needs_no_escaping() {
        for family in families().iter().chain(legacy_families()) {
            assert!(!family.help.contains(['\\', '"', '\n']), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }
}
