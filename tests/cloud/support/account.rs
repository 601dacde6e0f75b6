//! An Alauda account at a server of the tests, with limits, credentials and metrics of its own.

use std::sync::Arc;
use std::time::Duration;

use caas_operator::cloud::alauda::{Alauda, Settings};
use caas_operator::cloud::http::{AccountLimits, Http, Policy};
use caas_operator::cloud::{CloudError, Collection, Credentials, ServiceFilter};
use caas_operator::telemetry::Metrics;
use url::Url;

use super::server::Fake;

/// An account under test, with its own metrics.
pub(crate) struct Account {
    pub(crate) cloud: Alauda,
    selection: ServiceFilter,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) fn limits() -> AccountLimits {
    AccountLimits {
        request_timeout: Duration::from_secs(10),
        max_concurrent: 32,
        requests_per_second: 100_000,
    }
}

pub(crate) fn timeout_of(millis: u64) -> AccountLimits {
    AccountLimits { request_timeout: Duration::from_millis(millis), ..limits() }
}

/// An HTTP stack with loopback and plain http allowed.
pub(crate) fn lenient() -> Http {
    Http::new(Policy {
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        allow_http: true,
        ..Policy::default()
    })
}

pub(crate) fn password() -> Credentials {
    Credentials::Password { username: "acme".to_owned(), password: "p&ss wörd".to_owned().into() }
}

pub(crate) fn settings(endpoint: &str) -> Settings {
    Settings {
        endpoint: Url::parse(endpoint).unwrap(),
        namespace: "acme".to_owned(),
        metrics_window: Duration::from_secs(100),
        metrics_lag: Duration::from_secs(30),
    }
}

impl Account {
    pub(crate) fn at(fake: &Fake) -> Self {
        Self::limited(fake, limits())
    }

    pub(crate) fn limited(fake: &Fake, limits: AccountLimits) -> Self {
        Self::new(&lenient(), &fake.endpoint(), limits, None, password())
    }

    pub(crate) fn new(
        http: &Http,
        endpoint: &str,
        limits: AccountLimits,
        ca: Option<&[u8]>,
        credentials: Credentials,
    ) -> Self {
        Self::filtered(http, endpoint, limits, ca, credentials, ServiceFilter::default())
    }

    pub(crate) fn filtered(
        http: &Http,
        endpoint: &str,
        limits: AccountLimits,
        ca: Option<&[u8]>,
        credentials: Credentials,
        filter: ServiceFilter,
    ) -> Self {
        let metrics = Metrics::new();
        let client = http
            .account("team-a", limits, ca.map(Arc::from).as_ref(), metrics.account("team-a", "acme"))
            .unwrap();
        Self { cloud: Alauda::new(settings(endpoint), credentials, client), selection: filter, metrics }
    }

    /// An account of this namespace that has a token, so that the services are its first request.
    pub(crate) fn in_namespace(namespace: &str, http: &Http, fake: &Fake, limits: AccountLimits) -> Self {
        let (metrics, token) = (Metrics::new(), Credentials::Token("given".to_owned().into()));
        let client = http.account(namespace, limits, None, metrics.account(namespace, "acme")).unwrap();
        let settings = settings(&fake.endpoint());
        Self { cloud: Alauda::new(settings, token, client), selection: ServiceFilter::default(), metrics }
    }

    pub(crate) async fn collect(&self) -> Result<Collection, CloudError> {
        use caas_operator::cloud::Cloud;
        self.cloud.collect(&self.selection).await
    }

    /// The value of the first series whose line contains all these parts.
    pub(crate) fn metric(&self, parts: &[&str]) -> f64 {
        let text = self.metrics.render();
        let line =
            text.lines().find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}
