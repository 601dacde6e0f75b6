//! What DigitalOcean says of itself as a provider, and how its settings and a Secret become an account.

use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::settings::DigitalOceanSpec;
use super::status::PHASES;
use super::{DigitalOcean, Settings};
use crate::cloud::error::Refusal;
use crate::cloud::http::{AccountClient, PublishedLimits, RateGroup, RateLimit};
use crate::cloud::provider::{Provider, ProviderAccount, ResolveProblem, read_settings};
use crate::cloud::secret::{KeySets, SecretKey, SecretValues, fingerprint};
use crate::cloud::{Cloud, Credentials, Variable};
use crate::schema::{self, address};

const TOKEN: SecretKey = SecretKey::word("token");

/// DigitalOcean App Platform.
pub struct DigitalOceanProvider;

/// An account at DigitalOcean: what one token reads.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct DigitalOceanAccount {
    /// Where and how.
    settings: Settings,
    /// As whom: always a token.
    credentials: Credentials,
}

impl DigitalOceanAccount {
    /// The account that this token reads.
    pub fn new(settings: Settings, token: SecretString) -> Self {
        Self { settings, credentials: Credentials::Token(token) }
    }

    fn token(&self) -> &SecretString {
        self.credentials.secret()
    }
}

impl Provider for DigitalOceanProvider {
    fn name(&self) -> &'static str {
        "digitalocean"
    }

    fn title(&self) -> &'static str {
        "DigitalOcean App Platform"
    }

    fn settings(&self) -> Schema {
        schema::of::<DigitalOceanSpec>()
    }

    fn secret_keys(&self) -> KeySets {
        &[&[TOKEN]]
    }

    fn variables(&self) -> &'static [Variable] {
        const {
            &[
                Variable::key(TOKEN.name, &["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"]),
                Variable::setting("endpoint", &["DIGITALOCEAN_API_URL"]),
            ]
        }
    }

    fn default_interval(&self) -> Duration {
        // The cloud measures every two minutes.
        Duration::from_secs(120)
    }

    fn status_words(&self) -> &'static [&'static str] {
        PHASES
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: DigitalOceanSpec = read_settings(self, settings)?;
        let settings = Settings {
            endpoint: address::base_url(&spec.endpoint).ok_or(Refusal::NotAnEndpoint)?,
            projects: spec.projects,
            apps: spec.apps,
            kinds: spec.kinds.into_iter().map(Into::into).collect(),
            health: spec.health,
            metrics_max_age: spec.metrics_max_age.into(),
        };
        Ok(Arc::new(DigitalOceanAccount::new(settings, secret.require(TOKEN.name)?.clone())))
    }
}

impl ProviderAccount for DigitalOceanAccount {
    fn provider(&self) -> &'static dyn Provider {
        &DigitalOceanProvider
    }

    fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    fn cloud_account(&self) -> String {
        // No answer names the account or team. Two tokens of one team are taken for two accounts.
        let Settings { endpoint, projects, apps, kinds, .. } = &self.settings;
        format!("digitalocean {endpoint} {} {projects:?} {apps:?} {kinds:?}", fingerprint(self.token()))
    }

    fn published_limits(&self) -> Option<PublishedLimits> {
        Some(PublishedLimits {
            group: RateGroup::new(&self.settings.endpoint, self.token().expose_secret()),
            limits: vec![RateLimit::per_hour(5000), RateLimit::per_minute(250)],
            // `ratelimit-limit` is that of the hour.
            header_window: Some(Duration::from_secs(3600)),
        })
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(DigitalOcean::new(self.settings.clone(), self.token().clone(), client))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(settings: &Value, token: &[u8]) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let secret = SecretValues::read(DigitalOceanProvider.secret_keys(), |key| {
            (key == "token").then_some(Some(token))
        });
        DigitalOceanProvider.resolve(settings, &secret)
    }

    #[test]
    fn a_token_is_all_that_an_account_needs() {
        let account = account(&json!({}), b"dop_v1_canary").unwrap();
        assert_eq!(account.endpoint().as_str(), "https://api.digitalocean.com/");
        assert_eq!(account.name(), "digitalocean");
        assert!(!format!("{account:?} {}", account.cloud_account()).contains("canary"));
    }

    #[test]
    fn accounts_that_read_the_same_with_one_token_are_the_same_account_of_the_cloud() {
        let of = |settings: Value, token: &[u8]| account(&settings, token).unwrap().cloud_account();
        assert_eq!(of(json!({}), b"a"), of(json!({"health": false}), b"a"));
        assert_ne!(of(json!({}), b"a"), of(json!({}), b"b"));
        assert_ne!(of(json!({"apps": ["shop"]}), b"a"), of(json!({"apps": ["wiki"]}), b"a"));
        assert_ne!(of(json!({"endpoint": "https://other.example/"}), b"a"), of(json!({}), b"a"));
    }

    #[test]
    fn accounts_of_one_token_share_its_limits_whatever_they_read() {
        let group = |settings: Value, token: &[u8]| {
            account(&settings, token).unwrap().published_limits().unwrap().group
        };
        assert_eq!(group(json!({}), b"a"), group(json!({"apps": ["shop"]}), b"a"));
        assert_ne!(group(json!({}), b"a"), group(json!({}), b"b"));
    }

    #[test]
    fn another_token_makes_another_account() {
        let of = |token: &[u8]| account(&json!({}), token).unwrap();
        assert!(*of(b"a") == *of(b"a") && *of(b"a") != *of(b"b"));
    }

    #[test]
    fn settings_that_no_schema_let_pass_are_refused() {
        assert!(matches!(account(&json!({"kinds": ["site"]}), b"a"), Err(ResolveProblem::Setting { .. })));
        assert!(matches!(account(&json!({"endpoint": "x"}), b"a"), Err(ResolveProblem::Endpoint(_))));
    }
}
