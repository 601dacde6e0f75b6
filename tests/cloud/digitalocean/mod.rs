//! DigitalOcean's client against its simulated cloud over real HTTP.

mod budget;
mod cost;
mod errors;
mod inventory;
mod logs;
mod traps;

use std::time::Duration;

use caas_operator::cloud::digitalocean::{DigitalOcean as Client, Kind, Settings};
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::{Instance, Measurement, Service};
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use caas_operator::simulator::{self, AccountSettings, Clock, DigitalOcean, Running, Simulator};
use caas_operator::telemetry::Metrics;

use crate::support::{lenient, limits};

/// A simulated cloud without a limit of requests a minute, so that tests may collect as often as they like.
pub(crate) fn options() -> DigitalOcean {
    DigitalOcean { burst_limit: 0, hourly_limit: 0, ..DigitalOcean::default() }
}

/// An account of so many services, eight of them in four apps.
pub(crate) fn services(services: usize) -> AccountSettings {
    AccountSettings { services, instances: 2, applications: 8, ..AccountSettings::new("acme") }
}

pub(crate) async fn start(options: DigitalOcean, account: AccountSettings) -> Running {
    start_with(simulator::Settings { accounts: vec![account], ..options.into() }).await
}

/// A cloud of 80 services that all change, at the moment of the call: nothing changes during a test.
pub(crate) async fn start_in_change() -> Running {
    let account = AccountSettings { services: 80, instances: 4, ..AccountSettings::new("acme") };
    let clock = Clock::fixed(Clock::system().now());
    start_with(simulator::Settings { churn: 1.0, accounts: vec![account], clock, ..options().into() }).await
}

async fn start_with(settings: simulator::Settings) -> Running {
    Simulator::start(settings).await.unwrap()
}

pub(crate) fn settings(cloud: &Running) -> Settings {
    Settings {
        endpoint: cloud.url().parse().unwrap(),
        projects: Vec::new(),
        apps: Vec::new(),
        kinds: vec![Kind::Service, Kind::Worker],
        health: true,
        metrics_max_age: Duration::from_secs(600),
    }
}

/// An account under test, with its own metrics.
pub(crate) struct Account {
    cloud: Client,
    pub(crate) filter: ServiceFilter,
}

impl Account {
    pub(crate) fn at(cloud: &Running) -> Self {
        Self::with(settings(cloud), &cloud.credentials()[0].password)
    }

    pub(crate) fn with(settings: Settings, token: &str) -> Self {
        Self::limited(settings, token, limits())
    }

    pub(crate) fn limited(settings: Settings, token: &str, limits: AccountLimits) -> Self {
        let metrics = Metrics::new();
        let client = lenient().account("team-a", limits, None, metrics.account("team-a", "acme")).unwrap();
        let cloud = Client::new(settings, token.to_owned().into(), client);
        Self { cloud, filter: ServiceFilter::default() }
    }

    pub(crate) async fn collect(&self) -> Result<Collection, CloudError> {
        self.cloud.collect(&self.filter).await
    }

    /// A collection that must be whole.
    pub(crate) async fn collected(&self) -> Collection {
        let collection = self.collect().await.unwrap();
        assert_eq!(collection.failures(), (0, None));
        collection
    }
}

/// How many apps the collection has services of.
pub(crate) fn apps(collection: &Collection) -> usize {
    let mut apps: Vec<_> = collection.services.iter().map(|service| &service.facts.application).collect();
    apps.sort();
    apps.dedup();
    apps.len()
}

pub(crate) fn instances(service: &Service) -> &[Instance] {
    service.instances.as_ref().unwrap()
}

pub(crate) fn value(instance: &Instance, measurement: Measurement) -> Option<f64> {
    instance.reading.sample.as_ref()?.value(measurement)
}
