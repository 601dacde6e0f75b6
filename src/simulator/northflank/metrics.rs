//! The metrics of a service: series of points for the containers that existed then.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::options::{CpuPercentOf, CpuUnit, HttpSeries, Kilo, Megabyte, MemoryUnit, NoValues, Northflank};
use super::problem::Problem;
use super::{plans, projects, wire};
use crate::simulator::numbers::{floor, fraction, hash_text};
use crate::simulator::request::Query;
use crate::simulator::world::{Instance, Service, World};

/// A point is about so many seconds.
const WINDOW: i64 = 60;
/// A range without an end is of so many seconds.
const DEFAULT_DURATION: f64 = 1200.0;
/// The most points of a container in one answer. The pages name no limit; a server needs one.
const MOST_POINTS: usize = 1000;

/// The types of metrics, in the order of the API's pages.
const TYPES: [&str; 11] = [
    "cpu",
    "memory",
    "networkIngress",
    "networkEgress",
    "tcpConnectionsOpen",
    "diskUsage",
    "requests",
    "http4xxResponses",
    "http5xxResponses",
    "bandwidth",
    "bandwidthVolume",
];

/// What a request for metrics wants.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    types: Vec<&'static str>,
    /// The times of the points, oldest first.
    times: Vec<i64>,
    container: Option<String>,
}

impl Wanted {
    /// Reads a query.
    pub(super) fn of(query: &Query, options: &Northflank, now: f64) -> Result<Self, Problem> {
        let named: Vec<&str> = query.all("metricTypes").collect();
        let known = |name: &&str| TYPES.into_iter().find(|known| known == name);
        let types: Option<Vec<&'static str>> = named.iter().map(known).collect();
        let mut types = types.ok_or(Problem::BadRequest("metricTypes has a type that does not exist"))?;
        if types.is_empty() {
            types.push("cpu");
        }
        let seconds = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => {
                let time: Option<jiff::Timestamp> = text.parse().ok();
                let time = time.ok_or(Problem::BadRequest("a time is not as RFC 3339 writes it"))?;
                Ok(Some(time.as_duration().as_secs_f64()))
            }
        };
        let step = i64::from(options.resolution);
        let newest =
            |until: f64| floor(until.min(now) - options.metrics_delay.as_secs_f64()).div_euclid(step) * step;
        let times = match query.get("queryType").unwrap_or("single") {
            "single" => vec![newest(seconds("time")?.unwrap_or(now))],
            "range" => {
                let duration = query.get("duration").map(str::parse::<u32>).transpose();
                let duration =
                    duration.map_err(|_| Problem::BadRequest("duration is no number"))?.map(f64::from);
                let (start, end) = (seconds("startTime")?, seconds("endTime")?);
                let (start, end) = match (start, end, duration) {
                    (Some(_), Some(_), Some(_)) => {
                        return Err(Problem::BadRequest("duration goes with one of startTime and endTime"));
                    }
                    (Some(start), None, Some(duration)) => (start, start + duration),
                    (start, end, duration) => {
                        let end = end.unwrap_or(now);
                        (start.unwrap_or(end - duration.unwrap_or(DEFAULT_DURATION)), end)
                    }
                };
                let newest = newest(end);
                let mut times: Vec<i64> = (0..)
                    .map(|nth: i64| newest - nth * step)
                    .take_while(|time| *time as f64 >= start)
                    .take(MOST_POINTS)
                    .collect();
                times.reverse();
                times
            }
            _ => return Err(Problem::BadRequest("queryType is single or range")),
        };
        Ok(Self { types, times, container: query.get("containerName").map(str::to_owned) })
    }
}

/// A series' container and volume.
type Key = (String, Option<String>);

/// The answer for a service.
pub(super) fn answer(
    world: &World,
    (project, service): (&str, &str),
    wanted: &Wanted,
    options: &Northflank,
) -> Value {
    let mut data = Map::new();
    for kind in &wanted.types {
        let mut series: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for time in &wanted.times {
            let Some(service) = projects::service(world, project, service, *time as f64) else { continue };
            for (key, value) in values(kind, &service, options, *time) {
                if wanted.container.as_ref().is_none_or(|container| *container == key.0) {
                    // Points are not on whole seconds.
                    let point = json!({ "value": value, "ts": wire::time(*time as f64 + 0.31) });
                    series.entry(key).or_default().push(point);
                }
            }
        }
        if series.is_empty() && options.no_values == NoValues::Absent {
            continue;
        }
        let values: Vec<Value> = series.into_iter().map(|(key, points)| object(&key, &points)).collect();
        let mut metric = json!({ "values": values });
        if !options.no_metric_info {
            metric["metricInfo"] = json!({
                "metricId": kind, "metricUnit": unit(kind, options), "metricResolution": options.resolution,
            });
        }
        data.insert((*kind).to_owned(), metric);
    }
    data.into()
}

fn object((container, volume): &Key, points: &[Value]) -> Value {
    let mut metadata = json!({ "containerId": container });
    if let Some(volume) = volume {
        metadata["volumeId"] = volume.as_str().into();
    }
    json!({ "metadata": metadata, "data": points })
}

fn unit(kind: &str, options: &Northflank) -> &'static str {
    match kind {
        "cpu" if options.cpu_unit == CpuUnit::Pct => "pct",
        "cpu" => "vCPU",
        "memory" if options.memory_unit == MemoryUnit::Pct => "pct",
        "memory" | "diskUsage" | "bandwidthVolume" => "mb",
        "networkIngress" | "networkEgress" | "bandwidth" => "kbps",
        "tcpConnectionsOpen" => "count",
        _ => "rps",
    }
}

/// The values of a metric at a time, by their series.
fn values(kind: &str, service: &Service, options: &Northflank, time: i64) -> Vec<(Key, f64)> {
    let of_service = matches!(
        kind,
        "requests" | "http4xxResponses" | "http5xxResponses" | "bandwidth" | "bandwidthVolume"
    );
    let value = |instance: &Instance| match kind {
        "cpu" => Some(cpu(service, instance, options, time)),
        "memory" => memory(service, instance, options, time),
        "networkIngress" => Some(rate(options, bytes(instance, time, |point| point.rx_bytes))),
        "networkEgress" => Some(rate(options, bytes(instance, time, |point| point.tx_bytes))),
        "tcpConnectionsOpen" => Some((requests(service, instance, time) * 0.5).ceil()),
        "diskUsage" => None,
        "requests" | "http4xxResponses" | "http5xxResponses" => http(kind, service, instance, time),
        "bandwidth" => service.port.map(|_| rate(options, bytes(instance, time, |point| point.tx_bytes))),
        _ => service
            .port
            .map(|_| megabytes(options, bytes(instance, time, |point| point.tx_bytes) * WINDOW as f64)),
    };
    let mut list: Vec<(Key, f64)> = Vec::new();
    for instance in service.instances() {
        let name = wire::container_name(&service.name, &instance);
        if kind == "diskUsage" {
            list.extend(
                volumes(service, &instance, options)
                    .into_iter()
                    .map(|(volume, value)| ((name.clone(), Some(volume)), value)),
            );
        } else if let Some(value) = value(&instance) {
            list.push(((name, None), value));
        }
    }
    if of_service && options.http_series == HttpSeries::Service && !list.is_empty() {
        let sum = list.iter().map(|(_, value)| value).sum();
        return vec![((service.name.clone(), None), sum)];
    }
    list
}

/// CPU as a share of what the world's size has: the same share of the plan is in use.
fn cpu(service: &Service, instance: &Instance, options: &Northflank, time: i64) -> f64 {
    let share = instance.cores_in_use(time as f64) / instance.size.cores;
    let cores = share * plans::of(service).cpu;
    match (options.cpu_unit, options.cpu_percent_of) {
        (CpuUnit::Vcpu, _) => cores,
        (CpuUnit::Pct, CpuPercentOf::Plan) => share * 100.0,
        (CpuUnit::Pct, CpuPercentOf::Core) => cores * 100.0,
    }
}

fn memory(service: &Service, instance: &Instance, options: &Northflank, time: i64) -> Option<f64> {
    let percent = instance.point(time)?.memory_percent;
    let bytes = percent / 100.0 * f64::from(plans::of(service).memory) * 1_048_576.0;
    Some(match options.memory_unit {
        MemoryUnit::Pct => percent,
        MemoryUnit::Mb => megabytes(options, bytes),
    })
}

fn megabytes(options: &Northflank, bytes: f64) -> f64 {
    match options.megabyte {
        Megabyte::Binary => bytes / 1_048_576.0,
        Megabyte::Decimal => bytes / 1e6,
    }
}

/// The mean of a counter's growth within the window, a second. A restart within it begins at 0.
fn bytes(instance: &Instance, time: i64, counter: fn(&crate::simulator::world::Point) -> u64) -> f64 {
    let at = |time| instance.point(time).map_or(0, |point| counter(&point));
    at(time).saturating_sub(at(time - WINDOW)) as f64 / WINDOW as f64
}

fn rate(options: &Northflank, bytes_per_second: f64) -> f64 {
    match options.kbps {
        Kilo::Bits => bytes_per_second / 125.0,
        Kilo::Bytes => bytes_per_second / 1000.0,
    }
}

fn requests(service: &Service, instance: &Instance, time: i64) -> f64 {
    if service.port.is_some() { instance.cores_in_use(time as f64) * 40.0 } else { 0.0 }
}

/// Requests a second of a class of status codes. Some services never fail, and have no series for that.
fn http(kind: &str, service: &Service, instance: &Instance, time: i64) -> Option<f64> {
    service.port?;
    let all = requests(service, instance, time);
    let variant = projects::variant(service);
    match kind {
        "requests" => Some(all),
        "http4xxResponses" => (!variant.is_multiple_of(4)).then_some(all * 0.02),
        _ => (!variant.is_multiple_of(2)).then_some(all * 0.005),
    }
}

/// The volumes of a container and what is used of them: few services have one, and a few two.
fn volumes(service: &Service, instance: &Instance, options: &Northflank) -> Vec<(String, f64)> {
    let number = match projects::variant(service) % 6 {
        0 => 1,
        1 => 2,
        _ => 0,
    };
    let used = |nth: usize| {
        let share = fraction(hash_text(&format!("{}-{nth}", instance.uuid)));
        (format!("data-{nth}"), megabytes(options, share * 10e9))
    };
    (0..number).map(used).collect()
}
