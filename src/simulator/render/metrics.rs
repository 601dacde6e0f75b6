//! Metrics of services: a point every step for each instance that existed then, or for the service as a whole.
//!
//! An instance that has ended is still in a window in which it had points.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::inventory::{self, Kind};
use super::options::{Render, ResourceLabel, SumTime};
use super::route::Metric;
use super::wire::time;
use crate::simulator::numbers::{floor, whole};
use crate::simulator::world::{Instance, Service, World};

/// Seconds of an hour, for which the bandwidth is summed up.
const HOUR: i64 = 3600;

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) metric: Metric,
    pub(super) start: i64,
    pub(super) end: i64,
    /// Seconds from one point to the next.
    pub(super) resolution: i64,
    /// Whether requests are told apart by their status code.
    pub(super) by_code: bool,
    /// The quantiles of the latency.
    pub(super) quantiles: &'a [f64],
}

/// Values of a series by the times they are about, and the labels beside the service.
type Points = BTreeMap<Vec<(String, String)>, Vec<(i64, f64)>>;

impl Question<'_> {
    /// The times that its points are about, oldest first: multiples of a step, none younger than the delay.
    fn times(&self, now: f64, delay: f64) -> impl Iterator<Item = i64> {
        let step = if self.metric == Metric::Bandwidth { HOUR } else { self.resolution };
        let newest = self.end.min(floor(now - delay)).div_euclid(step);
        let oldest = -(-self.start).div_euclid(step);
        (oldest..=newest).map(move |number| number * step)
    }

    /// How many points the answer has at most for one series.
    pub(super) fn points(&self, now: f64) -> usize {
        self.times(now, 0.0).count()
    }
}

/// The series of one service, which had this name and application when it was listed.
pub(super) fn series(
    options: &Render,
    world: &World,
    (id, name, application): (&str, &str, Option<&str>),
    question: Question<'_>,
    now: f64,
) -> Vec<Value> {
    let mut points = Points::new();
    for at in question.times(now, options.metrics_delay.as_secs_f64()) {
        let Some(service) = world.service(at as f64, name, application) else { continue };
        if inventory::service_id(&service) != id || !inventory::runs(&service, at as f64) {
            continue;
        }
        add(options, &mut points, id, &service, question, at, floor(now));
    }
    let unit = unit(options, question.metric);
    let resource = match options.resource_label {
        ResourceLabel::Resource => "resource",
        ResourceLabel::Service => "service",
    };
    let label = |(field, value): &(String, String)| json!({ "field": field, "value": value });
    points
        .into_iter()
        .map(|(labels, values)| {
            let mut all = vec![json!({ "field": resource, "value": id })];
            all.extend(labels.iter().map(label));
            let values: Vec<Value> = values
                .into_iter()
                .map(|(at, value)| json!({ "timestamp": time(at as f64), "value": value }))
                .collect();
            json!({ "labels": all, "unit": unit, "values": values })
        })
        .collect()
}

/// Adds what a service has at a time.
fn add(
    options: &Render,
    points: &mut Points,
    id: &str,
    service: &Service,
    question: Question<'_>,
    at: i64,
    now: i64,
) {
    let mut push = |labels: Vec<(String, String)>, at: i64, value: f64| {
        points.entry(labels).or_default().push((at, value));
    };
    let label = |field: &str, value: &str| vec![(field.to_owned(), value.to_owned())];
    let of_instances = |push: &mut dyn FnMut(Vec<(String, String)>, i64, f64),
                        value: &dyn Fn(&Instance) -> f64| {
        for instance in service.instances() {
            push(label("instance", &inventory::instance_id(id, &instance)), at, value(&instance));
        }
    };
    let (_, memory) = options.memory_unit.word();
    let is_web = inventory::kind(service) == Kind::Web;
    match question.metric {
        Metric::Cpu => of_instances(&mut push, &|instance| instance.cores_in_use(at as f64)),
        Metric::CpuLimit => of_instances(&mut push, &|instance| instance.size.cores),
        Metric::Memory => of_instances(&mut push, &|instance| {
            instance.point(at).map_or(0.0, |point| point.memory_bytes as f64) / memory
        }),
        Metric::MemoryLimit => {
            of_instances(&mut push, &|instance| f64::from(instance.size.mebibytes) * 1_048_576.0 / memory);
        }
        Metric::InstanceCount => push(Vec::new(), at, service.started as f64),
        Metric::CpuTarget | Metric::MemoryTarget if service.scales => push(Vec::new(), at, 80.0),
        Metric::HttpRequests if is_web => {
            let shares: &[(&str, f64)] = &[("200", 0.9), ("404", 0.08), ("500", 0.02)];
            // A sum over a time that is not over has what there was so far.
            let sum = requests(service, at, question.resolution.min(now - at));
            let mut total = 0.0;
            for (code, share) in shares {
                let of_code = whole(sum * share) as f64;
                total += of_code;
                // A code that nobody got in a step has no point.
                if question.by_code && of_code > 0.0 {
                    push(
                        label(&options.code_label, code),
                        sum_time(options, at, question.resolution),
                        of_code,
                    );
                }
            }
            if !question.by_code {
                push(Vec::new(), sum_time(options, at, question.resolution), total);
            }
        }
        Metric::HttpLatency if is_web => {
            let busy: f64 = service.instances().map(|one| one.cores_in_use(at as f64) / one.size.cores).sum();
            let median = 20.0 + 200.0 * busy / (service.started as f64).max(1.0);
            for quantile in question.quantiles {
                // The longer, the rarer.
                let value = median * (0.5 / (1.0 - quantile)).sqrt();
                push(label("quantile", &quantile.to_string()), at, value);
            }
        }
        Metric::Bandwidth => {
            let sent: f64 = service.instances().map(|one| sent(&one, at, now.min(at + HOUR))).sum();
            let (_, bytes) = options.bandwidth_unit.word();
            push(Vec::new(), sum_time(options, at, HOUR), sent / bytes);
        }
        Metric::CpuTarget
        | Metric::MemoryTarget
        | Metric::HttpRequests
        | Metric::HttpLatency
        | Metric::Other => {}
    }
}

/// The time of a sum over so many seconds from `at` on.
fn sum_time(options: &Render, at: i64, seconds: i64) -> i64 {
    match options.sum_time {
        SumTime::Start => at,
        SumTime::End => at + seconds,
    }
}

/// HTTP requests to a service within so many seconds from `at` on: they follow its load.
pub(super) fn requests(service: &Service, at: i64, seconds: i64) -> f64 {
    let cores: f64 = service.instances().map(|one| one.cores_in_use(at as f64)).sum();
    cores * 100.0 * seconds as f64
}

/// Bytes that an instance sends between two times, as far as its counter shows it: a restart in between loses some.
fn sent(instance: &Instance, from: i64, to: i64) -> f64 {
    let at = |time: i64| instance.point(time).map_or(0.0, |point| point.tx_bytes as f64);
    (at(to) - at(from)).max(0.0)
}

fn unit(options: &Render, metric: Metric) -> &'static str {
    match metric {
        Metric::Cpu | Metric::CpuLimit => "cpu",
        Metric::Memory | Metric::MemoryLimit => options.memory_unit.word().0,
        Metric::InstanceCount => "instances",
        Metric::HttpLatency => "ms",
        Metric::Bandwidth => options.bandwidth_unit.word().0,
        Metric::HttpRequests => options.count_unit.word(),
        Metric::CpuTarget | Metric::MemoryTarget | Metric::Other => "unitless",
    }
}
