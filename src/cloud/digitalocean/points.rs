//! Metrics of an app as the API sends them: a series of points for each instance. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{for_each, try_for_each};
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::point::{Newest, Point};
use crate::cloud::model::{Measurement, Scale};

/// Seconds from one point to the next, as the API's examples show them.
pub(super) const RESOLUTION: f64 = 120.0;

/// The largest value: no count and no percentage exceeds it.
const LARGEST: f64 = 1e15;

/// A metric of apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// CPU in percent of what the instance may use. That it is of all its cores is inferred: no page says so.
    Cpu,
    /// Memory in percent of what the instance may use.
    Memory,
    /// Restarts. Whether the count begins with the instance or with its component is not documented.
    Restarts,
}

impl Metric {
    /// All metrics that are collected.
    pub(super) const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Restarts];

    /// The last part of the URL's path.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_percentage",
            Self::Memory => "memory_percentage",
            Self::Restarts => "restart_count",
        }
    }

    /// What it measures, in which unit.
    pub(super) const fn measurement(self) -> (Measurement, Scale) {
        match self {
            Self::Cpu => (Measurement::CpuLimitUtilization, Scale::Percent),
            Self::Memory => (Measurement::MemoryUtilization, Scale::Percent),
            Self::Restarts => (Measurement::Restarts, Scale::Base),
        }
    }
}

/// The newest point of each instance of an app.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Points(HashMap<String, HashMap<String, Point>>);

impl Points {
    /// That of the instance of this component with this alias.
    pub(super) fn get(&self, component: &str, alias: &str) -> Option<Point> {
        self.0.get(component)?.get(alias).copied()
    }

    /// The time of the newest of them, in seconds since the epoch.
    pub(super) fn newest(&self) -> Option<f64> {
        self.0.values().flat_map(HashMap::values).map(|point| point.time).max_by(f64::total_cmp)
    }

    fn add(
        &mut self,
        component: String,
        alias: String,
        point: Point,
        budget: &mut InventoryBudget,
    ) -> Result<(), AnswerProblem> {
        if !self.0.contains_key(&component) {
            budget.spend_entry::<HashMap<String, Point>>(component.len())?;
        }
        let of_component = self.0.entry(component).or_default();
        if !of_component.contains_key(&alias) {
            budget.spend_entry::<Point>(alias.len())?;
        }
        of_component.insert(alias, point);
        Ok(())
    }
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    data: Option<WireData<'a>>,
}

#[derive(Deserialize)]
struct WireData<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireSeries<'a> {
    #[serde(borrow)]
    metric: WireLabels<'a>,
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
struct WireLabels<'a> {
    #[serde(borrow, default)]
    app_component: Scalar<'a>,
    #[serde(borrow, default)]
    app_component_instance: Scalar<'a>,
}

/// Reads the newest point of each instance, of those that are not older than `oldest` (seconds since the epoch).
///
/// `Reported` where the answer, of status 200, says that the query failed; `TooLarge` where it has more than the budget
/// allows.
pub(super) fn newest(
    body: &[u8],
    oldest: f64,
    budget: &mut InventoryBudget,
) -> Result<Points, AnswerProblem> {
    let answer: WireAnswer<'_> = parse(json_text(body)?)?;
    if matches!(&answer.status, Scalar::Text(status) if status != "success") {
        return Err(AnswerProblem::Reported);
    }
    let mut points = Points::default();
    let result = answer.data.ok_or(AnswerProblem::Shape)?.result;
    let Some(result) = result else { return Ok(points) };
    try_for_each(result.get(), |series: WireSeries<'_>| {
        let labels = series.metric;
        // A series without these labels is of the app as a whole.
        let (Some(component), Some(alias)) =
            (labels.app_component.into_text(), labels.app_component_instance.into_text())
        else {
            return Ok(());
        };
        let Some(point) = newest_of(series.values.get(), oldest)? else { return Ok(()) };
        points.add(component, alias, point, budget)
    })?;
    Ok(points)
}

fn newest_of(values: &str, oldest: f64) -> Result<Option<Point>, AnswerProblem> {
    let mut newest = Newest::since(oldest);
    for_each(values, |(time, value): (Scalar<'_>, Scalar<'_>)| {
        let value = value.number().filter(|value| (0.0..=LARGEST).contains(value));
        newest.offer(time.number(), value);
        true
    })?;
    Ok(newest.point())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OLDEST: f64 = 1_634_052_000.0;

    fn read(answer: &Value) -> Result<Points, AnswerProblem> {
        newest(answer.to_string().as_bytes(), OLDEST, &mut { InventoryBudget::PER_CYCLE })
    }

    fn series(component: &str, alias: &str, values: &Value) -> Value {
        json!({
            "metric": {"app_component": component, "app_component_instance": alias, "app_uuid": "db3c"},
            "values": values,
        })
    }

    fn matrix(series: &[Value]) -> Value {
        json!({"status": "success", "data": {"resultType": "matrix", "result": series}})
    }

    #[test]
    fn the_newest_point_of_each_instance_is_read_from_strings_in_any_order() {
        let answer = matrix(&[
            series("api", "api-0", &json!([[1_634_052_360, "5.016"], [1_634_052_480, "12.015"]])),
            series("api", "api-1", &json!([[1_634_052_480, "7"], [1_634_052_360, "6"]])),
            series("worker", "api-0", &json!([[1_634_052_360, 3]])),
        ]);
        let points = read(&answer).unwrap();
        assert_eq!(points.get("api", "api-0"), Some(Point { time: 1_634_052_480.0, value: 12.015 }));
        assert_eq!(points.get("api", "api-1"), Some(Point { time: 1_634_052_480.0, value: 7.0 }));
        assert_eq!(points.get("worker", "api-0"), Some(Point { time: 1_634_052_360.0, value: 3.0 }));
        assert_eq!(points.get("api", "api-2"), None);
    }

    #[test]
    fn points_that_are_too_old_or_no_numbers_are_no_data() {
        let answer = matrix(&[
            series("api", "api-0", &json!([[1_634_051_999, "5"]])),
            series("api", "api-1", &json!([[1_634_052_360, "5"], [1_634_052_480, "NaN"]])),
            series("api", "api-2", &json!([[1_634_052_480, "-1"], [1_634_052_480, null]])),
        ]);
        let points = read(&answer).unwrap();
        assert_eq!(points.get("api", "api-0"), None);
        assert_eq!(points.get("api", "api-1").map(|point| point.value), Some(5.0));
        assert_eq!(points.get("api", "api-2"), None);
    }

    #[test]
    fn a_window_without_data_is_no_error_and_a_failed_query_is_one() {
        assert_eq!(read(&matrix(&[])), Ok(Points::default()));
        let none = json!({"status": "success", "data": {"resultType": "matrix", "result": null}});
        assert_eq!(read(&none), Ok(Points::default()));
        assert_eq!(
            read(&json!({"status": "error", "data": {"result": []}})),
            Err(AnswerProblem::Reported),
            "in an answer of status 200"
        );
        assert_eq!(read(&json!({"status": "error", "errorType": "timeout"})), Err(AnswerProblem::Reported));
        assert_eq!(read(&json!({"status": "success"})), Err(AnswerProblem::Shape));
        let html = newest(b"<html>", OLDEST, &mut { InventoryBudget::PER_CYCLE });
        assert_eq!(html, Err(AnswerProblem::NotJson));
    }

    #[test]
    fn a_series_of_no_instance_is_left_out() {
        let app = json!({"metric": {"app_uuid": "db3c"}, "values": [[1_634_052_360, "5"]]});
        assert_eq!(read(&matrix(&[app])), Ok(Points::default()));
        let odd =
            json!({"metric": {"app_component": "api", "app_component_instance": "api-0"}, "values": "x"});
        assert_eq!(read(&matrix(&[odd])), Err(AnswerProblem::Shape));
    }

    #[test]
    fn instances_that_nobody_lists_are_charged_by_what_they_take() {
        let point = json!([[1_634_052_360, "5"]]);
        let (long, longer) = ("a".repeat(100), "a".repeat(200));
        // The last one is of an instance that is there already.
        let answer = matrix(&[
            series(&long, &long, &point),
            series(&long, &longer, &point),
            series(&long, &longer, &point),
        ]);
        let mut expected = InventoryBudget::PER_CYCLE;
        expected.spend_entry::<HashMap<String, Point>>(100).unwrap();
        expected.spend_entry::<Point>(100).unwrap();
        expected.spend_entry::<Point>(200).unwrap();
        let mut budget = InventoryBudget::PER_CYCLE;
        newest(answer.to_string().as_bytes(), OLDEST, &mut budget).unwrap();
        assert_eq!(budget, expected);
    }
}
