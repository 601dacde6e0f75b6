//! What Railway says of itself as a provider, and how its settings and a Secret become an account.

use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::settings::RailwaySpec;
use super::state::STATUS_WORDS;
use super::{Railway, Settings, TokenKind};
use crate::cloud::error::Refusal;
use crate::cloud::http::{AccountClient, PublishedLimits, RateGroup, RateLimit};
use crate::cloud::provider::{Provider, ProviderAccount, ResolveProblem, read_settings};
use crate::cloud::secret::{KeySets, SecretKey, SecretValues, fingerprint};
use crate::cloud::{Cloud, Credentials, Variable};
use crate::schema::{self, address};

const TOKEN: SecretKey = SecretKey::word("token");
const PROJECT_TOKEN: SecretKey = SecretKey::word("projectToken");

/// Railway.
pub struct RailwayProvider;

/// An account at Railway: what one token reads.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct RailwayAccount {
    /// Where and how.
    settings: Settings,
    /// What the token may list.
    kind: TokenKind,
    /// As whom: always a token.
    credentials: Credentials,
}

impl RailwayAccount {
    /// The account that this token reads.
    pub fn new(settings: Settings, kind: TokenKind, token: SecretString) -> Self {
        Self { settings, kind, credentials: Credentials::Token(token) }
    }

    fn token(&self) -> &SecretString {
        self.credentials.secret()
    }
}

impl Provider for RailwayProvider {
    fn name(&self) -> &'static str {
        "railway"
    }

    fn title(&self) -> &'static str {
        "Railway"
    }

    fn settings(&self) -> Schema {
        schema::of::<RailwaySpec>()
    }

    fn secret_keys(&self) -> KeySets {
        &[&[TOKEN], &[PROJECT_TOKEN]]
    }

    fn variables(&self) -> &'static [Variable] {
        const {
            &[
                Variable::key(TOKEN.name, &["RAILWAY_API_TOKEN"]),
                Variable::key(PROJECT_TOKEN.name, &["RAILWAY_TOKEN"]),
                Variable::setting("endpoint", &["RAILWAY_API_URL"]),
            ]
        }
    }

    fn default_interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn status_words(&self) -> &'static [&'static str] {
        STATUS_WORDS
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: RailwaySpec = read_settings(self, settings)?;
        let settings = Settings {
            endpoint: address::base_url(&spec.endpoint).ok_or(Refusal::NotAnEndpoint)?,
            workspace: spec.workspace,
            projects: spec.projects,
            environments: spec.environments,
            preview_environments: spec.preview_environments,
            http: spec.http,
            metrics_max_age: spec.metrics_max_age.into(),
        };
        let (kind, key) = if secret.set() == [PROJECT_TOKEN] {
            (TokenKind::Project, PROJECT_TOKEN)
        } else {
            (TokenKind::Account, TOKEN)
        };
        Ok(Arc::new(RailwayAccount::new(settings, kind, secret.require(key.name)?.clone())))
    }
}

impl ProviderAccount for RailwayAccount {
    fn provider(&self) -> &'static dyn Provider {
        &RailwayProvider
    }

    fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    fn cloud_account(&self) -> String {
        // No answer names the account. Two tokens of one workspace are taken for two accounts.
        let Settings { endpoint, workspace, projects, environments, preview_environments, .. } =
            &self.settings;
        let token = fingerprint(self.token());
        format!(
            "railway {endpoint} {token} {workspace:?} {projects:?} {environments:?} {preview_environments}"
        )
    }

    fn published_limits(&self) -> Option<PublishedLimits> {
        // Those of the plan Hobby. The headers of the answers name those of others.
        let hour = RateLimit::per_hour(1_000);
        // 10 a second, over two seconds: fewer than 20 requests cannot be spread.
        let second = RateLimit { requests: 20, window: Duration::from_secs(2) };
        Some(PublishedLimits {
            group: RateGroup::new(&self.settings.endpoint, self.token().expose_secret()),
            limits: vec![hour, second],
            header_window: Some(hour.window),
        })
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(Railway::new(self.settings.clone(), self.kind, self.token().clone(), client))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(settings: &Value, keys: &[(&str, &str)]) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let value = |key: &str| Some(keys.iter().find(|(name, _)| *name == key)?.1.as_bytes());
        let secret = SecretValues::read(RailwayProvider.secret_keys(), |key| value(key).map(Some));
        RailwayProvider.resolve(settings, &secret)
    }

    #[test]
    fn either_token_is_all_that_an_account_needs() {
        for key in ["token", "projectToken"] {
            let account = account(&json!({}), &[(key, "canary")]).unwrap();
            assert_eq!(account.endpoint().as_str(), "https://backboard.railway.com/");
            assert_eq!(account.name(), "railway");
            assert!(!format!("{account:?} {}", account.cloud_account()).contains("canary"));
        }
        assert!(
            *account(&json!({}), &[("token", "a")]).unwrap()
                != *account(&json!({}), &[("projectToken", "a")]).unwrap()
        );
        let Err(ResolveProblem::Key(problem)) = account(&json!({}), &[]) else { panic!("a token is needed") };
        assert_eq!(problem.key, "token");
    }

    #[test]
    fn accounts_that_read_the_same_with_one_token_are_the_same_account_of_the_cloud() {
        let of =
            |settings: Value, token: &str| account(&settings, &[("token", token)]).unwrap().cloud_account();
        assert_eq!(of(json!({}), "a"), of(json!({"http": true, "metricsMaxAge": "5m"}), "a"));
        assert_ne!(of(json!({}), "a"), of(json!({}), "b"));
        for other in [
            json!({"workspace": "w1"}),
            json!({"projects": ["shop"]}),
            json!({"environments": ["production"]}),
            json!({"previewEnvironments": true}),
            json!({"endpoint": "https://other.example/"}),
        ] {
            assert_ne!(of(other.clone(), "a"), of(json!({}), "a"), "{other}");
        }
    }

    #[test]
    fn accounts_of_one_token_share_its_limits_whatever_they_read() {
        let published = |settings: Value, token: &str| {
            account(&settings, &[("token", token)]).unwrap().published_limits().unwrap()
        };
        let group = |settings, token| published(settings, token).group;
        assert_eq!(group(json!({}), "a"), group(json!({"projects": ["shop"]}), "a"));
        assert_ne!(group(json!({}), "a"), group(json!({}), "b"));
    }

    #[test]
    fn settings_that_no_schema_let_pass_are_refused() {
        for settings in [json!({"projects": "shop"}), json!({"metricsMaxAge": "soon"})] {
            assert!(matches!(account(&settings, &[("token", "a")]), Err(ResolveProblem::Setting { .. })));
        }
        let endpoint = account(&json!({"endpoint": "x"}), &[("token", "a")]);
        assert!(matches!(endpoint, Err(ResolveProblem::Endpoint(_))));
    }
}
