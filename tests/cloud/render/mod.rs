//! Render's client against its simulated cloud over real HTTP.

mod budget;
mod cost;
mod errors;
mod inventory;
mod logs;
mod traps;

use std::time::Duration;

use caas_operator::cloud::Collection;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::render::{Kind, Render as Client, Settings};
use caas_operator::simulator::{self, AccountSettings, Clock, Render, Running, Simulator};

use crate::support::{ClientAccount, lenient, limits};

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

/// An account under test.
pub(crate) type Account = ClientAccount<Client>;

impl ClientAccount<Client> {
    pub(crate) fn at(cloud: &Running) -> Self {
        Self::with(settings(cloud), &cloud.credentials()[0].password)
    }

    pub(crate) fn with(settings: Settings, key: &str) -> Self {
        Self::limited(settings, key, limits())
    }

    pub(crate) fn limited(settings: Settings, key: &str, limits: AccountLimits) -> Self {
        Self::connected(&lenient(), limits, |client| Client::new(settings, key.to_owned().into(), client))
    }
}

/// How many services of a collection are of this kind.
pub(crate) fn of_kind(collection: &Collection, kind: &str) -> usize {
    collection.services.iter().filter(|service| service.facts.kind.as_deref() == Some(kind)).count()
}
