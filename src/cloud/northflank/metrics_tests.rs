//! What is read from a metrics answer in every unit and form.

use serde_json::{Value, json};

use super::*;

/// 2023-03-21T15:01:17.310Z
const AT: f64 = 1_679_410_877.31;
const OLDEST: f64 = AT - 600.0;

fn metric(unit: &str, values: &Value) -> Value {
    json!({"metricInfo": {"metricId": "x", "metricUnit": unit, "metricResolution": 10}, "values": values})
}

/// A series of a container with one value.
fn series(container: &str, value: f64) -> Value {
    json!({"metadata": {"containerId": container}, "data": [{"value": value, "ts": "2023-03-21T15:01:17.310Z"}]})
}

fn parsed(data: &Value) -> Result<Metrics, AnswerProblem> {
    read(json!({"data": data}).to_string().as_bytes(), OLDEST, &mut { InventoryBudget::PER_CYCLE })
}

fn value(metrics: &Metrics, container: &str, measurement: Measurement) -> Option<f64> {
    metrics.containers.get(container)?.value(measurement)
}

/// Requests a second by code.
fn codes(metrics: &Metrics) -> Vec<(&str, f64)> {
    let of = metrics.service.of(Measurement::ServiceHttpRequests);
    of.map(|value| (value.label.unwrap(), value.base())).collect()
}

#[test]
fn all_metrics_of_all_containers_are_read_from_one_answer() {
    let metrics = parsed(&json!({
        "cpu": metric("vCPU", &json!([series("web-1", 0.5), series("web-2", 0.25)])),
        "memory": metric("mb", &json!([series("web-1", 100.0)])),
        "networkIngress": metric("kbps", &json!([series("web-1", 8.0)])),
        "networkEgress": metric("kbps", &json!([series("web-1", 16.0)])),
    }))
    .unwrap();
    for (container, measurement, expected) in [
        ("web-1", Measurement::CpuUsageCores, Some(0.5)),
        ("web-2", Measurement::CpuUsageCores, Some(0.25)),
        ("web-1", Measurement::MemoryUsage, Some(104_857_600.0)),
        ("web-2", Measurement::MemoryUsage, None),
        ("web-1", Measurement::ReceiveRate, Some(1_000.0)),
        ("web-1", Measurement::TransmitRate, Some(2_000.0)),
    ] {
        assert_eq!(value(&metrics, container, measurement), expected, "{container} {measurement:?}");
    }
    let sample = &metrics.containers["web-1"];
    assert!((sample.timestamp() - AT).abs() < 1e-3);
    assert_eq!((metrics.unknown_units, metrics.cpu_is_share, metrics.service.len()), (0, false, 0));
}

#[test]
fn percent_is_a_share_and_said_to_be_one() {
    let metrics = parsed(&json!({
        "cpu": metric("pct", &json!([series("web-1", 50.0)])),
        "memory": metric("pct", &json!([series("web-1", 25.0)])),
    }))
    .unwrap();
    assert_eq!(value(&metrics, "web-1", Measurement::CpuLimitUtilization), Some(0.5));
    assert_eq!(value(&metrics, "web-1", Measurement::MemoryUtilization), Some(0.25));
    assert!(metrics.cpu_is_share);
}

#[test]
fn a_value_whose_unit_is_missing_or_not_its_own_is_left_out_and_counted() {
    let no_info = json!({"values": [series("web-1", 0.5)]});
    let no_unit = json!({"metricInfo": {"metricResolution": 10}, "values": [series("web-1", 0.5)]});
    for odd in [
        no_info,
        no_unit,
        metric("furlong", &json!([series("web-1", 1.0)])),
        metric("mb", &json!([series("web-1", 1.0)])),
    ] {
        let metrics =
            parsed(&json!({"cpu": odd, "memory": metric("mb", &json!([series("web-1", 1.0)]))})).unwrap();
        assert_eq!(metrics.unknown_units, 1, "{odd}");
        let read = &metrics.containers["web-1"];
        assert_eq!((read.len(), read.value(Measurement::MemoryUsage)), (1, Some(1_048_576.0)), "{odd}");
    }
    assert_eq!(
        parsed(&json!({"cpu": {"values": []}})).unwrap().unknown_units,
        0,
        "there is no value to leave out"
    );
}

#[test]
fn a_metric_without_data_may_be_missing_empty_or_null() {
    for data in [
        json!({}),
        json!({"cpu": metric("vCPU", &json!([]))}),
        json!({"cpu": metric("vCPU", &Value::Null)}),
        json!({"cpu": null}),
        json!({"cpu": metric("vCPU", &json!([{"metadata": {"containerId": "web-1"}, "data": []}]))}),
        json!({"cpu": metric("vCPU", &json!([{"metadata": {"containerId": "web-1"}}]))}),
    ] {
        let metrics = parsed(&data).unwrap();
        assert!(metrics.containers.is_empty() && metrics.service.is_empty(), "{data}");
    }
}

#[test]
fn the_newest_point_counts_unless_it_is_too_old_or_no_number() {
    let points = |points: Value| json!({"metadata": {"containerId": "web-1"}, "data": points});
    for (data, expected) in [
        (
            json!([{"value": 1, "ts": "2023-03-21T15:01:00Z"}, {"value": 2, "ts": "2023-03-21T15:01:15Z"}]),
            Some(2.0),
        ),
        (
            json!([{"value": 2, "ts": "2023-03-21T15:01:15Z"}, {"value": 1, "ts": "2023-03-21T15:01:00Z"}]),
            Some(2.0),
        ),
        (json!([{"value": 1, "ts": "2023-03-21T14:00:00Z"}]), None),
        (
            json!([{"value": "NaN", "ts": "2023-03-21T15:01:00Z"}, {"value": -1, "ts": "2023-03-21T15:01:00Z"}]),
            None,
        ),
        (json!([{"value": 1}, {"value": 1, "ts": 1_679_410_877}]), None),
    ] {
        let metrics = parsed(&json!({"cpu": metric("vCPU", &json!([points(data.clone())]))})).unwrap();
        assert_eq!(value(&metrics, "web-1", Measurement::CpuUsageCores), expected, "{data}");
    }
}

#[test]
fn requests_are_of_the_service_in_classes_whose_sum_is_that_of_all() {
    let of = |values: &[f64]| {
        let list: Vec<_> = values.iter().map(|value| series("web-1", *value)).collect();
        metric("rps", &json!(list))
    };
    let all = parsed(&json!({
        "requests": of(&[10.0, 6.0]), "http4xxResponses": of(&[1.0, 2.0]), "http5xxResponses": of(&[0.5]),
        "bandwidth": metric("kbps", &json!([series("", 8.0), series("web-2", 8.0)])),
    }))
    .unwrap();
    assert_eq!(codes(&all), [("4xx", 3.0), ("5xx", 0.5), ("other", 12.5)]);
    assert_eq!(all.service.value(Measurement::ServiceTransmitRate), Some(2_000.0));
    assert!(all.containers.is_empty(), "they are not of containers");

    let healthy = parsed(&json!({"requests": of(&[10.0]), "http4xxResponses": of(&[])})).unwrap();
    assert_eq!(codes(&healthy), [("other", 10.0)]);
    let only_class = parsed(&json!({"http5xxResponses": of(&[1.0])})).unwrap();
    assert_eq!(codes(&only_class), [("5xx", 1.0)]);
    let odd_class = parsed(
        &json!({"requests": of(&[10.0]), "http5xxResponses": metric("count", &json!([series("a", 1.0)]))}),
    )
    .unwrap();
    assert_eq!(
        (codes(&odd_class), odd_class.unknown_units),
        (vec![], 1),
        "what is left for others is not known"
    );
}

#[test]
fn a_series_that_ended_is_no_part_of_what_the_service_does_now() {
    let at =
        |ts: &str, value: f64| json!({"metadata": {"containerId": ts}, "data": [{"value": value, "ts": ts}]});
    let values = json!([
        at("2023-03-21T15:01:15Z", 4.0),
        at("2023-03-21T15:00:15Z", 2.0),
        at("2023-03-21T14:59:14Z", 1.0)
    ]);
    let metrics = parsed(&json!({"requests": metric("rps", &values)})).unwrap();
    assert_eq!(codes(&metrics), [("other", 6.0)]);
}

#[test]
fn containers_that_were_measured_within_two_resolutions_are_taken_to_run() {
    let at =
        |name: &str, ts: &str| json!({"metadata": {"containerId": name}, "data": [{"value": 1, "ts": ts}]});
    let values = json!([
        at("now", "2023-03-21T15:01:15Z"),
        at("late", "2023-03-21T14:59:20Z"),
        at("ended", "2023-03-21T14:59:10Z")
    ]);
    let metrics = parsed(&json!({"cpu": metric("vCPU", &values)})).unwrap();
    let mut running: Vec<_> = metrics.measured_lately(AT).collect();
    running.sort_unstable();
    assert_eq!(running, ["late", "now"]);
}

#[test]
fn an_answer_of_another_shape_is_an_error() {
    for data in [
        json!(7),
        json!([1]),
        json!({"cpu": 5}),
        json!({"cpu": {"values": 5}}),
        json!({"cpu": {"values": [1]}}),
    ] {
        assert_eq!(parsed(&data).unwrap_err(), AnswerProblem::Shape, "{data}");
    }
    let data = json!({"cpu": metric("vCPU", &json!([{"metadata": {"containerId": "a"}, "data": "x"}]))});
    assert_eq!(parsed(&data).unwrap_err(), AnswerProblem::Shape);
    assert_eq!(read(b"{}", OLDEST, &mut { InventoryBudget::PER_CYCLE }).unwrap_err(), AnswerProblem::Shape);
    assert_eq!(
        read(b"<html>", OLDEST, &mut { InventoryBudget::PER_CYCLE }).unwrap_err(),
        AnswerProblem::NotJson
    );
}

#[test]
fn each_container_is_charged_once_whether_it_runs_or_not() {
    let name = "c".repeat(100);
    let data = json!({
        "cpu": metric("vCPU", &json!([series(&name, 0.5), series("web-1", 0.25)])),
        "memory": metric("mb", &json!([series(&name, 100.0)])),
    });
    let mut budget = InventoryBudget::PER_CYCLE;
    read(json!({"data": data}).to_string().as_bytes(), OLDEST, &mut budget).unwrap();
    let mut expected = InventoryBudget::PER_CYCLE;
    for name in [100, 5] {
        expected.spend_entry::<(SampleBuilder, String)>(2 * name + VALUES_BYTES).unwrap();
    }
    assert_eq!(budget, expected);
}
