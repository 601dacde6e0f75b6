//! The metrics of an app: a point every two minutes for each instance that existed then.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::apps::App;
use super::options::{DigitalOcean, NoData, RestartCount};
use super::route::Metric;
use super::{sizes, wire};
use crate::simulator::numbers::floor;
use crate::simulator::world::{Instance, Service, World};

/// Seconds from one point to the next, as in the specification's example.
const RESOLUTION: i64 = 120;

/// The most points of an instance in one answer. The specification names no limit; a server needs one.
const MOST_POINTS: usize = 1000;

/// The window of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Window {
    /// The times of its points, oldest first, none younger than the delay.
    fn times(self, now: f64, delay: f64) -> Vec<i64> {
        let newest = self.end.min(floor(now - delay)).div_euclid(RESOLUTION) * RESOLUTION;
        let mut times: Vec<i64> = (0..)
            .map(|nth: i64| newest - nth * RESOLUTION)
            .take_while(|time| *time >= self.start)
            .take(MOST_POINTS)
            .collect();
        times.reverse();
        times
    }
}

/// The answer to a query for an app, or for one component of it.
///
/// An instance that has ended is still in a window in which it had points.
pub(super) fn matrix(
    options: &DigitalOcean,
    world: &World,
    app: &App,
    metric: Metric,
    component: Option<&str>,
    window: Window,
    now: f64,
) -> Value {
    let mut series: BTreeMap<(String, String), Vec<(i64, String)>> = BTreeMap::new();
    for time in window.times(now, options.metrics_delay.as_secs_f64()) {
        for service in app.services.iter().filter(|one| component.is_none_or(|name| name == one.name)) {
            let Some(service) = world.service(time as f64, &service.name, service.application.as_deref())
            else {
                continue;
            };
            for instance in service.instances() {
                let Some(value) = value(options, metric, &service, &instance, time) else { continue };
                let key = (service.name.clone(), wire::alias(&service, &instance));
                series.entry(key).or_default().push((time, value));
            }
        }
    }
    let none = series.is_empty() && options.no_data == NoData::Null;
    let result: Vec<Value> = series
        .into_iter()
        .map(|((component, alias), values)| {
            json!({
                "metric": { "app_component": component, "app_component_instance": alias, "app_uuid": app.id },
                "values": values,
            })
        })
        .collect();
    let result = if none { Value::Null } else { result.into() };
    json!({ "status": "success", "data": { "resultType": "matrix", "result": result } })
}

/// A value at a time, written as a string.
fn value(
    options: &DigitalOcean,
    metric: Metric,
    service: &Service,
    instance: &Instance,
    time: i64,
) -> Option<String> {
    let at = time as f64;
    let (_, _, _, shared) = sizes::of(service);
    Some(match metric {
        Metric::Cpu => {
            let factor = if shared && options.cpu_bursts { 5.0 } else { 1.0 };
            (instance.cores_in_use(at) / instance.size.cores * 100.0 * factor).to_string()
        }
        Metric::Memory => instance.point(time)?.memory_percent.to_string(),
        Metric::Restarts => match options.restart_count {
            RestartCount::Instance => instance.restarts(at).to_string(),
            RestartCount::Component => {
                service.instances().map(|one| one.restarts(at)).sum::<u64>().to_string()
            }
        },
    })
}
