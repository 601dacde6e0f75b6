//! What is easily read wrongly.

use std::collections::HashSet;
use std::time::Duration;

use caas_operator::cloud::model::Measurement;
use caas_operator::cloud::render::Settings;
use caas_operator::simulator::{ByteUnit, CountUnit, Render, ResourceLabel, SumTime, UnknownResource};
use serde_json::Value;

use super::{Account, options, services, settings, start};
use crate::http_support::client;
use crate::support::{Fake, Reply, instances, json, pass, start_in_change, value};

#[tokio::test]
async fn instances_that_ended_within_the_window_are_not_exposed() {
    let cloud = start_in_change(options()).await;
    let account = Account::at(&cloud);
    let collection = account.collected().await;
    let (client, key) = (client(), &cloud.credentials()[0].password);
    let world = cloud.world("acme").unwrap();
    let mut ended = 0;
    for service in collection.services.iter().filter(|one| one.facts.running_instances > Some(0)) {
        let id = service.facts.id.as_ref().unwrap();
        let url = format!("{}metrics/cpu?resource={id}", cloud.url());
        let answer: Value = client.get(url).bearer_auth(key).send().await.unwrap().json().await.unwrap();
        let measured: HashSet<&str> = answer
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|series| series["labels"][1]["value"].as_str())
            .collect();
        let exposed: HashSet<&str> = instances(service).iter().map(|one| one.facts.id.as_str()).collect();
        ended += measured.difference(&exposed).count();
        let truth = world.services(cloud.now()).find(|truth| truth.name == service.facts.name).unwrap();
        // Points are a minute late, and instances that ended since are taken for present until then.
        assert!(exposed.len() <= truth.target + 8, "{}", service.facts.name);
    }
    assert!(ended > 0, "the last hour has instances that are not there any more");
}

#[tokio::test]
async fn previews_are_left_out_unless_they_are_wanted() {
    let cloud = start(options(), services(20)).await;
    let without = Account::at(&cloud).collected().await;
    let with_previews = Settings { previews: true, ..settings(&cloud) };
    let with = Account::with(with_previews, &cloud.credentials()[0].password).collected().await;
    assert_eq!(with.services.len(), without.services.len() + 1);
    let preview = with.services.iter().find(|service| service.facts.name.ends_with("PR #12")).unwrap();
    assert!(instances(preview).is_empty());
}

#[tokio::test]
async fn whatever_the_labels_and_units_are_called_the_values_are_the_same() {
    let plain = start(options(), services(20)).await;
    let expected = Account::at(&plain).collected().await;
    let other = Render {
        resource_label: ResourceLabel::Service,
        code_label: "status".to_owned(),
        memory_unit: ByteUnit::Gigabytes,
        bandwidth_unit: ByteUnit::Mebibytes,
        count_unit: CountUnit::Requests,
        unknown_resource: UnknownResource::NotFound,
        ..options()
    };
    let cloud = super::start_at(plain.now(), other, services(20)).await;
    let collection = Account::at(&cloud).collected().await;
    for (expected, found) in expected.services.iter().zip(&collection.services) {
        for (expected, found) in instances(expected).iter().zip(instances(found)) {
            let of = |instance| value(instance, Measurement::MemoryUsage).unwrap();
            assert!((of(expected) - of(found)).abs() < 1.0, "{} {}", of(expected), of(found));
        }
        assert_eq!(expected.facts, found.facts, "limits as well");
        let [expected, found] = [expected, found].map(|one| one.reading.sample.clone().unwrap());
        assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.values().zip(found.values()) {
            assert_eq!((expected.measurement, expected.label), (found.measurement, found.label));
            let (expected, found) = (expected.base(), found.base());
            assert!((expected - found).abs() <= 1e-9 * expected, "{expected} {found}");
        }
    }
}

#[tokio::test]
async fn a_sum_is_of_a_time_that_is_over_whether_points_have_its_beginning_or_its_end() {
    for sum_time in [SumTime::Start, SumTime::End] {
        let cloud =
            start(Render { sum_time, metrics_delay: Duration::ZERO, ..options() }, services(20)).await;
        let collection = Account::at(&cloud).collected().await;
        let world = cloud.world("acme").unwrap();
        let mut checked = 0;
        for service in &collection.services {
            let sample = service.reading.sample.as_ref().unwrap();
            let Some(value) = sample.get(Measurement::ServiceTransmitRate) else { continue };
            let shift = if sum_time == SumTime::End { 3600.0 } else { 0.0 };
            #[allow(clippy::cast_possible_truncation)]
            let from = (value.time - shift) as i64;
            assert!((from + 3600) as f64 <= cloud.now(), "{sum_time:?}");
            let same_place = |truth: &caas_operator::simulator::world::Service| {
                truth.name == service.facts.name
                    && truth.application.is_some() == service.facts.application.is_some()
            };
            let truth: Vec<_> = world.services(cloud.now()).filter(same_place).collect();
            // Names that several environments have are left to other tests.
            let [truth] = &truth[..] else { continue };
            let sent = |instance: caas_operator::simulator::world::Instance| {
                let at = |time| instance.point(time).unwrap().tx_bytes as f64;
                (at(from + 3600) - at(from)).max(0.0)
            };
            let expected = truth.instances().map(sent).sum::<f64>() / 3600.0;
            assert!((value.base() - expected).abs() <= 1e-6 * expected, "{sum_time:?}");
            checked += 1;
        }
        assert!(checked > 5);
    }
}

#[tokio::test]
async fn points_may_come_late_but_are_no_older_than_allowed() {
    let options = Render { metrics_delay: Duration::from_secs(420), ..options() };
    let cloud = start(options, services(10)).await;
    let key = &cloud.credentials()[0].password;
    for (max_age, is_there) in [(600, true), (360, false)] {
        let settings = Settings { metrics_max_age: Duration::from_secs(max_age), ..settings(&cloud) };
        let collection = Account::with(settings, key).collected().await;
        let has_instances = !instances(&collection.services[0]).is_empty();
        assert_eq!(has_instances, is_there, "{max_age} s");
    }
}

#[tokio::test]
async fn the_second_cycle_asks_for_the_last_points_only() {
    let cloud = start(options(), services(10)).await;
    let account = Account::at(&cloud);
    account.collected().await;
    cloud.reset_counts();
    pass(Duration::from_secs(60)).await;
    let second = account.collected().await;
    assert!(instances(&second.services[0]).iter().all(|one| one.reading.sample.is_some()));
    let line = cloud.requests().into_iter().find(|line| line.starts_with("GET /v1/metrics/cpu?")).unwrap();
    let time = |name: &str| -> jiff::Timestamp {
        let (_, query) = line.split_once('?').unwrap();
        let pair = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).unwrap();
        pair.1.parse().unwrap()
    };
    let seconds = time("endTime").as_second() - time("startTime").as_second();
    assert!((180..=300).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn values_in_a_unit_that_is_not_known_are_dropped_and_counted() {
    let fake = Fake::with(|seen| {
        let path = seen.path.split('?').next().unwrap();
        // Half a minute ago: the newest point that a cloud may have.
        let now = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(30);
        let unit = if path.ends_with("/memory") { "pages" } else { "cpu" };
        Some(match path {
            "/v1/services" => json(
                r#"[{"cursor": "1", "service": {"id": "srv-a", "name": "web", "type": "background_worker",
                    "suspended": "not_suspended", "serviceDetails": {}}}]"#,
            ),
            "/v1/metrics/cpu" | "/v1/metrics/memory" => json(format!(
                r#"[{{"labels": [{{"field": "resource", "value": "srv-a"}}, {{"field": "instance", "value": "one"}}],
                    "unit": "{unit}", "values": [{{"timestamp": "{now}", "value": 7}}]}}]"#
            )),
            path if path.starts_with("/v1/") => json("[]"),
            _ => Reply::Http(404, Vec::new(), Vec::new()),
        })
    })
    .await;
    let cloud = start(options(), services(1)).await;
    let settings = Settings { endpoint: fake.endpoint().parse().unwrap(), ..settings(&cloud) };
    let account = Account::with(settings, "rnd_given");
    let collection = account.collected().await;
    let [instance] = instances(&collection.services[0]) else { panic!("{collection:?}") };
    assert_eq!(value(instance, Measurement::CpuUsageCores), Some(7.0));
    assert_eq!(value(instance, Measurement::MemoryUsage), None);
    let metrics = account.metrics.render();
    let counted = metrics
        .lines()
        .any(|line| line.starts_with("caas_operator_unknown_units_total{") && !line.ends_with(" 0"));
    assert!(counted, "{metrics}");
}
