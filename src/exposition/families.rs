//! An account's families: those of facts, listed here, and those of [`MEASUREMENTS`]. Rendering and the generated
//! documentation both read them.
//!
//! Knows what a value means and where it comes from, not how a line looks.

use std::sync::LazyLock;

use super::values::AccountGauges;
use crate::cloud::model::measurement::{LegacyGauge, Owner, Row};
use crate::cloud::model::{InstanceFacts, Limits, MEASUREMENTS, Measurement, ServiceFacts};

/// A family: its metadata, and where its values come from.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The name that samples carry, with `_total` for counters and `_info` for infos.
    pub name: &'static str,
    /// How the values develop.
    pub kind: Kind,
    /// The base unit that the name ends in (before `_total`), where there is one.
    pub unit: Option<&'static str>,
    /// One sentence for people.
    pub help: &'static str,
    /// How a value is read.
    pub reads: Reads,
}

/// The kinds of family that a cloud's values need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up, and back to 0 with a new start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1, with facts in labels; a gauge in the text format.
    Info,
}

/// Where a family's values come from. A value that is not known is `None`, and its series is absent.
#[derive(Debug, Clone, Copy)]
pub enum Reads {
    /// One series an account, with [`PROVIDER_LABEL`].
    AccountInfo,
    /// One series an account.
    Account(fn(&AccountFacts<'_>) -> Option<f64>),
    /// One series a service.
    Service(fn(&ServiceFacts) -> Option<f64>),
    /// A series for each of the provider's status words and for the present one, with [`STATUS_LABEL`].
    ServiceStatus,
    /// A series for each state, with [`STATE_LABEL`].
    ServiceState,
    /// One series a service, with the labels of [`super::info::INFO_LABELS`].
    ServiceInfo,
    /// One series an instance.
    Instance(fn(&InstanceFacts) -> Option<f64>),
    /// One series an instance, from its limits or its service's.
    InstanceLimit(fn(&Limits) -> Option<f64>),
    /// A series for each state, with [`STATE_LABEL`].
    InstanceState,
    /// One series an instance, with the labels of [`super::info::INFO_LABELS`].
    InstanceInfo,
    /// One series an instance with a sample.
    SampleTime,
    /// One series for each value of a measurement.
    Measurement(Measurement),
    /// One series an instance with a value of the measurement that has the legacy gauge.
    Legacy,
}

/// The values of an account itself.
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

/// The label that says at which provider an account is.
pub const PROVIDER_LABEL: &str = "provider";

/// The label that says which status, in the provider's word.
pub const STATUS_LABEL: &str = "status";

/// The label that says which state, in a word that all providers share.
pub const STATE_LABEL: &str = "state";

/// An account's families, in the order in which they are exposed.
pub fn families() -> &'static [Family] {
    static FAMILIES: LazyLock<Vec<Family>> = LazyLock::new(|| {
        let measured = |owner| MEASUREMENTS.iter().filter(move |row| row.owner() == owner).map(measured);
        let facts = |families: &'static [Family]| families.iter().copied();
        facts(&ACCOUNT)
            .chain(facts(&SERVICE_FACTS))
            .chain(measured(Owner::Service))
            .chain(facts(&INSTANCE_FACTS))
            .chain(measured(Owner::Instance))
            .collect()
    });
    &FAMILIES
}

/// The four legacy gauges, with the names and units that a cloud gives them.
pub fn legacy_families() -> impl Iterator<Item = Family> {
    MEASUREMENTS.iter().filter_map(|row| row.legacy.as_ref()).map(legacy_family)
}

/// The family of a measurement.
const fn measured(row: &Row) -> Family {
    let kind = if row.is_counter { Kind::Counter } else { Kind::Gauge };
    Family {
        name: row.name,
        kind,
        unit: row.unit,
        help: row.help,
        reads: Reads::Measurement(row.measurement),
    }
}

/// The family of a legacy gauge. All are gauges, whatever they measure, as the exporter of 2015 had them.
pub(super) const fn legacy_family(gauge: &LegacyGauge) -> Family {
    Family { name: gauge.name, kind: Kind::Gauge, unit: None, help: gauge.help, reads: Reads::Legacy }
}

const fn gauge(name: &'static str, unit: Option<&'static str>, help: &'static str, reads: Reads) -> Family {
    Family { name, kind: Kind::Gauge, unit, help, reads }
}

const fn info(name: &'static str, help: &'static str, reads: Reads) -> Family {
    Family { name, kind: Kind::Info, unit: None, help, reads }
}

const ACCOUNT: [Family; 10] = [
    info("caas_account_info", "The provider of the account.", Reads::AccountInfo),
    gauge(
        "caas_account_up",
        None,
        "Whether the last collection of the account succeeded, fully or partially (1), or failed (0).",
        Reads::Account(|account| Some(f64::from(u8::from(account.gauges.up)))),
    ),
    gauge(
        "caas_account_services",
        None,
        "Known services of the account, including those dropped by the limit on series.",
        Reads::Account(|account| Some(account.services as f64)),
    ),
    gauge(
        "caas_account_instances",
        None,
        "Known instances of the account, including those dropped by the limit on series.",
        Reads::Account(|account| Some(account.instances as f64)),
    ),
    gauge(
        "caas_account_series",
        None,
        "Exposed series of the account, including legacy series and the account's own.",
        Reads::Account(|account| Some(account.series as f64)),
    ),
    gauge(
        "caas_account_last_collection_timestamp_seconds",
        Some("seconds"),
        "End of the last collection, in seconds since the epoch.",
        Reads::Account(|account| Some(account.gauges.last_collection)),
    ),
    gauge(
        "caas_account_last_success_timestamp_seconds",
        Some("seconds"),
        "End of the last successful collection, in seconds since the epoch; absent before the first.",
        Reads::Account(|account| account.gauges.last_success),
    ),
    gauge(
        "caas_account_last_collection_duration_seconds",
        Some("seconds"),
        "Duration of the last collection.",
        Reads::Account(|account| Some(account.gauges.last_duration)),
    ),
    gauge(
        "caas_account_interval_seconds",
        Some("seconds"),
        "Time from the start of one collection to the start of the next: as configured, or longer if the cloud limits requests.",
        Reads::Account(|account| Some(account.gauges.interval).filter(|interval| *interval > 0.0)),
    ),
    gauge(
        "caas_account_request_budget_ratio",
        Some("ratio"),
        "Requests that all accounts with the same token or user need at their configured intervals, as a ratio of the usable part of the cloud's rate limits; above 1, intervals are lengthened. Absent if no limit is known.",
        Reads::Account(|account| account.gauges.request_budget),
    ),
];

/// The families of what the inventory says of services.
pub(super) const SERVICE_FACTS: [Family; 6] = [
    info(
        "caas_service_info",
        "Properties of a service as the cloud reports them; a label is empty if the cloud does not report it.",
        Reads::ServiceInfo,
    ),
    gauge(
        "caas_service_desired_instances",
        None,
        "Desired instances of the service.",
        Reads::Service(|service| service.desired_instances.map(|count| count as f64)),
    ),
    gauge(
        "caas_service_running_instances",
        None,
        "Running instances of the service.",
        Reads::Service(|service| service.running_instances.map(|count| count as f64)),
    ),
    gauge(
        "caas_service_ready_instances",
        None,
        "Ready instances of the service.",
        Reads::Service(|service| service.ready_instances.map(|count| count as f64)),
    ),
    gauge(
        "caas_service_status",
        None,
        "1 for the service's current status, in the provider's own terms; 0 for the provider's other statuses.",
        Reads::ServiceStatus,
    ),
    gauge(
        "caas_service_state",
        None,
        "1 for the service's current state, 0 for the other states; the states are the same for all providers.",
        Reads::ServiceState,
    ),
];

/// The families of what the inventory says of instances, and of when they were measured.
pub(super) const INSTANCE_FACTS: [Family; 7] = [
    info(
        "caas_instance_info",
        "Properties of an instance and its service as the cloud reports them; a label is empty if the cloud does not report it.",
        Reads::InstanceInfo,
    ),
    gauge(
        "caas_instance_state",
        None,
        "1 for the instance's current state, 0 for the other states; the states are the same for all providers.",
        Reads::InstanceState,
    ),
    gauge(
        "caas_instance_start_time_seconds",
        Some("seconds"),
        "When the instance started, in seconds since the epoch.",
        Reads::Instance(InstanceFacts::start_time),
    ),
    gauge(
        "caas_instance_cpu_limit_cores",
        Some("cores"),
        "CPU limit of the instance; 1 is one core.",
        Reads::InstanceLimit(|limits| limits.cpu_cores),
    ),
    gauge(
        "caas_instance_memory_limit_bytes",
        Some("bytes"),
        "Memory limit of the instance.",
        Reads::InstanceLimit(|limits| limits.memory_bytes),
    ),
    gauge(
        "caas_instance_disk_limit_bytes",
        Some("bytes"),
        "Disk limit of the instance.",
        Reads::InstanceLimit(|limits| limits.disk_bytes),
    ),
    gauge(
        "caas_instance_sample_timestamp_seconds",
        Some("seconds"),
        "Time of the instance's newest measurements, as reported by the cloud, in seconds since the epoch.",
        Reads::SampleTime,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_as_their_kind_and_unit_demand() {
        let mut seen = BTreeSet::new();
        for family in families().iter().copied().chain(legacy_families()) {
            assert!(seen.insert(family.name), "{} is listed twice", family.name);
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            assert_eq!(family.kind == Kind::Info, family.name.ends_with("_info"), "{}", family.name);
            let base = family.name.trim_end_matches("_total");
            assert!(family.unit.is_none_or(|unit| base.ends_with(unit)), "{}", family.name);
        }
    }

    #[test]
    fn help_needs_no_escaping() {
        for family in families().iter().copied().chain(legacy_families()) {
            assert!(!family.help.contains(['\\', '"', '\n']), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }
}
