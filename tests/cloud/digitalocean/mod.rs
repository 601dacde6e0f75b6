//! DigitalOcean's client against its simulated cloud over real HTTP.

mod budget;
mod cost;
mod errors;
mod inventory;
mod logs;
mod traps;

use std::time::Duration;

use caas_operator::cloud::Collection;
use caas_operator::cloud::digitalocean::{DigitalOcean as Client, Kind, Settings};
use caas_operator::cloud::http::AccountLimits;
use caas_operator::simulator::{self, AccountSettings, DigitalOcean, Running, Simulator};

use crate::support::{ClientAccount, lenient, limits};

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
}

/// How many apps the collection has services of.
pub(crate) fn apps(collection: &Collection) -> usize {
    let mut apps: Vec<_> = collection.services.iter().map(|service| &service.facts.application).collect();
    apps.sort();
    apps.dedup();
    apps.len()
}
