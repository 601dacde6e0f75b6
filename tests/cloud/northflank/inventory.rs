//! What is read of services and containers, compared with the world behind the cloud.

use caas_operator::cloud::model::{Measurement, State};
use caas_operator::simulator::world::{SIZES, Service as Truth};

use super::{Account, Moving, options, services, start};
use crate::support::{instances, value};

/// vCPUs and megabytes of the plan that a service of this size has.
fn plan(truth: &Truth) -> (f64, f64) {
    let plans = [(0.1, 256.0), (0.2, 512.0), (0.5, 1024.0), (1.0, 2048.0), (2.0, 4096.0), (4.0, 8192.0)];
    plans[SIZES.iter().position(|size| size.name == truth.size.name).unwrap()]
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() <= expected.abs() * 1e-6 + 1e-9)
}

#[tokio::test]
async fn services_and_containers_are_those_of_the_world_with_all_that_the_api_says() {
    let cloud = start(options(), services(40)).await;
    let collection = Account::at(&cloud).collected_times(3).await;
    let world = cloud.world("acme").unwrap();
    let truth: Vec<_> = world.services(cloud.now()).collect();
    assert_eq!(collection.services.len(), truth.len());
    let (mut limited, mut failed, mut http) = (0, 0, 0);
    for expected in &truth {
        let project = expected.application.as_deref().unwrap_or("default-project");
        let found = collection.services.iter().find(|service| {
            service.facts.name == expected.name && service.facts.application.as_deref() == Some(project)
        });
        let service = found.unwrap_or_else(|| panic!("{project}/{}", expected.name));
        let facts = &service.facts;
        assert_eq!(facts.id, Some(format!("/acme/{project}/{}", expected.name)));
        // The last deployment of a few has failed, and their containers go on.
        match facts.status.as_deref() {
            Some("COMPLETED") => assert_eq!(facts.state, Some(State::Running)),
            Some("FAILED") => {
                failed += 1;
                assert_eq!(facts.state, Some(State::Degraded));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(facts.kind.as_deref(), Some("combined" | "deployment")));
        assert_eq!(
            (facts.desired_instances, facts.running_instances),
            (Some(2), Some(2)),
            "{}",
            expected.name
        );
        assert!(facts.region.is_some() && facts.ready_instances.is_none());
        if facts.image.is_some() {
            assert_eq!(facts.image, Some(format!("acme/{}", expected.name)));
            assert_eq!(facts.image_tag.as_ref(), Some(&expected.image_tag));
        }
        let (cores, megabytes) = plan(expected);
        if facts.limits.is_empty() {
            assert_eq!(facts.size.as_deref(), Some("acme-large"), "a plan that is not listed");
        } else {
            limited += 1;
            assert_eq!(facts.limits.cpu_cores, Some(cores));
            assert_eq!(facts.limits.memory_bytes, Some(megabytes * 1_048_576.0));
        }
        http += usize::from(service.reading.sample.is_some());

        let list = instances(service);
        assert_eq!(list.len(), 2);
        for (instance, truth) in list.iter().zip(expected.instances()) {
            assert!(instance.facts.name.starts_with(&format!("{}-", expected.name)));
            assert_eq!(
                (&instance.facts.id, instance.facts.state),
                (&instance.facts.name, Some(State::Running))
            );
            assert!(near(instance.facts.created_at, truth.created_at.floor()));
            let at = instance.reading.sample.as_ref().unwrap().timestamp() - 0.31;
            assert!(at.rem_euclid(15.0) < 1e-3, "a point of the cloud's");
            let at = at.round();
            let share = truth.cores_in_use(at) / truth.size.cores;
            assert!(near(value(instance, Measurement::CpuUsageCores), share * cores));
            #[allow(clippy::cast_possible_truncation)]
            let point = |seconds: f64| truth.point(seconds as i64).unwrap();
            let memory = point(at).memory_percent / 100.0 * megabytes * 1_048_576.0;
            assert!(near(value(instance, Measurement::MemoryUsage), memory));
            let received = point(at).rx_bytes.saturating_sub(point(at - 60.0).rx_bytes) as f64 / 60.0;
            assert!(near(value(instance, Measurement::ReceiveRate), received));
            let sent = point(at).tx_bytes.saturating_sub(point(at - 60.0).tx_bytes) as f64 / 60.0;
            assert!(near(value(instance, Measurement::TransmitRate), sent));
        }
    }
    assert!(limited > 30, "{limited} of {}", truth.len());
    assert!(failed > 0 && failed < 10, "{failed}");
    let with_port = truth.iter().filter(|service| service.port.is_some()).count();
    assert_eq!(http, with_port, "the others serve no HTTP");
    let images = collection.services.iter().filter(|service| service.facts.image.is_some()).count();
    assert!((10..40).contains(&images), "some are built from a repository and name no image: {images}");
}

#[tokio::test]
async fn services_of_one_name_in_two_projects_are_both_there() {
    let cloud = start(options(), services(20)).await;
    let collection = Account::at(&cloud).collected().await;
    let mut projects: Vec<_> = collection
        .services
        .iter()
        .filter(|service| service.facts.name == "redis")
        .map(|service| service.facts.application.as_deref().unwrap())
        .collect();
    projects.sort_unstable();
    assert_eq!(projects, ["analytics", "default-project", "intranet", "shop", "wiki"]);
}

#[tokio::test]
async fn requests_of_a_service_are_those_of_all_its_containers_by_class() {
    let cloud = start(options(), services(40)).await;
    let collection = Account::at(&cloud).collected().await;
    let world = cloud.world("acme").unwrap();
    let mut with_errors = 0;
    for service in &collection.services {
        let Some(sample) = &service.reading.sample else { continue };
        let project = service.facts.application.as_deref().filter(|project| *project != "default-project");
        let truth = world.service(cloud.now(), &service.facts.name, project).unwrap();
        let at = (sample.timestamp() - 0.31).round();
        let all: f64 = truth.instances().map(|instance| instance.cores_in_use(at) * 40.0).sum();
        let of = |code: &str| {
            let mut of_code = sample.of(Measurement::ServiceHttpRequests);
            of_code.find(|value| value.label == Some(code)).map(|value| value.base())
        };
        let sum: f64 = sample.of(Measurement::ServiceHttpRequests).map(|value| value.base()).sum();
        assert!(near(Some(sum), all), "{sum} {all}");
        assert!(of("other").is_some() && of("4xx").is_none_or(|errors| near(Some(errors), all * 0.02)));
        with_errors += usize::from(of("5xx").is_some());
        let sent: f64 =
            instances(service).iter().filter_map(|instance| value(instance, Measurement::TransmitRate)).sum();
        assert!(near(sample.value(Measurement::ServiceTransmitRate), sent));
    }
    assert!((1..30).contains(&with_errors), "{with_errors}: some never fail");
}

#[tokio::test]
async fn paused_deploying_and_scaled_services_show_in_state_and_counts() {
    let account = caas_operator::simulator::AccountSettings {
        services: 80,
        instances: 4,
        ..caas_operator::simulator::AccountSettings::new("acme")
    };
    let moving = Moving::start(options(), account, 1.0).await;
    let collection = Account::at(&moving.cloud).collected_times(4).await;
    let of = |state: State| collection.services.iter().filter(move |one| one.facts.state == Some(state));
    for service in of(State::Stopped) {
        let counts = (service.facts.desired_instances, service.facts.running_instances);
        assert_eq!(counts, (Some(0), Some(0)), "{}", service.facts.name);
        assert!(instances(service).is_empty());
    }
    for service in of(State::Deploying) {
        assert!(matches!(service.facts.status.as_deref(), Some("PENDING" | "IN_PROGRESS")));
    }
    let scaled = of(State::Running).filter(|service| service.facts.desired_instances.is_none()).count();
    assert!(of(State::Stopped).count() > 0 && scaled > 0 && of(State::Running).count() > 20);
}
