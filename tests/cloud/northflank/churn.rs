//! Services and containers that come, go, pause and are deployed, followed over an hour.

use std::collections::BTreeSet;

use caas_operator::cloud::Collection;
use caas_operator::simulator::{AccountSettings, Running};

use super::{Account, Moving, options, services};
use crate::support::instances;

/// The services that exist, with their projects.
fn truth(cloud: &Running) -> BTreeSet<(String, String)> {
    let world = cloud.world("acme").unwrap();
    let project = |application: Option<String>| application.unwrap_or_else(|| "default-project".to_owned());
    world.services(cloud.now()).map(|service| (project(service.application), service.name)).collect()
}

fn exposed(collection: &Collection) -> BTreeSet<(String, String)> {
    let key = |facts: &caas_operator::cloud::model::ServiceFacts| {
        (facts.application.clone().unwrap(), facts.name.clone())
    };
    collection.services.iter().map(|service| key(&service.facts)).collect()
}

#[tokio::test]
async fn services_that_come_and_go_are_followed_in_every_cycle() {
    let account =
        AccountSettings { services: 40, instances: 3, applications: 8, ..AccountSettings::new("acme") };
    let moving = Moving::start(options(), account, 1.0).await;
    let account = Account::at(&moving.cloud);
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        let collection = account.collected().await;
        assert_eq!(exposed(&collection), truth(&moving.cloud));
        seen.extend(exposed(&collection));
        moving.advance(300).await;
    }
    assert!(seen.len() > 50, "{}: of 40 places", seen.len());
}

#[tokio::test]
async fn every_container_that_is_exposed_exists_or_did_a_cycle_ago_and_each_new_one_is_found_at_once() {
    let account = AccountSettings { services: 40, instances: 3, ..AccountSettings::new("acme") };
    let moving = Moving::start(options(), account, 1.0).await;
    let account = Account::at(&moving.cloud);
    let mut late = 0;
    for _ in 0..12 {
        let collection = account.collected().await;
        let world = moving.cloud.world("acme").unwrap();
        for service in &collection.services {
            let Some(truth) = world.service(moving.cloud.now(), &service.facts.name, None) else {
                panic!("gone")
            };
            let list = instances(service);
            let with_values = list.iter().filter(|instance| instance.reading.sample.is_some()).count();
            // Containers created before the newest point have values and are listed.
            let measured = truth.instances().filter(|one| one.created_at + 60.0 < moving.cloud.now()).count();
            if list.len() != truth.started {
                late += 1;
            }
            assert!(
                service.facts.state == Some(caas_operator::cloud::model::State::Stopped)
                    || with_values >= measured,
                "{}: {with_values} of {measured}",
                service.facts.name
            );
        }
        moving.advance(300).await;
    }
    assert!(late < 12 * 40 / 10, "{late} lists are those of the cycle before");
}

#[tokio::test]
async fn a_cycle_under_churn_costs_little_more_than_one_without() {
    let mut totals = Vec::new();
    for churn in [0.0, 0.3] {
        let moving = Moving::start(options(), services(40), churn).await;
        let account = Account::at(&moving.cloud);
        account.collected_times(3).await;
        moving.cloud.reset_counts();
        for _ in 0..12 {
            moving.advance(300).await;
            account.collected().await;
        }
        totals.push(moving.cloud.counts().total);
    }
    assert!(totals[1] < totals[0] * 4 / 3, "{totals:?}");
}
