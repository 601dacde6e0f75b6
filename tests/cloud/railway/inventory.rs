//! What is read of services and instances, compared with the world behind the cloud.

use std::collections::HashMap;

use caas_operator::cloud::model::{Measurement, State};
use caas_operator::cloud::railway::Settings;
use caas_operator::simulator::world::Instance;
use caas_operator::simulator::{self, AccountSettings, Clock};

use super::{Account, applications, options, services, settings, start, start_with};
use crate::support::{instances, value};

#[tokio::test]
async fn services_and_instances_are_those_of_the_world_with_all_that_the_api_says() {
    let cloud = start(options(), services(40)).await;
    let settings = Settings { preview_environments: true, ..settings(&cloud) };
    let collection = Account::with(settings, &cloud.credentials()[0].password).collected().await;
    let world = cloud.world("acme").unwrap();
    let truth: Vec<_> = world.services(cloud.now()).collect();
    let by_id: HashMap<_, _> = truth.iter().map(|service| (service.uuid.as_str(), service)).collect();
    let by_instance: HashMap<String, Instance> = truth
        .iter()
        .flat_map(|service| service.instances().map(|instance| (instance.uuid.clone(), instance)))
        .collect();
    let mut seen = 0;
    let mut kinds = HashMap::<&str, usize>::new();
    for service in &collection.services {
        let facts = &service.facts;
        let expected = by_id[facts.id.as_deref().unwrap()];
        assert_eq!(facts.name, expected.name);
        let project = expected.application.as_deref().unwrap_or("acme");
        let (found, environment) = facts.application.as_deref().unwrap().split_once('/').unwrap();
        assert_eq!(found, project);
        assert!(environment == "production" || environment == "staging" || environment.contains("-pr-"));
        assert_eq!(facts.state, Some(State::Running), "{} {:?}", facts.name, facts.status);
        let is_failed = facts.status.as_deref() == Some("FAILED");
        assert!(is_failed || facts.status.as_deref() == Some("SUCCESS"), "{:?}", facts.status);
        *kinds.entry(facts.kind.as_deref().unwrap()).or_default() += 1;
        if let Some(image) = &facts.image {
            assert_eq!(*image, format!("ghcr.io/acme/{}", expected.name));
            assert_eq!(facts.image_tag.as_deref(), Some(&*expected.image_tag));
        }
        let list = instances(service);
        assert_eq!(facts.running_instances, i64::try_from(list.len()).ok());
        assert!(facts.desired_instances.is_none_or(|desired| Some(desired) == facts.running_instances));
        for instance in list {
            seen += 1;
            let truth = &by_instance[&instance.facts.id];
            assert_eq!(instance.facts.name, instance.facts.id, "it has no name");
            assert_eq!(instance.facts.state, Some(State::Running));
            assert!(instance.facts.start_time().is_some());
            let at = instance.reading.sample.as_ref().unwrap().timestamp();
            assert!(at.rem_euclid(60.0) < 1e-9, "a value of the cloud's");
            let cpu = value(instance, Measurement::CpuUsageCores).unwrap();
            assert!((cpu - truth.cores_in_use(at)).abs() < 1e-9, "{cpu}");
            #[allow(clippy::cast_possible_truncation)]
            let memory = truth.point(at as i64).unwrap().memory_bytes as f64;
            assert!((value(instance, Measurement::MemoryUsage).unwrap() - memory).abs() < 1.0);
            assert!(value(instance, Measurement::DiskUsage).is_some());
            let limits = instance.facts.limits(facts);
            assert_eq!(limits.cpu_cores, Some(truth.size.cores));
            let mebibytes = limits.memory_bytes.unwrap() / 1_048_576.0;
            assert!((mebibytes - f64::from(truth.size.mebibytes)).abs() < 1e-6, "{mebibytes}");
            assert!(instance.facts.overrides.as_ref().unwrap().region.is_some());
        }
    }
    assert_eq!(seen, by_instance.len(), "each instance of the world runs in one environment");
    assert!(["web", "worker", "cron"].iter().all(|kind| kinds[kind] > 0), "{kinds:?}");
}

#[tokio::test]
async fn a_service_of_one_name_is_one_service_in_each_environment() {
    let cloud = start(options(), services(20)).await;
    let collection = Account::at(&cloud).collected().await;
    assert_eq!(applications(&collection).len(), 10);
    let shop: Vec<_> = collection
        .services
        .iter()
        .filter(|service| {
            service.facts.name == "redis"
                && service.facts.application.as_deref().unwrap().starts_with("shop/")
        })
        .collect();
    let [one, other] = shop[..] else { panic!("{shop:?}") };
    assert_eq!(one.facts.id, other.facts.id);
    assert_ne!(one.facts.application, other.facts.application);
    let ids = |service| instances(service).iter().map(|one| one.facts.id.clone()).collect::<Vec<_>>();
    assert!(ids(one).iter().all(|id| !ids(other).contains(id)));
}

#[tokio::test]
async fn deployments_under_way_stopped_and_sleeping_services_show_in_their_state() {
    // A moment at which services of every state exist.
    let account = AccountSettings { services: 80, instances: 4, ..AccountSettings::new("acme") };
    let clock = Clock::fixed(1_772_000_000.0);
    let changing = simulator::Settings { churn: 1.0, accounts: vec![account], clock, ..options().into() };
    let cloud = start_with(changing).await;
    let collection = Account::at(&cloud).collected().await;
    let of = |state: State| collection.services.iter().filter(move |one| one.facts.state == Some(state));
    for service in of(State::Stopped).chain(of(State::Sleeping)) {
        assert_eq!((service.facts.running_instances, instances(service).len()), (Some(0), 0));
        let word = service.facts.status.as_deref();
        assert!(matches!(word, Some("REMOVED" | "SLEEPING" | "SUCCESS")), "{word:?}");
    }
    for service in of(State::Deploying) {
        let is_deployed = service.facts.status.as_deref() == Some("DEPLOYING");
        assert!(is_deployed || service.facts.running_instances == Some(0), "{:?}", service.facts);
    }
    assert!(of(State::Running).count() > 20);
    assert!(of(State::Stopped).count() > 0 && of(State::Sleeping).count() > 0);
}
