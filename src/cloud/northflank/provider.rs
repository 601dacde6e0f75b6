//! What Northflank says of itself as a provider, and how its settings and a Secret become an account.

use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::settings::NorthflankSpec;
use super::status::DEPLOYMENTS;
use super::{Northflank, Settings};
use crate::cloud::error::Refusal;
use crate::cloud::http::{AccountClient, PublishedLimits, RateGroup, RateLimit};
use crate::cloud::provider::{Provider, ProviderAccount, ResolveProblem, read_settings};
use crate::cloud::secret::{KeySets, SecretKey, SecretValues, fingerprint};
use crate::cloud::{Cloud, Credentials, Variable};
use crate::schema::{self, address};

const TOKEN: SecretKey = SecretKey::word("token");

/// Northflank.
pub struct NorthflankProvider;

/// An account at Northflank: what one token reads.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct NorthflankAccount {
    /// Where and how.
    settings: Settings,
    /// As whom: always a token.
    credentials: Credentials,
}

impl NorthflankAccount {
    /// The account that this token reads.
    pub fn new(settings: Settings, token: SecretString) -> Self {
        Self { settings, credentials: Credentials::Token(token) }
    }

    fn token(&self) -> &SecretString {
        self.credentials.secret()
    }
}

impl Provider for NorthflankProvider {
    fn name(&self) -> &'static str {
        "northflank"
    }

    fn title(&self) -> &'static str {
        "Northflank"
    }

    fn settings(&self) -> Schema {
        schema::of::<NorthflankSpec>()
    }

    fn secret_keys(&self) -> KeySets {
        &[&[TOKEN]]
    }

    fn variables(&self) -> &'static [Variable] {
        const {
            &[
                Variable::key(TOKEN.name, &["NORTHFLANK_API_TOKEN"]),
                Variable::setting("endpoint", &["NORTHFLANK_API_BASE_URL"]),
            ]
        }
    }

    fn default_interval(&self) -> Duration {
        // 1,000 requests an hour are 70 in five minutes that may be spent evenly: those of some 37 services.
        Duration::from_secs(300)
    }

    fn status_words(&self) -> &'static [&'static str] {
        DEPLOYMENTS
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: NorthflankSpec = read_settings(self, settings)?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_id = |team: &String| !team.is_empty() && team.bytes().all(is_part);
        if !spec.team.as_ref().is_none_or(is_id) {
            let advice = "is not a team id: use letters, digits and hyphens, such as my-team".to_owned();
            return Err(ResolveProblem::Setting { field: "team", advice });
        }
        let settings = Settings {
            endpoint: address::base_url(&spec.endpoint).ok_or(Refusal::NotAnEndpoint)?,
            team: spec.team,
            projects: spec.projects,
            inventory_interval: spec.inventory_interval.into(),
            metrics_max_age: spec.metrics_max_age.into(),
        };
        Ok(Arc::new(NorthflankAccount::new(settings, secret.require(TOKEN.name)?.clone())))
    }
}

impl ProviderAccount for NorthflankAccount {
    fn provider(&self) -> &'static dyn Provider {
        &NorthflankProvider
    }

    fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    fn cloud_account(&self) -> String {
        // Lists of projects do not name the team. Two tokens of one team are taken for two accounts.
        let Settings { endpoint, team, projects, .. } = &self.settings;
        format!("northflank {endpoint} {} {team:?} {projects:?}", fingerprint(self.token()))
    }

    fn published_limits(&self) -> Option<PublishedLimits> {
        Some(PublishedLimits {
            group: RateGroup::new(&self.settings.endpoint, self.token().expose_secret()),
            limits: vec![RateLimit::per_hour(1000)],
            header_window: Some(Duration::from_secs(3600)),
        })
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(Northflank::new(self.settings.clone(), self.token().clone(), client))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(settings: &Value, token: &[u8]) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let secret = SecretValues::read(NorthflankProvider.secret_keys(), |key| {
            (key == "token").then_some(Some(token))
        });
        NorthflankProvider.resolve(settings, &secret)
    }

    #[test]
    fn a_token_is_all_that_an_account_needs() {
        let account = account(&json!({}), b"nf-canary").unwrap();
        assert_eq!(account.endpoint().as_str(), "https://api.northflank.com/");
        assert_eq!((account.name(), NorthflankProvider.default_interval().as_secs()), ("northflank", 300));
        assert!(!format!("{account:?} {}", account.cloud_account()).contains("canary"));
    }

    #[test]
    fn accounts_that_read_the_same_with_one_token_are_the_same_account_of_the_cloud() {
        let of = |settings: Value, token: &[u8]| account(&settings, token).unwrap().cloud_account();
        assert_eq!(of(json!({}), b"a"), of(json!({"inventoryInterval": "1h"}), b"a"));
        assert_ne!(of(json!({}), b"a"), of(json!({}), b"b"));
        assert_ne!(of(json!({"projects": ["shop"]}), b"a"), of(json!({"projects": ["wiki"]}), b"a"));
        assert_ne!(of(json!({"team": "acme"}), b"a"), of(json!({"team": "other"}), b"a"));
        assert_ne!(of(json!({"endpoint": "https://other.example/"}), b"a"), of(json!({}), b"a"));
    }

    #[test]
    fn accounts_of_one_token_share_its_limit_whatever_they_read() {
        let published =
            |settings: Value, token: &[u8]| account(&settings, token).unwrap().published_limits().unwrap();
        let one = published(json!({}), b"a");
        assert_eq!(one.limits, [RateLimit::per_hour(1000)]);
        assert_eq!(one.group, published(json!({"team": "acme", "projects": ["shop"]}), b"a").group);
        assert_ne!(one.group, published(json!({}), b"b").group);
    }

    #[test]
    fn another_token_makes_another_account() {
        let of = |token: &[u8]| account(&json!({}), token).unwrap();
        assert!(*of(b"a") == *of(b"a") && *of(b"a") != *of(b"b"));
    }

    #[test]
    fn settings_that_no_schema_let_pass_are_refused() {
        for team in ["", "a/b", "..", "a%2fb", "?"] {
            let refused = account(&json!({"team": team}), b"a");
            assert!(matches!(refused, Err(ResolveProblem::Setting { field: "team", .. })), "{team}");
        }
        assert!(matches!(account(&json!({"projects": 7}), b"a"), Err(ResolveProblem::Setting { .. })));
        assert!(matches!(account(&json!({"endpoint": "x"}), b"a"), Err(ResolveProblem::Endpoint(_))));
    }
}
