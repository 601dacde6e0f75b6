//! An account at a cloud of any provider, with limits and metrics of its own, and what tests read of its collections.

use std::sync::Arc;
use std::time::Duration;

use caas_operator::cloud::http::{AccountClient, AccountLimits, Http};
use caas_operator::cloud::model::{Instance, Measurement, Service};
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use caas_operator::simulator::{AccountSettings, Clock, Running, Settings, Simulator};
use caas_operator::telemetry::Metrics;

/// An account under test, with its own metrics.
pub(crate) struct ClientAccount<C> {
    pub(crate) cloud: C,
    pub(crate) filter: ServiceFilter,
    pub(crate) metrics: Arc<Metrics>,
}

impl<C: Cloud> ClientAccount<C> {
    /// An account with these limits that collects all services.
    pub(crate) fn connected(
        http: &Http,
        limits: AccountLimits,
        connect: impl FnOnce(AccountClient) -> C,
    ) -> Self {
        let metrics = Metrics::new();
        let client = http.account("team-a", limits, None, metrics.account("team-a", "acme")).unwrap();
        Self { cloud: connect(client), filter: ServiceFilter::default(), metrics }
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

    /// Collects three times, each of which must be refused for its credentials.
    pub(crate) async fn is_rejected(&self) {
        for _ in 0..3 {
            assert_eq!(self.collect().await, Err(CloudError::LoginRejected));
        }
    }
}

/// The same cloud with 80 services that all change, at the moment of the call: nothing changes during a test.
pub(crate) async fn start_in_change(options: impl Into<Settings>) -> Running {
    let account = AccountSettings { services: 80, instances: 4, ..AccountSettings::new("acme") };
    let clock = Clock::fixed(Clock::system().now());
    let settings = Settings { churn: 1.0, accounts: vec![account], clock, ..options.into() };
    Simulator::start(settings).await.unwrap()
}

/// Lets so much time pass at once for clients, but not for clouds: what is asked for seldom is due again.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// How often at most something is asked for within a time that is due again so long after each answer. Time goes on while
/// answers are awaited, for as long as the machine needs.
pub(crate) fn most_often(within: Duration, every: Duration) -> u64 {
    // Cycles do not start to the second.
    within.as_secs() / (every.as_secs() - 1) + 1
}

pub(crate) fn instances(service: &Service) -> &[Instance] {
    service.instances.as_ref().unwrap()
}

pub(crate) fn value(instance: &Instance, measurement: Measurement) -> Option<f64> {
    instance.reading.sample.as_ref()?.value(measurement)
}
