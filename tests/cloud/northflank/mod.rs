//! Northflank's client against its simulated cloud over real HTTP.

mod budget;
mod churn;
mod cost;
mod errors;
mod inventory;
mod traps;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use caas_operator::cloud::Collection;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::Instance;
use caas_operator::cloud::northflank::{Northflank as Client, Settings};
use caas_operator::simulator::{self, AccountSettings, Clock, Northflank, Running, Simulator};

use crate::support::{ClientAccount, instances, lenient, limits};

/// A simulated cloud without a limit, so that tests may collect as often as they like.
pub(crate) fn options() -> Northflank {
    Northflank { hourly_limit: 0, ..Northflank::default() }
}

/// An account of so many services, eight of them in four projects besides the default one.
pub(crate) fn services(services: usize) -> AccountSettings {
    AccountSettings { services, instances: 2, applications: 8, ..AccountSettings::new("acme") }
}

/// A cloud whose clock a test moves.
pub(crate) struct Moving {
    pub(crate) cloud: Running,
    ahead: Arc<AtomicU64>,
}

impl Moving {
    pub(crate) async fn start(options: Northflank, account: AccountSettings, churn: f64) -> Self {
        let ahead = Arc::new(AtomicU64::new(0));
        let (clock, start) = (Arc::clone(&ahead), Clock::system().now());
        let clock = Clock::new(move || start + clock.load(Ordering::Relaxed) as f64);
        let settings = simulator::Settings { accounts: vec![account], churn, clock, ..options.into() };
        Self { cloud: Simulator::start(settings).await.unwrap(), ahead }
    }

    /// Moves the cloud's clock and the client's by so many seconds.
    pub(crate) async fn advance(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    }
}

thread_local! {
    /// When a test began: each has a thread of its own.
    static BEGUN: f64 = Clock::system().now();
}

/// A cloud at the moment of the test's first call: nothing changes during a test, and two clouds of it measure the same.
pub(crate) async fn start(options: Northflank, account: AccountSettings) -> Running {
    let clock = Clock::fixed(BEGUN.with(|begun| *begun));
    let settings = simulator::Settings { accounts: vec![account], clock, ..options.into() };
    Simulator::start(settings).await.unwrap()
}

pub(crate) fn settings(cloud: &Running) -> Settings {
    Settings {
        endpoint: cloud.url().parse().unwrap(),
        team: None,
        projects: Vec::new(),
        inventory_interval: Duration::from_secs(900),
        metrics_max_age: Duration::from_secs(600),
    }
}

/// An account under test.
pub(crate) type Account = ClientAccount<Client>;

impl ClientAccount<Client> {
    pub(crate) fn at(cloud: &Running) -> Self {
        Self::with(settings(cloud), &cloud.credentials()[0].password)
    }

    pub(crate) fn with(settings: Settings, token: &str) -> Self {
        Self::limited(settings, token, limits())
    }

    pub(crate) fn limited(settings: Settings, token: &str, limits: AccountLimits) -> Self {
        Self::connected(&lenient(), limits, |client| Client::new(settings, token.to_owned().into(), client))
    }

    /// The last of so many collections: each asks for the details of a part of the services.
    pub(crate) async fn collected_times(&self, times: usize) -> Collection {
        for _ in 1..times {
            self.collected().await;
        }
        self.collected().await
    }

    /// The value of the operator's own series of this name, 0 where there is none.
    pub(crate) fn own(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(name));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

pub(crate) fn all_instances(collection: &Collection) -> impl Iterator<Item = &Instance> {
    collection.services.iter().flat_map(instances)
}
