//! Render's client against its simulated cloud over real HTTP.

mod budget;
mod cost;
mod errors;
mod inventory;
mod logs;
mod traps;

use std::time::Duration;

use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::{Instance, Measurement, Service};
use caas_operator::cloud::render::{Kind, Render as Client, Settings};
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use caas_operator::simulator::{self, AccountSettings, Clock, Render, Running, Simulator};
use caas_operator::telemetry::Metrics;

use crate::support::{lenient, limits};

/// A simulated cloud without a limit of requests, so that tests may collect as often as they like.
pub(crate) fn options() -> Render {
    Render { rate_limit: 0, ..Render::default() }
}

/// An account of so many services, eight of them in four environments.
pub(crate) fn services(services: usize) -> AccountSettings {
    AccountSettings { services, instances: 2, applications: 8, ..AccountSettings::new("acme") }
}

/// A cloud at the moment of the call: nothing changes during a test.
pub(crate) async fn start(options: Render, account: AccountSettings) -> Running {
    start_at(Clock::system().now(), options, account).await
}

pub(crate) async fn start_at(now: f64, options: Render, account: AccountSettings) -> Running {
    start_with(simulator::Settings { accounts: vec![account], clock: Clock::fixed(now), ..options.into() })
        .await
}

/// The same with 80 services that all change.
pub(crate) async fn start_in_change() -> Running {
    let account = AccountSettings { services: 80, instances: 4, ..AccountSettings::new("acme") };
    let clock = Clock::fixed(Clock::system().now());
    start_with(simulator::Settings { churn: 1.0, accounts: vec![account], clock, ..options().into() }).await
}

pub(crate) async fn start_with(settings: simulator::Settings) -> Running {
    Simulator::start(settings).await.unwrap()
}

pub(crate) fn settings(cloud: &Running) -> Settings {
    Settings {
        endpoint: cloud.url().parse().unwrap(),
        workspaces: Vec::new(),
        projects: Vec::new(),
        environments: Vec::new(),
        kinds: vec![Kind::WebService, Kind::PrivateService, Kind::BackgroundWorker],
        previews: false,
        http: true,
        services_per_request: 30,
        metrics_max_age: Duration::from_secs(600),
    }
}

/// An account under test, with its own metrics.
pub(crate) struct Account {
    cloud: Client,
    pub(crate) filter: ServiceFilter,
    pub(crate) metrics: std::sync::Arc<Metrics>,
}

impl Account {
    pub(crate) fn at(cloud: &Running) -> Self {
        Self::with(settings(cloud), &cloud.credentials()[0].password)
    }

    pub(crate) fn with(settings: Settings, key: &str) -> Self {
        Self::limited(settings, key, limits())
    }

    pub(crate) fn limited(settings: Settings, key: &str, limits: AccountLimits) -> Self {
        let metrics = Metrics::new();
        let client = lenient().account("team-a", limits, None, metrics.account("team-a", "acme")).unwrap();
        let cloud = Client::new(settings, key.to_owned().into(), client);
        Self { cloud, filter: ServiceFilter::default(), metrics }
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

pub(crate) fn instances(service: &Service) -> &[Instance] {
    service.instances.as_ref().unwrap()
}

pub(crate) fn value(instance: &Instance, measurement: Measurement) -> Option<f64> {
    instance.reading.sample.as_ref()?.value(measurement)
}

/// How many services of a collection are of this kind.
pub(crate) fn of_kind(collection: &Collection, kind: &str) -> usize {
    collection.services.iter().filter(|service| service.facts.kind.as_deref() == Some(kind)).count()
}
