//! From an account to the cloud that answers for it: the one place that makes a provider's client.

use std::sync::Arc;

use crate::account::{Account, Provider};
use crate::cloud::error::Unreachable;
use crate::cloud::http::{AccountLimits, Http};
use crate::cloud::{Cloud, CloudError, alauda::Alauda};
use crate::telemetry::Metrics;

/// Makes the cloud of an account. A seam, so that a task can be tested under virtual time.
pub trait Connect: Send + Sync {
    /// The cloud of this account; nothing is sent yet.
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
        let limits = AccountLimits {
            request_timeout: account.collection.request_timeout,
            max_concurrent: account.collection.max_concurrent_requests,
            requests_per_second: account.collection.requests_per_second,
        };
        let meter = self.metrics.account(&account.id.namespace, &account.id.name);
        let client = self.http.account(limits, account.ca_bundle.as_deref(), meter).map_err(|problem| {
            tracing::error!(account = %account.id, %problem, "there is no HTTP client for the account");
            CloudError::from(Unreachable::Tls)
        })?;
        Ok(match &account.provider {
            Provider::Alauda(settings) => Arc::new(Alauda::new(
                settings.clone(),
                account.filter.clone(),
                account.credentials.clone(),
                client,
            )),
        })
    }
}
