//! What is read from the API's documented answers, and from others.

use serde_json::{Value, json};

use super::*;

/// 2026-11-27T10:00:00Z.
const TEN: i64 = 1_795_773_600;

/// A series with these labels and this unit, and its values at so many seconds past ten.
fn series(labels: &[(&str, &str)], unit: &str, values: &[(i64, f64)]) -> Value {
    let labels: Vec<Value> =
        labels.iter().map(|(field, value)| json!({"field": field, "value": value})).collect();
    let value = |(second, value): &(i64, f64)| json!({"timestamp": jiff::Timestamp::from_second(TEN + second).unwrap().to_string(), "value": value});
    let values: Vec<Value> = values.iter().map(value).collect();
    json!({"labels": labels, "unit": unit, "values": values})
}

fn read(metric: Metric, answer: &Value) -> Answer {
    newest(answer.to_string().as_bytes(), metric, TEN, TEN + 600, &mut { InventoryBudget::PER_CYCLE })
        .unwrap()
}

fn of(answer: &Answer, service: &str) -> Vec<(String, i64, f64)> {
    #[allow(clippy::cast_possible_truncation)]
    let one =
        |newest: &NewestPoint| (newest.name.clone(), newest.point.time as i64 - TEN, newest.point.value);
    answer.of(service).iter().map(one).collect()
}

#[test]
fn the_documented_answer_is_read_by_service_and_instance() {
    let answer = json!([{
        "labels": [{"field": "resource", "value": "srv-a"}, {"field": "instance", "value": "srv-a-5f7xk"}],
        "unit": "bytes", "values": [{"timestamp": "2026-11-27T10:00:00Z", "value": 250_000_000}],
    }]);
    assert_eq!(of(&read(Metric::Memory, &answer), "srv-a"), [("srv-a-5f7xk".to_owned(), 0, 250e6)]);
}

#[test]
fn a_service_is_found_under_either_label_and_points_in_any_order() {
    for label in ["resource", "service"] {
        let answer = json!([
            series(&[("instance", "one"), (label, "srv-a")], "cpu", &[(60, 0.5), (120, 0.25), (0, 1.0)]),
            series(&[(label, "srv-b"), ("instance", "two")], "cpu", &[(60, 2.0)]),
        ]);
        let answer = read(Metric::Cpu, &answer);
        assert_eq!(of(&answer, "srv-a"), [("one".to_owned(), 120, 0.25)]);
        assert_eq!(of(&answer, "srv-b"), [("two".to_owned(), 60, 2.0)]);
        assert_eq!((of(&answer, "srv-c"), answer.newest()), (vec![], Some((TEN + 120) as f64)));
    }
}

#[test]
fn values_come_in_the_unit_that_the_answer_names_and_an_unknown_one_is_counted() {
    let labels = [("resource", "srv-a"), ("instance", "one")];
    let memory =
        |unit: &str, value: f64| read(Metric::Memory, &json!([series(&labels, unit, &[(0, value)])]));
    for (unit, value) in [("bytes", 5e8), ("MB", 500.0), ("GB", 0.5), ("MiB", 476.837_158_203_125)] {
        let answer = memory(unit, value);
        assert!((of(&answer, "srv-a")[0].2 - 5e8).abs() < 1.0, "{unit}");
        assert_eq!(answer.unknown_units, 0);
    }
    for unit in ["", "pages", "cpu", "gb"] {
        let answer = memory(unit, 1.0);
        assert_eq!((of(&answer, "srv-a"), answer.unknown_units), (vec![], 1), "{unit}");
    }
    let without = json!([{"labels": [{"field": "resource", "value": "srv-a"}, {"field": "instance", "value": "one"}],
        "values": [{"timestamp": "2026-11-27T10:00:00Z", "value": 1}]}]);
    assert_eq!(read(Metric::Memory, &without).unknown_units, 1);
}

#[test]
fn points_outside_of_the_window_and_values_that_are_none_are_no_data() {
    let labels = [("resource", "srv-a"), ("instance", "one")];
    let answer = json!([
        series(&labels, "cpu", &[(-60, 1.0)]),
        series(&labels, "cpu", &[(660, 1.0)]),
        series(&labels, "cpu", &[(60, -1.0)]),
        series(&labels, "pages", &[]),
    ]);
    let answer = read(Metric::Cpu, &answer);
    assert_eq!((of(&answer, "srv-a"), answer.unknown_units), (vec![], 0));
    let odd = json!([{"labels": [{"field": "resource", "value": "srv-a"}, {"field": "instance", "value": "one"}],
        "unit": "cpu", "values": [{"timestamp": TEN, "value": 1}, {"timestamp": "2026-11-27T10:01:00Z", "value": null},
            {"timestamp": "2026-11-27T10:02:00.5Z", "value": "0.5"}]}]);
    assert_eq!(of(&read(Metric::Cpu, &odd), "srv-a"), [("one".to_owned(), 120, 0.5)]);
}

#[test]
fn a_status_code_is_known_by_its_value_whatever_its_label_is_called() {
    for label in ["statusCode", "status", "aggregate"] {
        let of_code = |code: &str, second, value| {
            series(
                &[("resource", "srv-200"), ("host", "a.example"), (label, code)],
                "requests",
                &[(second, value)],
            )
        };
        let answer = json!([of_code("200", 120, 60.0), of_code("4xx", 120, 6.0), of_code("500", 60, 1.0)]);
        let answer = read(Metric::Requests, &answer);
        let newest: Vec<_> = answer.newest_of("srv-200").map(|one| (&*one.name, one.point.value)).collect();
        assert_eq!(newest, [("200", 1.0), ("4xx", 0.1)], "none got a 500 since: {label}");
    }
    for value in ["2x", "600", "20", "2000", "abc", "0.5", "2x0"] {
        assert!(!is_of(Division::Code, value), "{value}");
    }
}

#[test]
fn a_quantile_is_known_by_its_value_and_a_series_without_one_is_left_out() {
    let answer = json!([
        series(&[("resource", "srv-a"), ("quantile", "0.95")], "ms", &[(0, 250.0)]),
        series(&[("resource", "srv-a")], "ms", &[(0, 100.0)]),
    ]);
    assert_eq!(of(&read(Metric::Latency, &answer), "srv-a"), [("0.95".to_owned(), 0, 0.25)]);
}

#[test]
fn an_answer_of_another_shape_is_refused_and_an_empty_one_is_no_data() {
    let read = |body: &[u8]| newest(body, Metric::Cpu, TEN, TEN + 600, &mut { InventoryBudget::PER_CYCLE });
    assert_eq!(read(b"[]"), Ok(Answer::default()));
    for body in [
        &br#"{"error": "x"}"#[..],
        b"null",
        b"[7]",
        br#"[{"labels": {}, "unit": "cpu", "values": []}]"#,
        br#"[{"labels": [], "unit": "cpu", "values": "none"}]"#,
        br#"[{"unit": "cpu", "values": []}]"#,
    ] {
        assert_eq!(read(body), Err(AnswerProblem::Shape), "{}", body.escape_ascii());
    }
    assert_eq!(read(b"<html>"), Err(AnswerProblem::NotJson));
}

#[test]
fn each_series_is_charged_by_what_it_takes_whoever_it_is_of() {
    let of = |service: &str, instance: &str| {
        series(&[("resource", service), ("instance", instance)], "cpu", &[(60, 0.5)])
    };
    let (long, longer) = ("s".repeat(100), "i".repeat(200));
    let answer = json!([of(&long, &long), of(&long, &longer), of("srv-b", &longer)]);
    let mut budget = InventoryBudget::PER_CYCLE;
    newest(answer.to_string().as_bytes(), Metric::Cpu, TEN, TEN + 600, &mut budget).unwrap();
    let mut expected = InventoryBudget::PER_CYCLE;
    for service in [100, 5] {
        expected.spend_entry::<Vec<NewestPoint>>(service).unwrap();
    }
    for instance in [100, 200, 200] {
        expected.spend_entry::<NewestPoint>(instance).unwrap();
    }
    assert_eq!(budget, expected);
}
