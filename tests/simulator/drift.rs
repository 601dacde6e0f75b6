//! The format as it changed over the years: each year's appears, with the same content.

use std::collections::HashSet;

use caas_operator::simulator::{AccountSettings, Alauda, Settings};
use serde_json::Value;

use super::{NOW, User, cloud};

/// A cloud whose format drifts.
fn drifting(page_size: usize) -> Settings {
    Alauda { page_size, drift: true, ..Alauda::default() }.into()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[tokio::test]
async fn one_page_has_services_of_all_years() {
    let account = AccountSettings { services: 200, instances: 1, ..AccountSettings::new("acme") };
    let settings = Settings { accounts: vec![account], churn: 1.0, ..drifting(200) };
    let cloud = cloud(settings).await;
    let user = User::of(&cloud).await;
    let page = user.json("services/acme/").await;
    let services = page["results"].as_array().expect("services");
    let kinds = |field: &str| services.iter().map(|service| kind(&service[field])).collect::<HashSet<_>>();
    assert_eq!(kinds("instance_envvars"), ["string", "object"].into());
    assert_eq!(kinds("instance_ports"), ["array", "object"].into());
    assert_eq!(kinds("target_num_instances"), ["number", "string"].into());
    assert_eq!(kinds("healthy_num_instances"), ["null", "number"].into());
    assert_eq!(kinds("custom_instance_size"), ["null", "object"].into());
    let statuses: HashSet<_> =
        services.iter().filter_map(|service| service["current_status"].as_str()).collect();
    assert_eq!(statuses, ["Running", "Deploying", "Stopped", "Starting"].into());
    let starting = services.iter().find(|service| service["current_status"] == "Starting").expect("one");
    assert_eq!(starting["instances"], Value::Array(Vec::new()));
    cloud.stop().await;
}

#[tokio::test]
async fn metrics_of_all_years_hold_the_same_values_under_their_columns() {
    let account = AccountSettings { services: 1, instances: 60, ..AccountSettings::new("acme") };
    let cloud = cloud(Settings { accounts: vec![account], ..drifting(20) }).await;
    let user = User::of(&cloud).await;
    let world = cloud.world("acme").expect("a world");
    let service = world.service(NOW, "kibana", None).expect("kibana");
    let (mut layouts, mut text, mut oldest_first, mut empty) = (HashSet::new(), false, false, HashSet::new());
    for instance in service.instances() {
        let path = |start: f64| {
            let window = format!("start_time={start}&end_time={NOW}&point_per_period=1m");
            format!("services/acme/kibana/instances/{}/metrics?{window}", instance.uuid)
        };
        let metrics = user.json(&path(NOW - 600.0)).await;
        let columns: Vec<&str> =
            metrics["columns"].as_array().expect("columns").iter().filter_map(Value::as_str).collect();
        let place = |name: &str| columns.iter().position(|column| *column == name);
        let rows = metrics["points"].as_array().expect("points");
        for row in rows {
            let number = |name: &str| {
                let value = &row[place(name).expect("a column")];
                value
                    .as_f64()
                    .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                    .expect("a number")
            };
            text |= row[place("cpu_cumulative_usage").expect("a column")].is_string();
            let time =
                instance.point(number("time").round().to_string().parse().expect("seconds")).expect("data");
            assert!((number("cpu_cumulative_usage") - time.cpu_nanoseconds as f64).abs() < 1.0);
            assert!((number("memory_utilization") - time.memory_percent).abs() < 1e-9);
        }
        let times: Vec<f64> = rows.iter().filter_map(|row| row[place("time")?].as_f64()).collect();
        oldest_first |= times.len() > 1 && times[0] < times[1];
        layouts.insert(columns.join(","));
        let nothing = user.get(&path(NOW - 10.0)).await.expect("a response").text().await.expect("a text");
        empty.insert(if nothing.is_empty() { "no body" } else { "no points" });
    }
    assert!(text && oldest_first);
    assert_eq!(empty.len(), 2);
    assert_eq!(layouts.len(), 3, "{layouts:?}");
    assert!(layouts.iter().any(|layout| !layout.contains("sequence_number")));
    cloud.stop().await;
}

#[tokio::test]
async fn errors_have_their_later_form_and_responses_a_request_id() {
    let cloud = cloud(drifting(20)).await;
    let user = User::of(&cloud).await;
    let response = user.get("services/acme/nothing").await.expect("a response");
    assert_eq!(response.status(), 404);
    assert!(response.headers().contains_key("alauda-request-id"));
    let body: Value = response.json().await.expect("JSON");
    let error = &body["errors"][0];
    assert!(
        error["code"].is_string() && error["message"].is_string() && error["source"].is_string(),
        "{body}"
    );
    cloud.stop().await;
}
