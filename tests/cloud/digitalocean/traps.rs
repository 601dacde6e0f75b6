//! What is easily read wrongly.

use std::collections::HashSet;
use std::time::Duration;

use caas_operator::cloud::model::Measurement;
use caas_operator::simulator::{DigitalOcean, NoData, RestartCount};
use serde_json::Value;

use super::{Account, options, services, settings, start};
use crate::http_support::client;
use crate::support::{instances, start_in_change, value};

#[tokio::test]
async fn instances_that_ended_within_the_window_are_not_exposed() {
    let cloud = start_in_change(options()).await;
    let collection = Account::at(&cloud).collected().await;
    let (client, token) = (client(), &cloud.credentials()[0].password);
    let mut ended = 0;
    for service in &collection.services {
        let (app, now) = (service.facts.id.as_ref().unwrap(), cloud.now());
        let url = format!(
            "{}v2/monitoring/metrics/apps/cpu_percentage?app_id={app}&start={}&end={now}",
            cloud.url(),
            now - 600.0
        );
        let answer: Value = client.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
        let in_window = answer["data"]["result"].as_array().unwrap().iter();
        let measured: HashSet<&str> =
            in_window.filter_map(|series| series["metric"]["app_component_instance"].as_str()).collect();
        let exposed: HashSet<&str> =
            instances(service).iter().map(|instance| instance.facts.name.as_str()).collect();
        ended += measured.difference(&exposed).count();
    }
    assert!(ended > 0, "the window has instances that are not listed any more");
}

#[tokio::test]
async fn a_window_without_points_is_no_data_however_it_is_written() {
    for no_data in [NoData::Empty, NoData::Null] {
        // Points come later than they are looked for.
        let options = DigitalOcean { metrics_delay: Duration::from_secs(7200), no_data, ..options() };
        let cloud = start(options, services(10)).await;
        for service in Account::at(&cloud).collected().await.services {
            for instance in instances(&service) {
                assert_eq!(instance.reading.sample, None);
                assert!(
                    instance.reading.unread.is_empty(),
                    "there is none, rather than that it was not read"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_point_may_come_late_but_is_no_older_than_allowed() {
    let options = DigitalOcean { metrics_delay: Duration::from_secs(420), ..options() };
    let cloud = start(options, services(10)).await;
    let token = &cloud.credentials()[0].password;
    for (max_age, is_there) in [(600, true), (360, false)] {
        let settings = caas_operator::cloud::digitalocean::Settings {
            metrics_max_age: Duration::from_secs(max_age),
            ..settings(&cloud)
        };
        let collection = Account::with(settings, token).collected().await;
        let sample = &instances(&collection.services[0])[0].reading.sample;
        assert_eq!(sample.is_some(), is_there, "{max_age} s: {sample:?}");
    }
}

#[tokio::test]
async fn shares_above_one_and_restarts_of_a_whole_component_are_exposed_as_they_are() {
    let options = DigitalOcean { cpu_bursts: true, restart_count: RestartCount::Component, ..options() };
    let cloud = start(options, services(60)).await;
    let collection = Account::at(&cloud).collected().await;
    let of = |measurement| {
        let all = collection.services.iter().flat_map(instances);
        all.filter_map(move |instance| value(instance, measurement)).collect::<Vec<f64>>()
    };
    assert!(of(Measurement::CpuLimitUtilization).iter().any(|share| *share > 1.0));
    for service in &collection.services {
        let counts: Vec<_> =
            instances(service).iter().map(|instance| value(instance, Measurement::Restarts)).collect();
        assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{counts:?}");
    }
}
