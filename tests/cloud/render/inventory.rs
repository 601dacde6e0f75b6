//! What is read of services and instances, compared with the world behind the cloud.

use std::time::Duration;

use caas_operator::cloud::model::{Limits, Measurement, Service, State};
use caas_operator::cloud::render::Kind;
use caas_operator::simulator::Running;
use caas_operator::simulator::world::{Service as TrueService, Status};

use super::{Account, options, services, settings, start};
use crate::support::{instances, pass, start_in_change, value};

fn application(truth: &TrueService) -> Option<&'static str> {
    truth.application.as_deref().map(|application| match application {
        "shop" => "shop/production",
        "analytics" => "shop/staging",
        "intranet" => "intranet/production",
        "wiki" => "wiki/production",
        other => panic!("{other}"),
    })
}

/// The services of a collection, each with what it is in the world; cron jobs are not collected.
fn with_truth<'a>(cloud: &Running, collected: &'a [Service]) -> Vec<(&'a Service, TrueService)> {
    let world = cloud.world("acme").unwrap();
    let truth: Vec<TrueService> = world.services(cloud.now()).collect();
    collected
        .iter()
        .map(|service| {
            let facts = &service.facts;
            let found = truth
                .iter()
                .find(|truth| truth.name == facts.name && application(truth) == facts.application.as_deref());
            (service, found.unwrap_or_else(|| panic!("{:?}/{}", facts.application, facts.name)).clone())
        })
        .collect()
}

#[tokio::test]
async fn services_and_instances_are_those_of_the_world_with_all_that_the_api_says() {
    let cloud = start(options(), services(40)).await;
    let account = Account::at(&cloud);
    account.collected().await;
    // Lists of instances come over two cycles.
    pass(Duration::from_secs(60)).await;
    let collection = account.collected().await;
    assert!(collection.services.len() > 30);
    for (service, truth) in with_truth(&cloud, &collection.services) {
        let facts = &service.facts;
        assert_eq!((facts.status.as_deref(), facts.state), (Some("not_suspended"), Some(State::Running)));
        assert_eq!((facts.desired_instances, facts.running_instances), (Some(2), Some(2)), "{}", facts.name);
        assert!(facts.id.as_ref().is_some_and(|id| id.starts_with("srv-")));
        assert!(facts.size.is_some() && facts.region.is_some());
        let limits = Limits {
            cpu_cores: Some(truth.size.cores),
            memory_bytes: Some(f64::from(truth.size.mebibytes) * 1_048_576.0),
            disk_bytes: None,
        };
        assert_eq!(facts.limits, limits, "shared by all instances, so the service's");

        assert_eq!(instances(service).len(), 2);
        for instance in instances(service) {
            assert!(instance.facts.name == instance.facts.id && instance.facts.overrides.is_none());
            assert!(instance.facts.id.starts_with(facts.id.as_deref().unwrap()));
            let created = truth.instances().next().unwrap().created_at.floor();
            assert_eq!(instance.facts.created_at, Some(created));
            let sample = instance.reading.sample.as_ref().unwrap();
            let at = sample.timestamp();
            assert!(at.rem_euclid(60.0) < 1e-9, "a point of the cloud's");
            let cpu = value(instance, Measurement::CpuUsageCores).unwrap();
            let memory = value(instance, Measurement::MemoryUsage).unwrap();
            #[allow(clippy::cast_possible_truncation)]
            let is_its = truth.instances().any(|one| {
                (one.cores_in_use(at) - cpu).abs() < 1e-9
                    && one
                        .point(at as i64)
                        .is_some_and(|point| (point.memory_bytes as f64 - memory).abs() < 1.0)
            });
            assert!(is_its, "{cpu} cores, {memory} bytes");
        }
    }
    let images = collection.services.iter().filter(|service| service.facts.image.is_some()).count();
    assert!((15..40).contains(&images), "some are built from a repository and name no image: {images}");
    let tagged = collection.services.iter().find_map(|service| service.facts.image_tag.as_deref());
    assert!(tagged.is_some_and(|tag| !tag.contains(':')));
}

#[tokio::test]
async fn requests_latency_and_bandwidth_are_the_services() {
    let cloud = start(options(), services(20)).await;
    let collection = Account::at(&cloud).collected().await;
    for (service, truth) in with_truth(&cloud, &collection.services) {
        let sample = service.reading.sample.as_ref().unwrap();
        let bandwidth = sample.get(Measurement::ServiceTransmitRate).unwrap();
        #[allow(clippy::cast_possible_truncation)]
        let from = bandwidth.time as i64;
        assert!(from % 3600 == 0 && (from + 3600) as f64 <= cloud.now(), "an hour that is over");
        let sent = |instance: &caas_operator::simulator::world::Instance| {
            let at = |time| instance.point(time).unwrap().tx_bytes as f64;
            (at(from + 3600) - at(from)).max(0.0)
        };
        let expected: f64 = truth.instances().map(|one| sent(&one)).sum::<f64>() / 3600.0;
        assert!((bandwidth.base() - expected).abs() <= 1e-6 * expected, "{} {expected}", bandwidth.base());

        if service.facts.kind.as_deref() != Some("web_service") {
            assert_eq!(sample.len(), 1);
            continue;
        }
        let of_code = |code: &str| {
            let mut requests = sample.of(Measurement::ServiceHttpRequests);
            requests.find(|value| value.label == Some(code)).map(|value| (value.time, value.base()))
        };
        let (at, ok) = of_code("200").unwrap();
        assert!(at.rem_euclid(60.0) < 1e-9 && at + 60.0 <= cloud.now(), "a minute that is over");
        let cores: f64 = truth.instances().map(|one| one.cores_in_use(at)).sum();
        // 90 of 100 a second and core, in whole requests a minute.
        assert!((ok - 90.0 * cores).abs() <= 1.0 / 60.0, "{ok} {cores}");
        let quantiles: Vec<_> = sample
            .of(Measurement::ServiceHttpDuration)
            .map(|value| (value.label.unwrap().to_owned(), value.base()))
            .collect();
        let names: Vec<&str> = quantiles.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["0.5", "0.95", "0.99"]);
        assert!(quantiles[0].1 > 0.01 && quantiles[0].1 < quantiles[2].1 && quantiles[2].1 < 10.0);
    }
}

#[tokio::test]
async fn two_services_of_one_name_in_two_environments_of_a_project_are_two() {
    let cloud = start(options(), services(20)).await;
    let mut settings = settings(&cloud);
    settings.kinds.push(Kind::CronJob);
    let collection = Account::with(settings, &cloud.credentials()[0].password).collected().await;
    let mut places: Vec<_> = collection
        .services
        .iter()
        .filter(|service| service.facts.name == "redis")
        .map(|service| service.facts.application.as_deref().unwrap_or("none"))
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["intranet/production", "none", "shop/production", "shop/staging", "wiki/production"]);
}

#[tokio::test]
async fn suspension_and_missing_instances_show_in_state_and_counts() {
    let cloud = start_in_change(options()).await;
    let collection = Account::at(&cloud).collected().await;
    let mut stopped = 0;
    for (service, truth) in with_truth(&cloud, &collection.services) {
        let (facts, list) = (&service.facts, instances(service));
        assert_eq!(facts.state == Some(State::Stopped), truth.status == Status::Stopped, "{}", facts.name);
        if truth.status == Status::Stopped {
            stopped += 1;
            assert_eq!((facts.running_instances, list.len()), (Some(0), 0));
            assert!(service.reading.sample.is_none(), "nothing is asked for it");
        }
        if truth.scales {
            assert_eq!(facts.desired_instances, None, "under autoscaling the number says nothing");
        } else {
            assert_eq!(facts.desired_instances, i64::try_from(truth.target).ok());
        }
        assert_eq!(facts.running_instances, i64::try_from(list.len()).ok());
    }
    assert!(stopped > 0);
}
