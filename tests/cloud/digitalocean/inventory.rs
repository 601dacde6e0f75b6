//! What is read of services and instances, compared with the world behind the cloud.

use caas_operator::cloud::model::{Measurement, State};

use super::{Account, options, services, start};
use crate::support::{instances, start_in_change, value};

/// CPU that the sizes of the simulated cloud have.
fn cores(slug: &str) -> f64 {
    match slug {
        "apps-s-2vcpu-4gb" => 2.0,
        "apps-d-4vcpu-8gb" => 4.0,
        _ => 1.0,
    }
}

#[tokio::test]
async fn services_and_instances_are_those_of_the_world_with_all_that_the_api_says() {
    let cloud = start(options(), services(40)).await;
    let collection = Account::at(&cloud).collected().await;
    let world = cloud.world("acme").unwrap();
    let truth: Vec<_> = world.services(cloud.now()).collect();
    assert_eq!(collection.services.len(), truth.len());
    let mut with_limits = 0;
    for expected in &truth {
        let app = expected.application.as_deref().unwrap_or(&expected.name);
        let found = collection.services.iter().find(|service| {
            service.facts.name == expected.name && service.facts.application.as_deref() == Some(app)
        });
        let service = found.unwrap_or_else(|| panic!("{app}/{}", expected.name));
        let facts = &service.facts;
        assert_eq!((facts.status.as_deref(), facts.state), (Some("ACTIVE"), Some(State::Running)));
        let kind = if expected.port.is_some() { "service" } else { "worker" };
        assert_eq!(facts.kind.as_deref(), Some(kind));
        let counts = [facts.desired_instances, facts.running_instances, facts.ready_instances];
        assert_eq!(counts, [Some(2); 3], "{}", expected.name);
        assert!(facts.id.as_ref().is_some_and(|id| id.len() == 36) && facts.region.is_some());
        if facts.limits.is_empty() {
            assert_eq!(facts.size.as_deref(), Some("professional-xs"), "a size that the list does not have");
        } else {
            with_limits += 1;
            let size = facts.size.as_deref().unwrap();
            assert_eq!(facts.limits.cpu_cores, Some(cores(size)), "{size}");
        }

        let list = instances(service);
        assert_eq!(list.len(), 2);
        for (nth, (instance, truth)) in list.iter().zip(expected.instances()).enumerate() {
            assert_eq!(instance.facts.name, format!("{}-{nth}", expected.name), "the alias");
            assert!(
                instance.facts.id.starts_with(&format!("{}-", expected.name)) && instance.facts.id.len() > 15
            );
            let sample = instance.reading.sample.as_ref().unwrap();
            let at = sample.timestamp();
            assert!(at.rem_euclid(120.0) < 1e-9, "a point of the cloud's");
            let share = truth.cores_in_use(at) / truth.size.cores;
            let cpu = value(instance, Measurement::CpuLimitUtilization).unwrap();
            assert!((cpu - share).abs() < 1e-9, "{cpu} {share}");
            #[allow(clippy::cast_possible_truncation)]
            let memory = truth.point(at as i64).unwrap().memory_percent / 100.0;
            assert!((value(instance, Measurement::MemoryUtilization).unwrap() - memory).abs() < 1e-9);
            assert!(value(instance, Measurement::Restarts).is_some());
        }
    }
    assert!(with_limits > 30, "{with_limits} of {}", truth.len());
    let images = collection.services.iter().filter(|service| service.facts.image.is_some()).count();
    assert!((20..40).contains(&images), "some are built from a repository and name no image: {images}");
}

#[tokio::test]
async fn a_deployment_under_way_and_missing_instances_show_in_state_and_counts() {
    let cloud = start_in_change(options()).await;
    let collection = Account::at(&cloud).collected().await;
    let of = |state: State| collection.services.iter().filter(move |one| one.facts.state == Some(state));
    for service in of(State::Failed) {
        assert_eq!(service.facts.ready_instances, Some(0), "{}", service.facts.name);
        assert!(service.facts.desired_instances > Some(0) && instances(service).is_empty());
    }
    for service in of(State::Degraded) {
        let (ready, desired) = (service.facts.ready_instances, service.facts.desired_instances);
        assert!(ready > Some(0) && ready < desired, "{ready:?} of {desired:?}");
    }
    for service in of(State::Running) {
        assert_eq!(service.facts.ready_instances, service.facts.desired_instances);
    }
    assert!(of(State::Failed).count() > 0, "services that are stopped in the world");
    assert!(of(State::Running).count() > 20);
}
