//! What is easily read wrongly.

use std::collections::HashSet;
use std::time::Duration;

use caas_operator::cloud::model::{Measurement, State};
use caas_operator::cloud::railway::Settings;
use caas_operator::simulator::{Gigabyte, Railway, ReplicaCount, TrafficValue};
use serde_json::{Value, json};

use super::{Account, applications, options, services, settings, start};
use crate::http_support::client;
use crate::support::{instances, start_in_change, value};

/// The answer to a query.
async fn ask(cloud: &caas_operator::simulator::Running, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    let request = client().post(cloud.url() + "graphql/v2").bearer_auth(&cloud.credentials()[0].password);
    let answer = request.header("content-type", "application/json").body(body.to_string());
    serde_json::from_str(&answer.send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn instances_of_deployments_that_ended_within_the_window_are_not_exposed() {
    let cloud = start_in_change(options()).await;
    let collection = Account::at(&cloud).collected().await;
    let exposed: HashSet<&str> =
        collection.services.iter().flat_map(instances).map(|instance| instance.facts.id.as_str()).collect();
    let projects = ask(&cloud, "{ projects { edges { node { id } } } }", json!({})).await;
    let project = &projects["data"]["projects"]["edges"][0]["node"]["id"];
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10);
    let query = "query($projectId: String, $startDate: DateTime!) {
        metrics(projectId: $projectId, startDate: $startDate, measurements: [CPU_USAGE], groupBy: [DEPLOYMENT_INSTANCE_ID]) {
            tags { deploymentInstanceId } } }";
    let answer = ask(&cloud, query, json!({"projectId": project, "startDate": since.to_string()})).await;
    let measured = answer["data"]["metrics"].as_array().unwrap().iter();
    let ended = measured
        .filter_map(|result| result["tags"]["deploymentInstanceId"].as_str())
        .filter(|id| !exposed.contains(id));
    assert!(ended.count() > 0, "the window has instances that are not listed any more");
}

#[tokio::test]
async fn environments_of_pull_requests_are_left_out_by_default() {
    let cloud = start(options(), services(20)).await;
    let without = Account::at(&cloud).collected().await;
    assert!(!applications(&without).iter().any(|application| application.contains("-pr-")));
    let settings = Settings { preview_environments: true, ..settings(&cloud) };
    let with = Account::with(settings, &cloud.credentials()[0].password).collected().await;
    let previews = applications(&with).iter().filter(|application| application.contains("-pr-")).count();
    assert_eq!(applications(&with).len(), applications(&without).len() + previews);
    assert!(previews > 0);
}

#[tokio::test]
async fn a_newest_deployment_that_failed_leaves_the_service_running() {
    let cloud = start(options(), services(40)).await;
    let collection = Account::at(&cloud).collected().await;
    let failed: Vec<_> =
        collection.services.iter().filter(|one| one.facts.status.as_deref() == Some("FAILED")).collect();
    assert!(!failed.is_empty());
    for service in failed {
        assert_eq!(service.facts.state, Some(State::Running), "the deployment before runs on");
        assert!(instances(service).iter().all(|instance| instance.reading.sample.is_some()));
    }
}

#[tokio::test]
async fn shares_of_memory_are_right_whatever_a_gigabyte_is() {
    for gigabyte in [Gigabyte::Decimal, Gigabyte::Binary] {
        let cloud = start(Railway { gigabyte, ..options() }, services(10)).await;
        let truth: Vec<_> = cloud.world("acme").unwrap().services(cloud.now()).collect();
        for service in Account::at(&cloud).collected().await.services {
            let expected = truth.iter().find(|one| Some(&one.uuid) == service.facts.id.as_ref()).unwrap();
            for instance in instances(&service) {
                let found = expected.instance(&instance.facts.id).unwrap();
                let sample = instance.reading.sample.as_ref().unwrap();
                #[allow(clippy::cast_possible_truncation)]
                let share = found.point(sample.timestamp() as i64).unwrap().memory_percent / 100.0;
                let limit = instance.facts.limits(&service.facts).memory_bytes.unwrap();
                assert!((value(instance, Measurement::MemoryUsage).unwrap() / limit - share).abs() < 1e-9);
            }
        }
    }
}

#[tokio::test]
async fn a_service_in_two_regions_is_whole_whatever_its_number_of_replicas_counts() {
    for replicas in [ReplicaCount::AllRegions, ReplicaCount::EachRegion] {
        let cloud = start(Railway { replicas, ..options() }, services(40)).await;
        let collection = Account::at(&cloud).collected().await;
        let regions = |service: &caas_operator::cloud::model::Service| {
            let of =
                |one: &caas_operator::cloud::model::Instance| one.facts.overrides.as_ref()?.region.clone();
            instances(service).iter().filter_map(of).collect::<HashSet<String>>().len()
        };
        let spread: Vec<_> = collection.services.iter().filter(|service| regions(service) > 1).collect();
        assert!(!spread.is_empty());
        for service in spread {
            assert_eq!(service.facts.state, Some(State::Running), "{:?}", service.facts);
            let fewer = service.facts.desired_instances < service.facts.running_instances;
            assert_eq!(fewer, replicas == ReplicaCount::EachRegion);
        }
    }
}

#[tokio::test]
async fn network_traffic_is_not_exposed_whatever_its_values_are() {
    for network in [TrafficValue::Sample, TrafficValue::Total] {
        let cloud = start(Railway { network, ..options() }, services(10)).await;
        for service in Account::at(&cloud).collected().await.services {
            for instance in instances(&service) {
                let sample = instance.reading.sample.as_ref().unwrap();
                let known = [Measurement::CpuUsageCores, Measurement::MemoryUsage, Measurement::DiskUsage];
                assert!(sample.measurements().eq(known), "{sample:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_value_may_come_late_but_is_no_older_than_allowed() {
    for (delay, max_age, is_there) in [(120, 600, true), (420, 600, true), (420, 300, false)] {
        let options = Railway { metrics_delay: Duration::from_secs(delay), ..options() };
        let cloud = start(options, services(10)).await;
        let settings = Settings { metrics_max_age: Duration::from_secs(max_age), ..settings(&cloud) };
        let collection = Account::with(settings, &cloud.credentials()[0].password).collected().await;
        let reading = &instances(&collection.services[0])[0].reading;
        assert_eq!(reading.sample.is_some(), is_there, "{delay} s late, {max_age} s allowed");
        assert!(reading.unread.is_empty(), "there is none, rather than that it was not read");
    }
}
