//! What is measured of instances and services.

use std::collections::HashSet;

use caas_operator::simulator::{Gigabyte, Railway, ReplicaCount, TrafficValue};
use serde_json::{Value, json};

use super::super::NOW;
use super::{data, environment, nodes, options, post, refusal, start};

#[tokio::test]
async fn measurements_of_all_instances_of_an_environment_come_in_one_answer() {
    let cloud = start(options()).await;
    let id = environment(&cloud, "shop", "production").await;
    let since = jiff::Timestamp::from_second(1_772_000_000 - 600).expect("a time").to_string();
    let query = "query($id: String, $startDate: DateTime!, $groupBy: [MetricTag!]) { metrics(environmentId: $id,
        startDate: $startDate, sampleRateSeconds: 60, groupBy: $groupBy,
        measurements: [CPU_USAGE, MEMORY_USAGE_GB, MEMORY_LIMIT_GB, NETWORK_TX_GB]) {
        measurement tags { serviceId deploymentInstanceId region environmentId projectId volumeId deploymentId } values { ts value } } }";
    let by_instance = ["SERVICE_ID", "DEPLOYMENT_INSTANCE_ID", "REGION"];
    let variables = json!({"id": id, "startDate": since, "groupBy": by_instance});
    let data = data(&cloud, query, variables.clone()).await;
    let results = data["metrics"].as_array().expect("results");
    let of = |name: &str| results.iter().filter(|one| one["measurement"] == name).collect::<Vec<_>>();
    let instances: HashSet<_> =
        of("CPU_USAGE").iter().map(|one| one["tags"]["deploymentInstanceId"].to_string()).collect();
    assert_eq!(instances.len(), of("CPU_USAGE").len(), "a series for each instance");
    for result in &results[..] {
        let tags = &result["tags"];
        assert!(tags["serviceId"].is_string() && tags["region"].is_string());
        assert!(tags["environmentId"].is_null() && tags["projectId"].is_null() && tags["volumeId"].is_null());
        let is_traffic = result["measurement"] == "NETWORK_TX_GB";
        assert_eq!(tags["deploymentInstanceId"].is_null(), is_traffic, "traffic is known of services only");
        let times: Vec<i64> = result["values"]
            .as_array()
            .expect("values")
            .iter()
            .filter_map(|value| value["ts"].as_i64())
            .collect();
        assert!(times.len() == 9 && times.windows(2).all(|pair| pair[1] - pair[0] == 60), "{times:?}");
        assert!(times[8] as f64 <= NOW - 30.0, "the delay");
    }

    let mut variables = variables;
    variables["groupBy"] = json!(["SERVICE_ID"]);
    let by_service = self::data(&cloud, query, variables).await;
    let results = by_service["metrics"].as_array().expect("results");
    assert!(
        results.iter().all(|one| one["tags"]["deploymentInstanceId"].is_null()),
        "only what was grouped by"
    );
    assert_eq!(results.iter().filter(|one| one["measurement"] == "CPU_USAGE").count(), 2);
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_not_documented_is_an_option_with_both_values() {
    let query = "query($id: String, $startDate: DateTime!) { metrics(environmentId: $id, startDate: $startDate,
        groupBy: [SERVICE_ID], measurements: [MEMORY_LIMIT_GB, NETWORK_TX_GB]) { measurement tags { serviceId } values { ts value } } }";
    let since = jiff::Timestamp::from_second(1_772_000_000 - 600).expect("a time").to_string();
    let values = async |options: Railway, name: &str| -> Vec<Vec<f64>> {
        let cloud = start(options).await;
        let id = environment(&cloud, "shop", "production").await;
        let data = data(&cloud, query, json!({"id": id, "startDate": since})).await;
        let results =
            data["metrics"].as_array().expect("results").iter().filter(|one| one["measurement"] == name);
        let numbers = |one: &Value| {
            let values = one["values"].as_array().expect("values").iter();
            values.filter_map(|value| value["value"].as_f64()).collect::<Vec<f64>>()
        };
        results.map(numbers).collect()
    };
    let limit = async |gigabyte| values(Railway { gigabyte, ..options() }, "MEMORY_LIMIT_GB").await[0][0];
    let ratio = limit(Gigabyte::Decimal).await / limit(Gigabyte::Binary).await;
    assert!((ratio - 1.073_741_824).abs() < 1e-9, "{ratio}");

    let traffic = async |network| values(Railway { network, ..options() }, "NETWORK_TX_GB").await.remove(0);
    let (samples, totals) = (traffic(TrafficValue::Sample).await, traffic(TrafficValue::Total).await);
    assert!(totals.iter().zip(&samples).all(|(total, sample)| total > sample));

    let query = "query($id: String!) { environment(id: $id) { serviceInstances { edges { node { serviceName numReplicas } } } } }";
    let replicas = async |replicas| -> Vec<Option<u64>> {
        let cloud = start(Railway { replicas, ..options() }).await;
        let id = environment(&cloud, "acme", "production").await;
        let data = data(&cloud, query, json!({ "id": id })).await;
        nodes(&data["environment"]["serviceInstances"]).map(|node| node["numReplicas"].as_u64()).collect()
    };
    let (all, each) = (replicas(ReplicaCount::AllRegions).await, replicas(ReplicaCount::EachRegion).await);
    assert!(all.len() == each.len() && each < all, "{all:?} {each:?}");
}

#[tokio::test]
async fn http_traffic_of_several_services_comes_under_aliases() {
    let cloud = start(options()).await;
    let id = environment(&cloud, "acme", "production").await;
    let query = "query($id: String!) { environment(id: $id) { serviceInstances { edges { node { serviceId
        domains { serviceDomains { id domain } customDomains { id domain } } } } } } }";
    let listed = data(&cloud, query, json!({ "id": id })).await;
    let with_domain =
        |node: &&Value| !node["domains"]["serviceDomains"].as_array().expect("domains").is_empty();
    let service =
        nodes(&listed["environment"]["serviceInstances"]).find(with_domain).expect("a service")["serviceId"]
            .clone();
    let window =
        |seconds: i64| jiff::Timestamp::from_second(1_772_000_000 - seconds).expect("a time").to_string();
    let query = "query($id: String!, $s: String!, $from: DateTime!, $to: DateTime!) {
        r0: httpMetricsGroupedByStatus(serviceId: $s, environmentId: $id, startDate: $from, endDate: $to, stepSeconds: 60) { statusCode samples { ts value } }
        d0: httpDurationMetrics(serviceId: $s, environmentId: $id, startDate: $from, endDate: $to, stepSeconds: 60) { samples { ts p50 p90 p95 p99 } } }";
    let variables = json!({"id": id, "s": service, "from": window(600), "to": window(0)});
    let traffic = data(&cloud, query, variables.clone()).await;
    let codes: Vec<_> =
        traffic["r0"].as_array().expect("codes").iter().map(|one| one["statusCode"].as_u64()).collect();
    assert_eq!(codes[0], Some(200));
    let durations = traffic["d0"]["samples"].as_array().expect("samples");
    assert!(durations.len() >= 10 && durations.iter().all(|one| one["p99"].as_f64() >= one["p50"].as_f64()));

    let cloud = start(Railway { max_fields: 1, ..options() }).await;
    let refused = refusal(post(&cloud, query, variables).await).await;
    assert_eq!(refused, (200, "Problem processing request".to_owned()));
    cloud.stop().await;
}
