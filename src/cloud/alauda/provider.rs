//! What Alauda says of itself as a provider, and how its settings and a Secret become an account.

use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::settings::AlaudaSpec;
use super::{Alauda, Settings};
use crate::cloud::error::Refusal;
use crate::cloud::http::AccountClient;
use crate::cloud::provider::{Provider, ProviderAccount, ResolveProblem, read_settings};
use crate::cloud::secret::{KeyFault, KeyProblem, KeySets, SecretKey, SecretValues};
use crate::cloud::{Cloud, Credentials};
use crate::schema::{self, address};

/// The shortest window that can hold a point, as in the schema's rule.
const LEAST_METRICS_WINDOW: Duration = Duration::from_secs(1);

const TOKEN: SecretKey = SecretKey::word("token");
const USERNAME: SecretKey = SecretKey::line("username");
const PASSWORD: SecretKey = SecretKey::text("password");

/// Alauda's v1 API.
pub struct AlaudaProvider;

/// An account at an Alauda cloud.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct AlaudaAccount {
    /// Where and how.
    pub settings: Settings,
    /// As whom.
    pub credentials: Credentials,
}

#[cfg(test)]
impl AlaudaAccount {
    /// The account at Alauda that this is.
    pub(crate) fn of(account: &dyn ProviderAccount) -> &Self {
        let account: &dyn std::any::Any = account;
        account.downcast_ref().expect("an account at Alauda")
    }
}

impl Provider for AlaudaProvider {
    fn name(&self) -> &'static str {
        "alauda"
    }

    fn title(&self) -> &'static str {
        "Alauda"
    }

    fn settings(&self) -> Schema {
        schema::of::<AlaudaSpec>()
    }

    fn secret_keys(&self) -> KeySets {
        // A token first, since it needs no login.
        &[&[TOKEN], &[USERNAME, PASSWORD]]
    }

    fn default_interval(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn status_words(&self) -> &'static [&'static str] {
        super::STATUS_WORDS
    }

    fn endpoint(&self, settings: &Value) -> Option<Url> {
        // Or that of one of Alauda's own clouds.
        address::base_url(read_settings::<AlaudaSpec>(self, settings).ok()?.address())
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: AlaudaSpec = read_settings(self, settings)?;
        let credentials = credentials(secret)?;
        let settings = Settings {
            endpoint: address::base_url(spec.address()).ok_or(Refusal::NotAnEndpoint)?,
            namespace: namespace(&spec, secret)?,
            metrics_window: Duration::from(spec.metrics_window).max(LEAST_METRICS_WINDOW),
            metrics_lag: spec.metrics_lag.into(),
        };
        Ok(Arc::new(AlaudaAccount { settings, credentials }))
    }
}

impl ProviderAccount for AlaudaAccount {
    fn provider(&self) -> &'static dyn Provider {
        &AlaudaProvider
    }

    fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    fn cloud_account(&self) -> String {
        format!("alauda {} {}", self.settings.endpoint, self.settings.namespace)
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(Alauda::new(self.settings.clone(), self.credentials.clone(), client))
    }
}

fn credentials(secret: &SecretValues) -> Result<Credentials, KeyProblem> {
    if let Some(token) = secret.get(TOKEN.name)? {
        return Ok(Credentials::Token(token.clone()));
    }
    Ok(Credentials::Password {
        username: secret.require(USERNAME.name)?.expose_secret().to_owned(),
        password: secret.require(PASSWORD.name)?.clone(),
    })
}

/// The user or organization whose services are listed: as set, else the user of the Secret.
fn namespace(spec: &AlaudaSpec, secret: &SecretValues) -> Result<String, ResolveProblem> {
    if let Some(namespace) = &spec.namespace {
        if !address::is_segment(namespace) {
            return Err(ResolveProblem::Setting {
                field: "namespace",
                advice:
                    "is not the name of a user or organization: use one without slashes, semicolons, spaces, ?, # or %"
                        .to_owned(),
            });
        }
        return Ok(namespace.clone());
    }
    let problem = |fault, advice| KeyProblem::new(USERNAME.name, fault, advice);
    let username = secret.get(USERNAME.name)?.ok_or_else(|| {
        problem(
            KeyFault::Missing,
            "Set spec.provider.alauda.namespace to the user or organization whose services are collected, or add the key",
        )
    })?;
    let username = username.expose_secret();
    if !address::is_segment(username) {
        return Err(problem(
            KeyFault::Invalid,
            "cannot be part of a URL path: set spec.provider.alauda.namespace to the user or organization whose services are collected",
        )
        .into());
    }
    Ok(username.to_owned())
}
