//! HTTP requests and durations of services: as many as their CPU load suggests, none without a port.

use serde_json::{Value, json};

use super::projects::Environment;
use crate::simulator::numbers::{floor, hash_text, whole};
use crate::simulator::world::{Service, World};

/// The most steps in one answer. No page names a limit; a server needs one.
const MOST_STEPS: usize = 1000;

/// Requests that a core serves in a second.
const A_CORE: f64 = 40.0;

/// The steps that a query asks for, each named by its beginning. The newest one may still go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Seconds since the epoch.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

impl Window {
    /// The beginning of each step and how many seconds of it have passed, oldest first.
    fn steps(self, now: f64) -> Vec<(i64, f64)> {
        let step = self.step.max(1);
        let newest = self.end.min(floor(now)).div_euclid(step) * step;
        let mut steps: Vec<(i64, f64)> = (0..)
            .map(|nth: i64| newest - nth * step)
            .take_while(|begin| *begin >= self.start)
            .take(MOST_STEPS)
            .map(|begin| (begin, (now - begin as f64).min(step as f64)))
            .collect();
        steps.reverse();
        steps
    }
}

/// The requests of each status code in each step. A code without one in a step has no sample of it.
pub(super) fn by_status(world: &World, place: (&Environment, &Service), window: Window, now: f64) -> Value {
    const SHARES: [(u16, f64); 3] = [(200, 0.95), (404, 0.04), (500, 0.01)];
    let requests: Vec<(i64, f64)> =
        window.steps(now).into_iter().map(|(at, long)| (at, requests(world, place, at, long))).collect();
    let code = |(code, share): (u16, f64)| {
        let count = |(at, requests): &(i64, f64)| (*at, whole(requests * share));
        let counts = requests.iter().map(count).filter(|(_, count)| *count > 0);
        let samples: Vec<Value> =
            counts.map(|(ts, value)| json!({ "ts": ts, "value": value as f64 })).collect();
        (!samples.is_empty()).then(|| json!({ "statusCode": code, "samples": samples }))
    };
    SHARES.into_iter().filter_map(code).collect()
}

/// The durations in each step, in milliseconds. Where there was no request they are 0.
pub(super) fn durations(world: &World, place: (&Environment, &Service), window: Window, now: f64) -> Value {
    let base = 5.0 + (hash_text(&place.1.uuid) % 50) as f64;
    let sample = |(at, long): (i64, f64)| {
        let factor = if requests(world, place, at, long) < 1.0 { 0.0 } else { 1.0 };
        let [p50, p90, p95, p99] = [1.0, 2.0, 3.0, 8.0].map(|slower| base * slower * factor);
        json!({ "ts": at, "p50": p50, "p90": p90, "p95": p95, "p99": p99 })
    };
    let samples: Vec<Value> = window.steps(now).into_iter().map(sample).collect();
    json!({ "samples": if place.1.port.is_some() { samples } else { Vec::new() } })
}

fn requests(world: &World, (environment, service): (&Environment, &Service), at: i64, long: f64) -> f64 {
    let at = at as f64;
    let then = world.service(at, &service.name, service.application.as_deref());
    let cores = then.map_or(0.0, |service| {
        environment.instances(&service).iter().map(|instance| instance.cores_in_use(at)).sum()
    });
    if service.port.is_some() { (cores * A_CORE * long).floor() } else { 0.0 }
}
