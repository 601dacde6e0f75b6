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

use caas_operator::cloud::Collection;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::railway::{Railway as Client, Settings, TokenKind};
use caas_operator::simulator::world::Instance;
use caas_operator::simulator::{self, AccountSettings, Clock, Railway, Running, Simulator};

use crate::support::{ClientAccount, lenient, limits};

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

/// An account under test.
pub(crate) type Account = ClientAccount<Client>;

impl ClientAccount<Client> {
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
        Self::connected(&lenient(), limits, |client| {
            Client::new(settings, kind, token.to_owned().into(), client)
        })
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
