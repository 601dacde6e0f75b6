//! Services, instances and environments that come and go between cycles.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use caas_operator::cloud::Collection;
use caas_operator::cloud::railway::Settings;
use caas_operator::simulator::world::World;
use caas_operator::simulator::{self, AccountSettings, Clock};

use super::{Account, options, settings, start_with};
use crate::support::instances;

/// The instances of a collection, by their ids.
fn collected(collection: &Collection) -> BTreeSet<String> {
    collection.services.iter().flat_map(instances).map(|instance| instance.facts.id.clone()).collect()
}

/// The instances of the world at this time.
fn truth(world: &World, now: f64) -> BTreeSet<String> {
    world
        .services(now)
        .flat_map(|service| service.instances().map(|one| one.uuid).collect::<Vec<_>>())
        .collect()
}

#[tokio::test]
async fn each_cycle_has_what_exists_then_and_nothing_of_what_has_gone() {
    let now = Arc::new(AtomicU64::new(1_772_000_000));
    let shown = Arc::clone(&now);
    let clock = Clock::new(move || shown.load(Ordering::Relaxed) as f64);
    let account =
        AccountSettings { services: 40, instances: 4, applications: 16, ..AccountSettings::new("acme") };
    let churning = simulator::Settings { churn: 1.0, accounts: vec![account], clock, ..options().into() };
    let cloud = start_with(churning).await;
    let world = cloud.world("acme").unwrap();
    let settings = Settings { preview_environments: true, ..settings(&cloud) };
    let account = Account::with(settings, &cloud.credentials()[0].password);
    let mut before = BTreeSet::new();
    let (mut gone, mut new) = (0, 0);
    for _ in 0..12 {
        let ids = collected(&account.collected().await);
        assert_eq!(ids, truth(&world, cloud.now()));
        gone += before.difference(&ids).count();
        new += ids.difference(&before).count();
        before = ids;
        now.fetch_add(120, Ordering::Relaxed);
    }
    assert!(gone > 50 && new > 50, "{gone} have gone, {new} have come");
}

#[tokio::test]
async fn an_environment_that_goes_between_its_list_and_its_services_costs_no_other() {
    let cloud = super::start(options(), super::services(20)).await;
    let account = Account::at(&cloud);
    let all = account.collected().await.services.len();
    // The answer of an environment that does not exist any more.
    cloud.set_fault("environment:status=404@x1".parse().unwrap()).unwrap();
    let collection = account.collected().await;
    assert!(collection.services.len() < all && collection.cut_short.is_none());
    assert_eq!(account.collected().await.services.len(), all);
}
