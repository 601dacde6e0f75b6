//! What Render says of itself as a provider, and how its settings and a Secret become an account.

use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::settings::RenderSpec;
use super::status::WORDS;
use super::{Render, Settings};
use crate::cloud::error::Refusal;
use crate::cloud::http::{AccountClient, PublishedLimits, RateGroup, RateLimit};
use crate::cloud::provider::{Provider, ProviderAccount, ResolveProblem, read_settings};
use crate::cloud::secret::{KeySets, SecretKey, SecretValues, fingerprint};
use crate::cloud::{Cloud, Credentials, Variable};
use crate::schema::{self, address};

/// Render calls it an API key.
const TOKEN: SecretKey = SecretKey::word("token");

/// Requests that read, which a user may send in a minute, whatever they are for.
const PER_MINUTE: u32 = 400;

/// Render.
pub struct RenderProvider;

/// An account at Render: what one API key reads.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct RenderAccount {
    /// Where and how.
    settings: Settings,
    /// As whom: always a token.
    credentials: Credentials,
}

impl RenderAccount {
    /// The account that this key reads.
    pub fn new(settings: Settings, key: SecretString) -> Self {
        Self { settings, credentials: Credentials::Token(key) }
    }

    fn key(&self) -> &SecretString {
        self.credentials.secret()
    }
}

impl Provider for RenderProvider {
    fn name(&self) -> &'static str {
        "render"
    }

    fn title(&self) -> &'static str {
        "Render"
    }

    fn settings(&self) -> Schema {
        schema::of::<RenderSpec>()
    }

    fn secret_keys(&self) -> KeySets {
        &[&[TOKEN]]
    }

    fn variables(&self) -> &'static [Variable] {
        const { &[Variable::key(TOKEN.name, &["RENDER_API_KEY"]), Variable::setting("endpoint", &["RENDER_HOST"])] }
    }

    fn default_interval(&self) -> Duration {
        // The resolution that requests ask for.
        Duration::from_secs(60)
    }

    fn status_words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: RenderSpec = read_settings(self, settings)?;
        let settings = Settings {
            endpoint: address::base_url(&spec.endpoint).ok_or(Refusal::NotAnEndpoint)?,
            workspaces: spec.workspaces,
            projects: spec.projects,
            environments: spec.environments,
            kinds: spec.kinds.into_iter().map(Into::into).collect(),
            previews: spec.previews,
            http: spec.http_metrics,
            services_per_request: usize::try_from(spec.services_per_request.clamp(1, 100)).unwrap_or(1),
            metrics_max_age: spec.metrics_max_age.into(),
        };
        Ok(Arc::new(RenderAccount::new(settings, secret.require(TOKEN.name)?.clone())))
    }
}

impl ProviderAccount for RenderAccount {
    fn provider(&self) -> &'static dyn Provider {
        &RenderProvider
    }

    fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    fn cloud_account(&self) -> String {
        // No answer names the user. Two keys of one user are taken for two accounts.
        let Settings { endpoint, workspaces, projects, environments, kinds, previews, .. } = &self.settings;
        let key = fingerprint(self.key());
        format!("render {endpoint} {key} {workspaces:?} {projects:?} {environments:?} {kinds:?} {previews}")
    }

    fn published_limits(&self) -> Option<PublishedLimits> {
        Some(PublishedLimits {
            // The limit is a user's, of whom no more is known than the key.
            group: RateGroup::new(&self.settings.endpoint, self.key().expose_secret()),
            limits: vec![RateLimit::per_minute(PER_MINUTE)],
            header_window: Some(Duration::from_secs(60)),
        })
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(Render::new(self.settings.clone(), self.key().clone(), client))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(settings: &Value, key: &[u8]) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let secret =
            SecretValues::read(RenderProvider.secret_keys(), |name| (name == "token").then_some(Some(key)));
        RenderProvider.resolve(settings, &secret)
    }

    #[test]
    fn an_api_key_is_all_that_an_account_needs() {
        let account = account(&json!({}), b"rnd_canary").unwrap();
        assert_eq!(account.endpoint().as_str(), "https://api.render.com/v1/");
        assert_eq!(account.name(), "render");
        assert!(!format!("{account:?} {}", account.cloud_account()).contains("canary"));
    }

    #[test]
    fn accounts_that_read_the_same_with_one_key_are_the_same_account_of_the_cloud() {
        let of = |settings: Value, key: &[u8]| account(&settings, key).unwrap().cloud_account();
        assert_eq!(of(json!({}), b"a"), of(json!({"httpMetrics": false, "servicesPerRequest": 5}), b"a"));
        assert_ne!(of(json!({}), b"a"), of(json!({}), b"b"));
        for other in [
            json!({"projects": ["shop"]}),
            json!({"environments": ["production"]}),
            json!({"workspaces": ["tea-1"]}),
            json!({"kinds": ["cron_job"]}),
            json!({"previews": true}),
            json!({"endpoint": "https://other.example/v1"}),
        ] {
            assert_ne!(of(other.clone(), b"a"), of(json!({}), b"a"), "{other}");
        }
    }

    #[test]
    fn accounts_of_one_key_share_its_limit_whatever_they_read() {
        let published =
            |settings: Value, key: &[u8]| account(&settings, key).unwrap().published_limits().unwrap();
        let one = published(json!({}), b"a");
        assert_eq!(one.limits, [RateLimit::per_minute(400)]);
        assert_eq!(one.group, published(json!({"projects": ["shop"]}), b"a").group);
        assert_ne!(one.group, published(json!({}), b"b").group);
    }

    #[test]
    fn another_key_makes_another_account() {
        let of = |key: &[u8]| account(&json!({}), key).unwrap();
        assert!(*of(b"a") == *of(b"a") && *of(b"a") != *of(b"b"));
    }

    #[test]
    fn settings_that_no_schema_let_pass_are_refused() {
        for settings in [json!({"kinds": ["static_site"]}), json!({"servicesPerRequest": "all"})] {
            assert!(matches!(account(&settings, b"a"), Err(ResolveProblem::Setting { .. })), "{settings}");
        }
        assert!(matches!(account(&json!({"endpoint": "x"}), b"a"), Err(ResolveProblem::Endpoint(_))));
    }
}
