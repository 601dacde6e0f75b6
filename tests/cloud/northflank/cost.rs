//! What cycles cost, counted by the cloud.

use std::time::Duration;

use caas_operator::cloud::ServiceFilter;
use caas_operator::cloud::northflank::{Settings, requests_per_cycle};

use super::{Account, Moving, options, services, settings, start};

/// The projects of 20 services of which eight are in others than the default one.
const PROJECTS: u64 = 5;

#[tokio::test]
async fn six_cycles_of_five_minutes_cost_what_the_formula_says() {
    let moving = Moving::start(options(), services(20), 0.0).await;
    let (cloud, account) = (&moving.cloud, Account::at(&moving.cloud));
    // The first cycles ask for the details of a part of the services each, and the part keeps its turn.
    account.collected_times(3).await;
    let counts = cloud.counts();
    assert_eq!((counts["plans"], counts["service"], counts["other"]), (1, 20, 0));
    for _ in 0..3 {
        moving.advance(300).await;
        account.collected().await;
    }
    cloud.reset_counts();
    for _ in 0..6 {
        moving.advance(300).await;
        account.collected().await;
    }
    let counts = cloud.counts();
    assert_eq!((counts["projects"], counts["services"]), (6, 6 * PROJECTS));
    assert_eq!((counts["metrics"], counts["containers"]), (6 * 20, 3 * 20), "every second time");
    assert_eq!((counts["service"], counts["plans"]), (2 * 20, 0), "every 15 minutes; the plans once a day");
    let (interval, inventory) = (Duration::from_secs(300), Duration::from_secs(900));
    let expected = 6.0 * requests_per_cycle(5, 20, interval, inventory);
    assert!((counts.total as f64 - expected).abs() < 1e-9, "{} requests, not {expected}", counts.total);
}

#[tokio::test]
async fn all_metrics_of_all_containers_of_a_service_are_one_request() {
    let cloud = start(options(), services(20)).await;
    Account::at(&cloud).collected().await;
    let requests = cloud.requests();
    let of_kibana: Vec<_> = requests.iter().filter(|line| line.contains("/kibana/metrics?")).collect();
    let [request] = of_kibana[..] else { panic!("{of_kibana:?}") };
    assert!(request.contains("queryType=single&metricTypes=cpu&metricTypes=memory&"), "{request}");
    assert_eq!(cloud.counts()["metrics"], 20);
}

#[tokio::test]
async fn two_hundred_and_fifty_services_are_three_pages() {
    let account = caas_operator::simulator::AccountSettings {
        services: 250,
        instances: 1,
        ..caas_operator::simulator::AccountSettings::new("acme")
    };
    let cloud = start(options(), account).await;
    let collection = Account::at(&cloud).collected().await;
    assert_eq!((collection.services.len(), cloud.counts()["services"]), (250, 3));
    let first = "GET /v1/projects/default-project/services?per_page=100";
    assert_eq!(cloud.requests().iter().filter(|request| *request == first).count(), 1);
}

#[tokio::test]
async fn a_hundred_and_fifty_containers_are_two_pages() {
    let account = caas_operator::simulator::AccountSettings {
        services: 1,
        instances: 150,
        ..caas_operator::simulator::AccountSettings::new("acme")
    };
    let cloud = start(options(), account).await;
    let collection = Account::at(&cloud).collected().await;
    assert_eq!(super::all_instances(&collection).count(), 150);
    assert_eq!(cloud.counts()["containers"], 2);
}

#[tokio::test]
async fn what_a_user_filters_out_costs_no_requests() {
    let cloud = start(options(), services(20)).await;
    let token = cloud.credentials()[0].password.clone();
    let of_project = |projects: &[&str]| {
        let projects = projects.iter().map(|project| (*project).to_owned()).collect();
        Account::with(Settings { projects, ..settings(&cloud) }, &token)
    };
    let mut globs = Account::at(&cloud);
    globs.filter = ServiceFilter::new(&["kibana"], &[]);
    for (account, services, projects) in [
        (of_project(&["shop"]), 2, 1),
        (of_project(&["Shop", "wiki"]), 4, 2),
        (of_project(&["default-project"]), 12, 1),
        (globs, 1, PROJECTS),
    ] {
        cloud.reset_counts();
        let collection = account.collected().await;
        let counts = cloud.counts();
        assert_eq!(collection.services.len() as u64, services);
        assert_eq!(
            (counts["services"], counts["metrics"], counts["containers"]),
            (projects, services, services)
        );
    }
}

#[tokio::test]
async fn services_that_only_build_are_not_asked_for_anything() {
    let cloud = start(options(), services(20)).await;
    let collection = Account::at(&cloud).collected().await;
    assert!(collection.services.iter().all(|service| service.facts.kind.as_deref() != Some("build")));
    assert!(!cloud.requests().iter().any(|request| request.contains("/builder")));
}

#[tokio::test]
async fn the_paths_of_an_organizations_token_name_its_team() {
    let cloud = start(options(), services(20)).await;
    let token = cloud.credentials()[0].password.clone();
    let team = |name: &str| Settings { team: Some(name.to_owned()), ..settings(&cloud) };
    let collection = Account::with(team("acme"), &token).collected().await;
    assert_eq!(collection.services.len(), 20);
    let others = cloud.requests().into_iter().filter(|request| !request.contains(" /v1/teams/acme/projects"));
    assert_eq!(others.collect::<Vec<_>>(), ["GET /v1/plans"]);
}
