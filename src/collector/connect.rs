//! Makes the client of an account's cloud.

use std::sync::Arc;

use crate::account::{Account, Connection};
use crate::cloud::error::Unreachable;
use crate::cloud::http::Http;
use crate::cloud::{Cloud, CloudError};
use crate::telemetry::Metrics;

/// Makes the client of an account's cloud. A trait, since tests of a task under virtual time need a client without HTTP.
pub trait Connect: Send + Sync {
    /// The client of this account's cloud; nothing is sent yet.
    fn connect(&self, account: &Account) -> Result<Arc<dyn Cloud>, CloudError>;
}

/// The real clouds over HTTP.
pub struct HttpClouds {
    http: Http,
    metrics: Arc<Metrics>,
}

impl HttpClouds {
    /// Clouds that share one HTTP stack and count into `metrics`.
    pub fn new(http: Http, metrics: Arc<Metrics>) -> Self {
        Self { http, metrics }
    }
}

impl Connect for HttpClouds {
    fn connect(&self, account: &Account) -> Result<Arc<dyn Cloud>, CloudError> {
        let Connection { provider, ca_bundle, limits } = &account.connection;
        let meter = self.metrics.account(&account.id.namespace, &account.id.name);
        let client = self.http.account(&account.id.namespace, *limits, ca_bundle.as_deref(), meter).map_err(
            |problem| {
                tracing::error!(account = %account.id, %problem, "there is no HTTP client for the account");
                CloudError::from(Unreachable::Tls)
            },
        )?;
        Ok(provider.connect(client))
    }
}
