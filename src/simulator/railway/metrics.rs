//! The measurements of instances, grouped as a query wants them. Those that ended within the window are in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::options::{Gigabyte, Railway, TrafficValue};
use super::projects::{self, Environment, number};
use super::wire::region;
use crate::simulator::numbers::{floor, hash_text};
use crate::simulator::world::{Instance, Service, World};

/// Seconds from one value to the next at least.
const RESOLUTION: i64 = 60;

/// The most values of a series in one answer. No page names a limit; a server needs one.
const MOST_VALUES: usize = 1000;

/// All words for measurements.
const MEASUREMENTS: [&str; 10] = [
    "CPU_USAGE",
    "CPU_USAGE_2",
    "CPU_LIMIT",
    "MEMORY_USAGE_GB",
    "MEMORY_LIMIT_GB",
    "DISK_USAGE_GB",
    "EPHEMERAL_DISK_USAGE_GB",
    "BACKUP_USAGE_GB",
    "NETWORK_RX_GB",
    "NETWORK_TX_GB",
];

/// What results may be grouped by, and the tag of each.
const TAGS: [(&str, &str); 6] = [
    ("DEPLOYMENT_ID", "deploymentId"),
    ("DEPLOYMENT_INSTANCE_ID", "deploymentInstanceId"),
    ("ENVIRONMENT_ID", "environmentId"),
    ("PROJECT_ID", "projectId"),
    ("REGION", "region"),
    ("SERVICE_ID", "serviceId"),
];

/// What tells series apart: the measurement, and the tags that were grouped by.
type Key<'a> = (&'a str, Vec<Option<String>>);

/// The values of a series by their time, in seconds since the epoch.
type Values = BTreeMap<i64, f64>;

/// A query for measurements.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) measurements: Vec<&'a str>,
    pub(super) group_by: Vec<&'a str>,
    pub(super) service: Option<&'a str>,
    /// Seconds since the epoch.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: Option<i64>,
}

/// Whether the schema has this word for a measurement.
pub(super) fn is_measurement(word: &str) -> bool {
    MEASUREMENTS.contains(&word)
}

/// Whether the schema has this word for a tag.
pub(super) fn is_tag(word: &str) -> bool {
    TAGS.iter().any(|(tag, _)| *tag == word) || word == "VOLUME_ID"
}

/// The results: a series for each measurement and each combination of the tags that were grouped by.
pub(super) fn results(
    options: &Railway,
    world: &World,
    environments: &[Environment],
    query: &Query<'_>,
    now: f64,
) -> Value {
    let step = query.step.unwrap_or(RESOLUTION).max(RESOLUTION);
    let newest = query.end.min(floor(now - options.metrics_delay.as_secs_f64())).div_euclid(step) * step;
    let times: Vec<i64> = (0..)
        .map(|nth: i64| newest - nth * step)
        .take_while(|time| *time >= query.start)
        .take(MOST_VALUES)
        .collect();
    let mut series: BTreeMap<Key<'_>, Values> = BTreeMap::new();
    for &time in times.iter().rev() {
        for environment in environments {
            for service in environment.services(world, time as f64) {
                if query.service.is_some_and(|id| id != service.uuid) {
                    continue;
                }
                let mut add = |measurement, instance: Option<&Instance>, value: f64| {
                    let tags = tags(query, environment, &service, instance);
                    *series.entry((measurement, tags)).or_default().entry(time).or_default() += value;
                };
                let instances = environment.instances(&service);
                for &measurement in &query.measurements {
                    for instance in &instances {
                        if let Some(value) = of_instance(options, measurement, instance, time, step) {
                            // Traffic is known of services only.
                            let is_traffic = measurement.starts_with("NETWORK");
                            add(measurement, Some(instance).filter(|_| !is_traffic), value);
                        }
                    }
                    if let Some(value) = of_service(measurement, &service) {
                        add(measurement, None, value);
                    }
                }
            }
        }
    }
    let result = |((measurement, tags), values): (Key<'_>, Values)| {
        let values: Vec<Value> =
            values.iter().map(|(ts, value)| json!({ "ts": ts, "value": value })).collect();
        let mut object = json!({ "volumeId": null, "volumeInstanceId": null });
        for ((_, name), tag) in TAGS.iter().zip(tags) {
            object[*name] = tag.into();
        }
        json!({ "measurement": measurement, "tags": object, "values": values })
    };
    series.into_iter().map(result).collect()
}

/// The values of the tags, of which only those that are grouped by are filled.
fn tags(
    query: &Query<'_>,
    environment: &Environment,
    service: &Service,
    instance: Option<&Instance>,
) -> Vec<Option<String>> {
    let value = |tag: &str| match tag {
        "DEPLOYMENT_ID" => Some(projects::uuid(&[hash_text(&service.uuid), hash_text(&environment.id), 91])),
        "DEPLOYMENT_INSTANCE_ID" => instance.map(|instance| instance.uuid.clone()),
        "ENVIRONMENT_ID" => Some(environment.id.clone()),
        "PROJECT_ID" => Some(environment.project.id.clone()),
        "REGION" => Some(region(service, instance.map_or(0, number)).to_owned()),
        _ => Some(service.uuid.clone()),
    };
    TAGS.iter().map(|(tag, _)| query.group_by.contains(tag).then(|| value(tag)).flatten()).collect()
}

fn of_instance(
    options: &Railway,
    measurement: &str,
    instance: &Instance,
    time: i64,
    step: i64,
) -> Option<f64> {
    let at = time as f64;
    let point = instance.point(time)?;
    let gigabyte = match options.gigabyte {
        Gigabyte::Decimal => 1e9,
        Gigabyte::Binary => 1_073_741_824.0,
    };
    let traffic = |bytes: fn(&crate::simulator::world::Point) -> u64| {
        let before = instance.point(time - step).map_or(0, |point| bytes(&point));
        let bytes = match options.network {
            TrafficValue::Total => bytes(&point),
            TrafficValue::Sample => bytes(&point).saturating_sub(before),
        };
        bytes as f64 / gigabyte
    };
    match measurement {
        "CPU_USAGE" => Some(instance.cores_in_use(at)),
        "CPU_LIMIT" => Some(instance.size.cores),
        "MEMORY_USAGE_GB" => Some(point.memory_bytes as f64 / gigabyte),
        "MEMORY_LIMIT_GB" => Some(f64::from(instance.size.mebibytes) * 1_048_576.0 / gigabyte),
        // Some MB, which grow until the next start.
        "EPHEMERAL_DISK_USAGE_GB" => {
            let megabytes =
                (hash_text(&instance.uuid) % 200) as f64 + (at - instance.started_at(at)) / 3600.0;
            Some(megabytes * 1e6 / gigabyte)
        }
        "NETWORK_RX_GB" => Some(traffic(|point| point.rx_bytes)),
        "NETWORK_TX_GB" => Some(traffic(|point| point.tx_bytes)),
        _ => None,
    }
}

/// What is known of a service's volume only.
fn of_service(measurement: &str, service: &Service) -> Option<f64> {
    let variant = hash_text(&service.uuid);
    match measurement {
        "DISK_USAGE_GB" if variant.is_multiple_of(4) => Some((variant % 40) as f64 / 10.0),
        _ => None,
    }
}
