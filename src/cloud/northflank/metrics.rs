//! Metrics of a service as the API sends them: for each metric a series of points for each container. Pure.
//!
//! The API aggregates HTTP requests and bandwidth from all containers, so what they are of is the service, whichever
//! container a series names.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::units::Quantity;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{each, try_for_each};
use crate::cloud::kit::loose::{Scalar, part};
use crate::cloud::kit::object::for_each_field;
use crate::cloud::kit::point::{Newest, Point};
use crate::cloud::model::{Measurement, MeasurementSet, Sample, SampleBuilder, Scale};

/// The API averages over the last so many seconds, whatever resolution an answer names.
const WINDOW: f64 = 60.0;
/// The largest value: no count, rate or percentage exceeds it.
const LARGEST: f64 = 1e15;

/// Bytes that the values of a container take on the heap: at most one of each metric of containers.
const VALUES_BYTES: usize = 256;

/// The status codes of requests that are neither in the class 4xx nor in 5xx: the API counts those two and the sum of all.
const OTHER_CODES: &str = "other";

/// A metric that is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Cpu,
    Memory,
    NetworkIngress,
    NetworkEgress,
    Requests,
    Responses4xx,
    Responses5xx,
    Bandwidth,
}

impl Metric {
    /// All metrics that are collected, in one request.
    pub(super) const ALL: [Self; 8] = [
        Self::Cpu,
        Self::Memory,
        Self::NetworkIngress,
        Self::NetworkEgress,
        Self::Requests,
        Self::Responses4xx,
        Self::Responses5xx,
        Self::Bandwidth,
    ];

    /// The API's word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::NetworkIngress => "networkIngress",
            Self::NetworkEgress => "networkEgress",
            Self::Requests => "requests",
            Self::Responses4xx => "http4xxResponses",
            Self::Responses5xx => "http5xxResponses",
            Self::Bandwidth => "bandwidth",
        }
    }

    const fn quantity(self) -> Quantity {
        let (measurement, share) = match self {
            Self::Cpu => (Measurement::CpuUsageCores, Some(Measurement::CpuLimitUtilization)),
            Self::Memory => (Measurement::MemoryUsage, Some(Measurement::MemoryUtilization)),
            Self::NetworkIngress => (Measurement::ReceiveRate, None),
            Self::NetworkEgress => (Measurement::TransmitRate, None),
            Self::Requests | Self::Responses4xx | Self::Responses5xx => {
                (Measurement::ServiceHttpRequests, None)
            }
            Self::Bandwidth => (Measurement::ServiceTransmitRate, None),
        };
        Quantity { measurement, share }
    }

    const fn is_of_service(self) -> bool {
        OF_SERVICES.contains(self.quantity().measurement)
    }
}

/// What is measured of containers.
pub(super) const OF_CONTAINERS: MeasurementSet = MeasurementSet::of(&[
    Measurement::CpuUsageCores,
    Measurement::CpuLimitUtilization,
    Measurement::MemoryUsage,
    Measurement::MemoryUtilization,
    Measurement::ReceiveRate,
    Measurement::TransmitRate,
]);

/// What is measured of services.
pub(super) const OF_SERVICES: MeasurementSet =
    MeasurementSet::of(&[Measurement::ServiceHttpRequests, Measurement::ServiceTransmitRate]);

/// The newest values of a service and its containers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Metrics {
    /// By the container's name.
    pub(super) containers: HashMap<String, Sample>,
    /// Those of the service as a whole; empty where there are none.
    pub(super) service: Sample,
    /// Whether CPU came as a share, of what is not documented: then nothing may be computed of it.
    pub(super) cpu_is_share: bool,
    /// Metrics with values in a unit that is none of theirs, which are left out.
    pub(super) unknown_units: u64,
    /// Seconds that a point is about, or that pass until the next one: the longer of the two.
    pub(super) resolution: f64,
}

impl Metrics {
    /// The containers that were measured within the last two resolutions before `now`, in seconds since the epoch: those that
    /// run, as far as metrics can tell.
    pub(super) fn measured_lately(&self, now: f64) -> impl Iterator<Item = &str> {
        let oldest = now - 2.0 * self.resolution;
        let lately = self.containers.iter().filter(move |(_, sample)| sample.timestamp() >= oldest);
        lately.map(|(name, _)| name.as_str())
    }
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetric<'a> {
    #[serde(borrow)]
    metric_info: Option<&'a RawValue>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireInfo<'a> {
    #[serde(borrow, default)]
    metric_unit: Scalar<'a>,
    #[serde(borrow, default)]
    metric_resolution: Scalar<'a>,
}

#[derive(Deserialize)]
struct WireSeries<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireMetadata<'a> {
    #[serde(borrow, default)]
    container_id: Scalar<'a>,
}

/// Reads the newest point of each series, of those that are not older than `oldest` (seconds since the epoch). A metric
/// that is missing or has no values has no data. `TooLarge` where there are more containers than the budget allows.
pub(super) fn read(body: &[u8], oldest: f64, budget: &mut InventoryBudget) -> Result<Metrics, AnswerProblem> {
    let answer: WireAnswer<'_> = parse(json_text(body)?)?;
    let mut answered = Metric::ALL.map(|_| None);
    for_each_field(answer.data.get(), |name, value| {
        if let Some(metric) = Metric::ALL.iter().position(|metric| metric.as_str() == name) {
            answered[metric] = Some(value);
        }
    })?;
    let mut metrics = Metrics { resolution: WINDOW, ..Metrics::default() };
    let mut containers: HashMap<String, SampleBuilder> = HashMap::new();
    let mut of_service: Vec<(Metric, Vec<Point>)> = Vec::new();
    let mut unknown: Vec<Metric> = Vec::new();
    for (metric, json) in Metric::ALL.into_iter().zip(answered) {
        let Some(json) = json else { continue };
        let Some(wire) = parse::<Option<WireMetric<'_>>>(json.get())? else { continue };
        let info: WireInfo<'_> = part(wire.metric_info);
        metrics.resolution = metrics.resolution.max(info.metric_resolution.number().unwrap_or_default());
        let word = info.metric_unit.into_text().unwrap_or_default();
        let Some((measurement, factor)) = metric.quantity().in_unit(&word) else {
            let mut has_series = false;
            each(wire.values, |_: WireSeries<'_>| has_series = true)?;
            if has_series {
                unknown.push(metric);
            }
            continue;
        };
        metrics.cpu_is_share |= measurement == Measurement::CpuLimitUtilization;
        let mut points = Vec::new();
        let add = |WireSeries { metadata, data }: WireSeries<'_>| {
            let Some(point) = newest(data, oldest)? else { return Ok(()) };
            let point = point.scaled(factor);
            if metric.is_of_service() {
                points.push(point);
            } else if let Some(container) = part::<WireMetadata<'_>>(metadata).container_id.into_text() {
                let sample = match containers.entry(container) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        // The next cycle knows the name too.
                        let texts = 2 * new.key().len() + VALUES_BYTES;
                        budget.spend_entry::<(SampleBuilder, String)>(texts)?;
                        new.insert(SampleBuilder::default())
                    }
                };
                sample.add(measurement, Scale::Base, point.value, point.time);
            }
            Ok(())
        };
        try_for_each(wire.values.map_or("[]", RawValue::get), add)?;
        if metric.is_of_service() {
            of_service.push((metric, points));
        }
    }
    metrics.containers = containers.into_iter().map(|(name, mut sample)| (name, sample.build())).collect();
    metrics.service = service_sample(&of_service, &unknown, metrics.resolution);
    metrics.unknown_units = unknown.len() as u64;
    Ok(metrics)
}

fn newest(points: Option<&RawValue>, oldest: f64) -> Result<Option<Point>, AnswerProblem> {
    #[derive(Deserialize)]
    struct WirePoint<'a> {
        #[serde(borrow, default)]
        value: Scalar<'a>,
        #[serde(borrow, default)]
        ts: Scalar<'a>,
    }
    let mut newest = Newest::since(oldest);
    each(points, |point: WirePoint<'_>| {
        let value = point.value.number().filter(|value| (0.0..=LARGEST).contains(value));
        newest.offer(point.ts.epoch_seconds(), value);
    })?;
    Ok(newest.point())
}

/// The values of a service: sums over its series, whether there is one or one for each container.
fn service_sample(metrics: &[(Metric, Vec<Point>)], unknown: &[Metric], resolution: f64) -> Sample {
    let sum = |wanted: Metric| {
        let (_, points) = metrics.iter().find(|(metric, _)| *metric == wanted)?;
        let time = points.iter().map(|point| point.time).max_by(f64::total_cmp)?;
        // What ended a while ago is no part of what is now.
        let lately = points.iter().filter(|point| point.time >= time - 2.0 * resolution);
        Some(Point { time, value: lately.map(|point| point.value).sum() })
    };
    let mut sample = Sample::builder();
    let classes = [(Metric::Responses4xx, "4xx"), (Metric::Responses5xx, "5xx")];
    let mut in_classes = 0.0;
    for (metric, code) in classes {
        if let Some(Point { time, value }) = sum(metric) {
            sample.add_labeled(Measurement::ServiceHttpRequests, code, Scale::Base, value, time);
            in_classes += value;
        }
    }
    // A class without a value had no response; of one in an unknown unit that cannot be said.
    if !classes.iter().any(|(metric, _)| unknown.contains(metric))
        && let Some(Point { time, value }) = sum(Metric::Requests)
    {
        let rest = (value - in_classes).max(0.0);
        sample.add_labeled(Measurement::ServiceHttpRequests, OTHER_CODES, Scale::Base, rest, time);
    }
    if let Some(Point { time, value }) = sum(Metric::Bandwidth) {
        sample.add(Measurement::ServiceTransmitRate, Scale::Base, value, time);
    }
    sample.build()
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
