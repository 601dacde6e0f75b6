//! Measurements as the API sends them.

use serde_json::{Value, json};

use super::*;

const OLDEST: f64 = 1_772_000_000.0;

fn result(measurement: &str, instance: Option<&str>, values: &Value) -> Value {
    json!({
        "measurement": measurement,
        "tags": {"deploymentInstanceId": instance, "region": instance.map(|_| "us-west2")},
        "values": values,
    })
}

fn read(results: &[Value]) -> Result<Usage, AnswerProblem> {
    newest(&json!({ "metrics": results }).to_string(), OLDEST, &mut { InventoryBudget::PER_CYCLE })
}

fn at(seconds: i64, value: f64) -> Value {
    json!({"ts": 1_772_000_000 + seconds, "value": value})
}

#[test]
fn the_newest_value_of_each_instance_is_read_in_any_order_and_converted() {
    let usage = read(&[
        result("CPU_USAGE", Some("i1"), &json!([at(60, 0.5), at(120, 0.25)])),
        result("MEMORY_USAGE_GB", Some("i1"), &json!([at(120, 0.5), at(60, 0.1)])),
        result("EPHEMERAL_DISK_USAGE_GB", Some("i1"), &json!([at(60, 0.001)])),
        result("CPU_LIMIT", Some("i1"), &json!([at(60, 8.0)])),
        result("MEMORY_LIMIT_GB", Some("i1"), &json!([at(60, 8.0)])),
        result("CPU_USAGE", Some("i2"), &json!([at(60, 3.0)])),
    ])
    .unwrap();
    let sample = usage["i1"].sample().unwrap();
    assert_eq!(sample.value(Measurement::CpuUsageCores), Some(0.25));
    assert_eq!(sample.value(Measurement::MemoryUsage), Some(5e8));
    assert_eq!(sample.value(Measurement::DiskUsage), Some(1e6));
    assert_eq!(sample.get(Measurement::DiskUsage).map(|value| value.time), Some(OLDEST + 60.0));
    let overrides = usage["i1"].overrides();
    assert_eq!(overrides.region.as_deref(), Some("us-west2"));
    assert_eq!((overrides.limits.cpu_cores, overrides.limits.memory_bytes), (Some(8.0), Some(8e9)));
    assert_eq!(usage["i2"].sample().unwrap().len(), 1);
    assert!(usage["i2"].overrides().limits.is_empty());
}

#[test]
fn what_is_too_old_or_no_number_or_no_measurement_of_an_instance_is_no_data() {
    let usage = read(&[
        result("CPU_USAGE", Some("old"), &json!([at(-1, 0.5)])),
        result(
            "CPU_USAGE",
            Some("odd"),
            &json!([at(60, -1.0), {"ts": 1_772_000_060_000_i64, "value": 1}, {"ts": null}]),
        ),
        result("NETWORK_TX_GB", Some("i1"), &json!([at(60, 0.5)])),
        result("CPU_USAGE_2", Some("i1"), &json!([at(60, 0.5)])),
        result("DISK_USAGE_GB", None, &json!([at(60, 0.5)])),
        result("CPU_USAGE", Some("empty"), &json!([])),
    ]);
    assert_eq!(usage, Ok(Usage::new()));
}

#[test]
fn a_limit_of_nothing_is_none() {
    let usage = read(&[result("CPU_LIMIT", Some("i1"), &json!([at(60, 0.0)]))]).unwrap();
    assert!(usage["i1"].overrides().limits.is_empty());
    assert_eq!(usage["i1"].sample(), None);
}

#[test]
fn an_answer_of_another_shape_is_an_error() {
    for data in [json!({}), json!({"metrics": {}}), json!({"metrics": [{"measurement": "CPU_USAGE"}]})] {
        assert_eq!(
            newest(&data.to_string(), OLDEST, &mut { InventoryBudget::PER_CYCLE }),
            Err(AnswerProblem::Shape),
            "{data}"
        );
    }
    assert_eq!(read(&[result("CPU_USAGE", Some("i1"), &json!("none"))]), Err(AnswerProblem::Shape));
}

#[test]
fn instances_that_nobody_lists_are_charged_by_what_they_take() {
    let taken = |instances: usize| {
        let ids: Vec<String> = (0..instances).map(|number| format!("{number:0>100}")).collect();
        let of = |measurement, id| result(measurement, Some(id), &json!([at(60, 0.5)]));
        let results: Vec<Value> =
            ids.iter().flat_map(|id| [of("CPU_USAGE", id), of("CPU_LIMIT", id)]).collect();
        let data = json!({ "metrics": results }).to_string();
        let mut budget = InventoryBudget::PER_CYCLE;
        newest(&data, OLDEST, &mut budget).unwrap();
        let mut expected = InventoryBudget::PER_CYCLE;
        (0..instances).for_each(|_| expected.spend_entry::<InstanceUsage>(100 + "us-west2".len()).unwrap());
        (budget, expected)
    };
    for instances in [0, 1, 50] {
        let (budget, expected) = taken(instances);
        assert_eq!(budget, expected, "{instances}");
    }
}
