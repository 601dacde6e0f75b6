//! The client of Cloud Foundry against the simulated installation, and against servers that misbehave.

mod budget;
mod cycle;
mod errors;
mod logs;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use caas_operator::cloud::cloudfoundry::{self, CloudFoundryCredentials, Grant};
use caas_operator::cloud::http::{AccountLimits, Http};
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use caas_operator::simulator::{AccountSettings, Clock, CloudFoundry, Running, Settings, Simulator};

use crate::support::{ClientAccount, lenient, limits};

/// A day in 2026.
pub(crate) const NOW: u64 = 1_772_000_000;

/// An installation whose clock a test moves.
pub(crate) struct Installation {
    pub(crate) cloud: Running,
    now: Arc<AtomicU64>,
}

impl Installation {
    /// 20 applications with 5 instances each, 4 of them in spaces other than `production`.
    pub(crate) async fn start(options: CloudFoundry) -> Self {
        let account = AccountSettings {
            applications: 4,
            namespace: Some("acme corp".to_owned()),
            ..AccountSettings::new("acme")
        };
        Self::with(Settings { accounts: vec![account], ..options.into() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let clock = Clock::new(move || clock.load(Ordering::Relaxed) as f64);
        let cloud = Simulator::start(Settings { clock, ..settings }).await.unwrap();
        Self { cloud, now }
    }

    /// Moves the installation's clock and the client's by so many seconds.
    pub(crate) async fn advance(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        tokio::time::resume();
    }

    pub(crate) fn user(&self) -> CloudFoundryCredentials {
        let login = self.cloud.credentials().remove(0);
        CloudFoundryCredentials {
            grant: Grant::Password,
            name: login.username,
            secret: login.password.into(),
        }
    }

    pub(crate) fn settings(&self) -> cloudfoundry::Settings {
        settings(&self.cloud.url())
    }

    /// An account of the installation's user.
    pub(crate) fn account(&self) -> Account {
        Account::new(&lenient(), self.settings(), self.user(), limits())
    }
}

pub(crate) fn settings(endpoint: &str) -> cloudfoundry::Settings {
    cloudfoundry::Settings {
        endpoint: endpoint.parse().unwrap(),
        organizations: Vec::new(),
        spaces: Vec::new(),
        label_selector: None,
        login_endpoint: None,
        login_origin: None,
    }
}

/// An account under test.
pub(crate) type Account = ClientAccount<cloudfoundry::CloudFoundry>;

impl ClientAccount<cloudfoundry::CloudFoundry> {
    pub(crate) fn new(
        http: &Http,
        settings: cloudfoundry::Settings,
        credentials: CloudFoundryCredentials,
        limits: AccountLimits,
    ) -> Self {
        Self::connected(http, limits, |client| cloudfoundry::CloudFoundry::new(settings, credentials, client))
    }

    pub(crate) async fn filtered(&self, filter: &ServiceFilter) -> Result<Collection, CloudError> {
        self.cloud.collect(filter).await
    }
}
