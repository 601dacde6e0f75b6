//! Railway's client against its simulated cloud over real HTTP.

mod budget;
mod churn;
mod cost;
mod errors;
mod http;
mod inventory;
mod logs;
mod traps;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::{self, Measurement, Service};
use caas_operator::cloud::railway::{Railway as Client, Settings, TokenKind};
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use caas_operator::simulator::world::Instance;
use caas_operator::simulator::{self, AccountSettings, Clock, Railway, Running, Simulator};
use caas_operator::telemetry::Metrics;

use crate::support::{lenient, limits};

/// A simulated cloud without limits on requests, so that tests may collect as often as they like.
pub(crate) fn options() -> Railway {
    Railway { hourly_limit: 0, second_limit: 0, ..Railway::default() }
}

/// An account of so many services with three instances each, eight of them in four projects.
pub(crate) fn services(services: usize) -> AccountSettings {
    AccountSettings { services, instances: 3, applications: 8, ..AccountSettings::new("acme") }
}

/// A cloud in which nothing changes, at a moment of the last minutes at which no instance has just been started.
pub(crate) async fn start(options: Railway, account: AccountSettings) -> Running {
    let now = Clock::system().now();
    let moment = Arc::new(AtomicU64::new(now.to_bits()));
    let shown = Arc::clone(&moment);
    let clock = Clock::new(move || f64::from_bits(shown.load(Ordering::Relaxed)));
    let cloud = start_with(simulator::Settings { accounts: vec![account], clock, ..options.into() }).await;
    let world = cloud.world("acme").unwrap();
    let is_quiet = |time: &f64| {
        let is_old = |instance: Instance| time - instance.started_at(*time) >= 10.0;
        world.services(*time).all(|service| service.instances().all(is_old))
    };
    let quiet = (0..120).map(|seconds| now - f64::from(seconds)).find(is_quiet).unwrap();
    moment.store(quiet.to_bits(), Ordering::Relaxed);
    cloud
}

/// A cloud of 80 services that all change, at the moment of the call: nothing changes during a test.
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
        workspace: None,
        projects: Vec::new(),
        environments: Vec::new(),
        preview_environments: false,
        http: false,
        metrics_max_age: Duration::from_secs(600),
    }
}

/// The token of the first environment of the first project, as the cloud prints it.
pub(crate) fn project_token(cloud: &Running) -> String {
    let printed = cloud.instructions().remove(0);
    let (_, token) = printed.split_once("projectToken: ").unwrap();
    token.lines().next().unwrap().to_owned()
}

/// An account under test, with its own metrics.
pub(crate) struct Account {
    cloud: Client,
    pub(crate) filter: ServiceFilter,
    pub(crate) metrics: Arc<Metrics>,
}

impl Account {
    pub(crate) fn at(cloud: &Running) -> Self {
        Self::with(settings(cloud), &cloud.credentials()[0].password)
    }

    pub(crate) fn with(settings: Settings, token: &str) -> Self {
        Self::limited(settings, TokenKind::Account, token, limits())
    }

    /// With the token of one environment.
    pub(crate) fn of_environment(settings: Settings, token: &str) -> Self {
        Self::limited(settings, TokenKind::Project, token, limits())
    }

    pub(crate) fn limited(settings: Settings, kind: TokenKind, token: &str, limits: AccountLimits) -> Self {
        let metrics = Metrics::new();
        let client = lenient().account("team-a", limits, None, metrics.account("team-a", "acme")).unwrap();
        let cloud = Client::new(settings, kind, token.to_owned().into(), client);
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

/// The applications of a collection, each once.
pub(crate) fn applications(collection: &Collection) -> Vec<&str> {
    let mut all: Vec<&str> =
        collection.services.iter().map(|service| service.facts.application.as_deref().unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(crate) fn instances(service: &Service) -> &[model::Instance] {
    service.instances.as_ref().unwrap()
}

pub(crate) fn value(instance: &model::Instance, measurement: Measurement) -> Option<f64> {
    instance.reading.sample.as_ref()?.value(measurement)
}
