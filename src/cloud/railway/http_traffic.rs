//! HTTP requests and their durations, of several services in one answer. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::RESOLUTION;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::parse;
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{for_each, try_for_each};
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::object::for_each_field;
use crate::cloud::kit::point::{Newest, Point};
use crate::cloud::model::{Measurement, MeasurementSet, Sample, SampleBuilder, Scale};

/// The measurements that come of it.
pub(super) const MEASUREMENTS: MeasurementSet =
    MeasurementSet::of(&[Measurement::ServiceHttpRequests, Measurement::ServiceHttpDuration]);

/// The labels of the API's quantiles p50, p90, p95 and p99.
const QUANTILES: [&str; 4] = ["0.5", "0.9", "0.95", "0.99"];

/// The times, in seconds since the epoch, of the steps that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// Older ones do not.
    pub(super) oldest: f64,
    /// When the API was asked. Whether a step has its first or its last second as its time is not documented, so one counts
    /// from a whole step before this on: it is over in either case.
    pub(super) asked: f64,
}

impl Steps {
    fn are_over(self, time: f64) -> bool {
        time <= self.asked - f64::from(RESOLUTION)
    }
}

/// Reads the traffic of so many services from `data`; `None` where there was none. `TooLarge` where there is more than the
/// budget allows.
pub(super) fn samples(
    data: &str,
    services: usize,
    steps: Steps,
    budget: &mut InventoryBudget,
) -> Result<Vec<Option<Sample>>, AnswerProblem> {
    let (mut requests, mut durations) = (vec![None; services], vec![None; services]);
    for_each_field(data, |name, value| {
        let fields = match name.as_bytes().first() {
            Some(b'r') => &mut requests,
            Some(b'd') => &mut durations,
            _ => return,
        };
        if let Some(field) = name.get(1..).and_then(|number| fields.get_mut(number.parse::<usize>().ok()?)) {
            *field = Some(value);
        }
    })?;
    let sample = |number: usize| {
        let mut sample = Sample::builder();
        add_requests(&mut sample, requests[number].ok_or(AnswerProblem::Shape)?.get(), steps)?;
        add_durations(&mut sample, durations[number].ok_or(AnswerProblem::Shape)?.get(), steps)?;
        let sample = sample.build();
        budget.spend_entry::<Sample>(sample.heap_bytes())?;
        Ok((!sample.is_empty()).then_some(sample))
    };
    (0..services).map(sample).collect()
}

/// Adds the requests a second of each status code in the newest step in which any code has some.
fn add_requests(sample: &mut SampleBuilder, json: &str, steps: Steps) -> Result<(), AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireCode<'a> {
        #[serde(borrow, default)]
        status_code: Scalar<'a>,
        #[serde(borrow)]
        samples: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct WireSample<'a> {
        #[serde(borrow, default)]
        ts: Scalar<'a>,
        #[serde(borrow, default)]
        value: Scalar<'a>,
    }
    let mut newest: Vec<(String, Point)> = Vec::new();
    try_for_each(json, |code: WireCode<'_>| {
        let Some(label) = code.status_code.count().map(|code| code.to_string()) else { return Ok(()) };
        let mut last = Newest::since(steps.oldest);
        let read = for_each(code.samples.get(), |step: WireSample<'_>| {
            let time = step.ts.number().filter(|time| steps.are_over(*time));
            let value = step.value.number().filter(|value| *value >= 0.0);
            last.offer(time, value);
            true
        });
        newest.extend(last.point().map(|point| (label, point)));
        read
    })?;
    // A code without a sample in that step had no request in it.
    let Some(time) = newest.iter().map(|(_, point)| point.time).max_by(f64::total_cmp) else { return Ok(()) };
    for (label, Point { value, .. }) in newest.iter().filter(|(_, point)| point.time.total_cmp(&time).is_eq())
    {
        let a_second = value / f64::from(RESOLUTION);
        sample.add_labeled(Measurement::ServiceHttpRequests, label, Scale::Base, a_second, time);
    }
    Ok(())
}

/// Adds each quantile of the newest step that has it. A duration of 0 says that there was no request.
fn add_durations(sample: &mut SampleBuilder, json: &str, steps: Steps) -> Result<(), AnswerProblem> {
    #[derive(Deserialize)]
    struct WireDurations<'a> {
        #[serde(borrow)]
        samples: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct WireStep<'a> {
        #[serde(borrow, default)]
        ts: Scalar<'a>,
        #[serde(borrow, default)]
        p50: Scalar<'a>,
        #[serde(borrow, default)]
        p90: Scalar<'a>,
        #[serde(borrow, default)]
        p95: Scalar<'a>,
        #[serde(borrow, default)]
        p99: Scalar<'a>,
    }
    let mut newest = QUANTILES.map(|_| Newest::since(steps.oldest));
    for_each(parse::<WireDurations<'_>>(json)?.samples.get(), |step: WireStep<'_>| {
        let WireStep { ts, p50, p90, p95, p99 } = step;
        let time = ts.number().filter(|time| steps.are_over(*time));
        for (duration, newest) in [p50, p90, p95, p99].iter().zip(&mut newest) {
            newest.offer(time, duration.number().filter(|milliseconds| *milliseconds > 0.0));
        }
        true
    })?;
    for (label, newest) in QUANTILES.into_iter().zip(newest) {
        if let Some(Point { time, value }) = newest.point() {
            sample.add_labeled(Measurement::ServiceHttpDuration, label, Scale::Base, value / 1000.0, time);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STEPS: Steps = Steps { oldest: 1_000.0, asked: 1_600.0 };

    fn read(data: &Value, services: usize) -> Result<Vec<Option<Sample>>, AnswerProblem> {
        samples(&data.to_string(), services, STEPS, &mut { InventoryBudget::PER_CYCLE })
    }

    fn values(sample: &Sample, measurement: Measurement) -> Vec<(&str, f64, f64)> {
        sample.of(measurement).map(|value| (value.label.unwrap(), value.base(), value.time)).collect()
    }

    #[test]
    fn requests_are_those_of_the_newest_step_that_is_over() {
        let codes = json!([
            {"statusCode": 200, "samples": [{"ts": 1_480, "value": 60}, {"ts": 1_540, "value": 120}, {"ts": 1_600, "value": 3}]},
            {"statusCode": 404, "samples": [{"ts": 1_540, "value": 0}]},
            {"statusCode": 500, "samples": [{"ts": 1_480, "value": 6}]},
        ]);
        let read = read(&json!({"r0": codes, "d0": {"samples": []}}), 1).unwrap();
        let sample = read[0].as_ref().unwrap();
        assert_eq!(
            values(sample, Measurement::ServiceHttpRequests),
            [("200", 2.0, 1_540.0), ("404", 0.0, 1_540.0)],
            "no 500 was in the newest whole step"
        );
    }

    #[test]
    fn durations_are_seconds_and_those_of_no_request_are_none() {
        let step =
            |ts: i64, p50: f64| json!({"ts": ts, "p50": p50, "p90": 2.0 * p50, "p95": 250, "p99": null});
        let none = json!({"ts": 1_540, "p50": 0, "p90": 0, "p95": 0, "p99": 0});
        let mut first = step(1_420, 20.0);
        first["p99"] = json!(300);
        let data = json!({"r0": [], "d0": {"samples": [first, step(1_480, 40.0), none, step(1_590, 9.0)]}});
        let read = read(&data, 1).unwrap();
        assert_eq!(
            values(read[0].as_ref().unwrap(), Measurement::ServiceHttpDuration),
            [("0.5", 0.04, 1_480.0), ("0.9", 0.08, 1_480.0), ("0.95", 0.25, 1_480.0), ("0.99", 0.3, 1_420.0)],
            "each is the newest there is, with its own time"
        );
    }

    #[test]
    fn each_service_has_its_own_fields_and_a_missing_one_is_another_shape() {
        let codes = json!([{"statusCode": 200, "samples": [{"ts": 1_540, "value": 60}]}]);
        let none = json!({"samples": [{"ts": 999, "p50": 1}]});
        let data = json!({"r0": [], "d0": none, "r1": codes, "d1": none});
        let samples = read(&data, 2).unwrap();
        assert!(samples[0].is_none() && samples[1].is_some());
        for data in [json!({"r0": []}), json!({"r0": null, "d0": none}), json!([])] {
            assert_eq!(read(&data, 1), Err(AnswerProblem::Shape), "{data}");
        }
    }
}
