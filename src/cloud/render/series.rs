//! A metric of many services as the API sends it: a series of points for each instance, status code or quantile. Pure.
//!
//! The names of labels are an open list. A service is found by `resource` or `service`, an instance by `instance`, a status
//! code and a quantile by what their values look like.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::metric::{Division, Metric};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::json_text;
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{for_each, try_for_each};
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::point::{Newest, Point};

/// The largest value: no count of bytes and no number of cores exceeds it.
const LARGEST: f64 = 1e18;

/// The newest point of a series of a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NewestPoint {
    /// The instance, code or quantile; empty where the metric is not divided.
    pub(super) name: String,
    pub(super) point: Point,
}

/// The answer to a request for a metric: the newest point of each series.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    by_service: HashMap<String, Vec<NewestPoint>>,
    /// Series with a unit that is not known, which are left out.
    pub(super) unknown_units: u64,
}

impl Answer {
    /// The newest point of each series of a service.
    pub(super) fn of(&self, service: &str) -> &[NewestPoint] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    /// The points of a service that are of its newest time: a code that nobody got since is none of them.
    pub(super) fn newest_of(&self, service: &str) -> impl Iterator<Item = &NewestPoint> {
        let points = self.of(service);
        let newest = points.iter().map(|one| one.point.time).fold(f64::MIN, f64::max);
        points.iter().filter(move |one| one.point.time >= newest)
    }

    fn add(
        &mut self,
        service: String,
        newest: NewestPoint,
        budget: &mut InventoryBudget,
    ) -> Result<(), AnswerProblem> {
        if !self.by_service.contains_key(&service) {
            budget.spend_entry::<Vec<NewestPoint>>(service.len())?;
        }
        budget.spend_entry::<NewestPoint>(newest.name.len())?;
        self.by_service.entry(service).or_default().push(newest);
        Ok(())
    }

    /// The time of the newest point of all.
    pub(super) fn newest(&self) -> Option<f64> {
        self.by_service.values().flatten().map(|one| one.point.time).max_by(f64::total_cmp)
    }
}

#[derive(Deserialize)]
struct WireSeries<'a> {
    #[serde(borrow)]
    labels: &'a RawValue,
    #[serde(borrow, default)]
    unit: Scalar<'a>,
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
struct WireLabel<'a> {
    #[serde(borrow, default)]
    field: Scalar<'a>,
    #[serde(borrow, default)]
    value: Scalar<'a>,
}

#[derive(Deserialize)]
struct WirePoint<'a> {
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
    #[serde(borrow, default)]
    value: Scalar<'a>,
}

/// Reads the newest point of each series, of those from `oldest` to `latest` (seconds since the epoch). `TooLarge` where
/// there are more than the budget allows.
pub(super) fn newest(
    body: &[u8],
    metric: Metric,
    oldest: i64,
    latest: i64,
    budget: &mut InventoryBudget,
) -> Result<Answer, AnswerProblem> {
    let mut answer = Answer::default();
    try_for_each(json_text(body)?, |series: WireSeries<'_>| {
        let labels = labels(series.labels.get(), metric.division())?;
        let point = newest_of(series.values.get(), oldest as f64, latest as f64)?;
        let (Some((service, name)), Some(point)) = (labels, point) else { return Ok(()) };
        let unit = series.unit.into_text().unwrap_or_default();
        let Some(factor) = metric.factor(&unit) else {
            answer.unknown_units += 1;
            return Ok(());
        };
        answer.add(service, NewestPoint { name, point: point.scaled(factor) }, budget)
    })?;
    Ok(answer)
}

/// The service of a series, and the instance, code or quantile. `None` where it has none, such as for a sum of all.
fn labels(labels: &str, division: Division) -> Result<Option<(String, String)>, AnswerProblem> {
    let (mut service, mut name) = (None, None);
    for_each(labels, |label: WireLabel<'_>| {
        if let (Some(field), Some(value)) = (label.field.into_text(), label.value.into_text()) {
            match &*field {
                "resource" => service = Some(value),
                "service" => service = service.take().or(Some(value)),
                "instance" if division == Division::Instance => name = Some(value),
                _ if is_of(division, &value) => name = Some(value),
                _ => {}
            }
        }
        true
    })?;
    let name = if division == Division::None { Some(String::new()) } else { name };
    Ok(service.zip(name))
}

/// Whether a label's value looks like what divides the metric.
fn is_of(division: Division, value: &str) -> bool {
    match division {
        // 200 or 2xx.
        Division::Code => {
            let rest = value.strip_prefix(|first: char| ('1'..='5').contains(&first)).unwrap_or_default();
            rest.len() == 2 && (rest == "xx" || rest.bytes().all(|byte| byte.is_ascii_digit()))
        }
        Division::Quantile => value.parse().is_ok_and(|quantile: f64| quantile > 0.0 && quantile < 1.0),
        Division::None | Division::Instance => false,
    }
}

fn newest_of(values: &str, oldest: f64, latest: f64) -> Result<Option<Point>, AnswerProblem> {
    let mut newest = Newest::since(oldest);
    for_each(values, |point: WirePoint<'_>| {
        let time = point.timestamp.epoch_seconds().filter(|time| *time <= latest);
        let value = point.value.number().filter(|value| (0.0..=LARGEST).contains(value));
        newest.offer(time, value);
        true
    })?;
    Ok(newest.point())
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
